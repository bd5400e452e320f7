"""What a client may ask the server about its own picture of the arena: how answers are made.

An entity is asked about with a reference, so a client can name only what it sees itself. That is
enough for the map, too: it is drawn from a spectator's link, which sees everything, and there the
answer is about the player whom the spectator watches.
"""

from collections import deque

import netcode as nc
from demo_game.game import TEXT_BYTES, Ask, Figures, Thing, Why

TOP_FIELDS = 5
"""Fields named in `Figures`: those that have cost most."""


def question(entity: Thing) -> Ask:
    """The question about an entity of the asker's own world."""
    return Ask(**{type(entity).__name__.lower(): entity})


def asked_about(ask: Ask) -> Thing | None:
    """What a question is about; None if it is gone by now."""
    return ask.ship or ask.bullet or ask.rock or ask.crystal


def why(said: nc.Explanation) -> Why:
    """An explanation as a message."""
    return Why(
        verdict=said.verdict,
        reason=said.reason,
        rank=min(65_535, said.rank or 0),
        urgency=min(65_535.0, said.urgency or 0.0),
        waited=min(65_535, said.waited),
        interval=said.interval,
        bits=_listed(sorted(said.bits.items(), key=lambda one: -one[1])),
    )


def figures(stats: nc.StateStats) -> Figures:
    """The figures of a player's state as a message."""
    spent = [
        (f"{kind}.{name}", round(cost))
        for kind, fields in stats.bytes_by_field.items()
        for name, cost in fields.items()
    ]
    spent.sort(key=lambda one: -one[1])
    return Figures(
        sent=min(65_535, stats.sent),
        deferred=min(65_535, stats.deferred),
        unchanged=min(65_535, stats.unchanged),
        culled=min(65_535, stats.culled),
        budget=min(1e6, stats.budget),
        held_back=stats.held_back,
        top=_listed([one for one in spent[:TOP_FIELDS] if one[1]]),
    )


def bits_of(text: str) -> list[tuple[str, int]]:
    """Names and numbers from the text of a message, in its order; what makes no sense is left
    out."""
    pairs = (word.rpartition("=") for word in text.split())
    return [(name, int(count)) for name, _, count in pairs if name and count.isdecimal()]


def _listed(pairs: list[tuple[str, int]]) -> str:
    """As much of the list as fits, each name whole."""
    text = ""
    for name, count in pairs:
        longer = f"{text} {name}={count}".strip()
        if len(longer.encode()) > TEXT_BYTES:
            break
        text = longer
    return text


class Allowance:
    """At most ``count`` of something within any ``ticks``."""

    def __init__(self, count: int, ticks: int) -> None:
        self._ticks = ticks
        self._times: deque[int] = deque(maxlen=count)

    def takes(self, tick: int) -> bool:
        """Whether one more is allowed at this tick; if so it counts."""
        full = len(self._times) == self._times.maxlen
        if full and tick - self._times[0] < self._ticks:
            return False
        self._times.append(tick)
        return True
