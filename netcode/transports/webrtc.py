"""The seven lanes as data channels of one WebRTC connection, by aiortc.

Whoever introduces the two ends to each other carries three kinds of text between them: an
offer, an answer, and (from browsers) candidates that are found later. One end awaits `offer`
and then `accept`, the other `answer`; both then await `wait_open`. From there on this is a
`netcode.transports.base.Transport` like any other.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from aiortc import RTCIceCandidate, RTCSessionDescription

from netcode.errors import Unreachable, UsageError, WireError
from netcode.transports import aiortc_private
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane, TransportStats
from netcode.transports.gathering import Gathering
from netcode.transports.listener import Listener
from netcode.transports.media import MAX_SOURCES_OF_CALLERS, MediaPath
from netcode.transports.webrtc_config import IceServer, choose, create_connection
from netcode.transports.webrtc_progress import progress
from netcode.transports.webrtc_sdp import (
    MAX_CANDIDATES,
    MAX_NAMED_CANDIDATES,
    checked_candidate,
    checked_description,
    is_named,
    is_usable,
)

__all__ = ["DatagramFilters", "IceServer", "WebRtcTransport"]

INITIAL_RETRANSMISSION_TIMEOUT = 0.5
"""Seconds until the first message is sent again, while the RTT is unknown: beyond the RTT of
players who can still play (240 ms on the worst link we test), where RFC 9260 says 1 s."""

MIN_RETRANSMISSION_TIMEOUT = 0.2
"""Seconds. aiortc acknowledges every packet at once, so nothing but jitter must fit in here."""

MIN_RETRANSMISSION_TIMEOUT_BROWSER = 0.4
"""Seconds. A browser may hold its acknowledgement back for 200 ms (RFC 9260 section 6.2)."""

MAX_QUEUED = 16_777_216
"""Bytes that may wait on one lane: a thousand of the largest messages. A sender that gets here
does not look at `WebRtcTransport.backlog`."""

DRAIN_INTERVAL = 0.01
"""Seconds between looks at the backlog while draining; aiortc has no event for "all is
acknowledged"."""

CLOSED_HERE = "closed"
CLOSED_THERE = "the other end closed the connection"

logger = logging.getLogger(__name__)
T = TypeVar("T")


class DatagramFilters(Protocol):
    """Stands between the encrypted datagrams of a transport and its socket, to do them harm.

    Each method calls ``forward`` now or later, any number of times; after the transport has
    closed this does nothing.
    """

    def outgoing(self, data: bytes, forward: Callable[[bytes], None]) -> None:
        """A datagram leaves this end."""

    def incoming(self, data: bytes, forward: Callable[[bytes], None]) -> None:
        """A datagram has arrived at this end."""


