"""What a WebRTC transport asks of aiortc, before anything is sent."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import google_crc32c
import pytest

from netcode.errors import Unreachable, UsageError
from netcode.transports import webrtc_config
from netcode.transports.base import EXPIRING_LIFETIMES, Lane
from netcode.transports.webrtc import IceServer, WebRtcTransport

Make = Callable[..., WebRtcTransport]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    """Makes transports that open no socket, because they are never introduced."""
    transports: list[WebRtcTransport] = []

    def make_one(**options: Any) -> WebRtcTransport:
        transports.append(WebRtcTransport(**options))
        return transports[-1]

    yield make_one
    for transport in transports:
        transport.close()
        await transport.wait_closed()


def internals_of(transport: WebRtcTransport) -> tuple[Any, Any]:
    """The peer connection and its SCTP."""
    pc: Any = transport._pc
    return pc, pc.sctp


async def test_every_lane_is_a_negotiated_channel_of_its_number(make: Make) -> None:
    _, sctp = internals_of(make())
    assert sorted(sctp._data_channels) == list(Lane)
    for lane in Lane:
        channel = sctp._data_channels[lane]
        assert channel.negotiated
        assert channel.ordered is (lane is Lane.RELIABLE)
        assert channel.maxRetransmits == (0 if lane is Lane.UNRELIABLE else None)
        assert channel.maxPacketLifeTime == EXPIRING_LIFETIMES.get(lane)
        assert channel.listeners("error")


async def test_no_server_of_anybody_is_asked_unless_given(make: Make) -> None:
    transport = make()
    assert transport._gathering is not None
    assert (transport._gathering._stun, transport._gathering._turn) == (None, None)
    server = IceServer(["turn:192.0.2.1:3479?transport=tcp"], "ada", "secret")
    transport = make(ice_servers=[server, IceServer("stun:192.0.2.2")])
    assert transport._gathering is not None
    assert transport._gathering._stun == ("stun", "192.0.2.2", 3478, "udp")
    turn = ("turn", "192.0.2.1", 3479, "tcp"), "ada", "secret", None
    assert transport._gathering._turn == turn
    # aioice is left nothing to ask for itself.
    _, sctp = internals_of(transport)
    connection = sctp.transport.transport._connection
    assert (connection.stun_server, connection.turn_server) == (None, None)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("stun:example.org", ("stun", "example.org", 3478, "udp")),
        ("turn:example.org:3479", ("turn", "example.org", 3479, "udp")),
        ("turn:203.0.113.7?transport=tcp", ("turn", "203.0.113.7", 3478, "tcp")),
        ("turns:example.org", ("turns", "example.org", 5349, "tcp")),
        ("turn:[2001:DB8::1]:80?transport=tcp", ("turn", "2001:db8::1", 80, "tcp")),
        ("turn:[::1]", ("turn", "::1", 3478, "udp")),
    ],
)
def test_urls_of_servers(url: str, read: tuple[str, str, int, str]) -> None:
    assert webrtc_config.read_url(url) == read


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://example.org",
        "turn:",
        "turn:a:b",
        "turn:::1",
        "turn:[::1",
        "turn:[203.0.113.7]:3478",
        "turn:a:0",
        "turn:a:65536",
        "stun:a?transport=udp",
        "turn:{host}:x",
        "turn:a:\u0663",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="URL cannot be read"):
        webrtc_config.read_url(url)


def test_the_first_usable_server_of_each_kind_is_chosen() -> None:
    chosen = webrtc_config.choose(
        [
            IceServer(["stun:[2001:db8::1]", "stuns:a", "turn:a?transport=sctp"], "eve", "no"),
            IceServer(["turns:b?transport=udp", "turn:[2001:db8::2]", "stun:c"], "ada", "yes"),
            IceServer(["stun:d", "turn:d"], "bob", "too late"),
        ]
    )
    assert chosen.stun == ("stun", "c", 3478, "udp")
    assert chosen.turn == ("turn", "2001:db8::2", 3478, "udp")
    assert (chosen.username, chosen.password) == ("ada", "yes")


@pytest.mark.parametrize(("peer_is_browser", "minimum"), [(False, 0.2), (True, 0.4)])
async def test_browsers_get_time_for_their_acknowledgement(
    make: Make, peer_is_browser: bool, minimum: float
) -> None:
    _, sctp = internals_of(make(peer_is_browser=peer_is_browser))
    assert sctp._rto == 0.5
    sctp._update_rto(0.01)
    assert sctp._rto == minimum


def test_an_event_loop_is_needed() -> None:
    with pytest.raises(UsageError, match="coroutine"):
        WebRtcTransport()


async def test_a_transport_that_never_opened_says_so(make: Make) -> None:
    transport = make()
    assert transport.rtt() is None
    assert transport.path() == ""
    assert transport.backlog() == 0
    transport.close()
    with pytest.raises(Unreachable, match=r"^closed: tried no address here with no address there"):
        await transport.wait_open(1)
    with pytest.raises(Unreachable, match="has ended"):
        await transport.offer()
    transport.send(Lane.RELIABLE, b"nobody")


async def test_accepting_needs_an_offer(make: Make) -> None:
    answerer = make()
    answer = (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=ice-ufrag:abcd\r\n"
        "a=ice-pwd:0123456789abcdefghijkl\r\na=fingerprint:sha-256 AB\r\na=setup:active\r\n"
        "a=mid:0\r\na=sctp-port:5000\r\na=candidate:1 1 udp 1 192.0.2.1 5 typ host\r\n"
    )
    with pytest.raises(UsageError, match="after offer"):
        await answerer.accept(answer)


async def test_slow_checksums_are_warned_about_once(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(google_crc32c, "implementation", "python")
    monkeypatch.setattr(webrtc_config, "_checksums_checked", False)
    make()
    make()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "google-crc32c" in caplog.text
