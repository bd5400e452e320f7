"""History: the last broadcast ticks, each the quantised lanes of every table.

The one idea of the house. On a server it is the past that was told to the players, and the
baseline of what is told next; on a client it is what has been told, with `known` saying which rows
of a tick are certain. Interpolation reads its samples from here, prediction takes its truth from
here, lag compensation rewinds to here.

Broadcasts are numbered (tick / ticks between broadcasts), and number n always stands in place
n modulo `LENGTH`, at both ends: so both mean the same samples by "three broadcasts ago".

Memory: (4 · lanes + 5) bytes per row and tick, times `LENGTH` ticks, for as many rows as have room.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError
from netcode.fields import Lanes
from netcode.world.layout import Layout
from netcode.world.table import Table

LENGTH = 32
"""Broadcast ticks that are kept: 1.6 s at 20 Hz, four times the longest rewind (400 ms)."""

ABSENT = -1
"""The life of a row that holds no entity (on a client: none in view)."""


class TableFrame:
    """One table at one tick: ``lanes`` (size, lane_count), ``life`` (size,), ``known`` (size,)."""

    def __init__(self, history: "History", place: int, table: int) -> None:
        self._history = history
        self._place = place
        self._table = table

    @property
    def size(self) -> int:
        """Rows in use so far: the same for all frames."""
        return self._history.sizes[self._table]

    @property
    def lanes(self) -> Lanes:
        """The quantised columns: int32."""
        layout, size = self._history.layout, self.size
        start, count = layout.cell_starts[self._table], layout.lane_counts[self._table]
        flat = self._history.lanes[self._place, start : start + size * count]
        return flat.reshape(size, count)

    @property
    def life(self) -> NDArray[np.int32]:
        """Each row's generation, or `ABSENT`."""
        start = self._history.layout.row_starts[self._table]
        return self._history.life[self._place, start : start + self.size]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether this row's lanes are the server's at this tick (always, on the server).

        On a client a known row that is absent may yet be on its way: an entity enters when the
        first packet about it arrives.
        """
        start = self._history.layout.row_starts[self._table]
        return self._history.known[self._place, start : start + self.size]


class Frame:
    """All tables at one broadcast tick."""

    def __init__(self, history: "History", place: int, tables: int) -> None:
        self._history = history
        self._place = place
        self.complete = False
        """Whether every row is known."""
        self.tables = [TableFrame(history, place, table) for table in range(tables)]

    @property
    def tick(self) -> int:
        """The tick of the simulation; -1 if this place of the ring has not been used yet."""
        return int(self._history.numbers[self._place]) * self._history.every

    @property
    def number(self) -> int:
        """The number of the broadcast."""
        return int(self._history.numbers[self._place])


class History:
    """The ring of the last `LENGTH` broadcasts; ``every`` is the ticks from one to the next."""

    def __init__(self, tables: Sequence[Table[Any]], every: int = 1) -> None:
        self.every = every
        self.layout = Layout(tables)
        self.sizes = [0 for _ in tables]
        self.newest_number = -1
        self.numbers = np.full(LENGTH, -1, dtype=np.int64)
        """The broadcast in each place; -1 for none."""
        self._allocate()
        self._frames = [Frame(self, place, len(tables)) for place in range(LENGTH)]

    def _allocate(self) -> None:
        self.lanes = np.zeros((LENGTH, self.layout.cells), dtype=np.int32)
        self.life = np.full((LENGTH, self.layout.rows), ABSENT, dtype=np.int32)
        self.known = np.zeros((LENGTH, self.layout.rows), dtype=np.bool_)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.numbers >= 0))

    def __iter__(self) -> Iterator[Frame]:
        """The frames, oldest first."""
        for number in range(self.newest_number - LENGTH + 1, self.newest_number + 1):
            frame = self._frames[number % LENGTH]
            if number >= 0 and self.numbers[number % LENGTH] == number:
                yield frame

    @property
    def newest(self) -> Frame | None:
        return None if self.newest_number < 0 else self._frames[self.newest_number % LENGTH]

    def at(self, tick: int) -> Frame | None:
        """The frame of exactly this tick, if it is still kept."""
        number, rest = divmod(tick, self.every)
        if rest or number < 0 or self.numbers[number % LENGTH] != number:
            return None
        return self._frames[number % LENGTH]

    def kept(self) -> NDArray[np.int64]:
        """The numbers of the broadcasts that are kept, ascending."""
        return np.sort(self.numbers[self.numbers >= 0])

    def before(self, tick: float) -> Frame:
        """The newest frame at or before a tick, or else the oldest that is kept.

        Raises `UsageError` while there is none.
        """
        number = min(int(tick // self.every), self.newest_number)
        if number >= 0 and self.numbers[number % LENGTH] == number:
            return self._frames[number % LENGTH]  # where none is missing
        numbers = self.kept()
        if len(numbers) == 0:
            raise UsageError("there is no history yet")
        at = int(np.searchsorted(numbers * self.every, tick, side="right")) - 1
        return self._frames[int(numbers[max(at, 0)]) % LENGTH]

    def fit(self, table: int, rows: int) -> bool:
        """Make room for this many rows of a table; new rows are absent and not known.

        Whether everything has moved to new places.
        """
        if rows <= self.sizes[table]:
            return False
        layout = self.layout
        sizes, row_starts, cell_starts = self.sizes.copy(), layout.row_starts, layout.cell_starts
        self.sizes[table] = rows
        lanes, life, known = self.lanes, self.life, self.known
        if not layout.fit(table, rows):
            return False
        self._allocate()
        for index, size in enumerate(sizes):
            cells = size * layout.lane_counts[index]
            old, new = cell_starts[index], layout.cell_starts[index]
            self.lanes[:, new : new + cells] = lanes[:, old : old + cells]
            old, new = row_starts[index], layout.row_starts[index]
            self.life[:, new : new + size] = life[:, old : old + size]
            self.known[:, new : new + size] = known[:, old : old + size]
        return True

    def begin(self, tick: int) -> Frame:
        """A frame for a tick newer than all others; its contents are those of an older one.

        Raises `UsageError` for a tick that is not a broadcast's, or not newer.
        """
        number, rest = divmod(tick, self.every)
        if rest or number <= self.newest_number:
            raise UsageError(f"tick {tick} is no broadcast after {self.newest_number * self.every}")
        if number - self.newest_number > LENGTH:
            self.numbers[:] = -1
        else:
            for skipped in range(self.newest_number + 1, number):
                self.numbers[skipped % LENGTH] = -1
        self.newest_number = number
        self.numbers[number % LENGTH] = number
        frame = self._frames[number % LENGTH]
        frame.complete = False
        return frame

    def record(self, tick: int, tables: Sequence[Table[Any]]) -> Frame:
        """The server's way in: quantise every table once, and keep it."""
        for index, table in enumerate(tables):
            self.fit(index, table.size)
        before = self.newest_number
        frame = self.begin(tick)
        if before >= 0:
            self.lanes[frame.number % LENGTH] = self.lanes[before % LENGTH]
        for table, kept in zip(tables, frame.tables, strict=True):
            if table.size:
                table.requantise_into(kept.lanes)
                life = kept.life
                life[:] = table.generation
                life[~table.alive] = ABSENT
        self.known[frame.number % LENGTH] = True
        frame.complete = True
        return frame
