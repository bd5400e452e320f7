"""Interpolation: what other players' entities look like at the display tick.

`Interpolator.look` finds the samples around the display tick, and who enters and who leaves the
picture there; `Interpolator.show` writes the picture. Between the two the caller despawns and
places entities.

When a packet changes what is known of the past (the truth about a moment for which the path had to
be guessed, or a sample between two others) the path moves under the display. The difference is
kept as an *error* beside it, shown in full at first and let go over `LETTING_GO` seconds; so
nothing jumps, but what teleported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.play.motion import FASTER, Floats, Motion, Path, Rows, samples_at
from netcode.world.history import ABSENT, History
from netcode.world.table import Table

LETTING_GO = 0.15
"""Seconds after which an error has shrunk to a third. Shorter would be seen as a jerk, longer shows
for longer what is not true."""


@dataclass(slots=True)
class Arrangement:
    """What has to change in the display's tables to show a tick."""

    tick: float
    paths: list[Path]
    revised: list[Path | None]
    """What was shown last, as it would be with what is known now; None if that is the same."""
    leaving: list[Entity] = field(default_factory=list)
    entering: list[tuple[Table[Any], int, int]] = field(default_factory=list)
    """Table, row and generation of entities that come into view."""


class _Shown:
    """What a table shows: arrays of as many rows as it has had."""

    def __init__(self, numbers: int) -> None:
        self.life = np.zeros(0, dtype=np.int32)
        self.path = np.zeros((0, numbers))
        self.error = np.zeros((0, numbers))
        self.slope = np.zeros((0, numbers))
        """By how much the path went on a tick."""

    def fit(self, rows: int) -> None:
        more = rows - len(self.life)
        if more > 0:
            self.life = np.concatenate([self.life, np.full(more, ABSENT, dtype=np.int32)])
            for name in ("path", "error", "slope"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros((more, column.shape[1]))]))


