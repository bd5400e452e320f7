"""Prediction: own entities answer in the frame of the key press.

The client runs the shared simulate functions on its own inputs, ahead of the server, on scratch
copies. What it got for each broadcast's tick is remembered. When a snapshot says the same, nothing
happens; when it says something else, all own entities are set to what the server says and the
inputs since then are run again.

What a simulate function spawns of a predicted class is here at once, under a name that both ends
work out (`scratch.spawn_key`), by which it is recognised when the server's comes.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity, Input
from netcode.play.scratch import SPAWNED_PER_TICK, Scratch, Values, order_of, salt_of, spawn_key
from netcode.play.step import TICK, Spawn, Step
from netcode.protocol import Protocol
from netcode.world.world import World

Inputs = tuple[Input, ...]

MAX_REPLAY = 120
"""Inputs that are run again at most, which bounds the cost: two seconds at 60 ticks a second, and
half of one at the most ticks that there may be."""

MAX_SPAWNED = 1_024
"""Entities that a client has ahead of the server at most."""

PATIENCE = 60
"""Ticks after which an entity that the server does not seem to have is given up at the latest, or
where packets are missing that may tell of it."""


def simulate_entity(protocol: Protocol, entity: Entity, inputs: Inputs, step: Step) -> None:
    """Move one controlled entity by one tick with its class's simulate function, if it has one."""
    function = protocol.simulate.get(type(entity))
    if function is not None:
        wanted = protocol.inputs.index(protocol.simulate_input[type(entity)])
        step._draw_for(salt_of(order_of(protocol, entity)))
        try:
            function(entity, inputs[wanted], step)
        finally:
            step._draw_for(TICK)


def round_to_steps(protocol: Protocol, world: World, rows: dict[int, NDArray[np.intp]]) -> None:
    """Round simulated rows (by table number) to their fields' steps, as both ends do at broadcasts.

    Without this the server would go on from values that no client has ever seen.
    """
    for index, chosen in rows.items():
        table = world.tables[index]
        if len(chosen) and table.kind in protocol.simulate:
            table.round_rows(chosen)


@dataclass(slots=True)
class Owned:
    """An entity that the player controls, as a snapshot tells it."""

    table: int
    row: int
    generation: int
    key: int
    """See `spawn_key`; 0 if no simulate function spawned it."""
    lanes: NDArray[np.int32]
    known: bool = True
    """Whether the snapshot says how it is. If not, these are older lanes, of use only for what is
    new here; otherwise it is taken to be as predicted."""


