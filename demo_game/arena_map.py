"""The map of the whole arena: what the second press of F4 shows.

Everything on it comes over a spectator's link. What the player's own client knows as well is in
colour, the rest is grey.
"""

import math
from dataclasses import dataclass

import pygame

import netcode as nc
from demo_game.game import ARENA, ROCK_RADII, VIEW_RADIUS, Bullet, Crystal, Rock, Ship
from demo_game.palette import (
    BODY,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    GEMS,
    GRID,
    HAIRLINE,
    INK,
    LIVERIES,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    mix,
)
from demo_game.sight import draw_circles
from demo_game.spectator import knows
from demo_game.sprites import glow
from demo_game.widgets import panel, wrapped, write

GREY: Colour = (80, 88, 112)
"""What the player is not told about."""
STONE: Colour = (128, 127, 148)
GRID_STEP = 500
PICK_REACH = 16
"""Pixels within which the mouse points at something."""
TOP, BOTTOM, SIDES = 46, 34, 286
"""Room around the map for clock, hint and panels, in units of the interface."""


@dataclass(frozen=True, slots=True)
class MapLayout:
    """Where the arena is on the screen."""

    box: pygame.Rect

    @classmethod
    def of(cls, width: int, height: int, scale: float) -> "MapLayout":
        """The largest square that leaves room for the panels."""
        top, bottom = round(TOP * scale), round(BOTTOM * scale)
        side = max(80, min(height - top - bottom, width - 2 * round(SIDES * scale)))
        box = pygame.Rect(0, 0, side, side)
        box.center = (width // 2, (top + height - bottom) // 2)
        return cls(box)

    @property
    def zoom(self) -> float:
        """Pixels per unit."""
        return self.box.width / (2 * ARENA)

    def screen(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the arena is on the screen."""
        return self.box.centerx + x * self.zoom, self.box.centery + y * self.zoom

    def arena(self, place: tuple[int, int]) -> tuple[float, float]:
        """Which place of the arena is at a pixel."""
        return (
            (place[0] - self.box.centerx) / self.zoom,
            (place[1] - self.box.centery) / self.zoom,
        )


def draw_map(
    screen: pygame.Surface,
    layout: MapLayout,
    everything: nc.World,
    own_world: nc.World,
    own: Ship | None,
    place: tuple[float, float],
    scale: float,
) -> None:
    """The arena; ``place`` is where the own ship is, or was."""
    box = layout.box
    pygame.draw.rect(screen, mix(INK, GRID, 0.45), box)
    screen.set_clip(box)
    for step in range(GRID_STEP, round(2 * ARENA), GRID_STEP):
        at = step * layout.zoom
        pygame.draw.line(screen, GRID, (box.x + at, box.y), (box.x + at, box.bottom))
        pygame.draw.line(screen, GRID, (box.x, box.y + at), (box.right, box.y + at))
    middle = layout.screen(*place)
    radius = VIEW_RADIUS * layout.zoom
    light = glow(round(radius * 1.35), CYAN, 0.16)
    corner = (middle[0] - light.get_width() / 2, middle[1] - light.get_height() / 2)
    screen.blit(light, corner, None, pygame.BLEND_RGB_ADD)
    draw_circles(screen, middle, layout.zoom)
    for crystal in everything[Crystal]:
        paint = GEMS[crystal.worth] if knows(own_world, crystal) else GREY
        _diamond(screen, layout.screen(crystal.x, crystal.y), (1.8 + 0.7 * crystal.worth), paint)
    for rock in everything[Rock]:
        _rock(screen, layout, rock, known=knows(own_world, rock))
    for bullet in everything[Bullet]:
        paint = LIVERIES[bullet.colour] if knows(own_world, bullet) else mix(GREY, WHITE, 0.2)
        _stroke(screen, layout.screen(bullet.x, bullet.y), bullet.vx, bullet.vy, paint)
    for ship in everything[Ship]:
        if own is None or ship.handle != own.handle:
            _ship(screen, layout, ship, scale, known=knows(own_world, ship), is_own=False)
    if own is not None:  # predicted: a spectator sees it a round trip later
        _ship(screen, layout, own, scale, known=True, is_own=True)
    screen.set_clip(None)
    pygame.draw.rect(screen, mix(INK, CYAN, 0.45), box.inflate(2, 2), width=1)
    if own is not None:
        hull = f"hull {own.hull}    ammo {own.ammo}"
        below = (middle[0], middle[1] + 13 * scale)
        size = round((SMALL - 2) * scale)
        write(screen, hull, (below[0] + 1, below[1] + 1), size, INK, align=0.5)
        write(screen, hull, below, size, WHITE, align=0.5)


def draw_wait(screen: pygame.Surface, layout: MapLayout, error: str, scale: float) -> None:
    """Instead of the map: why it is not there."""
    box = layout.box
    pygame.draw.rect(screen, mix(INK, GRID, 0.45), box)
    pygame.draw.rect(screen, HAIRLINE, box, width=1)
    text = f"No map: {error}" if error else "Opening a spectator's link …"
    y = box.centery - 12 * scale
    for line in wrapped(text, round(BODY * scale), round(box.width * 0.8)):
        tone = CORAL if error else SOFT
        write(screen, line, (box.centerx, y), round(BODY * scale), tone, align=0.5)
        y += 22 * scale


def draw_legend(
    screen: pygame.Surface,
    counts: list[tuple[str, int, int]],
    own_rate: float,
    spectator_rate: float,
    scale: float,
) -> None:
    """What the colours mean, and how much is told; rates in bytes a second."""

    def px(units: float) -> int:
        return round(units * scale)

    box = pygame.Rect(0, px(14), px(250), px(168))
    box.right = screen.get_width() - px(14)
    panel(screen, box)
    left, right = box.x + px(14), box.right - px(14)
    tiny, small = px(SMALL - 2), px(SMALL)
    write(screen, "THE WHOLE ARENA", (left, box.y + px(11)), tiny, FAINT, bold=True, spacing=px(1))
    y = box.y + px(32)
    write(screen, "told to you", (right - px(58), y), tiny, CYAN, align=1)
    write(screen, "there are", (right, y), tiny, SOFT, align=1)
    y += px(17)
    for name, known, there in counts:
        write(screen, name, (left, y), small, SOFT)
        share = known / there if there else 0.0
        bar = pygame.Rect(left + px(56), y + px(6), px(60), px(4))
        pygame.draw.rect(screen, FIELD, bar, border_radius=2)
        bar.width = round(bar.width * share)
        if bar.width:
            pygame.draw.rect(screen, CYAN, bar, border_radius=2)
        write(screen, str(known), (right - px(58), y), small, WHITE if known else FAINT, align=1)
        write(screen, str(there), (right, y), small, SOFT, align=1)
        y += px(20)
    y += px(6)
    pygame.draw.line(screen, HAIRLINE, (left, y), (right, y))
    y += px(7)
    write(screen, "your link", (left, y), tiny, FAINT)
    write(screen, f"{own_rate / 1000:.1f} kB/s", (left + px(50), y), tiny, SOFT)
    write(screen, "spectator's", (right - px(56), y), tiny, FAINT, align=1)
    write(screen, f"{spectator_rate / 1000:.1f} kB/s", (right, y), tiny, SOFT, align=1)


def _rock(screen: pygame.Surface, layout: MapLayout, rock: Rock, *, known: bool) -> None:
    x, y = layout.screen(rock.x, rock.y)
    radius = max(2.0, ROCK_RADII[rock.grade] * layout.zoom * 1.15)
    corners, shape = 6 + 2 * rock.grade, rock.handle
    points = []
    for corner in range(corners):
        angle = corner * math.tau / corners + shape
        reach = radius * (0.88 + 0.12 * math.sin(2.4 * corner + shape))
        points.append((x + math.cos(angle) * reach, y + math.sin(angle) * reach))
    if known:
        pygame.draw.polygon(screen, mix(INK, STONE, 0.7), points)
    pygame.draw.aalines(screen, STONE if known else GREY, True, points)


def _diamond(
    screen: pygame.Surface, place: tuple[float, float], size: float, paint: Colour
) -> None:
    x, y = place
    points = [(x, y - size), (x + size * 0.7, y), (x, y + size), (x - size * 0.7, y)]
    pygame.draw.polygon(screen, paint, points)


def _stroke(
    screen: pygame.Surface, place: tuple[float, float], vx: float, vy: float, paint: Colour
) -> None:
    speed = math.hypot(vx, vy) or 1.0
    tail = (place[0] - vx / speed * 7, place[1] - vy / speed * 7)
    pygame.draw.aaline(screen, paint, tail, place)


def _ship(
    screen: pygame.Surface,
    layout: MapLayout,
    ship: Ship,
    scale: float,
    *,
    known: bool,
    is_own: bool,
) -> None:
    x, y = layout.screen(ship.x, ship.y)
    paint = LIVERIES[ship.colour] if known else mix(GREY, WHITE, 0.25)
    size = 8.0 * scale
    cos, sin = math.cos(ship.heading), math.sin(ship.heading)
    shape = ((1.1, 0.0), (-0.8, 0.75), (-0.4, 0.0), (-0.8, -0.75))
    points = [(x + (a * cos - b * sin) * size, y + (a * sin + b * cos) * size) for a, b in shape]
    pygame.draw.polygon(screen, paint, points)
    pygame.draw.aalines(screen, mix(paint, WHITE, 0.4), True, points)
    tone = mix(paint, WHITE, 0.35) if known else mix(GREY, WHITE, 0.2)
    above = (x, y - size - (SMALL + 4) * scale)
    write(screen, ship.name, above, round((SMALL - 1) * scale), tone, align=0.5, bold=is_own)
