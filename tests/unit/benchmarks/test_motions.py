"""The motions move as their formulas say, and the same seed is the same motion."""

from itertools import islice

import numpy as np
import pytest

from benchmarks import motions
from benchmarks.motions import BROADCAST_RATE, Columns, Point, Wanderer, all_axes, move_y, wander
from netcode.world.world import World

COUNT = 100
SEEDS = [1, 2]

MOTIONS = {"move_y": (move_y, Point), "all_axes": (all_axes, Point), "wander": (wander, Wanderer)}


def play(name: str, seed: int, broadcasts: int = 400) -> dict[str, np.ndarray]:
    """The columns of so many broadcasts, one on top of the other: (broadcasts, objects)."""
    motion, _ = MOTIONS[name]
    shown: list[Columns] = list(islice(motion(COUNT, np.random.default_rng(seed)), broadcasts))
    return {field: np.stack([columns[field] for columns in shown]) for field in shown[0]}


@pytest.mark.parametrize("seed", SEEDS)
def test_move_y_is_a_sine_around_where_it_began(seed: int) -> None:
    played = play("move_y", seed)
    for still in ("x", "z"):
        assert (played[still] == played[still][0]).all()
        assert np.abs(played[still]).max() <= 100
    y = played["y"]
    assert np.abs(y[0]).max() <= 100
    # 20 s are more than a whole turn of the slowest (0.5 rad/s): every height has been reached.
    height = (y.max(axis=0) - y.min(axis=0)) / 2
    assert height.min() > 0.49
    assert height.max() <= 1.0
    # A sine's second difference is -w² of it: w is within 0.5..1 rad/s.
    away, dt = y - y[0], 1 / BROADCAST_RATE
    curve = (away[2:] - 2 * away[1:-1] + away[:-2]) / dt**2
    square = -(curve * away[1:-1]).sum(axis=0) / (away[1:-1] ** 2).sum(axis=0)
    assert np.sqrt(square).min() > 0.5 - 1e-3
    assert np.sqrt(square).max() <= 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_all_axes_swings_along_a_line_through_the_origin(seed: int) -> None:
    played = play("all_axes", seed)
    place = np.stack([played[axis] for axis in "xyz"], axis=2)
    assert (place[0] == 0).all()
    assert np.abs(place).max() <= 50
    assert np.abs(place).max() > 49
    across = np.cross(place[1], place[200])
    assert np.abs(across).max() < 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_wander_faces_where_it_goes_at_no_more_than_three_metres_a_second(seed: int) -> None:
    played = play("wander", seed)
    place = np.stack([played[axis] for axis in "xyz"], axis=2)
    assert np.abs(place[0]).max() <= 100
    velocity = np.diff(place, axis=0) * BROADCAST_RATE
    speed = np.linalg.norm(velocity, axis=2)
    assert speed.max() <= 3.0 + 1e-9
    assert np.median(speed[100:]) > 2.0
    yaw, pitch = played["yaw"][1:], played["pitch"][1:]
    facing = np.stack(
        [np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)], axis=2
    )
    assert np.allclose(facing * speed[:, :, None], velocity, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_wander_changes_its_mind_once_a_second(seed: int) -> None:
    played = play("wander", seed, 2_000)
    velocity = np.diff(np.stack([played[axis] for axis in "xyz"], axis=2), axis=0) * BROADCAST_RATE
    # Under one force, v' = (14 v + desired) / 15 with |desired| = 3: desired can be read back.
    desired = 15 * velocity[1:] - 14 * velocity[:-1]
    changed = np.linalg.norm(np.diff(desired, axis=0), axis=2) > 1e-6
    assert changed.mean() == pytest.approx(motions.WANDER_CHANCE, rel=0.05)


def test_wander_turns_back_at_the_edge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motions, "WANDER_RADIUS", 10.0)
    played = play("wander", 1, 1_600)
    distance = np.linalg.norm(np.stack([played[axis] for axis in "xyz"], axis=2), axis=2)
    assert np.median(distance[0]) > 80
    # 80 s at 3 m/s are 240 m, more than the farthest corner is away.
    assert distance[-1].max() < 20


@pytest.mark.parametrize("name", MOTIONS)
def test_the_seed_decides(name: str) -> None:
    first, again, other = (play(name, seed, 20) for seed in (1, 1, 2))
    for field, values in first.items():
        assert (values == again[field]).all()
    assert any((values != other[field]).any() for field, values in first.items())


@pytest.mark.parametrize("name", MOTIONS)
def test_the_declared_fields_hold_the_motion(name: str) -> None:
    motion, kind = MOTIONS[name]
    table = World([kind]).table(kind)
    for _ in range(COUNT):
        table.spawn()
    for columns in islice(motion(COUNT, np.random.default_rng(1)), 100):
        assert set(columns) == {field.name for field in kind.fields}
        motions.write(table, columns)
        lanes = table.quantise()
    assert table.clamped == {}
    assert (table.x == columns["x"]).all()
    assert len(np.unique(lanes[:, 0])) > COUNT // 2
