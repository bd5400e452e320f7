"""The predictor: what a value should be now, and how far off it is, the same at both ends.

One documented order of operations in 64-bit floats, rounded with floor(x + 0.5), so that any
language comes to the same integers:

    h1 … h4        the samples, newest first; of lanes that wrap, each is taken as the one nearest
                   to the sample before it: h2 = h1 - wrap(h1 - h2) and so on
    p              ((h1·w1 + h2·w2) + h3·w3) + h4·w4
    prediction     floor(p + 0.5), of lanes that do not wrap clamped to 0 … 2^bits - 1
    residual       value - prediction, modulo 2^bits, in -2^(bits-1) … 2^(bits-1) - 1
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netcode.wire.bits import Ints

Floats = NDArray[np.float64]


def extrapolate(
    samples: Sequence[NDArray[np.int32]], weights: Sequence[Floats], top: Floats
) -> Ints:
    """Continue ``samples`` (newest first) of lanes that do not wrap to the present.

    All arrays have one value for each cell.
    """
    sums: Floats = samples[0] * weights[0]
    for sample, weight in zip(samples[1:], weights[1:], strict=True):
        sums += sample * weight
    sums += 0.5
    np.floor(sums, out=sums)
    np.maximum(sums, 0.0, out=sums)
    np.minimum(sums, top, out=sums)
    return sums.astype(np.int64)


def extrapolate_wrapping(
    samples: Sequence[NDArray[np.int32]], weights: Sequence[Floats], half: Ints, mask: Ints
) -> Ints:
    """Continue ``samples`` of lanes that wrap: any number that stands for the right one."""
    nearest = samples[0].astype(np.int64)
    sums: Floats = nearest * weights[0]
    for sample, weight in zip(samples[1:], weights[1:], strict=True):
        nearest = nearest - (((nearest - sample + half) & mask) - half)
        sums += nearest * weight
    sums += 0.5
    return np.floor(sums, out=sums).astype(np.int64)


def zigzag(values: Ints, prediction: Ints, half: Ints, mask: Ints) -> Ints:
    """Residuals as 0, 1, 2, 3 … for 0, -1, 1, -2 …"""
    residual = ((values - prediction + half) & mask) - half
    return (residual << 1) ^ (residual >> 63)


def from_zigzag(codes: Ints, prediction: Ints, mask: Ints) -> Ints:
    """The values that `zigzag` made these codes of."""
    return (prediction + ((codes >> 1) ^ -(codes & 1))) & mask
