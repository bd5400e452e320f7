"""The game playing itself behind the start screen: the same rules and bots, without a network."""

import math
import random

import pygame

import netcode as nc
from demo_game.brain import Brain
from demo_game.game import ARENA, GAME, Ship
from demo_game.palette import INK
from demo_game.simulation import Rules, move_all
from demo_game.view import View

PILOTS = 10
STEP = 1 / 60
MAX_STEPS = 4
"""A frame that comes late is not caught up beyond this."""
SHOT_SECONDS = 12.0
"""How long one pilot is watched."""
NEAR = 700.0
ASIDE = 400.0
"""The watched pilot flies beside the start screen's panel, not behind it."""
SHADE = 120
"""How much of the picture is darkened, of 255, so that the letters above stand out."""


class Attract:
    """A small arena of bots, and a view of one of them."""

    def __init__(self, width: int, height: int, seed: int = 11) -> None:
        self._world = nc.World(GAME.entities)
        self._rules = Rules(self._world, seed=seed)
        rng = random.Random(seed)
        self._brains = {player: Brain(rng) for player in range(1, PILOTS + 1)}
        for player in self._brains:
            self._rules.join(player, "", 0, rng)
        self._tick, self._owed = 0, 0.0
        self._now = 0.0
        self._watched = 1
        self._look_elsewhere_at = 0.0
        self.view = View(width, height)
        self.view.camera.aside = ASIDE
        for _ in range(240):
            self._advance()
        self.resize(width, height)

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.view.resize(width, height)
        self._veil = pygame.Surface((width, height))
        self._veil.fill(INK)
        self._veil.set_alpha(SHADE)

    def update(self, dt: float) -> None:
        """Play on for ``dt`` seconds."""
        self._owed = min(self._owed + dt, MAX_STEPS * STEP)
        while self._owed >= STEP:
            self._owed -= STEP
            self._advance()
        self._now += dt
        if self._now >= self._look_elsewhere_at:
            self._look_elsewhere_at = self._now + SHOT_SECONDS
            self._watched = self._liveliest()
        self.view.update(self._world, self._rules.seats[self._watched].ship, dt)

    def draw(self, screen: pygame.Surface) -> None:
        """Cover the whole screen with the darkened picture."""
        self.view.draw(screen, self._world, None, self._now, labels=False)
        screen.blit(self._veil, (0, 0))

    def _liveliest(self) -> int:
        """The pilot with the most company, away from the walls."""
        ships = list(self._world[Ship])
        if not ships:
            return self._watched

        def company(ship: Ship) -> float:
            near = sum(math.hypot(s.x - ship.x, s.y - ship.y) < NEAR for s in ships)
            return near - 4.0 * (max(abs(ship.x), abs(ship.y)) > ARENA - NEAR)

        return max(ships, key=company).player

    def _advance(self) -> None:
        self._tick += 1
        step = nc.Step(tick=self._tick, dt=STEP, world=self._world, seed=0, spawn=self._world.spawn)
        now = self._tick * STEP
        move_all(
            self._world, step, lambda ship: self._brains[ship.player].decide(self._world, ship, now)
        )
        for blast in self._rules.step(step).blasts:
            self.view.effects.blast(blast, self.view.camera)
