"""Entries: entities told in full, as they come into view or when no baseline is left."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from netcode.fields import Text
from netcode.sync.coder import write_values
from netcode.sync.pairs import Pairs
from netcode.wire.bits import Ints, spread
from netcode.wire.state_writer import StateWriter
from netcode.world.history import LENGTH, History
from netcode.world.table import Table

ENTRY_BITS = 24
"""Generation, control, interval and age of an entry."""


class Entries:
    """What entries cost, and how they are written."""

    def __init__(self, tables: Sequence[Table[Any]], history: History, pairs: Pairs) -> None:
        self._history = history
        self._pairs = pairs
        self.encoded = tables[0].context.encoded if tables else _no_text
        """From the number of a text to its bytes."""
        parts, layout = history.layout.parts, history.layout
        text_bits = [
            8 + 8 * described.max_bytes if isinstance(described, Text) else width
            for part in parts
            for described in part.fields
            for width in described.lane_bits
        ]
        sums = np.concatenate([[0], np.cumsum(np.array(text_bits, dtype=np.int64))])
        starts, ends = layout.first_lane, layout.first_lane + layout.lanes_of_part
        self.most_bits = ENTRY_BITS + sums[ends] - sums[starts]
        """The most that an entry of each part takes."""
        traits = layout.traits
        sums = np.concatenate([[0], np.cumsum(np.where(traits.text, 8, traits.bits))])
        self._plain_bits = ENTRY_BITS + sums[ends] - sums[starts]
        """What an entry takes besides the bytes of its texts."""

    def bits(self, number: int, entity: Ints) -> Ints:
        """What entries of these take, apart from their places in the list of rows."""
        traits = self._history.layout.traits
        bits = self._plain_bits[self._history.layout.part_of[entity]].copy()
        if traits.text.any():
            at, lane, cell = self._cells(entity)
            said = traits.text[lane].nonzero()[0]
            values = self._history.lanes[number % LENGTH].take(cell[said])
            texts = [self.encoded(text) for text in values.tolist()]
            size = np.array([len(text) for text in texts], dtype=np.int64)
            np.add.at(bits, at[said], 8 * size)
        return np.asarray(bits)

    def _cells(self, entity: Ints) -> tuple[Ints, Ints, Ints]:
        """All cells of these entities: which entity, which lane, and the cell."""
        layout = self._history.layout
        part = layout.part_of[entity]
        count = layout.lanes_of_part[part]
        lane = spread(layout.first_lane[part], count)
        at = np.repeat(np.arange(len(entity)), count)
        return at, lane, layout.cell_of[entity][at] + layout.traits.offset[lane]

    def write(
        self, writer: StateWriter, number: int, section: Ints, entity: Ints, slot: Ints
    ) -> None:
        pairs, layout = self._pairs, self._history.layout
        places = pairs.where[slot, entity]
        writer.put_rows(section, layout.row_of[entity])
        age = number - pairs.since[places]
        heads = pairs.attributes[places].astype(np.int64) << 6 | age
        writer.put(section, heads, np.full(len(heads), ENTRY_BITS))
        at, lane, cell = self._cells(entity)
        if len(cell) == 0:
            return
        order = np.lexsort((at, lane, section[at]))
        values = self._history.lanes[number % LENGTH].take(cell[order])
        write_values(
            writer,
            section[at[order]],
            lane[order],
            values.astype(np.int64),
            layout.traits,
            self.encoded,
        )


def _no_text(number: int) -> bytes:
    return b""
