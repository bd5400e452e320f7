"""Shapes, drawn once at four times their size, smoothed, and kept: ships, rocks, gems, lights."""

import math
import random
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pygame

from demo_game import game
from demo_game.palette import GEMS, INK, LIVERIES, WHITE, Colour, mix

OVERSAMPLE = 4
TURNS = 96
"""Directions in which a turning shape is kept; a ship's 1024 headings are rounded to these."""
ROCK_SHAPES = 5
"""Different outlines for each grade of rock."""

Point = tuple[float, float]


def turn_of(angle: float) -> int:
    """The number of the kept direction nearest to an angle in radians."""
    return round(angle / math.tau * TURNS) % TURNS


class Shapes:
    """All sprites for one zoom. Make new ones when the window's size changes."""

    def __init__(self, zoom: float) -> None:
        self.zoom = zoom
        self._turned: dict[tuple[str, int, int, int], pygame.Surface] = {}
        self._drawn: dict[tuple[str, int, int], pygame.Surface] = {}

    def ship(self, colour: int, heading: float) -> pygame.Surface:
        """A ship of this livery pointing in this direction."""
        return self._turn("ship", colour, 0, turn_of(heading))

    def rock(self, grade: int, shape: int, angle: float) -> pygame.Surface:
        """A rock of this grade; ``shape`` is any number, the same rock the same number."""
        return self._turn("rock", grade, shape % ROCK_SHAPES, turn_of(angle))

    def bullet(self, colour: int, heading: float) -> pygame.Surface:
        """A streak of light, to be added to what is below."""
        return self._turn("bullet", colour, 0, turn_of(heading))

    def flame(self, length: int, heading: float) -> pygame.Surface:
        """The light behind a ship, ``length`` 0 to 3, to be added to what is below."""
        return self._turn("flame", length, 0, turn_of(heading))

    def gem(self, worth: int) -> pygame.Surface:
        """A crystal."""
        key = ("gem", worth, 0)
        if key not in self._drawn:
            self._drawn[key] = self._finish(_draw_gem(worth), 1.0)
        return self._drawn[key]

    def _turn(self, what: str, one: int, two: int, turn: int) -> pygame.Surface:
        key = (what, one, two, turn)
        if key not in self._turned:
            drawn = self._drawn.get((what, one, two))
            if drawn is None:
                drawn = self._drawn[what, one, two] = _DRAW[what](one, two)
            self._turned[key] = self._finish(drawn, turn=turn)
        return self._turned[key]

    def _finish(self, drawn: pygame.Surface, scale: float = 1.0, turn: int = 0) -> pygame.Surface:
        angle = -turn * 360.0 / TURNS
        return pygame.transform.rotozoom(drawn, angle, scale * self.zoom / OVERSAMPLE)


def _canvas(size: float) -> tuple[pygame.Surface, float]:
    """A transparent square for a shape of ``size`` units, and the place of its middle."""
    side = int(size * OVERSAMPLE)
    return pygame.Surface((side, side), pygame.SRCALPHA), side / 2


def _polygon(
    surface: pygame.Surface, middle: float, colour: Colour, points: Sequence[Point]
) -> None:
    placed = [(middle + x * OVERSAMPLE, middle + y * OVERSAMPLE) for x, y in points]
    pygame.draw.polygon(surface, colour, placed)


def _draw_ship(colour: int, _: int) -> pygame.Surface:
    surface, middle = _canvas(56)
    paint = LIVERIES[colour]
    dark, light = mix(paint, INK, 0.62), mix(paint, WHITE, 0.45)
    _polygon(surface, middle, INK, [(22, 0), (-16, 16.5), (-9, 0), (-16, -16.5)])
    for side in (-1, 1):
        wing, shade = (mix(paint, INK, 0.12), mix(paint, INK, 0.3))
        tone = wing if side < 0 else shade
        _polygon(surface, middle, tone, [(20, 0), (-13.5, 13.6 * side), (-7.5, 0)])
        _polygon(
            surface,
            middle,
            dark,
            [(-3, 8.6 * side), (-13.5, 13.6 * side), (-10.4, 6.5 * side), (-5.5, 4.6 * side)],
        )
    _polygon(surface, middle, light, [(20, 0), (2, 3.2), (-6.8, 0), (2, -3.2)])
    _polygon(surface, middle, mix(INK, paint, 0.18), [(9, 0), (1.5, 2.4), (-3, 0), (1.5, -2.4)])
    return surface


