"""What only the eye needs: sparks, explosions, exhaust and numbers that float up.

None of it is part of the game's state. It is made from `Blast` messages and from what the world
shows, and it is no harm if some of it is lost.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
import pygame

from demo_game.camera import Camera
from demo_game.game import Blast, BlastKind, Ship
from demo_game.palette import (
    AMBER,
    BODY,
    GEMS,
    LIVERIES,
    WHITE,
    Colour,
    lettering,
    mix,
)
from demo_game.sprites import glow, ring

MAX_PARTICLES = 900
"""The oldest make room for new ones."""
RING_STEPS = 14
STONE: Colour = (196, 178, 160)
FIRE: Colour = (255, 138, 54)
EXHAUST: Colour = (255, 140, 70)


@dataclass(slots=True)
class Wave:
    """A circle that grows and fades."""

    x: float
    y: float
    reach: float
    colour: Colour
    life: float
    age: float = 0.0


@dataclass(slots=True)
class Note:
    """A text that rises and fades."""

    x: float
    y: float
    text: str
    colour: Colour
    age: float = 0.0


class Effects:
    """All lights of the moment, in arena coordinates."""

    def __init__(self, seed: int = 1) -> None:
        self._rng = random.Random(seed)
        self._place = np.zeros((MAX_PARTICLES, 2))
        self._speed = np.zeros((MAX_PARTICLES, 2))
        self._age = np.ones(MAX_PARTICLES)
        self._life = np.ones(MAX_PARTICLES)
        self._size = np.zeros(MAX_PARTICLES)
        self._colours: list[Colour] = [WHITE] * MAX_PARTICLES
        self._next = 0
        self.waves: list[Wave] = []
        self.notes: list[Note] = []

    def __len__(self) -> int:
        return int(np.count_nonzero(self._age < self._life)) + len(self.waves) + len(self.notes)

    def blast(self, blast: Blast, camera: Camera) -> None:
        """Show what a message tells of."""
        x, y, paint = blast.x, blast.y, LIVERIES[blast.colour]
        if blast.kind is BlastKind.SPARK:
            self.burst(x, y, 9, 150, 0.35, 5, mix(paint, WHITE, 0.5))
        elif blast.kind is BlastKind.CRYSTAL:
            gem = GEMS[max(1, blast.grade)]
            self.burst(x, y, 10, 90, 0.5, 5, gem)
            self.waves.append(Wave(x, y, 26, gem, 0.35))
        elif blast.kind is BlastKind.ROCK:
            self.burst(x, y, 10 + 9 * blast.grade, 60 + 50 * blast.grade, 0.8, 8, STONE)
            self.waves.append(Wave(x, y, 26.0 + 24 * blast.grade, STONE, 0.45))
        else:
            self.burst(x, y, 60, 330, 1.0, 12, FIRE)
            self.burst(x, y, 34, 190, 1.3, 9, paint)
            self.burst(x, y, 14, 70, 0.9, 26, AMBER)
            self.waves.append(Wave(x, y, 150, AMBER, 0.6))
            self.waves.append(Wave(x, y, 90, paint, 0.8))
            if camera.sees(x, y, 100):
                camera.shake(9.0)

    def note(self, x: float, y: float, text: str, colour: Colour) -> None:
        """Let a short text rise from a place."""
        self.notes.append(Note(x, y, text, colour))

    def exhaust(self, ship: Ship, dt: float) -> None:
        """What a thrusting ship leaves behind in ``dt`` seconds."""
        cos, sin = math.cos(ship.heading), math.sin(ship.heading)
        if self._rng.random() < dt * 55:
            self._add(
                ship.x - cos * 13,
                ship.y - sin * 13,
                ship.vx - cos * 120 + self._rng.gauss(0, 18),
                ship.vy - sin * 120 + self._rng.gauss(0, 18),
                self._rng.uniform(0.2, 0.45),
                6.0,
                EXHAUST,
            )

    def muzzle(self, x: float, y: float, colour: int) -> None:
        """A flash where a shot leaves the ship."""
        self.burst(x, y, 4, 80, 0.16, 7, mix(LIVERIES[colour], WHITE, 0.4))

    def burst(
        self,
        x: float,
        y: float,
        count: int,
        speed: float,
        life: float,
        size: float,
        colour: Colour,
    ) -> None:
        """``count`` lights that fly apart."""
        for _ in range(count):
            angle = self._rng.uniform(0, math.tau)
            pace = speed * math.sqrt(self._rng.random())
            self._add(
                x,
                y,
                math.cos(angle) * pace,
                math.sin(angle) * pace,
                life * self._rng.uniform(0.45, 1.0),
                size * self._rng.uniform(0.5, 1.1),
                colour,
            )

    def update(self, dt: float) -> None:
        """Let ``dt`` seconds pass."""
        self._age += dt
        self._place += self._speed * dt
        self._speed *= max(0.0, 1.0 - 1.8 * dt)
        for wave in self.waves:
            wave.age += dt
        for note in self.notes:
            note.age += dt
            note.y -= 34 * dt
        self.waves = [wave for wave in self.waves if wave.age < wave.life]
        self.notes = [note for note in self.notes if note.age < 1.0]

    def draw(self, screen: pygame.Surface, camera: Camera) -> None:
        """Add all lights to the screen."""
        left = 1.0 - self._age / self._life
        for i in np.flatnonzero(left > 0).tolist():
            x, y = camera.screen(self._place[i, 0], self._place[i, 1])
            if not (-40 < x < camera.width + 40 and -40 < y < camera.height + 40):
                continue
            share = float(left[i])
            radius = max(1, round(self._size[i] * camera.zoom * (0.4 + 0.6 * share)))
            light = glow(radius, self._colours[i], max(0.2, round(share * 1.4, 1)))
            screen.blit(light, (x - radius, y - radius), None, pygame.BLEND_RGB_ADD)
        for wave in self.waves:
            share = wave.age / wave.life
            step = round((1 - (1 - share) ** 3) * RING_STEPS) / RING_STEPS
            radius = max(2, round(wave.reach * camera.zoom * max(0.1, step)))
            strength = round((1 - share) * 0.8, 1)
            circle = ring(radius, max(2, round(4 * camera.zoom)), wave.colour, strength)
            x, y = camera.screen(wave.x, wave.y)
            half = circle.get_width() / 2
            screen.blit(circle, (x - half, y - half), None, pygame.BLEND_RGB_ADD)
        for note in self.notes:
            text = lettering(note.text, round(BODY * camera.zoom), note.colour, bold=True)
            text.set_alpha(round(255 * min(1.0, 2.0 * (1.0 - note.age))))
            x, y = camera.screen(note.x, note.y)
            screen.blit(text, (x - text.get_width() / 2, y - text.get_height() / 2))
            text.set_alpha(255)

    def _add(
        self,
        x: float,
        y: float,
        vx: float,
        vy: float,
        life: float,
        size: float,
        colour: Colour,
    ) -> None:
        i, self._next = self._next, (self._next + 1) % MAX_PARTICLES
        self._place[i] = x, y
        self._speed[i] = vx, vy
        self._age[i], self._life[i], self._size[i] = 0.0, life, size
        self._colours[i] = colour
