"""Every error that signaling raises, as one tree.

SignalingError
├── UsageError      (also a ValueError) signaling is used wrongly: the text names the fix
├── MessageError    a frame that makes no sense in this protocol; the one error of the decoders
├── PacketError     bytes that are no packet of STUN or TURN; the one error of their parsers
├── Unreachable     no signaling server answers at that address; the text says what to check
├── Refused         the server answered "no": room full, room has a host, server full, …
│   └── TokenError  a join token does not open this room; the one error of checking tokens
└── ConnectionLost  the connection to the server has ended, and this end did not ask for it
"""


class SignalingError(Exception):
    """Root of the tree."""


class UsageError(SignalingError, ValueError):
    """The program uses signaling wrongly. The message names the fix."""


class MessageError(SignalingError):
    """A text that is not a message of this protocol, or a binary frame that is no parcel.

    ``code`` is one of ``not_text``, ``too_big``, ``not_json``, ``not_an_object``,
    ``unknown_type``, ``missing_field``, ``bad_field``, ``not_joined``, ``already_joined``,
    ``bad_parcel``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PacketError(SignalingError):
    """Bytes that are no packet of STUN or TURN, or one too long for where it came from."""


class Unreachable(SignalingError):
    """No signaling server answers at that address."""


class Refused(SignalingError):
    """The server understood, and said no.

    ``code`` is for programs: ``room_full``, ``too_many_rooms``, ``room_has_host``,
    ``room_reserved``, ``unknown_peer``, ``server_full``, ``too_many_connections`` (from this
    address), ``draining``, ``no_ice_servers``, ``relaying_off``, ``relaying_ended`` (a peer read
    too slowly), the codes of `TokenError`, ``closed`` (the server closed the connection instead of
    an answer); a newer server may know others. ``peer`` is the id of the peer that it is about, if
    it is about one.
    """

    def __init__(self, code: str, message: str, *, peer: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.peer = peer


class TokenError(Refused):
    """A join token is missing, or does not open this room.

    ``code`` is ``token_missing``, ``token_invalid`` (forged, cut, signed with another secret, or
    spelled wrongly by its back end), ``token_expired`` or ``token_wrong_room``.
    """


class ConnectionLost(SignalingError):
    """The connection to the signaling server has ended without this end asking for it.

    Links between peers that are already open are not concerned: they do not pass the server.
    ``reason`` is a short text for people, as the server gave it where it gave one.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
