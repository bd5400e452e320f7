"""A member of a room without a socket: the program that the server runs in."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from signaling.errors import UsageError
from signaling.hosts import told_at
from signaling.messages import IceServer, Joined, PeerInfo, PeerMessage, encode
from signaling.parcels import Incoming, encode_parcel

if TYPE_CHECKING:
    from signaling.server import SignalingServer


class LocalMember:
    """A member of a room that lives in the server's own process; made by `SignalingServer.attach`.

    Its methods belong to the thread of the server's event loop.
    """

    def __init__(
        self, server: "SignalingServer", joined: Joined, deliver: Callable[[Incoming], None]
    ) -> None:
        self._server = server
        self._deliver = deliver
        self.id = joined.id
        """This member's id in the room."""
        self.room = joined.room
        self.peers: tuple[PeerInfo, ...] = joined.peers
        """Who was in the room already when this member was attached."""
        self.ice_servers = joined.ice_servers
        """The STUN and TURN servers to use, with credentials of that moment."""

    def send(self, message: PeerMessage) -> None:
        """Send to a peer of the room. If there is none of that id, an `Error` is delivered.

        Raises:
            UsageError: if the message breaks a bound, or this member has left.
        """
        if not isinstance(message, PeerMessage):
            raise UsageError(
                f"send() takes Offer, Answer or Candidate, not {type(message).__name__}"
            )
        encode(message)
        self._server._send_from(self, message)

    def send_to(self, peer: str, data: bytes) -> None:
        """Send a parcel (see `signaling.parcels`) to a peer of the room, through the server.

        If there is none of that id, or it reads too slowly, an `Error` that names it is delivered,
        from within this call.

        Raises:
            UsageError: if the parcel breaks a bound or is empty, or this member has left.
        """
        encode_parcel(peer, data)
        if not data:
            raise UsageError("an empty parcel is for the server alone: send at least a byte")
        self._server._send_parcel_from(self, peer, data)

    def renew_ice_servers(self) -> tuple[IceServer, ...]:
        """Return the STUN and TURN servers with new credentials, and keep them.

        Raises what the function for them raises.
        """
        self.ice_servers = told_at(self._server._ice_servers_for(self.id), None)
        return self.ice_servers

    def leave(self) -> None:
        """Leave the room and end its reservation. Who is in it stays and hears it. Idempotent."""
        self._server._detach(self)
