"""What travels between a signaling client and its server: one schema, used by both ends.

Every message is a JSON object in one WebSocket text frame. Its ``type`` names one of the shapes
at the end of this file; fields that a shape does not name are ignored, so that a newer end can
add some. A peer addresses another with ``to``; the server replaces it by ``from``, which it
writes itself, so that nobody can speak in another's name.

    client → server   join · offer · answer · candidate · renew_ice_servers · leave
    server → client   joined · peer_joined · peer_left · offer · answer · candidate ·
                      ice_servers · draining · error

Binary frames are no messages but parcels, which peers send each other; see `signaling.parcels`.

SDP and candidates are opaque here: bounded, never read. What is encoded here decodes here,
because `encode` checks with the decoder's own rules. This module is pure.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from signaling import rules
from signaling.errors import MessageError, UsageError
from signaling.rules import Invalid

MAX_CLIENT_MESSAGE_BYTES = 65_536
"""Bytes of a message to the server: the largest SDP with its JSON around it."""

MAX_SERVER_MESSAGE_BYTES = 1_048_576
"""Bytes of a message to a client: ``joined`` lists the whole room, 4,096 peers at most."""

MAX_SDP_BYTES = 61_440
"""Bytes of one session description. With audio and data they are 2 to 6 KiB."""

MAX_CANDIDATE_BYTES = 4_096
"""Bytes of one ICE candidate line. They are about 100."""

MAX_NAME_BYTES = 64
MAX_ROOM_BYTES = 64
MAX_ID_BYTES = 64
"""Bytes of a peer id. This server's have 16; the margin is for other servers."""

MAX_CALL_BYTES = 64
"""Bytes of a call's name, which the caller chooses and all that belongs to the call repeats."""

MAX_VIA_BYTES = 32
"""Bytes of the way by which a caller means to get through."""

MAX_MID_BYTES = 256
"""Bytes of a media section's name; the SDP decides, one or two characters is usual."""

MAX_TOKEN_BYTES = 1_024
"""Bytes of a join token. With the longest name, room and subject in it, it has about 700."""

MAX_EXPLANATION_BYTES = 1_024
"""Bytes of an error's text or of a reason for leaving."""

MAX_ICE_SERVERS = 32
MAX_URLS_PER_ICE_SERVER = 32
MAX_URL_BYTES = 1_024
MAX_CREDENTIAL_BYTES = 1_024

MAX_LISTED_PEERS = 4_096
"""Peers that one ``joined`` can list: at 200 bytes each they stay below a message's limit."""

MAX_MLINE_INDEX = 65_535
MAX_DRAIN_SECONDS = 86_400.0

CODE_HEADER = "X-Signaling-Code"
"""The HTTP header with the code of `Refused`, where a connection is refused before any message."""

Role = Literal["host", "peer"]


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room: the first message of every connection."""

    room: str
    """Which room; 1 to 64 bytes of printable characters. It comes into being by being joined."""
    name: str
    """What people call this peer: at most 64 bytes, no control characters. Need not be unique."""
    role: Role = "peer"
    """``"host"`` to be the one whom the others of the room connect to. A room has at most one."""
    token: str | None = field(default=None, repr=False)
    """What the game's back end signed (see `signaling.tokens`), where the server asks for it.

    Its name counts then, and not ``name``. Not part of the repr, so that it stays out of logs.
    """


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description for a peer of the same room, proposing a connection."""

    to: str
    """The id of the peer that shall get it."""
    sdp: str
    call: str = ""
    """Which of several calls between the same two peers this is: at most 64 bytes, printable."""
    via: str = ""
    """How the caller means to get through: at most 32 bytes, for the peer alone."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The session description that accepts a peer's offer."""

    to: str
    sdp: str
    """Empty, it declines: this peer does not take the call, or not that way."""
    call: str = ""
    """As in the offer."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address at which the sender may be reached, or the end of them (RFC 8838)."""

    to: str
    candidate: str | None
    """The candidate line, or None: there will be no more."""
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None
    call: str = ""
    """As in the offer."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the room; the server announces it and closes the connection."""