def _draw_rock(grade: int, shape: int) -> pygame.Surface:
    radius = game.ROCK_RADII[grade]
    rng = random.Random(grade * 100 + shape)
    surface, middle = _canvas(2 * radius * 1.25)
    corners = 9 + 2 * grade
    outline = []
    for corner in range(corners):
        angle = corner * math.tau / corners + rng.uniform(-0.14, 0.14)
        reach = radius * rng.uniform(0.84, 1.1)
        outline.append((math.cos(angle) * reach, math.sin(angle) * reach))
    stone = (104, 106, 128) if shape % 2 else (116, 103, 112)
    _polygon(surface, middle, mix(stone, INK, 0.72), [(x * 1.045, y * 1.045) for x, y in outline])
    # Facets towards the light, which comes from the upper left of the unturned shape.
    for (x1, y1), (x2, y2) in zip(outline, outline[1:] + outline[:1], strict=True):
        facing = math.cos(math.atan2(y1 + y2, x1 + x2) + 2.4)
        tone = mix(mix(stone, INK, 0.55), mix(stone, WHITE, 0.12), 0.5 + 0.5 * facing)
        _polygon(surface, middle, tone, [(x1, y1), (x2, y2), (0, 0)])
    inner = [(x * 0.66 - radius * 0.05, y * 0.66 - radius * 0.05) for x, y in outline]
    for (x1, y1), (x2, y2) in zip(inner, inner[1:] + inner[:1], strict=True):
        facing = math.cos(math.atan2(y1 + y2, x1 + x2) + 2.4)
        tone = mix(mix(stone, INK, 0.4), mix(stone, WHITE, 0.08), 0.5 + 0.4 * facing)
        _polygon(surface, middle, tone, [(x1, y1), (x2, y2), (-radius * 0.05, -radius * 0.05)])
    for _ in range(grade + 1):
        angle, reach = rng.uniform(0, math.tau), radius * rng.uniform(0.1, 0.6)
        size = radius * rng.uniform(0.08, 0.17)
        x, y = math.cos(angle) * reach, math.sin(angle) * reach
        for offset, tone in ((0.0, mix(stone, INK, 0.66)), (0.25, mix(stone, INK, 0.5))):
            centre = tuple(middle + (v + offset * size) * OVERSAMPLE for v in (x, y))
            pygame.draw.circle(surface, tone, centre, size * (1 - offset) * OVERSAMPLE)
    return surface


def _draw_gem(worth: int) -> pygame.Surface:
    paint = GEMS[worth]
    surface, middle = _canvas(40)
    tall, wide = 9.5 + worth, 5.5 + worth * 0.8
    _polygon(
        surface,
        middle,
        INK,
        [(0, -tall - 1.5), (wide + 1.3, 0), (0, tall + 1.5), (-wide - 1.3, 0)],
    )
    facets = (
        (0.55, [(0, -tall), (-wide, 0), (-wide * 0.2, 0)]),
        (0.2, [(0, -tall), (-wide * 0.2, 0), (wide, 0)]),
        (-0.15, [(0, tall), (-wide, 0), (-wide * 0.2, 0)]),
        (-0.4, [(0, tall), (-wide * 0.2, 0), (wide, 0)]),
    )
    for lightness, points in facets:
        other = WHITE if lightness > 0 else INK
        _polygon(surface, middle, mix(paint, other, abs(lightness)), points)
    return surface


def _draw_bullet(colour: int, _: int) -> pygame.Surface:
    return _streak(64, 15.0, 2.6, LIVERIES[colour], core=0.5)


def _draw_flame(length: int, _: int) -> pygame.Surface:
    return _streak(88, 13.0 + 3.5 * length, 5.5, (255, 150, 70), core=0.75, tail=-1.0)


def _streak(
    size: int, length: float, width: float, colour: Colour, *, core: float, tail: float = 0.0
) -> pygame.Surface:
    """A soft light along the x axis. With ``tail`` -1 it starts at the middle and fades back."""
    side = size * OVERSAMPLE
    axis = (np.arange(side) - side / 2 + 0.5) / OVERSAMPLE
    x, y = axis[:, None], axis[None, :]
    if tail:
        along = np.where(x < 0, np.exp(-np.square(x / length) * 1.6), np.exp(-np.square(x / 2.0)))
        width_here = width * np.clip(1 + x / (2.4 * length), 0.2, 1.0)
    else:
        along, width_here = np.exp(-np.square(x / length) * 1.6), np.full_like(x, width)
    light = along * np.exp(-np.square(y / width_here))
    hot = np.clip(np.square(light) * core * 1.3, 0, 1)
    return _light_surface(light, hot, colour)


@lru_cache(maxsize=512)
def glow(radius: int, colour: Colour, strength: float = 1.0) -> pygame.Surface:
    """A round light of this many pixels, to be added to what is below."""
    axis = (np.arange(2 * radius) - radius + 0.5) / radius
    far = np.sqrt(np.square(axis)[:, None] + np.square(axis)[None, :])
    light = np.square(np.clip(1.0 - far, 0.0, 1.0)) * strength
    return _light_surface(light, np.clip(light * light * 0.8, 0, 1), colour)


@lru_cache(maxsize=128)
def ring(radius: int, width: int, colour: Colour, strength: float) -> pygame.Surface:
    """A soft circle, to be added to what is below."""
    side = radius + 2 * width
    axis = np.arange(2 * side) - side + 0.5
    far = np.sqrt(np.square(axis)[:, None] + np.square(axis)[None, :])
    light = np.exp(-np.square((far - radius) / width)) * strength
    return _light_surface(light, light * 0.2, colour)


def _light_surface(light: object, hot: object, colour: Colour) -> pygame.Surface:
    """Light as a black surface for BLEND_RGB_ADD: ``hot`` moves the colour towards white."""
    amount, white = np.asarray(light)[..., None], np.asarray(hot)[..., None]
    shade = np.array(colour) * (1 - white) + 255.0 * white
    pixels = np.clip(shade * amount, 0, 255).astype(np.uint8)
    surface = pygame.Surface(pixels.shape[:2])
    pygame.surfarray.blit_array(surface, pixels)
    return surface


_DRAW = {
    "ship": _draw_ship,
    "rock": _draw_rock,
    "bullet": _draw_bullet,
    "flame": _draw_flame,
}