class Predictor:
    """Keeps own entities ahead of the server."""

    def __init__(
        self,
        protocol: Protocol,
        world: World,
        broadcast_every: int,
        make_step: Callable[[int, bool, Spawn | None], Step],
    ) -> None:
        self._protocol = protocol
        self._world = world
        self._every = broadcast_every
        self._make_step = make_step
        self._inputs: deque[tuple[int, Inputs]] = deque(maxlen=MAX_REPLAY)
        self._waiting: dict[tuple[int, int], Scratch] = {}
        """While ticks are run again: what had been spawned in them, and may be so again."""
        self._spawned: list[Scratch] = []
        self.mine: list[Scratch] = []
        """All that is predicted, in the order of being simulated."""
        self.tick = -1
        """The newest tick that was simulated."""
        self.confirmed_tick = -1
        """The tick of the newest snapshot that this was compared with."""
        self.replayed = 0
        """Ticks that have been run again so far."""
        self.mispredictions = 0
        """Snapshots that said something else than was predicted."""
        self.corrections = 0
        """Those of them after which something was elsewhere."""

    def forget(self) -> None:
        """Predict nothing any more, until the next snapshot is taken in."""
        self.mine = []
        self.confirmed_tick = -1

    def jump_back(self, tick: int) -> None:
        """The clock was too far ahead: ticks after this one come once more, and what they had led
        to is not believed any more when the next snapshot comes."""
        self._inputs = deque(
            (entry for entry in self._inputs if entry[0] <= tick), maxlen=self._inputs.maxlen
        )
        self.tick = tick
        for scratch in self.mine:
            scratch.records.clear()

    # -- onwards -----------------------------------------------------------------------------

    def advance(self, tick: int, inputs: Inputs) -> None:
        """Run one new tick with the player's inputs."""
        self._inputs.append((tick, inputs))
        if self.mine and tick > self.confirmed_tick:
            self._run(tick, inputs, replaying=False)
        self.tick = max(self.tick, tick)

    def look_ahead(self, inputs: Inputs) -> None:
        """Work out where all would be one tick later, for the display between the two."""
        step = self._make_step(self.tick + 1, True, None)
        for scratch in self.mine:
            scratch.run_ahead(inputs, step)

    def _run(self, tick: int, inputs: Inputs, *, replaying: bool) -> None:
        ordinals: Counter[int] = Counter()
        step = self._make_step(
            tick, replaying, lambda kind, **values: self._spawn(tick, ordinals, kind, values)
        )
        for scratch in self.mine:
            step._draw_for(scratch.salt)
            scratch.function(scratch.view, inputs[scratch.input], step)
        if self._spawned:
            self.mine = sorted([*self.mine, *self._spawned], key=lambda scratch: scratch.order)
            self._spawned = []
        if tick % self._every == 0:
            for scratch in self.mine:
                scratch.record(tick)

    def _spawn(
        self, tick: int, ordinals: Counter[int], kind: type[Entity], values: dict[str, Any]
    ) -> Entity | None:
        table = self._world.table(kind)
        table.check_names(values)
        index = self._protocol.entity_index[kind]
        ordinal = ordinals[index]
        ordinals[index] += 1
        full = len(self.mine) + len(self._spawned) >= MAX_SPAWNED
        if kind not in self._protocol.spawned or ordinal >= SPAWNED_PER_TICK or full:
            return None
        key = spawn_key(tick, ordinal)
        for known in self.mine:
            if known.key == key and known.index == index:  # the tick comes once more
                return known.view
        scratch = self._waiting.pop((index, key), None)
        if scratch is None:
            scratch = Scratch(self._protocol, table, index, key)
            scratch.born = tick
        scratch.values = scratch.defaults(values)
        scratch.values[self._protocol.spawned[kind]] = key
        self._spawned.append(scratch)
        return scratch.view

    # -- and back ----------------------------------------------------------------------------

    def confirm(self, tick: int, owned: Sequence[Owned], patience: int) -> None:
        """A snapshot says what the player controls and how it is at ``tick``.

        What was spawned here and is not among it is given up ``patience`` ticks after its birth:
        what tells of it may have been lost, and is repeated after a round trip.
        """
        self.confirmed_tick = tick
        while self._inputs and self._inputs[0][0] <= tick:
            self._inputs.popleft()
        recorded = {id(scratch): scratch.records.get(tick) for scratch in self.mine}
        matched = self._match(owned)
        told = {
            id(scratch): scratch.decoded(one.lanes)
            for one, scratch in matched
            if one.known or not scratch.values
        }
        here = {id(scratch) for _, scratch in matched}
        surprises = [
            scratch
            for _, scratch in matched
            if id(scratch) in told
            and (
                (before := recorded.get(id(scratch))) is None
                or not scratch.is_as(before, told[id(scratch)])
            )
        ]
        self.mine = [
            scratch
            for scratch in self.mine
            if id(scratch) in here
            or (scratch.row is None and tick - scratch.born < min(patience, PATIENCE))
        ]
        for scratch in self.mine:
            scratch.records = {at: kept for at, kept in scratch.records.items() if at > tick}
        if surprises:
            foreseen = any(recorded.get(id(scratch)) is not None for scratch in surprises)
            self.mispredictions += foreseen
            moved = self._replay(tick, told, recorded)
            self.corrections += foreseen and moved

    def _match(self, owned: Sequence[Owned]) -> list[tuple[Owned, Scratch]]:
        """What stands here for each of these; new scratch copies for those that are new."""
        by_row = {
            (scratch.index, scratch.row, scratch.generation): scratch
            for scratch in self.mine
            if scratch.row is not None
        }
        by_key = {(s.index, s.key): s for s in self.mine if s.row is None}
        pairs = []
        for one in owned:
            scratch = by_row.get((one.table, one.row, one.generation))
            if scratch is None:
                scratch = by_key.get((one.table, one.key)) if one.key else None
                if scratch is None:
                    table = self._world.tables[one.table]
                    scratch = Scratch(self._protocol, table, one.table, one.key)
                    self.mine.append(scratch)
                scratch.settle(one.row, one.generation)
            pairs.append((one, scratch))
        self.mine.sort(key=lambda scratch: scratch.order)
        return pairs

    def _replay(
        self, tick: int, told: dict[int, Values], recorded: dict[int, Values | None]
    ) -> bool:
        """Run again what came after this tick; whether anything is elsewhere now."""
        before = [(scratch, scratch.values) for scratch in self.mine if scratch.values]
        self._waiting = {
            (scratch.index, scratch.key): scratch
            for scratch in self.mine
            if scratch.row is None and scratch.born > tick
        }
        self.mine = [s for s in self.mine if s.row is not None or s.born <= tick]
        for scratch in self.mine:
            values = told.get(id(scratch)) or recorded.get(id(scratch)) or scratch.values
            scratch.values = values.copy()
        for later, inputs in self._inputs:
            self._run(later, inputs, replaying=True)
            self.replayed += 1
        self._waiting = {}
        moved = [scratch.keep_error(values) for scratch, values in before]
        return any(moved)
