"""The mesh: everyone in a room connected to everyone, with channels and no server in between."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from os import PathLike
from types import TracebackType
from typing import Any, Self, TypeVar

import signaling
from netcode.doors import Enter, door
from netcode.errors import Disconnected, SendQueueFull, Unreachable, UsageError
from netcode.introductions import Introductions, part
from netcode.link.delivery import Delivery
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.transports.base import Transport
from netcode.transports.conditioner import Conditioner
from netcode.transports.link_model import Conditions
from netcode.transports.link_model import conditions as conditions_of

log = logging.getLogger("netcode")
F = TypeVar("F", bound=Callable[..., Any])

JOIN_TIMEOUT = 15.0
CALLS = 2
"""Attempts to reach a peer of the room before it is left out."""

INBOX_BYTES = 16 << 20
INBOX_MESSAGES = 16_384
"""What a channel holds for a program that does not read. Beyond it, unreliable messages are
dropped and a peer that sends reliable ones is let go."""

ROOM_CHECK = 0.01
"""Seconds between looks at a full queue while `broadcast` waits for room in it."""


def join_mesh(
    url: str,
    *,
    room: str,
    name: str = "",
    token: str | None = None,
    ca_file: str | PathLike[str] | None = None,
    conditions: str | Conditions | None = None,
    timeout: float = JOIN_TIMEOUT,
) -> "Mesh":
    """Join a room in which everyone is connected to everyone: ``async with join_mesh(…) as mesh``.

    Entering returns when all who were in the room are connected, or cannot be reached (they are
    left out, and logged). ``token`` is what the game's back end has signed for this player, where
    the room asks for it; its name counts then. ``ca_file`` is a PEM file of the certificates to
    trust for ``wss://``, instead of the system's. Raises `Unreachable` or `Refused` if the room
    cannot be joined; cancelling leaves nothing behind.
    """
    return Mesh(
        name=name,
        enter=door(url, room=room, token=token, ca_file=ca_file),
        conditions=conditions,
        timeout=timeout,
    )


class MeshPeer:
    """Somebody else in the room."""

    def __init__(self, peer_id: str, name: str, transport: Transport) -> None:
        self.id = peer_id
        """As given by the signaling server."""
        self.name = name
        """What the peer calls itself; not unique. Verified only where the room asks for tokens."""
        self.left_because: str | None = None
        """Why the peer is gone; None while it is here."""
        self._transport = transport
        self._session = Session()
        self._link: Link | None = None

    @property
    def rtt(self) -> float:
        """Smoothed round trip in seconds; 0 until it is known."""
        return (self._link.rtt or 0.0) if self._link is not None else 0.0

    def __repr__(self) -> str:
        return f"<MeshPeer {self.name or self.id}>"


class MeshChannel:
    """A named stream of messages to and from every peer that opens it too.

    ``async for peer, data in channel`` yields what arrives; it ends when the mesh is left.
    """

    def __init__(self, mesh: "Mesh", name: str, delivery: Delivery) -> None:
        self.name = name
        self.delivery = delivery
        self.dropped = 0
        """Messages thrown away because this program did not read them."""
        self._mesh = mesh
        self._inbox: deque[tuple[MeshPeer, bytes]] = deque()
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()

    async def broadcast(self, data: bytes) -> None:
        """Send to every peer. On a reliable channel it waits while a peer's queue is full.

        A peer that joins later does not get it. Raises `UsageError` if the message is too long,
        `Disconnected` if the mesh has been left. Cancelled, some peers may have been sent it.
        """
        self._mesh._raise_if_left()
        for peer in list(self._mesh.peers.values()):
            with suppress(Disconnected):
                await self.send(peer, data)

    async def send(self, peer: MeshPeer, data: bytes) -> None:
        """Send to one peer. On a reliable channel it waits while the peer's queue is full.

        Raises `Disconnected` if that peer has left, `SendQueueFull` on other channels.
        """
        channel, _ = peer._session.open(self.name, self.delivery)
        while True:
            if peer.left_because is not None or peer._link is None:
                raise Disconnected(peer.left_because or "not connected")
            try:
                peer._link.send(channel, bytes(data))
                return
            except SendQueueFull:
                if not self.delivery.reliable:
                    raise
            await asyncio.sleep(ROOM_CHECK)

    def __aiter__(self) -> AsyncIterator[tuple[MeshPeer, bytes]]:
        return self

    async def __anext__(self) -> tuple[MeshPeer, bytes]:
        """The next message. Cancelling loses none."""
        while not self._inbox:
            if self._mesh.has_left:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        peer, data = self._inbox.popleft()
        self._inbox_bytes -= len(data)
        return peer, data

    def _deliver(self, peer: MeshPeer, data: bytes) -> None:
        full = len(self._inbox) >= INBOX_MESSAGES or self._inbox_bytes + len(data) > INBOX_BYTES
        if full and self.delivery.reliable:
            assert peer._link is not None
            peer._link.close(f"messages on {self.name!r} are not read")
            return
        if full:
            self.dropped += 1
            return
        self._inbox.append((peer, data))
        self._inbox_bytes += len(data)
        self._arrived.set()


class Mesh:
    """A room without a server; made by `join_mesh`. Lives on the running event loop."""

    def __init__(
        self,
        *,
        name: str,
        enter: Enter,
        conditions: str | Conditions | None,
        timeout: float,
    ) -> None:
        self._enter = partial(enter, name=name or "peer", timeout=timeout)
        self._weather = None if conditions is None else conditions_of(conditions)
        self.peers: dict[str, MeshPeer] = {}
        """Who is connected, by id."""
        self.has_left = False
        self._channels: dict[tuple[str, str], MeshChannel] = {}
        self._names: dict[str, str] = {}
        self._on_join: list[Callable[[MeshPeer], Any]] = []
        self._on_leave: list[Callable[[MeshPeer], Any]] = []
        self._member: signaling.SignalingClient | None = None
        self._introductions: Introductions | None = None
        self._conditioners: list[Conditioner] = []
        self._listening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._partings: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def id(self) -> str:
        """This peer's id in the room; "" before joining."""
        return self._member.id if self._member is not None else ""

    def channel(self, name: str, delivery: Delivery) -> MeshChannel:
        """Open a channel; messages sent by peers before wait for it. Twice gives the same one."""
        if not isinstance(delivery, Delivery):
            raise UsageError(f"a delivery is nc.RELIABLE, nc.UNRELIABLE …, not {delivery!r}")
        channel = self._channels.get((name, delivery.name))
        if channel is None:
            channel = self._channels[name, delivery.name] = MeshChannel(self, name, delivery)
            for peer in self.peers.values():
                self._open_at(peer, channel)
        return channel

    def on_join(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when somebody has been connected."""
        self._on_join.append(handler)
        return handler

    def on_leave(self, handler: F) -> F:
        """Decorator: call ``handler(peer)`` when somebody has gone; ``left_because`` says why."""
        self._on_leave.append(handler)
        return handler

    async def wait_for_peers(self, count: int) -> None:
        """Return when at least this many others are connected. Safe to cancel."""
        while len(self.peers) < count:
            self._raise_if_left()
            self._changed.clear()
            await self._changed.wait()

    async def leave(self) -> None:
        """Say goodbye and leave the room. Idempotent."""
        if self.has_left:
            return
        self.has_left = True
        self._changed.set()
        for channel in self._channels.values():
            channel._arrived.set()
        for peer in list(self.peers.values()):
            if peer._link is not None:
                peer._link.close("left")
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._introductions is not None:
            await self._introductions.close()
        if self._partings:  # which may still hear something through signaling
            await asyncio.wait(self._partings)
        if self._introductions is not None:
            await self._introductions.hang_up()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        for conditioner in self._conditioners:
            conditioner.close()
        if self._member is not None:
            await self._member.close()

    async def __aenter__(self) -> Self:
        if self._member is not None:
            raise UsageError("this mesh has been joined already: join_mesh() makes a new one")
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

    # ----------------------------------------------------------------------------------------

    async def _join(self) -> None:
        member = await self._enter()
        self._member = member
        self._names.update(member.peers)
        self._introductions = Introductions(
            member.send,
            send_to=member.send_to,
            ice_servers=lambda: member.ice_servers,
            filters=self._filters,
            on_call=lambda peer: partial(self._met, peer),
        )
        present = list(member.peers)
        self._listening = asyncio.create_task(self._listen(member, self._introductions))
        self._keep(self._pump())
        await asyncio.gather(*(self._call(self._introductions, peer) for peer in present))

    async def _call(self, introductions: Introductions, peer: str) -> None:
        for attempt in range(CALLS):
            if self._member is None or peer not in self._member.peers:
                return  # left in the meantime
            try:
                self._met(peer, await introductions.call(peer, rung=None))
                return
            except (Unreachable, signaling.ConnectionLost) as error:
                log.warning("peer %s, attempt %d: %s", self._names.get(peer), attempt + 1, error)

    async def _listen(
        self, member: signaling.SignalingClient, introductions: Introductions
    ) -> None:
        try:
            async for message in member:
                if isinstance(message, signaling.PeerJoined):
                    self._names[message.id] = message.name
                    if any(server.credential for server in member.ice_servers):
                        # The newcomer is about to call, and ours may have grown old.
                        await member.renew_ice_servers()
                elif isinstance(message, signaling.PeerLeft) and message.id not in self.peers:
                    self._names.pop(message.id, None)
                introductions.take(message)
        except signaling.ConnectionLost as error:
            # Who is connected stays so; only newcomers cannot be met any more.
            log.warning("the signaling server is gone: %s", error)
            await introductions.hang_up()

    def _filters(self) -> Conditioner | None:
        if self._weather is None:
            return None
        self._conditioners.append(Conditioner(self._weather, seed=random.getrandbits(32)))
        return self._conditioners[-1]

    def _met(self, peer_id: str, transport: Transport) -> None:
        if self.has_left or peer_id in self.peers:
            self._part(transport)
            return
        peer = MeshPeer(peer_id, self._names.get(peer_id, ""), transport)
        link = peer._link = Link(
            transport,
            peer._session,
            time.monotonic,
            on_message=lambda channel, data: self._message(peer, channel, data),
            on_datagram=lambda data: None,
            on_closed=lambda reason: self._lost(peer, reason),
        )
        self.peers[peer_id] = peer
        for channel in self._channels.values():
            self._open_at(peer, channel)
        link.start()
        self._changed.set()
        self._tell(self._on_join, peer)

    def _open_at(self, peer: MeshPeer, channel: MeshChannel) -> None:
        _, waiting = peer._session.open(channel.name, channel.delivery)
        for data in waiting:
            channel._deliver(peer, data)

    def _message(self, peer: MeshPeer, channel: Channel, data: bytes) -> None:
        found = self._channels.get((channel.name, channel.delivery.name))
        if found is not None:
            found._deliver(peer, data)

    def _lost(self, peer: MeshPeer, reason: str) -> None:
        peer.left_because = reason
        self.peers.pop(peer.id, None)
        self._part(peer._transport)
        self._changed.set()
        self._tell(self._on_leave, peer)

    def _tell(self, handlers: list[Callable[[MeshPeer], Any]], peer: MeshPeer) -> None:
        for handler in handlers:
            try:
                handler(peer)
            except Exception:
                log.exception("the handler %s raised", getattr(handler, "__name__", handler))

    def _part(self, transport: Transport) -> None:
        parting = asyncio.create_task(part(transport), name="netcode parting")
        self._partings.add(parting)
        parting.add_done_callback(self._partings.discard)

    async def _pump(self) -> None:
        while True:
            links = [peer._link for peer in list(self.peers.values()) if peer._link is not None]
            for link in links:
                link.pump()
            due = min((link.next_timer() for link in links), default=time.monotonic() + 0.1)
            await asyncio.sleep(max(0.001, min(0.1, due - time.monotonic())))

    def _keep(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _raise_if_left(self) -> None:
        if self.has_left:
            raise Disconnected("this mesh has been left")
