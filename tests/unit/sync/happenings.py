"""The games of the lab: entity classes, and what happens to entities."""

import enum
import math
import random
from typing import Any, Protocol

import netcode as nc
from netcode.declarations import Entity
from netcode.fields import Ref, Text
from netcode.world.table import NOBODY, Table
from netcode.world.world import World


class Mood(enum.Enum):
    CALM = 1
    CROSS = 2
    WILD = 3


class Ship(nc.Entity):
    """Every kind of field, and two that only the owner may see."""

    x = nc.Float(-200, 200, step=0.25)
    y = nc.Float(-200, 200, step=0.25)
    hull = nc.Int(0, 100)
    ready = nc.Bool()
    heading = nc.Angle(bits=9)
    mood = nc.Enum(Mood)
    name = nc.Text(max_bytes=12)
    chases: nc.Ref[Any] = nc.Ref("Ship")
    drift = nc.Vec2(-8, 8, step=0.5)
    spin = nc.Vec3(-1, 1, step=0.125)
    turn = nc.Quat(bits=7)
    ammo = nc.Int(0, 255, default=7, only_owner=True)
    plan = nc.Text(max_bytes=8, default="none", only_owner=True)


class Rock(nc.Entity):
    position = nc.Vec2(-200, 200, step=1)
    grade = nc.Int(-3, 3)


class Mark(nc.Entity):
    """No field at all: only its presence is told."""


class Letter(nc.Entity):
    """So long that few fit into a packet."""

    front = nc.Text(max_bytes=255)
    back = nc.Text(max_bytes=255)
    number = nc.Int(0, 1000)


SCHEMAS: dict[str, tuple[type[Entity], ...]] = {
    "every field": (Ship, Rock),
    "presence only": (Mark, Rock),
    "long": (Rock, Letter, Ship),
}


class Game(Protocol):
    """As much of the lab as is needed here."""

    world: World
    random: random.Random

    @property
    def players(self) -> list[int]: ...


# -- at random -------------------------------------------------------------------------------


def stir(game: Game, most: int = 6, rows: int = 25) -> None:
    """Spawn, despawn, change, give and take control, at random."""
    rng = game.random
    for _ in range(rng.randint(0, most)):
        table: Table[Any] = rng.choice(game.world.tables)
        alive = table.rows().tolist()
        action = rng.random()
        if not alive or (action < 0.2 and len(alive) < rows):
            scramble(table.spawn(), game, 1.0)
        elif action < 0.35:
            table.despawn(rng.choice(alive))
        elif action < 0.5:
            table.own(rng.choice(alive), rng.choice([NOBODY, *game.players]))
        else:
            entity = table.at(rng.choice(alive))
            assert entity is not None
            scramble(entity, game, 0.3)


def scramble(entity: Any, game: Game, share: float) -> None:
    """Give some fields of an entity new values."""
    for described in entity.fields:
        if game.random.random() < share:
            setattr(entity, described.name, any_value(described, game))


def any_value(described: Any, game: Game) -> Any:
    rng = game.random
    match described:
        case nc.Bool():
            return rng.random() < 0.5
        case nc.Int():
            return rng.randint(described.low, described.high)
        case nc.Float():
            return rng.uniform(described.steps.low, described.steps.high)
        case nc.Angle():
            return rng.uniform(-10, 10)
        case nc.Enum():
            return rng.choice(described.members)
        case Text():
            return "".join(rng.choices("aé☃😀", k=rng.randint(0, described.max_bytes)))
        case Ref():
            table = next(t for t in game.world.tables if t.kind.__name__ == described.target)
            return rng.choice([None, *table])
        case nc.Quat():
            return tuple(rng.uniform(-1, 1) for _ in range(4))
        case nc.Vec2() | nc.Vec3():
            low, high = described.steps.low, described.steps.high
            return tuple(rng.uniform(low, high) for _ in range(described.dimensions))
    raise AssertionError(described)


# -- in curves -------------------------------------------------------------------------------


class Curves:
    """Smooth motion for every field that has any: lines, parabolas, circles and bobbing, reaching
    beyond the ranges now and then, angles that turn for ever, and tumbling rotations."""

    def __init__(self, rng: random.Random) -> None:
        self._random = rng
        self._curves: dict[tuple[str, int, str, int], tuple[float, ...]] = {}

    def move(self, game: Game, time: int) -> None:
        """Put every entity where it is at this time."""
        for table in game.world.tables:
            for entity in table:
                for described in table.fields:
                    key = (table.kind.__name__, entity._row, described.name)
                    value = self._value(described, key, time)
                    if value is not None:
                        setattr(entity, described.name, value)

    def _value(self, described: Any, key: tuple[str, int, str], time: int) -> Any:
        match described:
            case nc.Float():
                return self._along(described.steps.low, described.steps.high, (*key, 0), time)
            case nc.Int():
                return round(self._along(described.low, described.high, (*key, 0), time))
            case nc.Angle():
                return self._along(0.0, math.tau, (*key, 0), time) * 5
            case nc.Vec2() | nc.Vec3():
                low, high = described.steps.low, described.steps.high
                return tuple(
                    self._along(low, high, (*key, axis), time)
                    for axis in range(described.dimensions)
                )
            case nc.Quat():
                return self._tumbling(key, time)
        return None

    def _along(self, low: float, high: float, key: tuple[str, int, str, int], time: int) -> float:
        rng = self._random
        if key not in self._curves:
            shape = rng.choice((0.0, 1.0, 2.0, 3.0, 3.0))
            phase, rate = rng.uniform(0, math.tau), rng.choice((0.02, 0.05, 0.1, 0.3))
            self._curves[key] = (shape, phase, rate, rng.uniform(0.1, 0.6))
        shape, phase, rate, size = self._curves[key]
        middle, span = (low + high) / 2, (high - low) * size
        turn = time * rate + phase
        if shape == 0.0:
            return middle + span * math.cos(phase)
        if shape == 1.0:  # to and fro on a line
            return middle + span * (abs(turn % 4 - 2) - 1)
        if shape == 2.0:  # thrown again and again
            return low + 2 * span * (1 - (turn % 2 - 1) ** 2)
        return middle + span * math.sin(turn)

    def _tumbling(self, key: tuple[str, int, str], time: int) -> tuple[float, ...]:
        rng = self._random
        if (*key, 0) not in self._curves:
            axis = [rng.gauss(0, 1) for _ in range(3)]
            length = math.hypot(*axis)
            rate = rng.choice((0.03, 0.1, 0.4))
            self._curves[(*key, 0)] = (rate, *(part / length for part in axis))
        rate, *axis = self._curves[(*key, 0)]
        half = rate * time / 2
        return (*(math.sin(half) * part for part in axis), math.cos(half))
