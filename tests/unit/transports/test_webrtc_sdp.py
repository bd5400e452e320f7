"""Descriptions and candidates from the network: what is taken, ignored and refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.transports.webrtc_sdp import (
    MAX_CANDIDATES,
    MAX_NAMED_CANDIDATES,
    MAX_SDP,
    checked_candidate,
    checked_description,
    is_usable,
)

HOST = "a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host"
OFFER = [
    "v=0",
    "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "m=application 50000 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    HOST,
    "a=ice-ufrag:abcd",
    "a=ice-pwd:0123456789abcdefghijkl",
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
    "a=setup:actpass",
    "a=mid:0",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
]


def sdp(*changes: tuple[str, str | None], extra: tuple[str, ...] = ()) -> str:
    """The offer with every line that begins so replaced, or left out."""
    lines = OFFER[:]
    for prefix, replacement in changes:
        assert any(line.startswith(prefix) for line in lines)
        lines = [replacement if line.startswith(prefix) else line for line in lines]  # type: ignore[misc]
    return "\r\n".join([line for line in lines if line is not None] + list(extra)) + "\r\n"


def test_a_browser_like_offer_is_taken_as_it_is() -> None:
    checked = checked_description(sdp(), "offer", trickle=False)
    assert checked.type == "offer"
    assert checked.sdp == sdp()


@pytest.mark.parametrize("prefix", ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"])
def test_what_encryption_needs_may_not_be_missing(prefix: str) -> None:
    with pytest.raises(WireError):
        checked_description(sdp((prefix, None)), "offer", trickle=False)


@pytest.mark.parametrize(
    ("prefix", "replacement", "complaint"),
    [
        ("m=", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "refuses"),
        ("m=", "m=application 9 DTLS/SCTP 5000", "refuses"),
        ("m=", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "data channels alone"),
        ("a=mid", "a=other:0", "refuses"),
        ("a=group", "a=group:BUNDLE 1 0", "bundles"),
        ("a=ice-ufrag", "a=ice-ufrag:a b", "ICE credentials"),
        ("a=ice-pwd", "a=ice-pwd:short", "ICE credentials"),
        ("a=sctp-port", "a=sctp-port:0", "SCTP port"),
        ("a=sctp-port", "a=sctp-port:five", "not SDP"),
        ("a=max-message-size", "a=max-message-size:16383", "takes no messages"),
        ("a=setup", "a=setup:whatever", "not SDP"),
        ("s=", "s=" + "é", "ASCII"),
        ("s=", "s=" + "x" * MAX_SDP, "at most"),
    ],
)
def test_offers_that_this_end_cannot_use(prefix: str, replacement: str, complaint: str) -> None:
    with pytest.raises(WireError, match=complaint):
        checked_description(sdp((prefix, replacement)), "offer", trickle=False)


def test_an_answer_chooses_a_role() -> None:
    with pytest.raises(WireError, match="role"):
        checked_description(sdp(), "answer", trickle=False)
    checked_description(sdp(("a=setup", "a=setup:active")), "answer", trickle=False)


def test_media_sections_beside_the_data_channels_are_refused() -> None:
    audio = ("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=mid:1")
    with pytest.raises(WireError, match="alone"):
        checked_description(sdp(extra=audio), "offer", trickle=False)


def test_an_address_is_needed_unless_one_may_follow() -> None:
    without = sdp((HOST, None))
    with pytest.raises(WireError, match="no address"):
        checked_description(without, "offer", trickle=False)
    checked_description(without, "offer", trickle=True)
    with pytest.raises(WireError, match="no address"):
        checked_description(
            sdp((HOST, None), extra=("a=end-of-candidates",)), "offer", trickle=True
        )


@pytest.mark.parametrize(
    ("line", "usable"),
    [
        ("1 1 udp 1 192.0.2.1 50000 typ host", True),
        ("1 1 UDP 1 192.0.2.1 50000 typ srflx raddr 10.0.0.1 rport 5", True),
        ("1 1 udp 1 2001:db8::1 50000 typ relay", True),
        ("1 1 udp 1 127.0.0.1 50000 typ host", True),
        ("1 1 udp 1 0b8a6bb5-3b1c-4cbd-a8a2-1a1a1a1a1a1a.local 50000 typ host", True),
        ("1 1 tcp 1 192.0.2.1 9 typ host tcptype active", False),
        ("1 2 udp 1 192.0.2.1 50000 typ host", False),
        ("1 1 udp 1 192.0.2.1 0 typ host", False),
        ("1 1 udp 1 192.0.2.1 65536 typ host", False),
        ("1 1 udp 1 192.0.2.1 50000 typ prflx", False),
        ("1 1 udp 1 224.0.0.251 5353 typ host", False),
        ("1 1 udp 1 255.255.255.255 50000 typ host", False),
        ("1 1 udp 1 0.0.0.0 50000 typ host", False),
        ("1 1 udp 1 fe80::1%eth0 50000 typ host", False),
        ("1 1 udp 1 ::ffff:192.0.2.1 50000 typ host", False),
        ("1 1 udp 1 example.org 50000 typ host", False),
    ],
)
def test_candidates_that_no_check_can_be_sent_to_are_left_out(line: str, usable: bool) -> None:
    candidate = checked_candidate(f"candidate:{line}", "0", None)
    assert candidate is not None
    assert is_usable(candidate) is usable
    checked = checked_description(sdp(extra=(f"a=candidate:{line}",)), "offer", trickle=False)
    assert (line in checked.sdp) is usable


def test_the_number_of_candidates_is_bounded() -> None:
    for number in (MAX_CANDIDATES - 1, MAX_CANDIDATES):
        lines = tuple(
            f"a=candidate:1 1 udp 1 192.0.2.1 {port + 1} typ host" for port in range(number)
        )
        if number < MAX_CANDIDATES:
            checked_description(sdp(extra=lines), "offer", trickle=False)
        else:
            with pytest.raises(WireError, match="candidates"):
                checked_description(sdp(extra=lines), "offer", trickle=False)


def test_few_names_are_looked_up() -> None:
    names = tuple(f"a=candidate:1 1 udp 1 name{number}.local 5 typ host" for number in range(9))
    checked = checked_description(sdp(extra=names), "offer", trickle=False)
    assert checked.sdp.count(".local") == MAX_NAMED_CANDIDATES


def test_the_end_of_candidates() -> None:
    assert checked_candidate(None, None, None) is None
    assert checked_candidate("", "0", 0) is None


@pytest.mark.parametrize(
    ("text", "mid", "index"),
    [
        ("candidate:1 1 udp 1 192.0.2.1", "0", 0),
        ("candidate:1 1 udp 1 192.0.2.1 port typ host", "0", 0),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ host", None, None),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ host", None, -1),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ höst", "0", 0),
        ("candidate:" + "1" * 600, "0", 0),
    ],
)
def test_malformed_candidates(text: str, mid: str | None, index: int | None) -> None:
    with pytest.raises(WireError):
        checked_candidate(text, mid, index)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(OFFER) - 1),
            st.one_of(st.none(), st.sampled_from(OFFER), st.text(max_size=60)),
        ),
        max_size=4,
    )
)
def test_whatever_comes_only_wire_errors_are_raised(changes: list[tuple[int, str | None]]) -> None:
    lines: list[str | None] = list(OFFER)
    for where, replacement in changes:
        lines[where] = replacement
    text = "\r\n".join(line for line in lines if line is not None)
    for kind in ("offer", "answer"):
        try:
            checked_description(text, kind, trickle=False)
        except WireError:
            continue


@given(st.text(max_size=80), st.none() | st.text(max_size=5), st.none() | st.integers())
def test_whatever_candidate_comes_only_wire_errors_are_raised(
    text: str, mid: str | None, index: int | None
) -> None:
    try:
        checked_candidate(text, mid, index)
    except WireError:
        return
