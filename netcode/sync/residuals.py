"""Residuals: by how much each value is off, worked out once for all peers alike.

Peers whose newest shared value is as old look at the same samples. So what is predicted is not each
(peer, entity) pair but each distinct (age, entity, pattern of samples), *rows* in here: in a room
where everybody sees everybody, some tenth of the pairs.

A lane of all rows of one age and part is a *segment*, with one predictor. In each broadcast one
other predictor is tried, and kept if it is better: after eight broadcasts every lane has found its
own.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netcode.sync.baselines import HOLD, PREDICTORS, REACH, SAMPLES, Patterns
from netcode.sync.predictor import extrapolate, extrapolate_wrapping, zigzag
from netcode.wire.bits import Ints, edges, lengths, sizes, spread
from netcode.world.history import LENGTH, History

Bools = NDArray[np.bool_]

MANY_CELLS = 8_192
"""With more values than this, lanes take turns in trying other predictors."""
DENSE_KEYS = 1 << 19
"""Up to so many possible rows, marking them in an array finds the distinct ones quicker than
sorting does."""


class Choice:
    """The predictor in use, by lane of all parts and by the age of the newest broadcast that the
    peer has acknowledged; 0 stands for none in reach."""

    def __init__(self, lanes: int) -> None:
        self.table = np.full((REACH + 1, lanes), 1)


class Residuals:
    """The residuals of one broadcast."""

    def __init__(
        self,
        history: History,
        patterns: Patterns,
        choice: Choice,
        number: int,
        ages: Ints,
        entities: Ints,
        pattern: NDArray[np.int32],
    ) -> None:
        self._history = history
        self._patterns = patterns
        self._number = number
        self._traits = traits = history.layout.traits
        self._flat = history.lanes.reshape(-1)
        self._present = history.lanes[number % LENGTH]
        layout = history.layout

        there = np.bincount(ages).nonzero()[0]
        rank = np.zeros(REACH + 1, dtype=np.int64)
        rank[there] = np.arange(len(there))
        rows, self.row = _distinct(
            (rank.take(ages) * layout.entities + entities) * patterns.count + pattern,
            len(there) * layout.entities * patterns.count,
        )
        """For each pair its row."""
        row = rows // patterns.count
        self._pattern = rows - row * patterns.count
        age = row // layout.entities
        entity = row - age * layout.entities
        age = there[age]
        part = layout.part_of.take(entity)
        start = edges(part, age).nonzero()[0]
        count = sizes(start, len(entity))
        lanes = layout.lanes_of_part[part[start]]
        self.group_of = np.full((REACH + 1, len(layout.parts)), -1)
        """By age and part: the rows' group."""
        self.group_of[age[start], part[start]] = np.arange(len(start))
        self.first = lanes.cumsum() - lanes
        """The first segment of each group."""
        self.local = np.arange(len(entity)) - start.repeat(count)
        """Each row's place in its group."""
        group = np.arange(len(start)).repeat(lanes)
        self._lane = spread(layout.first_lane[part[start]], lanes)
        self._count = count[group]
        self.start = self._count.cumsum() - self._count
        """Where each segment begins among the values."""
        self._row = spread(start[group], self._count)
        cell = layout.cell_of.take(entity).take(self._row)
        cell += traits.offset[self._lane].repeat(self._count)
        self._cell = cell
        self.now = self._present.take(cell).astype(np.int64)
        """The values."""
        held = self._offset(patterns.newest)[self._pattern].take(self._row)
        held += cell
        self.other = self.now != self._flat.take(held)
        """Which of them differ from the newest shared one."""
        self.predictor = np.where(
            traits.moves[self._lane], choice.table[age[start][group], self._lane], HOLD
        )
        """Of each segment."""
        self.codes = np.zeros(len(cell), dtype=np.int64)
        """Zigzag residuals; of segments in which nothing has changed they are left out."""
        if len(self._lane):
            changed = np.logical_or.reduceat(self.other, self.start)
            self._predict(choice, age[start][group], changed.nonzero()[0])

    def _offset(self, ages: Ints) -> Ints:
        """Where the cells of so many broadcasts ago begin."""
        return (self._number - ages) % LENGTH * self._history.lanes.shape[1]

    def _predict(self, choice: Choice, age: Ints, active: Ints) -> None:
        if len(active) == 0:
            return
        cells = spread(self.start[active], self._count[active])
        self.codes[cells] = self._residuals(self.predictor[active], active)
        trial = self._number % len(PREDICTORS)
        turns = 1 + len(cells) // MANY_CELLS
        lane = self._lane[active]
        turn = (lane + self._number // len(PREDICTORS)) % turns == 0
        open_to = self._traits.moves[lane] & turn & (self.predictor[active] != trial)
        tried = active[open_to]
        if len(tried) == 0:
            return
        others = self._residuals(np.full(len(tried), trial), tried)
        count = self._count[tried]
        first = count.cumsum() - count
        cells = spread(self.start[tried], count)
        before = np.add.reduceat(lengths(self.codes.take(cells)), first)
        better = np.add.reduceat(lengths(others), first) < before
        if better.any():
            won = better.repeat(count)
            self.codes[cells[won]] = others[won]
            self.predictor[tried[better]] = trial
            choice.table[age[tried[better]], self._lane[tried[better]]] = trial

    def _residuals(self, predictor: Ints, segments: Ints) -> Ints:
        """The zigzag residuals of these segments, each with its predictor."""
        traits = self._traits
        count, lane = self._count[segments], self._lane[segments]
        cells = spread(self.start[segments], count)
        cell, now, at = self._cell.take(cells), self.now.take(cells), self._row.take(cells)
        degrees = _DEGREES[predictor]
        row = (self._pattern * len(PREDICTORS)).take(at)
        row += predictor.repeat(count)
        offsets = self._offset(self._patterns.ages[: self._patterns.count])
        weights = self._patterns.weights[: self._patterns.count]
        samples, shares = [], []
        for sample in range(int(degrees.max(initial=0)) + 1):
            where = offsets[:, :, sample].reshape(-1).take(row)
            where += cell
            samples.append(self._flat.take(where))
            shares.append(weights[:, :, sample].reshape(-1).take(row))
        prediction = extrapolate(samples, shares, traits.top[lane].repeat(count))
        wraps = traits.wraps[lane]
        if wraps.any():
            chosen = wraps.repeat(count).nonzero()[0]
            of = lane[wraps].repeat(count[wraps])
            prediction[chosen] = extrapolate_wrapping(
                [sample.take(chosen) for sample in samples],
                [share.take(chosen) for share in shares],
                traits.half[of],
                traits.mask[of],
            )
        if traits.quat_index[lane].any():
            self._mend_rotations(prediction, samples, shares, cell, lane, count, row, offsets)
        half, mask = traits.half[lane].repeat(count), traits.mask[lane].repeat(count)
        return zigzag(now, prediction, half, mask)

    def _mend_rotations(
        self,
        prediction: Ints,
        samples: list[NDArray[np.int32]],
        shares: list[NDArray[np.float64]],
        cell: Ints,
        lane: Ints,
        count: Ints,
        row: Ints,
        offsets: Ints,
    ) -> None:
        """Components of a Quat whose largest component changed among the samples: see `mend`."""
        back = self._traits.quat_index[lane].repeat(count)
        chosen = back.nonzero()[0]
        index_cell = cell[chosen] - back[chosen]
        index_now = self._present.take(index_cell)
        agree = []
        for sample in range(len(samples)):
            where = offsets[:, :, sample].reshape(-1).take(row[chosen])
            agree.append(self._flat.take(where + index_cell) == index_now)
        mask = self._traits.mask[lane].repeat(count)[chosen]
        prediction[chosen] = mend(
            prediction[chosen],
            samples[0][chosen],
            agree,
            [share[chosen] for share in shares],
            mask,
        )


def _distinct(keys: Ints, space: int) -> tuple[Ints, Ints]:
    """The distinct keys, ascending, and the place of each key among them."""
    if space > DENSE_KEYS:
        distinct, places = np.unique(keys, return_inverse=True)
        return distinct, places
    marked = np.zeros(space, dtype=np.bool_)
    marked[keys] = True
    distinct = marked.nonzero()[0]
    place = np.empty(space, dtype=np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place.take(keys)


def mend(
    prediction: Ints,
    newest: NDArray[np.int32],
    agree: Sequence[Bools],
    shares: Sequence[NDArray[np.float64]],
    mask: Ints,
) -> Ints:
    """Predictions of a Quat's components across a change of the one that is left out.

    ``agree`` says for each sample whether it leaves out the same component as the value now; what
    has no weight does not count. If all agree, the prediction stands; if the newest does, it is
    repeated; otherwise the middle of the range is taken.
    """
    usable = agree[0].copy()
    for same, share in zip(agree[1:], shares[1:], strict=True):
        usable &= same | (share == 0.0)
    return np.asarray(np.where(usable, prediction, np.where(agree[0], newest, mask >> 1)))


_DEGREES = np.array([degree for degree, _ in PREDICTORS])
assert max(_DEGREES) < SAMPLES
