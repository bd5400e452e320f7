"""The keys, explained on the screen."""

import pygame

from demo_game.palette import BODY, CYAN, FAINT, FIELD, HAIRLINE, INK, SMALL, SOFT, WHITE, lettering
from demo_game.widgets import panel, write

KEYS = (
    (("A", "D"), "turn (also ← →)"),
    (("W",), "thrust (also ↑)"),
    (("S",), "brake (also ↓)"),
    (("Space",), "fire"),
    (("Enter",), "chat"),
    (("V",), "talk to those who are near, while you hold it"),
    (("M",), "mute your microphone"),
    (("F1",), "this help"),
    (("F2",), "voice: devices, levels, how loud each pilot is"),
    (("F3",), "the network, and what your state is made of"),
    (("F4",), "how far you see; again: the map of the whole arena"),
    (("F5",), "bad weather: clean, lan, wifi, 4g, loss5, terrible"),
    (("F6",), "why is this told to me? Point at something"),
    (("F7",), "prediction on and off: does your ship wait for the server?"),
    (("F8",), "interpolation on and off: do others move evenly?"),
    (("F9",), "ghosts: what the server has said last, as outlines"),
    (("Esc",), "leave"),
)
AIMS = (
    "Crystals are worth 10 to 30 points and four shots.",
    "Rocks break into smaller ones, those into crystals.",
    "A destroyed ship is worth 100, and leaves crystals.",
)
ROW, AIM_ROW = 26, 21
HINT_TONE = (128, 144, 180)
HINT = "     ".join(
    (
        *("V talk", "M mute", "F1 help", "F2 voice", "F3 network", "F4 sight, map", "F5 weather"),
        *("F6 why", "F7 F8 F9 feel", "Enter chat", "Esc leave"),
    )
)


def draw_hint(screen: pygame.Surface, scale: float) -> None:
    """The one line at the bottom that is always there."""
    place = (screen.get_width() / 2, screen.get_height() - 24 * scale)
    shadow = (place[0] + 1, place[1] + 1)
    write(screen, HINT, shadow, round((SMALL - 1) * scale), INK, align=0.5)
    write(screen, HINT, place, round((SMALL - 1) * scale), HINT_TONE, align=0.5)


def draw_help(screen: pygame.Surface, scale: float) -> pygame.Rect:
    """The panel that F1 shows, smaller where the window is low. Returns where it is."""
    units_high = 92 + ROW * len(KEYS) + AIM_ROW * len(AIMS)
    scale = min(scale, (screen.get_height() - 12) / units_high)

    def px(units: float) -> int:
        return round(units * scale)

    row = px(ROW)
    box = pygame.Rect(0, 0, px(540), px(units_high))
    box.center = (screen.get_width() // 2, screen.get_height() // 2)
    panel(screen, box)
    write(screen, "HOW TO FLY", (box.x + px(28), box.y + px(22)), px(BODY), CYAN, bold=True)
    y = box.y + px(54)
    for caps, meaning in KEYS:
        x = box.x + px(28)
        for cap in caps:
            x = _cap(screen, cap, x, y, scale) + px(6)
        write(screen, meaning, (box.x + px(130), y + px(2)), px(SMALL + 1), SOFT)
        y += row
    y += px(8)
    for aim in AIMS:
        write(screen, aim, (box.x + px(28), y), px(SMALL + 1), FAINT)
        y += px(AIM_ROW)
    return box


def _cap(screen: pygame.Surface, text: str, x: int, y: int, scale: float) -> int:
    letters = lettering(text, round(SMALL * scale), WHITE, bold=True)
    width = max(round(24 * scale), letters.get_width() + round(14 * scale))
    box = pygame.Rect(x, y, width, round(21 * scale))
    pygame.draw.rect(screen, FIELD, box, border_radius=4)
    pygame.draw.rect(screen, HAIRLINE, box, width=1, border_radius=4)
    screen.blit(letters, letters.get_rect(center=box.center))
    return box.right
