"""Baselines: the past values that both ends know to be the same.

A row's value at broadcast n is *shared* if the packet that carried it is acknowledged by the
client packet that is named in the header. Both ends work this out for themselves from that
packet's window: the server knows what it sent, the client what it had received when it sent that
packet. Nothing about it travels, and no loss, doubling or reordering can make the two differ.

`REACH` broadcasts back are looked at. A row at rest is not mentioned, so that none of its values
in reach may be shared: its baseline is then the value at `RESTING` broadcasts ago, which the
server uses only if it knows that the client had that value and was told no other one since.

From the shared values, up to `SAMPLES` are picked, at distances that suit the motion: neighbours
follow a sharp turn, distant ones even out the rounding of a smooth curve. The value is the
polynomial through them (Lagrange's form), continued to the present.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from netcode.wire.bits import Ints
from netcode.wire.packets import MAX_PACKETS

REACH = 15
"""Broadcasts back in which baselines are looked for: 0.75 s at 20 Hz."""

PLACES = REACH + 1
"""What is remembered of a broadcast stands at its number modulo this: the present one, and all in
reach."""

RESTING = REACH + 1
"""The age of the baseline of a row that has no shared value in reach."""

WINDOW = REACH * MAX_PACKETS
"""State packets older than the newest that one acknowledgement speaks of: all in reach."""

_ALL = (1 << WINDOW) - 1

SAMPLES = 4
"""Baselines that a prediction uses at most."""

PREDICTORS: Final = ((0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3))
"""Degree of the polynomial, and the least distance in broadcasts between its samples.

