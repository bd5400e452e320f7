"""The schema: what is encoded decodes to the same, and what breaks a rule is named."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling import messages as m
from signaling.errors import MessageError, UsageError


def _short(most: int, least: int = 0) -> st.SearchStrategy[str]:
    """Texts of least to most bytes in UTF-8, of every length up to there."""
    letters = st.characters(codec="utf-8")
    return st.text(letters, max_size=most).filter(lambda t: least <= len(t.encode()) <= most)


def _line(most: int, least: int = 0) -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"])
    return st.text(letters, max_size=most // 4, min_size=least)


ids = _short(16, least=1)
names = _line(m.MAX_NAME_BYTES)
rooms = st.text(st.sampled_from("abcäöü 0-日本"), min_size=1, max_size=20)
roles: st.SearchStrategy[m.Role] = st.sampled_from(["host", "peer"])
sdps = _short(300)
calls = st.text(st.sampled_from("abcäöü-_0 "), max_size=20)
vias = st.sampled_from(["", "direct", "a way of 2031"])
candidates: dict[str, st.SearchStrategy[Any]] = {
    "candidate": st.none() | _short(100),
    "sdp_mid": st.none() | _short(10),
    "sdp_mline_index": st.none() | st.integers(0, 65_535),
    "call": calls,
}
peer_infos = st.builds(m.PeerInfo, ids, names)
ice_servers = st.builds(
    m.IceServer,
    st.lists(_short(30, least=1), max_size=3).map(tuple),
    st.none() | _short(20),
    st.none() | _short(20),
)

from_clients = st.one_of(
    st.builds(m.Join, rooms, names, roles, st.none() | _short(100)),
    st.builds(m.Offer, ids, sdps, calls, vias),
    st.builds(m.Answer, ids, sdps, calls),
    st.builds(m.Candidate, to=ids, **candidates),
    st.just(m.RenewIceServers()),
    st.just(m.Leave()),
)
from_servers = st.one_of(
    st.builds(
        m.Joined,
        ids,
        rooms,
        st.none() | ids,
        st.lists(peer_infos, max_size=4).map(tuple),
        st.lists(ice_servers, max_size=3).map(tuple),
    ),
    st.builds(m.PeerJoined, ids, names, roles),
    st.builds(m.PeerLeft, ids, _line(40)),
    st.builds(m.OfferFrom, ids, sdps, calls, vias),
    st.builds(m.AnswerFrom, ids, sdps, calls),
    st.builds(m.CandidateFrom, sender=ids, **candidates),
    st.builds(m.IceServersRenewed, st.lists(ice_servers, max_size=3).map(tuple)),
    st.builds(m.Draining, st.floats(0, m.MAX_DRAIN_SECONDS)),
    st.builds(m.Error, ids, _line(100), st.none() | ids),
)


@given(from_clients)
@settings(deadline=None)
def test_what_a_client_encodes_the_server_decodes(message: m.ClientMessage) -> None:
    assert m.decode_from_client(m.encode(message)) == message


@given(from_servers)
@settings(deadline=None)
def test_what_the_server_encodes_a_client_decodes(message: m.ServerMessage) -> None:
    assert m.decode_from_server(m.encode(message)) == message


def test_ends_that_do_not_know_of_calls_go_on_working() -> None:
    assert m.decode_from_client('{"type":"offer","to":"x","sdp":"v=0"}') == m.Offer("x", "v=0")
    assert "call" not in m.encode(m.Answer("x", "v=0"))
    assert "via" not in m.encode(m.Offer("x", "v=0"))
    assert json.loads(m.encode(m.Offer("x", "v=0", "c1", "direct"))) == {
        "type": "offer",
        "to": "x",
        "sdp": "v=0",
        "call": "c1",
        "via": "direct",
    }


@pytest.mark.parametrize(
    "more", [{"call": "c" * 65}, {"call": "a\nb"}, {"call": None}, {"via": "v" * 33}, {"via": 3}]
)
def test_a_call_and_its_way_have_bounds(more: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=r"call|via"):
        m.decode_from_client(json.dumps({"type": "offer", "to": "x", "sdp": "v=0", **more}))


def test_the_sender_is_called_from_on_the_wire() -> None:
    assert json.loads(m.encode(m.OfferFrom("ada", "v=0"))) == {
        "type": "offer",
        "from": "ada",
        "sdp": "v=0",
    }


def test_ice_servers_have_the_form_that_a_browser_takes() -> None:
    # A browser turns a null username into the text "null", so absent fields are left out.
    servers = (
        m.IceServer(("stun:a.example",)),
        m.IceServer(("turn:b.example",), username="u", credential="c"),
    )
    wire = json.loads(m.encode(m.Joined("i", "room", None, (), servers)))
    assert wire["ice_servers"] == [
        {"urls": ["stun:a.example"]},
        {"urls": ["turn:b.example"], "username": "u", "credential": "c"},
    ]


def test_credentials_do_not_show_in_logs() -> None:
    assert "secret" not in repr(m.IceServer(("turn:a",), "u", "secret"))


def test_fields_of_a_newer_version_are_ignored() -> None:
    text = '{"type": "join", "room": "r", "name": "n", "role": "peer", "colour": "later"}'
    assert m.decode_from_client(text) == m.Join("r", "n")


def test_a_join_without_a_token_is_the_one_of_older_versions() -> None:
    assert json.loads(m.encode(m.Join("r", "n"))) == JOIN
    assert m.decode_from_client(json.dumps(JOIN | {"token": None})) == m.Join("r", "n")
    assert m.decode_from_client(json.dumps(JOIN | {"token": "t"})) == m.Join("r", "n", token="t")


def test_missing_media_section_of_a_candidate_is_none() -> None:
    text = '{"type": "candidate", "to": "x", "candidate": null}'
    assert m.decode_from_client(text) == m.Candidate("x", None)


JOIN = {"type": "join", "room": "r", "name": "n", "role": "peer"}
OFFER = {"type": "offer", "to": "x", "sdp": "v=0"}
CANDIDATE = {"type": "candidate", "to": "x", "candidate": "c"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b'{"type": "leave"}', "not_text"),
        ("", "not_json"),
        ("{", "not_json"),
        ("[" * 60_000, "not_json"),
        ("9" * 60_000, "not_json"),
        ("[]", "not_an_object"),
        ("null", "not_an_object"),
        ("{}", "missing_field"),
        ('{"type": null}', "missing_field"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": ["join"]}', "unknown_type"),
        ('{"type": "joined"}', "unknown_type"),
        ('{"type": "offer", "to": "x"}', "missing_field"),
        (json.dumps(OFFER | {"sdp": "x" * 65_500}), "too_big"),
        ("é" * 40_000, "too_big"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_message_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(MessageError) as caught:
        m.decode_from_client(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "wire",
    [
        JOIN | {"room": ""},
        JOIN | {"room": "r" * 65},
        JOIN | {"room": "é" * 33},
        JOIN | {"room": "a\nb"},
        JOIN | {"room": 7},
        JOIN | {"name": None},
        JOIN | {"name": "n" * 65},
        JOIN | {"name": "a\x1b[2J"},
        JOIN | {"name": "\ud800"},
        JOIN | {"role": "king"},
        JOIN | {"role": ["host"]},
        JOIN | {"token": 7},
        JOIN | {"token": "t" * 1_025},
        OFFER | {"to": ""},
        OFFER | {"to": "x" * 65},
        OFFER | {"sdp": "s" * 61_441},
        OFFER | {"sdp": ["v=0"]},
        CANDIDATE | {"candidate": "c" * 4_097},
        CANDIDATE | {"candidate": 1},
        CANDIDATE | {"sdp_mid": 0},
        CANDIDATE | {"sdp_mline_index": -1},
        CANDIDATE | {"sdp_mline_index": 65_536},
        CANDIDATE | {"sdp_mline_index": 1.0},
        CANDIDATE | {"sdp_mline_index": True},
    ],
    ids=lambda wire: str(wire)[-40:],
)
def test_a_field_that_breaks_its_rule_is_refused(wire: dict[str, Any]) -> None:
    with pytest.raises(MessageError) as caught:
        m.decode_from_client(json.dumps(wire))
    assert caught.value.code == "bad_field"


@pytest.mark.parametrize(
    ("wire", "accepted"),
    [
        (JOIN | {"room": "r" * 64, "name": "é" * 32}, m.Join("r" * 64, "é" * 32)),
        (OFFER | {"sdp": "s" * 61_440}, m.Offer("x", "s" * 61_440)),
        (CANDIDATE | {"candidate": "c" * 4_096}, m.Candidate("x", "c" * 4_096)),
        (CANDIDATE | {"sdp_mline_index": 65_535}, m.Candidate("x", "c", None, 65_535)),
    ],
    ids=["join", "offer", "candidate", "mline"],
)
def test_the_bounds_themselves_are_allowed(wire: dict[str, Any], accepted: m.ClientMessage) -> None:
    assert m.decode_from_client(json.dumps(wire)) == accepted


def test_the_error_names_the_field_and_the_bound() -> None:
    with pytest.raises(MessageError, match=r'join: "name" must have 0 to 64 bytes, has 65'):
        m.decode_from_client(json.dumps(JOIN | {"name": "n" * 65}))


@pytest.mark.parametrize(
    "peers", [7, [7], [{"id": "x"}], [{"id": "x", "name": 1}], [None], {"id": "x"}]
)
def test_malformed_lists_are_refused(peers: object) -> None:
    wire = {"type": "joined", "id": "i", "room": "r", "host": None, "peers": peers}
    with pytest.raises(MessageError) as caught:
        m.decode_from_server(json.dumps(wire | {"ice_servers": []}))
    assert caught.value.code == "bad_field"


@pytest.mark.parametrize("seconds", [None, "1", True, -1, 86_401, float("nan"), float("inf")])
def test_a_time_that_cannot_be_meant_is_refused(seconds: object) -> None:
    with pytest.raises(MessageError) as caught:
        m.decode_from_server(json.dumps({"type": "draining", "seconds": seconds}))
    assert caught.value.code == "bad_field"


@pytest.mark.parametrize(
    "message",
    [
        m.Join("", "n"),
        m.Join("r", "n" * 65),
        m.Offer("x", "s" * 61_441),
        m.Offer("x", '"' * 40_000),  # within the field's bound, beyond the message's once quoted
        m.Candidate("x", "c", sdp_mline_index=-1),
        "join",
        m.Join("r", "n", token="t" * 1_025),
        m.Draining(-1.0),
        m.Draining(float("nan")),
        m.IceServersRenewed((m.IceServer(("",)),)),
        m.PeerInfo("x", "an entry, not a message"),
    ],
    ids=lambda message: str(message)[:30],
)
def test_what_the_other_end_would_refuse_is_not_encoded(message: Any) -> None:
    with pytest.raises(UsageError):
        m.encode(message)


@given(ids, sdps)
@settings(deadline=None)
def test_relaying_does_not_make_a_message_longer_than_its_receiver_accepts(
    peer: str, sdp: str
) -> None:
    sent = json.dumps({"type": "offer", "to": peer, "sdp": sdp}, ensure_ascii=False)
    relayed = m.encode(m.OfferFrom(peer, sdp))
    # "from" is two letters longer than "to".
    assert len(relayed.encode()) <= len(sent.encode()) + 2


def test_the_largest_joined_fits() -> None:
    # The worst case: every letter of every name has to be quoted.
    peers = tuple(
        m.PeerInfo(f"{number:016}", '"' * m.MAX_NAME_BYTES) for number in range(m.MAX_LISTED_PEERS)
    )
    assert m.decode_from_server(m.encode(m.Joined("i", "r", None, peers)))
