"""Paths through samples: how each kind of field moves between, and beyond, what is known."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.play.motion import FULL_SPEED, SLOWING, Motion, samples_at
from netcode.world.history import ABSENT, History
from netcode.world.world import World

RATE, EVERY = 60.0, 3


class Car(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)
    vx = nc.Float(-200, 200, step=0.01)
    turn = nc.Angle(bits=16)
    lap = nc.Int(0, 100)


class Drone(nc.Entity):
    position = nc.Vec3(-500, 500, step=0.01)
    velocity = nc.Vec3(-100, 100, step=0.01)
    attitude = nc.Quat(bits=14)


class Pawn(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01, teleport=5)
    vx = nc.Int(-5, 5)


class Track:
    """A history of one entity, and where it is shown."""

    def __init__(self, kind: type[nc.Entity]) -> None:
        self.world = World([kind])
        self.table = self.world.table(kind)
        self.history = History(self.world.tables, EVERY)
        self.history.fit(0, 1)
        self.motion = Motion(self.table, RATE, EVERY)

    def sample(self, tick: int, *, known: bool = True, **values: Any) -> None:
        entity = self.table.spawn(**values)
        lanes = self.table.quantise()[entity._row]
        self.table.despawn(entity._row)
        kept = self.history.begin(tick).tables[0]
        kept.lanes[0], kept.life[0], kept.known[0] = lanes, 0, known

    def at(self, tick: float) -> dict[str, Any]:
        samples = samples_at(self.history, tick, [np.array([0])])[0]
        numbers = self.motion.path(samples).at(tick)
        columns = self.motion.columns(samples, numbers, tick)
        return {name: column[0] for name, column in columns.items()}


def falling(tick: float) -> tuple[float, float]:
    """Place and speed after so many ticks of steady acceleration."""
    seconds = tick / RATE
    return 10.0 + 50.0 * seconds - 100.0 * seconds**2, 50.0 - 200.0 * seconds


def test_with_the_velocity_known_the_path_is_the_curve() -> None:
    """Half way along a chord of six ticks it would be a quarter of a unit off."""
    track = Track(Car)
    for tick in (0, 6, 12):
        x, vx = falling(tick)
        track.sample(tick, x=x, vx=vx)
    for tick in np.linspace(0, 12, 25):
        assert track.at(float(tick))["x"] == pytest.approx(falling(float(tick))[0], abs=0.02)


def test_a_velocity_in_other_units_is_not_believed() -> None:
    track = Track(Car)
    for tick in (0, 3, 6):
        track.sample(tick, x=2.0 * tick, vx=2.0)  # a tick, not a second
    assert [track.at(t)["x"] for t in (1.0, 1.5, 4.0)] == pytest.approx([2.0, 3.0, 8.0], abs=0.02)


def test_what_stands_at_a_wall_although_it_has_a_speed_stands() -> None:
    track = Track(Car)
    for tick in (0, 3, 6):
        track.sample(tick, x=100.0, vx=80.0)
    assert [track.at(t)["x"] for t in (1.0, 4.0, 8.0, 30.0)] == pytest.approx([100.0] * 4)


def test_a_field_that_is_only_called_like_a_velocity_does_no_harm() -> None:
    track = Track(Pawn)
    track.sample(0, x=0.0, vx=5)
    track.sample(3, x=3.0, vx=5)
    assert track.at(1.0)["x"] == pytest.approx(1.0)


def test_vectors_have_curves_too() -> None:
    track = Track(Drone)
    for tick in (0, 6):
        x, vx = falling(tick)
        track.sample(tick, position=(x, 0, -x), velocity=(vx, 0, -vx))
    x, _ = falling(3)
    assert track.at(3.0)["position"] == pytest.approx([x, 0, -x], abs=0.02)


def test_beyond_the_newest_sample_it_goes_on_with_its_velocity() -> None:
    track = Track(Car)
    track.sample(0, x=0.0, vx=60.0)
    track.sample(3, x=3.0, vx=60.0)
    assert track.at(6.0)["x"] == pytest.approx(6.0, abs=0.02)
    last = 3 + (FULL_SPEED + SLOWING / 2) * RATE
    assert track.at(500.0)["x"] == pytest.approx(last, abs=0.05)


def test_a_single_sample_with_a_velocity_goes_on_at_once() -> None:
    track = Track(Car)
    track.sample(3, x=3.0, vx=60.0)
    assert track.at(6.0)["x"] == pytest.approx(6.0, abs=0.02)


def test_an_angle_turns_on_beyond_the_newest_sample_across_the_seam() -> None:
    track = Track(Car)
    track.sample(0, turn=math.tau - 0.4)
    track.sample(3, turn=math.tau - 0.1)
    turn = track.at(6.0)["turn"]
    assert turn == pytest.approx(0.2, abs=0.01)
    assert 0 <= turn < math.tau


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 1.5])
def test_a_quaternion_turns_evenly_along_its_arc(share: float) -> None:
    def about_z(angle: float) -> tuple[float, ...]:
        return (0.0, 0.0, math.sin(angle / 2), math.cos(angle / 2))

    track = Track(Drone)
    track.sample(0, attitude=about_z(0.3))
    track.sample(3, attitude=about_z(2.3))
    q = track.at(3.0 * share)["attitude"]
    assert 2 * math.atan2(q[2], q[3]) == pytest.approx(0.3 + 2.0 * share, abs=0.01)
    assert np.linalg.norm(q) == pytest.approx(1.0)


def test_a_teleport_is_what_the_field_says_or_a_64th_of_the_range() -> None:
    for kind, distance, glides in ((Pawn, 4.5, True), (Pawn, 5.5, False), (Car, 30, True)):
        track = Track(kind)
        track.sample(0, x=0.0)
        track.sample(3, x=float(distance))
        assert track.at(1.5)["x"] == pytest.approx(distance / 2 if glides else 0.0, abs=0.01)
    track = Track(Car)
    track.sample(0, x=0.0)
    track.sample(3, x=32.0)
    assert [track.at(t)["x"] for t in (0.0, 2.99, 3.0)] == pytest.approx([0, 0, 32.0], abs=0.01)


def test_what_always_moves_fast_does_not_teleport() -> None:
    track = Track(Car)
    for n in range(5):
        track.sample(3 * n, x=-300.0 + 29.0 * n * (1 + n / 4))
    shown = [track.at(tick)["x"] for tick in np.linspace(3, 12, 40)]
    steps = [after - before for before, after in itertools.pairwise(shown)]
    assert max(steps) < 8.0


def test_after_a_teleport_nothing_flies_on() -> None:
    track = Track(Pawn)
    track.sample(0, x=0.0)
    track.sample(3, x=500.0)
    assert track.at(9.0)["x"] == pytest.approx(500.0)


def test_the_rest_of_the_row_waits_for_the_teleport() -> None:
    track = Track(Car)
    track.sample(0, x=0.0, turn=0.0, lap=1)
    track.sample(3, x=500.0, turn=1.0, lap=2)
    shown = track.at(2.0)
    assert (shown["x"], shown["lap"]) == (pytest.approx(0.0, abs=0.01), 1)
    assert shown["turn"] == pytest.approx(0.0, abs=0.001)


@pytest.mark.parametrize("missing", [(3,), (3, 6), (6,)])
def test_samples_come_from_the_nearest_frames_that_know_the_row(missing: Sequence[int]) -> None:
    track = Track(Car)
    for tick in (0, 3, 6, 9):
        known = tick not in missing
        track.sample(tick, x=tick if known else 777.0, vx=60.0, known=known)
    assert [track.at(t)["x"] for t in (2.0, 4.5, 7.0)] == pytest.approx([2, 4.5, 7], abs=0.03)


def test_every_table_is_looked_up_at_once() -> None:
    world = World([Car, Pawn])
    history = History(world.tables, EVERY)
    for tick in (0, 3):
        world.table(Car).spawn(x=float(tick))
        world.table(Pawn).spawn(x=float(tick))
        history.record(tick, world.tables)
    cars, pawns = samples_at(history, 1.0, [np.array([0]), np.array([0])])
    assert (cars.life.tolist(), pawns.life.tolist()) == ([0], [0])
    assert cars.before_tick.tolist() == pawns.before_tick.tolist() == [0.0]
    assert cars.after_tick.tolist() == [3.0]
    _, pawns = samples_at(history, 1.0, [np.zeros(0, dtype=np.intp), np.array([1])])
    assert pawns.life.tolist() == [ABSENT]