@dataclass(frozen=True, slots=True)
class RenewIceServers:
    """Ask for the STUN and TURN servers again, with new credentials; members only."""


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """Someone who is in the room."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server to use, in the form of WebRTC's RTCIceServer."""

    urls: tuple[str, ...]
    """Such as ``("stun:example.org:3478",)`` or ``("turn:example.org?transport=tcp",)``."""
    username: str | None = None
    credential: str | None = field(default=None, repr=False)
    """Not part of the repr, so that it does not end up in logs."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The answer to `Join`: who one is, and who is here."""

    id: str
    """The id that the server gave this peer. It is valid until the peer leaves."""
    room: str
    host: str | None
    """The id of the room's host (it may be one's own), or None while there is none."""
    peers: tuple[PeerInfo, ...]
    """Everyone else in the room, the host included, in the order of their joining."""
    ice_servers: tuple[IceServer, ...] = ()
    """The STUN and TURN servers to use, with credentials where they need some."""


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """Somebody entered the room."""

    id: str
    name: str
    role: Role = "peer"
    """``"host"`` if the newcomer is the room's host from now on."""


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """Somebody is no longer in the room."""

    id: str
    reason: str
    """Short text for people: ``"left"``, ``"lost"``, ``"too slow"``."""


@dataclass(frozen=True, slots=True)
class OfferFrom:
    """An offer as it arrives."""

    sender: str
    """Who sent it (``from`` on the wire), written by the server."""
    sdp: str
    call: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True)
class AnswerFrom:
    """An answer as it arrives."""

    sender: str
    sdp: str
    call: str = ""


@dataclass(frozen=True, slots=True)
class CandidateFrom:
    """A candidate as it arrives."""

    sender: str
    candidate: str | None
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None
    call: str = ""


@dataclass(frozen=True, slots=True)
class IceServersRenewed:
    """The answer to `RenewIceServers` (``ice_servers`` on the wire)."""

    ice_servers: tuple[IceServer, ...]


@dataclass(frozen=True, slots=True)
class Draining:
    """The server is going away: it lets nobody in any more, and closes when all have left."""

    seconds: float
    """After so many seconds it closes whoever is still there; 0 to 86,400."""


@dataclass(frozen=True, slots=True)
class Error:
    """Something that this peer sent was refused or made no sense; the connection may go on."""

    code: str
    """For programs; the codes are listed at `MessageError` and `Refused`."""
    message: str
    """For people."""
    peer: str | None = None
    """The id of the peer that it is about, if it is about one."""


PeerMessage = Offer | Answer | Candidate
"""What a peer sends to another through the server."""

ClientMessage = Join | PeerMessage | RenewIceServers | Leave
ServerMessage = (
    Joined
    | PeerJoined
    | PeerLeft
    | OfferFrom
    | AnswerFrom
    | CandidateFrom
    | IceServersRenewed
    | Draining
    | Error
)


