"""The coder: how each changed lane is said in the fewest bits.

For all pairs that are updated in a broadcast at once. Pairs come in groups, one for each peer and
part; a *segment* is one lane of one group, and its values are coded alike: at rest (no bit at all),
sparse (those that changed, in full), or dense (the residual of a prediction, Rice-coded). The way
is chosen for the whole group before it is cut into packets, so that cutting cannot change it.

What the residuals are is worked out in `residuals`, for all peers alike.

Cost: about 70 numpy calls, plus about 0.1 µs for each value that does not rest.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from netcode.sync.baselines import HOLD, Patterns
from netcode.sync.residuals import Choice, Residuals
from netcode.wire.bits import (
    Ints,
    counted,
    edges,
    lengths,
    rice_cost,
    rice_parameter,
    sizes,
    spread,
)
from netcode.wire.state_reader import (
    DENSE,
    EXACT,
    PARAMETER_BITS,
    PREDICTOR_BITS,
    REST,
    SPARSE,
)
from netcode.wire.state_writer import K_BITS, ROW_BITS, StateWriter, text_stream
from netcode.world.history import History
from netcode.world.layout import LaneTraits

Bools = NDArray[np.bool_]
Encoded = Callable[[int], bytes]
"""From the number of a text to its bytes."""

MAX_K = 30

LANE_BITS = 2 + PREDICTOR_BITS + PARAMETER_BITS
"""What the description of a dense segment takes."""
_SPARSE_OVERHEAD = 2 + 5 + 6 + K_BITS


class Coder:
    """The choice of predictors, remembered from broadcast to broadcast."""

    def __init__(self, history: History, encoded: Encoded) -> None:
        self.history = history
        self.encoded = encoded
        self.patterns = Patterns()
        self.choice = Choice(len(history.layout.traits.bits))

    def code(
        self, number: int, ages: Ints, slots: Ints, entities: Ints, masks: NDArray[np.uint16]
    ) -> "Coding":
        """Code these pairs (ordered by slot and entity) at broadcast ``number``.

        ``ages`` says how old the newest broadcast is that each one's peer has acknowledged,
        0 for none.
        """
        return Coding(self, number, ages, slots, entities, self.patterns.rows(masks))


class Coding:
    """The updates of one broadcast, coded: what they cost, and how to write any of them."""

    def __init__(
        self,
        coder: Coder,
        number: int,
        ages: Ints,
        slots: Ints,
        entities: Ints,
        pattern: NDArray[np.int32],
    ) -> None:
        self._history, self._encoded = coder.history, coder.encoded
        self._entities = entities
        layout = self._history.layout
        self._traits = layout.traits
        parts = layout.part_of.take(entities)

        self.group_start = edges(parts, slots).nonzero()[0]
        """The first pair of each group."""
        self.group_count = sizes(self.group_start, len(entities))
        self.group_part = parts[self.group_start]
        self.group_slot = slots[self.group_start]

        # -- segments, all of them
        self.group_lanes = lane_count = layout.lanes_of_part[self.group_part]
        group = np.arange(len(self.group_start)).repeat(lane_count)
        self.group_first = lane_count.cumsum() - lane_count
        """The first segment of each group."""
        self.lane = spread(layout.first_lane[self.group_part], lane_count)
        """Each segment's lane, among those of all parts."""
        self.segment_slot = self.group_slot[group]
        count = self.group_count[group]
        first = count.cumsum() - count
        pair = spread(self.group_start[group], count)
        self._residuals = of = Residuals(
            self._history, coder.patterns, coder.choice, number, ages, entities, pattern
        )
        age = ages[self.group_start]
        same = of.first[of.group_of[age, self.group_part]][group]
        same += self.lane - layout.first_lane[self.group_part][group]
        value = of.local.take(of.row).take(pair)
        value += of.start[same].repeat(count)
        other = of.other.take(value)
        changed = np.add.reduceat(other, first, dtype=np.int64) if len(first) else first

        # -- segments that do not rest
        moving = changed != 0
        self.mode = np.where(moving, DENSE, REST)
        self.predictor = of.predictor[same] if len(same) else same
        self.k = np.full(len(self.lane), EXACT)
        self.segment_bits = np.ones(len(self.lane), dtype=np.int64)
        """What each segment takes: its description and its codes."""
        self.active = moving.nonzero()[0]
        self.active_of = moving.cumsum() - 1
        """For a segment that does not rest: its place among `active`."""
        if len(self.active) < len(self.lane):
            keep = spread(first[self.active], count[self.active])
            pair, value, other = pair.take(keep), value.take(keep), other.take(keep)
            count, changed = count[self.active], changed[self.active]
            first = count.cumsum() - count
        self._count, self._start = count, first
        self._pair, self._other = pair, other
        self._value = value
        """For each value its place among the residuals."""
        self._local = np.arange(len(entities)) - self.group_start.repeat(self.group_count)
        """Each pair's place in its group."""
        self._exact = np.zeros(len(entities), dtype=np.bool_)
        self.group_flags = np.zeros(len(self.group_start), dtype=np.bool_)
        """Whether a group says for each row whether it is exactly as predicted."""
        self._codes = self._each = np.zeros(0, dtype=np.int64)
        if len(self.active):
            self._choose(changed)
        self.group_bits = (
            np.add.reduceat(self.segment_bits, self.group_first[lane_count > 0])
            if len(self.lane)
            else np.zeros(0, dtype=np.int64)
        )
        """What each group with any lane takes, apart from its lists of rows."""

    # -- choosing ----------------------------------------------------------------------------

    def _choose(self, changed: Ints) -> None:
        traits, active, count = self._traits, self.active, self._count
        lane = self.lane[active]
        codes = self._residuals.codes.take(self._value)
        bits = traits.bits[lane]
        raw = bits.repeat(count)
        total = np.add.reduceat(codes, self._start)
        best = np.minimum(rice_parameter(total, count), MAX_K)
        each = rice_cost(codes, best.repeat(count), raw)
        cost = np.add.reduceat(each, self._start)
        # A few large residuals raise the mean: the next smaller parameter may be cheaper.
        less = np.maximum(best - 1, 0)
        spent = rice_cost(codes, less.repeat(count), raw)
        better = np.add.reduceat(spent, self._start) < cost
        if better.any():
            best = np.where(better, less, best)
            each = np.where(better.repeat(count), spent, each)
        exact = total == 0
        if exact.any():
            each[exact.repeat(count)] = 0
        cost = np.add.reduceat(each, self._start)
        self.k[active] = np.where(exact, EXACT, best)

        text = traits.text[lane]
        mean_gap = lengths(count // np.maximum(changed, 1))
        sparse_cost = _SPARSE_OVERHEAD + changed * (mean_gap + 2 + np.where(text, 64, bits))
        sparse = text | (sparse_cost < cost + LANE_BITS)
        self._codes, self._each = codes, each
        if sparse.any():
            self.mode[active] = np.where(sparse, SPARSE, DENSE)
            self.predictor[active[sparse]] = HOLD
            self._count_sparse(sparse, each, raw, mean_gap, text)
            cost = np.add.reduceat(each, self._start)
        self.segment_bits[active] += cost + np.where(sparse, _SPARSE_OVERHEAD, LANE_BITS)
        self._flag_exact_rows(sparse, best)

    def _count_sparse(
        self, sparse: Bools, each: Ints, raw: Ints, mean_gap: Ints, text: Bools
    ) -> None:
        """What the values of sparse segments take, instead of their residuals."""
        count = self._count
        in_sparse = sparse.repeat(count)
        each[in_sparse] = 0
        said = (in_sparse & self._other).nonzero()[0]
        each[said] = raw[said] + (mean_gap + 2).repeat(count)[said]
        if text.any():
            of_text = said[text.repeat(count)[said]]
            each[of_text] = [
                8 + 8 * len(self._encoded(number)) + 8
                for number in self._residuals.now[self._value[of_text]].tolist()
            ]

    def _flag_exact_rows(self, sparse: Bools, k: Ints) -> None:
        """Say with one bit that a row is as predicted, where that is cheaper for the group."""
        # A row saves at most what a zero takes in each dense lane, and no more rows can be exact
        # than there are zeros in any of them.
        group = self.active_group
        dense = ~sparse
        zeros = np.add.reduceat(self._codes == 0, self._start, dtype=np.int64)
        most = np.full(len(self.group_start), 1 << 40)
        np.minimum.at(most, group[dense], zeros[dense])
        each = np.bincount(group[dense], weights=k[dense] + 1, minlength=len(most))
        some = most * each > self.group_count
        some &= most < 1 << 40
        if not some.any():
            return
        worth = some.repeat(self.group_count)
        in_dense = dense.repeat(self._count)
        pairs = len(worth)
        off = np.bincount(self._pair, weights=(self._codes != 0) & in_dense, minlength=pairs)
        exact = (off == 0) & worth
        bits = np.bincount(self._pair, weights=np.where(in_dense, self._each, 0), minlength=pairs)
        saved = np.add.reduceat(np.where(exact, bits, 0), self.group_start)
        self.group_flags = saved > self.group_count
        self._exact = exact & self.group_flags.repeat(self.group_count)
        cells = self._exact.take(self._pair) & in_dense
        self._each[cells] = 0

    @property
    def active_group(self) -> Ints:
        """The group of each segment that does not rest."""
        return np.asarray(np.arange(len(self.group_start)).repeat(self.group_lanes)[self.active])

    def pair_bits(self) -> Ints:
        """What each pair takes, apart from its place in the list of rows."""
        bits = self.group_flags.repeat(self.group_count).astype(np.int64)
        if len(self._each):
            bits += np.bincount(self._pair, weights=self._each, minlength=len(bits)).astype(
                np.int64
            )
        return bits

    def spent(self, chosen: Bools | None) -> tuple[tuple[Ints, Ints], Ints]:
        """What these pairs (None: all) take, as ((slot, lane), bits) of each segment."""
        where = self.segment_slot, self.lane
        if chosen is None or len(self._each) == 0:
            return where, self.segment_bits
        bits = np.ones(len(self.lane), dtype=np.int64)
        each = np.where(chosen[self._pair], self._each, 0)
        bits[self.active] += np.add.reduceat(each, self._start)
        return where, bits

    def lane_bits(self, pair: int) -> dict[int, int]:
        """What one pair's lanes take, by the number of the lane among those of all parts."""
        cells = (self._pair == pair).nonzero()[0]
        segment = self.active[self._start.searchsorted(cells, side="right") - 1]
        return dict(zip(self.lane[segment].tolist(), self._each[cells].tolist(), strict=True))

    # -- writing -----------------------------------------------------------------------------

    def write(self, writer: StateWriter, section: Ints, pairs: Ints) -> None:
        """Write these pairs (ascending), each into its section (ascending)."""
        if len(pairs) == 0:
            return
        layout, traits = self._history.layout, self._traits
        start = edges(section).nonzero()[0]
        count = sizes(start, len(pairs))
        own = section[start]
        group = np.searchsorted(self.group_start, pairs[start], side="right") - 1

        segments = spread(self.group_first[group], self.group_lanes[group])
        of = np.repeat(own, self.group_lanes[group])
        mode, k = self.mode[segments], self.k[segments]
        dense = self.predictor[segments] << PARAMETER_BITS | k
        writer.put(
            of,
            np.where(mode == DENSE, dense, 1),
            np.array([1, 2, LANE_BITS])[mode],
        )
        flagged = self.group_flags[group]
        writer.put(own, flagged.astype(np.int64), np.ones(len(own), dtype=np.int64))
        writer.put_rows(section, layout.row_of.take(self._entities.take(pairs)))
        any_flagged = bool(flagged.any())
        exact = self._exact.take(pairs)
        if any_flagged:
            said = flagged.repeat(count).nonzero()[0]
            writer.put(section[said], exact[said].astype(np.int64), np.ones(len(said), np.int64))

        # -- the cells of each segment that does not rest, in the order of sections and lanes
        rank = np.arange(len(own)).repeat(self.group_lanes[group])
        moving = mode != REST
        segments, rank, mode, k = segments[moving], rank[moving], mode[moving], k[moving]
        if len(segments) == 0:
            return
        size = count[rank]
        whole = len(pairs) == len(self._entities) and len(own) == len(self.group_start)
        section_of = own[rank].repeat(size)
        bits = traits.bits[self.lane[segments]]
        coded = (mode == DENSE) & (k != EXACT)
        if whole and not any_flagged and coded.all():
            writer.put_rice(section_of, self._codes, k.repeat(size), bits.repeat(size))
            return
        place = spread(start[rank], size)
        cell = self._start[self.active_of[segments]].repeat(size)
        cell += self._local.take(pairs).take(place)
        chosen = coded.repeat(size)
        if any_flagged:
            chosen &= ~exact.take(place)
        dense_cells = chosen.nonzero()[0]
        writer.put_rice(
            section_of.take(dense_cells),
            self._codes.take(cell.take(dense_cells)),
            k.repeat(size).take(dense_cells),
            bits.repeat(size).take(dense_cells),
        )
        if (mode == SPARSE).any():
            sparse = (mode == SPARSE).nonzero()[0]
            self._write_sparse(
                writer,
                own[rank[sparse]],
                self.lane[segments[sparse]],
                size[sparse],
                cell[spread((np.cumsum(size) - size)[sparse], size[sparse])],
            )

    def _write_sparse(
        self, writer: StateWriter, section: Ints, lane: Ints, size: Ints, cell: Ints
    ) -> None:
        """Lists of the rows (by their place in the section) that changed, and their values."""
        said = np.flatnonzero(self._other[cell])
        start = np.cumsum(size) - size
        segment = np.repeat(np.arange(len(size)), size)[said]
        place = said - start[segment]
        count = np.bincount(segment, minlength=len(size))
        gaps = place.copy()
        gaps[1:] -= np.where(segment[1:] == segment[:-1], place[:-1] + 1, 0)
        sums = np.bincount(segment, weights=gaps, minlength=len(size)).astype(np.int64)
        k = np.minimum(rice_parameter(sums, count), 15)
        values, widths = counted(count)
        writer.put(section, values << K_BITS | k, widths + K_BITS)
        owner = section[segment]
        writer.put_rice(owner, gaps, k[segment], np.full(len(gaps), ROW_BITS))
        write_values(
            writer,
            owner,
            lane[segment],
            self._residuals.now[self._value[cell[said]]],
            self._traits,
            self._encoded,
        )


def write_values(
    writer: StateWriter,
    section: Ints,
    lane: Ints,
    values: Ints,
    traits: LaneTraits,
    encoded: Encoded,
) -> None:
    """Values in full: each in its lane's bits; of a text its length, and all bytes at the end."""
    bits, text = traits.bits[lane], traits.text[lane]
    if not text.any():
        writer.put(section, values, bits)
        return
    said = np.flatnonzero(text)
    data = [encoded(number) for number in values[said].tolist()]
    values, bits = values.copy(), bits.copy()
    values[said] = [len(text) for text in data]
    bits[said] = 8
    writer.put(section, values, bits)
    writer.put(*text_stream(section[said], data))
