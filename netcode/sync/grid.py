"""A uniform grid: which places are near which points, without looking at every pair.

Space is cut into stripes as wide as the reach (columns of square section in 3D), and these along
x into cells a sixteenth as long. Places are sorted by the number of their cell, x running fastest,
so what may be near a point stands in 3 contiguous ranges (9 in 3D) that a binary search finds for
all points at once; the exact distance decides. Thin cells cost nothing, as a range just spans more
of them, and leave 2.1 × 3 reaches around a point to search: half of the candidates in it are near
(a quarter in 3D).

The grid repeats itself every 64 reaches (16 in 3D): far cells share their number with near ones.
So there is nothing to fit to the world, however large it is and however far off some entity has
been flung, and a cell's number fits 16 bits, which numpy sorts by radix. In a world larger than
that, a point also meets by chance one in 600 of all places (one in 200 in 3D).
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from netcode.wire.bits import spread

Numbers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Near: TypeAlias = tuple[Numbers, Numbers, Floats]

CELLS_PER_STRIPE = 16
"""Measured: of 8, 12 and 16 none is clearly quickest; longer cells bring more candidates."""
STRIPE_BITS = {2: (10, 6), 3: (8, 4, 4)}
"""Bits of a cell's number for x, y (and z): the same number of reaches along each axis."""
STRIPES = 3
"""An interval of two reaches touches at most three stripes a little wider than a reach."""
WIDER = 1.0001
"""How much wider: more than the rounding of `FARTHEST_CELL`, else a fourth could be touched."""
FARTHEST_CELL = 2.0**30
"""All beyond is counted to this cell, on both sides alike: so nothing is missed, and int32 does."""
ROUNDING = 1.0 + 1e-9
"""The grid reaches farther than the exact test by more than the test can round."""

FEW_PAIRS = 1 << 16
"""Up to this many pairs (points × places), testing each is quicker than sorting."""
DENSE_SHARE = 5
"""Testing a candidate costs about five times as much as testing a pair in a plain sweep."""
CANDIDATES_AT_ONCE = 1 << 14
"""Bounds the memory; the temporary arrays of so many, 128 kB each, stay in a processor's cache."""


def near(places: Sequence[Floats], points: Floats, reach: float) -> Iterator[Near]:
    """All pairs of a point and a place that are at most ``reach`` apart.

    ``places`` are two or three arrays of finite coordinates, one for each axis; ``points`` are of
    shape (points, axes), finite too. Yields arrays (point, place, square of the distance), not in
    any order, block by block so that memory stays bounded.

    Cost: about 20 ns a place (to sort it), 1 µs a point, and 20 ns a candidate, of which there are
    two to four for each pair found; never more than 5 ns for each pair that there could be.
    """
    pairs = len(points) * len(places[0])
    if pairs <= FEW_PAIRS:
        yield from _sweep(places, points, reach)
        return
    order, point, starts, counts = _candidates(places, points, reach)
    if int(counts.sum()) * DENSE_SHARE > pairs:
        yield from _sweep(places, points, reach)
        return
    axes = [np.ascontiguousarray(points[:, axis]) for axis in range(len(places))]
    limit = reach * reach
    for block in _blocks(counts):
        place = order.take(spread(starts[block], counts[block]))
        near_point = point[block].repeat(counts[block])
        square = np.zeros(len(place))
        with np.errstate(over="ignore"):  # infinitely far is not near
            for axis, coordinates in zip(axes, places, strict=True):
                apart = coordinates.take(place)
                apart -= axis.take(near_point)
                apart *= apart
                square += apart
        hits = np.flatnonzero(square <= limit)
        yield near_point.take(hits), place.take(hits), square.take(hits)


def _sweep(places: Sequence[Floats], points: Floats, reach: float) -> Iterator[Near]:
    """Like `near`, by testing all pairs; in ascending order of point, then place."""
    many = len(places[0])
    limit = reach * reach
    step = max(1, FEW_PAIRS // max(1, many))
    for first in range(0, len(points), step):
        some = points[first : first + step]
        square = np.zeros((len(some), many))
        with np.errstate(over="ignore"):
            for axis, coordinates in enumerate(places):
                apart = coordinates - some[:, axis, None]
                apart *= apart
                square += apart
        flat = square.ravel()
        hits = np.flatnonzero(flat <= limit)
        point = hits // many
        yield point + first, hits - point * many, flat.take(hits)


def _candidates(
    places: Sequence[Floats], points: Floats, reach: float
) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """The places sorted by cell, and the ranges of this order that may be near a point.

    Returns the order, and of each range the point, the start in the order and the count.
    """
    bits = STRIPE_BITS[len(places)]
    scale = np.full(len(places), 1.0 / (reach * WIDER))
    scale[0] *= CELLS_PER_STRIPE

    cells = np.zeros(len(places[0]), dtype=np.int32)
    shift = 0
    for axis, coordinates in enumerate(places):
        cells |= (_cells(coordinates, scale[axis]) & _mask(bits[axis])) << shift
        shift += bits[axis]
    short = cells.astype(np.uint16)
    order = short.argsort(kind="stable")
    ordered = short.take(order)

    margin = reach * ROUNDING
    low = _cells(points - margin, scale)
    first = low[:, 0] & _mask(bits[0])
    last = _cells(points[:, 0] + margin, scale[0]) & _mask(bits[0])
    stripes = np.zeros((len(points), 1), dtype=np.int32)
    shift = bits[0]
    for axis in range(1, len(places)):
        along = np.asarray(low[:, axis, None] + np.arange(STRIPES), dtype=np.int32)
        along = (along & _mask(bits[axis])) << shift
        stripes = (stripes[:, :, None] | along[:, None, :]).reshape(len(points), -1)
        shift += bits[axis]
    point = np.arange(len(points), dtype=np.int64).repeat(stripes.shape[1])
    begin, end = (stripes | first[:, None]).ravel(), (stripes | last[:, None]).ravel()
    # Where the grid repeats itself amid a range, the rest of it is at the stripe's beginning.
    torn = np.flatnonzero(end < begin)
    if len(torn):
        edge = stripes.ravel()[torn]
        begin, point = np.concatenate((begin, edge)), np.concatenate((point, point[torn]))
        end = np.concatenate((end, end[torn]))
        end[torn] = edge | _mask(bits[0])
    starts = ordered.searchsorted(begin.astype(np.uint16), "left")
    counts = ordered.searchsorted(end.astype(np.uint16), "right") - starts
    return order, point, starts, counts


def _cells(coordinates: Floats, scale: float | Floats) -> NDArray[np.int32]:
    """The number of each coordinate's cell along its axis: it never falls as coordinates rise."""
    with np.errstate(over="ignore"):
        cells = coordinates * scale
    np.minimum(cells, FARTHEST_CELL, out=cells)
    np.maximum(cells, -FARTHEST_CELL, out=cells)
    np.floor(cells, out=cells)
    return cells.astype(np.int32)


def _mask(bits: int) -> np.int32:
    return np.int32((1 << bits) - 1)


def _blocks(counts: Numbers) -> Iterator[slice]:
    """The ranges in runs of about `CANDIDATES_AT_ONCE` candidates, one more range at most."""
    ends = counts.cumsum()
    total = int(ends[-1])
    cuts = ends.searchsorted(np.arange(CANDIDATES_AT_ONCE, total, CANDIDATES_AT_ONCE)).tolist()
    for start, stop in zip([0, *cuts], [*cuts, len(ends)], strict=True):
        if start < stop:
            yield slice(start, stop)
