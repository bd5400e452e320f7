"""Samples: what a client knows of each row, by broadcast.

A *sample* is the values of one row of one part at one broadcast. It stands in the frame of its
broadcast, so that predictions are made from the same samples at both ends, and late packets fill
their frames. Rows that a frame's packets do not mention carry on with the newest sample before.

An entry begins an epoch of its row, a leave ends it; both say when, so that what belongs to an
older epoch is ignored however late it comes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.sync.baselines import REACH, Patterns, shared
from netcode.sync.predictor import extrapolate, extrapolate_wrapping, from_zigzag
from netcode.sync.residuals import mend
from netcode.wire.bits import Ints
from netcode.wire.state_reader import DENSE, SPARSE, Section, lane_kinds
from netcode.world.history import ABSENT, LENGTH, History
from netcode.world.layout import PartKind, renumbered
from netcode.world.table import Table

_NEVER = -(1 << 30)
UNSEEN_KEPT = 4_096
"""Rows that are remembered to have left before anything else of them came. Only entries that are
under way at that moment could be taken for new ones, so few would do."""


class Samples:
    """The samples of all parts, in a client's history."""

    def __init__(self, tables: Sequence[Table[Any]], history: History) -> None:
        self.history = history
        layout = history.layout
        self.lane_kinds = [lane_kinds(part.fields) for part in layout.parts]
        self.public = [part.number for part in layout.parts if part.kind is PartKind.PUBLIC]
        """The number of each table's public part."""
        self._others = {
            number: [p.number for p in layout.parts if p.public == number and p.number != number]
            for number in self.public
        }
        self._defaults = [
            np.array(
                [
                    lane
                    for described in part.fields
                    for lane in described.encode(described.default, tables[part.table].context)
                ],
                dtype=np.int32,
            )
            for part in layout.parts
        ]
        self._patterns = Patterns()
        self._first = layout.first
        entities = layout.entities
        self.life = np.full(entities, ABSENT, dtype=np.int32)
        self.controlled = np.zeros(entities, dtype=np.bool_)
        self._interval = np.ones(entities, dtype=np.int64)
        self._since = np.full(entities, _NEVER, dtype=np.int64)
        self._left = np.full(entities, _NEVER, dtype=np.int64)
        self._said_at = np.full(entities, _NEVER, dtype=np.int64)
        self._mention = np.zeros((LENGTH, entities), dtype=np.uint8)
        self.newest = np.zeros(layout.cells, dtype=np.int32)
        self._unseen: dict[tuple[int, int], int] = {}
        """By part and row beyond all that have entered: when it was said to leave."""
        self.strays = 0
        """Samples that came after their row's epoch had ended."""
        self._strays: list[list[tuple[int, Ints]]] = [[] for _ in range(LENGTH)]
        self._set_defaults()

    def make_room(self, sections: Sequence[Section]) -> None:
        history = self.history
        moved = False
        for section in sections:
            if len(section.entered):
                table = history.layout.parts[section.part].table
                old = history.layout.cell_starts, history.sizes.copy()
                if history.fit(table, int(section.entered[-1]) + 1):
                    self._move(*old)
                    moved = True
        if moved:
            self._set_defaults(only_new=True)

    def _move(self, cell_starts: list[int], sizes: list[int]) -> None:
        """History has given its rows new places: follow."""
        layout = self.history.layout
        new = renumbered(len(self.life), self._first, layout.first)
        fill = {"life": ABSENT, "controlled": False, "_interval": 1}
        for name in ("life", "controlled", "_interval", "_since", "_left", "_said_at"):
            column = getattr(self, name)
            moved = np.full(layout.entities, fill.get(name, _NEVER), dtype=column.dtype)
            moved[new] = column
            setattr(self, name, moved)
        mention = np.zeros((LENGTH, layout.entities), dtype=np.uint8)
        mention[:, new] = self._mention
        self._mention = mention
        self._first = layout.first
        newest = np.zeros(layout.cells, dtype=np.int32)
        for start, size, begin, lanes in zip(
            cell_starts, sizes, layout.cell_starts, layout.lane_counts, strict=True
        ):
            newest[begin : begin + size * lanes] = self.newest[start : start + size * lanes]
        self.newest = newest

    def _set_defaults(self, only_new: bool = False) -> None:
        """What is not told reads as the default."""
        for part in self.history.layout.parts:
            if part.kind is not PartKind.PUBLIC and len(part.lanes):
                rows = np.arange(self.history.layout.rooms[part.table])
                entities = int(self.history.layout.first[part.number]) + rows
                if only_new:
                    entities = entities[self._said_at[entities] == _NEVER]
                cells = self._cells(part.number, entities)
                self.newest[cells] = self._defaults[part.number]

    def begin(self, place: int) -> None:
        """A new frame: it carries on with the newest samples."""
        self.history.lanes[place] = self.newest
        self._mention[place] = 0
        self._strays[place].clear()

    def due(self, table: int, number: int) -> NDArray[np.bool_]:
        """Rows of which silence at this broadcast says that they have not changed."""
        first, size = int(self.history.layout.first[self.public[table]]), self.history.sizes[table]
        rows = np.arange(size)
        entities = slice(first, first + size)
        # What came into view after this broadcast may have another interval now.
        due = (number + rows) % self._interval[entities] == 0
        return np.asarray(due & (self._since[entities] <= number))

    def take(
        self,
        section: Section,
        number: int,
        index: int,
        acknowledged: NDArray[np.uint16],
        texts: list[int],
    ) -> None:
        """What packet ``index`` of a broadcast says of a part; ``texts`` are the numbers of the
        section's texts."""
        updates = self._values(section, number, acknowledged, texts)
        self._enter(section, number, index, texts)
        self._update(section, number, index, updates)
        self._leave(section, number)

    def _stray(self, part: int, rows: Ints, number: int) -> None:
        """Samples of these rows came after the row's epoch had ended: of this frame, the client
        does not know them."""
        self.strays += len(rows)
        if len(rows):
            self._strays[number % LENGTH].append((part, rows))
            self.doubt_strays(number % LENGTH)

    def doubt_strays(self, place: int) -> None:
        """A frame does not know the rows of which samples came too late for their epoch."""
        for part, rows in self._strays[place]:
            if self.history.layout.parts[part].kind is PartKind.PUBLIC:
                start = self.history.layout.row_starts[self.history.layout.parts[part].table]
                self.history.known[place, start + rows] = False

    def _cells(self, part: int, entities: Ints) -> Ints:
        """The cells of these rows of a part: (rows, lanes)."""
        layout = self.history.layout
        return layout.cell_of[entities][:, None] + layout.parts[part].lanes

    # -- values ------------------------------------------------------------------------------

    def _values(
        self, section: Section, number: int, acknowledged: NDArray[np.uint16], texts: list[int]
    ) -> NDArray[np.int32]:
        """The lanes of the updated rows: (rows, lanes)."""
        layout, history = self.history.layout, self.history
        rows, part = section.updated, section.part
        if len(rows) == 0:
            return np.zeros((0, len(section.lanes)), dtype=np.int32)
        entities = int(layout.first[part]) + rows
        ages = np.arange(1, REACH + 1)
        mention = self._mention[((number - ages) % LENGTH)[:, None], entities]
        mention[(number - ages)[:, None] < self._since[entities]] = 0
        pattern = self._patterns.rows(shared(mention, acknowledged, 0))
        cells = self._cells(part, entities)
        newest = (number - self._patterns.newest[pattern]) % LENGTH
        values = history.lanes[newest[:, None], cells].astype(np.int64)
        traits, first = layout.traits, layout.parts[part].first_lane
        inexact = np.flatnonzero(~section.exact)
        rotations = []
        for lane, said in enumerate(section.lanes):
            if said.mode == SPARSE:
                assert said.places is not None
                assert said.values is not None
                numbers = said.values
                if traits.text[first + lane]:
                    numbers = np.array(texts, dtype=np.int64)[numbers] if len(numbers) else numbers
                values[said.places, lane] = numbers
            elif said.mode == DENSE and traits.quat_index[first + lane]:
                rotations.append(lane)
        for lane, said in enumerate(section.lanes):
            if said.mode == DENSE and lane not in rotations:
                values[:, lane] = self._continue(
                    section, number, pattern, cells, lane, inexact, None
                )
        for lane in rotations:
            index = lane - int(traits.quat_index[first + lane])
            values[:, lane] = self._continue(
                section, number, pattern, cells, lane, inexact, (index, values[:, index])
            )
        return values.astype(np.int32)

    def _continue(
        self,
        section: Section,
        number: int,
        pattern: NDArray[np.int32],
        cells: Ints,
        lane: int,
        inexact: Ints,
        left_out: tuple[int, Ints] | None,
    ) -> Ints:
        """A dense lane: continue the samples to the present, and add what was off."""
        layout, flat = self.history.layout, self.history.lanes
        traits = layout.traits
        place = layout.parts[section.part].first_lane + lane
        said = section.lanes[lane]
        samples, shares, agree = [], [], []
        for sample in range(self._patterns.ages.shape[2]):
            share = self._patterns.weights[pattern, said.predictor, sample]
            if sample and not share.any():
                break
            at = (number - self._patterns.ages[pattern, said.predictor, sample]) % LENGTH
            samples.append(flat[at, cells[:, lane]])
            shares.append(share)
            if left_out is not None:
                agree.append(flat[at, cells[:, left_out[0]]] == left_out[1])
        count = len(cells)
        if traits.wraps[place]:
            half, mask = np.full(count, traits.half[place]), np.full(count, traits.mask[place])
            prediction = extrapolate_wrapping(samples, shares, half, mask)
        else:
            prediction = extrapolate(samples, shares, np.full(count, traits.top[place]))
        if left_out is not None:
            mask = np.full(count, traits.mask[place])
            prediction = mend(prediction, samples[0], agree, shares, mask)
        codes = np.zeros(count, dtype=np.int64)
        if said.codes is not None:
            codes[inexact] = said.codes
        return from_zigzag(codes, prediction, np.full(count, traits.mask[place]))

    # -- rows --------------------------------------------------------------------------------

    def _enter(self, section: Section, number: int, index: int, texts: list[int]) -> None:
        rows, part = section.entered, section.part
        if len(rows) == 0:
            return
        layout = self.history.layout
        entities = int(layout.first[part]) + rows
        values = section.values.copy()
        for lane, kind in enumerate(self.lane_kinds[part]):
            if kind.text is not None:
                values[:, lane] = np.array(texts, dtype=np.int64)[values[:, lane]]
        since = number - section.age
        for row in rows.tolist() if self._unseen else ():
            entity = int(layout.first[part]) + row
            left = self._unseen.pop((part, row), _NEVER)
            self._left[entity] = max(int(self._left[entity]), left)
        held = self.life[entities] != ABSENT
        same = (
            held
            & (self.life[entities] == section.generation)
            & (self.controlled[entities] == section.controlled)
            & (self._interval[entities] == section.interval)
        )
        same &= since == self._since[entities]
        fresh = ~same & (since > self._since[entities]) & (since > self._left[entities])
        if layout.parts[part].kind is not PartKind.PUBLIC:
            fresh &= ~self._of_another_tenant(section, number, fresh, since)
        begun = entities[fresh]
        if len(begun):
            self._begin_epoch(section, number, fresh, begun, since[fresh])
        taken = same | fresh
        if layout.parts[part].kind is PartKind.PUBLIC:
            start = layout.row_starts[layout.parts[part].table]
            for place in self._from(number):
                self.history.life[place, start + rows[taken]] = self.life[entities[taken]]
        self._sample(part, entities[taken], values[taken].astype(np.int32), number, index)
        self._stray(part, rows[~taken], number)

    def _of_another_tenant(
        self, section: Section, number: int, fresh: NDArray[np.bool_], since: Ints
    ) -> NDArray[np.bool_]:
        """Of private parts that enter: those of a tenant that the row has no more.

        One of a newer tenant proves that the one that is held has gone, which ends it.
        """
        layout, rows = self.history.layout, section.entered
        public = layout.parts[section.part].public
        held = int(layout.first[public]) + rows
        other = fresh & (self.life[held] != ABSENT) & (self.life[held] != section.generation)
        newer = other & (since > self._since[held])
        if newer.any():
            ended = held[newer]
            self._end(ended)
            self._left[ended] = np.maximum(self._left[ended], since[newer] - 1)
            start = layout.row_starts[layout.parts[public].table]
            for place in self._from(number):
                self.history.life[place, start + rows[newer]] = ABSENT
            for part in self._others[public]:
                stale = int(layout.first[part]) + rows[newer]
                stale = stale[self.life[stale] != section.generation[newer]]
                self._forget(part, stale, number)
        return np.asarray(other & ~newer)

    def _begin_epoch(
        self,
        section: Section,
        number: int,
        fresh: NDArray[np.bool_],
        entities: Ints,
        since: Ints,
    ) -> None:
        layout, part = self.history.layout, section.part
        tenant = self.life[entities] != section.generation[fresh]
        self.life[entities] = section.generation[fresh]
        self.controlled[entities] = section.controlled[fresh]
        self._interval[entities] = section.interval[fresh]
        self._since[entities] = since
        self._said_at[entities] = _NEVER
        if layout.parts[part].kind is not PartKind.PUBLIC:
            return
        rows = section.entered[fresh]
        for other in self._others[part]:
            # What was told about the row's last tenant is not this one's.
            stale = int(layout.first[other]) + rows[tenant]
            stale = stale[self.life[stale] != section.generation[fresh][tenant]]
            self._forget(other, stale, number)

    def _from(self, number: int) -> list[int]:
        """The places of this frame and all newer ones."""
        return [at % LENGTH for at in range(number, self.history.newest_number + 1)]

    def _forget(self, part: int, entities: Ints, number: int) -> None:
        """What is not told any more reads as the default."""
        if len(entities) and len(self._defaults[part]):
            cells = self._cells(part, entities)
            self.newest[cells] = self._defaults[part]
            for place in self._from(number):
                self.history.lanes[place, cells] = self._defaults[part]

    def _update(self, section: Section, number: int, index: int, values: NDArray[np.int32]) -> None:
        if len(values) == 0:
            return
        entities = int(self.history.layout.first[section.part]) + section.updated
        taken = (self.life[entities] != ABSENT) & (number >= self._since[entities])
        self._sample(section.part, entities[taken], values[taken], number, index)
        self._stray(section.part, section.updated[~taken], number)

    def _sample(
        self, part: int, entities: Ints, values: NDArray[np.int32], number: int, index: int
    ) -> None:
        """Put values into the frame of their broadcast, and into what carries on from it."""
        history = self.history
        place = number % LENGTH
        self._mention[place, entities] = 1 + index
        cells = self._cells(part, entities)
        history.lanes[place, cells] = values
        if history.layout.parts[part].kind is PartKind.PUBLIC:
            table = history.layout.parts[part].table
            start = history.layout.row_starts[table]
            history.known[place, start + history.layout.row_of[entities]] = True
        open_rows = np.arange(len(entities))
        for later in range(number + 1, history.newest_number + 1):
            silent = self._mention[later % LENGTH, entities[open_rows]] == 0
            open_rows = open_rows[silent]
            if len(open_rows) == 0:
                break
            history.lanes[later % LENGTH, cells[open_rows]] = values[open_rows]
        newer = number > self._said_at[entities]
        self._said_at[entities[newer]] = number
        self.newest[cells[newer]] = values[newer]

    def _leave(self, section: Section, number: int) -> None:
        rows, part = section.left, section.part
        layout = self.history.layout
        room = self.history.sizes[layout.parts[part].table]
        for row in rows[rows >= room][:UNSEEN_KEPT].tolist():
            self._unseen[part, row] = number
            if len(self._unseen) > UNSEEN_KEPT:
                del self._unseen[next(iter(self._unseen))]
        rows = rows[rows < room]
        if len(rows) == 0:
            return
        entities = int(layout.first[part]) + rows
        held = self.life[entities] != ABSENT
        gone = held & (number > self._since[entities])
        over = entities[gone | ~held]
        self._left[over] = np.maximum(self._left[over], number)
        left = entities[gone]
        self._end(left)
        history = self.history
        if layout.parts[part].kind is not PartKind.PUBLIC:
            self.newest[self._cells(part, left)] = self._defaults[part]
            cells = self._cells(part, entities)
            for at in range(number, history.newest_number + 1):
                history.lanes[at % LENGTH, cells[self._away(entities, at)]] = self._defaults[part]
            return
        table_rows = layout.row_starts[layout.parts[part].table] + rows
        for at in range(number, history.newest_number + 1):
            history.life[at % LENGTH, table_rows[self._away(entities, at)]] = ABSENT
        here = table_rows[history.life[number % LENGTH, table_rows] == ABSENT]
        history.known[number % LENGTH, here] = True

    def _end(self, entities: Ints) -> None:
        """The epochs of these are over."""
        self.life[entities] = ABSENT
        self.controlled[entities] = False
        self._mention[:, entities] = 0

    def _away(self, entities: Ints, number: int) -> NDArray[np.bool_]:
        """Which of these are not in view now, or came into view after this broadcast."""
        return np.asarray((self.life[entities] == ABSENT) | (self._since[entities] > number))


