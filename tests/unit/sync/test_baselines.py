"""Baselines: which past values both ends share, and the weights with which they are continued."""

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest

from netcode.sync.baselines import (
    HOLD,
    PLACES,
    PREDICTORS,
    REACH,
    RESTING,
    SAMPLES,
    WINDOW,
    Acknowledged,
    Patterns,
    samples_of,
    shared,
    weights_of,
)
from netcode.wire.packets import MAX_PACKETS


def mask_of(*ages: int) -> int:
    return sum(1 << (age - 1) for age in ages)


# -- samples ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ages", "degree", "distance", "samples"),
    [
        ((1, 2, 3), 0, 1, [1]),
        ((4, 5, 9), 0, 1, [4]),
        ((1, 2, 3, 4), 1, 1, [1, 2]),
        ((1, 2, 3, 4), 1, 2, [1, 3]),
        ((2, 3, 5, 6), 2, 2, [2, 5]),
        ((2, 3, 5, 7), 2, 2, [2, 5, 7]),
        ((1, 4, 7, 10, 13), 3, 3, [1, 4, 7, 10]),
        ((1, 2, 3, 5, 8, 12), 3, 3, [1, 5, 8, 12]),
        ((15,), 3, 3, [15]),
        ((), 0, 1, [RESTING]),
        ((), 3, 2, [RESTING]),
    ],
)
def test_samples_are_the_newest_shared_values_at_a_distance(
    ages: tuple[int, ...], degree: int, distance: int, samples: list[int]
) -> None:
    assert samples_of(mask_of(*ages), degree, distance) == samples


def test_samples_of_any_mask_are_shared_apart_and_no_more_than_needed() -> None:
    for mask in range(0, 1 << REACH, 7):
        for degree, distance in PREDICTORS:
            ages = samples_of(mask, degree, distance)
            if mask == 0:
                assert ages == [RESTING]
                continue
            assert 1 <= len(ages) <= degree + 1 <= SAMPLES
            assert all(mask >> (age - 1) & 1 for age in ages)
            assert all(b - a >= distance for a, b in itertools.pairwise(ages))
            assert mask & ((1 << (ages[0] - 1)) - 1) == 0, "the newest shared value is the first"


# -- weights ---------------------------------------------------------------------------------


