"""The coder: how each lane is said, and that it is told what that costs."""

import math
import random
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.sync.baselines import HOLD, PREDICTORS
from netcode.sync.coder import DENSE, REST, SPARSE
from netcode.sync.residuals import mend, spread
from netcode.wire.packets import STATE_HEADER_BYTES, decode_state_header
from netcode.wire.state_reader import LaneUpdate, Section, lane_kinds, read_body
from netcode.world.table import MAX_ROWS
from tests.unit.sync.lab import CLEAR, Lab


class Thing(nc.Entity):
    x = nc.Float(0, 10_000, step=1)
    y = nc.Float(0, 10_000, step=1)
    turn = nc.Angle(bits=10)
    hull = nc.Int(0, 100)
    lit = nc.Bool()
    label = nc.Text(max_bytes=8)
    pose = nc.Quat(bits=10)


LANES = {"x": 0, "y": 1, "turn": 2, "hull": 3, "lit": 4, "label": 5, "pose": 6}


class Bench:
    """Some things that a player knows, and what the newest broadcast says of them."""

    def __init__(self, count: int, seed: int = 1) -> None:
        self.lab = Lab((Thing,), random.Random(seed))
        self.things = [self.lab.world.spawn(Thing, x=5000, y=5000) for _ in range(count)]
        self.lab.calm_down(4)

    def step(self) -> Section:
        self.lab.step(CLEAR)
        (data,) = self.lab.sent[1]
        parts = self.lab.history.layout.parts
        body = decode_state_header(data)[1]
        (section,) = read_body(body, [lane_kinds(p.fields) for p in parts], [MAX_ROWS])
        return section

    def lane(self, section: Section, name: str) -> LaneUpdate:
        return section.lanes[LANES[name]]


def modes(section: Section) -> list[int]:
    return [lane.mode for lane in section.lanes]


def test_lanes_at_rest_take_one_bit() -> None:
    bench = Bench(30)
    for thing in bench.things:
        thing.hull = 7
    section = bench.step()
    assert modes(section) == [REST] * 3 + [DENSE] + [REST] * 6
    assert section.updated.tolist() == list(range(30))


def test_a_lane_in_which_little_changes_is_a_list_of_rows_and_values() -> None:
    bench = Bench(60)
    for thing in bench.things:
        thing.x += 100
    bench.things[20].hull = 55
    bench.things[41].hull = 66
    section = bench.step()
    hull = bench.lane(section, "hull")
    assert (bench.lane(section, "x").mode, hull.mode) == (DENSE, SPARSE)
    assert hull.places is not None
    assert hull.values is not None
    assert (hull.places.tolist(), hull.values.tolist()) == ([20, 41], [55, 66])


def test_texts_are_never_predicted() -> None:
    bench = Bench(5)
    for number, thing in enumerate(bench.things):
        thing.label = f"n{number}"
    section = bench.step()
    assert bench.lane(section, "label").mode == SPARSE
    assert section.texts == [f"n{number}" for number in range(5)]


def test_what_has_no_motion_is_only_ever_held() -> None:
    bench = Bench(20)
    for turn in range(12):
        for number, thing in enumerate(bench.things):
            thing.lit = (turn + number) % 2 == 0
        lit = bench.lane(bench.step(), "lit")
        assert (lit.mode, lit.predictor) == (DENSE, HOLD)


def test_a_straight_line_takes_no_residuals_once_it_is_known() -> None:
    bench = Bench(20)
    for turn in range(1, 13):
        for number, thing in enumerate(bench.things):
            thing.x, thing.turn = 5000 + turn * (number + 3), turn * math.tau / 16
        section = bench.step()
        if turn > 3:
            x, angle = bench.lane(section, "x"), bench.lane(section, "turn")
            assert (x.mode, x.codes, angle.codes) == (DENSE, None, None)
            assert PREDICTORS[x.predictor][0] >= 1
    bench.lab.check_equal()


def test_every_lane_finds_its_own_predictor() -> None:
    """Eight broadcasts to try them all, and as many more with enough samples to judge."""
    bench = Bench(10)
    for turn in range(1, 24):
        for number, thing in enumerate(bench.things):
            thing.x = 100 + (number + 3) * turn**2
            thing.y = 5000 + number + turn**3 / 8
            thing.turn = (number + 1) * turn * math.tau / 64
            thing.hull = (turn * (number + 7)) % 101  # no curve at all
        section = bench.step()
    degrees = [PREDICTORS[lane.predictor][0] for lane in section.lanes[:4]]
    assert degrees[0] >= 2
    assert degrees[1] >= 2
    assert degrees[2] >= 1
    assert section.lanes[0].codes is None
    assert section.lanes[2].codes is None
    bench.lab.check_equal()


