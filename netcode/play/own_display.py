"""Own entities on the screen: between two ticks, and without a jerk when they are corrected.

Ticks and frames do not come at the same moments. An own entity is therefore shown between where it
is now and where it will be one tick later if the player goes on like this: so it answers within
the frame, and moves evenly at any frame rate.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.fields import TAU, Angle, Field, Float, Int
from netcode.play.interpolation import Interpolator
from netcode.play.scratch import Scratch, limit_of
from netcode.vectors import Quat, Vec2, Vec3
from netcode.world.table import AHEAD, Table
from netcode.world.world import World

LETTING_GO = 0.1
"""Seconds after which what was corrected has shrunk to a third."""

SMALLEST = 0.02
"""Errors below this part of a step are let go at once."""


class OwnDisplay:
    """Shows what is predicted in a world's tables."""

    def __init__(self, world: World, player: int, interpolator: Interpolator) -> None:
        self._world = world
        self._player = player
        self._interpolator = interpolator
        self._shown: list[Scratch] = []

    def gone(self, mine: list[Scratch]) -> list[tuple[Scratch, Entity]]:
        """What is not predicted any more, and what stands for it in the picture."""
        here = {id(scratch) for scratch in mine}
        gone = [scratch for scratch in self._shown if id(scratch) not in here]
        self._shown = list(mine)
        return [(scratch, scratch.entity) for scratch in gone if scratch.entity is not None]

    def place(self, mine: list[Scratch], left: Callable[[Entity], None]) -> list[Entity]:
        """Give everything its row, telling ``left`` of others' entities that are still shown in it;
        returns the entities that are new in the picture."""
        entered = []
        for scratch in mine:
            table, entity = scratch.table, scratch.entity
            if entity is not None and entity.alive and entity._table is table:
                if scratch.row is not None and int(table.generation[entity._row]) == AHEAD:
                    self._clear(scratch, left)
                    table.adopt(entity, scratch.row, scratch.generation)
                continue
            there = None if scratch.row is None else table.at(scratch.row)
            if there is not None and int(table.generation[there._row]) == scratch.generation:
                scratch.entity = there
                if self._interpolator.recall(there):
                    entered.append(there)
                continue
            if scratch.row is None:
                scratch.entity = table.place_ahead()
            else:
                self._clear(scratch, left)
                scratch.entity = table.place(scratch.row, scratch.generation)
            entered.append(scratch.entity)
        return entered

    def _clear(self, scratch: Scratch, left: Callable[[Entity], None]) -> None:
        """Others are shown in the past, in which the row had another tenant."""
        assert scratch.row is not None
        tenant = scratch.table.at(scratch.row)
        if tenant is None or int(scratch.table.generation[scratch.row]) == AHEAD:
            return
        if not self._interpolator.recall(tenant):  # it was told of when it began to fade
            left(tenant)
        scratch.table.despawn(scratch.row)

    def show(self, mine: list[Scratch], share: float, passed: float) -> None:
        """Write everything into the tables: ``share`` of the way to the next tick, ``passed``
        seconds after the last time."""
        kept = float(np.exp(-passed / LETTING_GO))
        by_table: dict[int, list[Scratch]] = {}
        for scratch in mine:
            by_table.setdefault(scratch.index, []).append(scratch)
            _let_go(scratch, kept)
        for some in by_table.values():
            self._show_table(some[0].table, some, share)

    def _show_table(self, table: Table[Any], mine: list[Scratch], share: float) -> None:
        rows = [scratch.entity._row for scratch in mine if scratch.entity is not None]
        table.owner[rows] = self._player
        context = table.context
        now, ahead = {}, {}
        leaps = np.zeros(len(mine), dtype=np.bool_)
        for described in table.fields:
            cells = [described.to_cell(scratch.values[described], context) for scratch in mine]
            now[described] = described.column_of(cells)
            if not described.blends:
                continue
            cells = [described.to_cell(scratch.ahead[described], context) for scratch in mine]
            ahead[described] = described.column_of(cells)
            limit = limit_of(described)
            if limit is not None:  # what teleports within the tick is not shown on the way
                far = np.abs(ahead[described] - now[described]) > limit
                leaps |= far if far.ndim == 1 else far.any(axis=1)
        shares = np.where(leaps, 0.0, share)
        for described, column in now.items():
            if described in ahead:
                column = described.blend(column, ahead[described], shares)
                _add_errors(described, column, mine)
            elif isinstance(described, Int):
                np.clip(column, described.low, described.high, out=column)
            table[described.name][rows] = column


def _add_errors(field: Field[Any], column: NDArray[Any], mine: list[Scratch]) -> None:
    """Put in what has not been let go yet; the values stay within their ranges."""
    for place, scratch in enumerate(mine):
        error = scratch.errors.get(field)
        if error is not None:
            column[place] += error
            if isinstance(field, Quat):
                column[place] /= np.sqrt((column[place] ** 2).sum()) or 1.0
    if isinstance(field, Angle):
        column %= TAU
    elif isinstance(field, (Float, Vec2, Vec3)):
        np.clip(column, field.steps.low, field.steps.high, out=column)


def _let_go(scratch: Scratch, kept: float) -> None:
    for described, error in list(scratch.errors.items()):
        left = error * kept
        steps = getattr(described, "steps", None)
        if np.max(np.abs(left)) < (SMALLEST * steps.step if steps is not None else 1e-3):
            del scratch.errors[described]
        else:
            scratch.errors[described] = left