class WebRtcTransport:
    """One end of a WebRTC connection; create it on the running event loop it will live on.

    ``ice_servers`` help to find a path through NATs; without any, only this machine's own
    addresses are offered (its loopback addresses, if it has no others). With ``relay_only``, the
    TURN server among them is all that is used: no address of this machine is opened, asked for or
    told to the other end. ``tls`` says whom to trust on the way to a TURN server (the system's
    list, unless told). ``filters`` make bad weather below the encryption. ``peer_is_browser`` sets
    retransmission for an end that delays its acknowledgements.

    Every transport that was created must be closed, also if it never opened. Raises
    `UsageError` for a malformed server URL and outside of an event loop.
    """

    kind = "webrtc"

    def __init__(
        self,
        *,
        ice_servers: Sequence[IceServer] = (),
        relay_only: bool = False,
        tls: ssl.SSLContext | None = None,
        filters: DatagramFilters | None = None,
        peer_is_browser: bool = False,
    ) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError("create a WebRtcTransport inside a coroutine") from None
        self.stats = TransportStats()
        self._listener = Listener(self.stats)
        self._pc, self._channels = create_connection(ice_servers, relay_only=relay_only)
        self._relay_only = relay_only
        self._gathering: Gathering | None = None
        self._listen_to_aiortc()
        self._media: MediaPath | None = None
        self._internals = aiortc_private.internals(self._pc)
        if self._internals is not None:
            self._gathering = self._internals.gather(
                choose(ice_servers), tls, relay_only=relay_only
            )
            self._prepare(self._internals, filters, peer_is_browser)
        elif filters is not None:
            raise UsageError(
                "datagram filters need a known release of aiortc; installed is "
                + ", ".join(aiortc_private.unknown_releases())
            )

        self._phase = "new"
        self._described = False
        self._local_addresses: list[tuple[str, int]] = []
        self._rung = ""
        self._steps: set[asyncio.Task[Any]] = set()
        self._candidates = 0
        self._named_candidates = 0
        self._early_candidates: list[RTCIceCandidate | None] = []

        self._lanes_open = 0
        self._settled = asyncio.Event()
        self._finished = asyncio.Event()
        self._ended: str | None = None
        self._progress_at_end = ""
        self._closing: asyncio.Task[None] | None = None

    # Introduction

    async def offer(self) -> str:
        """The SDP that invites the other end. Takes up to 3 s if ICE servers do not answer.

        Raises `Unreachable` if there is no address to name, as with ``relay_only`` and a TURN
        server that gives none; the text says why. Cancelling it leaves a transport that can only
        be closed.
        """
        self._enter("new", "offered", "offer() is the first call, and comes once")
        return await self._step(self._make_offer())

    async def answer(self, sdp: str, *, trickle: bool = False) -> str:
        """The SDP that answers the other end's offer; takes as long as `offer`.

        With ``trickle``, candidates of the other end follow by `add_candidate`, the last being
        None; without, those in the SDP are all. Raises `WireError` if the offer makes no
        sense, and then another one may be tried, and `Unreachable` as `offer` does. Cancelling it
        leaves a transport that can only be closed.
        """
        description = checked_description(sdp, "offer", trickle=trickle)
        self._enter("new", "described", "answer() is for the end that did not offer")
        return await self._step(self._make_answer(description, trickle))

    async def accept(self, sdp: str, *, trickle: bool = False) -> None:
        """Take the answer to this end's offer; ``trickle``, errors and cancelling as `answer`."""
        description = checked_description(sdp, "answer", trickle=trickle)
        self._enter("offered", "described", "accept() comes once, after offer()")
        await self._step(self._describe(description, trickle))

    async def add_candidate(
        self, candidate: str | None, sdp_mid: str | None, sdp_mline_index: int | None
    ) -> None:
        """Take one trickled candidate of the other end; None or ``""`` ends them.

        Candidates that come before the description wait for it. A name (``….local``) may take
        a second to resolve. Raises `WireError` if it makes no sense or is one too many.
        """
        parsed = checked_candidate(candidate, sdp_mid, sdp_mline_index)
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            raise WireError(f"more than {MAX_CANDIDATES} candidates")
        if parsed is not None:
            if not is_usable(parsed):
                return
            self._named_candidates += is_named(parsed)
            if is_named(parsed) and self._named_candidates > MAX_NAMED_CANDIDATES:
                return
        if self._ended is not None:
            return
        if self._described:
            await self._step(self._pc.addIceCandidate(parsed))
        else:
            self._early_candidates.append(parsed)

    async def wait_open(self, timeout: float) -> None:
        """Return when all seven lanes are open on this side.

        Raises `Unreachable`, saying what was tried and how far it came, after ``timeout``
        seconds or as soon as it has failed for good. Neither that nor cancelling closes.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            raise Unreachable(f"no connection within {timeout:g} s: {self._progress()}") from None
        if self._ended is not None:
            raise Unreachable(f"{self._ended}: {self._progress_at_end}")

    # The transport

    def start(
        self, on_receive: Callable[[Lane, bytes], None], on_closed: Callable[[str], None]
    ) -> None:
        """See `Transport.start`. ``on_closed`` is called from the event loop, never from inside
        a method of this transport."""
        ended_before = self._ended
        self._listener.start(on_receive, on_closed)
        if ended_before is not None:
            self._loop.call_soon(self._listener.tell_closed, ended_before)

    @property
    def callback_errors(self) -> int:
        """How often a callback (or a datagram filter) of this transport's user has raised."""
        return self._listener.errors

    def send(self, lane: Lane, data: bytes) -> None:
        """See `Transport.send`. Raises `UsageError` before `wait_open` and for a message that
        is too long or not ``bytes``. Closes when more than `MAX_QUEUED` bytes wait."""
        if self._ended is not None:
            return
        size = len(data)
        if size > MAX_TRANSPORT_MESSAGE or type(data) is not bytes:
            raise UsageError(f"send at most {MAX_TRANSPORT_MESSAGE} bytes, as a bytes object")
        if self._lanes_open < len(Lane):
            raise UsageError("the transport is not open yet: await wait_open() first")
        channel = self._channels[lane]
        if channel.readyState != "open":
            return  # The other end is closing this lane; the end of the link follows.
        if channel.bufferedAmount > MAX_QUEUED:
            self._end("send queue overflow")
            return
        channel.send(data)
        self.stats.bytes_sent += size
        self.stats.messages_sent += 1

    def send_media(self, packet: bytes) -> None:
        """See `Transport.send_media`. On an unknown release of aiortc it goes by a lane."""
        if self._ended is not None or self._lanes_open < len(Lane):
            return
        if self._media is None:
            self.send(Lane.UNRELIABLE, packet)
            return
        self._media.send(packet)
        self.stats.bytes_sent += len(packet)
        self.stats.messages_sent += 1

    def backlog(self) -> int:
        """See `Transport.backlog`. On an unknown aiortc release, what is in SCTP is missing."""
        if self._ended is not None:
            return 0
        waiting = sum(channel.bufferedAmount for channel in self._channels)
        return waiting + self._internals.backlog() if self._internals else waiting

    async def drain(self, timeout: float) -> bool:
        """Wait until all that was sent is acknowledged, at most ``timeout`` seconds.

        True if it is; False if time was up or the connection has ended. Unreliable messages
        are waited for until they have arrived or are given up.
        """
        deadline = self._loop.time() + timeout
        while self._ended is None and self.backlog():
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(DRAIN_INTERVAL)
        return self._ended is None

    def close(self) -> None:
        """See `Transport.close`; to lose nothing that is in flight, await `drain` before."""
        self._end(CLOSED_HERE)

    async def wait_closed(self) -> None:
        """See `Transport.wait_closed`. A cancelled wait does not stop the closing.

        A TURN server has one second to confirm that the relayed address is given back.
        """
        await self._finished.wait()
        assert self._closing is not None
        await asyncio.shield(self._closing)

    def rtt(self) -> float | None:
        """Smoothed round-trip time in seconds; None before anything was acknowledged."""
        return self._internals.rtt() if self._internals else None

    async def probe(self) -> bool:
        """Send a datagram to the other end, which answers it by itself, on the path in use.

        True when the answer is here; False if either was lost, or takes longer than 0.45 s, and on
        an unknown release of aiortc. Cancelling it gives the answer up.
        """
        return self._internals is not None and await self._internals.probe()

    def path(self) -> str:
        """The way packets take, for people: the candidate types of both ends, the protocol and
        the other end's address, as ``"host-relay udp 203.0.113.7"``; ``""`` while unknown."""
        return self._internals.path() if self._internals else ""

    @property
    def rung(self) -> str:
        """How packets go: ``"direct"``; ``"turn_udp"``, by a relay, and over UDP from here to it;
        ``"turn_tcp"``, over TCP or TLS from here to it.

        A relay that only the other end uses counts as ``"turn_udp"``: this end talks UDP, and the
        rest of the way is not seen from here. Afterwards, it is what it was last. On an unknown
        release of aiortc, what is not ``relay_only`` is taken to be direct. Raises `UsageError`
        before `wait_open`.
        """
        if self._lanes_open < len(Lane):
            raise UsageError("the transport is not open yet: await wait_open() first")
        if self._ended is None:
            self._rung = self._rung_now()
        return self._rung

    def local_addresses(self) -> list[tuple[str, int]]:
        """The addresses and UDP ports of this machine that were opened for it, once described.

        Empty before that, and with ``relay_only``. It is the same after closing.
        """
        return self._local_addresses.copy()

    # Setting up

    def _prepare(
        self,
        internals: aiortc_private.Internals,
        filters: DatagramFilters | None,
        peer_is_browser: bool,
    ) -> None:
        internals.own_connecting(self._connecting_failed)
        internals.find_paths_patiently()
        internals.set_retransmission_timeout(
            initial=INITIAL_RETRANSMISSION_TIMEOUT,
            minimum=MIN_RETRANSMISSION_TIMEOUT_BROWSER
            if peer_is_browser
            else MIN_RETRANSMISSION_TIMEOUT,
        )
        internals.harden(
            frozenset(Lane), self._count_dropped, partial(self._end, "the other end sent garbage")
        )
        self._media = internals.open_media(
            partial(self._on_message, Lane.UNRELIABLE), self._count_dropped
        )
        if filters is not None:
            internals.filter_datagrams(filters, self._listener.failed)

    def _enter(self, expected: str, phase: str, advice: str) -> None:
        if self._ended is not None:
            raise Unreachable(f"the transport has ended: {self._ended}")
        if self._phase != expected:
            raise UsageError(advice)
        self._phase = phase

    async def _step(self, work: Coroutine[Any, Any, T]) -> T:
        """Run part of the introduction to its end, also if the caller is cancelled.

        aiortc cannot be interrupted while it gathers candidates: requests in flight would
        outlive their sockets. Closing waits for it instead.
        """
        task = self._loop.create_task(work)
        self._steps.add(task)
        task.add_done_callback(self._step_done)
        return await asyncio.shield(task)

    def _step_done(self, task: asyncio.Task[Any]) -> None:
        self._steps.discard(task)
        if not task.cancelled():
            task.exception()  # Read, so that asyncio does not report it if the caller has gone.

    async def _make_offer(self) -> str:
        return await self._gather()

    async def _make_answer(self, description: RTCSessionDescription, trickle: bool) -> str:
        # The end of candidates must come after gathering: aioice gathers nothing for a
        # component of which the other end has no candidate.
        if self._media is not None:
            self._media.max_sources = MAX_SOURCES_OF_CALLERS
        await self._describe(description, trickle=True)
        sdp = await self._gather()
        if not trickle:
            await self._pc.addIceCandidate(None)
        return sdp

    async def _gather(self) -> str:
        await self._pc.setLocalDescription()
        sctp = self._pc.sctp
        assert sctp is not None  # there are channels from the beginning
        found = sctp.transport.transport.iceGatherer.getLocalCandidates()
        self._local_addresses = [(each.ip, each.port) for each in found if each.type == "host"]
        if not found and self._ended is None:
            raise Unreachable(f"there is no address to offer: {self._progress()}")
        return self._pc.localDescription.sdp

    async def _describe(self, description: RTCSessionDescription, trickle: bool) -> None:
        try:
            await self._pc.setRemoteDescription(description)
        except Exception as error:
            raise WireError(f"the {description.type} cannot be used: {error!r}") from error
        self._described = True
        early, self._early_candidates = self._early_candidates, []
        for candidate in early if trickle else [None]:
            await self._pc.addIceCandidate(candidate)

    # Events of aiortc

    def _listen_to_aiortc(self) -> None:
        # Without a listener for "error", whatever raises in a handler closes the connection.
        report = partial(self._listener.failed, "aiortc")
        self._pc.on("connectionstatechange", self._on_connection_state)
        self._pc.on("error", report)
        for lane, channel in zip(Lane, self._channels, strict=True):
            channel.on("open", self._on_lane_open)
            channel.on("message", partial(self._on_message, lane))
            channel.on("close", partial(self._end, CLOSED_THERE))
            channel.on("error", report)

    def _on_lane_open(self) -> None:
        self._lanes_open += 1
        if self._lanes_open == len(Lane):
            self._settled.set()

    def _on_message(self, lane: Lane, data: bytes | str) -> None:
        if self._ended is not None:
            return
        if not isinstance(data, bytes) or len(data) > MAX_TRANSPORT_MESSAGE:
            self._count_dropped()
            return
        if not self._listener.take(lane, data):
            self._end("the other end sent more than this end keeps before it has started")

    def _on_connection_state(self) -> None:
        state = self._pc.connectionState
        if state == "closed":
            self._end(CLOSED_THERE)
        elif state == "failed":
            if self._lanes_open == len(Lane):
                self._end("the other end does not answer any more")
            elif self._pc.iceConnectionState == "failed":
                self._end("no path to the other end was found")
            else:
                self._end("the other end failed the encryption handshake")

    def _connecting_failed(self, error: Exception) -> None:
        logger.error("connecting failed inside aiortc", exc_info=error)
        self._end(f"connecting failed: {error!r}")

    def _rung_now(self) -> str:
        rung = self._internals.rung() if self._internals else None
        return rung or ("turn_udp" if self._relay_only else "direct")

    def _count_dropped(self) -> None:
        self.stats.dropped += 1

    # Ending

    def _end(self, reason: str) -> None:
        if self._ended is not None:
            return
        self._progress_at_end = self._progress()
        if self._lanes_open == len(Lane):
            self._rung = self._rung_now()
        self._ended = reason
        if self._gathering is not None:
            self._gathering.give_up()
        self._settled.set()
        self._finished.set()
        if reason == CLOSED_HERE:
            self._listener.forget()
        if self._listener.started:
            self._loop.call_soon(self._listener.tell_closed, reason)
        self._closing = self._loop.create_task(self._shut_down())

    async def _shut_down(self) -> None:
        while self._steps:
            await asyncio.wait(self._steps)
        try:
            await self._pc.close()
        except Exception:
            logger.exception("aiortc failed to close a connection")
        if self._internals is not None:
            await self._internals.finish_closing()

    def _progress(self) -> str:
        return progress(self._pc, self._gathering.notes if self._gathering else ())
