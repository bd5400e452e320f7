"""The predictor: the same integers at both ends, whatever the samples."""

import math
import random
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from netcode.sync.baselines import REACH, weights_of
from netcode.sync.predictor import (
    extrapolate,
    extrapolate_wrapping,
    from_zigzag,
    zigzag,
)


def predict(samples: list[int], ages: list[int], bits: int, *, wraps: bool = False) -> int:
    """One value; of lanes that wrap, brought into their range."""
    columns = [np.array([sample], dtype=np.int32) for sample in samples]
    weights = [np.array([weight]) for weight in weights_of(ages)]
    if not wraps:
        return int(extrapolate(columns, weights, np.array([float((1 << bits) - 1)]))[0])
    half, mask = np.array([1 << (bits - 1)]), np.array([(1 << bits) - 1])
    return int(extrapolate_wrapping(columns, weights, half, mask)[0]) % (1 << bits)


@pytest.mark.parametrize(
    ("samples", "ages", "expected"),
    [
        ([7], [4], 7),
        ([10, 8], [1, 2], 12),
        ([10, 9], [2, 4], 11),
        ([9, 4, 1], [1, 2, 3], 16),
        ([27, 8, 1, 0], [1, 2, 3, 4], 64),
        ([10, 9], [2, 5], 11),  # 10.67
        ([10, 9], [1, 3], 11),  # 10.5 goes up
        ([9, 10], [1, 3], 9),  # 8.5 goes up as well
    ],
)
def test_motion_goes_on(samples: list[int], ages: list[int], expected: int) -> None:
    assert predict(samples, ages, 10) == expected


@pytest.mark.parametrize(("samples", "expected"), [([1, 5], 0), ([1022, 1010], 1023)])
def test_a_range_is_not_left(samples: list[int], expected: int) -> None:
    assert predict(samples, [1, 2], 10) == expected


@pytest.mark.parametrize(
    ("samples", "ages", "expected"),
    [
        ([2, 1020], [1, 2], 8),  # over the top: 6 further each time
        ([1020, 2], [1, 2], 1014),
        ([1, 1023, 1021, 1019], [1, 2, 3, 4], 3),
        ([512, 0], [1, 2], 0),  # half a turn, either way
    ],
)
def test_an_angle_turns_on(samples: list[int], ages: list[int], expected: int) -> None:
    assert predict(samples, ages, 10, wraps=True) == expected


@pytest.mark.parametrize("bits", [2, 9, 24])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.49, -0.2, -0.49])
def test_a_steady_turn_is_predicted_for_ever(bits: int, share: float) -> None:
    span = 1 << bits
    rate = round(share * span)
    if abs(rate) < span / 2:
        for ages in ([1, 2], [1, 2, 3], [1, 2, 3, 4]):
            for now in range(0, 2 * span, max(1, span // 9)):
                samples = [(now - age * rate) % span for age in ages]
                assert predict(samples, ages, bits, wraps=True) == now % span


AGES = st.lists(st.integers(1, REACH), min_size=1, max_size=4, unique=True).map(sorted)


@given(st.data(), AGES, st.integers(1, 31), st.booleans())
def test_the_documented_order_of_operations(
    data: st.DataObject, ages: list[int], bits: int, wraps: bool
) -> None:
    """Worked out by hand in Python's floats, which are the same everywhere."""
    bits = min(bits, 24) if wraps else bits
    span = 1 << bits
    samples = data.draw(st.lists(st.integers(0, span - 1), min_size=len(ages), max_size=len(ages)))
    heights = samples[:1]
    for sample in samples[1:]:
        apart = heights[-1] - sample
        if wraps:
            apart = (apart + span // 2) % span - span // 2
        heights.append(heights[-1] - apart)
    weights = weights_of(ages)
    total = heights[0] * weights[0]
    for height, weight in zip(heights[1:], weights[1:], strict=True):
        total += height * weight
    expected = math.floor(total + 0.5)
    expected = expected % span if wraps else min(max(expected, 0), span - 1)
    assert predict(samples, ages, bits, wraps=wraps) == expected


@given(st.data(), AGES)
def test_floats_are_enough_for_the_largest_lanes(data: st.DataObject, ages: list[int]) -> None:
    """With 31 bits the rounding of floats is far below the half that decides."""
    samples = data.draw(
        st.lists(st.integers(0, (1 << 31) - 1), min_size=len(ages), max_size=len(ages))
    )
    exact: Fraction = sum(
        (
            Fraction(sample)
            * math.prod(other for other in ages if other != age)
            / math.prod(other - age for other in ages if other != age)
            for sample, age in zip(samples, ages, strict=True)
        ),
        Fraction(0),
    )
    expected = min(max(exact, Fraction(0)), Fraction((1 << 31) - 1))
    assert abs(predict(samples, ages, 31) - expected) <= Fraction(501, 1000)


@pytest.mark.parametrize("wraps", [False, True])
def test_cells_do_not_disturb_each_other(wraps: bool) -> None:
    rng = random.Random(4)
    cells = []
    for _ in range(200):
        bits, ages = rng.randint(2, 20), sorted(rng.sample(range(1, REACH + 1), k=3))
        cells.append((bits, ages, [rng.randrange(1 << bits) for _ in ages]))
    samples = [np.array([cell[2][i] for cell in cells], dtype=np.int32) for i in range(3)]
    weights = [np.array([weights_of(cell[1])[i] for cell in cells]) for i in range(3)]
    span = np.array([1 << cell[0] for cell in cells])
    if wraps:
        together = extrapolate_wrapping(samples, weights, span >> 1, span - 1) % span
    else:
        together = extrapolate(samples, weights, (span - 1).astype(np.float64))
    for (bits, ages, lanes), value in zip(cells, together.tolist(), strict=True):
        assert value == predict(lanes, ages, bits, wraps=wraps)


# -- residuals -------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 5, 31])
def test_a_residual_brings_every_value_back_from_every_prediction(bits: int) -> None:
    span = 1 << bits
    rng = random.Random(5)
    values = [0, 1, span - 1, span // 2, *(rng.randrange(span) for _ in range(50))]
    # A prediction of an angle may be turns away.
    guesses = [0, span - 1, -1, span, *(rng.randrange(-9 * span, 9 * span) for _ in range(50))]
    value, guess = (np.array(grid).ravel() for grid in np.meshgrid(values, guesses))
    half, mask = np.full(len(value), 1 << (bits - 1)), np.full(len(value), span - 1)
    codes = zigzag(value, guess, half, mask)
    assert codes.min() >= 0
    assert codes.max() < span, "so that a code fits into the lane's own bits"
    assert from_zigzag(codes, guess, mask).tolist() == value.tolist()


def test_small_residuals_have_small_codes() -> None:
    guess = np.full(5, 100)
    half, mask = np.full(5, 512), np.full(5, 1023)
    codes = zigzag(np.array([100, 99, 101, 98, 102]), guess, half, mask)
    assert codes.tolist() == [0, 1, 2, 3, 4]


def test_over_the_edge_is_near() -> None:
    half, mask = np.array([512]), np.array([1023])
    assert zigzag(np.array([1]), np.array([1023]), half, mask).tolist() == [4]
