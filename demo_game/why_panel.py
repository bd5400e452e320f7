"""The panel that F6 shows: what the server says about the entity under the mouse."""

import pygame

from demo_game.game import Why
from demo_game.inquiry import VERDICTS, Inquiry
from demo_game.palette import (
    AMBER,
    BODY,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    HAIRLINE,
    LARGE,
    MINT,
    SMALL,
    SOFT,
    VIOLET,
    WHITE,
    Colour,
    mix,
)
from demo_game.questions import bits_of
from demo_game.sight import ORDINALS
from demo_game.widgets import panel, shortened, wrapped, write

VERDICT_COLOURS: dict[str, Colour] = {
    "sent": MINT,
    "unchanged": CYAN,
    "waiting": VIOLET,
    "deferred": AMBER,
    "culled": CORAL,
}
FIELDS_SHOWN = 6
REASON_LINES = 4
WIDTH = 262


def colour_of(verdict: str) -> Colour:
    """The colour in which a verdict is written."""
    return VERDICT_COLOURS.get(verdict, FAINT)


def figures_of(why: Why, distance: float | None) -> list[tuple[str, str]]:
    """The panel's lines: a title and what stands beside it. ``distance`` from the own ship."""
    lines = [] if distance is None else [("distance", f"{distance:,.0f}")]
    if why.verdict in ("culled", "gone"):
        return lines
    every = ORDINALS.get(why.interval, "")
    lines.append(("told at", f"every {every} broadcast".replace("  ", " ")))
    lines.append(("waited", f"{why.waited} broadcasts" if why.waited else "–"))
    if why.rank:
        lines.append(("rank", f"{why.rank}, by urgency {why.urgency:.1f}"))
    else:
        lines.append(("rank", "none: everything fitted"))
    return lines


def draw_why(
    screen: pygame.Surface, inquiry: Inquiry, distance: float | None, top: int, scale: float
) -> None:
    """The panel at the left edge, from ``top`` on, or higher if the window ends."""

    def px(units: float) -> int:
        return round(units * scale)

    why, costs = inquiry.why, inquiry.last_sent
    tiny, small = px(SMALL - 2), px(SMALL)
    wide = px(WIDTH - 28)
    reason = why.reason if why is not None else "asking the server …"
    lines = wrapped(reason.replace(",", ", ").replace("  ", " "), small, wide)[:REASON_LINES]
    bits = bits_of(costs.bits)[:FIELDS_SHOWN] if costs is not None else []
    figures = figures_of(why, distance) if why is not None else []
    height = 90 + 16 * len(lines) + 20 + (17 * len(figures) + 8 if figures else 0)
    height += 26 + 16 * len(bits) if bits else 0
    box = pygame.Rect(px(14), top, px(WIDTH), px(height))
    box.y = max(px(14), min(box.y, screen.get_height() - px(34) - box.height))
    panel(screen, box, lit=True)
    left, right = box.x + px(14), box.right - px(14)
    write(
        screen,
        "IS IT TOLD TO YOU, AND WHY?",
        (left, box.y + px(11)),
        tiny,
        FAINT,
        bold=True,
        spacing=px(1),
    )
    title = shortened(inquiry.title or "nothing", px(BODY), wide)
    write(screen, title, (left, box.y + px(28)), px(BODY), WHITE, bold=True)
    y = box.y + px(50)
    verdict = why.verdict if why is not None else "…"
    tone = colour_of(verdict)
    pygame.draw.circle(screen, tone, (left + px(5), y + px(13)), px(5))
    write(screen, verdict.upper(), (left + px(18), y + px(3)), px(LARGE - 3), tone, bold=True)
    y += px(30)
    for line in lines:
        write(screen, line, (left, y), small, SOFT)
        y += px(16)
    y += px(6)
    _draw_verdicts(screen, inquiry, pygame.Rect(left, y, wide, px(8)), scale)
    y += px(20)
    if why is None:
        return
    for name, text in figures:
        write(screen, name, (left, y), small, FAINT)
        write(screen, text, (left + px(62), y), small, SOFT if text[0] in "–n" else WHITE)
        y += px(17)
    if not bits:
        return
    y += px(4)
    pygame.draw.line(screen, HAIRLINE, (left, y), (right, y))
    y += px(7)
    now = why is costs
    head = "BITS IN THIS BROADCAST" if now else "BITS WHEN IT WAS LAST SENT"
    write(screen, head, (left, y), tiny, FAINT, bold=True)
    y += px(15)
    most = max(1, *(count for _, count in bits))
    for name, count in bits:
        write(screen, shortened(name, small, px(66)), (left, y), small, SOFT)
        bar = pygame.Rect(left + px(72), y + px(5), right - left - px(106), px(5))
        pygame.draw.rect(screen, FIELD, bar, border_radius=2)
        bar.width = max(1, round(bar.width * count / most))
        paint = MINT if now else mix(FIELD, MINT, 0.55)
        pygame.draw.rect(screen, paint, bar, border_radius=2)
        write(screen, str(count), (right, y), small, WHITE if now else SOFT, align=1)
        y += px(16)


def _draw_verdicts(
    screen: pygame.Surface, inquiry: Inquiry, area: pygame.Rect, scale: float
) -> None:
    """One mark for each of the last answers, the newest at the right."""
    step = area.width / VERDICTS
    pygame.draw.rect(screen, mix(FIELD, (0, 0, 0), 0.35), area, border_radius=2)
    for place, verdict in enumerate(reversed(inquiry.verdicts), start=1):
        mark = pygame.Rect(0, area.y, max(2, round(step) - 2), area.height)
        mark.x = round(area.right - place * step)
        pygame.draw.rect(screen, colour_of(verdict), mark, border_radius=1)


def draw_target(
    screen: pygame.Surface, middle: tuple[float, float], reach: float, colour: Colour
) -> None:
    """Four corners around what is asked about."""
    reach = max(9.0, reach)
    arm = max(4.0, reach * 0.4)
    for sx in (-1, 1):
        for sy in (-1, 1):
            x, y = middle[0] + sx * reach, middle[1] + sy * reach
            pygame.draw.line(screen, colour, (x, y), (x - sx * arm, y), 2)
            pygame.draw.line(screen, colour, (x, y), (x, y - sy * arm), 2)
