"""The way to a peer whom this end has called, for the watch over its connection."""

from collections.abc import Sequence

from netcode.link.connection import Connection
from netcode.link.link import Link
from netcode.mesh.peer import MeshPeer
from netcode.mesh.presence import Presence
from netcode.rungs import Rung
from netcode.transports.base import Transport


class PeerLine:
    """One peer's, as a `netcode.watch.Line`."""

    def __init__(self, peer: MeshPeer, presence: Presence) -> None:
        self._peer = peer
        self._presence = presence

    @property
    def connection(self) -> Connection:
        return self._peer._connection

    @property
    def has_begun(self) -> bool:
        return self.connection.ticket is not None

    @property
    def is_over(self) -> bool:
        return self._peer.left_because is not None

    async def open(self, rungs: Sequence[Rung]) -> Transport:
        membership = await self._presence.wait_for(lambda: self._peer._room_id)
        return await self._presence.call(membership, self._peer._room_id, rungs)

    def come_back(self, transport: Transport) -> Link | None:
        return None if self.is_over else self.connection.come_back(transport)

    def give_up_waiting(self) -> None:
        self.connection.give_up_waiting()

    def pump(self) -> None:
        self.connection.pump()

    def doubt(self) -> None:
        """The mesh itself looks at the silence of all its peers, also of those who called."""

    def rest(self) -> None:
        """The room is not left: newcomers are to be met."""
