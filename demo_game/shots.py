"""Shots: what they touch, when they end, and how a player's own are shown before the server knows.

`first_touched` runs on both ends. The server asks it about the past that the shooter saw, the
shooter's machine about what it displays; so both come to the same answer, but where the weather
has kept something from one of them. Then the server's counts.
"""

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

import netcode as nc
from demo_game import game
from demo_game.collisions import Floats, Rows, first_touch
from demo_game.game import ARENA, BULLET_TICKS, Blast, BlastKind, Bullet, Rock, Ship

Scene: TypeAlias = nc.World | nc.Past
"""What shots are looked for in: the world, or the world as it was."""

ROCK_REACH = np.array(game.ROCK_RADII) + game.BULLET_RADIUS
SHIP_REACH = game.SHIP_RADIUS + 3.0
WALL = ARENA - 2.0
"""A shot that is farther out hits the arena's edge."""

SAME_PLACE = 60.0
"""Units between a spark that was shown and the server's for the same hit: both see the shot at
somewhat different times."""
REMEMBERED = 120
"""Ticks in which the server's word on a shown spark must have come."""


def first_touched(x: Floats, y: Floats, player: int, scene: Scene) -> list[tuple[int, Rock | Ship]]:
    """Which of a player's shots, at these places, touch a rock or somebody else's ship: their
    numbers, each with the first thing that it touches."""
    rocks, ships = scene.table(Rock), scene.table(Ship)
    r, s = rocks.rows(), ships.rows()
    s = s[ships.player[s] != player]
    shots, things = first_touch(
        x,
        y,
        np.concatenate([rocks.x[r], ships.x[s]]),
        np.concatenate([rocks.y[r], ships.y[s]]),
        np.concatenate([ROCK_REACH[rocks.grade[r]], np.full(len(s), SHIP_REACH)]),
    )
    touched: list[tuple[int, Rock | Ship]] = []
    for shot, number in zip(shots.tolist(), things.tolist(), strict=True):
        rock = number < len(r)
        thing = rocks.at(int(r[number])) if rock else ships.at(int(s[number - len(r)]))
        if thing is not None:
            touched.append((shot, thing))
    return touched


def beyond_the_walls(x: Floats, y: Floats) -> Rows:
    """Which of these places a shot does not get to."""
    return np.flatnonzero(np.maximum(np.abs(x), np.abs(y)) > WALL)


class Fuses:
    """When each shot ends. The server's own knowledge, beside the table of shots."""

    def __init__(self) -> None:
        self._tenant = np.zeros(0, dtype=np.int32)
        """By row, the generation of the shot that was seen there last."""
        self._end = np.zeros(0, dtype=np.int64)

    def burnt(self, bullets: nc.Table[Bullet], tick: int) -> Rows:
        """The rows of shots that have flown their whole life. To be called every tick: new ones
        are noticed, and their time begins."""
        more = bullets.size - len(self._end)
        if more > 0:
            self._tenant = np.concatenate([self._tenant, np.full(more, -1, dtype=np.int32)])
            self._end = np.concatenate([self._end, np.zeros(more, dtype=np.int64)])
        fresh = np.flatnonzero(bullets.alive & (bullets.generation != self._tenant))
        self._tenant[fresh] = bullets.generation[fresh]
        self._end[fresh] = tick + BULLET_TICKS
        return np.flatnonzero(bullets.alive & (self._end <= tick))


@dataclass(slots=True)
class Sight:
    """What a frame shows of own shots for the first time."""

    fired: list[Bullet] = field(default_factory=list)
    struck: list[Bullet] = field(default_factory=list)
    """Those that touch something now."""


class OwnShots:
    """A player's own shots on the screen.

    They are predicted, so they are in the world from the frame of the key press on. Where one
    touches what is displayed in its way it is hidden at once; whether it has hit is for the server
    to say, which takes it out of the world a little later, or does not.
    """

    def __init__(self) -> None:
        self._since: dict[Bullet, float] = {}
        """All own shots in the world, and the tick in which each was seen first."""
        self._hidden: set[Bullet] = set()
        self._sparks: deque[tuple[int, float, float]] = deque()
        """Tick and place of sparks that the server has not spoken of yet."""

    def update(self, world: nc.World, tick: int | None, gone: Collection[nc.Entity] = ()) -> Sight:
        """To be called every frame.

        ``tick`` is the client's own, None while it does not predict: then own shots are shown like
        everybody's. ``gone`` are entities that only fade away: no shot ends on them.
        """
        own = [bullet for bullet in world[Bullet] if bullet.mine]
        sight = Sight(fired=[bullet for bullet in own if bullet not in self._since])
        now = math.inf if tick is None else tick
        self._since = {bullet: self._since.get(bullet, now) for bullet in own}
        self._hidden &= self._since.keys()
        if tick is None:
            self._hidden.clear()
            return sight
        self._hidden |= {b for b, since in self._since.items() if tick - since >= BULLET_TICKS}
        while self._sparks and tick - self._sparks[0][0] > REMEMBERED:
            self._sparks.popleft()
        flying = [bullet for bullet in own if bullet not in self._hidden]
        if not flying:
            return sight
        x, y = np.array([one.x for one in flying]), np.array([one.y for one in flying])
        touched = first_touched(x, y, flying[0].player, world)
        ended = {number for number, thing in touched if thing not in gone}
        for number in sorted(ended.union(beyond_the_walls(x, y).tolist())):
            bullet = flying[number]
            sight.struck.append(bullet)
            self._hidden.add(bullet)
            self._sparks.append((tick, bullet.x, bullet.y))
        return sight

    def hides(self, bullet: Bullet) -> bool:
        """Whether this shot has ended on the screen, though it is in the world."""
        return bullet in self._hidden

    def have_shown(self, blast: Blast) -> bool:
        """Whether the server tells of a spark that has been shown already; each counts once."""
        if blast.kind is not BlastKind.SPARK:
            return False
        for spark in self._sparks:
            if max(abs(spark[1] - blast.x), abs(spark[2] - blast.y)) < SAME_PLACE:
                self._sparks.remove(spark)
                return True
        return False
