"""Fields of several numbers: places and rotations."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import ProtocolError, UsageError
from netcode.fields import Clamped, Column, Context, Field, Lanes, number, teleport_of
from netcode.steps import Steps, default_in


class _Vector(Field[tuple[float, ...]]):
    dimensions = 0
    blends = rounds = True

    def __init__(
        self,
        low: float,
        high: float,
        *,
        step: float,
        default: tuple[float, ...] | None = None,
        teleport: float | None = None,
        only_owner: bool = False,
    ) -> None:
        self.steps = Steps(low, high, step)
        self.teleport = teleport_of(teleport)
        self.cell_shape = (self.dimensions,)
        self.lane_bits = (self.steps.bits,) * self.dimensions
        start = (default_in(low, high),) * self.dimensions
        super().__init__(default=start if default is None else default, only_owner=only_owner)

    def check(self, value: Any) -> tuple[float, ...]:
        try:
            numbers = tuple(number(self, part) for part in value)
        except TypeError:
            numbers = ()
        if len(numbers) != self.dimensions:
            raise UsageError(f"{self} takes {self.dimensions} numbers, not {value!r}")
        return numbers

    def is_in_range(self, value: tuple[float, ...]) -> bool:
        return all(self.steps.takes(part) for part in value)

    def from_cell(self, cell: Any, context: Context) -> tuple[float, ...]:
        return tuple(cell)

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        lanes, clamped = self.steps.quantise(column)
        return lanes, np.asarray(clamped.any(axis=1))

    def dequantise(self, lanes: Lanes) -> Column:
        return self.steps.dequantise(lanes)

    def blend(self, before: Column, after: Column, share: NDArray[np.float64]) -> Column:
        return before + (after - before) * share[:, None]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), **self.steps.describe()}


class Vec2(_Vector):
    """Two numbers in ``low..high``, each kept to the nearest ``step``; reads as a tuple.

    ``teleport`` as for `Float`, for each of them; a field called ``position`` has one unless told.
    """

    dimensions = 2


class Vec3(_Vector):
    """Three numbers in ``low..high``, each kept to the nearest ``step``; reads as a tuple.

    ``teleport`` as for `Float`, for each of them; a field called ``position`` has one unless told.
    """

    dimensions = 3


class Quat(Field[tuple[float, ...]]):
    """A rotation as a unit quaternion (x, y, z, w), sent as its three smallest components.

    The largest component is left out and made positive (q and −q are the same rotation); the
    others lie within ±1/√2 (the "smallest three" of Glenn Fiedler's snapshot compression).
    A value that is not of unit length is normalised; one of length zero counts as clamped. The
    rotation is kept to 10 / 2**bits radians, to half of that unless two components are alike.
    """

    cell_shape = (4,)
    blends = rounds = True
    _LIMIT = math.sqrt(0.5)

    def __init__(
        self,
        *,
        bits: int = 10,
        default: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0),
        only_owner: bool = False,
    ) -> None:
        if not 4 <= bits <= 20:
            raise ProtocolError(f"a quaternion takes 4 to 20 bits a component, not {bits}")
        super().__init__(default=default, only_owner=only_owner)
        self.bits = bits
        self.top = (1 << bits) - 2  # an even number of steps, so that zero is one of them
        self.lane_bits = (2, bits, bits, bits)

    def check(self, value: Any) -> tuple[float, ...]:
        try:
            numbers = tuple(number(self, part) for part in value)
        except TypeError:
            numbers = ()
        if len(numbers) != 4:
            raise UsageError(f"{self} takes four numbers (x, y, z, w), not {value!r}")
        return numbers

    def is_in_range(self, value: tuple[float, ...]) -> bool:
        return math.isfinite(sum(value)) and any(value)

    def from_cell(self, cell: Any, context: Context) -> tuple[float, ...]:
        return tuple(cell)

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        with np.errstate(all="ignore"):
            length = np.sqrt((column * column).sum(axis=1))
            good = np.isfinite(length) & (length > 0)
            unit = np.where(good[:, None], column / length[:, None], (0.0, 0.0, 0.0, 1.0))
        rows = np.arange(len(unit))
        largest = _largest(unit)
        unit = unit * np.where(unit[rows, largest] < 0, -1.0, 1.0)[:, None]
        half = self.top // 2
        scaled = (unit[rows[:, None], _OTHERS[largest]] / self._LIMIT * half).clip(-half, half)
        lanes = np.empty((len(unit), 4), dtype=np.int32)
        lanes[:, 0] = largest
        lanes[:, 1:] = np.floor(scaled + 0.5) + half
        # Rounding up may overtake the component that is left out: the value would then be written
        # in another way the next time, and a thing at rest would seem to change for ever.
        overtaken = _largest(self.dequantise(lanes)) != largest
        lanes[overtaken, 1:] = np.trunc(scaled[overtaken]) + half
        return lanes, ~good

    def dequantise(self, lanes: Lanes) -> Column:
        half = self.top // 2
        rest = (np.minimum(lanes[:, 1:], self.top) - half) / half * self._LIMIT
        largest = lanes[:, 0] & 3
        rows = np.arange(len(lanes))
        column = np.empty((len(lanes), 4))
        column[rows[:, None], _OTHERS[largest]] = rest
        square = (rest * rest).sum(axis=1)
        column[rows, largest] = np.sqrt(np.maximum(0.0, 1.0 - square))
        # No rotation has such components, but a forged packet may.
        return np.asarray(column / np.sqrt(np.maximum(1.0, square))[:, None])

    def blend(self, before: Column, after: Column, share: NDArray[np.float64]) -> Column:
        """Along the arc at even speed (Shoemake's slerp); a share above 1 turns on."""
        cosine = (before * after).sum(axis=1)
        after = after * np.where(cosine < 0, -1.0, 1.0)[:, None]
        angle = np.arccos(np.minimum(np.abs(cosine), 1.0))
        sine = np.sin(angle)
        is_small = sine < 1e-6
        sine = np.where(is_small, 1.0, sine)
        first = np.where(is_small, 1.0 - share, np.sin((1.0 - share) * angle) / sine)
        second = np.where(is_small, share, np.sin(share * angle) / sine)
        mixed = before * first[:, None] + after * second[:, None]
        length = np.sqrt((mixed * mixed).sum(axis=1))[:, None]
        return np.asarray(mixed / np.maximum(length, 1e-9))


_OTHERS = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])


def _largest(quaternions: NDArray[np.float64]) -> NDArray[np.intp]:
    """The index of each one's largest component: the first of those that are equal but for the
    rounding of floats."""
    sizes = np.abs(quaternions)
    return np.asarray((sizes >= sizes.max(axis=1, initial=0.0)[:, None] - 1e-9).argmax(axis=1))