def test_rows_that_are_as_predicted_are_flagged_where_that_is_cheaper() -> None:
    bench = Bench(40)
    rng = bench.lab.random
    for turn in range(10):
        for number, thing in enumerate(bench.things):
            if number < 30:
                thing.x, thing.y, thing.turn = 5000 + 9 * turn, 5000 - 7 * turn, 0.1 * turn
            else:
                thing.x, thing.y = rng.uniform(0, 10_000), rng.uniform(0, 10_000)
                thing.turn = rng.uniform(0, 6)
        section = bench.step()
    assert section.exact.any()
    x = bench.lane(section, "x")
    assert x.codes is not None
    assert len(x.codes) == len(section.updated) - np.count_nonzero(section.exact)
    assert section.updated[section.exact].max() < 30
    bench.lab.check_equal()


def test_where_nothing_is_as_predicted_no_flag_is_spent() -> None:
    bench = Bench(40)
    for _ in range(4):
        for thing in bench.things:
            thing.x = bench.lab.random.uniform(0, 10_000)
        section = bench.step()
        assert not section.exact.any()


def test_tumbling_rotations_are_told_right_across_every_change_of_component() -> None:
    """What is left out of a Quat changes all the time, in some rows at each broadcast."""
    bench = Bench(12)
    axes = [np.array([math.sin(n), math.cos(3 * n), math.sin(2 * n + 1)]) for n in range(12)]
    left_out: set[int] = set()
    index = bench.lab.world.tables[0].lanes_of(Thing.pose).start
    for turn in range(1, 60):
        for thing, axis in zip(bench.things, axes, strict=True):
            half, unit = turn * 0.11, axis / np.linalg.norm(axis)
            thing.pose = (*(math.sin(half) * unit).tolist(), math.cos(half))
        bench.step()
        bench.lab.check_equal()
        newest = bench.lab.history.newest
        assert newest is not None
        left_out |= set(newest.tables[0].lanes[:, index].tolist())
    assert left_out == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(5))
def test_the_cost_is_what_is_written(seed: int) -> None:
    """`group_bits` leaves out the head of the section and its list of rows; `lane_bits` and
    `pair_bits` say whose bits they are."""
    bench = Bench(25, seed)
    rng = bench.lab.random
    for _ in range(10):
        for thing in bench.things:
            if rng.random() < 0.7:
                thing.x += rng.randint(-2, 9)
                thing.turn += 0.1
            if rng.random() < 0.1:
                thing.hull = rng.randint(0, 100)
                thing.label = "z" * rng.randint(0, 8)
        section = bench.step()
        coding: Any = bench.lab.sender.told.coding
        (data,) = bench.lab.sent[1]
        (bits,) = coding.group_bits.tolist()
        written = 8 * (len(data) - STATE_HEADER_BYTES)
        rows = 5 + 8 + 5 * len(section.updated)
        assert bits - 60 <= written <= bits + 60 + rows
        lanes = [sum(coding.lane_bits(pair).values()) for pair in range(len(section.updated))]
        flags = 1 if section.exact.any() else 0
        assert (np.array(lanes) + flags == coding.pair_bits()).all()
        _, spent = coding.spent(None)
        assert int(spent.sum()) == bits


def test_who_has_older_samples_is_predicted_by_other_means() -> None:
    """Two of three of the second player's packets get lost: both are told right."""
    lab = Lab((Thing,), random.Random(3), clients=2)
    things = [lab.world.spawn(Thing) for _ in range(10)]
    chosen: set[tuple[int, int]] = set()
    for turn in range(40):
        for number, thing in enumerate(things):
            thing.x = 5000 + 900 * math.sin(turn / 5 + number)
        lab.step(CLEAR, lose=lambda player, header: player == 2 and header.sequence % 3 > 0)
        coding = lab.sender.told.coding
        assert coding is not None
        if turn > 20:
            chosen.add((int(coding.predictor[0]), int(coding.predictor[len(LANES) + 3])))
    assert any(one != other for one, other in chosen)
    lab.calm_down(3)
    lab.check_equal()


# -- pure parts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("starts", "counts", "numbers"),
    [
        ([], [], []),
        ([5], [3], [5, 6, 7]),
        ([5, 0], [2, 3], [5, 6, 0, 1, 2]),
        ([5, 9, 1], [1, 0, 2], [5, 1, 2]),
    ],
)
def test_spread_numbers_all_cells(starts: list[int], counts: list[int], numbers: list[int]) -> None:
    found = spread(np.array(starts, dtype=np.int64), np.array(counts, dtype=np.int64))
    assert found.tolist() == numbers


@pytest.mark.parametrize(
    ("agree", "shares", "mended"),
    [
        ((True, True, True), (3.0, -3.0, 1.0), 77),
        ((True, False, True), (3.0, -3.0, 1.0), 50),
        ((True, True, False), (2.0, -1.0, 0.0), 77),
        ((False, True, True), (3.0, -3.0, 1.0), 511),
        ((False, False, False), (1.0, 0.0, 0.0), 511),
    ],
)
def test_across_a_change_of_the_component_left_out(
    agree: tuple[bool, ...], shares: tuple[float, ...], mended: int
) -> None:
    """Predicted 77; the newest sample is 50; ten bits."""
    found = mend(
        np.array([77]),
        np.array([50], dtype=np.int32),
        [np.array([same]) for same in agree],
        [np.array([share]) for share in shares],
        np.array([1023]),
    )
    assert found.tolist() == [mended]
