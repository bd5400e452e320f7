"""The façade of the mesh: joins a room, meets everybody, and keeps all of them connected."""

import asyncio
import logging
import random
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

from netcode.core.join import MAX_GRACE
from netcode.doors import Enter, door, trust
from netcode.errors import Disconnected, Unreachable, UsageError
from netcode.introductions import OnTransport, part
from netcode.ladder import checked_rungs
from netcode.link.delivery import Delivery
from netcode.link.link import Link
from netcode.link.session import Channel
from netcode.membership import Membership
from netcode.mesh.channel import MeshChannel
from netcode.mesh.circle import Circle
from netcode.mesh.line import PeerLine
from netcode.mesh.peer import MeshPeer
from netcode.mesh.presence import Presence
from netcode.mesh.voice import MeshVoice
from netcode.rungs import Rung
from netcode.transports.base import Transport
from netcode.transports.conditioner import Conditioner
from netcode.transports.link_model import Conditions
from netcode.transports.link_model import conditions as conditions_of
from netcode.voice.chat import Voice, VoiceChat
from netcode.watch import Watch

log = logging.getLogger("netcode")
F = TypeVar("F", bound=Callable[..., Any])
Handlers = list[Callable[[MeshPeer], Any]]

JOIN_TIMEOUT = 15.0
"""Seconds for entering the room."""

GRACE = 10.0
"""Seconds for which a peer whose link has failed may come back, unless told."""

CALLS = 2
"""Attempts to reach a peer of the room before joining goes on without it."""

PAUSES = (1.0, 2.0, 5.0, 15.0)
"""Seconds between further attempts to reach a member of the room; the last one for all that
follow."""

SETTLE = 1.0
"""Seconds after coming back into the room that peers have to say who is who in it now. Whoever is
nobody's by then is called, and it turns out."""

SILENCE = 1.0
"""Seconds of a peer's silence after which the way to signaling may be dead, too."""

LOOK = 0.1
"""Seconds between looks at who has to be met."""

LINGER = 1.0
"""Seconds for which a link that has been replaced still takes in what was on its way."""


def join_mesh(
    url: str,
    *,
    room: str,
    name: str = "",
    token: str | None = None,
    ca_file: str | PathLike[str] | None = None,
    conditions: str | Conditions | None = None,
    rungs: Sequence[str] | None = None,
    grace: float = GRACE,
    voice: Voice | None = None,
    timeout: float = JOIN_TIMEOUT,
) -> "Mesh":
    """Join a room in which everyone is connected to everyone: ``async with join_mesh(…) as mesh``.

    Entering returns when all who were in the room are connected, or cannot be reached for now (that
    is logged, and tried again in the background). ``token`` is what the game's back end has signed
    for this player, where the room asks for it; its name counts then. ``ca_file`` is a PEM file of
    the certificates to trust for ``wss://``, instead of the system's. ``conditions`` is bad weather
    for trying out, a preset's name (``"4g"``) or `Conditions`. ``timeout`` is for entering.

    ``rungs`` are the ways to others that may be used, all of them unless told: ``"direct"``;
    ``"turn_udp"`` and ``"turn_tcp"``, by a relay; ``"websocket"``, through the signaling server.
    The better ones have half a second's head start each, and are tried again later: a link is
    replaced without anybody noticing. Without ``"direct"`` nobody learns this machine's address
    from WebRTC, neither those who are called nor those who call.

    A link that fails is replaced, too. If that takes longer the peer is `MeshPeer.reconnecting`,
    and after ``grace`` seconds (0 to 3,600; of two ends the shorter counts; 0 is never) it is gone.
    The signaling server may go away and come back: those who are connected stay so, and the room is
    entered again. With a ``token`` that works while it lives; later this end keeps its peers, but
    meets nobody new and cannot replace a link that fails.

    ``voice`` lets everybody in the room talk to everybody: see `Mesh.voice`.

    Raises `UsageError` at once for a wrong argument. Entering the context raises `Unreachable` or
    `Refused` if the room cannot be joined; cancelling leaves nothing behind.
    """
    if not (isinstance(grace, (int, float)) and 0 <= grace <= MAX_GRACE):
        raise UsageError(f"grace is 0 to {MAX_GRACE:.0f} seconds, not {grace!r}")
    return Mesh(
        enter=door(url, room=room, token=token, ca_file=ca_file),
        tls=trust(ca_file),
        name=name,
        conditions=conditions,
        rungs=checked_rungs(rungs),
        grace=float(grace),
        voice=voice,
        timeout=timeout,
    )


