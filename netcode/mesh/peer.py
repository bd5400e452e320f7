"""A peer of a mesh: somebody else in the room, and the connection to it."""

from contextlib import suppress

from netcode.errors import SendQueueFull
from netcode.link.connection import Connection
from netcode.link.session import Channel
from netcode.mesh.words import Word, encode


class MeshPeer:
    """Somebody else in the room."""

    def __init__(
        self,
        peer_id: str,
        name: str,
        connection: Connection,
        control: Channel,
        *,
        called: bool,
        key: bytes,
        room_id: str,
        number: int,
    ) -> None:
        self.id = peer_id
        """As given by the signaling server when the peer first came; stays the same."""
        self.name = name
        """What the peer calls itself; not unique. Verified only where the room asks for tokens."""
        self.number = number
        """Its number at this end, from 1 on: what `Mesh.voice` calls it by."""
        self.left_because: str | None = None
        """Why the peer is gone; None while it is here. It begins with ``lost:`` if the peer has
        not said goodbye."""
        self._connection = connection
        self._control = control
        self._called = called
        """Whether this end has called, so that it is the one that calls again."""
        self._key = key
        self._met_as = room_id
        """Its id in the room when the two met, as signaling has written it."""
        self._room_id = room_id
        """Its id in the room now, as far as this end has been told."""
        self._found_as = ""
        """Under which id of this end's the two have last proved to each other who they are."""

    @property
    def rtt(self) -> float:
        """Smoothed round trip in seconds; 0 until it is known."""
        return self._connection.rtt or 0.0

    @property
    def reconnecting(self) -> bool:
        """Whether the link has failed, and the peer may still come back on another one."""
        return self._connection.lost_at is not None

    @property
    def rung(self) -> str:
        """Which way the packets take: ``"direct"``, ``"turn_udp"``, ``"turn_tcp"`` or
        ``"websocket"``; of the last link, while there is none."""
        link = self._connection.link
        return "" if link is None else link.transport.rung

    def __repr__(self) -> str:
        return f"<MeshPeer {self.name or self.id}>"

    def _say(self, word: Word) -> None:
        with suppress(SendQueueFull):  # the next one will say more
            self._connection.send(self._control, encode(word))

    def _knows_where(self, room_id: str) -> bool:
        """Whether the peer certainly knows that this is this end's id in the room."""
        return self._found_as == room_id or self._control.outgoing.is_settled
