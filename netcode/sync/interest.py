"""Interest: which entities a player is told about.

The ready-made policies. What a policy is, how those of a game's own are made, and how they combine
with ``|``, ``&`` and `on` is said in `netcode.sync.policy`, whose names are also found here.
"""

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.fields import Enum, Float, Int
from netcode.sync.grid import Floats, Numbers, near
from netcode.sync.policy import (
    ALL,
    All,
    Interest,
    Intervals,
    Keyed,
    Keys,
    Mask,
    Viewers,
    ascending,
)
from netcode.vectors import Vec2, Vec3
from netcode.wire.bits import spread
from netcode.world.table import NOBODY, Table

__all__ = [
    "ALL",
    "All",
    "Everything",
    "Groups",
    "Interest",
    "Intervals",
    "Keys",
    "OnlyOwner",
    "Radius",
    "Viewers",
    "Where",
    "positions",
]

INTERVALS = (2, 4, 8)
"""Powers of two, so that rows of different intervals share their broadcasts."""
LEAVE = 1.1
"""`Radius` leaves this much farther away than it enters: the field's usual 5 to 10 %, enough for
what trembles at the edge."""
RING_LEAVE = 0.9
"""A ring is left this much nearer than it is entered, for the same reason."""
SHORTEST, LONGEST = 1e-100, 1e100
"""Distances whose squares are ordinary floats."""


class Everything(Keyed):
    """Everybody is told about everything. Costs nothing."""

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        return ALL


