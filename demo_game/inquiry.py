"""Asking the server now and then, and keeping its last answers: what F3 and F6 show.

Nothing here waits: a question is sent, the frames go on, and some frame later its answer is there.
"""

import math
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

import netcode as nc
from demo_game import game
from demo_game.game import AskFigures, Bullet, Crystal, Figures, Rock, Ship, Thing, Why
from demo_game.questions import question

ASK_EVERY = 0.25
"""Seconds between two questions about one entity; the server answers eight a second."""
FIGURES_EVERY = 1.0
VERDICTS = 28
"""Answers whose verdicts are kept: seven seconds."""
ROW_MASK = (1 << 16) - 1
"""A handle's lower bits are the entity's number, those above count its tenants."""

M = TypeVar("M", bound=nc.Message)


class Asker(Protocol):
    """A client, as far as questions go."""

    def request(self, message: nc.Message) -> nc.Reply[nc.Message]: ...


class Poll:
    """Asks every ``every`` seconds, one question at a time."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._next = 0.0
        self._reply: nc.Reply[nc.Message] | None = None

    def answer(
        self, asker: Asker, make: Callable[[], nc.Message], kind: type[M], now: float
    ) -> M | None:
        """To be called every frame: an answer of this class if one has just come."""
        reply, answer = self._reply, None
        if reply is not None and reply.done():
            self._reply = None
            try:
                answer = reply.result(0)
            except nc.NetcodeError:
                answer = None  # asked too often, or the session is over: `update` tells
        if self._reply is None and now >= self._next:
            self._next = now + self._every
            try:
                self._reply = asker.request(make())
            except nc.NetcodeError:
                self._reply = None
        return answer if isinstance(answer, kind) else None

    def forget(self) -> None:
        """Whatever has been asked, its answer is not wanted any more; ask anew at once."""
        self._reply, self._next = None, 0.0


class Inquiry:
    """Why one entity is told, asked again and again."""

    def __init__(self) -> None:
        self.entity: Thing | None = None
        self.title = ""
        self.why: Why | None = None
        self.last_sent: Why | None = None
        """The last answer in which something had been sent: only those say what it cost."""
        self.verdicts: deque[str] = deque(maxlen=VERDICTS)
        self._poll = Poll(ASK_EVERY)

    def ask(self, asker: Asker, entity: Thing | None, now: float) -> None:
        """To be called every frame with what is asked about now."""
        if entity is not self.entity:
            self.entity, self.why, self.last_sent = entity, None, None
            self.verdicts.clear()
            self._poll.forget()
        if entity is None or not entity.alive:
            return
        self.title = title_of(entity)
        answer = self._poll.answer(asker, lambda: question(entity), Why, now)
        if answer is None:
            return
        self.why = answer
        self.verdicts.append(answer.verdict)
        if answer.bits:
            self.last_sent = answer


class FiguresPoll:
    """The server's figures of this player's state, asked once a second."""

    def __init__(self) -> None:
        self.latest: Figures | None = None
        self._poll = Poll(FIGURES_EVERY)

    def ask(self, asker: Asker, now: float) -> None:
        """To be called every frame while somebody looks."""
        self.latest = self._poll.answer(asker, AskFigures, Figures, now) or self.latest


def title_of(entity: Thing) -> str:
    """What to call an entity on the screen."""
    if isinstance(entity, Ship):
        return entity.name or "unnamed ship"
    return f"{type(entity).__name__} {entity.handle & ROW_MASK}"


def pick(world: nc.World, x: float, y: float, reach: float) -> Thing | None:
    """The entity nearest to a place, or None if there is none within ``reach`` of its edge.

    One that only this client knows of, a shot that was fired just now, cannot be asked about.
    """
    things: list[Thing] = [*world[Ship], *world[Bullet], *world[Crystal], *world[Rock]]
    best: Thing | None = None
    nearest = reach
    for thing in things:
        if thing.handle < 0:
            continue
        size = game.ROCK_RADII[thing.grade] if isinstance(thing, Rock) else 0.0
        away = math.hypot(thing.x - x, thing.y - y) - size
        if away < nearest:
            best, nearest = thing, away
    return best