class Interpolator:
    """Shows a moment of history in a world's tables. ``tick_rate`` is in ticks a second."""

    def __init__(
        self, history: History, tables: Sequence[Table[Any]], tick_rate: float = 60.0
    ) -> None:
        self._history = history
        self._tables = tables
        self._rate = tick_rate
        self._motions = [Motion(table, tick_rate, history.every) for table in tables]
        self._shown = [_Shown(len(motion.lanes)) for motion in self._motions]
        self._going: list[dict[int, tuple[Entity, float]]] = [{} for _ in tables]
        """By row, entities that have left the view but not the picture, and the tick of leaving."""
        self._coming: list[dict[int, tuple[Entity, float]]] = [{} for _ in tables]
        """By row, entities that have come into view, and the tick of coming."""
        self._tick: float | None = None
        self._version = -1
        self._known: list[Path] = []
        self._known_key: tuple[object, ...] = ()

    # -- looking -----------------------------------------------------------------------------

    def look(self, tick: float, own: Sequence[Rows], version: int) -> Arrangement | None:
        """Look up what is to be seen at this tick; None while there is no history at all.

        ``own`` gives, for each table, the rows that are shown by prediction instead. ``version``
        is another number whenever the history has changed.
        """
        if self._history.newest is None:
            return None
        frame = self._history.before(tick)
        key = (frame.number, version, *(rows.tobytes() for rows in own))
        revised: list[Path | None] = [None] * len(self._tables)
        if version != self._version and self._tick is not None:
            now = self._paths(self._tick, [shown.life for shown in self._shown], own)
            revised = [
                path if path is not known else None
                for path, known in zip(now, self._known, strict=True)
            ]
        if key != self._known_key:
            self._known_key = key
            self._known = self._paths(tick, [table.life for table in frame.tables], own)
        self._version = version
        arrangement = Arrangement(tick, self._known, revised)
        for index, table in enumerate(self._tables):
            life = np.full(max(frame.tables[index].size, table.size), ABSENT, dtype=np.int32)
            life[: frame.tables[index].size] = frame.tables[index].life
            self._compare(index, life, own[index], arrangement)
        return arrangement

    def _paths(
        self, tick: float, lives: Sequence[NDArray[np.int32]], own: Sequence[Rows]
    ) -> list[Path]:
        rows = []
        for index, life in enumerate(lives):
            there = life[: self._history.sizes[index]] != ABSENT
            there[own[index][own[index] < len(there)]] = False
            rows.append(there.nonzero()[0])
        samples = samples_at(self._history, tick, rows)
        last: Sequence[Path | None] = self._known or [None] * len(samples)
        return [
            motion.path(some, known)
            for motion, some, known in zip(self._motions, samples, last, strict=True)
        ]

    def _compare(
        self, index: int, life: NDArray[np.int32], own: Rows, arrangement: Arrangement
    ) -> None:
        table = self._tables[index]
        shown = np.full(len(life), ABSENT, dtype=np.int32)
        shown[: table.size] = np.where(table.alive, table.generation, ABSENT)
        for row, (entity, _) in self._going[index].items():
            if table.at(row) is entity:
                shown[row] = ABSENT
        changed = shown != life
        changed[own] = False
        for row in np.flatnonzero(changed & (shown != ABSENT)).tolist():
            left = table.at(row)
            if left is not None:
                arrangement.leaving.append(left)
        for row in np.flatnonzero(changed & (life != ABSENT)).tolist():
            arrangement.entering.append((table, row, int(life[row])))

    # -- coming and going --------------------------------------------------------------------

    def leave(self, entity: Entity, tick: float) -> bool:
        """An entity has left the view; whether its picture stays for a while, and fades."""
        if not type(entity)._fade or not entity.alive:
            return False
        index = self._tables.index(entity._table)
        self._coming[index].pop(entity._row, None)
        # One that was still coming goes from as far as it had come.
        ago = (1.0 - entity.fade) * self._lasts(index)
        self._going[index][entity._row] = entity, tick - ago
        return True

    def recall(self, entity: Entity) -> bool:
        """If this entity's picture was going, it does not any more; whether it was."""
        index = self._tables.index(entity._table)
        going = self._going[index].get(entity._row)
        if going is None or going[0] is not entity:
            return False
        del self._going[index][entity._row]
        self._tables[index].fades.pop(entity._row, None)
        return True

    def enter(self, table: Table[Any], row: int, generation: int, tick: float) -> Entity:
        """Place an entity that has come into view."""
        index = self._tables.index(table)
        self._going[index].pop(row, None)
        entity: Entity | None = table.at(row)
        faded = 0.0
        if entity is None or int(table.generation[row]) != generation:
            entity = table.place(row, generation)
        else:
            faded = entity.fade  # it was going, and comes back from as far as it had gone
        assert entity is not None
        if table.kind._fade:
            self._coming[index][row] = entity, tick - faded * self._lasts(index)
            table.fades[row] = faded
        return entity

    def _lasts(self, index: int) -> float:
        """The ticks in which this table's entities come and go."""
        return float(self._tables[index].kind._fade * self._rate)

    def _fade(self, index: int, tick: float) -> None:
        table, lasts = self._tables[index], self._lasts(index)
        for row, (entity, since) in list(self._coming[index].items()):
            here = table.at(row) is entity
            if here and since <= tick < since + lasts:
                table.fades[row] = (tick - since) / lasts
            elif here and tick < since:
                table.fades[row] = 0.0
            else:
                del self._coming[index][row]
                table.fades.pop(row, None)
        for row, (entity, since) in list(self._going[index].items()):
            here = table.at(row) is entity
            if here and tick < since + lasts:
                table.fades[row] = min(1.0, 1.0 - (tick - since) / lasts)
                continue
            del self._going[index][row]
            if here:
                table.despawn(row)

    # -- showing -----------------------------------------------------------------------------

    def show(self, arrangement: Arrangement, *, smooth: bool = True) -> None:
        """Write the picture into the tables; rows that entered must be placed before.

        Without ``smooth`` it is the newest samples as they are.
        """
        passed = 0.0 if self._tick is None else arrangement.tick - self._tick
        kept = float(np.exp(-max(passed, 0.0) / (LETTING_GO * self._rate)))
        for index, path in enumerate(arrangement.paths):
            revised = arrangement.revised[index]
            self._show_table(index, path, revised, arrangement.tick, passed, kept, smooth)
            if self._coming[index] or self._going[index]:
                self._fade(index, arrangement.tick)
        self._tick = arrangement.tick

    def _show_table(
        self,
        index: int,
        path: Path,
        revised: Path | None,
        tick: float,
        passed: float,
        kept: float,
        smooth: bool,
    ) -> None:
        motion, shown, rows = self._motions[index], self._shown[index], path.samples.rows
        if len(rows) == 0 and not self._going[index]:
            shown.life[:] = ABSENT
            return
        shown.fit(self._history.sizes[index])
        if revised is not None and len(revised.samples.rows) and smooth:
            self._revise(motion, shown, revised)
        life = np.full(len(shown.life), ABSENT, dtype=np.int32)
        life[rows] = path.samples.life
        if self._going[index]:
            self._go_on(index, passed)
        if len(rows):
            numbers = path.at(tick) if smooth else path.samples.before[:, motion.lanes] * 1.0
            same = shown.life[rows] == path.samples.life
            error: Floats = np.where(
                same[:, None], shown.error[rows] * (kept if smooth else 0.0), 0.0
            )
            if passed > 0:
                change = motion.difference(shown.path[rows], numbers)
                shown.slope[rows] = np.where(same[:, None], change / passed, 0.0)
            shown.path[rows], shown.error[rows] = numbers, error
            self._write(index, rows, motion.columns(path.samples, numbers + error, tick))
        shown.life = life

    def _revise(self, motion: Motion, shown: _Shown, revised: Path) -> None:
        """What is known of the moment that was shown last has changed: keep the difference."""
        rows = revised.samples.rows
        same = shown.life[rows] == revised.samples.life
        rows = rows[same]
        if len(rows) == 0 or self._tick is None:
            return
        off = motion.difference(revised.at(self._tick)[same], shown.path[rows])
        error = shown.error[rows] + off
        error[(np.abs(error) > FASTER * motion.teleport).any(axis=1)] = 0.0
        shown.error[rows] = error

    def _go_on(self, index: int, passed: float) -> None:
        """Entities that have left the view go on as they went while they fade."""
        table, motion, shown = self._tables[index], self._motions[index], self._shown[index]
        going = [row for row, (entity, _) in self._going[index].items() if table.at(row) is entity]
        rows = np.array([row for row in going if row < len(shown.life)], dtype=np.intp)
        shown.path[rows] += shown.slope[rows] * passed
        self._write(index, rows, motion.moving(shown.path[rows] + shown.error[rows]))

    def _write(self, index: int, rows: Rows, columns: dict[str, NDArray[Any]]) -> None:
        for name, cells in columns.items():
            self._tables[index][name][rows] = cells
