"""Determinism: does a game move the same whenever and wherever it is simulated?

Prediction needs it: what a client works out ahead is right only if the server comes to the same,
and if the client itself does when it is set back to what the server said and runs its inputs
again. The check does all of that in one process, with the host's own `Simulation` and the client's
own `Predictor`, and compares every value of every tick.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from netcode.core.inputs import Inputs, InputSampler
from netcode.core.server_side import ServerSide
from netcode.core.simulation import Simulation
from netcode.declarations import Entity, Input
from netcode.errors import UsageError
from netcode.fields import Field, Ref
from netcode.play.prediction import MAX_SPAWNED, Owned, Predictor
from netcode.play.scratch import SPAWNED_PER_TICK, order_of
from netcode.play.step import Spawn, Step
from netcode.protocol import Protocol
from netcode.testing.stepper import Stepper
from netcode.world.world import World

PLAYER = 1
SETTLE = 1.0
"""Seconds that a player is in the game before the check begins."""
LEAD = 12
"""Ticks that the client is ahead of the server: 200 ms at 60 ticks a second."""
SET_BACK = 0.3
"""Share of the broadcasts at which the client is set back."""
CHANGE = 0.15
"""Share of the ticks in which a key or a stick is moved."""
AT_REST = 0.25
"""Share of those moves that go back to the default."""
TRIES = 50
LIFETIME = 40
"""Ticks after which what a simulate function has spawned is taken away, as a game's rules would."""

CAUSES = """
A simulate function may depend on its entity, its input and its step, and on nothing else. The usual
causes:
- the time of day
- random.random() in place of step.random
- a global or a closure that remembers, or anything else that is not kept in declared fields
- the order of a set"""
CAUSES_ON_A_CLIENT = """
- step.replaying used for more than sounds and sparks
- a look at another entity that moves: a client does not have it as it is at that tick"""

Order: TypeAlias = tuple[int, int, int]
"""See `order_of`: what both ends call one entity."""
State: TypeAlias = dict[Order, dict[Field[Any], Any]]


def check_determinism(
    protocol: Protocol,
    *,
    ticks: int = 600,
    seed: int = 1,
    inputs: Callable[[random.Random], Sequence[Input]] | None = None,
    set_up: Callable[[ServerSide], None] | None = None,
    tick_rate: float = 60,
    broadcast_rate: float = 20,
) -> dict[type[Entity], int]:
    """Simulate ``ticks`` ticks of one player's entities three times: twice as a server, and once
    as a client that predicts, is set back to a broadcast every now and then, and runs its inputs
    again. All must come to the same.

    Raises `AssertionError` naming the tick, class and field of the first value that differs, both
    values, and the usual causes. Returns how many entities of each class in ``simulate`` were
    moved, summed over the ticks: a class with 0 was not checked.

    The world at the start is what your rules make of it: ``set_up`` is called with a server, a
    player joins, and a second passes. From then on only the simulate functions run, your rules do
    not. Without ``set_up`` there is one entity of each class in ``simulate``, with its defaults.
    ``inputs`` gives the inputs of each tick, drawn from a `random.Random`; without it they are
    drawn from the declared ranges. ``seed`` decides all chance. What spawns is taken away after 40
    ticks.

    Raises `UsageError` if there is nothing to simulate. What is different in each *process*, such
    as the order of a set of texts, cannot be seen from within one.
    """
    start = _start(protocol, set_up, seed, tick_rate, broadcast_rate)
    every = round(tick_rate / broadcast_rate)
    script = _Script(protocol, start, random.Random(f"{seed} inputs"), inputs, ticks)
    first = _Run(protocol, start, 1 / tick_rate, every, seed)
    states, told = {0: first.state()}, {0: first.told()}
    moved = Counter(dict.fromkeys(protocol.simulate, 0))
    for tick in range(1, ticks + 1):
        first.advance(tick, script.inputs(tick, first.world))
        states[tick] = first.state()
        moved.update(type(entity) for entity in first.mine)
        if tick % every == 0:
            told[tick] = first.told()
    second = _Run(protocol, start, 1 / tick_rate, every, seed)
    for tick in range(1, ticks + 1):
        second.advance(tick, script.inputs(tick, second.world))
        difference = _difference(protocol, states[tick], second.state())
        if difference:
            what, one, other = difference
            raise AssertionError(
                f"{what} at tick {tick}: {one} in the first run, {other} in the second, from the "
                f"same start with the same inputs (seed {seed}).{CAUSES}"
            )
    client = _ClientRun(protocol, start, 1 / tick_rate, every, seed, states)
    client.run(ticks, script, told)
    return dict(moved)


