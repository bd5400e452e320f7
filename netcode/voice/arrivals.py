"""How late packets come: what one speaker's line asks a listener to wait for.

Both clocks have offsets of their own, so lateness is relative: to the fastest packet of the last
two seconds of talking. The relative delays fill a histogram which forgets 1.7 % with each packet,
as NetEq's does, and its 95th percentile is how long a packet may take and still be waited for.
Until it knows better, it is `FIRST`; the first packets count for more, so that a clean line is
recognised within a few of them.
"""

import math
from collections import deque

import numpy as np

BIN = 0.005
"""Seconds of a bin."""

FIRST = 0.020
LONGEST = 0.380
"""Seconds that are waited at most."""

_PERCENTILE = 0.95
_FORGET = 0.983
_HASTE = 2.0
_FIRST_COUNTS = 3
"""`FIRST` counts like three packets, and the n-th packet like 2/n of all: after fifteen of them
only they count."""

_PACKETS = 100
_SECONDS = 30.0
"""A base older than this says nothing: clocks 200 ppm apart have moved by 6 ms."""


class Arrivals:
    """The distribution of one speaker's relative delays. All times in seconds."""

    def __init__(self) -> None:
        self.base = 0.0
        """Arrival minus time of capture, each by its own clock, of the fastest packet lately."""
        self.need = FIRST
        """How long after the fastest a packet may come and be waited for."""
        self._weights = np.zeros(round(LONGEST / BIN) + 1)
        self._weights[round(FIRST / BIN) - 1] = 1.0
        self._counted = _FIRST_COUNTS
        self._number = 0
        self._fastest: deque[tuple[int, float, float]] = deque()

    def add(self, now: float, captured: float) -> None:
        """A packet has arrived that was captured at this time of the speaker's clock."""
        offset = now - captured
        self._number += 1
        fastest = self._fastest
        # Rising offsets only: the first is the least, those behind it are least once it is gone.
        while fastest and fastest[-1][2] >= offset:
            fastest.pop()
        fastest.append((self._number, now, offset))
        while fastest[0][0] <= self._number - _PACKETS or fastest[0][1] < now - _SECONDS:
            fastest.popleft()
        self.base = fastest[0][2]
        self._count(offset - self.base)

    def add_told(self, now: float, captured: float) -> None:
        """A packet is lost, but what was in it is told by the one that arrives now.

        So it counts as one that has come, only late: where more than 5 % are lost it pays to wait
        for the packets after them, and where fewer are, it does not.
        """
        if self._fastest:
            self._count(max(0.0, now - captured - self.base))

    def forget_base(self) -> None:
        """The speaker's clock has been set anew: how even packets come is still as it was."""
        self._fastest.clear()

    def is_far_off(self, now: float, captured: float, most: float) -> bool:
        """Whether a packet's time is further from the others' than any line could make it."""
        return bool(self._fastest) and abs(now - captured - self.base) > most

    def _count(self, late: float) -> None:
        self._counted += 1
        forget = min(_FORGET, max(0.0, 1.0 - _HASTE / (self._counted + 1)))
        weights = self._weights
        weights *= forget
        weights[min(math.floor(late / BIN), len(weights) - 1)] += 1.0 - forget
        at = int(np.searchsorted(np.cumsum(weights), _PERCENTILE * float(weights.sum())))
        self.need = min((at + 1) * BIN, LONGEST)
