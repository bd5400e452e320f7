"""Pairs that touch, found by whole columns, are those that a plain loop finds."""

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from demo_game.collisions import clearance, first_touch, pairs_within, touching

PLACES = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), max_size=12)


def columns(places: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(places, dtype=float).reshape(len(places), 2)
    return array[:, 0], array[:, 1]


def near(a: tuple[float, float], b: tuple[float, float], reach: float) -> bool:
    dx, dy = a[0] - b[0], a[1] - b[1]
    return dx * dx + dy * dy < reach * reach


@given(PLACES, PLACES, st.floats(0, 150))
def test_touching_is_what_a_loop_finds(a: list, b: list, reach: float) -> None:
    found = set(
        zip(*(rows.tolist() for rows in touching(*columns(a), *columns(b), reach)), strict=True)
    )
    expected = {
        (i, j)
        for i, j in itertools.product(range(len(a)), range(len(b)))
        if near(a[i], b[j], reach)
    }
    assert found == expected
    first = first_touch(*columns(a), *columns(b), reach)
    assert first[0].tolist() == sorted({i for i, _ in expected})
    assert set(zip(*(rows.tolist() for rows in first), strict=True)) <= expected


@given(PLACES, st.floats(0, 150))
def test_pairs_within_names_each_pair_once(a: list, reach: float) -> None:
    found = list(zip(*(rows.tolist() for rows in pairs_within(*columns(a), reach)), strict=True))
    pairs = itertools.combinations(range(len(a)), 2)
    assert sorted(found) == [(i, j) for i, j in pairs if near(a[i], a[j], reach)]


def test_reach_may_differ_for_each_of_the_others() -> None:
    x = np.array([0.0])
    others = np.array([10.0, 10.0])
    i, j = touching(x, x, others, np.zeros(2), np.array([5.0, 15.0]))
    assert (i.tolist(), j.tolist()) == ([0], [1])


def test_clearance_is_the_distance_to_the_nearest() -> None:
    x, y = columns([(0, 0), (10, 0)])
    assert clearance(x, y, *columns([(0, 3), (14, 3)])).tolist() == [3.0, 5.0]
    assert clearance(x, y, *columns([])).tolist() == [math.inf, math.inf]
