"""Who is in which room, and who may say what to whom.

The rules without any input or output: every method changes the membership and returns what has
to be delivered to whom, in order. Nothing here knows sockets, tasks or time; ids come from the
callable that the owner passes in. What is not allowed raises `Refused` and changes nothing.

A message reaches only members of its sender's room: to others, a peer of another room does not
exist. A room exists while somebody is in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from signaling.errors import Refused, UsageError
from signaling.limits import SignalingLimits
from signaling.messages import (
    Answer,
    AnswerFrom,
    Candidate,
    CandidateFrom,
    IceServer,
    Join,
    Joined,
    Offer,
    OfferFrom,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    PeerMessage,
    ServerMessage,
)

Delivery = tuple[str, ServerMessage]
"""The id of a peer, and the message to deliver to it."""


@dataclass(slots=True)
class _Room:
    name: str
    host: str | None = None
    members: dict[str, PeerInfo] = field(default_factory=dict)


class Rooms:
    """All rooms of one server.

    Args:
        limits: how many rooms, and how many peers in each.
        new_id: returns a fresh peer id at every call. Ids should be unguessable.
        ice_servers: called for a newcomer that may join, before it has; returns the STUN and TURN
            servers to tell it.
    """

    def __init__(
        self,
        limits: SignalingLimits,
        new_id: Callable[[], str],
        ice_servers: Callable[[str], Sequence[IceServer]] = lambda subject: (),
    ) -> None:
        self._limits = limits
        self._new_id = new_id
        self._ice_servers = ice_servers
        self._rooms: dict[str, _Room] = {}
        self._room_of: dict[str, _Room] = {}
        self._reserved: set[str] = set()

    def __len__(self) -> int:
        """Return how many rooms have somebody in them."""
        return len(self._rooms)

    def reserve(self, room: str) -> None:
        """Let only `join` with ``reserved=True`` be host of this room, until `release`.

        Raises:
            Refused: ``room_has_host``, or ``room_reserved`` already.
        """
        if room in self._reserved:
            raise Refused("room_reserved", f"room {room!r} is reserved already")
        existing = self._rooms.get(room)
        if existing is not None and existing.host is not None:
            raise Refused("room_has_host", f"room {room!r} already has a host")
        self._reserved.add(room)

    def release(self, room: str) -> None:
        """End a reservation. Who is in the room stays in it."""
        self._reserved.discard(room)

    def join(
        self, join: Join, *, subject: str | None = None, reserved: bool = False
    ) -> tuple[str, list[Delivery]]:
        """Let a newcomer in. Return its id and what to deliver, its own `Joined` first.

        ``subject`` is under which name it is told its ICE servers; None means under its new id.

        Raises:
            Refused: ``too_many_rooms``, ``room_full``, ``room_has_host`` or ``room_reserved``.
        """
        existing = self._rooms.get(join.room)
        if existing is None and len(self._rooms) >= self._limits.max_rooms:
            raise Refused(
                "too_many_rooms",
                f"this server has its {self._limits.max_rooms} rooms already: "
                "join one that exists, or try later",
            )
        room = existing or _Room(join.room)
        if len(room.members) >= self._limits.max_peers_per_room:
            raise Refused(
                "room_full",
                f"room {join.room!r} is full ({self._limits.max_peers_per_room} peers): "
                "try later, or another room",
            )
        if join.role == "host":
            if join.room in self._reserved and not reserved:
                raise Refused(
                    "room_reserved",
                    f"the host of room {join.room!r} is this server: join it as a peer",
                )
            if room.host is not None:
                raise Refused(
                    "room_has_host",
                    f"room {join.room!r} already has a host: join it as a peer, or another room",
                )

        peer_id = self._new_id()
        if peer_id in self._room_of:
            raise UsageError("new_id must return an id that is not in use")
        ice_servers = tuple(self._ice_servers(subject or peer_id))

        others = tuple(room.members.values())
        room.members[peer_id] = PeerInfo(peer_id, join.name)
        if join.role == "host":
            room.host = peer_id
        self._rooms[join.room] = room
        self._room_of[peer_id] = room
        joined = Joined(peer_id, join.room, room.host, others, ice_servers)
        announcement = PeerJoined(peer_id, join.name, join.role)
        return peer_id, [(peer_id, joined), *((other.id, announcement) for other in others)]

    def leave(self, peer_id: str, reason: str) -> list[Delivery]:
        """Take a peer out of its room; everyone who stays hears it, with the reason.

        A room that loses its host goes on without one. Returns nothing to deliver if this peer
        is in no room.
        """
        room = self._room_of.pop(peer_id, None)
        if room is None:
            return []
        del room.members[peer_id]
        if room.host == peer_id:
            room.host = None
        if not room.members:
            del self._rooms[room.name]
        announcement = PeerLeft(peer_id, reason)
        return [(other, announcement) for other in room.members]

    def relay(self, sender: str, message: PeerMessage) -> list[Delivery]:
        """Pass a message on to the peer it is for, with its sender's id written by us.

        Raises:
            Refused: ``unknown_peer``; there is no such other peer in the sender's room.
        """
        self.check(sender, message.to)
        relayed: ServerMessage
        match message:
            case Offer():
                relayed = OfferFrom(sender, message.sdp, message.call, message.via)
            case Answer():
                relayed = AnswerFrom(sender, message.sdp, message.call)
            case Candidate():
                relayed = CandidateFrom(
                    sender,
                    message.candidate,
                    message.sdp_mid,
                    message.sdp_mline_index,
                    message.call,
                )
        return [(message.to, relayed)]

    def check(self, sender: str, to: str) -> None:
        """Return if the first may say something to the second: both are here, in one room.

        Raises:
            Refused: ``unknown_peer``.
        """
        room = self._room_of.get(sender)
        if room is None or to not in room.members or to == sender:
            raise Refused(
                "unknown_peer",
                "there is no such other peer in your room: it may have left",
                peer=to,
            )
