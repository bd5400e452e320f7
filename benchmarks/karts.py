"""Recorded kart races (SuperTuxKart replays, text), resampled to broadcasts.

A replay is header lines of ``key: value``, among them ``size: N``, and N lines of numbers after
it: time, position x y z, orientation x y z w, speed, steering, and more that is not used here.
Times are irregular, 8 to 200 ms apart. All races start at time 0 on the same track, so they
replay together; copies with an offset in time make a bigger field.

Between two records everything is interpolated linearly. At 10 m/s² and 60 ms that is at most
5 mm off, half of the step to which positions are sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import netcode as nc
from benchmarks.motions import BROADCAST_RATE, Columns

USED_COLUMNS = 10
MAX_RECORDS = 1_000_000
"""Records in one file: more than a day. A larger ``size`` is a damaged file."""


class Kart(nc.Entity):
    """A kart on a track of some 600 m."""

    x = nc.Float(-500, 500, step=0.01)
    y = nc.Float(-500, 500, step=0.01)
    z = nc.Float(-500, 500, step=0.01)
    orientation = nc.Quat(bits=10)
    speed = nc.Float(-50, 100, step=0.01)
    steering = nc.Float(-1, 1, step=0.01)


@dataclass(frozen=True, slots=True)
class Recording:
    """One kart's race."""

    name: str
    times: NDArray[np.float64]
    """Seconds since the start, ascending: shape (records,)."""
    values: NDArray[np.float64]
    """x y z, orientation x y z w, speed, steering: shape (records, 9)."""

    @property
    def seconds(self) -> float:
        """When the race ends."""
        return float(self.times[-1])

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values at these times, shape (times, 9); the ends are held beyond the race."""
        values = np.stack([np.interp(times, self.times, part) for part in self.values.T], axis=1)
        values[:, 3:7] /= np.linalg.norm(values[:, 3:7], axis=1)[:, None]
        return values


def load(folder: Path) -> list[Recording]:
    """Read every ``*.replay`` of a folder, by name. Raises `ValueError` if there is none."""
    paths = sorted(folder.glob("*.replay"))
    if not paths:
        raise ValueError(f"there is no *.replay in {folder}")
    return [parse(path.stem, path.read_text("utf-8", "replace")) for path in paths]


def parse(name: str, text: str) -> Recording:
    """Understand one replay. Raises `ValueError`, naming it, if it makes no sense."""
    lines = iter(text.splitlines())
    size = 0
    for line in lines:
        key, _, value = line.partition(":")
        if key == "size":
            size = int(value) if value.strip().isdecimal() else 0
            break
    if not 2 <= size <= MAX_RECORDS:
        raise ValueError(f"{name}: no line says `size: N` with N from 2 to {MAX_RECORDS:,}")
    records = []
    for line, _ in zip(lines, range(size), strict=False):
        try:
            records.append([float(word) for word in line.split()[:USED_COLUMNS]])
        except ValueError as error:
            raise ValueError(f"{name}: record {len(records)} is no row of numbers") from error
        if len(records[-1]) < USED_COLUMNS:
            raise ValueError(f"{name}: record {len(records) - 1} has too few columns")
    if len(records) < size:
        raise ValueError(f"{name}: it ends after {len(records)} of {size} records")
    table = np.array(records)
    times, values = table[:, 0], table[:, 1:]
    if not (np.isfinite(table).all() and (np.diff(times) > 0).all()):
        raise ValueError(f"{name}: times must ascend, and every number be finite")
    if not (np.linalg.norm(values[:, 3:7], axis=1) > 0.5).all():
        raise ValueError(f"{name}: an orientation is no rotation")
    # q and -q are the same rotation: neighbours must be on one side to be interpolated.
    flips = (values[1:, 3:7] * values[:-1, 3:7]).sum(axis=1) < 0
    values[1:, 3:7] *= np.where(np.cumsum(flips) % 2, -1.0, 1.0)[:, None]
    return Recording(name, times, values)


def race(
    recordings: Sequence[Recording], count: int, seconds: float, rng: np.random.Generator
) -> Iterator[Columns]:
    """The columns of ``count`` karts, broadcast by broadcast, for at least ``seconds``.

    First every recording from its start, then copies of them in turn that are a random time
    ahead, so that nobody stands at the start or has come to the end. Raises `ValueError` if a
    recording is shorter than ``seconds``.
    """
    ticks = np.arange(int(seconds * BROADCAST_RATE) + 1) / BROADCAST_RATE
    tracks = []
    for kart in range(count):
        recording = recordings[kart % len(recordings)]
        spare = recording.seconds - seconds
        if spare < 0:
            raise ValueError(f"{recording.name} is shorter than {seconds:g} s")
        ahead = rng.uniform(0.0, spare) if kart >= len(recordings) else 0.0
        tracks.append(recording.at(ticks + ahead))
    return _columns(np.stack(tracks, axis=1))


def _columns(field: NDArray[np.float64]) -> Iterator[Columns]:
    for now in field:
        yield {
            "x": now[:, 0],
            "y": now[:, 1],
            "z": now[:, 2],
            "orientation": now[:, 3:7],
            "speed": now[:, 7],
            "steering": now[:, 8],
        }