class Radius(Keyed):
    """Players are told about what is near their viewpoint.

    An entity comes into view at distance ``enter`` and leaves at ``leave`` (one tenth more,
    unless given), so that one at the edge does not flicker. A position is the fields ``x`` and
    ``y`` (and ``z``), or a Vec2 or Vec3 named ``position``; no opinion on classes without one.
    A player who controls nothing and has no viewpoint sees nothing by it.

    ``slower={300: 2, 450: 4}``: farther than 300 away, an entity is told every 2nd broadcast,
    farther than 450 every 4th. Intervals are 2, 4 and 8. One that comes nearer keeps its interval
    until it is more than 10 % of the ring's distance inside.

    Cost: a grid (see `netcode.sync.grid`), about 30 ns a row, 1 µs a viewer and 50 ns a row in
    view; about 0.6 ms for 100 viewers × 10,000 rows who see 50 each. Rings: 50 ns a row in view.
    """

    def __init__(
        self,
        enter: float,
        leave: float | None = None,
        *,
        slower: Mapping[float, int] | None = None,
    ) -> None:
        self.enter = _distance(enter)
        self.leave = self.enter * LEAVE if leave is None else _distance(leave)
        if self.leave < self.enter:
            raise UsageError(f"leave ({leave}) must not be smaller than enter ({enter})")
        self.rings = _rings(slower, self.leave)
        """From the nearest on: (distance, interval beyond it)."""
        texts = [_text(self.enter)]
        if leave is not None:
            texts.append(_text(self.leave))
        if self.rings:
            rings = ", ".join(f"{_text(distance)}: {every}" for distance, every in self.rings)
            texts.append(f"slower={{{rings}}}")
        self._repr = f"Radius({', '.join(texts)})"

    def __repr__(self) -> str:
        return self._repr

    @property
    def _has_intervals(self) -> bool:
        return bool(self.rings)

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        columns = _axes(table)
        if columns is None:
            return None
        there = table.alive.copy()
        for column in columns:
            there &= np.isfinite(column)
        rows = np.flatnonzero(there)
        points = viewers.viewpoints[:, : len(columns)]
        looking = np.flatnonzero(np.isfinite(points).all(axis=1))
        bases = looking * viewers.rows
        # One sort of one number: the lowest bit marks what is only in view if it was before.
        found = [np.empty(0, dtype=np.int64)]
        places = [column.take(rows) for column in columns]
        for point, place, square in near(places, points[looking], self.leave):
            marked = bases.take(point) + rows.take(place) << 1
            marked |= square > self.enter * self.enter
            found.append(marked)
        marked = ascending(np.concatenate(found))
        keys = marked >> 1
        edge = np.flatnonzero((marked & 1).astype(np.bool_))
        if not len(edge):
            return keys
        stays = np.ones(len(keys), dtype=np.bool_)
        stays[edge] = viewers.told(keys.take(edge)) > 0
        return keys.take(np.flatnonzero(stays))

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        if not self.rings:
            return None
        rates = self._rates(table, viewers, keys)
        return None if rates is None else np.maximum(rates, np.uint8(1))

    def _rates(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        columns = _axes(table)
        if columns is None:
            return None
        viewer = keys // max(1, viewers.rows)
        row = keys - viewer * viewers.rows
        square = np.zeros(len(keys))
        with np.errstate(over="ignore", invalid="ignore"):  # nowhere and too far are not in view
            for axis, column in enumerate(columns):
                apart = column.take(row) - viewers.viewpoints[:, axis].take(viewer)
                square += apart * apart
        told = viewers.told(keys)
        distances = np.array([distance for distance, _ in self.rings])
        every = np.array([1] + [interval for _, interval in self.rings], dtype=np.uint8)
        outside = every[np.searchsorted(distances**2, square, "left")]
        inside = every[np.searchsorted((distances * RING_LEAVE) ** 2, square, "right")]
        rates = np.minimum(np.maximum(told, outside), inside)
        limit = np.where(told > 0, self.leave * self.leave, self.enter * self.enter)
        return np.where(square <= limit, rates, np.uint8(0))


class Groups(Keyed):
    """Players are told about entities of the groups that they have joined: teams, floors, cells.

    An entity's group is its Int field ``field``, or the number of its Enum field's member (0 for
    the one that is declared first). No opinion on classes without such a field; a field of another
    kind raises `UsageError`.

    Cost: about 40 ns a row, and 20 ns a row in view.
    """

    def __init__(self, field: str = "group") -> None:
        if not isinstance(field, str):
            raise UsageError(f'Groups takes the name of a field, as in Groups("team"), not {field}')
        self.field = field

    def __repr__(self) -> str:
        return f"Groups({self.field!r})"

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        field = next((field for field in table.fields if field.name == self.field), None)
        if field is None:
            return None
        if not isinstance(field, (Int, Enum)):
            raise UsageError(f"{self} takes an Int or Enum field, but {field} is none")
        joined = [len(groups) for groups in viewers.groups]
        values = np.array([group for groups in viewers.groups for group in groups], dtype=np.int64)
        who = np.arange(len(viewers), dtype=np.int64).repeat(joined)
        return _of_value(table[self.field], np.flatnonzero(table.alive), who, values, viewers.rows)


class OnlyOwner(Keyed):
    """Players are told about the entities that they control, and nothing else.

    Cost: about 2 ns a row, and 20 ns a row that anybody controls.
    """

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        rows = np.flatnonzero(table.alive & (table.owner != NOBODY))
        who = np.arange(len(viewers), dtype=np.int64)
        return _of_value(table.owner, rows, who, viewers.players, viewers.rows)


class Where(Interest):
    """Players are told about what a function of the game's own says.

    ``function(table, viewers)`` gives a bool array of shape (viewers, rows), or (rows,) if it is
    the same for all, or None for no opinion on the table's class; anything else raises
    `UsageError`. ``viewers`` is a `Viewers`.

    Cost: the function's, and about 1 ns for each cell of its array.
    """

    def __init__(self, function: Callable[[Table[Any], Viewers], Mask | None]) -> None:
        if not callable(function):
            raise UsageError(f"Where takes a function of (table, viewers), not {function!r}")
        self.function = function

    def __repr__(self) -> str:
        return f"Where({getattr(self.function, '__name__', repr(self.function))})"

    def visible(self, table: Table[Any], viewers: Viewers) -> Mask | None:
        return self.function(table, viewers)


def positions(table: Table[Any]) -> Floats | None:
    """The positions of all rows, shape (rows, 2 or 3), or None for a class without any."""
    axes = _axes(table)
    return None if axes is None else np.stack(axes, axis=1)


def position_names(kind: type[Entity]) -> tuple[str, ...]:
    """The fields that say where an entity of this class is: ``position``, or x, y (and z)."""
    fields = {field.name: field for field in kind.fields}
    if isinstance(fields.get("position"), (Vec2, Vec3)):
        return ("position",)
    if not all(isinstance(fields.get(name), (Float, Int)) for name in "xy"):
        return ()
    return tuple("xyz" if isinstance(fields.get("z"), (Float, Int)) else "xy")


def _axes(table: Table[Any]) -> list[Floats] | None:
    """The positions as one column for each axis."""
    names = position_names(table.kind)
    if names == ("position",):
        return list(table["position"].T)
    return [table[name].astype(np.float64, copy=False) for name in names] or None


def _of_value(
    column: NDArray[Any], rows: Numbers, who: Numbers, values: Numbers, table_rows: int
) -> Keys:
    """The keys of each viewer ``who[i]`` and those of the rows whose cell is ``values[i]``.

    No viewer may have a value twice.
    """
    if not len(values):
        return np.empty(0, dtype=np.int64)
    wanted, which = np.unique(values, return_inverse=True)
    cells = column.take(rows)
    kind = wanted.searchsorted(cells)
    is_wanted = wanted.take(kind, mode="clip") == cells
    rows, kind = rows[is_wanted], kind[is_wanted]
    if len(wanted) <= 1 << 16:
        kind = kind.astype(np.uint16)  # numpy sorts these by radix
    rows = rows.take(kind.argsort(kind="stable"))
    counts = np.bincount(kind, minlength=len(wanted))
    starts = counts.cumsum() - counts
    place = spread(starts[which], counts[which])
    return ascending((who * table_rows).repeat(counts[which]) + rows.take(place))


def _distance(distance: object) -> float:
    if isinstance(distance, Real) and SHORTEST <= float(distance) <= LONGEST:
        return float(distance)
    raise UsageError(
        f"Radius takes a distance above 0 (at most {LONGEST:g}), not {distance!r}; "
        "nc.Everything() has no limit"
    )


def _rings(slower: Mapping[float, int] | None, leave: float) -> list[tuple[float, int]]:
    rings: list[tuple[float, int]] = []
    if slower is not None and not isinstance(slower, Mapping):
        raise UsageError(f"slower takes distances and intervals as in {{300: 2}}, not {slower!r}")
    nearer, faster = 0.0, 1
    for given, interval in (slower or {}).items():
        distance = _distance(given)
        if interval not in INTERVALS:
            raise UsageError(f"an interval of slower is 2, 4 or 8 broadcasts, not {interval!r}")
        if not nearer < distance < leave:
            raise UsageError(
                f"the distances of slower must rise and stay below leave ({_text(leave)}): "
                f"{_text(distance)} comes after {_text(nearer)}"
            )
        if not faster < interval:
            raise UsageError(
                f"the intervals of slower must rise with distance: {interval} beyond "
                f"{_text(distance)} comes after {faster}"
            )
        rings.append((distance, int(interval)))
        nearer, faster = distance, interval
    return rings


def _text(distance: float) -> str:
    return f"{distance:.0f}" if distance.is_integer() and distance < 1e15 else f"{distance}"
