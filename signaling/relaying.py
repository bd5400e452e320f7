"""Parcels on their way: who may send one to whom, and what happens when a reader is too slow.

The rules of `signaling.parcels` at the server. It holds no parcel itself: what cannot go into the
receiver's queue is dropped, and with it the relaying from that sender to that receiver.
"""

from collections.abc import Callable, Mapping

from signaling.connection import Connection
from signaling.errors import MessageError, Refused
from signaling.limits import SignalingLimits
from signaling.local import LocalMember
from signaling.messages import Error, ServerMessage
from signaling.parcels import Incoming, Parcel, decode_parcel, encode_parcel
from signaling.rooms import Rooms

ENDED = "relaying_ended"


class Relaying:
    """The relaying of one server.

    ``tell(peer_id, message)`` puts a message into a member's queue; ``hand_over(member, parcel)``
    gives a parcel to a member without a socket.
    """

    def __init__(
        self,
        limits: SignalingLimits,
        rooms: Rooms,
        members: Mapping[str, Connection | LocalMember],
        *,
        tell: Callable[[str, ServerMessage], None],
        hand_over: Callable[[LocalMember, Incoming], None],
    ) -> None:
        self._limits = limits
        self._rooms = rooms
        self._members = members
        self._tell = tell
        self._hand_over = hand_over
        self._ended: dict[str, set[str]] = {}
        """By receiver, from whom nothing is relayed until they begin anew."""

    def take(self, sender: str | None, frame: bytes) -> None:
        """Pass on what has come from a socket; ``sender`` is None before it has joined.

        Raises:
            MessageError: ``bad_parcel`` or ``not_joined``.
            Refused: ``unknown_peer``, ``relaying_off`` or ``relaying_ended``.
        """
        to, data = decode_parcel(frame)
        if sender is None:
            raise MessageError("not_joined", "the first message must be a join")
        if not self._limits.relays:
            raise Refused("relaying_off", "this server relays nothing between peers", peer=to)
        self._rooms.check(sender, to)
        ended = self._ended.get(to, set())
        if not data:
            if self._still_reads(to, sender):
                raise Refused(ENDED, "this peer still reads what you have sent before", peer=to)
            ended.discard(sender)
        elif sender not in ended:
            try:
                self.send(sender, to, data)
            except Refused:
                self._ended.setdefault(to, set()).add(sender)
                raise

    def send(self, sender: str, to: str, data: bytes) -> None:
        """Pass one parcel on.

        Raises:
            Refused: ``unknown_peer``, or ``relaying_ended``; then the receiver has been told, too.
        """
        self._rooms.check(sender, to)
        receiver = self._members[to]
        if isinstance(receiver, LocalMember):
            self._hand_over(receiver, Parcel(sender, data))
        elif not receiver.send_parcel(sender, encode_parcel(sender, data)):
            self._tell(to, Error(ENDED, "you read too slowly for what this peer sends", sender))
            raise Refused(ENDED, "this peer reads too slowly for what you send", peer=to)

    def _still_reads(self, to: str, sender: str) -> bool:
        """Whether something of this sender's waits for that reader: each end of relaying is told to
        the reader, and so there must not be more of them than it reads in between."""
        receiver = self._members[to]
        return not isinstance(receiver, LocalMember) and receiver.has_parcels_of(sender)

    def forget(self, peer_id: str) -> None:
        """Somebody is no member any more."""
        self._ended.pop(peer_id, None)
        for senders in self._ended.values():
            senders.discard(peer_id)