def encode(message: ClientMessage | ServerMessage) -> str:
    """Return the text of a message, of either direction.

    Raises:
        UsageError: if this is no message, or if the other end would not accept it.
    """
    name = _TYPE_NAMES.get(type(message))
    if name is None:
        raise UsageError(f"{message!r:.100} is no message: use a class of signaling.messages")
    from_client = isinstance(message, ClientMessage)
    shapes = _CLIENT_SHAPES if from_client else _SERVER_SHAPES
    limit = MAX_CLIENT_MESSAGE_BYTES if from_client else MAX_SERVER_MESSAGE_BYTES
    wire = {"type": name, **shapes[name].to_wire(message)}
    try:
        shapes[name].from_wire(wire, name)
    except MessageError as error:
        raise UsageError(str(error)) from None
    # Characters are not escaped: a relayed text must not grow beyond what its receiver accepts.
    text = json.dumps(wire, ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > limit:
        raise UsageError(f"this {name} is longer than {limit} bytes: shorten its texts")
    return text


def decode_from_client(text: str | bytes) -> ClientMessage:
    """Return the message that a client sent. Raises only `MessageError`."""
    message: ClientMessage = _decode(text, _CLIENT_SHAPES, MAX_CLIENT_MESSAGE_BYTES)
    return message


def decode_from_server(text: str | bytes) -> ServerMessage:
    """Return the message that the server sent. Raises only `MessageError`."""
    message: ServerMessage = _decode(text, _SERVER_SHAPES, MAX_SERVER_MESSAGE_BYTES)
    return message


# --- to and from JSON ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    attribute: str
    check: Callable[[object], Any]
    key: str = ""
    """The name on the wire, where it differs from the attribute's."""
    required: bool = True
    """Otherwise it may be missing, which means ``absent``, and is left out when it is that."""
    absent: object = None

    @property
    def wire_key(self) -> str:
        return self.key or self.attribute


@dataclass(frozen=True, slots=True)
class _Shape:
    """The fields of one class, in both directions."""

    cls: type[Any]
    fields: tuple[_Field, ...]

    def to_wire(self, message: object) -> dict[str, Any]:
        values = ((rule, getattr(message, rule.attribute)) for rule in self.fields)
        return {
            rule.wire_key: _plain(value)
            for rule, value in values
            if rule.required or value != rule.absent
        }

    def from_wire(self, wire: Mapping[str, object], name: str) -> Any:
        values: dict[str, Any] = {}
        for rule in self.fields:
            key = rule.wire_key
            if key not in wire:
                if rule.required:
                    raise MessageError("missing_field", f'{name}: the field "{key}" is missing')
                continue
            try:
                values[rule.attribute] = rule.check(wire[key])
            except Invalid as error:
                raise MessageError("bad_field", f'{name}: "{key}" {error}') from None
        return self.cls(**values)


def _plain(value: Any) -> Any:
    """Return what JSON makes of a field's value."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        # An entry of a list that it does not belong into is left for the check to refuse.
        shape = _ENTRY_SHAPES.get(type(value))
        return shape.to_wire(value) if shape else None
    return value


def _entry(cls: type[Any]) -> Callable[[object], Any]:
    """Return the rule "an object with the fields of cls"."""

    def check(value: object) -> Any:
        if not isinstance(value, dict):
            raise Invalid("must be a list of objects")
        try:
            return _ENTRY_SHAPES[cls].from_wire(value, "an entry")
        except MessageError as error:
            raise Invalid(f"is wrong in {error}") from None

    return check


def _decode(text: str | bytes, shapes: Mapping[str, _Shape], limit: int) -> Any:
    if not isinstance(text, str):
        raise MessageError("not_text", "messages are JSON in text frames; this frame is binary")
    if len(text) > limit or len(text.encode("utf-8", "surrogatepass")) > limit:
        raise MessageError("too_big", f"a message has at most {limit} bytes")
    try:
        wire = json.loads(text)
    except (ValueError, RecursionError) as error:
        # A RecursionError comes from brackets nested thousands deep.
        raise MessageError("not_json", f"this is not JSON: {error}") from None
    if not isinstance(wire, dict):
        raise MessageError("not_an_object", "a message is a JSON object")
    name = wire.get("type")
    if name is None:
        raise MessageError("missing_field", 'the field "type" is missing')
    shape = shapes.get(name) if isinstance(name, str) else None
    if shape is None:
        raise MessageError(
            "unknown_type", f"unknown type {name!r:.40}: use one of {', '.join(shapes)}"
        )
    return shape.from_wire(wire, str(name))


# --- the shapes ----------------------------------------------------------------------------------

_ID = rules.text(MAX_ID_BYTES, least=1)
_ROOM = rules.printable(MAX_ROOM_BYTES, least=1)
_NAME = rules.single_line(MAX_NAME_BYTES)
_ROLE = rules.one_of("host", "peer")
_REASON = rules.single_line(MAX_EXPLANATION_BYTES)
_SDP = _Field("sdp", rules.text(MAX_SDP_BYTES))
_TO = _Field("to", _ID)
_FROM = _Field("sender", _ID, key="from")
_CALL = _Field("call", rules.printable(MAX_CALL_BYTES), required=False, absent="")
_VIA = _Field("via", rules.printable(MAX_VIA_BYTES), required=False, absent="")
_CANDIDATE = (
    _Field("candidate", rules.or_null(rules.text(MAX_CANDIDATE_BYTES))),
    _Field("sdp_mid", rules.or_null(rules.text(MAX_MID_BYTES)), required=False),
    _Field("sdp_mline_index", rules.or_null(rules.integer(MAX_MLINE_INDEX)), required=False),
    _CALL,
)
_SECONDS = rules.seconds(MAX_DRAIN_SECONDS)
_CREDENTIAL = rules.or_null(rules.text(MAX_CREDENTIAL_BYTES))

_ENTRY_SHAPES: Mapping[type[Any], _Shape] = {
    PeerInfo: _Shape(PeerInfo, (_Field("id", _ID), _Field("name", _NAME))),
    IceServer: _Shape(
        IceServer,
        (
            _Field(
                "urls", rules.list_of(rules.text(MAX_URL_BYTES, least=1), MAX_URLS_PER_ICE_SERVER)
            ),
            _Field("username", _CREDENTIAL, required=False),
            _Field("credential", _CREDENTIAL, required=False),
        ),
    ),
}

_CLIENT_SHAPES: Mapping[str, _Shape] = {
    "join": _Shape(
        Join,
        (
            _Field("room", _ROOM),
            _Field("name", _NAME),
            _Field("role", _ROLE),
            _Field("token", rules.or_null(rules.text(MAX_TOKEN_BYTES)), required=False),
        ),
    ),
    "offer": _Shape(Offer, (_TO, _SDP, _CALL, _VIA)),
    "answer": _Shape(Answer, (_TO, _SDP, _CALL)),
    "candidate": _Shape(Candidate, (_TO, *_CANDIDATE)),
    "renew_ice_servers": _Shape(RenewIceServers, ()),
    "leave": _Shape(Leave, ()),
}

_ICE_SERVERS = _Field("ice_servers", rules.list_of(_entry(IceServer), MAX_ICE_SERVERS))

_SERVER_SHAPES: Mapping[str, _Shape] = {
    "joined": _Shape(
        Joined,
        (
            _Field("id", _ID),
            _Field("room", _ROOM),
            _Field("host", rules.or_null(_ID)),
            _Field("peers", rules.list_of(_entry(PeerInfo), MAX_LISTED_PEERS)),
            _ICE_SERVERS,
        ),
    ),
    "peer_joined": _Shape(
        PeerJoined, (_Field("id", _ID), _Field("name", _NAME), _Field("role", _ROLE))
    ),
    "peer_left": _Shape(PeerLeft, (_Field("id", _ID), _Field("reason", _REASON))),
    "offer": _Shape(OfferFrom, (_FROM, _SDP, _CALL, _VIA)),
    "answer": _Shape(AnswerFrom, (_FROM, _SDP, _CALL)),
    "candidate": _Shape(CandidateFrom, (_FROM, *_CANDIDATE)),
    "ice_servers": _Shape(IceServersRenewed, (_ICE_SERVERS,)),
    "draining": _Shape(Draining, (_Field("seconds", _SECONDS),)),
    "error": _Shape(
        Error,
        (
            _Field("code", _ID),
            _Field("message", _REASON),
            _Field("peer", rules.or_null(_ID), required=False),
        ),
    ),
}

_TYPE_NAMES: Mapping[type[Any], str] = {
    shape.cls: name for shapes in (_CLIENT_SHAPES, _SERVER_SHAPES) for name, shape in shapes.items()
}
