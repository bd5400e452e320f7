"""Channels of a mesh: one name, everybody who opens it, and what waits to be read."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from netcode.errors import Disconnected, SendQueueFull
from netcode.link.delivery import Delivery
from netcode.mesh.peer import MeshPeer

if TYPE_CHECKING:
    from netcode.mesh.mesh import Mesh

INBOX_BYTES = 16 << 20
INBOX_MESSAGES = 16_384
"""What a channel holds for a program that does not read. Beyond it, unreliable messages are
dropped and a peer that sends reliable ones is let go."""

ROOM_CHECK = 0.01
"""Seconds between looks at a full queue while somebody waits for room in it."""


class MeshChannel:
    """A named stream of messages to and from every peer that opens it too.

    ``async for peer, data in channel`` yields what arrives; it ends when the mesh is left.

    Reliable messages are neither lost nor doubled when a peer's link is replaced by another. What
    is sent to a peer that is reconnecting waits: up to 4 MiB and 4,096 messages of a reliable
    channel, until it is back or gone; others until they are stale.
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

        Those who have room get it first, however long the others take. A peer that is reconnecting
        can hold the call up, once its queue is full, for as long as the mesh's ``grace``, but not
        longer: then it is back, or gone. A peer that joins later does not get the message.

        Raises `UsageError` if the message is too long, `Disconnected` if the mesh has been left,
        and on other channels `SendQueueFull` if somebody's queue was full: the rest have been sent
        it. Cancelled, some peers may have been sent it.
        """
        self._mesh._raise_if_left()
        full: list[MeshPeer] = []
        for peer in list(self._mesh.peers.values()):
            try:
                self._queue(peer, data)
            except SendQueueFull:
                full.append(peer)
        for peer in full:
            with suppress(Disconnected):
                await self.send(peer, data)

    async def send(self, peer: MeshPeer, data: bytes) -> None:
        """Send to one peer. On a reliable channel it waits while the peer's queue is full.

        Raises `UsageError` if the message is too long, `Disconnected` if that peer has left,
        `SendQueueFull` on other channels. Cancelled while it waits, nothing is sent.
        """
        while True:
            try:
                self._queue(peer, data)
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

    def _queue(self, peer: MeshPeer, data: bytes) -> None:
        if peer.left_because is not None:
            raise Disconnected(peer.left_because)
        channel, _ = peer._connection.session.open(self.name, self.delivery)
        peer._connection.send(channel, bytes(data))

    def _open_at(self, peer: MeshPeer) -> None:
        """Take what the peer has sent before this end opened the channel."""
        _, waiting = peer._connection.session.open(self.name, self.delivery)
        for data in waiting:
            self._deliver(peer, data)

    def _deliver(self, peer: MeshPeer, data: bytes) -> None:
        full = len(self._inbox) >= INBOX_MESSAGES or self._inbox_bytes + len(data) > INBOX_BYTES
        if full and self.delivery.reliable:
            peer._connection.close(f"messages on {self.name!r} are not read")
            return
        if full:
            self.dropped += 1
            return
        self._inbox.append((peer, data))
        self._inbox_bytes += len(data)
        self._arrived.set()
