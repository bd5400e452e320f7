"""Prediction: own entities answer in the frame of the key press.

The client runs the shared simulate functions on its own inputs ahead of the server. When a newer
snapshot arrives, own rows are set to what the server says and the inputs since then are run
again; where both ends simulate alike, nothing moves.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity, Input
from netcode.play.step import TICK, Step
from netcode.protocol import Protocol
from netcode.world.world import World

Inputs = tuple[Input, ...]

MAX_REPLAY = 60
"""Inputs that are run again at most: a second at 60 ticks a second bounds the cost."""


def simulate_entity(protocol: Protocol, entity: Entity, inputs: Inputs, step: Step) -> None:
    """Move one controlled entity by one tick with its class's simulate function, if it has one."""
    function = protocol.simulate.get(type(entity))
    if function is not None:
        wanted = protocol.inputs.index(protocol.simulate_input[type(entity)])
        step._draw_for(1 + (entity.handle << 8 | protocol.entities.index(type(entity))))
        try:
            function(entity, inputs[wanted], step)
        finally:
            step._draw_for(TICK)


def round_to_steps(protocol: Protocol, world: World, rows: Mapping[int, NDArray[np.intp]]) -> None:
    """Round simulated rows (by table number) to their fields' steps, as both ends do at broadcasts.

    Without this the server would go on from values that no client has ever seen.
    """
    for index, chosen in rows.items():
        table = world.tables[index]
        if len(chosen) and table.kind in protocol.simulate:
            table.round_rows(chosen)


class Predictor:
    """Keeps own entities ahead of the server."""

    def __init__(
        self,
        protocol: Protocol,
        world: World,
        broadcast_every: int,
        make_step: Callable[[int, bool], Step],
    ) -> None:
        self._protocol = protocol
        self._world = world
        self._broadcast_every = broadcast_every
        self._make_step = make_step
        self._inputs: deque[tuple[int, Inputs]] = deque(maxlen=MAX_REPLAY)
        self.confirmed_tick = -1
        """The tick of the snapshot that the present prediction starts from."""
        self.replayed = 0
        """Ticks that have been run again so far."""

    def advance(self, tick: int, inputs: Inputs, own: Mapping[int, NDArray[np.intp]]) -> None:
        """Run one new tick with the player's inputs."""
        self._inputs.append((tick, inputs))
        if tick > self.confirmed_tick:
            self._run(tick, inputs, own, replaying=False)

    def correct(self, tick: int, own: Mapping[int, NDArray[np.intp]]) -> None:
        """Own rows have been set to the snapshot of ``tick``: run again what came after it."""
        self.confirmed_tick = tick
        while self._inputs and self._inputs[0][0] <= tick:
            self._inputs.popleft()
        for later, inputs in self._inputs:
            self._run(later, inputs, own, replaying=True)
            self.replayed += 1

    def _run(
        self, tick: int, inputs: Inputs, own: Mapping[int, NDArray[np.intp]], *, replaying: bool
    ) -> None:
        step = self._make_step(tick, replaying)
        for index, rows in own.items():
            table: Any = self._world.tables[index]
            for row in rows.tolist():
                entity = table.at(row)
                if entity is not None:
                    simulate_entity(self._protocol, entity, inputs, step)
        if tick % self._broadcast_every == 0:
            round_to_steps(self._protocol, self._world, own)
