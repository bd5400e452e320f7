"""Own shots, shown the moment the key is pressed.

A bullet is spawned by the server and arrives here a round trip later, in the past like all that
others do. So the view hides a player's own bullets and draws tracers instead: they start from
the predicted ship when its reload counter jumps, and end on what is displayed in their way.
Whether they hit is for the server to say.
"""

import math
from dataclasses import dataclass

import numpy as np

import netcode as nc
from demo_game import game
from demo_game.game import Rock, Ship


@dataclass(slots=True)
class Tracer:
    """One shot, in arena coordinates; ``left`` seconds remain."""

    x: float
    y: float
    vx: float
    vy: float
    left: float


class Tracers:
    """All shots of this player that are still flying."""

    def __init__(self, tick_rate: float = 60.0) -> None:
        self.flying: list[Tracer] = []
        self._reload = 0
        self._life = game.BULLET_TICKS / tick_rate

    def update(self, world: nc.World, own: Ship | None, dt: float) -> bool:
        """Move all tracers by a frame of ``dt`` seconds. True if a shot was fired in it."""
        for tracer in self.flying:
            tracer.x += tracer.vx * dt
            tracer.y += tracer.vy * dt
            tracer.left -= dt
        self._end_those_that_touch(world, own)
        reload = own.reload if own is not None else 0
        fired = own is not None and reload > self._reload
        self._reload = reload
        if own is not None and fired:
            cos, sin = math.cos(own.heading), math.sin(own.heading)
            reach = game.SHIP_RADIUS + 6
            self.flying.append(
                Tracer(
                    own.x + cos * reach,
                    own.y + sin * reach,
                    own.vx + cos * game.BULLET_SPEED,
                    own.vy + sin * game.BULLET_SPEED,
                    self._life,
                )
            )
        return fired

    def _end_those_that_touch(self, world: nc.World, own: Ship | None) -> None:
        self.flying = [
            tracer
            for tracer in self.flying
            if tracer.left > 0 and max(abs(tracer.x), abs(tracer.y)) < game.ARENA
        ]
        if not self.flying:
            return
        rocks, ships = world.table(Rock), world.table(Ship)
        r, s = rocks.rows(), ships.rows()
        if own is not None:
            s = s[ships.player[s] != own.player]
        x = np.concatenate([rocks.x[r], ships.x[s]])
        y = np.concatenate([rocks.y[r], ships.y[s]])
        sizes = np.array(game.ROCK_RADII)[rocks.grade[r]]
        reach = np.concatenate([sizes, np.full(len(s), game.SHIP_RADIUS)])
        self.flying = [
            tracer
            for tracer in self.flying
            if not (np.hypot(x - tracer.x, y - tracer.y) < reach).any()
        ]
