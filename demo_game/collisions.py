"""Who touches whom, on whole columns at once."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]


def touching(
    ax: Floats, ay: Floats, bx: Floats, by: Floats, reach: Floats | float
) -> tuple[Rows, Rows]:
    """All pairs (i, j) where a[i] and b[j] are closer than ``reach`` (one for all, or per b).

    Every pair is looked at: a few ten thousand cost less than a grid would at this size.
    """
    dx = ax[:, None] - bx[None, :]
    dy = ay[:, None] - by[None, :]
    i, j = np.nonzero(dx * dx + dy * dy < np.square(reach))
    return i, j


def first_touch(
    ax: Floats, ay: Floats, bx: Floats, by: Floats, reach: Floats | float
) -> tuple[Rows, Rows]:
    """Like `touching`, with at most one j for every i: a bullet hits one thing only."""
    i, j = touching(ax, ay, bx, by, reach)
    if len(i) == 0:
        return i, j  # as almost always
    _, first = np.unique(i, return_index=True)
    return i[first], j[first]


def pairs_within(x: Floats, y: Floats, reach: float) -> tuple[Rows, Rows]:
    """All pairs (i, j), i < j, of one set that are closer than ``reach``."""
    i, j = touching(x, y, x, y, reach)
    once = i < j
    return i[once], j[once]


def clearance(ax: Floats, ay: Floats, bx: Floats, by: Floats) -> Floats:
    """For each a its distance to the nearest b; infinite if there is none."""
    if len(bx) == 0:
        return np.full(len(ax), np.inf)
    dx = ax[:, None] - bx[None, :]
    dy = ay[:, None] - by[None, :]
    return np.asarray(np.sqrt((dx * dx + dy * dy).min(axis=1)))
