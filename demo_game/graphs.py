"""The network and how the game feels over it, drawn: what F3 shows.

`NetworkHistory` keeps the last half minute of each figure; `draw_network` draws them with the
current value beside each.
"""

from collections import deque
from dataclasses import dataclass

import pygame

import netcode as nc
from demo_game.palette import (
    AMBER,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    MINT,
    SMALL,
    SOFT,
    VIOLET,
    WHITE,
    Colour,
    mix,
)
from demo_game.widgets import panel, shortened, write

SAMPLE_EVERY = 0.25
KEPT = 120
"""Samples: half a minute."""

WIDTH, HEAD, ROW, LINE = 250, 27, 24, 17
"""Of the panel, in units of the interface: all of it has to fit below the minimap of a low window,
and beside it what the state is made of."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the panel: a title, how to write the value, and a scale that begins so high."""

    title: str
    unit: str
    colour: Colour
    floor: float
    digits: int = 0


NETWORK = (
    Figure("RTT", "ms", CYAN, 60),
    Figure("LOSS", "%", CORAL, 5, 1),
    Figure("IN", "kB/s", MINT, 2, 1),
    Figure("OUT", "kB/s", AMBER, 2, 1),
    Figure("BROADCASTS", "Hz", VIOLET, 24),
)
FEEL = (
    Figure("LEAD", "ms", CYAN, 60),
    Figure("DISPLAY DELAY", "ms", MINT, 120),
    Figure("CORRECTIONS", "/s", AMBER, 4, 1),
    Figure("MISPREDICTED", "/s", CORAL, 4, 1),
)
"""How far the own ship is ahead of the server, how far all others are behind the newest snapshot,
how often own things had to be put elsewhere, and how often a snapshot said anything unforeseen."""
FIGURES = (*NETWORK, *FEEL)


class NetworkHistory:
    """The last half minute of the link, four samples a second."""

    def __init__(self) -> None:
        self.series: tuple[deque[float], ...] = tuple(deque(maxlen=KEPT) for _ in FIGURES)
        self._next_sample = 0.0
        self._counted: deque[tuple[float, int, int]] = deque(maxlen=round(1 / SAMPLE_EVERY) + 1)
        """When, corrections and mispredictions by then: a second of them."""

    def take(self, now: float, stats: nc.NetworkStats) -> None:
        """To be called every frame; samples when it is time."""
        if now < self._next_sample:
            return
        self._next_sample = now + SAMPLE_EVERY
        self._counted.append((now, stats.corrections, stats.mispredictions))
        since, corrections, mispredictions = self._counted[0]
        seconds = max(1.0, now - since)
        values = (
            stats.rtt * 1000,
            stats.loss * 100,
            stats.bytes_in / 1000,
            stats.bytes_out / 1000,
            stats.broadcast_hz,
            stats.lead * 1000,
            stats.interpolation_delay * 1000,
            (stats.corrections - corrections) / seconds,
            (stats.mispredictions - mispredictions) / seconds,
        )
        for series, value in zip(self.series, values, strict=True):
            series.append(value)

    def median(self, figure: int) -> float:
        """The middle one of a figure's samples; 0 while there are none."""
        ordered = sorted(self.series[figure])
        return ordered[len(ordered) // 2] if ordered else 0.0


def draw_network(
    screen: pygame.Surface, scale: float, history: NetworkHistory, path: str, weather: str
) -> pygame.Rect:
    """The panel at the right edge, below the minimap. Returns where it is."""

    def px(units: float) -> int:
        return round(units * scale)

    height = 2 * HEAD + ROW * len(FIGURES) + 2 * LINE + 8
    box = pygame.Rect(0, 0, px(WIDTH), px(height))
    box.topright = (screen.get_width() - px(14), px(188))
    panel(screen, box)
    left, right = box.x + px(14), box.right - px(14)
    y = box.y
    series = iter(history.series)
    for title, figures in (("NETWORK", NETWORK), ("FEEL", FEEL)):
        write(screen, title, (left, y + px(9)), px(SMALL - 2), FAINT, bold=True, spacing=px(1))
        y += px(HEAD)
        for figure in figures:
            _draw_row(screen, pygame.Rect(left, y, right - left, px(ROW)), next(series), figure)
            y += px(ROW)
    y += px(2)
    write(screen, "weather", (left, y), px(SMALL), FAINT)
    write(screen, weather, (right, y), px(SMALL), SOFT if weather == "clean" else AMBER, align=1)
    write(screen, "path", (left, y + px(LINE)), px(SMALL), FAINT)
    path = shortened(path, px(SMALL), right - left - px(40))
    write(screen, path, (right, y + px(LINE)), px(SMALL), SOFT, align=1)
    return box


def _draw_row(
    screen: pygame.Surface, row: pygame.Rect, series: "deque[float]", figure: Figure
) -> None:
    """A title, the newest value, its unit, and the graph of the last half minute."""
    scale = row.height / ROW

    def px(units: float) -> int:
        return round(units * scale)

    value = f"{series[-1]:.{figure.digits}f}" if series else "–"
    write(screen, figure.title, (row.x, row.y + px(6)), px(SMALL - 3), SOFT, bold=True)
    at = (row.x + px(118), row.y + px(3))
    write(screen, value, at, px(SMALL + 2), figure.colour, bold=True, align=1)
    write(screen, figure.unit, (row.x + px(122), row.y + px(5)), px(SMALL - 2), FAINT)
    left = row.x + px(150)
    area = pygame.Rect(left, row.y, row.right - left, row.height - px(5))
    _draw_series(screen, area, list(series), figure)


def _draw_series(
    screen: pygame.Surface, area: pygame.Rect, values: list[float], figure: Figure
) -> None:
    pygame.draw.rect(screen, mix(FIELD, (0, 0, 0), 0.35), area, border_radius=3)
    if len(values) < 2:
        return
    top = max(figure.floor, *values) * 1.08
    points = [
        (
            area.right - 1 - (len(values) - 1 - i) * (area.width - 2) / (KEPT - 1),
            area.bottom - 2 - value / top * (area.height - 4),
        )
        for i, value in enumerate(values)
    ]
    fill = [(points[0][0], area.bottom - 1), *points, (points[-1][0], area.bottom - 1)]
    pygame.draw.polygon(screen, mix(FIELD, figure.colour, 0.28), fill)
    pygame.draw.aalines(screen, figure.colour, False, points)
    pygame.draw.circle(screen, WHITE, points[-1], 2)
