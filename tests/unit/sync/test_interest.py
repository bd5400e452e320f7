"""Who sees what."""

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.sync.interest import Viewers, positions
from netcode.world.world import World

NOWHERE = (np.nan, np.nan, np.nan)


class Flat(nc.Entity):
    x = nc.Float(-1000, 1000, step=1)
    y = nc.Float(-1000, 1000, step=1)


class Deep(nc.Entity):
    x = nc.Float(-1000, 1000, step=1)
    y = nc.Float(-1000, 1000, step=1)
    z = nc.Float(-1000, 1000, step=1)


class Point(nc.Entity):
    position = nc.Vec2(-1000, 1000, step=1)


class Space(nc.Entity):
    position = nc.Vec3(-1000, 1000, step=1)


class Score(nc.Entity):
    points = nc.Int(0, 10)


class Label(nc.Entity):
    position = nc.Text(max_bytes=8)


def see(policy, kind, spots, viewpoints, seen=None) -> list[list[bool]]:
    """What each viewer sees of entities at these spots."""
    table = World([kind]).table(kind)
    for spot in spots:
        match kind.fields:
            case (nc.Vec2() | nc.Vec3(),):
                table.spawn(position=spot)
            case _:
                table.spawn(**dict(zip("xyz", spot, strict=False)))
    shape = (len(viewpoints), len(spots))
    seen = np.zeros(shape, dtype=bool) if seen is None else np.array(seen)
    viewers = Viewers(np.array(viewpoints, dtype=float).reshape(-1, 3), seen)
    return policy.visible(table, viewers).tolist()


def test_everything_shows_all_that_lives() -> None:
    table = World([Flat]).table(Flat)
    for _ in range(3):
        table.spawn()
    table.despawn(1)
    viewers = Viewers(np.full((2, 3), np.nan), np.zeros((2, 3), dtype=bool))
    assert nc.Everything().visible(table, viewers).tolist() == [[True, False, True]] * 2


@pytest.mark.parametrize(
    ("kind", "spots"),
    [
        (Flat, [(3, 4), (3, 5)]),
        (Point, [(3, 4), (3, 5)]),
        (Deep, [(3, 0, 4), (3, 0, 5)]),
        (Space, [(0, 3, 4), (0, 3, 5)]),
    ],
)
def test_the_edge_of_the_radius_is_in_view(kind, spots) -> None:
    assert see(nc.Radius(5, 5), kind, spots, [(0, 0, 0)]) == [[True, False]]


def test_height_counts_only_where_there_is_any() -> None:
    assert see(nc.Radius(5), Flat, [(0, 0)], [(0, 0, 99)]) == [[True]]
    assert see(nc.Radius(5), Deep, [(0, 0, 0)], [(0, 0, 99)]) == [[False]]


def test_what_has_entered_stays_until_it_is_beyond_the_leave_distance() -> None:
    radius = nc.Radius(100)
    spots = [(99, 0), (101, 0), (109, 0), (111, 0)]
    assert see(radius, Flat, spots, [(0, 0, 0)]) == [[True, False, False, False]]
    seen = [[True] * 4]
    assert see(radius, Flat, spots, [(0, 0, 0)], seen) == [[True, True, True, False]]


def test_each_viewer_has_a_view_of_its_own() -> None:
    spots = [(0, 0), (100, 0)]
    viewpoints = [(0, 0, 0), (100, 0, 0), (50, 0, 0)]
    assert see(nc.Radius(10), Flat, spots, viewpoints) == [
        [True, False],
        [False, True],
        [False, False],
    ]


def test_who_looks_from_nowhere_sees_only_what_has_no_position() -> None:
    assert see(nc.Radius(10), Flat, [(0, 0)], [NOWHERE]) == [[False]]
    assert see(nc.Radius(10), Score, [()], [NOWHERE]) == [[True]]


def test_a_position_that_is_no_place_is_not_seen_and_makes_no_noise() -> None:
    spots = [(float("inf"), 0), (float("nan"), 0), (1e308, -1e308)]
    assert see(nc.Radius(10), Flat, spots, [(float("inf"), 0, 0)]) == [[False] * 3]


def test_the_dead_are_not_seen() -> None:
    table = World([Flat]).table(Flat)
    table.spawn()
    table.despawn(0)
    viewers = Viewers(np.zeros((1, 3)), np.ones((1, 1), dtype=bool))
    assert nc.Radius(10).visible(table, viewers).tolist() == [[False]]


def test_a_position_is_found_by_name_and_kind() -> None:
    world = World([Flat, Deep, Point, Space, Score, Label])
    for table in world.tables:
        table.spawn()
    shapes = {table.kind: positions(table) for table in world.tables}
    assert {kind: None if p is None else p.shape for kind, p in shapes.items()} == {
        Flat: (1, 2),
        Deep: (1, 3),
        Point: (1, 2),
        Space: (1, 3),
        Score: None,
        Label: None,
    }


@pytest.mark.parametrize("distance", [0, -1, float("nan")])
def test_a_radius_is_above_zero(distance: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        nc.Radius(distance)


def test_one_cannot_leave_before_one_enters() -> None:
    with pytest.raises(UsageError, match="smaller than enter"):
        nc.Radius(10, 9)
