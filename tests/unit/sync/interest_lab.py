"""Tables, viewers and what they see: for the tests of interest."""

import enum
import math

import numpy as np

from netcode.declarations import Entity
from netcode.fields import Enum, Float, Int, Text
from netcode.sync.interest import ALL, Interest, Viewers
from netcode.vectors import Vec2, Vec3
from netcode.world.table import Table
from netcode.world.world import World

NOWHERE = (math.nan, math.nan, math.nan)


class Team(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Flat(Entity):
    x = Float(-1000, 1000, step=1)
    y = Float(-1000, 1000, step=1)
    group = Int(0, 100)


class Deep(Entity):
    x = Float(-1000, 1000, step=1)
    y = Float(-1000, 1000, step=1)
    z = Float(-1000, 1000, step=1)


class Point(Entity):
    position = Vec2(-1000, 1000, step=1)


class Space(Entity):
    position = Vec3(-1000, 1000, step=1)


class Tile(Entity):
    x = Int(-1000, 1000)
    y = Int(-1000, 1000)


class Score(Entity):
    points = Int(0, 10)
    team = Enum(Team)


class Label(Entity):
    position = Text(max_bytes=8)
    x = Text(max_bytes=8)
    y = Text(max_bytes=8)
    group = Float(0, 1, step=0.1)


def table_of(kind: type[Entity], spots=(), dead=(), **columns) -> Table:
    """A table whose entities are at these spots, and whose columns are as given."""
    table = World([kind]).table(kind)
    count = len(spots) or len(next(iter(columns.values())))
    for _ in range(count):
        table.spawn()
    for row in dead:
        table.despawn(row)
    if len(spots):
        here = np.asarray(spots, dtype=float)
        if kind in (Point, Space):
            table["position"] = here
        else:
            for axis in range(here.shape[1]):
                table["xyz"[axis]] = here[:, axis]
    for name, values in columns.items():
        table[name] = values
    return table


def looking(
    table: Table, viewpoints=(NOWHERE,), *, told=None, players=None, groups=None
) -> Viewers:
    """Viewers at these places; ``told``: intervals of shape (viewers, rows), or a bool array."""
    points = np.array(viewpoints, dtype=float).reshape(-1, 3)
    count = len(points)
    so_far = np.zeros((count, table.size), dtype=np.uint8)
    if told is not None:
        so_far[:] = told

    def tell(keys):
        assert (np.diff(keys) > 0).all(), "asked in ascending order, each key once"
        return so_far.ravel()[keys]

    return Viewers(
        players=np.arange(1, count + 1) if players is None else np.array(players, dtype=np.int64),
        viewpoints=points,
        groups=[frozenset()] * count if groups is None else [frozenset(g) for g in groups],
        rows=table.size,
        told=tell,
    )


def in_view(policy: Interest, table: Table, viewers: Viewers) -> list[list[int]] | None:
    """The rows that each viewer sees; None if the policy has no opinion."""
    pairs = policy.pairs(table, viewers)
    if pairs is None:
        assert policy.visible(table, viewers) is None
        return None
    if pairs is ALL:
        return [table.rows().tolist()] * len(viewers)
    assert pairs.dtype == np.int64
    assert (np.diff(pairs) > 0).all(), "strictly ascending"
    dense = np.zeros((len(viewers), table.size), dtype=bool)
    dense.ravel()[pairs] = True
    assert not dense[:, ~table.alive].any(), "only the living"
    asked = policy.visible(table, viewers)
    assert np.array_equal(np.broadcast_to(asked, dense.shape) & table.alive, dense)
    return [np.flatnonzero(row).tolist() for row in dense]


def at_distance(policy, distances, *, told=None) -> list[int]:
    """What a viewer at the origin sees of entities at these distances."""
    table = table_of(Flat, [(d, 0) for d in distances])
    seen = in_view(policy, table, looking(table, [(0, 0, 0)], told=told))
    assert seen is not None
    return seen[0]


def rates(policy, distances, *, told=0) -> list[int] | None:
    """The intervals of entities at these distances, all of them asked for."""
    table = table_of(Flat, [(d, 0) for d in distances], group=[1] * len(distances))
    viewers = looking(table, [(0, 0, 0)], told=told, groups=[{1}])
    found = policy.intervals(table, viewers, np.arange(table.size))
    if found is None:
        return None
    assert found.dtype == np.uint8
    return found.tolist()


def random_case(seed: int, axes: int, world: float, rows: int, count: int):
    """A table and viewers all over a world, some of them nowhere, dead or far out of it."""
    rng = np.random.default_rng(seed)
    spots = rng.uniform(-world, world, (rows, axes))
    # On whole numbers many distances are exactly the radius.
    spots[: rows // 2] = spots[: rows // 2].round()
    points = np.zeros((count, 3))
    points[:, :axes] = rng.uniform(-world, world, (count, axes)).round()
    points[: count // 4, :axes] = spots[rng.integers(0, rows, count // 4)]
    spots[-6:, 0] = (1e9, -1e9, 1e18, math.inf, math.nan, 1e308)
    points[-4:, 0] = (1e9 + 5, 1e18, math.nan, -math.inf)
    points[-4:-2, 1:axes] = spots[[-6, -4], 1:]
    dead = rng.choice(rows - 6, rows // 10, replace=False)
    table = table_of(Flat if axes == 2 else Space, spots, dead=dead.tolist())
    told = rng.choice(np.array([0, 0, 1, 2, 4, 8], dtype=np.uint8), (count, rows))
    return table, looking(table, points, told=told), told, spots


def distances_of(viewers: Viewers, spots) -> np.ndarray:
    apart = viewers.viewpoints[:, None, : spots.shape[1]] - spots[None]
    with np.errstate(all="ignore"):
        return np.sqrt((apart * apart).sum(axis=2))
