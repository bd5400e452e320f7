"""What a player's state is made of: the lower half of what F3 shows."""

import pygame

from demo_game.game import Figures
from demo_game.palette import (
    AMBER,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    MINT,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    mix,
)
from demo_game.questions import bits_of
from demo_game.widgets import panel, shortened, write

WIDTH, HEIGHT = 250, 194


def parts_of(figures: Figures) -> list[tuple[str, int, Colour]]:
    """What became of every entity of the arena in the last broadcast."""
    return [
        ("sent", figures.sent, MINT),
        ("deferred", figures.deferred, AMBER),
        ("unchanged", figures.unchanged, CYAN),
        ("culled", figures.culled, mix(FIELD, CORAL, 0.55)),
    ]


def draw_state(
    screen: pygame.Surface, scale: float, figures: Figures | None, beside: pygame.Rect
) -> None:
    """The panel below ``beside``, or to the left of it where the window ends."""

    def px(units: float) -> int:
        return round(units * scale)

    box = pygame.Rect(beside.x, beside.bottom + px(6), px(WIDTH), px(HEIGHT))
    if box.bottom > screen.get_height() - px(4):
        box.topright = (beside.x - px(6), beside.y)
    panel(screen, box)
    left, right = box.x + px(14), box.right - px(14)
    tiny, small = px(SMALL - 2), px(SMALL)
    write(screen, "YOUR STATE", (left, box.y + px(11)), tiny, FAINT, bold=True, spacing=px(1))
    if figures is None:
        write(screen, "asking the server …", (left, box.y + px(32)), small, SOFT)
        return
    budget = f"budget {figures.budget / 1000:.1f} kB/s"
    write(screen, budget, (right, box.y + px(10)), px(SMALL - 1), WHITE, align=1)
    y = box.y + px(32)
    bar = pygame.Rect(left, y, right - left, px(8))
    pygame.draw.rect(screen, FIELD, bar)
    parts = parts_of(figures)
    total = max(1, sum(count for _, count, _ in parts))
    x = float(bar.x)
    for _, count, colour in parts:
        width = bar.width * count / total
        if count:
            pygame.draw.rect(screen, colour, (round(x), bar.y, max(2, round(width)), bar.height))
        x += width
    y += px(14)
    for number, (name, count, colour) in enumerate(parts):
        at = left + (number % 2) * (right - left + px(12)) // 2
        line = y + (number // 2) * px(17)
        chip = pygame.Rect(at, line + px(5), px(7), px(7))
        pygame.draw.rect(screen, colour, chip, border_radius=2)
        write(screen, name, (at + px(13), line), small, SOFT)
        end = at + (right - left - px(12)) // 2
        write(screen, str(count), (end, line), small, WHITE if count else FAINT, align=1)
    y += px(40)
    head = f"budget cut: {figures.held_back}" if figures.held_back else "BYTES SINCE JOINING"
    write(screen, head, (left, y), tiny, AMBER if figures.held_back else FAINT, bold=True)
    y += px(15)
    costs = bits_of(figures.top)
    for name, cost in costs:
        share = cost / max(1, costs[0][1])
        write(screen, shortened(name, small, px(100)), (left, y), small, SOFT)
        strip = pygame.Rect(left + px(104), y + px(5), px(62), px(5))
        pygame.draw.rect(screen, FIELD, strip, border_radius=2)
        strip.width = max(1, round(strip.width * share))
        pygame.draw.rect(screen, MINT, strip, border_radius=2)
        write(screen, f"{cost / 1000:.1f} kB", (right, y), small, WHITE, align=1)
        y += px(16)
