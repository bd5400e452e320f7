"""Introductions: from two members of a signaling room to a transport between them.

The newcomer calls, the other one answers, on the rung that the call names: by a WebRTC connection
whose descriptions pass the signaling server, or, on the last rung, through that server itself. Used
by the server (which answers), the client (which calls) and the mesh (which does both).

A call has a name that the caller makes up, so that several between the same two members can be
under way at once. On the last rung a parcel (`signaling.parcels`) begins with one byte for the
length of that name and the name, and goes on with a frame (`netcode.transports.websocket_frames`).
"""

import asyncio
import logging
import secrets
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import signaling
from netcode.errors import Disconnected, NetcodeError, Unreachable, UsageError, WireError
from netcode.rungs import Rung, servers_for
from netcode.transports import websocket_frames as frames
from netcode.transports.base import Transport
from netcode.transports.webrtc import DatagramFilters, IceServer, WebRtcTransport
from netcode.transports.websocket import WebSocketTransport
from signaling import messages as m

log = logging.getLogger("netcode")
T = TypeVar("T")

OPEN_TIMEOUT = 10.0
"""Seconds for a call: five round trips, and the slowest candidates of a bad network."""

FAREWELL = 1.0
"""Seconds that a closing transport has to deliver what was sent before, the goodbye included."""

MAX_ANSWERING = 128
"""Callers that are being answered at the same time; more are not, and try again."""

MAX_CALLS = 8
"""Calls between the same two members at the same time; links through the signaling server count as
long as they last."""

MAX_CALLS_ANSWERED = 5
"""Of them those that are answered: one for each rung, and the link that is in use meanwhile."""

SIGNALING_ENDED = "the signaling connection ended"

NAME_BYTES = 9
"""Random bytes of a call's name, which only has to differ from others between the same two."""


OnTransport = Callable[[Transport], None]
"""What is called with a transport that has opened, and owns it from then on."""

SendTo = Callable[[str, bytes], Awaitable[None]]
"""``await send_to(peer, data)`` sends a parcel, such as `signaling.SignalingClient.send_to`."""

_Key = tuple[str, str]
"""A peer, and the name of a call between it and this end."""


@dataclass(slots=True)
class _Call:
    """A call of this end's, while it waits."""

    transport: WebRtcTransport
    answered: bool = False
    failure: str = ""

    def fail(self, why: str) -> None:
        self.failure = self.failure or why
        self.transport.close()