class Known:
    """The newest samples of one table: what the client holds now."""

    def __init__(self, samples: Samples, table: int) -> None:
        self._samples = samples
        self._table = table

    @property
    def life(self) -> NDArray[np.int32]:
        """Each row's generation, or `ABSENT`: int32 of shape (rows,)."""
        return self._samples.life[self._rows]

    @property
    def controlled(self) -> NDArray[np.bool_]:
        """Whether the player controls the row."""
        return self._samples.controlled[self._rows]

    @property
    def owned(self) -> NDArray[np.bool_]:
        """Rows that the player controls, and of which all is known that only the owner is told."""
        owned = self.controlled
        layout = self._samples.history.layout
        for part in layout.parts:
            if part.table == self._table and part.kind is PartKind.OWNER:
                first = int(layout.first[part.number])
                told = self._samples.life[first : first + self._size]
                owned = owned & (told == self.life)
        return owned

    @property
    def lanes(self) -> NDArray[np.int32]:
        """The newest lanes: int32 of shape (rows, lanes)."""
        layout, size = self._samples.history.layout, self._size
        start, count = layout.cell_starts[self._table], layout.lane_counts[self._table]
        return self._samples.newest[start : start + size * count].reshape(size, count)

    @property
    def _size(self) -> int:
        return self._samples.history.sizes[self._table]

    @property
    def _rows(self) -> slice:
        first = int(self._samples.history.layout.first[self._samples.public[self._table]])
        return slice(first, first + self._size)
