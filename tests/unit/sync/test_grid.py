"""The grid finds what measuring every distance finds."""

import numpy as np
import pytest

from netcode.sync import grid
from netcode.sync.interest import Radius
from tests.unit.sync.interest_lab import (
    distances_of,
    random_case,
)

CASES = [
    # axes, half width of the world, rows, viewers, enter, leave; what of it is special
    pytest.param(2, 100, 60, 40, 25, 30, id="few, all pairs are tried"),
    pytest.param(2, 1000, 3000, 40, 50, 60, id="a grid"),
    pytest.param(2, 1000, 3000, 40, 5, 5, id="a world of many times the grid's period"),
    pytest.param(2, 100, 3000, 40, 90, 150, id="a radius like the world"),
    pytest.param(3, 300, 3000, 40, 50, 60, id="a grid in 3D"),
    pytest.param(3, 1000, 3000, 40, 20, 30, id="far in 3D"),
    pytest.param(2, 200, 20_000, 60, 25, 30, id="more candidates than one block takes"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("axes", "world", "rows", "count", "enter", "leave"), CASES)
def test_the_grid_finds_what_measuring_every_distance_finds(
    axes, world, rows, count, enter, leave, seed
) -> None:
    table, viewers, told, spots = random_case(seed, axes, world, rows, count)
    distance = distances_of(viewers, spots)
    with np.errstate(invalid="ignore"):
        expected = (distance <= np.where(told > 0, leave, enter)) & table.alive
    found = Radius(enter, leave).pairs(table, viewers)
    assert isinstance(found, np.ndarray)
    assert expected.any()
    assert found.tolist() == np.flatnonzero(expected).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("axes", [2, 3])
def test_a_grid_far_from_the_origin_misses_nothing(axes: int, seed: int) -> None:
    """Where coordinates are so large that cells are rounded, and beyond the farthest cell."""
    rng = np.random.default_rng(seed)
    for centre in (1e6, -1e9, 1e12, 1e15, -1e17):
        places = [centre + rng.integers(-400, 400, 5000).astype(float) for _ in range(axes)]
        points = centre + rng.integers(-400, 400, (20, axes)).astype(float)
        reach = float(rng.uniform(20, 40))
        found = sorted(
            (p, q)
            for point, place, _ in grid.near(places, points, reach)
            for p, q in zip(point.tolist(), place.tolist(), strict=True)
        )
        apart = points[:, None] - np.stack(places, axis=1)[None]
        expected = np.argwhere((apart * apart).sum(axis=2) <= reach * reach)
        assert found == [tuple(pair) for pair in expected.tolist()], f"at {centre}"


@pytest.mark.parametrize("axes", [2, 3])
def test_what_is_exactly_at_the_reach_is_found_wherever_cells_begin(axes: int) -> None:
    rng = np.random.default_rng(1)
    reach = 4.0
    points = rng.integers(0, 1 << 20, (600, axes)) / 64  # so that all sums here are exact
    edges = np.concatenate([np.eye(axes), -np.eye(axes)]) * reach
    places = (points[:, None] + edges).reshape(-1, axes)
    found = {
        (p, q)
        for point, place, _ in grid.near(list(places.T), points, reach)
        for p, q in zip(point.tolist(), place.tolist(), strict=True)
    }
    edge_count = len(edges)
    assert found >= {(q // edge_count, q) for q in range(len(places))}


def test_one_place_that_has_been_flung_away_costs_no_more_candidates() -> None:
    rng = np.random.default_rng(1)
    places = [rng.uniform(0, 1000, 5000) for _ in range(2)]
    points = rng.uniform(0, 1000, (50, 2))
    *_, before = grid._candidates(places, points, 40.0)
    places[0][0] = points[0, 0] = 1e9
    *_, after = grid._candidates(places, points, 40.0)
    assert after.sum() < before.sum() * 1.1
    assert before.sum() < 50 * 5000 / 50
