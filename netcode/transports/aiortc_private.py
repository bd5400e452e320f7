"""All that reaches past the public names of aiortc and aioice; the way in for what does.

Some of what a game needs has no public name there: the retransmission timeout, what is in
flight, the round-trip time, the datagrams below DTLS, and bounds on what the other end may
make this one allocate. `internals` gives access to these for one peer connection, if the
installed releases are ones this module was written against; otherwise it says so once and
returns None, and the transport carries on with what aiortc does by itself.

What concerns ICE alone is in `gathering`, `path_finding` and `turn_client`. Nothing global is
patched: every hook is an attribute of one connection's own objects.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Container, Coroutine
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

from aioice import stun
from aiortc import RTCPeerConnection
from aiortc.rtcsctptransport import (
    DataChunk,
    ForwardTsnChunk,
    InitChunk,
    RTCSctpTransport,
    SackChunk,
)
from OpenSSL import SSL

from netcode.transports.gathering import Gathering
from netcode.transports.path_finding import RelaysLast, be_patient
from netcode.transports.turn_client import TurnServer
from netcode.transports.webrtc_config import Chosen

if TYPE_CHECKING:
    from netcode.transports.webrtc import DatagramFilters

KNOWN_RELEASES = {"aiortc": "1.16.", "aioice": "0.13."}
"""The releases whose private names and their meaning were read and tested."""

COMPONENT = 1
"""ICE component of everything: RTP's, the only one where RTCP is multiplexed (RFC 8843)."""

MAX_RETRANSMISSION_TIMEOUT = 3.0
"""Where the back-off stops, in seconds: after as long, a silent peer is given up anyway."""

MAX_WAITING_DATAGRAMS = 4_096
"""Received datagrams that wait for DTLS: half a second of more than Python can process."""

MAX_TSN_AHEAD = 16_384
"""How far a DATA chunk may be ahead of the first missing one: more than any congestion window
here, and few enough that sorting them for each SACK stays cheap."""

MAX_FRAGMENTS = 16_384
"""Fragments that one stream keeps for messages not yet complete. The window in bytes bounds
memory only if fragments are large, and the other end chooses their size."""

PROBE_PATIENCE = 0.45
"""Seconds for one question and its answer: less than the half second after which it goes out again,
so that what is lost counts."""

FIRST_BYTE_AFTER_STUN = 20
"""Datagrams that begin with a smaller byte are STUN (RFC 7983 section 7), or ZRTP's 16 to 19
which nobody sends."""

TSN_MODULO = 1 << 32

logger = logging.getLogger(__name__)


def unknown_releases() -> list[str]:
    """The installed packages that this module does not know, as ``"aiortc 1.17.0"``."""
    installed = {name: version(name) for name in KNOWN_RELEASES}
    return [
        f"{name} {found}"
        for name, found in installed.items()
        if not found.startswith(KNOWN_RELEASES[name])
    ]


_warned: set[str] = set()


def internals(pc: RTCPeerConnection) -> "Internals | None":
    """Access to what ``pc`` hides, or None (with a warning, once) on unknown releases.

    The connection must have a data channel by now and must not have been described yet.
    """
    if unknown := ", ".join(unknown_releases()):
        if unknown not in _warned:
            _warned.add(unknown)
            logger.warning(
                "%s is not a release that netcode was tested with: lost messages take longer to"
                " be sent again, and a round-trip time is not measured",
                unknown,
            )
        return None
    return Internals(pc)


