"""Do aiortc and aioice still have, and mean, the private names that netcode uses?

If a test here fails after an upgrade, read what changed in that release before adding it to
`KNOWN_RELEASES`: until then the transport falls back to the public interface with a warning.
"""

import ast
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aioice.ice
import aioice.turn
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, rtcsctptransport

import netcode
from netcode.transports import aiortc_private
from netcode.transports.aiortc_private import Internals
from netcode.transports.webrtc_config import Chosen

INITIAL, MINIMUM = 0.5, 0.2
REACHING_PAST = {
    "aiortc_private.py",
    "gathering.py",
    "media.py",
    "path_finding.py",
    "turn_client.py",
}


@pytest.fixture
async def pc() -> AsyncIterator[RTCPeerConnection]:
    """A peer connection that opens no socket, because it is never described."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.createDataChannel("x", negotiated=True, id=0)
    yield connection
    await connection.close()


def test_the_installed_releases_are_known() -> None:
    assert aiortc_private.unknown_releases() == []


async def test_every_private_name_is_where_it_was(pc: RTCPeerConnection) -> None:
    sctp: Any = pc.sctp
    ice = sctp.transport.transport
    connection = ice._connection
    expected: dict[Any, list[str]] = {
        pc: ["_RTCPeerConnection__connect"],
        sctp: [
            "_association_state",
            "_handle_data",
            "_inbound_streams",
            "_last_received_tsn",
            "_outbound_queue",
            "_receive_chunk",
            "_rto",
            "_send_chunk",
            "_sent_queue",
            "_srtt",
            "_t1_expired",
            "_t3_expired",
            "_update_rto",
        ],
        ice: ["_connection", "_send"],
        connection: [
            "_check_list_done",
            "_check_list_maybe_fail",
            "_local_candidates",
            "_nominated",
            "_protocols",
            "_queue",
            "_remote_candidates",
            "check_incoming",
            "connect",
            "data_received",
            "sort_check_list",
            "stun_server",
            "turn_server",
        ],
        rtcsctptransport.InboundStream(): ["reassembly"],
        rtcsctptransport.SackChunk(): ["gaps"],
        rtcsctptransport.ForwardTsnChunk(): ["streams"],
        rtcsctptransport.DataChunk(): ["stream_id", "tsn"],
        aioice.ice.CandidatePair: ["local_candidate", "remote_addr"],
        aioice.ice.StunProtocol: ["datagram_received", "error_received"],
        aioice.turn.TurnTransport: ["_connect"],
        aioice.turn.TurnClientMixin: ["datagram_received"],
    }
    missing = [
        f"{type(thing).__name__}.{name}"
        for thing, names in expected.items()
        for name in names
        if not hasattr(thing, name)
    ]
    assert missing == []


def test_private_functions_take_what_is_given_to_them() -> None:
    sctp = rtcsctptransport.RTCSctpTransport
    connection = aioice.ice.Connection
    expected: dict[Callable[..., Any], list[str]] = {
        sctp._handle_data: ["self", "data"],
        sctp._receive_chunk: ["self", "chunk"],
        sctp._send_chunk: ["self", "chunk"],
        sctp._update_rto: ["self", "R"],
        sctp._t1_expired: ["self"],
        sctp._t3_expired: ["self"],
        connection.data_received: ["self", "data", "component"],
        connection.get_component_candidates: ["self", "component", "addresses", "timeout"],
        connection._pair_remote_candidate: ["self", "remote_candidate"],
        connection._remote_candidates_expected: ["self"],
        connection._end_remote_candidates: ["self"],
        connection.check_incoming: ["self", "message", "addr", "protocol"],
        aioice.ice.StunProtocol.datagram_received: ["self", "data", "addr"],
        aioice.ice.StunProtocol.request: [
            "self", "request", "addr", "integrity_key", "retransmissions",
        ],
        aioice.ice.server_reflexive_candidate: ["protocol", "stun_server"],
        aioice.turn.TurnTransport._connect: ["self", "protocol"],
        aioice.turn.TurnClientMixin.channel_bind: ["self", "channel_number", "addr"],
        aioice.turn.TurnClientMixin.delete: ["self"],
        aioice.turn.TurnClientMixin.__init__: [
            "self", "server", "username", "password", "lifetime", "channel_refresh_time",
        ],
    }  # fmt: skip
    for function, parameters in expected.items():
        assert list(inspect.signature(function).parameters) == parameters, function


async def test_chunks_in_the_queues_are_counted_until_acknowledged(
    pc: RTCPeerConnection,
) -> None:
    sctp: Any = pc.sctp
    sctp._remote_port = 5000
    # DTLS is not up, so all of it stays in the queues, with what aiortc itself notes on a chunk.
    with pytest.raises(ConnectionError):
        await sctp._send(0, 53, bytes(3_000))
    assert [len(queue) for queue in (sctp._sent_queue, sctp._outbound_queue)] == [1, 2]
    internals = Internals(pc)
    assert internals.backlog() == 3_000
    sctp._sent_queue[0]._acked = True
    assert internals.backlog() == 3_000 - 1_160
    sctp._outbound_queue.clear()
    assert internals.backlog() == 0


async def test_the_retransmission_timeout_follows_the_round_trip(pc: RTCPeerConnection) -> None:
    internals = Internals(pc)
    sctp: Any = pc.sctp
    internals.set_retransmission_timeout(initial=INITIAL, minimum=MINIMUM)
    assert sctp._rto == INITIAL
    assert internals.rtt() is None
    sctp._update_rto(0.1)
    assert internals.rtt() == 0.1
    assert sctp._rto == pytest.approx(0.1 + 4 * 0.05)  # RFC 9260: the first RTTVAR is R/2.
    for _ in range(50):
        sctp._update_rto(0.02)
    assert sctp._rto == MINIMUM
    for _ in range(50):
        sctp._update_rto(20.0)
    assert sctp._rto == aiortc_private.MAX_RETRANSMISSION_TIMEOUT


async def test_timeouts_in_a_row_back_off(pc: RTCPeerConnection) -> None:
    sctp: Any = pc.sctp
    Internals(pc).set_retransmission_timeout(initial=INITIAL, minimum=MINIMUM)
    waits = []
    for _ in range(6):
        sctp._t3_start()
        # The timer was started with the method found now: the hook, not the class's own.
        begin, due = sctp._loop.time(), sctp._t3_handle.when()
        waits.append(round(due - begin, 1))
        sctp._t3_cancel()
        sctp._t3_expired()
    assert waits == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]
    sctp._update_rto(0.01)
    assert sctp._rto == MINIMUM


async def test_other_connections_keep_their_timeouts(pc: RTCPeerConnection) -> None:
    Internals(pc).set_retransmission_timeout(initial=INITIAL, minimum=MINIMUM)
    other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    other.createDataChannel("x", negotiated=True, id=0)
    sctp: Any = other.sctp
    sctp._update_rto(0.01)
    assert sctp._rto == rtcsctptransport.SCTP_RTO_MIN
    await other.close()


@pytest.mark.parametrize(
    ("addresses", "gathered"),
    [([], ["127.0.0.1", "::1"]), (["192.0.2.1"], ["192.0.2.1"])],
)
async def test_loopback_is_offered_only_without_other_addresses(
    pc: RTCPeerConnection, addresses: list[str], gathered: list[str]
) -> None:
    sctp: Any = pc.sctp
    connection = sctp.transport.transport._connection
    asked: list[list[str]] = []

    async def gather(component: int, addresses: list[str]) -> list[Any]:
        asked.append(addresses)
        return []

    for relay_only in (True, False):
        connection.get_component_candidates = gather
        Internals(pc).gather(Chosen(None, None, None, None), None, relay_only=relay_only)
        await connection.get_component_candidates(component=1, addresses=addresses)
    assert asked == [gathered]


async def test_waiting_datagrams_are_bounded(pc: RTCPeerConnection) -> None:
    sctp: Any = pc.sctp
    connection = sctp.transport.transport._connection
    dropped: list[None] = []
    Internals(pc).harden({0}, lambda: dropped.append(None), lambda: None)
    connection.data_received(b"", 1)
    for _ in range(aiortc_private.MAX_WAITING_DATAGRAMS + 5):
        connection.data_received(b"\x17", 1)
    assert connection._queue.qsize() == aiortc_private.MAX_WAITING_DATAGRAMS
    assert len(dropped) == 6


async def test_fragments_are_bounded_in_number_and_distance(
    pc: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiortc_private, "MAX_FRAGMENTS", 10)
    sctp: Any = pc.sctp
    events: list[str] = []
    Internals(pc).harden({0}, lambda: events.append("drop"), lambda: events.append("flood"))

    async def fragment(tsn: int, stream_id: int = 0) -> None:
        chunk = rtcsctptransport.DataChunk()
        chunk.tsn, chunk.stream_id, chunk.stream_seq = tsn % 2**32, stream_id, 0
        chunk.protocol, chunk.user_data = 53, b"x"
        chunk.flags = rtcsctptransport.SCTP_DATA_FIRST_FRAG if tsn == 2**32 - 3 else 0
        await sctp._receive_chunk(chunk)

    start = 2**32 - 3  # TSNs wrap around on the way.
    await fragment(start)  # Before the handshake: nothing is expected yet.
    assert events == ["drop"]
    sctp._last_received_tsn = start - 1
    for number in range(10):
        await fragment(start + number)
    assert events == ["drop"]
    await fragment(start + 9)  # A duplicate counts as one more, and does not pile up either.
    await fragment(start + 10)
    assert events == ["drop", "flood", "flood"]
    await fragment(start + 10, stream_id=1)
    await fragment(start + 20_000)
    assert events[3:] == ["drop", "drop"]
    assert len(sctp._inbound_streams[0].reassembly) == 10


async def test_errors_while_connecting_are_reported(pc: RTCPeerConnection) -> None:
    connection: Any = pc

    async def broken() -> None:
        raise AttributeError("no such thing")

    connection._RTCPeerConnection__connect = broken
    internals = Internals(pc)
    errors: list[Exception] = []
    internals.own_connecting(errors.append)
    connection._RTCPeerConnection__connect()
    await internals.finish_closing()
    assert [str(error) for error in errors] == ["no such thing"]


async def test_an_unknown_release_is_warned_about_once(
    pc: RTCPeerConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(aiortc_private, "KNOWN_RELEASES", {"aiortc": "0.1.", "aioice": "0.1."})
    monkeypatch.setattr(aiortc_private, "_warned", set())
    assert len(aiortc_private.unknown_releases()) == 2
    for _ in range(2):
        assert aiortc_private.internals(pc) is None
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_the_path_names_both_candidate_types(pc: RTCPeerConnection) -> None:
    sctp: Any = pc.sctp
    connection = sctp.transport.transport._connection
    internals = Internals(pc)
    assert internals.path() == ""
    connection._nominated[1] = SimpleNamespace(
        local_candidate=SimpleNamespace(type="relay", transport="udp"),
        remote_candidate=SimpleNamespace(type="srflx", host="203.0.113.7"),
    )
    assert internals.path() == "relay-srflx udp 203.0.113.7"


def test_no_other_module_touches_private_names_of_aiortc() -> None:
    """Five are known, of which `aiortc_private` is the way in.

    Attributes that begin with an underscore belong to ``self`` everywhere else.
    """
    found, looked_at = [], []
    for path in sorted(Path(netcode.__path__[0]).rglob("*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.split(".")[0]
            for node in ast.walk(module)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        if path.name in REACHING_PAST or not imported & {"aiortc", "aioice"}:
            continue
        looked_at.append(path.name)
        for node in ast.walk(module):
            if not isinstance(node, ast.Attribute) or not node.attr.startswith("_"):
                continue
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            if not own and not node.attr.startswith("__"):
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert found == []
    assert "webrtc.py" in looked_at
