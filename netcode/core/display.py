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
from netcode.play.prediction import PATIENCE, Owned, Predictor
from netcode.play.scratch import Scratch
from netcode.play.step import Spawn, Step
from netcode.play.tick_clock import SNAP, TickClock
from netcode.protocol import Protocol
from netcode.sync.receiver import Receiver
from netcode.world.history import ABSENT, Frame, History
from netcode.world.world import World

REPEATED = 1.5
"""Round trips after which what told of a new entity, and was lost, has come again."""


class Events:
    """What a game wants to be told of its displayed world.

    Everybody is told of everything, also after a handler has raised; the first exception comes out
    of `raise_first` when the picture is complete.
    """

    def __init__(self) -> None:
        self.on_enter: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_leave: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_change: dict[Field[Any], list[Callable[[Any, Any, Any], Any]]] = {}
        self._raised: Exception | None = None

    def entered(self, entity: Entity) -> None:
        for handler in self.on_enter.get(type(entity), ()):
            self.call(handler, entity)

    def left(self, entity: Entity) -> None:
        for handler in self.on_leave.get(type(entity), ()):
            self.call(handler, entity)

    def call(self, handler: Callable[..., Any], *arguments: Any) -> None:
        try:
            handler(*arguments)
        except Exception as error:
            self._raised = self._raised or error

    def raise_first(self) -> None:
        """Raise what a handler has raised since the last time, if one has."""
        raised, self._raised = self._raised, None
        if raised is not None:
            raise raised


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
        self._past_own: dict[tuple[int, int], int] = {}
        """By table and row, the generation of an entity that was predicted and has gone."""
        self._interpolator = Interpolator(history, world.tables, welcome.tick_rate)
        self.predictor = Predictor(protocol, world, welcome.broadcast_every, self._make_step)
        self._own = OwnDisplay(world, welcome.player, self._interpolator)

    def show(self, now: float, rtt: float, sampler: InputSampler) -> None:
        """Arrange the picture for this moment, and sample the inputs of ticks that are due."""
        with self._lock:
            self.clock.advance(now, rtt)
            controlled = [np.flatnonzero(known.controlled) for known in self._receiver.known]
            told = self._history.newest
            if told is not None and told.tick <= self.predictor.confirmed_tick:
                told = None  # it has been compared with the prediction already
            owned = [] if told is None or not self.prediction else self._owned(told)
            # What is not fully told yet is not shown like others' in the meantime.
            own = [
                rows if self.prediction and table.kind in self._protocol.simulate else rows[:0]
                for rows, table in zip(controlled, self._world.tables, strict=True)
            ]
            tick = self._tick()
            self._leave_out_past_own(tick, own)
            arrangement = self._interpolator.look(tick, own, self._receiver.stats.packets)
            newest = int(self.clock.input_tick)
            jumped = newest < sampler.tick - self._welcome.tick_rate * SNAP / 2
            if jumped:
                sampler.jump_back(newest)
            due = sampler.sample(newest)
        if arrangement is None:
            return
        predictor = self.predictor
        if jumped:
            predictor.jump_back(newest - 1)
        if not self.prediction:
            predictor.forget()
        elif told is not None:
            predictor.confirm(told.tick, owned, self._patience(told, rtt))
        for due_tick, inputs in due:
            predictor.advance(due_tick, inputs)
        predictor.look_ahead(sampler.pending())
        entered = self._come_and_go(arrangement)
        self._interpolator.show(arrangement, smooth=self.interpolation)
        self._mark(controlled)
        passed = 0.0 if self._now is None else now - self._now
        share = min(1.0, max(0.0, self.clock.input_tick - predictor.tick))
        with self._lock:  # the network's thread numbers texts, too
            self._own.show(predictor.mine, share, passed)
        self._now, self.seen = now, arrangement.tick
        for entity in entered:
            if entity.alive:  # a handler before may have had it despawned
                self._events.entered(entity)
        self._events.raise_first()

    def _leave_out_past_own(self, tick: float, own: list[NDArray[np.intp]]) -> None:
        """Add rows whose entity was predicted and has gone: others' past still has it for a while,
        but its picture was that of the present."""
        if not self._past_own:
            return
        frame = self._history.before(tick)
        for index, row in list(self._past_own):
            life = frame.tables[index].life
            if row < len(life) and int(life[row]) == self._past_own[index, row]:
                own[index] = np.append(own[index], row)
            else:
                del self._past_own[index, row]

    def _patience(self, told: Frame, rtt: float) -> int:
        if not told.complete:
            return PATIENCE
        repeated = round(REPEATED * rtt * self._welcome.tick_rate)
        return repeated + 2 * self._welcome.broadcast_every

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

    def _owned(self, newest: Frame) -> list[Owned]:
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
                is_told = bool(newest.tables[index].known[row])
                owned.append(Owned(index, row, int(life[row]), key, lanes[row].copy(), is_told))
        return owned

    # -- coming and going --------------------------------------------------------------------

    def _come_and_go(self, arrangement: Arrangement) -> list[Entity]:
        """Take away and place entities; returns those that have come into the picture."""
        for entity in arrangement.leaving:
            if not entity.alive:
                continue
            self._events.left(entity)
            if not self._interpolator.leave(entity, arrangement.tick):
                self._world.despawn(entity)
        for scratch, entity in self._own.gone(self.predictor.mine):
            if self._is_still_told(scratch):
                continue
            if scratch.row is not None:
                self._past_own[scratch.index, scratch.row] = scratch.generation
            if entity.alive:  # a handler before may have had it despawned
                self._events.left(entity)
                self._world.despawn(entity)
        entered = [
            self._interpolator.enter(table, row, generation, arrangement.tick)
            for table, row, generation in arrangement.entering
        ]
        return entered + self._own.place(self.predictor.mine, self._events.left)

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
                        self._events.call(handler, entity, old, new)
        self._events.raise_first()
