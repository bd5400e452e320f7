"""Motion: the path of each row between its samples.

What is shown at a tick that lies between two broadcasts is worked out here, in the same way for a
client's display and for a server's look into the past; so what a player saw and what the server
thinks that the player saw agree.

A path is a polynomial for each number (quantised, but as a float) of each row:

* between two samples, straight from one to the other; or, where the velocity is known too and
  agrees with the distance covered, the cubic that has both positions and both velocities (Hermite).
  Fields called ``vx vy vz`` are taken for the velocities, in units a second, of ``x y z``, and
  ``velocity`` for that of ``position``;
* beyond the newest sample, on with the last velocity: in full for `FULL_SPEED` seconds, then slower
  and slower, and at a halt `SLOWING` seconds later;
* over a teleport, resting until its tick. One is a change by more than the field's ``teleport``,
  and by more than four times what the row moved just before.

Angles go the short way round, quaternions along the arc, all other fields change at their tick.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Angle, Field, Float, Lanes
from netcode.vectors import Quat, Vec2, Vec3
from netcode.world.history import ABSENT, History
from netcode.world.table import Table

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

FULL_SPEED = 0.25
"""Seconds beyond the newest sample for which a thing moves on as if nothing had happened. At twenty
broadcasts a second that is five in a row lost: most bursts are over by then."""

SLOWING = 0.5
"""Seconds in which it comes to a halt after that. It may be wrong by now, but a picture that
freezes is noticed more than one that errs."""

TELEPORT = 64.0
"""A position that changes by more than this part of its range teleports, unless its field says
something else: 62 units on a map of 4,000, or 1,250 a second."""

FASTER = 4.0
"""A change by more than this many times what a row moved just before may be a teleport."""

AGREES = 0.3
"""Share by which the distance covered may differ from what the velocities say."""

AGREES_LANES = 3.0
"""And by so many steps, for what is rounded."""

LOOK_BACK = 16
"""Broadcasts before the tick in which samples are looked for: twice the longest interval at which
a row may be told, one for each of two samples."""

_VELOCITIES = {"x": "vx", "y": "vy", "z": "vz", "position": "velocity"}


def teleport_limit(field: Float | Vec2 | Vec3) -> float | None:
    """The change from one broadcast to the next that is a teleport; None if none is."""
    if field.teleport is not None:
        return field.teleport
    if field.name in _VELOCITIES:
        return (field.steps.high - field.steps.low) / TELEPORT
    return None


@dataclass(slots=True)
class Samples:
    """The samples around a tick, for some rows of one table: arrays of as many rows."""

    rows: Rows
    life: NDArray[np.int32]
    older: Lanes
    """The sample before ``before``."""
    before: Lanes
    """The newest at or before the tick; (rows, lanes), like the others."""
    after: Lanes
    """The first after the tick; like ``before`` where there is none."""
    older_tick: Floats
    before_tick: Floats
    after_tick: Floats

    @property
    def is_beyond(self) -> NDArray[np.bool_]:
        """Rows of which nothing newer than ``before`` is known."""
        return np.asarray(self.after_tick == self.before_tick)

    def is_as(self, other: "Samples") -> bool:
        """Whether these are the same samples of the same rows."""
        return (
            len(self.rows) == len(other.rows)
            and (self.rows == other.rows).all()
            and (self.after_tick == other.after_tick).all()
            and (self.before_tick == other.before_tick).all()
            and (self.older_tick == other.older_tick).all()
            and (self.life == other.life).all()
            and (self.after == other.after).all()
            and (self.before == other.before).all()
            and bool((self.older == other.older).all())
        )


def samples_at(history: History, tick: float, rows: Sequence[Rows]) -> list[Samples]:
    """The samples around a tick for these rows of each table; the history must hold a frame.

    Rows that were not known in a frame take their samples from the nearest one in which they were.
    """
    numbers = history.kept()
    at = max(int(np.searchsorted(numbers * history.every, tick, side="right")) - 1, 0)
    first = max(0, at - LOOK_BACK)
    numbers, at = numbers[first:], at - first
    places = numbers % len(history.numbers)
    starts = history.layout.row_starts
    each = [start + some for start, some in zip(starts, rows, strict=True)]
    flat = np.concatenate(each) if each else np.zeros(0, dtype=np.intp)
    life = history.life[places[at], flat]
    grid = places[:, None], flat[None, :]
    valid = history.known[grid] & (history.life[grid] == life)
    past, future = valid[at::-1], valid[at + 1 :]
    before = np.where(past.any(axis=0), at - past.argmax(axis=0), at)
    after = before.copy()
    if len(future):
        after = np.where(future.any(axis=0), at + 1 + future.argmax(axis=0), before)
    earlier = valid & (np.arange(len(numbers))[:, None] < before)
    older = np.where(earlier.any(axis=0), len(numbers) - 1 - earlier[::-1].argmax(axis=0), before)
    ticks = (numbers * history.every).astype(np.float64)
    found, first = [], 0
    for table, some in enumerate(rows):
        cut = slice(first, first + len(some))
        first += len(some)
        count = history.layout.lane_counts[table]
        cells = history.layout.cell_starts[table] + some[:, None] * count + np.arange(count)
        which = [frames[cut] for frames in (older, before, after)]
        lanes = [history.lanes[places[frames][:, None], cells] for frames in which]
        found.append(Samples(some, life[cut], *lanes, *(ticks[frames] for frames in which)))
    return found


class Motion:
    """How the columns of one table move. ``tick_rate`` is in ticks a second."""

    def __init__(self, table: Table[Any], tick_rate: float, every: int) -> None:
        self._table = table
        self._every = every
        self._rate = tick_rate
        smooth = [f for f in table.fields if isinstance(f, (Float, Vec2, Vec3, Angle))]
        self._turning = [field for field in table.fields if isinstance(field, Quat)]
        self._plain = [f for f in table.fields if f not in smooth and f not in self._turning]
        self._columns: list[tuple[Field[Any], slice]] = []
        lanes: list[int] = []
        for described in smooth:
            where = range(*table.lanes_of(described).indices(1 << 30))
            self._columns.append((described, slice(len(lanes), len(lanes) + len(where))))
            lanes += where
        self.lanes = np.array(lanes, dtype=np.intp)
        """Which of the table's lanes are numbers that move: the columns of all arrays of paths."""
        count = len(lanes)
        self.period = np.zeros(count)
        """The lanes after which a number begins again; 0 for one that has ends."""
        self.teleport = np.full(count, np.inf)
        """The lanes of a change from one broadcast to the next that is a teleport."""
        self._top = np.zeros(count)
        self._speed_lanes = np.zeros(count, dtype=np.intp)
        self._speed_low, self._speed_step = np.zeros(count), np.zeros(count)
        self._has_speed = np.zeros(count, dtype=np.bool_)
        self._kept: dict[int, Path] = {}
        self._kept_at = -1
        """The newest broadcast when those paths were worked out."""
        by_name = {field.name: field for field in table.fields}
        for field, columns in self._columns:
            if isinstance(field, Angle):
                self.period[columns] = 1 << field.bits
                continue
            assert isinstance(field, (Float, Vec2, Vec3))
            self._top[columns] = field.steps.top
            limit = teleport_limit(field)
            if limit is not None:
                self.teleport[columns] = limit / field.steps.step
            speed = by_name.get(_VELOCITIES.get(field.name, ""))
            if isinstance(speed, (Float, Vec2, Vec3)) and type(speed) is type(field):
                self._has_speed[columns] = True
                self._speed_lanes[columns] = range(*table.lanes_of(speed).indices(1 << 30))
                self._speed_low[columns] = speed.steps.low / field.steps.step / tick_rate
                self._speed_step[columns] = speed.steps.step / field.steps.step / tick_rate
        self._turning_lanes: list[int] = np.flatnonzero(self.period).tolist()

    def difference(self, before: NDArray[Any], after: NDArray[Any]) -> Floats:
        """From one set of numbers to another, (rows, lanes); the short way round for angles."""
        change = np.asarray(after - before, dtype=np.float64)
        turns = self.period > 0
        if turns.any():
            period = self.period[turns]
            change[:, turns] = (change[:, turns] + period / 2) % period - period / 2
        return change

    def path(self, samples: Samples, last: "Path | None" = None) -> "Path":
        """The path of rows through their samples; ``last`` again if it was made of the same."""
        if last is not None and samples.is_as(last.samples):
            return last
        return Path(self, samples)

    def around(self, history: History, index: int, tick: float) -> "Path":
        """The path at this tick of all rows of the table, number ``index``, that were there then.

        For a server's history, which changes with a broadcast only: until the next one the path
        serves everybody who looks back to between the same two broadcasts.
        """
        if self._kept_at != history.newest_number:
            self._kept_at = history.newest_number
            self._kept.clear()
        frame = history.before(tick)
        path = self._kept.get(frame.number)
        if path is None:
            rows = [np.zeros(0, dtype=np.intp) for _ in history.sizes]
            rows[index] = (frame.tables[index].life != ABSENT).nonzero()[0]
            path = self._kept[frame.number] = self.path(samples_at(history, tick, rows)[index])
        return path

    def _speed(self, lanes: Lanes) -> Floats:
        """The velocity in lanes a tick, where it is known: (rows, lanes)."""
        return self._speed_low + lanes[:, self._speed_lanes] * self._speed_step

    def leaps(self, change: Floats, broadcasts: Floats, usual: Floats) -> NDArray[np.bool_]:
        """Which rows teleport: by their change over so many broadcasts, and by what they usually
        move in one. bool of shape (rows,)."""
        allowed = np.maximum(self.teleport, FASTER * np.abs(usual)) * broadcasts[:, None]
        return np.asarray((np.abs(change) > allowed).any(axis=1))

    def columns(self, samples: Samples, numbers: Floats, tick: float) -> dict[str, NDArray[Any]]:
        """The cells of rows by the names of their fields: what moves is at these numbers, the rest
        as it was at the tick."""
        columns = self.moving(numbers)
        for described in (*self._turning, *self._plain):
            columns[described.name] = self._at_rest(described, samples, tick)
        return columns

    def column(
        self, field: Field[Any], samples: Samples, within: NDArray[Any], tick: float
    ) -> NDArray[Any]:
        """One of those columns alone; ``within`` are the numbers as `within` gives them."""
        for moving, where in self._columns:
            if moving is field:
                return moving.dequantise(within[:, where])
        return self._at_rest(field, samples, tick)

    def _at_rest(self, field: Field[Any], samples: Samples, tick: float) -> NDArray[Any]:
        """The cells of what is not a number that moves."""
        where = self._table.lanes_of(field)
        if isinstance(field, Quat):
            return self._turn(field, samples, where, tick)
        return field.dequantise(samples.before[:, where])

    def moving(self, numbers: Floats) -> dict[str, NDArray[Any]]:
        """The cells of what moves, and nothing else."""
        shown = self.within(numbers)
        return {field.name: field.dequantise(shown[:, where]) for field, where in self._columns}

    def within(self, numbers: Floats) -> NDArray[Any]:
        """The numbers within their fields' ranges, as a path may lead out of them."""
        shown = np.minimum(np.maximum(numbers, 0.0), self._top)
        for lane in self._turning_lanes:
            shown[:, lane] = numbers[:, lane] % self.period[lane]
        return shown

    def _turn(self, field: Quat, samples: Samples, where: slice, tick: float) -> Floats:
        before = field.dequantise(samples.before[:, where])
        beyond = samples.is_beyond
        span = np.maximum(samples.after_tick - samples.before_tick, 1e-9)
        share = ((tick - samples.before_tick) / span).clip(0.0, 1.0)
        share[beyond] = 0.0
        turned = field.blend(before, field.dequantise(samples.after[:, where]), share)
        moving = beyond & (samples.before_tick > samples.older_tick)
        if moving.any():
            span = (samples.before_tick - samples.older_tick)[moving]
            on = eased(tick - samples.before_tick[moving], self._rate) / span
            older = field.dequantise(samples.older[moving][:, where])
            turned[moving] = field.blend(older, before[moving], 1.0 + on)
        return turned


