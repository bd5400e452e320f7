"""How each voice arrives: F3 shows it in the place of the list of those who speak."""

from dataclasses import dataclass

import pygame

from demo_game.palette import AMBER, CORAL, FAINT, LIVERIES, SMALL, SOFT, WHITE, Colour
from demo_game.voices import Voices, loss_of
from demo_game.widgets import level_bar, panel, shortened, write

WIDTH, HEAD, ROW = 262, 44, 19
MOST_LINES = 8
COLUMNS = ((122, "DELAY"), (164, "LOST"), (216, "MADE UP"))
"""Right edges, in units of the interface, and titles."""


@dataclass(frozen=True, slots=True)
class VoiceLine:
    """One voice: delay in milliseconds, shares 0 to 1, level 0 to 1 (0 while it is silent)."""

    name: str
    colour: int
    delay: float
    lost: float
    made_up: float
    level: float


def voice_lines(voices: Voices, pilots: dict[int, tuple[str, int]]) -> list[VoiceLine]:
    """Those who were heard lately; ``pilots`` has the name and the colour of each player."""
    levels = {one.player: one.level for one in voices.speaking}
    lines = []
    for number in sorted(voices.recent):
        if number not in pilots:
            continue
        name, colour = pilots[number]
        stats = voices.chat.stats(number)
        lines.append(
            VoiceLine(
                name,
                colour,
                stats.delay * 1000,
                loss_of(stats),
                stats.concealed_share,
                levels.get(number, 0.0),
            )
        )
    return lines[:MOST_LINES]


def draw_voice_stats(screen: pygame.Surface, scale: float, lines: list[VoiceLine], top: int) -> int:
    """The panel at the left edge, from ``top`` on. Returns where it ends."""

    def px(units: float) -> int:
        return round(units * scale)

    height = px(HEAD + 8) + px(ROW) * max(1, len(lines))
    box = pygame.Rect(px(14), top, px(WIDTH), height)
    panel(screen, box)
    left, tiny, small = box.x + px(14), px(SMALL - 2), px(SMALL)
    write(screen, "VOICES", (left, box.y + px(9)), tiny, FAINT, bold=True, spacing=px(1))
    if not lines:
        note = "nobody has spoken lately"
        write(screen, note, (left, box.y + px(HEAD - 12)), small, SOFT)
        return box.bottom
    for right, title in COLUMNS:
        place = (box.x + px(right), box.y + px(27))
        write(screen, title, place, px(SMALL - 3), FAINT, bold=True, align=1)
    y = box.y + px(HEAD)
    for line in lines:
        name = shortened(line.name or "unnamed", small, px(58))
        write(screen, name, (left, y), small, LIVERIES[line.colour])
        cells: tuple[tuple[str, Colour], ...] = (
            (f"{line.delay:.0f} ms", WHITE),
            (f"{line.lost:.1%}", WHITE if line.lost < 0.02 else AMBER),
            (f"{line.made_up:.1%}", WHITE if line.made_up < 0.02 else CORAL),
        )
        for (right, _), (text, tone) in zip(COLUMNS, cells, strict=True):
            write(screen, text, (box.x + px(right), y), small, tone, align=1)
        bar = pygame.Rect(box.x + px(224), y + px(5), px(30), px(7))
        level_bar(screen, bar, line.level, LIVERIES[line.colour], segments=5)
        y += px(ROW)
    return box.bottom
