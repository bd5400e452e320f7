"""History: the last broadcast ticks, each the quantised lanes of every table.

The one idea of the house. On a server it is the past that was told to the players; on a client
it is what has been told, with `known` saying which rows of a tick are certain. Interpolation
reads its samples from here, prediction takes its truth from here, lag compensation rewinds to
here.

Memory: (4 · lanes + 5) bytes per row and tick, times `LENGTH` ticks; frames are reused.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Lanes
from netcode.world.table import Table

LENGTH = 32
"""Broadcast ticks that are kept: 1.6 s at 20 Hz, four times the longest rewind (400 ms)."""

ABSENT = -1
"""The life of a row that holds no entity (on a client: none in view)."""


class TableFrame:
    """One table at one tick: ``lanes`` (size, lane_count), ``life`` (size,), ``known`` (size,)."""

    def __init__(self, lane_count: int) -> None:
        self.size = 0
        self._lanes = np.zeros((0, lane_count), dtype=np.int32)
        self._life = np.full(0, ABSENT, dtype=np.int32)
        self._known = np.zeros(0, dtype=np.bool_)

    @property
    def lanes(self) -> Lanes:
        """The quantised columns: int32."""
        return self._lanes[: self.size]

    @property
    def life(self) -> NDArray[np.int32]:
        """Each row's generation, or `ABSENT`."""
        return self._life[: self.size]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether this row's lanes are the server's at this tick (always, on the server).

        On a client a known row that is absent may yet be on its way: an entity enters when the
        first packet about it arrives.
        """
        return self._known[: self.size]

    def fit(self, size: int) -> None:
        """Make room for this many rows; new rows are absent and not known."""
        if size > len(self._life):
            capacity = max(size, 2 * len(self._life), 16)
            lanes = np.zeros((capacity, self._lanes.shape[1]), dtype=np.int32)
            life = np.full(capacity, ABSENT, dtype=np.int32)
            known = np.zeros(capacity, dtype=np.bool_)
            lanes[: self.size], life[: self.size] = self.lanes, self.life
            known[: self.size] = self.known
            self._lanes, self._life, self._known = lanes, life, known
        if size > self.size:
            self._life[self.size : size] = ABSENT
            self._known[self.size : size] = False
        self.size = size


class Frame:
    """All tables at one broadcast tick."""

    def __init__(self, lane_counts: Sequence[int]) -> None:
        self.tick = -1
        self.complete = False
        """Whether every row is known."""
        self.tables = [TableFrame(count) for count in lane_counts]


class History:
    """The ring of the last `LENGTH` frames, oldest first."""

    def __init__(self, tables: Sequence[Table[Any]], length: int = LENGTH) -> None:
        counts = [table.lane_count for table in tables]
        self._frames: deque[Frame] = deque()
        self._spare = [Frame(counts) for _ in range(length)]

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    @property
    def newest(self) -> Frame | None:
        return self._frames[-1] if self._frames else None

    def at(self, tick: int) -> Frame | None:
        """The frame of exactly this tick, if it is still kept."""
        for frame in reversed(self._frames):
            if frame.tick == tick:
                return frame
        return None

    def begin(self, tick: int) -> Frame:
        """A frame for a tick newer than all others; the oldest one makes room if need be."""
        frame = self._spare.pop() if self._spare else self._frames.popleft()
        frame.tick = tick
        frame.complete = False
        self._frames.append(frame)
        return frame

    def record(self, tick: int, tables: Sequence[Table[Any]]) -> Frame:
        """The server's way in: quantise every table once, and keep it."""
        frame = self.begin(tick)
        for table, kept in zip(tables, frame.tables, strict=True):
            kept.fit(table.size)
            kept.lanes[:] = table.quantise()
            kept.life[:] = np.where(table.alive, table.generation, ABSENT)
            kept.known[:] = True
        frame.complete = True
        return frame