class Path:
    """The path of some rows: evaluated at a tick, it gives their numbers, float64 (rows, lanes)."""

    def __init__(self, motion: Motion, samples: Samples) -> None:
        self.samples = samples
        self._rate = motion._rate
        self._beyond = samples.is_beyond
        older, before, after = (
            lanes[:, motion.lanes] for lanes in (samples.older, samples.before, samples.after)
        )
        span = samples.after_tick - samples.before_tick
        span[self._beyond] = 1.0
        past_span = samples.before_tick - samples.older_tick
        known = past_span > 0
        past_span[~known] = 1.0
        broadcasts, past_broadcasts = span / motion._every, past_span / motion._every
        past_change = motion.difference(older, before)
        change = motion.difference(before, after)
        usual = past_change / past_broadcasts[:, None]
        leaps = motion.leaps(change, broadcasts, usual)
        slope = past_change / past_span[:, None]
        slope[~known | motion.leaps(past_change, past_broadcasts, np.zeros_like(usual))] = 0.0
        self._start = before.astype(np.float64)
        self._first, self._second, self._third = (
            change,
            np.zeros_like(change),
            np.zeros_like(change),
        )
        if motion._has_speed.any():
            old_speed, speed, next_speed = (
                motion._speed(lanes) for lanes in (samples.older, samples.before, samples.after)
            )
            on_way = motion._has_speed & _agree(change, speed, next_speed, span)
            start, end = speed * span[:, None], next_speed * span[:, None]
            self._first = np.where(on_way, start, change)
            self._second = np.where(on_way, 3.0 * change - 2.0 * start - end, 0.0)
            self._third = np.where(on_way, start + end - 2.0 * change, 0.0)
            held = _agree(past_change, old_speed, speed, past_span) | ~known[:, None]
            slope = np.where(motion._has_speed & held, speed, slope)
        self._span = span
        for coefficients in (self._first, self._second, self._third):
            coefficients[leaps | self._beyond] = 0.0
        self._first[self._beyond] = slope[self._beyond]

    def at(self, tick: float) -> Floats:
        """Where the rows are at this tick."""
        since = tick - self.samples.before_tick
        share = np.minimum(np.maximum(since / self._span, 0.0), 1.0)
        if self._beyond.any():
            share[self._beyond] = eased(since[self._beyond], self._rate)
        x = share[:, None]
        return np.asarray(self._start + x * (self._first + x * (self._second + x * self._third)))


def eased(ticks: Floats, rate: float) -> Floats:
    """How many ticks' way a thing goes in this time beyond its newest sample; see the module."""
    ticks = np.maximum(ticks, 0.0)
    slowing = np.minimum(np.maximum(ticks - FULL_SPEED * rate, 0.0), SLOWING * rate)
    return np.asarray(
        np.minimum(ticks, FULL_SPEED * rate) + slowing - slowing * slowing / (2.0 * SLOWING * rate)
    )


def _agree(change: Floats, start: Floats, end: Floats, span: Floats) -> NDArray[np.bool_]:
    """Whether the distance covered is what these velocities, in lanes a tick, lead to."""
    way = (start + end) * (span[:, None] / 2.0)
    fastest = np.maximum(np.abs(start), np.abs(end)) * span[:, None]
    return np.asarray(np.abs(change - way) <= AGREES * fastest + AGREES_LANES)