Measured on motions of games (bits a value at a round trip of 90 ms): a bobbing object takes 2.2
with (2, 3) and 3.6 with neighbouring samples; an object on a large circle 3.5 with (3, 3), 4.7 with
(2, 1); a kart 4.7 with (2, 2), 5.1 with (2, 1); a steering wheel 6.4 with (0, 1)."""

HOLD = 0
"""The number of the predictor that repeats the newest baseline."""

Mask = NDArray[np.uint16]
"""Bit i is set if the value of i + 1 broadcasts ago is shared."""


def samples_of(mask: int, degree: int, distance: int) -> list[int]:
    """Ages of the samples: the newest shared value, then each the next at ``distance`` or more.

    Fewer than ``degree`` + 1 if there are not so many.
    """
    ages: list[int] = []
    for age in range(1, REACH + 1):
        if mask >> (age - 1) & 1 and (not ages or age >= ages[-1] + distance):
            ages.append(age)
            if len(ages) == degree + 1:
                break
    return ages or [RESTING]


def weights_of(ages: list[int]) -> list[float]:
    """The weights with which samples of these ages add up to the value now.

    Numerator and denominator are small integers, so that one division gives the same float in
    every language.
    """
    weights = []
    for i, age in enumerate(ages):
        above = below = 1
        for j, other in enumerate(ages):
            if j != i:
                above *= other
                below *= other - age
        weights.append(above / below)
    return weights


class Patterns:
    """For every mask that has come up: the ages and weights of all predictors.

    A row of the arrays is one pattern; there are as many as masks have been seen (a few dozen; at
    most 32,768, which take 16 MB).
    """

    def __init__(self) -> None:
        self._row_of = np.full(1 << REACH, -1, dtype=np.int32)
        self._count = 0
        self._alike: dict[tuple[tuple[int, ...], ...], int] = {}
        """Patterns by their samples: masks may differ in values that no predictor picks."""
        self.ages = np.ones((64, len(PREDICTORS), SAMPLES), dtype=np.int64)
        self.weights = np.zeros((64, len(PREDICTORS), SAMPLES))
        self.newest = np.zeros(64, dtype=np.int64)
        """The age of the newest shared value; `RESTING` for none."""

    def rows(self, masks: Mask) -> NDArray[np.int32]:
        """The pattern of each mask."""
        rows = self._row_of.take(masks)
        if len(rows) and rows.min() < 0:
            for mask in np.unique(masks[rows < 0]).tolist():
                self._add(mask)
            rows = self._row_of.take(masks)
        return rows

    @property
    def count(self) -> int:
        return self._count

    def _add(self, mask: int) -> None:
        samples = tuple(
            tuple(samples_of(mask, degree, distance)) for degree, distance in PREDICTORS
        )
        row = self._alike.get(samples)
        if row is None:
            row = self._alike[samples] = self._count
            self._append(row, samples)
        self._row_of[mask] = row

    def _append(self, row: int, samples: tuple[tuple[int, ...], ...]) -> None:
        if row == len(self.ages):
            self.ages = np.concatenate([self.ages, np.ones_like(self.ages)])
            self.weights = np.concatenate([self.weights, np.zeros_like(self.weights)])
            self.newest = np.concatenate([self.newest, np.zeros_like(self.newest)])
        for number, ages in enumerate(samples):
            self.ages[row, number] = (ages * SAMPLES)[:SAMPLES]
            self.weights[row, number, : len(ages)] = weights_of(list(ages))
        self.newest[row] = self.ages[row, HOLD, 0]
        self._count += 1


class Acknowledged:
    """Which state packets in reach each peer's named client packet acknowledges.

    ``place`` is a broadcast's number modulo `PLACES`.
    """

    def __init__(self) -> None:
        self._first = np.zeros((0, PLACES), dtype=np.int64)
        self._count = np.zeros((0, PLACES), dtype=np.int64)
        self._newest = np.zeros(0, dtype=np.int64)
        self._window: list[bytes] = []
        self.table = np.zeros((PLACES, 0, MAX_PACKETS + 1), dtype=np.uint16)
        """1 for (place, slot, 1 + index of the packet) if acknowledged; (…, 0) is always 0."""

    def fit(self, slots: int) -> None:
        have = len(self._newest)
        if slots <= have:
            return
        more = max(slots, 2 * have) - have
        self._first = np.concatenate([self._first, np.zeros((more, PLACES), dtype=np.int64)])
        self._count = np.concatenate([self._count, np.zeros((more, PLACES), dtype=np.int64)])
        self._newest = np.concatenate([self._newest, np.zeros(more, dtype=np.int64)])
        self._window += [bytes(WINDOW // 8)] * more

    def forget(self, slot: int) -> None:
        if slot < len(self._newest):
            self._first[slot] = self._count[slot] = 0
            self._newest[slot] = 0
            self._window[slot] = bytes(WINDOW // 8)

    def sent(self, slot: int, number: int, first: int, count: int) -> None:
        """In this broadcast, packets ``first`` … ``first + count - 1`` were sent."""
        self._first[slot, number % PLACES] = first
        self._count[slot, number % PLACES] = count

    def skip(self, number: int) -> None:
        """This broadcast's place holds nothing yet."""
        self._count[:, number % PLACES] = 0

    def heard(self, slot: int, newest: int, window: int) -> None:
        """The named client packet acknowledges ``newest`` and, for bit i, newest - 1 - i."""
        self._newest[slot] = newest
        self._window[slot] = (window & _ALL).to_bytes(WINDOW // 8, "little")

    def work_out(self) -> None:
        """Fill `table`. About 10 numpy calls over (slots, PLACES, packets)."""
        most = int(self._count.max(initial=1))
        slots = len(self._newest)
        bits = np.zeros((slots, WINDOW + 2), dtype=np.uint16)
        bits[:, 0] = self._newest > 0
        windows = np.frombuffer(b"".join(self._window), dtype=np.uint8)
        bits[:, 1 : WINDOW + 1] = np.unpackbits(windows, bitorder="little").reshape(slots, WINDOW)
        index = np.arange(most)
        behind = self._newest[:, None, None] - (self._first[:, :, None] + index)
        heard = (behind >= 0) & (behind <= WINDOW) & (index < self._count[:, :, None])
        rows = np.arange(slots)[:, None, None]
        got = bits[rows, np.where(heard, behind, WINDOW + 1)]
        if len(self.table[0]) != slots:
            self.table = np.zeros((PLACES, slots, MAX_PACKETS + 1), dtype=np.uint16)
        self.table[:, :, 1 : most + 1] = got.transpose(1, 0, 2)
        self.table[:, :, most + 1 :] = 0

    def by_slot(self, number: int) -> tuple[Mask, Mask]:
        """Of each slot's last broadcasts: those acknowledged whole, and those in part."""
        places = (number - 1 - np.arange(REACH)) % PLACES
        got = self.table[places].sum(axis=2)
        count = self._count[:, places].T
        bits = (np.uint16(1) << np.arange(REACH, dtype=np.uint16))[:, None]
        whole = (bits * ((got == count) & (count > 0))).sum(axis=0, dtype=np.uint16)
        partly = (bits * ((got > 0) & (got < count))).sum(axis=0, dtype=np.uint16)
        return whole, partly


def shared(mention: NDArray[np.uint8], table: NDArray[np.uint16], slots: Ints | int) -> Mask:
    """Which of the last `REACH` values of some rows are shared.

    The first axis of both arrays is the age, from 1 on. ``mention`` of shape (`REACH`, rows) holds
    1 + the index of the packet that mentioned the row, 0 for none; ``table`` of shape (`REACH`,
    slots, packets + 1) is that of `Acknowledged`, and ``slots`` says whose row it is.
    """
    ages = np.arange(REACH)[:, None]
    got = table[ages, slots, mention]
    return np.asarray((got << ages.astype(np.uint16)).sum(axis=0, dtype=np.uint16))