# -- the start and the inputs ----------------------------------------------------------------


def _start(
    protocol: Protocol,
    set_up: Callable[[ServerSide], None] | None,
    seed: int,
    tick_rate: float,
    broadcast_rate: float,
) -> World:
    if not protocol.simulate:
        raise UsageError("this game simulates nothing: see Protocol(simulate={Ship: fly})")
    game = Stepper(protocol, seed=seed, tick_rate=tick_rate, broadcast_rate=broadcast_rate)
    world = game.server.world
    if set_up is None:
        for kind in protocol.simulate:
            entity = world.spawn(kind)
            world.table(kind).own(entity._row, PLAYER)
        return world
    set_up(game.server)
    client = game.join("Ada")
    game.run(SETTLE)
    if not client.joined:
        raise UsageError(f"the player that checks determinism is not in the game: {client.error}")
    if not _owned(world, protocol):
        names = " or ".join(kind.__name__ for kind in protocol.simulate)
        raise UsageError(
            f"a second after joining, the player controls no {names}: let set_up's on_join spawn "
            "one and call player.control"
        )
    return world


def _owned(world: World, protocol: Protocol) -> list[Entity]:
    """What the player controls of the classes that are simulated."""
    return [
        entity
        for kind in protocol.simulate
        for entity in world[kind]
        if world.table(kind).owner[entity._row] == PLAYER
    ]


def _copy(world: World) -> World:
    """The same entities under the same handles."""
    kinds = [table.kind for table in world.tables]
    copy = World(kinds, world.texts)
    for table, original in zip(copy.tables, world.tables, strict=True):
        rows = original.rows()
        for row in rows.tolist():
            table.place(row, int(original.generation[row]))
            table.own(row, int(original.owner[row]))
        for field in table.fields:
            table[field.name][rows] = original[field.name][rows]
    return copy


class _Script:
    """The inputs of every tick, quantised: each world decodes them to its own entities."""

    def __init__(
        self,
        protocol: Protocol,
        world: World,
        rng: random.Random,
        given: Callable[[random.Random], Sequence[Input]] | None,
        ticks: int,
    ) -> None:
        self._kinds = protocol.inputs
        self._rng = rng
        self._held: dict[Field[Any], tuple[int, ...]] = {}
        sampler = InputSampler(protocol, world)
        self._lanes: list[list[tuple[int, ...]]] = []
        for tick in range(ticks):
            sampler.latch(self._drawn(world) if given is None else given(rng))
            [(_, inputs)] = sampler.sample(tick)
            self._lanes.append(
                [field.encode(one._get(field), world) for one in inputs for field in one.fields]
            )

    def inputs(self, tick: int, world: World) -> Inputs:
        """Those of a tick, from 1 on."""
        lanes = iter(self._lanes[tick - 1])
        return tuple(
            kind(**{field.name: field.decode(next(lanes), world) for field in kind.fields})
            for kind in self._kinds
        )

    def _drawn(self, world: World) -> Inputs:
        for kind in self._kinds:
            for field in kind.fields:
                if field not in self._held or self._rng.random() < CHANGE:
                    self._held[field] = self._draw(field, world)
        return tuple(
            kind(**{field.name: field.decode(self._held[field], world) for field in kind.fields})
            for kind in self._kinds
        )

    def _draw(self, field: Field[Any], world: World) -> tuple[int, ...]:
        """Any value that the field can take, with equal chance."""
        rng = self._rng
        if rng.random() < AT_REST:
            return field.encode(field.default, world)
        if isinstance(field, Ref):
            targets = [one for one in world if type(one).__name__ == field.target]
            return field.encode(rng.choice([None, *targets]), world)
        lanes: tuple[int, ...] = ()
        for _ in range(TRIES):  # not all that fits into the bits is a value
            lanes = tuple(rng.randrange(1 << bits) for bits in field.lane_bits)
            if field.encode(field.decode(lanes, world), world) == lanes:
                break
        return lanes


# -- as a server -----------------------------------------------------------------------------


