"""Who speaks, drawn: the list below the score board, a mark over the ship, and one's own level."""

from collections.abc import Sequence

import pygame

import netcode as nc
from demo_game.camera import Camera
from demo_game.game import Ship
from demo_game.palette import (
    CORAL,
    FAINT,
    INK,
    LIVERIES,
    MINT,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    lettering,
    mix,
)
from demo_game.voices import Speaking, Voices
from demo_game.widgets import level_bar, panel, shortened, wrapped, write

WIDTH, ROW, HEAD = 262, 20, 30
MOST_LINES = 8
HANDS_OFF = 0.5
"""Below this share of its fade a ship has no mark, as it has no name."""
WAVES = (0.75, 1.0, 0.6)
"""How high the three bars of a mark stand beside each other."""


def draw_speakers(
    screen: pygame.Surface, scale: float, speaking: Sequence[Speaking], top: int
) -> int:
    """The list at the left edge, from ``top`` on. Returns where it ends."""

    def px(units: float) -> int:
        return round(units * scale)

    shown = sorted(speaking, key=lambda one: -one.level)[:MOST_LINES]
    shown.sort(key=lambda one: one.player)  # lines that change places cannot be read
    box = pygame.Rect(px(14), top, px(WIDTH), px(HEAD + 4) + px(ROW) * len(shown))
    panel(screen, box)
    title = (box.x + px(12), box.y + px(9))
    write(screen, "VOICES", title, px(SMALL - 2), FAINT, bold=True, spacing=px(1))
    y = box.y + px(HEAD - 2)
    for one in shown:
        livery = LIVERIES[one.colour]
        draw_waves(screen, (box.x + px(20), y + px(9)), 11 * scale, one.level, livery)
        size = px(SMALL + 1)
        name = shortened(one.name or "unnamed", size, px(104))
        write(screen, name, (box.x + px(36), y), size, WHITE)
        bar = pygame.Rect(box.x + px(150), y + px(5), px(100), px(8))
        level_bar(screen, bar, one.level, livery)
        y += px(ROW)
    return box.bottom


def draw_marks(
    screen: pygame.Surface, camera: Camera, world: nc.World, speaking: Sequence[Speaking], own: int
) -> None:
    """Three bars that move, over each ship that speaks."""
    levels = {one.player: one.level for one in speaking}
    zoom = max(0.75, camera.zoom)
    for ship in world[Ship]:
        level = levels.get(ship.player)
        if level is None or ship.fade < HANDS_OFF or not camera.sees(ship.x, ship.y, 60):
            continue
        x, y = camera.screen(ship.x, ship.y)
        # Above the bar of the hull, and above the name of others.
        y -= 34 * max(0.6 * zoom, camera.zoom) + (12 if ship.player == own else 29) * zoom
        draw_waves(screen, (x, y), 15 * zoom, level, LIVERIES[ship.colour], plate=True)


def draw_waves(
    screen: pygame.Surface,
    middle: tuple[float, float],
    height: float,
    level: float,
    colour: Colour,
    *,
    plate: bool = False,
) -> None:
    """Three bars as high as the voice is loud; with a plate behind them over the arena."""
    width = max(2, round(height / 5))
    pitch = width + max(1, round(height / 8))
    if plate:
        back = pygame.Rect(0, 0, round(pitch * 3 + height * 0.5), round(height * 1.35))
        back.center = (round(middle[0]), round(middle[1]))
        pygame.draw.rect(screen, INK, back, border_radius=round(height * 0.35))
        edge = mix(INK, colour, 0.5)
        pygame.draw.rect(screen, edge, back, width=1, border_radius=round(height * 0.35))
    for number, share in enumerate(WAVES):
        tall = max(width, round(height * share * min(1.0, 0.25 + 1.1 * level)))
        bar = pygame.Rect(0, 0, width, tall)
        bar.center = (round(middle[0] + (number - 1) * pitch), round(middle[1]))
        pygame.draw.rect(screen, mix(colour, WHITE, 0.25), bar, border_radius=width // 2)


def draw_own_voice(
    screen: pygame.Surface, scale: float, voices: Voices, now: float, bottom: int
) -> None:
    """One's own level while one talks, above ``bottom`` in the middle; and what keeps the player
    from talking, quietly."""

    def px(units: float) -> int:
        return round(units * scale)

    middle, chat = screen.get_width() // 2, voices.chat
    problem = voices.problem(now)
    if problem is not None:
        lines = wrapped(f"no voice: {problem}", px(SMALL), px(620))[:3]
        for line in reversed(lines):
            bottom -= px(18)
            write(screen, line, (middle + 1, bottom + 1), px(SMALL), INK, align=0.5)
            write(screen, line, (middle, bottom), px(SMALL), SOFT, align=0.5)
        bottom -= px(2)
    if not (chat.pressed or chat.talking):
        return
    box = pygame.Rect(0, 0, px(230), px(30))
    box.midbottom = (middle, bottom - px(6))
    panel(screen, box, lit=chat.talking)
    tone = CORAL if chat.muted else MINT
    draw_microphone(screen, (box.x + px(18), box.centery), px(13), tone)
    if chat.muted:
        label = lettering("muted: M lets you speak", px(SMALL), CORAL)
        screen.blit(label, label.get_rect(midleft=(box.x + px(34), box.centery)))
        return
    bar = pygame.Rect(box.x + px(34), 0, box.width - px(50), px(9))
    bar.centery = box.centery
    level_bar(screen, bar, voices.own_level, tone, segments=20)


def draw_microphone(
    screen: pygame.Surface, middle: tuple[int, int], height: int, colour: Colour
) -> None:
    """A microphone on its stand."""
    x, y = middle
    head = pygame.Rect(0, 0, max(4, height // 2), max(6, round(height * 0.62)))
    head.midtop = (x, y - height // 2)
    pygame.draw.rect(screen, colour, head, border_radius=head.width // 2)
    foot = y + height // 2
    pygame.draw.line(screen, colour, (x, head.bottom + 1), (x, foot), 2)
    pygame.draw.line(screen, colour, (x - height // 3, foot), (x + height // 3, foot), 2)
