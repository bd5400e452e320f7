"""A table: all entities of one class, one numpy column per field, rows reused.

A row is taken by ``spawn`` and given back by ``despawn``; its generation tells a new tenant from
the old one. Tables grow by doubling, so a column array that a program holds on to may become a
stale copy: take ``table.x`` anew each tick.
"""

import logging
from collections import deque
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import GONE, Entity, unknown_field, view_of
from netcode.errors import UsageError
from netcode.fields import GENERATIONS, NO_HANDLE, ROW_BITS, Context, Field, Lanes

E = TypeVar("E", bound=Entity)
log = logging.getLogger("netcode.world")

MAX_ROWS = 1 << ROW_BITS
FIRST_ROWS = 16
FEW_ROWS = 16
"""Up to this many rows, cell by cell is quicker than numpy on the column."""
MANY_ROWS = 512
"""From so many rows on, it is quicker to find the cells that have changed than to quantise all."""
AHEAD = -1
"""The generation of an entity that only the client that predicts it knows of."""
NOBODY = 0
"""The owner of an entity that no player controls. Players are numbered from 1."""


class Table(Generic[E]):
    """All entities of one class.

    ``table.x`` is the column of field ``x`` for the rows in use so far (``size`` of them),
    including those of despawned entities: combine it with ``alive``. ``table["x"]`` is the same,
    and the way to a field that is named like something else here (``size``). Int columns are int64,
    Float and Angle float64, Bool bool, Vec2 and Vec3 float64 of shape (size, 2 or 3).
    """

    def __init__(self, kind: type[E], context: Context) -> None:
        self.kind = kind
        self.fields: tuple[Field[Any], ...] = kind.fields
        self.context = context
        self.me = NOBODY
        """On a client: the player whose entities are ``mine``."""
        self.size = 0
        self.clamped: dict[str, int] = {}
        """How many cells of each field were out of range when they were quantised."""
        self._lanes_of: dict[Field[Any], slice] = {}
        start = 0
        for field in self.fields:
            self._lanes_of[field] = slice(start, start + len(field.lane_bits))
            start += len(field.lane_bits)
        self.lane_count = start
        self._capacity = FIRST_ROWS
        self._last: dict[str, NDArray[Any]] = {}
        """Columns as they were last quantised, of large tables."""
        self._columns = {field.name: field.new_column(FIRST_ROWS) for field in self.fields}
        self._alive = np.zeros(FIRST_ROWS, dtype=np.bool_)
        self._generation = np.zeros(FIRST_ROWS, dtype=np.int32)
        self._owner = np.zeros(FIRST_ROWS, dtype=np.int32)
        self.fades: dict[int, float] = {}
        """How much of a row is in view, for those that are coming or going."""
        self._views: list[E | None] = [None] * FIRST_ROWS
        self._free: deque[int] = deque()

    # -- columns -----------------------------------------------------------------------------

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column of a field, also of one that is named like something a table has."""
        column: NDArray[Any] | None = self._columns.get(name)
        if column is None:
            raise UsageError(unknown_field(self.kind, name))
        return column[: self.size]

    def __setitem__(self, name: str, values: Any) -> None:
        """Write a whole column: ``table["x"] += 1`` or ``table["x"] = 0``."""
        self[name][:] = values

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name not in self.__dict__.get("_columns", {}):
            raise AttributeError(unknown_field(self.kind, name))
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        # `table.x += table.vx` ends with an assignment: it must not hide the column behind an
        # attribute of the same name.
        columns = self.__dict__.get("_columns", {})
        if name in columns and name not in self.__dict__ and not hasattr(type(self), name):
            self[name] = value
        else:
            object.__setattr__(self, name, value)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which rows hold an entity: bool of shape (size,)."""
        return self._alive[: self.size]

    @property
    def generation(self) -> NDArray[np.int32]:
        """Each row's generation: int32 of shape (size,)."""
        return self._generation[: self.size]

    @property
    def owner(self) -> NDArray[np.int32]:
        """The number of the player who controls each row, `NOBODY` if none."""
        return self._owner[: self.size]

    def rows(self) -> NDArray[np.intp]:
        """The rows that hold an entity, ascending."""
        return np.flatnonzero(self.alive)

    def lanes_of(self, field: Field[Any]) -> slice:
        """Where this field's lanes stand among the table's lanes."""
        return self._lanes_of[field]

    # -- entities ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    def __iter__(self) -> Iterator[E]:
        for view in [self._views[row] for row in self.rows().tolist()]:
            if view is not None and view.alive:  # the loop's own body may despawn and spawn
                yield view

    def at(self, row: int) -> E | None:
        """The entity in this row, if there is one."""
        return self._views[row] if 0 <= row < self.size else None

    def by_handle(self, handle: int) -> E | None:
        """The entity of this handle, or None if its row is empty or has a new tenant."""
        row = handle & (MAX_ROWS - 1)
        if handle < 0 or row >= self.size or self._generation[row] != handle >> ROW_BITS:
            return None
        return self._views[row]

    def spawn(self, /, **values: Any) -> E:
        """A new entity in a free row. Raises `UsageError` when all 65,535 rows are taken."""
        self.check_names(values)
        cells = {
            field.name: field.to_cell(values.get(field.name, field.default), self.context)
            for field in self.fields
        }
        row = self._free_row()
        entity = self.place(row, (int(self._generation[row]) + 1) if row < self.size else 0)
        for name, cell in cells.items():
            self._columns[name][row] = cell
        return entity

    def check_names(self, values: dict[str, Any]) -> None:
        """Raise `UsageError` for a name that is no field."""
        unknown = values.keys() - {field.name for field in self.fields}
        if unknown:
            raise UsageError(unknown_field(self.kind, min(unknown)))

    def place(self, row: int, generation: int) -> E:
        """An entity in exactly this row and generation, its columns as they are.

        What lived in the row before is despawned; what is `AHEAD` there moves out of the way.
        This is how a client mirrors the server's rows.
        """
        view = view_of(self.kind, self, row)
        self._settle(view, row, generation % GENERATIONS)
        return view

    def place_ahead(self) -> E:
        """An entity that the server does not know of yet, in a row that is free just now."""
        row = self._free_row()
        view = view_of(self.kind, self, row)
        self._settle(view, row, AHEAD)
        return view

    def adopt(self, view: E, row: int, generation: int) -> None:
        """An entity that was `AHEAD` has become the server's, in this row."""
        cells = [self._columns[field.name][view._row].copy() for field in self.fields]
        self._vacate(view._row)
        self._settle(view, row, generation)
        for field, cell in zip(self.fields, cells, strict=True):
            self._columns[field.name][row] = cell

    def _settle(self, view: E, row: int, generation: int) -> None:
        self._reserve(row + 1)
        self.size = max(self.size, row + 1)
        before = self._views[row]
        if before is not None and self._generation[row] == AHEAD:
            self.adopt(before, self._free_row(), AHEAD)
        elif before is not None:
            self.despawn(row)
        self._alive[row] = True
        self._generation[row] = generation
        self._owner[row] = NOBODY
        view._table, view._row = self, row
        self._views[row] = view

    def despawn(self, row: int) -> None:
        """Take the entity out of this row. Its view raises `StaleEntityError` from now on."""
        view = self._views[row]
        if view is None:
            return
        view._table = GONE
        self._vacate(row)

    def _vacate(self, row: int) -> None:
        self._views[row] = None
        self._alive[row] = False
        self._owner[row] = NOBODY
        self.fades.pop(row, None)
        self._free.append(row)
        if len(self._free) > 2 * self._capacity:  # only where `place` chooses the rows
            self._free = deque(np.flatnonzero(~self.alive).tolist())

    def _free_row(self) -> int:
        # First in, first out: a row rests as long as possible before its generation moves on.
        while self._free:
            row = self._free.popleft()
            if not self._alive[row]:
                return row
        if self.size == MAX_ROWS - 1:  # a section of a packet counts to this
            raise UsageError(f"no more than {MAX_ROWS - 1} {self.kind.__name__} at once")
        return self.size

    def read(self, row: int, field: Field[Any]) -> Any:
        column = self._columns[field.name]
        cell = column[row].tolist() if field.cell_shape else column.item(row)
        return field.from_cell(cell, self.context)

    def write(self, row: int, field: Field[Any], value: Any) -> None:
        self._columns[field.name][row] = field.to_cell(value, self.context)

    def handle(self, row: int) -> int:
        generation = int(self._generation[row])
        return generation << ROW_BITS | row if self._alive[row] and generation >= 0 else NO_HANDLE

    def fade_of(self, row: int) -> float:
        return self.fades.get(row, 1.0)

    def is_mine(self, row: int) -> bool:
        return self.me != NOBODY and int(self._owner[row]) == self.me

    def own(self, row: int, player: int) -> None:
        """Say which player controls this row (`NOBODY` for none)."""
        self._owner[row] = player

    # -- quantised form ----------------------------------------------------------------------

    def quantise(self) -> Lanes:
        """The lanes of all rows, int32 of shape (size, lane_count)."""
        lanes = np.empty((self.size, self.lane_count), dtype=np.int32)
        self.quantise_into(lanes)
        return lanes

    def quantise_into(self, lanes: Lanes) -> None:
        """Write the lanes of all rows into int32 of shape (size, lane_count).

        Cells of living entities that are out of range are counted.
        """
        for field, where in self._lanes_of.items():
            self._quantise_field(field, where, lanes, slice(None))

    def requantise_into(self, lanes: Lanes) -> None:
        """Like `quantise_into`, where ``lanes`` holds what the last call of either made of the
        rows that there were then: only cells that have changed since are worked out again.
        """
        if self.size < MANY_ROWS:
            self.quantise_into(lanes)
            return
        for field, where in self._lanes_of.items():
            column = self._columns[field.name][: self.size]
            last = self._last.get(field.name)
            if last is None or len(last) != self.size:
                self._last[field.name] = column.copy()
                self._quantise_field(field, where, lanes, slice(None))
                continue
            other = last != column
            rows = (other if other.ndim == 1 else other.any(axis=1)).nonzero()[0]
            if len(rows) > self.size // 4:
                last[:] = column
                self._quantise_field(field, where, lanes, slice(None))
            elif len(rows):
                last[rows] = column[rows]
                self._quantise_field(field, where, lanes, rows)

    def _quantise_field(
        self, field: Field[Any], where: slice, lanes: Lanes, rows: NDArray[np.intp] | slice
    ) -> None:
        column = self._columns[field.name][: self.size][rows]
        lanes[rows, where], clamped = field.quantise(column)
        if clamped.any() and (clamped := clamped & self.alive[rows]).any():
            self._count_clamped(field, clamped, column)

    def load(self, rows: NDArray[np.intp], lanes: Lanes) -> None:
        """Set whole rows from their lanes, int32 of shape (len(rows), lane_count)."""
        for field, where in self._lanes_of.items():
            self._columns[field.name][rows] = field.dequantise(lanes[:, where])

    def round_rows(self, rows: NDArray[np.intp]) -> None:
        """Round the numbers of these rows to their fields' steps and ranges."""
        for field in self.fields:
            if not field.rounds:
                continue
            column = self._columns[field.name]
            if len(rows) > FEW_ROWS or field.cell_shape:
                column[rows] = field.dequantise(field.quantise(column[rows])[0])
                continue
            for row in rows.tolist():
                column[row] = field.decode(
                    field.encode(column.item(row), self.context), self.context
                )

    def _count_clamped(
        self, field: Field[Any], clamped: NDArray[np.bool_], column: NDArray[Any]
    ) -> None:
        if field.name not in self.clamped:
            log.warning(
                "%s is out of its declared range (it holds %s): it is clamped when sent. Widen "
                "the field or limit the value; this is said once and counted from now on",
                field,
                column[clamped.argmax()],
            )
        count = int(np.count_nonzero(clamped))
        self.clamped[field.name] = self.clamped.get(field.name, 0) + count

    def _reserve(self, rows: int) -> None:
        if rows <= self._capacity:
            return
        capacity = min(MAX_ROWS, max(rows, 2 * self._capacity))
        for field in self.fields:
            grown = field.new_column(capacity)
            grown[: self.size] = self._columns[field.name][: self.size]
            self._columns[field.name] = grown
        self._alive = _grown(self._alive, capacity)
        self._generation = _grown(self._generation, capacity)
        self._owner = _grown(self._owner, capacity)
        self._views.extend([None] * (capacity - self._capacity))
        self._capacity = capacity


def _grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    grown = np.zeros((rows, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown
