"""The receiver: turns state packets into history, whatever order they come in.

Mirror of the sender. It keeps the newest known lanes of every row, the tick at which each column
was said, and writes one frame of history per tick. A value is taken only if it is newer than
what is known for its column, so doubled, late and overtaken packets do no harm. Its size is
bounded by what the wire can name: `MAX_ROWS` rows of each class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import WireError
from netcode.fields import GENERATIONS, Field, Lanes, Text
from netcode.sync.sender import END, LIFE_BITS, ROW_BITS
from netcode.wire.bits import BitReader, unwrap
from netcode.wire.packets import WINDOW, StateHeader, decode_state_header
from netcode.world.history import ABSENT, Frame, History
from netcode.world.table import Table
from netcode.world.world import TextPool

MAX_AHEAD = 1 << 20
"""A packet whose tick is farther from the newest known one than this cannot be true."""


@dataclass(slots=True)
class _Known:
    """What is known of one table's rows. Column 0 is presence, then the fields."""

    life: NDArray[np.int32]
    controlled: NDArray[np.bool_]
    lanes: Lanes
    said: NDArray[np.int64]
    """The tick at which each column was last said; -1 never."""

    def fit(self, rows: int) -> None:
        have = len(self.life)
        if rows <= have:
            return
        more = max(rows, 2 * have, 16) - have
        self.life = np.concatenate([self.life, np.full(more, ABSENT, dtype=np.int32)])
        self.controlled = np.concatenate([self.controlled, np.zeros(more, dtype=np.bool_)])
        self.lanes = np.concatenate(
            [self.lanes, np.zeros((more, self.lanes.shape[1]), dtype=np.int32)]
        )
        self.said = np.concatenate(
            [self.said, np.full((more, self.said.shape[1]), -1, dtype=np.int64)]
        )


@dataclass(slots=True)
class _Section:
    table: int
    rows: NDArray[np.int64]
    told: NDArray[np.bool_]
    """Whether presence is said, per row."""
    life: NDArray[np.int32]
    controlled: NDArray[np.bool_]
    columns: NDArray[np.bool_]
    """Which fields are said: (rows, fields), all False for rows that leave."""
    lanes: Lanes
    texts: list[tuple[int, NDArray[np.bool_], list[str]]]
    """For each Text its lane, the rows that say it, and what; numbered once all is parsed."""


@dataclass(slots=True)
class ReceiverStats:
    """Counts of what arrived."""

    packets: int = 0
    doubled: int = 0
    late: int = 0
    """Packets of a tick older than the newest."""
    stray: int = 0
    """Rows that were said to change but are not in view."""


