"""The motions of a public benchmark of Unity's networking libraries, 500 objects at 20 Hz.

Each motion is a generator of columns, one set for each broadcast, so that whoever moves a table
by it does not know which it is. Distances in metres, times in seconds, angles in radians.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import netcode as nc

Columns: TypeAlias = dict[str, NDArray[np.float64]]
"""Field name -> values, one row for each object."""

BROADCAST_RATE = 20
"""Broadcasts per second; also the steps of the wandering, which is defined by steps."""

BOX = 100.0
"""Objects start uniformly within this distance of the origin, on each axis."""

WANDER_SPEED = 3.0
WANDER_CHANCE = 0.05
WANDER_RADIUS = 2_000.0
"""Beyond this distance from the origin the force points back."""
WANDER_CIRCLE = 35.0
WANDER_FORCE = 15.0
WANDER_MASS = 15.0


class Point(nc.Entity):
    """An object that moves and does not turn."""

    x = nc.Float(-150, 150, step=0.001)
    y = nc.Float(-150, 150, step=0.001)
    z = nc.Float(-150, 150, step=0.001)


class Wanderer(nc.Entity):
    """An object that faces along its velocity."""

    x = nc.Float(-2_100, 2_100, step=0.001)
    y = nc.Float(-2_100, 2_100, step=0.001)
    z = nc.Float(-2_100, 2_100, step=0.001)
    yaw = nc.Angle(bits=10)
    pitch = nc.Angle(bits=10)


def move_y(count: int, rng: np.random.Generator) -> Iterator[Columns]:
    """Up and down: y = y0 + A sin(w t), A in 0.5..1 m, w in 0.5..1 rad/s."""
    x, y, z = rng.uniform(-BOX, BOX, (3, count))
    height, speed = rng.uniform(0.5, 1.0, (2, count))
    broadcast = 0
    while True:
        time = broadcast / BROADCAST_RATE
        yield {"x": x, "y": y + height * np.sin(speed * time), "z": z}
        broadcast += 1


def all_axes(count: int, rng: np.random.Generator) -> Iterator[Columns]:
    """To and fro through the origin: d · 50 sin(w t), d in ±1 on each axis, w in 0.5..1 rad/s."""
    direction = rng.uniform(-1.0, 1.0, (3, count))
    speed = rng.uniform(0.5, 1.0, count)
    broadcast = 0
    while True:
        time = broadcast / BROADCAST_RATE
        x, y, z = direction * 50.0 * np.sin(speed * time)
        yield {"x": x, "y": y, "z": z}
        broadcast += 1


def wander(count: int, rng: np.random.Generator) -> Iterator[Columns]:
    """Steered towards a point that changes now and then; at most 3 m/s."""
    position = rng.uniform(-BOX, BOX, (count, 3))
    velocity = _unit(rng.normal(size=(count, 3)))
    force = _wander_force(velocity, rng)
    while True:
        forward = _unit(velocity)
        yield {
            "x": position[:, 0].copy(),
            "y": position[:, 1].copy(),
            "z": position[:, 2].copy(),
            "yaw": np.arctan2(forward[:, 0], forward[:, 2]),
            "pitch": np.arcsin(np.clip(forward[:, 1], -1.0, 1.0)),
        }
        turns = rng.random(count) < WANDER_CHANCE
        force = np.where(turns[:, None], _wander_force(velocity, rng), force)
        far = _length(position) > WANDER_RADIUS
        force = np.where(far[:, None], -position, force)
        steering = _clamp(WANDER_SPEED * _unit(force) - velocity, WANDER_FORCE) / WANDER_MASS
        velocity = _clamp(velocity + steering, WANDER_SPEED)
        position += velocity / BROADCAST_RATE


def _wander_force(velocity: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """The unit velocity plus a random point of a disc that lies across it."""
    forward = _unit(velocity)
    # Any two axes across the velocity will do, for the point is uniform in the disc.
    helper = np.where(np.abs(forward[:, 1:2]) < 0.9, (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    right = _unit(np.cross(helper, forward))
    up = np.cross(forward, right)
    radius = WANDER_CIRCLE * np.sqrt(rng.random((len(velocity), 1)))
    turn = rng.uniform(0.0, 2.0 * np.pi, (len(velocity), 1))
    return np.asarray(forward + radius * (np.cos(turn) * right + np.sin(turn) * up))


def _length(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=1)))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.maximum(_length(vectors), 1e-12)[:, None])


def _clamp(vectors: NDArray[np.float64], most: float) -> NDArray[np.float64]:
    """Shorten those that are longer than ``most``."""
    return np.asarray(
        vectors * np.minimum(1.0, most / np.maximum(_length(vectors), 1e-12))[:, None]
    )


def write(table: Any, columns: Columns) -> None:
    """Set the columns of a table whose rows are exactly the objects."""
    for name, values in columns.items():
        table[name] = values
