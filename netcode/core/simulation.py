"""The simulation: moves what players control, a tick at a time, as the server does.

A host runs it for its players; `testing.check_determinism` runs it twice, and against a client's
prediction.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.core.inputs import Inputs
from netcode.declarations import Entity
from netcode.play.prediction import round_to_steps, simulate_entity
from netcode.play.scratch import SPAWNED_PER_TICK, order_of, spawn_key
from netcode.play.step import Spawn, Step
from netcode.protocol import Protocol
from netcode.world.table import NOBODY
from netcode.world.world import World


class Simulation:
    """What moves in a world by its players' inputs. ``dt`` is a tick's length in seconds."""

    def __init__(self, protocol: Protocol, world: World, dt: float, seed: int) -> None:
        self._protocol = protocol
        self._world = world
        self._dt = dt
        self._seed = seed

    def step(self, tick: int, spawn: Spawn | None = None) -> Step:
        """The step of a tick; what it spawns is nobody's, unless told otherwise."""
        return Step(
            tick=tick,
            dt=self._dt,
            world=self._world,
            seed=self._seed,
            spawn=self._world.spawn if spawn is None else spawn,
        )

    def move(
        self,
        tick: int,
        entities: Iterable[Entity],
        inputs: Inputs,
        control: Callable[[Entity], None],
    ) -> None:
        """One player's entities, by one tick. ``control`` is called for what the player is to
        control from now on: predicted entities that are spawned."""
        step = self.step(tick, self._spawner(tick, control))
        for entity in sorted(entities, key=lambda one: order_of(self._protocol, one)):
            if entity.alive:  # the one before may have despawned it
                simulate_entity(self._protocol, entity, inputs, step)

    def round(self) -> None:
        """Round what players control to its fields' steps, as both ends do at broadcasts."""
        rows: dict[int, NDArray[np.intp]] = {
            index: np.flatnonzero(table.alive & (table.owner != NOBODY))
            for index, table in enumerate(self._world.tables)
            if table.kind in self._protocol.simulate
        }
        round_to_steps(self._protocol, self._world, rows)

    def _spawner(self, tick: int, control: Callable[[Entity], None]) -> Spawn:
        """What spawns in one player's simulate functions: predicted classes are the player's."""
        ordinals: Counter[type[Entity]] = Counter()

        def spawn(kind: type[Entity], /, **values: Any) -> Entity:
            entity = self._world.spawn(kind, **values)
            spawned = self._protocol.spawned.get(kind)
            if spawned is not None:
                if ordinals[kind] < SPAWNED_PER_TICK:
                    entity._set(spawned, spawn_key(tick, ordinals[kind]))
                ordinals[kind] += 1
                control(entity)
            return entity

        return spawn