class Internals:
    """What one peer connection with data channels does not show."""

    def __init__(self, pc: RTCPeerConnection) -> None:
        # Any, because hooks replace methods of these objects.
        self._pc: Any = pc
        self._sctp = cast(Any, pc.sctp)
        self._ice: Any = self._sctp.transport.transport
        self._connection: Any = self._ice._connection
        self._connecting: set[asyncio.Task[None]] = set()
        self._turn_way = "udp"

    # What is measured

    def backlog(self) -> int:
        """Bytes in SCTP that the peer has not acknowledged, sent or not.

        ``_flight_size`` leaves out chunks that a timeout has marked to be sent again, which is
        all of them on a dead link, so the queue itself is counted.
        """
        sctp = self._sctp
        size = 0
        for chunk in sctp._sent_queue:
            if not (chunk._acked or chunk._abandoned):
                size += chunk._book_size
        for chunk in sctp._outbound_queue:
            size += chunk._book_size
        return size

    def rtt(self) -> float | None:
        """SCTP's smoothed round-trip time in seconds; None before the first measurement."""
        srtt: float | None = self._sctp._srtt
        # aiortc reads the wall clock, which may have been set back.
        return None if srtt is None else max(0.0, srtt)

    def path(self) -> str:
        """The pair of addresses in use, as ``"host-srflx udp 203.0.113.7"``, or ``""``."""
        pair = self._connection._nominated.get(COMPONENT)
        if pair is None:
            return ""
        local, remote = pair.local_candidate, pair.remote_candidate
        return f"{local.type}-{remote.type} {local.transport} {remote.host}"

    def rung(self) -> str | None:
        """Which way the pair in use goes, as `WebRtcTransport.rung`; None while there is none."""
        pair = self._connection._nominated.get(COMPONENT)
        if pair is None:
            return None
        if pair.local_candidate.type == "relay":
            return "turn_tcp" if self._turn_way == "tcp" else "turn_udp"
        # What is found by its packets before it is told of is told of later, and aioice then
        # gives it the type that it was told of with.
        return "turn_udp" if pair.remote_candidate.type == "relay" else "direct"

    async def probe(self) -> bool:
        """Ask the other end, once and on the pair in use, whether it is there; say whether the
        answer came within `PROBE_PATIENCE`."""
        connection = self._connection
        pair = connection._nominated.get(COMPONENT)
        if pair is None or connection.remote_password is None:
            return False
        # As aioice asks for consent. It would ask again after half a second, which is not awaited.
        asking = type(pair.protocol).request(
            pair.protocol,
            connection.build_request(pair, nominate=False),
            pair.remote_addr,
            connection.remote_password.encode(),
            retransmissions=1,
        )
        try:
            async with asyncio.timeout(PROBE_PATIENCE):
                await asking
        except (TimeoutError, stun.TransactionError, OSError):
            return False
        return True

    # Retransmission

    def set_retransmission_timeout(self, *, initial: float, minimum: float) -> None:
        """Retransmit after ``initial`` seconds before the RTT is known, never before ``minimum``.

        Each timeout in a row doubles the wait up to `MAX_RETRANSMISSION_TIMEOUT` (RFC 9260
        section 6.3.3), which aiortc leaves out: with its own minimum of 1 s it can afford to.
        """
        sctp = self._sctp
        measure = sctp._update_rto
        handshake_timer, data_timer = sctp._t1_expired, sctp._t3_expired
        sctp._rto = initial

        def update_rto(rtt: float) -> None:
            measure(rtt)
            wanted = sctp._srtt + 4 * sctp._rttvar
            sctp._rto = min(max(minimum, wanted), MAX_RETRANSMISSION_TIMEOUT)

        def back_off(timer: Callable[[], None]) -> None:
            sctp._rto = min(2 * sctp._rto, MAX_RETRANSMISSION_TIMEOUT)
            timer()

        sctp._update_rto = update_rto
        sctp._t1_expired = lambda: back_off(handshake_timer)
        sctp._t3_expired = lambda: back_off(data_timer)

    # Addresses and datagrams

    def gather(self, chosen: Chosen, tls: ssl.SSLContext | None, *, relay_only: bool) -> Gathering:
        """Ask the servers ourselves; ``tls`` says whom to trust. See `Gathering`."""
        turn = None
        if chosen.turn is not None:
            turn = TurnServer(chosen.turn, chosen.username, chosen.password, tls)
            self._turn_way = chosen.turn.transport
        return Gathering(self._connection, stun=chosen.stun, turn=turn, relay_only=relay_only)

    def find_paths_patiently(self) -> None:
        """Prefer direct paths, and keep those that are long. See `path_finding`."""
        connection = self._connection
        gather = connection.get_component_candidates
        RelaysLast(connection)

        async def get_component_candidates(*args: Any, **kwargs: Any) -> Any:
            candidates = await gather(*args, **kwargs)
            for protocol in connection._protocols:
                be_patient(protocol)
            return candidates

        connection.get_component_candidates = get_component_candidates

    def filter_datagrams(
        self, filters: "DatagramFilters", on_error: Callable[[str, Exception], None]
    ) -> None:
        """Lead every datagram but ICE's own checks through ``filters``, in both directions.

        Call after `harden`, so that what a filter delays stays bounded on arrival.
        """
        connection = self._connection
        deliver = connection.data_received

        def forward_outgoing(data: bytes) -> None:
            # Looked up now: this may be long after the packet was sent, or after the end.
            pair = connection._nominated.get(COMPONENT)
            if pair is not None:
                pair.protocol.transport.sendto(data, pair.remote_addr)

        def forward_incoming(data: bytes) -> None:
            deliver(data, COMPONENT)

        async def send(data: bytes) -> None:
            if COMPONENT not in connection._nominated:
                raise ConnectionError("Cannot send data, not connected")
            try:
                filters.outgoing(data, forward_outgoing)
            except Exception as error:
                on_error("filters.outgoing", error)

        def data_received(data: bytes, component: int) -> None:
            try:
                filters.incoming(data, forward_incoming)
            except Exception as error:
                on_error("filters.incoming", error)

        self._ice._send = send
        connection.data_received = data_received

    # What the other end may do to this one

    def harden(
        self, streams: Container[int], on_drop: Callable[[], None], on_flood: Callable[[], None]
    ) -> None:
        """Drop what no honest peer sends, before it raises in aiortc or fills its tables.

        Only DATA for ``streams`` gets through, so nothing can be opened in-band: every channel
        is negotiated beforehand. ``on_drop`` is called for each thing dropped, ``on_flood``
        when fragments pile up without end.
        """
        self._bound_datagrams(on_drop)
        self._guard_chunks(streams, on_drop, on_flood)

    def _bound_datagrams(self, on_drop: Callable[[], None]) -> None:
        connection = self._connection
        enqueue = connection.data_received
        gather = connection.get_component_candidates

        def data_received(data: bytes, component: int) -> None:
            # aiortc reads data[0], so that an empty datagram from anybody would end the link.
            if data and connection._queue.qsize() < MAX_WAITING_DATAGRAMS:
                enqueue(data, component)
            else:
                on_drop()

        async def get_component_candidates(*args: Any, **kwargs: Any) -> Any:
            candidates = await gather(*args, **kwargs)
            for protocol in connection._protocols:
                _guard_socket(connection, protocol, on_drop)
            return candidates

        connection.data_received = data_received
        connection.get_component_candidates = get_component_candidates

    def _guard_chunks(
        self, streams: Container[int], on_drop: Callable[[], None], on_flood: Callable[[], None]
    ) -> None:
        sctp = self._sctp
        receive_packet, receive_chunk = sctp._handle_data, sctp._receive_chunk
        send_chunk = sctp._send_chunk
        established = RTCSctpTransport.State.ESTABLISHED

        async def handle_data(data: bytes) -> None:
            try:
                await receive_packet(data)
            except ConnectionError:
                raise
            except Exception:
                logger.debug("SCTP packet dropped", exc_info=True)
                on_drop()

        async def guarded_receive_chunk(chunk: Any) -> None:
            if isinstance(chunk, DataChunk):
                if not self._acceptable(chunk, streams):
                    on_drop()
                    return
                stream = sctp._inbound_streams.get(chunk.stream_id)
                if stream is not None and len(stream.reassembly) >= MAX_FRAGMENTS:
                    on_flood()
                    return
            elif isinstance(chunk, SackChunk):
                # Each gap is expanded TSN by TSN, and a packet has room for hundreds of gaps.
                if sum(last - first + 1 for first, last in chunk.gaps) > MAX_TSN_AHEAD:
                    on_drop()
                    return
            elif isinstance(chunk, ForwardTsnChunk):
                chunk.streams = [entry for entry in chunk.streams if entry[0] in streams]
            elif isinstance(chunk, InitChunk) and sctp._association_state is established:
                # A retransmitted INIT that comes late. aiortc would start counting TSNs anew and
                # wait for data that was acknowledged long ago (RFC 9260 section 5.2.2).
                on_drop()
                return
            await receive_chunk(chunk)

        async def guarded_send_chunk(chunk: Any) -> None:
            # Timers send from tasks that nobody awaits, also in the moment when DTLS has ended.
            try:
                await send_chunk(chunk)
            except (ConnectionError, SSL.Error):
                logger.debug("SCTP chunk not sent: the link has ended")

        sctp._handle_data = handle_data
        sctp._receive_chunk = guarded_receive_chunk
        sctp._send_chunk = guarded_send_chunk

    def _acceptable(self, chunk: DataChunk, streams: Container[int]) -> bool:
        expected: int | None = self._sctp._last_received_tsn
        if expected is None or chunk.stream_id not in streams:
            return False
        ahead: int = (chunk.tsn - expected) % TSN_MODULO
        return ahead <= MAX_TSN_AHEAD or ahead >= TSN_MODULO // 2

    # Tasks

    def own_connecting(self, on_error: Callable[[Exception], None]) -> None:
        """Keep hold of the tasks that connect, which aiortc starts and forgets."""
        connect: Callable[[], Coroutine[Any, Any, None]] = self._pc._RTCPeerConnection__connect

        async def guarded_connect() -> None:
            try:
                await connect()
            except Exception as error:
                on_error(error)

        def start_connecting() -> asyncio.Task[None]:
            task = asyncio.get_running_loop().create_task(guarded_connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
            return task

        self._pc._RTCPeerConnection__connect = start_connecting

    async def finish_closing(self) -> None:
        """End what is left of connecting, after the peer connection has been closed.

        If it was closed in the moment when ICE succeeded, aioice starts to check consent on the
        closed connection, for ever; closing once more ends that.
        """
        if self._connecting:
            await asyncio.wait(self._connecting)
        await self._connection.close()


def _guard_socket(connection: Any, protocol: Any, on_drop: Callable[[], None]) -> None:
    """Let only STUN be parsed as STUN, and let nothing that it raises reach the event loop."""
    parse = protocol.datagram_received

    def datagram_received(data: bytes, addr: tuple[Any, ...]) -> None:
        if data and data[0] >= FIRST_BYTE_AFTER_STUN:
            connection.data_received(data, COMPONENT)
            return
        try:
            parse(data, addr)
        except Exception:
            on_drop()

    protocol.datagram_received = datagram_received
