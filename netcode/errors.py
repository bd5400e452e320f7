"""Every error that netcode raises, as one tree.

    NetcodeError
    ├── UsageError            (a ValueError too) netcode is used wrongly: the text names the fix
    │   ├── ProtocolError     a Protocol, Entity, Input or Message is declared wrongly
    │   └── StaleEntityError  an entity that has despawned was read or written
    ├── JoinError             this player cannot take part; the text says what to do
    │   ├── Unreachable       nobody answered: server not there, blocked, or too slow
    │   ├── Refused           the server answered "no" (room full, kicked at the door, draining)
    │   └── ProtocolMismatch  both ends declare the game differently; names class and field
    ├── Disconnected          the link or the session has ended; ``reason`` says why
    ├── NoReply               a request was handled, but its handler gave no answer
    ├── VoiceError            no microphone or speaker can be used; the text names the fix
    ├── SendQueueFull         more was sent than the link could carry; the message was not taken
    └── WireError             bytes from the network do not make sense; never leaves netcode

``WireError`` is raised by every parser and by nothing else, and is caught, counted and turned
into a drop or a disconnect before user code could see it.
"""


class NetcodeError(Exception):
    """Root of the tree."""


class UsageError(NetcodeError, ValueError):
    """The program uses netcode wrongly. The message names the fix."""


class ProtocolError(UsageError):
    """A protocol, entity, input or message class is declared wrongly."""


class StaleEntityError(UsageError):
    """An entity was used after it despawned (or left this client's view)."""


class JoinError(NetcodeError):
    """This player cannot take part in the game."""


class Unreachable(JoinError):
    """Nobody answered in time."""


class Refused(JoinError):
    """The server answered, and said no.

    ``code`` is for programs: ``token_missing``, ``token_invalid``, ``token_expired`` or
    ``token_wrong_room`` (a new token may help), ``draining``, ``room_full``, ``server_full`` or
    ``too_many_connections`` (later, or another server, may help); "" if it is none of these.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ProtocolMismatch(JoinError):
    """Client and server were built from different declarations."""


class Disconnected(NetcodeError):
    """The session is over.

    ``reason`` is a short text for people: ``"left"``, ``"kicked: spamming"``, ``"timed out"``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NoReply(NetcodeError):
    """A request arrived, but nobody handles it, or the handler returned no message or raised."""


class VoiceError(NetcodeError):
    """There is no microphone or speaker, or this program may not use it. The message names the
    fix. Whoever cannot speak can still play."""


class SendQueueFull(NetcodeError):
    """A channel's bounded queue is full. The message was not taken: try later or drop it."""


class WireError(NetcodeError):
    """Bytes that do not make sense. Internal: counted and dropped, never shown to user code."""
