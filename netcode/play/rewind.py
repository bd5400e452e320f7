"""Rewind: the world as a player saw it when it pressed the key.

What a player sees of others is old: it has travelled to the client and waited there for the
display, and the key press has travelled back. A server that asks what the player hit looks at its
history as far back, with the same interpolation as the client's (`motion`). The world itself
stands as it is; what is handed out are columns to read.

How far back is the client's to say, for it knows what it showed; but it is believed only as far as
the server's own measurements allow.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity, unknown_field, view_of
from netcode.errors import StaleEntityError, UsageError
from netcode.fields import ROW_BITS, Field
from netcode.play.motion import Motion, Path
from netcode.world.history import ABSENT, History
from netcode.world.table import Table
from netcode.world.world import World

E = TypeVar("E", bound=Entity)

USUAL_DELAY = 1.5
"""Broadcast intervals that a client's display lies behind on a line without jitter."""

TOLERANCE = 1.0
"""Broadcast intervals, and times the jitter that the server sees, by which a client may differ."""


def believed_lag(
    claimed: float,
    *,
    waited: float,
    silence: float,
    rtt: float,
    spread: float,
    interval: float,
    limit: float,
) -> float:
    """How far behind the server's tick a player's picture was. All are seconds.

    ``claimed`` is what the client says. ``waited`` is how long its input lay at the server before
    its tick, ``silence`` how long nothing came before it came, ``rtt`` the round trip, ``spread``
    the jitter of its packets, ``interval`` the time between two broadcasts: together they say what
    is plausible. Never above ``limit``.
    """
    usual = waited + rtt + USUAL_DELAY * interval + spread
    tolerance = TOLERANCE * (interval + spread)
    plausible = max(usual - tolerance, min(usual + tolerance + silence, claimed))
    return max(0.0, min(plausible, limit))


class Past:
    """The world at an earlier tick; see `Server.rewind`.

    ``past[Ship].x`` is a column, ``for ship in past[Ship]`` goes over the ships that were there,
    ``past.find(ship)`` is what an entity was like. All of it can only be read, and only inside the
    ``with`` block.
    """

    def __init__(
        self,
        world: World,
        history: History,
        motions: Sequence[Motion],
        tick: float,
        player: int,
    ) -> None:
        self.tick = tick
        """The tick that the player saw; a float, for it lies between two."""
        self._world = world
        self._history = history
        self._motions = motions
        self._player = player
        self._tables: dict[type[Entity], PastTable[Any]] = {}
        self._is_over = False

    def __enter__(self) -> "Past":
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over = True
        self._tables.clear()

    def __getitem__(self, kind: type[E]) -> "PastTable[E]":
        return self.table(kind)

    def table(self, kind: type[E]) -> "PastTable[E]":
        """A class's entities then. Raises `UsageError` for a class of another game."""
        if self._is_over:
            raise UsageError("the past can be looked at inside `with server.rewind(...)` only")
        found = self._tables.get(kind)
        if found is None:
            table = self._world.table(kind)
            index = self._world.tables.index(table)
            motion, history = self._motions[index], self._history
            path = None if history.newest is None else motion.around(history, index, self.tick)
            own = (table.alive & (table.owner == self._player)).nonzero()[0]
            found = self._tables[kind] = PastTable(table, motion, path, self.tick, own)
        return found

    def find(self, entity: E) -> E | None:
        """An entity as it was then, to be read only; None if it was not there."""
        table = self.table(type(entity))
        if not entity.alive:
            return None
        row = entity._row
        there = row < table.size and table.alive[row]
        return table.at(row) if there and entity.handle == table.handle(row) else None


class PastTable(Generic[E]):
    """One class's entities at an earlier tick.

    ``table.x`` is the column of field ``x``, in the same rows as the living table's, including rows
    that were empty: combine it with ``alive``. What the player controls is as it is now, for so the
    player saw it. Arrays have the dtypes and shapes of `Table` and cannot be written.
    """

    def __init__(
        self,
        table: Table[Any],
        motion: Motion,
        path: Path | None,
        tick: float,
        own: NDArray[np.intp],
    ) -> None:
        """``path`` is that of all rows that were there, None before the first broadcast; ``own``
        are the rows that are as they are now."""
        self._table = table
        self._motion = motion
        self._path = path
        self._tick = tick
        self._own = own
        self._fields = {field.name: field for field in table.fields}
        self._own_cells = {name: table[name][own] for name in self._fields} if len(own) else {}
        self._within: NDArray[np.float64] | None = None
        self._columns: dict[str, NDArray[Any]] = {}
        """Those that have been asked for so far: few of those who look back want all."""
        life = np.full(table.size, ABSENT, dtype=np.int32)
        if path is not None:
            life[path.samples.rows] = path.samples.life
        life[own] = table.generation[own]
        self.generation = life
        """Each row's generation, -1 for none: int32 of shape (size,)."""
        self.alive: NDArray[np.bool_] = life != ABSENT
        """Which rows held an entity: bool of shape (size,)."""
        for column in (self.generation, self.alive):
            column.flags.writeable = False

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.alive)

    def __len__(self) -> int:
        return int(np.count_nonzero(self.alive))

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The column of a field, also of one that is named like something a table has."""
        column = self._columns.get(name)
        if column is None:
            if name not in self._fields:
                raise UsageError(unknown_field(self._table.kind, name))
            column = self._columns[name] = self._column(self._fields[name])
        return column

    def _column(self, field: Field[Any]) -> NDArray[Any]:
        column = field.new_column(self.size)
        if self._path is not None:
            samples = self._path.samples
            if self._within is None:
                self._within = self._motion.within(self._path.at(self._tick))
            column[samples.rows] = self._motion.column(field, samples, self._within, self._tick)
        if self._own_cells:
            column[self._own] = self._own_cells[field.name]
        column.flags.writeable = False
        return column

    def __getattr__(self, name: str) -> NDArray[Any]:
        if name not in self.__dict__.get("_fields", {}):
            raise AttributeError(unknown_field(self._table.kind, name))
        return self[name]

    def rows(self) -> NDArray[np.intp]:
        """The rows that held an entity, ascending."""
        return np.flatnonzero(self.alive)

    def __iter__(self) -> Iterator[E]:
        for row in self.rows().tolist():
            yield self._view(row)

    def at(self, row: int) -> E | None:
        """The entity that was in this row, to be read only."""
        return self._view(row) if 0 <= row < self.size and self.alive[row] else None

    def _view(self, row: int) -> E:
        view: E = view_of(self._table.kind, self, row)
        return view

    # -- what an entity asks its table -------------------------------------------------------

    def read(self, row: int, field: Field[Any]) -> Any:
        cell = self[field.name][row].tolist()
        return field.from_cell(cell, self._table.context)

    def write(self, row: int, field: Field[Any], value: Any) -> None:
        raise StaleEntityError(
            f"{field} of the past was written: find the living entity with "
            "server.world.table(...).by_handle(entity.handle), and write to that"
        )

    def handle(self, row: int) -> int:
        return int(self.generation[row]) << ROW_BITS | row

    def is_mine(self, row: int) -> bool:
        return False

    def fade_of(self, row: int) -> float:
        return 1.0
