"""Scratch copies: entities in plain Python values, for simulating them over and over.

A simulate function is handed one of these on a client. It reads and writes like an entity of the
world, and whatever it does there cannot be seen before the display takes it over.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity, view_of
from netcode.errors import UsageError
from netcode.fields import NO_HANDLE, ROW_BITS, TAU, Angle, Field, Float
from netcode.play.motion import teleport_limit
from netcode.protocol import Protocol, Simulate
from netcode.vectors import Quat, Vec2, Vec3
from netcode.world.table import AHEAD, Table

Values = dict[Field[Any], Any]
"""An entity's values by field."""

SPAWNED_TICKS = 1 << 21
SPAWNED_PER_TICK = 1 << 8
"""Entities of a class that one player's simulate functions may spawn in one tick, at both ends."""


def spawn_key(tick: int, ordinal: int) -> int:
    """What both ends call the ``ordinal``-th entity of a class that a player spawned in a tick.

    Never 0, which is what all others are called; the same again after ten hours.
    """
    return 1 + (tick % SPAWNED_TICKS * SPAWNED_PER_TICK | ordinal)


def order_of(protocol: Protocol, entity: Entity) -> tuple[int, int, int]:
    """By which a player's entities are simulated within a tick, at both ends."""
    spawned = protocol.spawned.get(type(entity))
    key = 0 if spawned is None else int(entity._get(spawned))
    return protocol.entity_index[type(entity)], key, 0 if key else entity.handle


def salt_of(order: tuple[int, int, int]) -> int:
    """What sets an entity's chance apart from all others', at both ends."""
    kind, key, handle = order
    return -(key << 8 | kind) if key else 1 + (handle << 8 | kind)


def difference(field: Field[Any], start: Any, end: Any) -> Any:
    """From one value to another: a float, or an array for a vector or a quaternion."""
    if isinstance(field, Angle):
        return (end - start + math.pi) % TAU - math.pi
    if not field.cell_shape:
        return end - start
    one, two = np.array(start), np.array(end)
    if isinstance(field, Quat) and (one * two).sum() < 0:
        two = -two
    return two - one


def is_teleport(field: Field[Any], off: Any) -> bool:
    """Whether a value that is off by so much is better put right at once."""
    limit = limit_of(field)
    return limit is not None and bool(np.max(np.abs(off)) > limit)


def limit_of(field: Field[Any]) -> float | None:
    """The change that is a teleport for this field; None if none is."""
    return teleport_limit(field) if isinstance(field, (Float, Vec2, Vec3)) else None


def _living(value: Any) -> Any:
    """A value as it reads: None for an entity that is no more."""
    return None if isinstance(value, Entity) and not value.alive else value


class Sheet:
    """Stands in for a table: holds the values of one entity."""

    __slots__ = ("handle_now", "values")

    def __init__(self, values: Values) -> None:
        self.values = values
        self.handle_now = NO_HANDLE

    def read(self, row: int, field: Field[Any]) -> Any:
        value = self.values[field]
        if isinstance(value, Entity) and not value.alive:
            return None
        return value

    def write(self, row: int, field: Field[Any], value: Any) -> None:
        if field not in self.values:
            raise UsageError(f"{field} is not a field of this entity")
        self.values[field] = field.check(value)

    def handle(self, row: int) -> int:
        return self.handle_now

    def is_mine(self, row: int) -> bool:
        return True

    def fade_of(self, row: int) -> float:
        return 1.0


class Scratch:
    """One entity that the player controls, as it is predicted."""

    def __init__(self, protocol: Protocol, table: Table[Any], index: int, key: int) -> None:
        self.protocol = protocol
        self.table = table
        self.index = index
        """The number of the table."""
        self.key = key
        """See `spawn_key`."""
        self.row: int | None = None
        """The server's row; None while the server is not known to have the entity."""
        self.generation = AHEAD
        self.born = 0
        """The tick in which it was spawned here."""
        self.order = (index, key, 0)
        self.salt = salt_of(self.order)
        self.function: Simulate = protocol.simulate[table.kind]
        self.input = protocol.inputs.index(protocol.simulate_input[table.kind])
        self.records: dict[int, Values] = {}
        """What was predicted for the ticks of broadcasts."""
        self.entity: Entity | None = None
        """What stands for it in the displayed world."""
        self.errors: dict[Field[Any], Any] = {}
        """How far the display is still off from what is predicted."""
        self._sheet, self.view = self._make()
        self._sheet_ahead, self._view_ahead = self._make()

    def _make(self) -> tuple[Sheet, Entity]:
        sheet = Sheet({})
        view: Entity = view_of(self.table.kind, sheet, 0)
        return sheet, view

    @property
    def values(self) -> Values:
        """At the newest tick that was simulated."""
        return self._sheet.values

    @values.setter
    def values(self, values: Values) -> None:
        self._sheet.values = values

    @property
    def ahead(self) -> Values:
        """One tick later, if the player goes on as now."""
        return self._sheet_ahead.values

    def settle(self, row: int, generation: int) -> None:
        """The server has it, in this row."""
        self.row, self.generation = row, generation
        handle = generation << ROW_BITS | row
        self._sheet.handle_now = self._sheet_ahead.handle_now = handle
        self.order = (self.index, self.key, 0 if self.key else handle)
        self.salt = salt_of(self.order)

    def defaults(self, given: dict[str, Any]) -> Values:
        """The values of a new one. Raises `UsageError` for names and values that do not fit."""
        self.table.check_names(given)
        return {
            field: field.check(given[field.name]) if field.name in given else field.default
            for field in self.table.fields
        }

    def decoded(self, lanes: NDArray[np.int32]) -> Values:
        """The values that these lanes, (lane_count,), stand for."""
        return {
            field: field.decode(lanes[self.table.lanes_of(field)].tolist(), self.table.context)
            for field in self.table.fields
        }

    def is_as(self, one: Values, other: Values) -> bool:
        """Whether these are the same; what a reference leads to may have gone meanwhile."""
        return all(_living(one[field]) == _living(other[field]) for field in self.table.fields)

    def record(self, tick: int) -> None:
        """Round as both ends do at broadcasts, and keep it to be compared with what they say."""
        context, values = self.table.context, self.values
        for field in self.table.fields:
            if field.rounds:
                values[field] = field.decode(field.encode(values[field], context), context)
        self.records[tick] = values.copy()

    def keep_error(self, before: Values) -> bool:
        """What was shown and is corrected is let go slowly; whether there is anything."""
        moved = False
        for field in self.table.fields:
            if not field.blends or before[field] == self.values[field]:
                continue
            moved = True
            off = difference(field, self.values[field], before[field]) + self.errors.get(field, 0.0)
            self.errors[field] = off
        if any(is_teleport(field, off) for field, off in self.errors.items()):
            self.errors.clear()
        return moved

    def run_ahead(self, inputs: tuple[Any, ...], step: Any) -> None:
        """Simulate the next tick on a second copy."""
        self._sheet_ahead.values = self.values.copy()
        step._draw_for(self.salt)
        self.function(self._view_ahead, inputs[self.input], step)
