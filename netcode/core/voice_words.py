"""The words about voice, on the reliable channel of that name. The voices themselves are media."""

from dataclasses import dataclass

from netcode.errors import WireError
from netcode.wire.messages import pack_word, unpack

VOICE = "netcode/voice"
"""Name of the reliable channel."""

MAX_WORD_BYTES = 256


@dataclass(frozen=True, slots=True)
class VoiceRules:
    """Server to client, when a player joins, and again when something of it changes."""

    full: float
    silent: float
    """Up to where a placed voice has its full volume, and where it is no more heard; both 0 if
    none is placed."""
    recording: bool
    """Whether somebody records what is said. Everybody is told, always."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Client to server: whether this player wants to be sent voices. It does until it says so."""

    on: bool


@dataclass(frozen=True, slots=True)
class Recording:
    """Client to server: whether this player records what it hears."""

    on: bool


def encode(word: VoiceRules | Listening | Recording) -> bytes:
    return pack_word(word)


def decode_rules(data: bytes) -> VoiceRules:
    """Raises `WireError` for anything but the server's word."""
    match _unpack(data):
        case [
            "VoiceRules",
            {
                "full": float(full) | int(full),
                "silent": float(silent) | int(silent),
                "recording": bool(recording),
            },
        ] if 0 <= full < silent < 1e100 or full == silent == 0:
            return VoiceRules(float(full), float(silent), recording)
    raise WireError("no word of a server's about voice")


def decode_wish(data: bytes) -> Listening | Recording:
    """Raises `WireError` for anything but a client's word."""
    match _unpack(data):
        case ["Listening", {"on": bool(on)}]:
            return Listening(on)
        case ["Recording", {"on": bool(on)}]:
            return Recording(on)
    raise WireError("no word of a client's about voice")


def _unpack(data: bytes) -> object:
    if len(data) > MAX_WORD_BYTES:
        raise WireError("a word about voice is shorter than that")
    return unpack(data)