class Receiver:
    """Understands what a `Sender` says. One for each client."""

    def __init__(self, tables: Sequence[Table[Any]], history: History, texts: TextPool) -> None:
        self._fields: list[tuple[Field[Any], ...]] = [table.fields for table in tables]
        self._lanes_of = [[table.lanes_of(f) for f in table.fields] for table in tables]
        self._private = [
            [
                (1 + column, table.lanes_of(f), partial(f.encode, f.default, table.context))
                for column, f in enumerate(table.fields)
                if f.only_owner
            ]
            for table in tables
        ]
        self._texts = texts
        texts.users.append(self._texts_in_use)
        self.history = history
        self.known = [
            _Known(
                life=np.full(0, ABSENT, dtype=np.int32),
                controlled=np.zeros(0, dtype=np.bool_),
                lanes=np.zeros((0, table.lane_count), dtype=np.int32),
                said=np.full((0, 1 + len(table.fields)), -1, dtype=np.int64),
            )
            for table in tables
        ]
        self.tick = -1
        """The newest tick of which anything arrived."""
        self.newest_packet = 0
        self.window = 0
        """Which of the packets before the newest arrived; see `InputPacket.window`."""
        self.input_tick: int | None = None
        self.earliness = 0.0
        self.stats = ReceiverStats()
        self._missing: dict[int, set[int]] = {}

    @property
    def heard(self) -> bool:
        """Whether any packet has arrived."""
        return self.tick >= 0

    def receive(self, data: bytes) -> int:
        """Take in one packet and return its tick. Raises `WireError`, having changed nothing."""
        header, body = decode_state_header(data)
        if self.heard and abs(header.tick - self.tick) > MAX_AHEAD:
            raise WireError(f"tick {header.tick} is far from {self.tick}")
        sections = self._parse(body)
        header.sequence = unwrap(header.sequence, self.newest_packet)
        self.stats.packets += 1
        if not self._note_packet(header.sequence):
            self.stats.doubled += 1
            return header.tick
        if header.tick > self.tick:
            self.tick = header.tick
            self.input_tick, self.earliness = header.input_tick, header.earliness
            self._begin_frame(header)
        elif header.tick < self.tick:
            self.stats.late += 1
        frame = self.history.at(header.tick) if header.tick == self.tick else None
        for section in sections:
            self._apply(section, header.tick, frame)
        self._note_complete(header, frame)
        return header.tick

    def _texts_in_use(self) -> Iterator[NDArray[np.int32]]:
        for known, fields, lanes_of in zip(self.known, self._fields, self._lanes_of, strict=True):
            for field, where in zip(fields, lanes_of, strict=True):
                if isinstance(field, Text):
                    yield known.lanes[:, where.start]

    # -- acknowledgements --------------------------------------------------------------------

    def _note_packet(self, sequence: int) -> bool:
        """Note that a packet arrived; False if it had arrived before or is too old to tell."""
        ahead = sequence - self.newest_packet
        mask = (1 << WINDOW) - 1
        if self.newest_packet == 0:
            self.newest_packet, self.window = sequence, 0
            return True
        if ahead > 0:
            self.window = ((self.window << 1 | 1) << (ahead - 1)) & mask
            self.newest_packet = sequence
            return True
        if ahead == 0 or -ahead > WINDOW:
            return False
        bit = 1 << (-ahead - 1)
        fresh = not self.window & bit
        self.window |= bit
        return fresh

    # -- frames ------------------------------------------------------------------------------

    def _begin_frame(self, header: StateHeader) -> None:
        frame = self.history.begin(header.tick)
        for known, kept in zip(self.known, frame.tables, strict=True):
            kept.fit(len(known.life))
            kept.lanes[:] = known.lanes
            kept.life[:] = known.life
            kept.known[:] = False
        self._missing = {header.tick: set(range(header.count))}

    def _note_complete(self, header: StateHeader, frame: Frame | None) -> None:
        """With every packet of a tick here and nothing deferred, all rows are known."""
        missing = self._missing.get(header.tick)
        if missing is None or frame is None:
            return
        missing.discard(header.index)
        if not missing and not header.deferred:
            frame.complete = True
            for kept in frame.tables:
                kept.known[:] = True

    # -- rows --------------------------------------------------------------------------------

    def _apply(self, section: _Section, tick: int, frame: Frame | None) -> None:
        known = self.known[section.table]
        rows = section.rows
        known.fit(int(rows.max()) + 1 if len(rows) else 0)

        told = section.told & (tick > known.said[rows, 0])
        placed = rows[told]
        fresh = section.life[told] != known.life[placed]
        known.said[placed, 0] = tick
        known.life[placed] = section.life[told]
        known.controlled[placed] = section.controlled[told]
        # A new tenant, or a new epoch of the old one: nothing older counts for any field, and
        # what only its owner is told reads as the default to everybody else.
        known.said[placed[fresh], 1:] = -1
        stranger = placed[~section.controlled[told]]
        for column, where, default in self._private[section.table]:
            known.lanes[stranger, where] = default()
            known.said[stranger, column] = -1

        in_view = known.life[rows] != ABSENT
        # What was said before this entity entered is about its predecessor.
        current = in_view & (tick >= known.said[rows, 0])
        self.stats.stray += int(np.count_nonzero(~in_view & section.columns.any(axis=1)))
        taken = section.columns & current[:, None] & (tick > known.said[rows, 1:])
        for column, where in enumerate(self._lanes_of[section.table]):
            chosen = rows[taken[:, column]]
            known.lanes[chosen, where] = section.lanes[taken[:, column], where]
            known.said[chosen, 1 + column] = tick
        if frame is not None:
            kept = frame.tables[section.table]
            kept.fit(len(known.life))
            kept.lanes[rows] = known.lanes[rows]
            kept.life[rows] = known.life[rows]
            kept.known[rows] = True

    # -- parsing -----------------------------------------------------------------------------

    def _parse(self, data: bytes) -> list[_Section]:
        body = BitReader(data)
        sections = []
        while (table := body.read_one(8)) != END:
            if table >= len(self._fields):
                raise WireError(f"there is no entity class number {table}")
            sections.append(self._parse_section(table, body))
        body.expect_end()
        for section in sections:
            for lane, chosen, texts in section.texts:
                section.lanes[chosen, lane] = [self._texts.number(text) for text in texts]
        return sections

    def _parse_section(self, table: int, body: BitReader) -> _Section:
        fields = self._fields[table]
        count = body.read_one(16)
        rows = body.read(count, ROW_BITS)
        if count > 1 and not (np.diff(rows) > 0).all():
            raise WireError("rows must ascend")
        told = body.read_flags(count)
        life = np.full(count, ABSENT, dtype=np.int32)
        controlled = np.zeros(count, dtype=np.bool_)
        present = np.ones(count, dtype=np.bool_)
        present[told] = body.read_flags(int(np.count_nonzero(told)))
        entering = told & present
        entries = int(np.count_nonzero(entering))
        life[entering] = body.read(entries, LIFE_BITS)
        if (life >= GENERATIONS).any():
            raise WireError("a generation is out of range")
        controlled[entering] = body.read_flags(entries)
        living = int(np.count_nonzero(present))
        columns = np.zeros((count, len(fields)), dtype=np.bool_)
        for column in range(len(fields)):
            columns[present, column] = body.read_flags(living)
        lanes = np.zeros((count, sum(len(f.lane_bits) for f in fields)), dtype=np.int32)
        texts = []
        for column, field in enumerate(fields):
            chosen = columns[:, column]
            said = int(np.count_nonzero(chosen))
            where = self._lanes_of[table][column]
            if isinstance(field, Text):
                words = [_parse_text(field, body) for _ in range(said)]
                texts.append((where.start, chosen, words))
            else:
                for lane, width in enumerate(field.lane_bits, start=where.start):
                    lanes[chosen, lane] = body.read(said, width)
        return _Section(table, rows, told, life, controlled, columns, lanes, texts)


def _parse_text(field: Text, body: BitReader) -> str:
    length = body.read_one(8)
    return field.from_wire(body.read(length, 8).astype(np.uint8).tobytes())
