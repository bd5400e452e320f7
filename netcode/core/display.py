"""The display: what a guest's world shows in a frame.

Others at the display tick, out of history (`Interpolator`); own entities at the input tick, by
prediction (`Predictor`, `OwnDisplay`). All of it happens in the game's thread; the lock is held
while history is looked into, never while the game's own code runs.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.core.inputs import InputSampler
from netcode.core.join import Welcome
from netcode.declarations import Entity
from netcode.fields import Field
from netcode.play.interpolation import Arrangement, Interpolator
from netcode.play.own_display import OwnDisplay
from netcode.play.prediction import Owned, Predictor
from netcode.play.scratch import Scratch
from netcode.play.step import Spawn, Step
from netcode.play.tick_clock import TickClock
from netcode.protocol import Protocol
from netcode.sync.receiver import Receiver
from netcode.world.history import ABSENT, Frame, History
from netcode.world.world import World


class Events:
    """What a game wants to be told of its displayed world."""

    def __init__(self) -> None:
        self.on_enter: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_leave: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_change: dict[Field[Any], list[Callable[[Any, Any, Any], Any]]] = {}

    def entered(self, entity: Entity) -> None:
        for handler in self.on_enter.get(type(entity), ()):
            handler(entity)

    def left(self, entity: Entity) -> None:
        for handler in self.on_leave.get(type(entity), ()):
            handler(entity)


class Display:
    """Shows one player's picture in ``world``."""

    def __init__(
        self,
        protocol: Protocol,
        world: World,
        history: History,
        receiver: Receiver,
        events: Events,
        welcome: Welcome,
        lock: threading.RLock,
    ) -> None:
        self.prediction = True
        """Whether own entities run ahead, or are shown like all others."""
        self.interpolation = True
        """Whether others move evenly, or are shown as they were last received."""
        self.seen: float | None = None
        """The display tick of the picture; None before the first."""
        self.clock = TickClock(welcome.tick_rate, welcome.tick_rate / welcome.broadcast_every)
        self._protocol = protocol
        self._world = world
        self._history = history
        self._receiver = receiver
        self._events = events
        self._welcome = welcome
        self._lock = lock
        self._now: float | None = None
        self._interpolator = Interpolator(history, world.tables, welcome.tick_rate)
        self.predictor = Predictor(protocol, world, welcome.broadcast_every, self._make_step)
        self._own = OwnDisplay(world, welcome.player)
        self._over: list[dict[int, int]] = [{} for _ in world.tables]
        """Of each table, the rows of own entities that are no more, and the tick of the snapshot
        that said so. The display lies behind it, and is not to show them once more until then."""

    def show(self, now: float, rtt: float, sampler: InputSampler) -> None:
        """Arrange the picture for this moment, and sample the inputs of ticks that are due."""
        with self._lock:
            self.clock.advance(now, rtt)
            controlled = [np.flatnonzero(known.controlled) for known in self._receiver.known]
            owned = self._owned() if self.prediction else []
            mine: list[list[int]] = [[] for _ in controlled]
            for one in owned:
                mine[one.table].append(one.row)
            tick = self._tick()
            for index, over in enumerate(self._over):
                self._over[index] = {row: until for row, until in over.items() if tick < until}
                mine[index] += self._over[index]
            rows = [np.array(some, dtype=np.intp) for some in mine]
            arrangement = self._interpolator.look(tick, rows, self._receiver.stats.packets)
            told = self._telling(owned)
            due = sampler.sample(int(self.clock.input_tick))
        if arrangement is None:
            return
        predictor = self.predictor
        if not self.prediction:
            predictor.forget()
        else:
            if told is not None and told.tick > predictor.confirmed_tick:
                predictor.confirm(told.tick, owned, told.complete)
            for tick, inputs in due:
                predictor.advance(tick, inputs)
            predictor.look_ahead(sampler.pending())
        entered = self._come_and_go(arrangement)
        self._interpolator.show(arrangement, smooth=self.interpolation)
        self._mark(controlled)
        passed = 0.0 if self._now is None else now - self._now
        share = min(1.0, max(0.0, self.clock.input_tick - predictor.tick))
        self._own.show(predictor.mine, share, passed)
        self._now, self.seen = now, arrangement.tick
        for entity in entered:
            if entity.alive:  # a handler before may have had it despawned
                self._events.entered(entity)

    def _tick(self) -> float:
        newest = self._history.newest
        if self.interpolation or newest is None:
            return self.clock.display_tick
        return float(newest.tick)

    def _make_step(self, tick: int, replaying: bool, spawn: Spawn | None) -> Step:
        return Step(
            tick=tick,
            dt=1.0 / self._welcome.tick_rate,
            world=self._world,
            seed=self._welcome.seed,
            replaying=replaying,
            spawn=spawn,
        )

    # -- own entities ------------------------------------------------------------------------

    def _owned(self) -> list[Owned]:
        """What the player controls and predicts, as it was told last."""
        owned = []
        for index, (known, table) in enumerate(
            zip(self._receiver.known, self._world.tables, strict=True)
        ):
            if table.kind not in self._protocol.simulate:
                continue
            rows = np.flatnonzero(known.owned).tolist()
            if not rows:
                continue
            spawned = self._protocol.spawned.get(table.kind)
            lanes, life = known.lanes, known.life
            for row in rows:
                key = 0 if spawned is None else int(lanes[row, table.lanes_of(spawned)][0])
                owned.append(Owned(index, row, int(life[row]), key, lanes[row].copy()))
        return owned

    def _telling(self, owned: list[Owned]) -> Frame | None:
        """The newest frame, if it holds all that is predicted: of a tick whose packets have come in
        part, the rest is older than it says."""
        newest = self._history.newest
        if newest is None or not all(newest.tables[one.table].known[one.row] for one in owned):
            return None
        return newest

    # -- coming and going --------------------------------------------------------------------

    def _come_and_go(self, arrangement: Arrangement) -> list[Entity]:
        """Take away and place entities; returns those that have come into the picture."""
        for entity in arrangement.leaving:
            if not entity.alive:
                continue
            self._events.left(entity)
            if not self._interpolator.leave(entity, arrangement.tick):
                self._world.despawn(entity)
        for entity in self._own.gone(self.predictor.mine, self._is_still_told):
            self._events.left(entity)
            if entity.alive:
                index = self._world.tables.index(self._world.table(type(entity)))
                self._over[index][entity._row] = self.predictor.confirmed_tick
            self._world.despawn(entity)
        entered = [
            self._interpolator.enter(table, row, generation, arrangement.tick)
            for table, row, generation in arrangement.entering
        ]
        return entered + self._own.place(self.predictor.mine)

    def _is_still_told(self, scratch: Scratch) -> bool:
        """Whether others go on showing what is not predicted any more."""
        if scratch.row is None:
            return False
        with self._lock:
            life = self._receiver.known[scratch.index].life
            return scratch.row < len(life) and int(life[scratch.row]) == scratch.generation

    def _mark(self, controlled: list[NDArray[np.intp]]) -> None:
        for rows, table in zip(controlled, self._world.tables, strict=True):
            table.owner[:] = 0
            table.owner[rows[rows < table.size]] = self._welcome.player

    # -- changes -----------------------------------------------------------------------------

    def watched(self) -> list[tuple[Field[Any], Any, NDArray[Any], NDArray[np.int32]]]:
        """The columns that the game listens to, as they are shown."""
        watched = []
        for field in self._events.on_change:
            for table in self._world.tables:
                if field in table.fields:
                    life = np.where(table.alive, table.generation, ABSENT)
                    watched.append((field, table, table[field.name].copy(), life))
        return watched

    def tell_changes(
        self, watched: list[tuple[Field[Any], Any, NDArray[Any], NDArray[np.int32]]]
    ) -> None:
        """Tell the game what is shown differently now."""
        for field, table, before, life in watched:
            size = len(life)
            after = table[field.name][:size].copy()
            same = (life != ABSENT) & table.alive[:size] & (table.generation[:size] == life)
            changed = before != after
            if changed.ndim > 1:
                changed = changed.any(axis=1)
            for row in np.flatnonzero(same & changed).tolist():
                entity = table.at(row)
                old = field.from_cell(before[row].tolist(), table.context)
                new = field.from_cell(after[row].tolist(), table.context)
                for handler in self._events.on_change[field]:
                    if entity is not None and entity.alive:
                        handler(entity, old, new)