class Introductions:
    """One member's introductions. Lives on an event loop.

    ``send`` hands a message to signaling, ``send_to`` a parcel; without that there is no rung
    ``WEBSOCKET``. ``on_call(peer_id)`` is asked when a peer calls, while that is certainly a member
    of the room, and returns what to do with the transport once it is open; without it nobody is
    answered. ``ice_servers()`` is asked for each call, since credentials grow old. ``filters()``
    makes the bad weather of each WebRTC transport, if any. ``rungs`` are those that this end uses,
    as caller and as the one who is called; without ``DIRECT`` no address of this machine is told to
    anybody. ``tls`` says whom to trust on the way to a TURN server. ``on_answering`` is given each
    answering WebRTC transport once it has opened its addresses, before the caller hears of these.
    """

    def __init__(
        self,
        send: Callable[[m.PeerMessage], Awaitable[None]],
        *,
        send_to: SendTo | None = None,
        ice_servers: Callable[[], Sequence[m.IceServer]] = tuple,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
        on_call: Callable[[str], OnTransport] | None = None,
        rungs: Collection[Rung] = tuple(Rung),
        tls: ssl.SSLContext | None = None,
        on_answering: Callable[[WebRtcTransport], None] = lambda transport: None,
    ) -> None:
        self._send = send
        self._send_to = send_to
        self._ice_servers = ice_servers
        self._filters = filters
        self._on_call = on_call
        self._tls = tls
        self._on_answering = on_answering
        self._rungs = frozenset(rungs) - (set() if send_to else {Rung.WEBSOCKET})
        self._hidden = Rung.DIRECT not in self._rungs
        self._calling: dict[_Key, _Call] = {}
        self._answering: dict[_Key, WebRtcTransport] = {}
        self._relayed: dict[_Key, WebSocketTransport] = {}
        """Everything through the signaling server, until it has closed."""
        self._opening: set[WebSocketTransport] = set()
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: set[asyncio.Task[None]] = set()
        self._has_closed = False

    # Calling

    async def call(
        self, peer: str, rung: Rung | None = Rung.DIRECT, *, timeout: float = OPEN_TIMEOUT
    ) -> Transport:
        """Call a peer on a rung, and return the open transport.

        On the rungs of relays no address of this machine is used or told. None as the rung is for
        whichever way WebRTC finds with all STUN and TURN servers at once. The caller owns the
        transport; one through the signaling server lives as long as `take` is told what comes.

        Raises `Unreachable`, saying what was tried and why it failed, after ``timeout`` seconds or
        earlier; `signaling.ConnectionLost` if the connection to signaling has ended; `UsageError`
        for a rung that this end does not use, and beyond `MAX_CALLS` to one peer at once.
        Cancelling gives the call up.
        """
        if rung is not None and rung not in self._rungs:
            raise UsageError(f"the rung {rung} is not among those of this end: {self._names()}")
        if self._under_way[peer] >= MAX_CALLS:
            raise UsageError(f"at most {MAX_CALLS} calls to one peer at once: await one of them")
        if self._has_closed:
            raise Unreachable("no more calls are made here")
        self._under_way[peer] += 1
        try:
            if rung is Rung.WEBSOCKET:
                return await self._call_through_signaling(peer, timeout)
            return await self._call_by_webrtc(peer, rung, timeout)
        finally:
            self._under_way[peer] -= 1
            self._under_way += Counter()  # forgets whom nobody calls

    async def _call_by_webrtc(self, peer: str, rung: Rung | None, timeout: float) -> Transport:
        servers = self._ice_servers()
        attempts = [tuple(servers)] if rung is None else servers_for(rung, servers)
        if not attempts:
            raise Unreachable(f"{rung}: no server for that is known")
        relay_only = self._hidden if rung is None else rung is not Rung.DIRECT
        deadline = asyncio.get_running_loop().time() + timeout
        failures = []
        for attempt in attempts:
            try:
                return await self._attempt(peer, rung, attempt, relay_only, deadline)
            except Unreachable as error:
                failures.append(str(error) if rung is None else f"{rung}{_by(attempt)}: {error}")
        raise Unreachable("; ".join(failures))

    async def _attempt(
        self,
        peer: str,
        rung: Rung | None,
        servers: Sequence[m.IceServer],
        relay_only: bool,
        deadline: float,
    ) -> Transport:
        transport = self._webrtc(servers, relay_only)
        name = secrets.token_urlsafe(NAME_BYTES)
        call = self._calling[peer, name] = _Call(transport)
        try:
            sdp = await transport.offer()
            if not call.failure:
                await self._send(m.Offer(peer, sdp, name, rung or ""))
            remaining = deadline - asyncio.get_running_loop().time()
            await transport.wait_open(max(0.0, round(remaining, 1)))
        except BaseException as error:
            transport.close()
            self._keep(transport.wait_closed())
            if call.failure and isinstance(error, Unreachable):
                raise Unreachable(call.failure) from None
            raise
        finally:
            del self._calling[peer, name]
        return transport

    async def _call_through_signaling(self, peer: str, timeout: float) -> Transport:
        transport = self._websocket((peer, secrets.token_urlsafe(NAME_BYTES)))
        self._opening.add(transport)
        try:
            transport.call()
            await transport.wait_open(timeout)
        except BaseException as error:
            transport.close()
            if isinstance(error, Unreachable):
                raise Unreachable(f"{Rung.WEBSOCKET}: {error}") from None
            raise
        finally:
            self._opening.discard(transport)
        return transport

    # What comes

    def take(self, message: signaling.Incoming) -> None:
        """Take in what comes from signaling. Nonsense of a peer is dropped."""
        match message:
            case signaling.Parcel(sender=peer, data=data):
                self._take_parcel(peer, data)
            case m.OfferFrom():
                self._called(message)
            case m.AnswerFrom(sender=peer, call=name):
                call = _find(self._calling, peer, name)
                if call is not None:
                    self._answered(call, message.sdp)
            case m.CandidateFrom(sender=peer, call=name):
                calling = _find(self._calling, peer, name)
                transport = calling.transport if calling else _find(self._answering, peer, name)
                if transport is not None:
                    self._keep(
                        transport.add_candidate(
                            message.candidate, message.sdp_mid, message.sdp_mline_index
                        )
                    )
            case m.PeerLeft(id=peer, reason=reason):
                self._lost(peer, f"the peer has left the signaling room ({reason})")
            case m.Error(code="relaying_ended" | "relaying_off" as code, peer=str(peer)):
                self._lost(peer, f"{message.message} ({code})", calls=False)
            case m.Error(code="unknown_peer", peer=str(peer)):
                self._lost(peer, "the peer is not in the signaling room any more")
            case _:
                pass

    def _answered(self, call: _Call, sdp: str) -> None:
        if not sdp:
            call.fail("the peer does not take calls on this rung, or too many at once")
        elif not call.answered:
            call.answered = True
            self._keep(self._accept(call, sdp))

    async def _accept(self, call: _Call, sdp: str) -> None:
        try:
            await call.transport.accept(sdp)
        except WireError as error:
            call.fail(f"the peer's answer makes no sense: {error}")

    def _lost(self, peer: str, why: str, *, calls: bool = True) -> None:
        """End what cannot go on without a peer's signaling: what has not been answered yet, and
        what goes through the signaling server."""
        for (whom, _), call in list(self._calling.items()):
            if calls and whom == peer and not call.answered:
                call.fail(why)
        for (whom, _), transport in list(self._relayed.items()):
            if whom == peer:
                transport.fail(why)

    # Answering

    def _called(self, offer: m.OfferFrom) -> None:
        peer, key = offer.sender, (offer.sender, offer.call)
        if self._on_call is None or self._has_closed or key in self._answering:
            log.debug("an offer from %s is not wanted", peer)
            return
        if len(self._answering) >= MAX_ANSWERING:
            log.warning("too many callers at once: %s is not answered", peer)
        elif self._calls_of(peer) < MAX_CALLS_ANSWERED:
            servers = self._servers_to_answer(offer.via)
            if servers is not None:
                self._keep(self._answer(key, offer.sdp, servers, self._on_call(peer)))
                return
        self._keep(self._decline(key))

    def _servers_to_answer(self, via: str) -> Sequence[m.IceServer] | None:
        """Return the servers to answer with; None if this end is not to be reached that way."""
        by_webrtc = self._rungs - {Rung.WEBSOCKET}
        if not by_webrtc or (via and via not in by_webrtc):
            return None
        own = tuple(self._ice_servers())
        if not via:  # a caller that knows no rungs, or takes whichever it finds
            return own
        rung = Rung(via)
        servers = tuple(server for attempt in servers_for(rung, own) for server in attempt)
        if rung is Rung.TURN_UDP and not self._hidden:
            # The caller's relay lets pass only addresses that it has been told, so this end has to
            # find out what its own looks like from there.
            servers += servers_for(Rung.DIRECT, own)[0]
        return servers

    async def _answer(
        self, key: _Key, sdp: str, servers: Sequence[m.IceServer], on_transport: OnTransport
    ) -> None:
        peer, name = key
        transport = self._answering[key] = self._webrtc(servers, self._hidden)
        opened = False
        try:
            try:
                answer = await transport.answer(sdp)
            except NetcodeError:
                await self._decline(key)
                raise
            self._on_answering(transport)
            await self._send(m.Answer(peer, answer, name))
            await transport.wait_open(OPEN_TIMEOUT)
            opened = True
        except Unreachable as error:
            log.info("a caller could not be reached: %s", error)
        finally:
            del self._answering[key]
            if not opened:
                transport.close()
                await transport.wait_closed()
        if opened:
            on_transport(transport)

    async def _decline(self, key: _Key) -> None:
        """Say no, to callers that understand it: those that name their calls."""
        peer, name = key
        if name:
            await self._send(m.Answer(peer, "", name))

    def _calls_of(self, peer: str) -> int:
        """How many calls from a peer are being answered, or go through the signaling server."""
        return sum(whom == peer for whom, _ in [*self._answering, *self._relayed])

    # Through the signaling server

    def _take_parcel(self, peer: str, data: bytes) -> None:
        try:
            name, frame = _split(data)
            transport = self._relayed.get((peer, name))
            if transport is None and not isinstance(frames.decode(frame), frames.Open):
                return  # it has closed here, and the word of it is on its way
        except WireError as error:
            log.debug("a parcel from %s makes no sense: %s", peer, error)
            return
        if transport is not None:
            transport.take(frame)
        elif self._on_call is not None and not self._has_closed:
            self._called_through_signaling((peer, name), frame, self._on_call)

    def _called_through_signaling(
        self, key: _Key, frame: bytes, on_call: Callable[[str], OnTransport]
    ) -> None:
        peer, _ = key
        refusal = None
        if Rung.WEBSOCKET not in self._rungs:
            refusal = "the peer does not take calls on this rung"
        elif self._calls_of(peer) >= MAX_CALLS_ANSWERED:
            refusal = "the peer takes no more calls from here at once"
        if refusal is not None:
            if self._send_to is not None:
                self._keep(self._send_frame(key, frames.Close(refusal).encode()))
            return
        on_transport = on_call(peer)
        transport = self._websocket(key)
        transport.take(frame)
        self._keep(self._hand_over(transport, on_transport))

    async def _hand_over(self, transport: WebSocketTransport, on_transport: OnTransport) -> None:
        try:
            await transport.wait_open(OPEN_TIMEOUT)
        except BaseException:
            transport.close()
            raise
        on_transport(transport)

    def _websocket(self, key: _Key) -> WebSocketTransport:
        transport = self._relayed[key] = WebSocketTransport(partial(self._send_frame, key))
        watch = asyncio.create_task(self._forget_when_closed(key, transport))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return transport

    async def _forget_when_closed(self, key: _Key, transport: WebSocketTransport) -> None:
        await transport.wait_closed()
        del self._relayed[key]

    async def _send_frame(self, key: _Key, frame: bytes) -> None:
        assert self._send_to is not None
        peer, name = key
        label = name.encode()
        try:
            await self._send_to(peer, bytes((len(label),)) + label + frame)
        except signaling.SignalingError:
            raise Disconnected(SIGNALING_ENDED) from None

    # Ending

    async def hang_up(self, reason: str = SIGNALING_ENDED) -> None:
        """The connection to signaling has ended: so does, for this reason, what goes through it.

        Calls that have not been answered are given up. Returns when all of it is gone.
        """
        for peer in {peer for peer, _ in [*self._calling, *self._relayed]}:
            self._lost(peer, reason)
        if self._watches:
            await asyncio.wait(self._watches)

    async def close(self) -> None:
        """Give up every introduction under way, answer nobody any more, and wait for what belongs
        to it. Transports that are open go on; for those through signaling, see `hang_up`."""
        self._has_closed = True
        transports: list[Transport] = [call.transport for call in self._calling.values()]
        transports += [*self._answering.values(), *self._opening]
        for transport in transports:
            transport.close()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        for transport in transports:
            await transport.wait_closed()

    def _webrtc(self, servers: Sequence[m.IceServer], relay_only: bool) -> WebRtcTransport:
        return WebRtcTransport(
            ice_servers=[
                IceServer(urls=server.urls, username=server.username, credential=server.credential)
                for server in servers
            ],
            relay_only=relay_only,
            tls=self._tls,
            filters=self._filters(),
        )

    def _names(self) -> str:
        return ", ".join(rung for rung in Rung if rung in self._rungs) or "none"

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except WireError as error:
            log.debug("a peer's description makes no sense: %s", error)
        except (NetcodeError, signaling.ConnectionLost) as error:
            log.debug("an introduction failed: %s", error)


