"""The words that are exchanged before and while a player joins, on the control channel."""

from dataclasses import dataclass
from typing import Any

from netcode.errors import WireError
from netcode.wire.messages import pack, unpack

CONTROL = "netcode/control"
"""Name of the reliable channel on which players join."""

MAX_TICK_RATE = 240
"""A packet of inputs holds those of 32 ticks, and some must be there twice."""

MAX_NAME_BYTES = 64
MAX_HELLO_BYTES = 4_096
MAX_DRAIN_SECONDS = 86_400.0
MAX_GRACE = 3_600.0
"""Seconds for which a place in the game is kept at most."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a player is, as the game's back end has signed. It does not come from the link."""

    name: str
    subject: str | None
    """What the back end itself calls the player."""
    seat: str
    """Different for every join token: who comes with the same one takes the place of who did."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Client to server, first of all."""

    hash: str
    name: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """Server to client: you are in."""

    player: int
    name: str
    tick: int
    tick_rate: float
    broadcast_every: int
    seed: int
    grace: float
    """Seconds for which a player whose link fails keeps its place; 0 is never."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Server to client: you are not. With the server's protocol if that is the reason."""

    reason: str
    description: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Draining:
    """Server to client: the server is going away."""

    seconds: float
    """From now on, until it ends the game of whoever is still there."""


def encode(word: Hello | Welcome | Refusal | Draining) -> bytes:
    values = {name: getattr(word, name) for name in word.__slots__}
    return pack([type(word).__name__, values])


def decode_hello(data: bytes) -> Hello:
    """Raises `WireError` for anything but a hello."""
    if len(data) > MAX_HELLO_BYTES:
        raise WireError("a hello is shorter than that")
    match unpack(data):
        case ["Hello", {"hash": str(digest), "name": str(name)}]:
            return Hello(digest, clean_name(name))
    raise WireError("not a hello")


def decode_answer(data: bytes) -> Welcome | Refusal | Draining:
    """Raises `WireError` for anything but a word of the server's."""
    match unpack(data):
        case [
            "Welcome",
            {
                "player": int(player),
                "name": str(name),
                "tick": int(tick),
                "tick_rate": float(tick_rate) | int(tick_rate),
                "broadcast_every": int(every),
                "seed": int(seed),
                "grace": float(grace) | int(grace),
            },
        ] if (
            0 < player < 1 << 31
            and 0 <= tick < 1 << 32
            and 1 <= tick_rate <= MAX_TICK_RATE
            and 0 < every < 1 << 31
            and 0 <= grace <= MAX_GRACE
        ):
            return Welcome(player, name, tick, float(tick_rate), every, seed, float(grace))
        case ["Refusal", {"reason": str(reason), "description": dict() | None as description}]:
            return Refusal(reason, description)
        case ["Draining", {"seconds": float(seconds) | int(seconds)}] if (
            0 <= seconds <= MAX_DRAIN_SECONDS
        ):
            return Draining(float(seconds))
    raise WireError("no word of a server's")


def clean_name(name: str) -> str:
    """A player's name without what cannot be printed, and not longer than a name may be."""
    printable = "".join(c for c in name if c.isprintable()).strip()
    cut = printable.encode("utf-8", "ignore")[:MAX_NAME_BYTES]
    return cut.decode("utf-8", "ignore").rstrip()
