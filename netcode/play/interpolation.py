"""Interpolation: what other players' entities look like between two snapshots.

The display tick lies between two frames of history. Rows that were not known in one of them take
their samples from the nearest frame in which they were, so a lost packet makes the path between
two samples longer, not the picture jump.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.fields import Lanes
from netcode.world.history import ABSENT, Frame, History
from netcode.world.table import Table


@dataclass(slots=True)
class _Samples:
    """For each row of one table: the lanes before and after the display tick, and when."""

    life: NDArray[np.int32]
    before: Lanes
    before_tick: NDArray[np.float64]
    after: Lanes
    after_tick: NDArray[np.float64]


@dataclass(slots=True)
class Arrangement:
    """What has to change in the display's tables to show a tick."""

    leaving: list[Entity]
    entering: list[tuple[Table[Any], int, int]]
    """Table, row and generation of entities that come into view."""
    samples: list[_Samples]
    tick: float


class Interpolator:
    """Shows a moment of history in a world's tables."""

    def __init__(self, history: History, tables: Sequence[Table[Any]]) -> None:
        self._history = history
        self._tables = tables

    def arrange(self, tick: float, own_life: Sequence[NDArray[np.int32]]) -> Arrangement | None:
        """Look up the samples for this tick; None while there is no history at all.

        ``own_life`` gives, per table, the life of the rows that the player controls (`ABSENT`
        for all others): those are shown as they are now, not as they were at the display tick.
        """
        frames = list(self._history)
        if not frames:
            return None
        at = max((i for i, frame in enumerate(frames) if frame.tick <= tick), default=0)
        arrangement = Arrangement([], [], [], tick)
        for index, table in enumerate(self._tables):
            samples = _samples(frames, at, index)
            own = own_life[index]
            size = max(len(samples.life), len(own), table.size)
            life = np.full(size, ABSENT, dtype=np.int32)
            life[: len(samples.life)] = samples.life
            mine = own != ABSENT
            life[: len(own)][mine] = own[mine]
            self._compare(table, life, arrangement)
            arrangement.samples.append(samples)
        return arrangement

    def _compare(
        self, table: Table[Any], life: NDArray[np.int32], arrangement: Arrangement
    ) -> None:
        shown = np.full(len(life), ABSENT, dtype=np.int32)
        shown[: table.size] = np.where(table.alive, table.generation, ABSENT)
        changed = shown != life
        for row in np.flatnonzero(changed & (shown != ABSENT)).tolist():
            entity = table.at(row)
            if entity is not None:
                arrangement.leaving.append(entity)
        for row in np.flatnonzero(changed & (life != ABSENT)).tolist():
            arrangement.entering.append((table, row, int(life[row])))

    def show(self, arrangement: Arrangement) -> None:
        """Write the blended samples into the tables; rows that entered must be placed before."""
        for table, samples in zip(self._tables, arrangement.samples, strict=True):
            rows = np.flatnonzero(samples.life != ABSENT)
            if len(rows) == 0:
                continue
            since, until = samples.before_tick[rows], samples.after_tick[rows]
            span = until - since
            share = np.where(
                span > 0, (arrangement.tick - since) / np.maximum(span, 1e-9), 0.0
            ).clip(0.0, 1.0)
            for field in table.fields:
                where = table.lanes_of(field)
                column = field.dequantise(samples.before[rows, where])
                if field.blends:
                    after = field.dequantise(samples.after[rows, where])
                    column = field.blend(column, after, share)
                table[field.name][rows] = column


def _samples(frames: Sequence[Frame], at: int, index: int) -> _Samples:
    here = frames[at].tables[index]
    size = here.size
    before = here.lanes.copy()
    before_tick = np.full(size, float(frames[at].tick))
    open_rows = ~here.known
    back = at - 1
    while back >= 0 and open_rows.any():
        kept = frames[back].tables[index]
        same = _same_tenant(kept.life, here.life, kept.known, open_rows)
        before[same] = kept.lanes[same[: kept.size].nonzero()[0]]
        before_tick[same] = frames[back].tick
        open_rows &= ~same
        back -= 1
    after, after_tick = before.copy(), before_tick.copy()
    open_rows = here.life != ABSENT
    for frame in frames[at + 1 :]:
        if not open_rows.any():
            break
        kept = frame.tables[index]
        same = _same_tenant(kept.life, here.life, kept.known, open_rows)
        after[same] = kept.lanes[same.nonzero()[0]]
        after_tick[same] = frame.tick
        open_rows &= ~same
    return _Samples(here.life.copy(), before, before_tick, after, after_tick)


def _same_tenant(
    life: NDArray[np.int32],
    wanted: NDArray[np.int32],
    known: NDArray[np.bool_],
    open_rows: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Open rows that this frame knows, with the same entity in them: bool of ``wanted``'s size."""
    same = np.zeros(len(wanted), dtype=np.bool_)
    common = min(len(life), len(wanted))
    same[:common] = known[:common] & (life[:common] == wanted[:common])
    return same & open_rows
