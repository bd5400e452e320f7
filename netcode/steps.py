"""A range cut into equal steps: the arithmetic that Float, Vec2 and Vec3 share."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import ProtocolError

MAX_LANE_BITS = 31
"""A lane is a non-negative int32: it has 31 bits and survives JavaScript's bit operations."""

_FLOAT_STEPS = 2.0**48
"""A step is at least the range's farther end divided by this. A float has 53 bits; five of them
are left for the rounding of the sums, so that a dequantised cell quantises to the same lane."""


class Steps:
    """``low``, ``low + step``, … up to ``high``, numbered from 0 to ``top``."""

    def __init__(self, low: float, high: float, step: float) -> None:
        try:
            self.low, self.high, self.step = float(low), float(high), float(step)
        except (TypeError, ValueError, OverflowError) as error:
            raise ProtocolError(
                f"a range is three numbers, not {low!r}..{high!r} in steps of {step!r}"
            ) from error
        if not (math.isfinite(self.high - self.low) and self.low < self.high):
            raise ProtocolError(f"the range {low}..{high} must be finite and low < high")
        if not (math.isfinite(self.step) and self.step > 0.0):
            raise ProtocolError(f"step must be a number above 0, not {step}")
        if self.step * _FLOAT_STEPS < max(abs(self.low), abs(self.high)):
            raise ProtocolError(f"floats near {low}..{high} are coarser than steps of {step}")
        self.top = math.floor((self.high - self.low) / self.step + 0.5)
        if self.top < 1:
            raise ProtocolError(f"step {step} is wider than the range {low}..{high}")
        if self.top.bit_length() > MAX_LANE_BITS:
            raise ProtocolError(
                f"{low}..{high} in steps of {step} needs more than {MAX_LANE_BITS} bits: "
                "take a narrower range or a coarser step"
            )
        self.bits = self.top.bit_length()

    def quantise(self, column: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        with np.errstate(over="ignore"):  # what overflows is out of range, and clamped below
            scaled = np.floor((column - self.low) / self.step + 0.5)
        if len(scaled) and scaled.min() >= 0 and scaled.max() <= self.top:  # not so: any NaN
            return scaled.astype(np.int32), np.zeros(scaled.shape, dtype=np.bool_)
        inside = (scaled >= 0) & (scaled <= self.top)
        lanes = np.where(inside, scaled, np.where(scaled > self.top, self.top, 0))
        return lanes.astype(np.int32), ~inside

    def dequantise(self, lanes: NDArray[np.int32]) -> NDArray[np.float64]:
        # The last step may reach beyond the range, which the declaration promises to keep.
        return np.minimum(self.low + np.minimum(lanes, self.top) * self.step, self.high)

    def takes(self, value: float) -> bool:
        return self.low <= value <= self.high

    def encode(self, value: float) -> int:
        scaled = (value - self.low) / self.step + 0.5
        if scaled >= self.top + 1:
            return self.top
        return math.floor(scaled) if scaled >= 0 else 0  # also for what is no number

    def decode(self, lane: int) -> float:
        return min(self.low + min(lane, self.top) * self.step, self.high)

    def describe(self) -> dict[str, Any]:
        return {"low": self.low, "high": self.high, "step": self.step}


def default_in(low: float, high: float) -> float:
    """Zero where the range has it, else its low end."""
    return 0.0 if low <= 0.0 <= high else low