def _find(table: dict[_Key, T], peer: str, name: str) -> T | None:
    """Return a peer's entry by its call's name. An end that knows no names gives none, and means
    the only one."""
    if (peer, name) in table or name:
        return table.get((peer, name))
    of_peer = [entry for (whom, _), entry in table.items() if whom == peer]
    return of_peer[0] if len(of_peer) == 1 else None


def _split(data: bytes) -> tuple[str, bytes]:
    """Return the name of the call and the frame that are in a parcel. Raises only `WireError`."""
    size = data[0] if data else 0
    if not 0 < size <= m.MAX_CALL_BYTES or len(data) < 1 + size:
        raise WireError("a parcel begins with the length of its call's name")
    try:
        return data[1 : 1 + size].decode("ascii"), data[1 + size :]
    except UnicodeDecodeError:
        raise WireError("the name of a call through signaling is ASCII") from None


def _by(servers: Sequence[m.IceServer]) -> str:
    urls = ", ".join(url for server in servers for url in server.urls)
    return f" by {urls}" if urls else ""


async def part(transport: Transport, linger: float = 0.0) -> None:
    """Let what was sent last arrive, then close the transport and all that belongs to it. Before
    that, wait ``linger`` seconds for what is on its way to here."""
    try:
        await asyncio.sleep(linger)
        await transport.drain(FAREWELL)
    finally:
        transport.close()
        await transport.wait_closed()