def exact_weights(ages: list[int]) -> list[Fraction]:
    """The weights that continue every polynomial through these ages, by solving for them: for
    all powers p below their number, the weighted ages**p add up to 0**p."""
    count = len(ages)
    rows = [
        [Fraction(age) ** power for age in ages] + [Fraction(0) ** power] for power in range(count)
    ]
    for column in range(count):
        pivot = next(r for r in range(column, count) if rows[r][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(count):
            if row != column:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[-1] for row in rows]


ALL_AGES = [
    list(ages)
    for count in (1, 2, 3)
    for ages in itertools.combinations(range(1, RESTING + 1), count)
] + random.Random(1).sample(list(map(list, itertools.combinations(range(1, REACH + 1), 4))), k=300)


def test_weights_are_the_rational_numbers_they_stand_for() -> None:
    """Each is the float that is nearest to the exact number: one division of small integers."""
    for ages in ALL_AGES:
        exact = exact_weights(ages)
        assert weights_of(ages) == [w.numerator / w.denominator for w in exact], ages
        assert sum(exact) == 1


@pytest.mark.parametrize(
    ("ages", "weights"),
    [([3], [1.0]), ([1, 2], [2.0, -1.0]), ([1, 2, 3], [3.0, -3.0, 1.0]), ([2, 4], [2.0, -1.0])],
)
def test_weights_of_neighbours_are_those_of_the_textbook(
    ages: list[int], weights: list[float]
) -> None:
    assert weights_of(ages) == weights


def test_a_polynomial_is_continued_exactly() -> None:
    rng = random.Random(2)
    for ages in rng.sample(ALL_AGES, k=100):
        factors = [rng.randint(-9, 9) for _ in ages]
        values = [sum(f * (-age) ** p for p, f in enumerate(factors)) for age in ages]
        told = sum(v * w for v, w in zip(values, weights_of(ages), strict=True))
        assert told == pytest.approx(factors[0], abs=1e-6)


# -- patterns --------------------------------------------------------------------------------


def test_patterns_hold_what_samples_and_weights_say() -> None:
    patterns = Patterns()
    rng = random.Random(3)
    masks = np.array([0, *(rng.randrange(1 << REACH) for _ in range(400))], dtype=np.uint16)
    rows = patterns.rows(masks)
    assert patterns.count <= len(set(masks.tolist()))
    for mask, row in zip(masks.tolist(), rows.tolist(), strict=True):
        assert patterns.newest[row] == samples_of(mask, *PREDICTORS[HOLD])[0]
        for number, (degree, distance) in enumerate(PREDICTORS):
            ages = samples_of(mask, degree, distance)
            weights = patterns.weights[row, number]
            assert patterns.ages[row, number, : len(ages)].tolist() == ages
            assert weights.tolist() == weights_of(ages) + [0.0] * (SAMPLES - len(ages))
            assert patterns.ages[row, number].min() >= 1
            assert patterns.ages[row, number].max() <= RESTING


def test_a_pattern_is_worked_out_once() -> None:
    patterns = Patterns()
    first = patterns.rows(np.array([5, 9, 5], dtype=np.uint16)).tolist()
    assert patterns.rows(np.array([9, 5], dtype=np.uint16)).tolist() == [first[1], first[0]]
    assert patterns.count == 2
    assert patterns.rows(np.array([], dtype=np.uint16)).tolist() == []


# -- acknowledged ----------------------------------------------------------------------------


def naive(
    sent: dict[int, tuple[int, int]], newest: int, window: int, number: int
) -> list[list[bool]]:
    """By age and packet: whether it is acknowledged."""
    got = []
    for age in range(1, REACH + 1):
        first, count = sent.get(number - age, (0, 0))
        behind = [newest - (first + index) for index in range(count)]
        got.append([b == 0 or (b > 0 and window >> (b - 1) & 1 == 1) for b in behind])
    return got


@pytest.mark.parametrize("seed", range(20))
def test_acknowledgements_are_what_the_windows_say(seed: int) -> None:
    rng = random.Random(seed)
    acknowledged = Acknowledged()
    slots = rng.randint(1, 4)
    acknowledged.fit(slots)
    sent: list[dict[int, tuple[int, int]]] = [{} for _ in range(slots)]
    sequence = [0] * slots
    said = [(0, 0)] * slots
    for number in range(1, 60):
        acknowledged.skip(number)
        for slot in range(slots):
            if rng.random() < 0.5 and sequence[slot]:
                newest = rng.randint(max(1, sequence[slot] - 20), sequence[slot])
                window = rng.getrandbits(WINDOW) | rng.getrandbits(WINDOW)
                acknowledged.heard(slot, newest, window)
                said[slot] = newest, window
        acknowledged.work_out()
        whole, partly = acknowledged.by_slot(number)
        table = acknowledged.table
        for slot in range(slots):
            expected = naive(sent[slot], *said[slot], number)
            for age, got in enumerate(expected, 1):
                row = table[(number - age) % PLACES, slot]
                assert row[1 : len(got) + 1].tolist() == got
                assert not row[0]
                assert not row[len(got) + 1 :].any()
                assert bool(whole[slot] >> (age - 1) & 1) == (len(got) > 0 and all(got))
                assert bool(partly[slot] >> (age - 1) & 1) == (any(got) and not all(got))
        for slot in range(slots):
            count = rng.choice([1, 1, 2, MAX_PACKETS])
            acknowledged.sent(slot, number, sequence[slot] + 1, count)
            sent[slot][number] = sequence[slot] + 1, count
            sequence[slot] += count


def test_who_comes_into_a_slot_has_acknowledged_nothing() -> None:
    acknowledged = Acknowledged()
    acknowledged.fit(3)
    acknowledged.sent(1, 5, 1, 2)
    acknowledged.heard(1, 2, 1)
    acknowledged.work_out()
    assert acknowledged.by_slot(6)[0].tolist()[1] == 1
    acknowledged.forget(1)
    acknowledged.work_out()
    assert [mask.tolist()[1] for mask in acknowledged.by_slot(6)] == [0, 0]
    acknowledged.forget(99)  # was never there


def test_shared_looks_up_each_rows_own_packets() -> None:
    mention = np.zeros((REACH, 3), dtype=np.uint8)
    table = np.zeros((REACH, 2, MAX_PACKETS + 1), dtype=np.uint16)
    mention[0] = [1, 2, 0]
    mention[4] = [1, 1, 1]
    table[0, 0, 1] = table[4, 0, 1] = 1
    table[0, 1, 2] = 1
    assert shared(mention, table, np.array([0, 1, 0])).tolist() == [0b10001, 0b00001, 0b10000]
    assert shared(mention, table, 0).tolist() == [0b10001, 0b10000, 0b10000]
