"""How far a player sees, drawn around the own ship: what the first press of F4 shows.

The circles are those of `host.interest`: things come into view at the inner one and leave it at
the outer one; the dotted rings are where they begin to be told less often.
"""

import math
from functools import lru_cache

import pygame

from demo_game.camera import Camera
from demo_game.game import SLOWER, VIEW_LEAVE, VIEW_RADIUS
from demo_game.palette import CYAN, FAINT, INK, SMALL, SOFT, VIOLET, Colour, mix
from demo_game.widgets import write

DASH, GAP = 14.0, 10.0
"""Pixels, along a dashed circle."""
DOT, DOT_GAP = 3.0, 9.0
VEIL: Colour = (96, 98, 112)
"""How much is left of the light of what lies beyond, of 255."""
ENTER_LINE: Colour = CYAN
LEAVE_LINE: Colour = FAINT
RING_LINE: Colour = mix(INK, VIOLET, 0.6)
ORDINALS = {2: "2nd", 4: "4th", 8: "8th"}


def draw_sight(screen: pygame.Surface, camera: Camera, x: float, y: float, scale: float) -> None:
    """Darken what lies out of view of this place, draw the circles, and say what they are."""
    middle = camera.screen(x, y)
    veil = _veil(screen.get_width(), screen.get_height(), round(VIEW_LEAVE * camera.zoom))
    corner = (middle[0] - veil.get_width() / 2, middle[1] - veil.get_height() / 2)
    screen.blit(veil, corner, None, pygame.BLEND_RGB_MULT)
    draw_circles(screen, middle, camera.zoom)
    _draw_legend(screen, scale)


@lru_cache(maxsize=2)
def _veil(width: int, height: int, radius: int) -> pygame.Surface:
    """A shade to multiply with, larger than the screen, with a hole in its middle."""
    veil = pygame.Surface((2 * width, 2 * height))
    veil.fill(VEIL)
    pygame.draw.circle(veil, (255, 255, 255), (width, height), radius)
    return veil


def _draw_legend(screen: pygame.Surface, scale: float) -> None:
    """To the left of the ship's gauges."""
    lines = [
        (f"comes into view at {VIEW_RADIUS:.0f}", ENTER_LINE, 9.0, 0.0),
        (f"leaves it at {VIEW_LEAVE:.0f}", LEAVE_LINE, 7.0, 4.0),
    ]
    lines += [
        (f"every {ORDINALS[interval]} broadcast beyond {distance:.0f}", RING_LINE, DOT, DOT_GAP / 2)
        for distance, interval in SLOWER.items()
    ]
    size, row = round((SMALL - 1) * scale), round(17 * scale)
    left = screen.get_width() // 2 - round(368 * scale)
    y = screen.get_height() - round(38 * scale) - row * len(lines)
    for text, colour, dash, gap in lines:
        at = float(left)
        while at < left + 22 * scale:
            end = min(at + dash, left + 22 * scale)
            pygame.draw.line(screen, colour, (at, y + row // 2), (end, y + row // 2), 2)
            at += dash + gap
        write(screen, text, (left + 30 * scale, y), size, SOFT)
        y += row


def draw_circles(screen: pygame.Surface, middle: tuple[float, float], zoom: float) -> None:
    """The circles alone, at ``zoom`` pixels per unit."""
    for distance in SLOWER:
        dashed(screen, middle, distance * zoom, RING_LINE, DOT, DOT_GAP)
    dashed(screen, middle, VIEW_LEAVE * zoom, LEAVE_LINE, DASH, GAP)
    dashed(screen, middle, VIEW_RADIUS * zoom, ENTER_LINE, 8.0, 0.0)


def dashed(
    screen: pygame.Surface,
    middle: tuple[float, float],
    radius: float,
    colour: Colour,
    dash: float,
    gap: float,
) -> None:
    """A thin smooth circle of strokes ``dash`` pixels long, ``gap`` apart; 0 closes it."""
    pieces = max(12, round(math.tau * radius / (dash + gap)))
    share = dash / (dash + gap)
    for piece in range(pieces):
        start, end = math.tau * piece / pieces, math.tau * (piece + share) / pieces
        pygame.draw.aaline(screen, colour, _at(middle, radius, start), _at(middle, radius, end))


def _at(middle: tuple[float, float], radius: float, angle: float) -> tuple[float, float]:
    return middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)