class Mesh:
    """A room without a server; made by `join_mesh`. Lives on the running event loop."""

    def __init__(
        self,
        *,
        enter: Enter,
        tls: ssl.SSLContext | None,
        name: str,
        conditions: str | Conditions | None,
        rungs: Sequence[Rung],
        grace: float,
        voice: Voice | None,
        timeout: float,
    ) -> None:
        if not isinstance(voice, Voice | None):
            raise UsageError(f"voice takes nc.Voice(), not {voice!r}")
        self._chat = None if voice is None else VoiceChat(voice)
        self._voice = None if self._chat is None else MeshVoice(self._chat)
        self._weather = None if conditions is None else conditions_of(conditions)
        self._conditioner: Conditioner | None = None
        self._rungs = rungs
        self._timeout = timeout
        self._presence = Presence(
            enter,
            name=name or "peer",
            rungs=rungs,
            filters=lambda: self._conditioner,
            on_call=self._called,
            on_entered=lambda membership: self._circle.enter(membership.member.id),
            tls=tls,
        )
        self._circle = Circle(
            time.monotonic,
            grace=grace,
            entropy=secrets.token_bytes,
            on_join=self._joined,
            on_leave=self._left,
            on_reconnecting=lambda peer: self._tell(self._on_reconnecting, peer),
            on_resumed=lambda peer: self._tell(self._on_resumed, peer),
            on_message=self._message,
            on_retired=self._retired,
            present=self._presence.others,
        )
        self.peers: dict[str, MeshPeer] = self._circle.peers
        """Who is connected or reconnecting, by id."""
        self.has_left = False
        self._has_begun = False
        self._channels: dict[tuple[str, str], MeshChannel] = {}
        self._on_join: Handlers = []
        self._on_leave: Handlers = []
        self._on_reconnecting: Handlers = []
        self._on_resumed: Handlers = []
        self._meeting: dict[str, asyncio.Task[None]] = {}
        """By the id in the room, whom this end is trying to reach."""
        self._tries: dict[str, tuple[int, float]] = {}
        """How often that has been tried, and when to try again."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._partings: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._leaving: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """This peer's id, by which all others know it; "" before joining."""
        return self._circle.id

    @property
    def voice(self) -> VoiceChat:
        """The voice chat of the room. Players are numbers in it: peers have theirs in
        `MeshPeer.number`, and this end is 0. Set ``voice.full`` and ``voice.silent``, and
        ``voice.locate``, for voices that fade and pan. Raises `UsageError` if `join_mesh` was not
        given ``voice``."""
        if self._chat is None:
            raise UsageError("there is no voice here: nc.join_mesh(..., voice=nc.Voice())")
        return self._chat

    def channel(self, name: str, delivery: Delivery) -> MeshChannel:
        """Open a channel; messages sent by peers before wait for it. Twice gives the same one."""
        if not isinstance(delivery, Delivery):
            raise UsageError(f"a delivery is nc.RELIABLE, nc.UNRELIABLE …, not {delivery!r}")
        channel = self._channels.get((name, delivery.name))
        if channel is None:
            channel = self._channels[name, delivery.name] = MeshChannel(self, name, delivery)
            for peer in list(self.peers.values()):
                channel._open_at(peer)
        return channel

    def on_join(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when somebody has been connected."""
        self._on_join.append(handler)
        return handler

    def on_leave(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when somebody has gone; ``left_because`` says why."""
        self._on_leave.append(handler)
        return handler

    def on_reconnecting(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when a peer's link has failed, and another one has not
        been found yet. `on_resumed` or `on_leave` follows."""
        self._on_reconnecting.append(handler)
        return handler

    def on_resumed(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when a peer that was reconnecting is back."""
        self._on_resumed.append(handler)
        return handler

    async def wait_for_peers(self, count: int) -> None:
        """Return when at least this many others are connected. Safe to cancel."""
        while len(self.peers) < count:
            self._raise_if_left()
            self._changed.clear()
            await self._changed.wait()

    async def leave(self) -> None:
        """Say goodbye, leave the room, and return when everything is gone. Idempotent. Cancelled,
        it goes on in the background."""
        if self._leaving is None:
            self._leaving = asyncio.create_task(self._leave(), name="netcode leaving a mesh")
        await asyncio.shield(self._leaving)

    async def __aenter__(self) -> Self:
        if self._has_begun:
            raise UsageError("this mesh has been joined already: join_mesh() makes a new one")
        self._has_begun = True
        try:
            await self._join()
        except BaseException:
            await self.leave()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.leave()

    async def _leave(self) -> None:
        self.has_left = True
        self._changed.set()
        for channel in self._channels.values():
            channel._arrived.set()
        if self._chat is not None:
            self._chat.close()
        self._circle.close("left")
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._presence.stop()
        while self._partings:  # which may still hear something through signaling
            await asyncio.wait(self._partings)
        await self._presence.close()
        if self._conditioner is not None:
            self._conditioner.close()

    # -- meeting -----------------------------------------------------------------------------

    async def _join(self) -> None:
        if self._weather is not None:
            self._conditioner = Conditioner(self._weather, seed=random.getrandbits(32))
        await self._presence.enter(self._timeout)
        self._keep(self._pump())
        if self._voice is not None:
            self._voice.start()
        for _ in range(CALLS):
            self._meet_all()
            while self._meeting:
                await asyncio.wait(self._meeting.values(), timeout=LOOK)
                self._miss_who_left()
        self._keep(self._meet_forever())

    async def _meet_forever(self) -> None:
        """Call whom nobody has reached yet, and see that the way to signaling is alive when a peer
        has fallen silent."""
        while True:
            self._miss_who_left()
            now = time.monotonic()
            if self._circle.is_settled() or now - self._presence.entered_at > SETTLE:
                self._meet_all()
            if any(peer._connection.silence() > SILENCE for peer in self.peers.values()):
                self._presence.probe()
            await asyncio.sleep(LOOK)

    def _meet_all(self) -> None:
        membership = self._presence.membership
        if membership is None or not self._presence.in_room:
            return
        elders, now = self._presence.elders, time.monotonic()
        self._tries = {there: tried for there, tried in self._tries.items() if there in elders}
        for there in elders - self._meeting.keys():
            attempts, due = self._tries.get(there, (0, 0.0))
            if now < due or not self._circle.should_meet(there):
                continue
            pause = 0.0 if attempts + 1 < CALLS else PAUSES[min(attempts, len(PAUSES) - 1)]
            self._tries[there] = (attempts + 1, now + pause)
            self._meeting[there] = self._keep(self._meet(membership, there))
            self._meeting[there].add_done_callback(partial(self._met, there))

    def _miss_who_left(self) -> None:
        """Do not wait for those who are not in the room any more. If they come again, they call."""
        for there in self._meeting.keys() - self._presence.elders:
            self._meeting[there].cancel()

    def _met(self, there: str, _: asyncio.Task[None]) -> None:
        del self._meeting[there]

    async def _meet(self, membership: Membership, there: str) -> None:
        """Call a member of the room, and find out who it is."""
        name = membership.member.peers.get(there, "")
        try:
            transport = await self._presence.call(membership, there, self._rungs)
        except Unreachable as error:
            log.warning("%s is in the room, but cannot be reached: %s", name or there, error)
            return
        ended = asyncio.Event()
        self._circle.greet(transport, membership.member.id, there, name, ended.set)
        await ended.wait()

    def _called(self, membership: Membership, there: str) -> OnTransport:
        name = membership.member.peers.get(there, "")
        return partial(self._answered, membership.member.id, there, name)

    def _answered(self, here: str, there: str, name: str, transport: Transport) -> None:
        if self.has_left or self._circle.is_crowded:
            self._part(transport)
        else:
            self._circle.answer(transport, here, there, name)

    # -- what the circle tells ---------------------------------------------------------------

    def _joined(self, peer: MeshPeer) -> None:
        for channel in list(self._channels.values()):
            channel._open_at(peer)
        if peer._called and peer.left_because is None:
            self._keep(Watch(PeerLine(peer, self._presence), self._rungs).keep())
        self._changed.set()
        self._tell(self._on_join, peer)
        if self._voice is not None and peer.left_because is None:
            self._voice.add(peer)

    def _left(self, peer: MeshPeer) -> None:
        if self._voice is not None:
            self._voice.remove(peer)
        self._changed.set()
        self._tell(self._on_leave, peer)

    def _message(self, peer: MeshPeer, channel: Channel, payload: bytes) -> None:
        if self._voice is not None and self._voice.carries(channel):
            self._voice.take(peer, payload)
            return
        found = self._channels.get((channel.name, channel.delivery.name))
        if found is not None:
            found._deliver(peer, payload)

    def _retired(self, link: Link) -> None:
        """A link has ended, or another one has taken its place."""
        self._part(link.transport, LINGER if link.is_open else 0.0)

    # ----------------------------------------------------------------------------------------

    def _tell(self, handlers: Handlers, peer: MeshPeer) -> None:
        for handler in handlers:
            try:
                handler(peer)
            except Exception:
                log.exception("the handler %s raised", getattr(handler, "__name__", handler))

    def _part(self, transport: Transport, linger: float = 0.0) -> None:
        parting = asyncio.create_task(part(transport, linger), name="netcode parting")
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

    async def _pump(self) -> None:
        while True:
            self._circle.pump()
            due = self._circle.next_timer() - time.monotonic()
            await asyncio.sleep(max(0.001, min(0.1, due)))

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _raise_if_left(self) -> None:
        if self.has_left:
            raise Disconnected("this mesh has been left")
