"""Ghosts: what the server has said last of each ship, beside what is shown. F9 shows them.

The own ship flies ahead of its ghost, by the time that a key press takes to the server and back;
all others fly behind theirs, by the time that is needed to let them move evenly.
"""

import math

import pygame

import netcode as nc
from demo_game.camera import Camera
from demo_game.game import Ship
from demo_game.palette import LIVERIES, SMALL, WHITE, Colour, mix
from demo_game.widgets import write

OUTLINE = ((20.0, 0.0), (-14.5, 15.0), (-8.0, 0.0), (-14.5, -15.0))
"""A ship's corners, in units around its middle."""
SMALLEST_SIZE = 0.6
"""Ghosts stay as large as the ships' icons, however far the camera looks."""
TELL_FROM = 8.0
"""Units apart from which the distance is written beside a ghost."""


def draw_ghosts(
    screen: pygame.Surface, camera: Camera, shown: nc.World, told: nc.World, scale: float
) -> None:
    """The ships of ``told`` as outlines, each with a line to the same ship in ``shown``."""
    ships = shown.table(Ship)
    for ghost in told[Ship]:
        if not camera.sees(ghost.x, ghost.y, 60):
            continue
        paint = mix(LIVERIES[ghost.colour], WHITE, 0.35)
        at = camera.screen(ghost.x, ghost.y)
        ship = ships.by_handle(ghost.handle)
        if ship is not None:
            _tie(screen, camera.screen(ship.x, ship.y), at, paint)
            apart = math.hypot(ship.x - ghost.x, ship.y - ghost.y)
            if apart >= TELL_FROM:
                size = round((SMALL - 2) * scale)
                beside = (at[0] + 20 * scale, at[1] + 8 * scale)
                write(screen, f"{apart:.0f}", beside, size, paint)
        _outline(screen, at, ghost.heading, max(SMALLEST_SIZE, camera.zoom), paint)


def _outline(
    screen: pygame.Surface, at: tuple[float, float], heading: float, size: float, paint: Colour
) -> None:
    cos, sin = math.cos(heading) * size, math.sin(heading) * size
    corners = [(at[0] + x * cos - y * sin, at[1] + x * sin + y * cos) for x, y in OUTLINE]
    pygame.draw.aalines(screen, paint, True, corners)


def _tie(
    screen: pygame.Surface, one: tuple[float, float], two: tuple[float, float], paint: Colour
) -> None:
    pygame.draw.aaline(screen, mix(paint, (0, 0, 0), 0.35), one, two)
