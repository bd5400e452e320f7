"""The layout: where every value of every table stands in one flat row of history.

A *part* is a set of columns of one class that are told together: what everybody in view may see,
what only the owner may see, and each reference by itself (it is told only to those who see its
target). The state engine works on parts of all classes at once, so that a game of twelve classes
does not pay for twelve passes.

An *entity number* counts rows over all parts: ``part.first + row``. A *cell* is one lane of one
row: ``start of the table + row · lanes + lane``. Both spaces move when a table outgrows its room.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Angle, Bool, Enum, Field, Ref, Text
from netcode.vectors import Quat
from netcode.world.table import Table

FIRST_ROWS = 16
"""Rows that a table has room for at first."""


class PartKind(enum.Enum):
    """Who is told a part of an entity."""

    PUBLIC = 0
    """Whoever has the entity in view."""
    OWNER = 1
    """The player who controls it."""
    REFERENCE = 2
    """Of those who are told the entity (the owner, if the field says so): who sees the target."""


@dataclass(frozen=True, slots=True)
class Part:
    """Columns of one class that are told together."""

    number: int
    table: int
    kind: PartKind
    fields: tuple[Field[Any], ...]
    lanes: NDArray[np.int64]
    """Places of this part's lanes among the table's lanes."""
    first_lane: int
    """Place of this part's first lane among the lanes of all parts."""
    public: int
    """The public part of the same class."""


def parts_of(tables: Sequence[Table[Any]]) -> tuple[Part, ...]:
    """The parts of all classes, in the order of their numbers on the wire."""
    parts: list[Part] = []
    first_lane = 0

    def add(table: int, kind: PartKind, fields: Sequence[Field[Any]], public: int) -> None:
        nonlocal first_lane
        places = [
            place
            for described in fields
            for place in range(*tables[table].lanes_of(described).indices(1 << 30))
        ]
        lanes = np.array(places, dtype=np.int64)
        parts.append(Part(len(parts), table, kind, tuple(fields), lanes, first_lane, public))
        first_lane += len(lanes)

    for index, table in enumerate(tables):
        public = len(parts)
        plain = [f for f in table.fields if not isinstance(f, Ref)]
        add(index, PartKind.PUBLIC, [f for f in plain if not f.only_owner], public)
        private = [f for f in plain if f.only_owner]
        if private:
            add(index, PartKind.OWNER, private, public)
        for described in table.fields:
            if isinstance(described, Ref):
                add(index, PartKind.REFERENCE, [described], public)
    return tuple(parts)


class LaneTraits:
    """What the coder must know of each lane of each part: arrays over all parts' lanes."""

    def __init__(self, parts: Sequence[Part]) -> None:
        bits: list[int] = []
        top: list[int] = []
        wraps: list[bool] = []
        moves: list[bool] = []
        text: list[bool] = []
        quat_index: list[int] = []
        for part in parts:
            for described in part.fields:
                for lane, width in enumerate(described.lane_bits):
                    is_quat = isinstance(described, Quat)
                    bits.append(width)
                    top.append((1 << width) - 1)
                    wraps.append(isinstance(described, Angle))
                    moves.append(
                        not isinstance(described, (Bool, Enum, Text, Ref))
                        and not (is_quat and lane == 0)
                    )
                    text.append(isinstance(described, Text))
                    quat_index.append(lane if is_quat else 0)
        self.offset = (
            np.concatenate([part.lanes for part in parts]).astype(np.int64)
            if parts
            else np.zeros(0, dtype=np.int64)
        )
        """Place among the table's lanes."""
        self.bits = np.array(bits, dtype=np.int64)
        self.wraps = np.array(wraps, dtype=np.bool_)
        """Whether the last value is followed by the first."""
        self.moves = np.array(moves, dtype=np.bool_)
        """Whether anything but its last value may predict it."""
        self.text = np.array(text, dtype=np.bool_)
        self.quat_index = np.array(quat_index, dtype=np.int64)
        """For the components of a Quat: how many lanes before stands which one is left out."""
        self.top = np.array(top, dtype=np.float64)
        """The largest value that fits into the lane's bits."""
        self.half = np.int64(1) << np.maximum(self.bits - 1, 0)
        self.mask = (np.int64(1) << self.bits) - 1
        """Residuals (and differences of samples that wrap) are taken modulo this, plus one."""


def renumbered(
    entities: int, before: NDArray[np.int64], now: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The new number of each entity, as the first number of every part has moved."""
    old = np.arange(entities)
    part = np.searchsorted(before, old, side="right") - 1
    return np.asarray(old - before[part] + now[part])


class Layout:
    """Where parts, rows and cells stand, for tables with room for ``self.rooms`` rows each."""

    def __init__(self, tables: Sequence[Table[Any]]) -> None:
        self.parts = parts_of(tables)
        self.traits = LaneTraits(self.parts)
        self.lane_counts = [table.lane_count for table in tables]
        self.lanes_of_part = np.array([len(part.lanes) for part in self.parts], dtype=np.int64)
        self.first_lane = np.array([part.first_lane for part in self.parts], dtype=np.int64)
        self.table_of_part = np.array([part.table for part in self.parts], dtype=np.int64)
        self.rooms = [FIRST_ROWS for _ in tables]
        self._place()

    def _place(self) -> None:
        ends = np.cumsum([0, *self.rooms]).tolist()
        self.row_starts: list[int] = ends[:-1]
        self.rows: int = ends[-1]
        sizes = [room * lanes for room, lanes in zip(self.rooms, self.lane_counts, strict=True)]
        cell_ends = np.cumsum([0, *sizes]).tolist()
        self.cell_starts: list[int] = cell_ends[:-1]
        self.cells: int = cell_ends[-1]
        rooms = [self.rooms[part.table] for part in self.parts]
        firsts = np.cumsum([0, *rooms])
        self.first = firsts[:-1].astype(np.int64)
        """Entity number of row 0 of each part."""
        self.entities = int(firsts[-1])
        self.part_of = np.repeat(np.arange(len(self.parts), dtype=np.int64), rooms)
        self.row_of = np.arange(self.entities, dtype=np.int64) - np.repeat(self.first, rooms)
        lanes = np.array([self.lane_counts[part.table] for part in self.parts], dtype=np.int64)
        starts = np.array([self.cell_starts[part.table] for part in self.parts], dtype=np.int64)
        self.cell_of = starts[self.part_of] + self.row_of * lanes[self.part_of]
        """First cell of each entity number's row."""
        self.entity_of_cell = np.zeros(self.cells, dtype=np.int64)
        for part in self.parts:
            room, count = self.rooms[part.table], self.lane_counts[part.table]
            start = self.cell_starts[part.table]
            grid = self.entity_of_cell[start : start + room * count].reshape(room, count)
            grid[:, part.lanes] = (self.first[part.number] + np.arange(room))[:, None]

    def fit(self, table: int, rows: int) -> bool:
        """Make room for this many rows of a table; whether everything has moved."""
        if rows <= self.rooms[table]:
            return False
        self.rooms[table] = max(rows, 2 * self.rooms[table])
        self._place()
        return True
