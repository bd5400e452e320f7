"""What moves in the replication question: ships that steer about, of one class or of twelve."""

import enum
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import netcode as nc
from netcode.declarations import Entity
from netcode.fields import Bool, Enum, Int, Text
from netcode.sync.interest import Interest
from netcode.world.table import Table
from netcode.world.world import World

DT = 1 / 20
"""Seconds from one broadcast to the next."""

ENTER, LEAVE = 600.0, 660.0
"""Distances at which a ship comes into view and leaves it."""

IN_VIEW = 50
"""Ships that a peer sees, on average."""

SPEEDS = (20.0, 120.0)
TURNS = (-1.0, 1.0)
"""Radians per second."""

NEW_TURN = 0.03
"""Chance that a ship begins to turn otherwise at a broadcast."""

EVENTS = 20
"""In the mixed world at each broadcast: 2 % of its 1,000 entities."""


def side_of(count: int) -> float:
    """The side of the square in which a peer sees `IN_VIEW` of this many ships.

    What has come into view stays until it is beyond `LEAVE`, so that the view is about as large as
    a circle between the two.
    """
    return float(np.sqrt(count / IN_VIEW * np.pi * ENTER * LEAVE))


class Flat(nc.Entity):
    """Moves in the plane, and says so in five columns."""

    x = nc.Float(-12_000, 12_000, step=0.05)
    y = nc.Float(-12_000, 12_000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    vy = nc.Float(-400, 400, step=0.1)
    heading = nc.Angle(bits=10)


class Ship(Flat):
    """The only class of the plain worlds."""


class Walkers:
    """Points that move in a square around the origin, each with a heading of its own."""

    def __init__(self, count: int, side: float, margin: float, rng: np.random.Generator) -> None:
        self._rng = rng
        self._half = side / 2 - margin
        self.x, self.y = rng.uniform(-self._half, self._half, (2, count))
        self.heading = rng.uniform(0.0, 2.0 * np.pi, count)
        self.turn = rng.uniform(*TURNS, count)
        self.speed = rng.uniform(*SPEEDS, count)

    def __len__(self) -> int:
        return len(self.x)

    @property
    def vx(self) -> NDArray[np.float64]:
        return np.asarray(self.speed * np.cos(self.heading))

    @property
    def vy(self) -> NDArray[np.float64]:
        return np.asarray(self.speed * np.sin(self.heading))

    def step(self) -> None:
        anew = self._rng.random(len(self)) < NEW_TURN
        self.turn = np.where(anew, self._rng.uniform(*TURNS, len(self)), self.turn)
        self.heading += self.turn * DT
        self.x += self.vx * DT
        self.y += self.vy * DT
        # At a wall a ship turns round; being outside once is not being stuck there.
        out = (np.abs(self.x) > self._half) & (self.x * self.vx > 0)
        self.heading = np.where(out, np.pi - self.heading, self.heading)
        out = (np.abs(self.y) > self._half) & (self.y * self.vy > 0)
        self.heading = np.where(out, -self.heading, self.heading)


class Scene(Protocol):
    """A world that moves, and who looks at it."""

    world: World
    peers: int
    """Players are numbered from 1 to this."""
    interest: Interest

    def advance(self) -> None:
        """Go on by one broadcast."""

    def viewpoints(self) -> NDArray[np.float64] | None:
        """Where each peer looks from, (peers, 2); None where everything is seen."""

    def dirty(self) -> dict[int, NDArray[np.intp]] | None:
        """Which rows of each table changed, where that is not all of them."""

    follows: bool
    """Whether peers look from what they control; else they are told their viewpoints."""


class Plain:
    """``count`` ships of one class that all move, and peers that see those near them."""

    follows = False

    def __init__(self, count: int, peers: int, rng: np.random.Generator) -> None:
        side = side_of(count)
        self.world = World([Ship])
        self.peers = peers
        self.interest: Interest = nc.Radius(ENTER, LEAVE)
        self._table = self.world.table(Ship)
        self._ships = Walkers(count, side, 0.0, rng)
        # Away from the edge, so that all see about as many.
        self._viewers = Walkers(peers, side, LEAVE, rng)
        for _ in range(count):
            self.world.spawn(Ship)
        self._write()

    def advance(self) -> None:
        self._ships.step()
        self._viewers.step()
        self._write()

    def viewpoints(self) -> NDArray[np.float64] | None:
        return np.stack([self._viewers.x, self._viewers.y], axis=1)

    def dirty(self) -> dict[int, NDArray[np.intp]] | None:
        return None

    def _write(self) -> None:
        _place_ships(self._table, np.arange(len(self._ships)), self._ships)


class Idle:
    """Ships that rest, a few among them that move, and peers that see everything."""

    follows = False

    def __init__(self, resting: int, moving: int, peers: int, rng: np.random.Generator) -> None:
        self.world = World([Ship])
        self.peers = peers
        self.interest: Interest = nc.Everything()
        self._table = self.world.table(Ship)
        count = resting + moving
        side = side_of(count)
        for _ in range(count):
            self.world.spawn(Ship)
        _place_ships(self._table, np.arange(count), Walkers(count, side, 0.0, rng))
        # Spread over the rows: nothing is gained by their lying side by side.
        self._rows = np.linspace(0, count - 1, moving).astype(np.intp)
        self._movers = Walkers(moving, side, 0.0, rng)
        self.advance()

    def advance(self) -> None:
        self._movers.step()
        _place_ships(self._table, self._rows, self._movers)

    def viewpoints(self) -> NDArray[np.float64] | None:
        return None

    def dirty(self) -> dict[int, NDArray[np.intp]] | None:
        return {0: self._rows}


def _place_ships(table: Table[Any], rows: NDArray[np.intp], walkers: Walkers) -> None:
    table.x[rows], table.y[rows] = walkers.x, walkers.y
    table.vx[rows], table.vy[rows] = walkers.vx, walkers.vy
    table.heading[rows] = walkers.heading


# -- twelve classes --------------------------------------------------------------------------


class Mood(enum.Enum):
    CALM = 1
    CROSS = 2
    WILD = 3


class Airy(nc.Entity):
    """Moves with vectors and a rotation."""

    position = nc.Vec2(-12_000, 12_000, step=0.05)
    velocity = nc.Vec3(-400, 400, step=0.1)
    turned = nc.Quat(bits=10)


class Cruiser(Flat):
    """What the players control."""

    hull = nc.Int(0, 100, default=100)
    name = nc.Text(max_bytes=24)
    ammo = nc.Int(0, 255, default=99, only_owner=True)
    orders = nc.Text(max_bytes=24, only_owner=True)


class Fighter(Flat):
    hull = nc.Int(0, 50, default=50)
    prey = nc.Ref(Cruiser)


class Freighter(Flat):
    name = nc.Text(max_bytes=24)
    cargo = nc.Int(0, 10_000)


class Ferry(Flat):
    boarding = nc.Bool()
    line = nc.Text(max_bytes=12)


class Patrol(Flat):
    mood = nc.Enum(Mood)
    guards = nc.Ref(Freighter)


class Tug(Flat):
    tows = nc.Ref(Freighter)
    strain = nc.Float(0, 1, step=0.01)


class Buoy(Flat):
    lit = nc.Bool()


class Raft(Flat):
    """Nothing but the motion."""


class Drone(Airy):
    charge = nc.Float(0, 1, step=0.01, default=1.0)
    owner_key = nc.Int(0, 255, only_owner=True)


class Missile(Airy):
    target = nc.Ref(Cruiser)
    armed = nc.Bool()


class Balloon(Airy):
    banner = nc.Text(max_bytes=16)


class Bird(Airy):
    mood = nc.Enum(Mood)


KINDS: tuple[type[Entity], ...] = (
    Cruiser,
    Fighter,
    Freighter,
    Ferry,
    Patrol,
    Tug,
    Buoy,
    Raft,
    Drone,
    Missile,
    Balloon,
    Bird,
)

TOLD = tuple(kind for kind in KINDS if any(isinstance(field, Text) for field in kind.fields))
"""The classes whose texts change."""


class Mixed:
    """As many entities as a plain world, over twelve classes, some of which come and go.

    Each peer controls a cruiser and looks from there. At each broadcast `EVENTS` entities spawn,
    leave, or change a text together with everything else about them that is not motion.
    """

    follows = True

    def __init__(self, count: int, peers: int, rng: np.random.Generator) -> None:
        self._rng = rng
        side = side_of(count)
        self.world = World(KINDS)
        self.peers = peers
        self.interest: Interest = nc.Radius(ENTER, LEAVE)
        self._own = Walkers(peers, side, LEAVE, rng)
        self._others = Walkers(count - peers, side, 0.0, rng)
        cruisers = self.world.table(Cruiser)
        self._said = 0
        for number in range(peers):
            self.world.spawn(Cruiser, name=f"player {number + 1}")
            cruisers.own(number, number + 1)  # Rows are taken from 0 on.
        self._entities: list[Any] = []
        """The entity that each of the others' walkers moves; None for a broadcast."""
        self._gone: list[int] = []
        for number in range(len(self._others)):
            self._entities.append(self._spawn(_kind_of(number)))
        self._write()

    def advance(self) -> None:
        self._own.step()
        self._others.step()
        standing = [n for n, entity in enumerate(self._entities) if entity is not None]
        leaving = self._rng.choice(standing, EVENTS // 3, replace=False).tolist()
        for number in self._gone:
            self._entities[number] = self._spawn(_kind_of(number))
        for number in leaving:
            self.world.despawn(self._entities[number])
            self._entities[number] = None
        self._gone = leaving
        for _ in range(EVENTS - 2 * (EVENTS // 3)):
            kind = TOLD[int(self._rng.integers(len(TOLD)))]
            self._tell(self._any(kind))
        self._write()

    def viewpoints(self) -> NDArray[np.float64] | None:
        return np.stack([self._own.x, self._own.y], axis=1)

    def dirty(self) -> dict[int, NDArray[np.intp]] | None:
        return None

    def _spawn(self, kind: type[Entity]) -> Any:
        entity = self.world.spawn(kind)
        self._tell(entity)
        return entity

    def _any(self, kind: type[Entity]) -> Any:
        table = self.world.table(kind)
        rows = table.rows()
        return table.at(int(self._rng.choice(rows)))

    def _tell(self, entity: Any) -> None:
        """Change everything about an entity that is not motion."""
        for field in type(entity).fields:
            match field:
                case Text():
                    self._said += 1
                    setattr(entity, field.name, f"call {self._said}")
                case Int():
                    value = int(self._rng.integers(field.low, field.high, endpoint=True))
                    setattr(entity, field.name, value)
                case Bool():
                    setattr(entity, field.name, not getattr(entity, field.name))
                case Enum():
                    member = field.members[int(self._rng.integers(len(field.members)))]
                    setattr(entity, field.name, member)
                case nc.Ref():
                    (kind,) = (kind for kind in KINDS if kind.__name__ == field.target)
                    if len(self.world.table(kind)):
                        setattr(entity, field.name, self._any(kind))

    def _write(self) -> None:
        _place(self.world.table(Cruiser), np.arange(len(self._own)), self._own, slice(None))
        for table, rows, walkers in self._by_table():
            _place(table, rows, self._others, walkers)

    def _by_table(self) -> Iterator[tuple[Table[Any], NDArray[np.intp], NDArray[np.intp]]]:
        for first, kind in enumerate(KINDS):
            numbers = range(first, len(self._entities), len(KINDS))
            walkers = [number for number in numbers if self._entities[number] is not None]
            rows = [self._entities[number]._row for number in walkers]
            yield self.world.table(kind), np.array(rows, np.intp), np.array(walkers, np.intp)


def _kind_of(number: int) -> type[Entity]:
    return KINDS[number % len(KINDS)]


def _place(table: Table[Any], rows: NDArray[np.intp], walkers: Walkers, chosen: Any) -> None:
    x, y = walkers.x[chosen], walkers.y[chosen]
    vx, vy, heading = walkers.vx[chosen], walkers.vy[chosen], walkers.heading[chosen]
    if issubclass(table.kind, Flat):
        table.x[rows], table.y[rows] = x, y
        table.vx[rows], table.vy[rows] = vx, vy
        table.heading[rows] = heading
        return
    turn = walkers.turn[chosen]
    climb = 20.0 * turn * np.sin(heading)
    table.position[rows] = np.stack([x, y], axis=1)
    table.velocity[rows] = np.stack([vx, vy, climb], axis=1)
    # It leans into its turns: yaw by the heading after a roll by the turn.
    sin_yaw, cos_yaw = np.sin(heading / 2), np.cos(heading / 2)
    sin_roll, cos_roll = np.sin(turn / 4), np.cos(turn / 4)
    table.turned[rows] = np.stack(
        [cos_yaw * sin_roll, sin_yaw * sin_roll, sin_yaw * cos_roll, cos_yaw * cos_roll], axis=1
    )
