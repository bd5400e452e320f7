"""Rooms and introductions: how peers that want to connect find each other.

A peer joins a room on the signaling server, hears who else is in it, and exchanges with them
what WebRTC needs to connect: offers, answers, candidates. After that it is not needed any more;
what peers say to each other on their own connection does not pass here. Peers that find no
connection at all can send each other parcels through the server, which does not look into them.

This package stands alone: it imports nothing of netcode and may be used without it. In it, from
the pure inside out: `rules`, `messages` and `parcels` (what travels), `tokens` (who may join),
`rooms` (who may say what to whom), `limits`, `connection` (one WebSocket), `server`, `client`.
``python -m signaling`` runs a server, ``python -m signaling token`` makes a token.
The relay for those who find no direct path is a room of its own, `turn`; `credentials` say who may
use it.

What may enter: the meeting of peers, and what they must be told for it (STUN and TURN servers
and their credentials). What may not: anything that knows what the peers will say.
"""

from signaling.client import SignalingClient
from signaling.credentials import Credential, Credentials, TurnSecret
from signaling.errors import (
    ConnectionLost,
    MessageError,
    PacketError,
    Refused,
    SignalingError,
    TokenError,
    Unreachable,
    UsageError,
)
from signaling.limits import SignalingLimits
from signaling.local import LocalMember
from signaling.messages import (
    Answer,
    AnswerFrom,
    Candidate,
    CandidateFrom,
    Draining,
    Error,
    IceServer,
    IceServersRenewed,
    Joined,
    Offer,
    OfferFrom,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    PeerMessage,
    Role,
    ServerMessage,
)
from signaling.parcels import Incoming, Parcel
from signaling.server import SignalingServer
from signaling.tokens import Claims, JoinSecret

__all__ = [
    "Answer",
    "AnswerFrom",
    "Candidate",
    "CandidateFrom",
    "Claims",
    "ConnectionLost",
    "Credential",
    "Credentials",
    "Draining",
    "Error",
    "IceServer",
    "IceServersRenewed",
    "Incoming",
    "JoinSecret",
    "Joined",
    "LocalMember",
    "MessageError",
    "Offer",
    "OfferFrom",
    "PacketError",
    "Parcel",
    "PeerInfo",
    "PeerJoined",
    "PeerLeft",
    "PeerMessage",
    "Refused",
    "Role",
    "ServerMessage",
    "SignalingClient",
    "SignalingError",
    "SignalingLimits",
    "SignalingServer",
    "TokenError",
    "TurnSecret",
    "Unreachable",
    "UsageError",
]
