"""The network, drawn: what F3 shows.

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


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the panel: a title, how to write the value, and a scale that begins so high."""

    title: str
    unit: str
    colour: Colour
    floor: float
    digits: int = 0


FIGURES = (
    Figure("RTT", "ms", CYAN, 60),
    Figure("LOSS", "%", CORAL, 5, 1),
    Figure("IN", "kB/s", MINT, 2, 1),
    Figure("OUT", "kB/s", AMBER, 2, 1),
    Figure("BROADCASTS", "Hz", VIOLET, 24),
)


class NetworkHistory:
    """The last half minute of the link, four samples a second."""

    def __init__(self) -> None:
        self.series: tuple[deque[float], ...] = tuple(deque(maxlen=KEPT) for _ in FIGURES)
        self._next_sample = 0.0

    def take(self, now: float, stats: nc.NetworkStats) -> None:
        """To be called every frame; samples when it is time."""
        if now < self._next_sample:
            return
        self._next_sample = now + SAMPLE_EVERY
        values = (
            stats.rtt * 1000,
            stats.loss * 100,
            stats.bytes_in / 1000,
            stats.bytes_out / 1000,
            stats.broadcast_hz,
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

    row = px(41)
    box = pygame.Rect(0, 0, px(250), px(74) + row * len(FIGURES))
    box.topright = (screen.get_width() - px(14), px(188))
    panel(screen, box)
    left, right = box.x + px(14), box.right - px(14)
    write(screen, "NETWORK", (left, box.y + px(11)), px(SMALL - 2), FAINT, bold=True, spacing=px(1))
    y = box.y + px(32)
    for figure, series in zip(FIGURES, history.series, strict=True):
        write(screen, figure.title, (left, y), px(SMALL - 2), FAINT, bold=True)
        value = f"{series[-1]:.{figure.digits}f}" if series else "–"
        write(screen, value, (left, y + px(12)), px(SMALL + 5), figure.colour, bold=True)
        write(screen, figure.unit, (left + px(56), y + px(16)), px(SMALL - 1), FAINT)
        area = pygame.Rect(left + px(92), y, right - left - px(92), row - px(9))
        _draw_series(screen, area, list(series), figure)
        y += row
    write(screen, "weather", (left, y), px(SMALL), FAINT)
    write(screen, weather, (right, y), px(SMALL), SOFT if weather == "clean" else AMBER, align=1)
    write(screen, "path", (left, y + px(18)), px(SMALL), FAINT)
    path = shortened(path, px(SMALL), right - left - px(40))
    write(screen, path, (right, y + px(18)), px(SMALL), SOFT, align=1)
    return box


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