class _Run:
    """One run as a server does it."""

    def __init__(self, protocol: Protocol, start: World, dt: float, every: int, seed: int) -> None:
        self.world = _copy(start)
        self._protocol = protocol
        self._every = every
        self._simulation = Simulation(protocol, self.world, dt, seed)
        self._simulation.round()
        self._entities = _owned(self.world, protocol)
        self._spawned: list[tuple[int, Entity]] = []

    @property
    def mine(self) -> list[Entity]:
        """What the player controls."""
        self._entities = [entity for entity in self._entities if entity.alive]
        return self._entities

    def advance(self, tick: int, inputs: Inputs) -> None:
        def control(entity: Entity) -> None:
            self.world.table(type(entity)).own(entity._row, PLAYER)
            self._entities.append(entity)
            self._spawned.append((tick, entity))

        self._simulation.move(tick, tuple(self.mine), inputs, control)
        while self._spawned and self._spawned[0][0] <= tick - LIFETIME:
            self.world.despawn(self._spawned.pop(0)[1])
        if tick % self._every == 0:
            self._simulation.round()

    def state(self) -> State:
        return {
            order_of(self._protocol, entity): {
                field: entity._get(field) for field in entity.fields if not isinstance(field, Ref)
            }
            for entity in self.mine
        }

    def told(self) -> list[Owned]:
        """What a snapshot of this tick tells the player of its entities."""
        lanes = [table.quantise() for table in self.world.tables]
        owned = []
        for entity in self.mine:
            index, key, _ = order_of(self._protocol, entity)
            row = entity._row
            generation = int(self.world.tables[index].generation[row])
            owned.append(Owned(index, row, generation, key, lanes[index][row]))
        return owned


# -- as a client -----------------------------------------------------------------------------


class _ClientRun:
    """One run as a client does it, compared with the server's at every tick."""

    def __init__(
        self,
        protocol: Protocol,
        start: World,
        dt: float,
        every: int,
        seed: int,
        states: dict[int, State],
    ) -> None:
        self._protocol = protocol
        self._world = _copy(start)
        self._dt = dt
        self._every = every
        self._seed = seed
        self._states = states
        self._set_back_to: int | None = None
        self._predictor = Predictor(protocol, self._world, every, self._step)

    def run(self, ticks: int, script: _Script, told: dict[int, list[Owned]]) -> None:
        chance = random.Random(f"{self._seed} set back")
        self._predictor.confirm(0, told[0], patience=1)
        for tick in range(1, ticks + 1):
            inputs = script.inputs(tick, self._world)
            self._predictor.advance(tick, inputs)
            self._compare(tick)
            confirmed = tick - LEAD
            if confirmed > 0 and confirmed % self._every == 0:
                self._set_back_to = confirmed
                if chance.random() < SET_BACK:
                    for scratch in self._predictor.mine:
                        # As if it had not been predicted: it is taken from the snapshot.
                        scratch.records.pop(confirmed, None)
                self._predictor.confirm(confirmed, told[confirmed], patience=1)
                self._compare(tick)
                self._set_back_to = None
            self._predictor.look_ahead(inputs)

    def _step(self, tick: int, replaying: bool, spawn: Spawn | None) -> Step:
        if self._set_back_to is not None:  # a tick is run again: what has the last one come to?
            self._compare(tick - 1)
        return Step(
            tick=tick,
            dt=self._dt,
            world=self._world,
            seed=self._seed,
            replaying=replaying,
            spawn=spawn,
        )

    def _compare(self, tick: int) -> None:
        server = self._states[tick]
        client = {scratch.order: scratch.values for scratch in self._predictor.mine}
        both = server.keys() & client.keys()
        if len(client) < MAX_SPAWNED:
            both |= {order for order in (*server, *client) if _born(order) == tick}
        difference = _difference(
            self._protocol,
            {order: server[order] for order in server if order in both},
            {order: client[order] for order in client if order in both},
        )
        if difference is None:
            return
        what, one, other = difference
        how = "that predicts it"
        if self._set_back_to is not None:
            how = f"that was set back to tick {self._set_back_to} and went on from there"
        raise AssertionError(
            f"{what} at tick {tick}: {one} on the server, {other} on a client {how}, with the same "
            f"inputs (seed {self._seed}).{CAUSES}{CAUSES_ON_A_CLIENT}"
        )


def _born(order: Order) -> int | None:
    """The tick in which an entity was spawned by a simulate function."""
    return (order[1] - 1) // SPAWNED_PER_TICK if order[1] else None


def _difference(protocol: Protocol, one: State, other: State) -> tuple[str, str, str] | None:
    """The first value that differs: its class and field, and both values."""
    for order in sorted({*one, *other}):
        name = protocol.entities[order[0]].__name__
        if order not in one or order not in other:
            here, missing = "there", "not there"
            return (name, here, missing) if order in one else (name, missing, here)
        for field, value in one[order].items():
            again = other[order][field]
            if value != again and not (value != value and again != again):  # both NaN
                return str(field), repr(value), repr(again)
    return None
