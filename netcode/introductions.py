"""Introductions: from two members of a signaling room to a WebRTC transport between them.

The newcomer calls, the other one answers. Used by the server (which answers), the client (which
calls) and the mesh (which does both).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from os import PathLike

import signaling
from netcode.errors import NetcodeError, Refused, Unreachable, UsageError, WireError
from netcode.transports.webrtc import DatagramFilters, IceServer, WebRtcTransport
from signaling import messages as m
from signaling.tls import client_context

log = logging.getLogger("netcode")

OPEN_TIMEOUT = 10.0
"""Seconds from the first description to an open transport: five round trips, and the slowest
candidates of a bad network."""

FAREWELL = 1.0
"""Seconds that a closing transport has to deliver what was sent before, the goodbye included."""

MAX_ANSWERING = 64
"""Callers that are being answered at the same time; more are not, and try again."""


OnTransport = Callable[[WebRtcTransport], None]
"""What is called with a transport that has opened, and owns it from then on."""


class Introductions:
    """One member's introductions. Lives on an event loop.

    ``send`` hands a message to signaling. ``on_call(peer_id)`` is asked when a peer calls, while
    that is certainly a member of the room, and returns what to do with the transport once it is
    open; without it nobody is answered. ``ice_servers()`` is asked for each transport, since
    credentials grow old. ``filters()`` makes the bad weather of each transport, if any.
    ``on_answering`` is given each answering transport once it has opened its addresses, before the
    caller hears of these.
    """

    def __init__(
        self,
        send: Callable[[m.PeerMessage], Awaitable[None]],
        *,
        ice_servers: Callable[[], Sequence[m.IceServer]] = tuple,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
        on_call: Callable[[str], OnTransport] | None = None,
        on_answering: Callable[[WebRtcTransport], None] = lambda transport: None,
    ) -> None:
        self._send = send
        self._ice_servers = ice_servers
        self._filters = filters
        self._on_call = on_call
        self._on_answering = on_answering
        self._calling: dict[str, WebRtcTransport] = {}
        self._answering: dict[str, WebRtcTransport] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, peer: str) -> WebRtcTransport:
        """Call a peer, and return the open transport.

        Raises `Unreachable`, saying what was tried. Cancelling gives the call up.
        """
        transport = self._transport()
        self._calling[peer] = transport
        try:
            await self._send(m.Offer(to=peer, sdp=await transport.offer()))
            await transport.wait_open(OPEN_TIMEOUT)
        except BaseException:
            transport.close()
            self._keep(transport.wait_closed())
            raise
        finally:
            self._calling.pop(peer, None)
        return transport

    def take(self, message: signaling.Incoming) -> None:
        """Take in what a peer says through signaling. Nonsense is dropped."""
        match message:
            case m.OfferFrom(sender=peer, sdp=sdp):
                if self._on_call is None or peer in self._answering:
                    log.debug("an offer from %s is not wanted", peer)
                elif len(self._answering) >= MAX_ANSWERING:
                    log.warning("too many callers at once: %s is not answered", peer)
                else:
                    self._keep(self._answer(peer, sdp, self._on_call(peer)))
            case m.AnswerFrom(sender=peer, sdp=sdp) if peer in self._calling:
                self._keep(self._calling[peer].accept(sdp))
            case m.CandidateFrom(sender=peer):
                transport = self._calling.get(peer) or self._answering.get(peer)
                if transport is not None:
                    self._keep(
                        transport.add_candidate(
                            message.candidate, message.sdp_mid, message.sdp_mline_index
                        )
                    )
            case _:
                pass

    async def close(self) -> None:
        """Give up every introduction under way, and wait for what belongs to them."""
        transports = [*self._calling.values(), *self._answering.values()]
        for transport in transports:
            transport.close()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        for transport in transports:
            await transport.wait_closed()

    def _transport(self) -> WebRtcTransport:
        servers = [
            IceServer(urls=server.urls, username=server.username, credential=server.credential)
            for server in self._ice_servers()
        ]
        return WebRtcTransport(ice_servers=servers, filters=self._filters())

    async def _answer(self, peer: str, sdp: str, on_transport: OnTransport) -> None:
        transport = self._transport()
        self._answering[peer] = transport
        opened = False
        try:
            answer = await transport.answer(sdp)
            self._on_answering(transport)
            await self._send(m.Answer(to=peer, sdp=answer))
            await transport.wait_open(OPEN_TIMEOUT)
            opened = True
        except Unreachable as error:
            log.info("a caller could not be reached: %s", error)
        finally:
            del self._answering[peer]
            if not opened:
                transport.close()
                await transport.wait_closed()
        if opened:
            on_transport(transport)

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Awaitable[None]) -> None:
        try:
            await work
        except WireError as error:
            log.debug("a peer's description makes no sense: %s", error)
        except NetcodeError as error:
            log.debug("an introduction failed: %s", error)


Enter = Callable[..., Awaitable[signaling.SignalingClient]]
"""``await enter(name=…, timeout=…)`` enters a room; made by `door`. Raises `Unreachable` or
`Refused` with what to do about it, or `UsageError`."""


def door(url: str, *, room: str, token: str | None, ca_file: str | PathLike[str] | None) -> Enter:
    """The way into a room of a signaling server.

    Raises `UsageError` for a room or a token that could not be one, and for a file of certificates
    that cannot be used.
    """
    with as_ours():
        m.encode(m.Join(room, "", token=token))
        tls = None if ca_file is None else client_context(ca_file)
    if tls is not None and not url.startswith("wss://"):
        raise UsageError(f"ca_file is for wss:// only, not for {url}: leave it out, or use wss://")

    async def enter(*, name: str, timeout: float) -> signaling.SignalingClient:
        try:
            return await signaling.SignalingClient.connect(
                url, room=room, name=name, token=token, timeout=timeout, ssl=tls
            )
        except signaling.Refused as error:
            raise Refused(f"{url} does not take this player: {error}", error.code) from None
        except signaling.UsageError as error:
            raise UsageError(str(error)) from None
        except signaling.SignalingError as error:
            raise Unreachable(str(error)) from None

    return enter


@contextmanager
def as_ours() -> Iterator[None]:
    """Turn misuse that signaling notices into netcode's own `UsageError`."""
    try:
        yield
    except signaling.UsageError as error:
        raise UsageError(str(error)) from None


async def part(transport: WebRtcTransport) -> None:
    """Let what was sent last arrive, then close the transport and all that belongs to it."""
    try:
        await transport.drain(FAREWELL)
    finally:
        transport.close()
        await transport.wait_closed()
