"""Panels, buttons and text fields: the few controls that the game's screens are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import pygame

from demo_game.palette import (
    BODY,
    CYAN,
    FAINT,
    FIELD,
    HAIRLINE,
    INK,
    PANEL,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    lettering,
    mix,
)

CORNER = 8
CARET_BLINK = 1.1
"""Seconds from one appearance of the caret to the next."""


@lru_cache(maxsize=64)
def _panel(width: int, height: int, lit: bool) -> pygame.Surface:
    surface = pygame.Surface((width, height), pygame.SRCALPHA)
    pygame.draw.rect(surface, PANEL, surface.get_rect(), border_radius=CORNER)
    edge = CYAN if lit else HAIRLINE
    pygame.draw.rect(surface, (*edge, 170), surface.get_rect(), width=1, border_radius=CORNER)
    return surface


def panel(screen: pygame.Surface, box: pygame.Rect, *, lit: bool = False) -> None:
    """A translucent dark plate with a thin edge."""
    screen.blit(_panel(box.width, box.height, lit), box)


def write(
    screen: pygame.Surface,
    text: str,
    place: tuple[float, float],
    size: int,
    colour: Colour,
    *,
    bold: bool = False,
    align: float = 0.0,
    spacing: int = 0,
) -> int:
    """Write a line; ``align`` 0 starts at the place, 0.5 centres, 1 ends there. Returns width."""
    image = lettering(text, size, colour, bold, spacing)
    screen.blit(image, (round(place[0] - align * image.get_width()), round(place[1])))
    return image.get_width()


def shortened(text: str, size: int, width: int) -> str:
    """The text, cut with an ellipsis so that it fits ``width`` pixels."""
    if lettering(text, size, WHITE).get_width() <= width:
        return text
    while text and lettering(text + "…", size, WHITE).get_width() > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, size: int, width: int) -> list[str]:
    """The text in lines that fit ``width`` pixels."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and lettering(longer, size, WHITE).get_width() > width:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return lines


@dataclass
class TextField:
    """One line that can be typed into."""

    label: str
    text: str = ""
    max_length: int = 60
    box: pygame.Rect = field(default_factory=lambda: pygame.Rect(0, 0, 10, 10))

    def key(self, event: pygame.event.Event) -> None:
        """Take what a key says: letters and backspace."""
        if event.key == pygame.K_BACKSPACE:
            self.text = "" if event.mod & pygame.KMOD_CTRL else self.text[:-1]
        elif event.unicode.isprintable() and len(self.text) < self.max_length:
            self.text += event.unicode

    def draw(self, screen: pygame.Surface, scale: float, *, active: bool, now: float) -> None:
        """Draw label, box and text; with the caret if ``active``."""
        size = round(BODY * scale)
        write(
            screen,
            self.label.upper(),
            (self.box.x, self.box.y - 17 * scale),
            round((SMALL - 2) * scale),
            FAINT,
            bold=True,
            spacing=1,
        )
        pygame.draw.rect(screen, FIELD, self.box, border_radius=CORNER - 2)
        edge = CYAN if active else HAIRLINE
        pygame.draw.rect(screen, edge, self.box, width=1, border_radius=CORNER - 2)
        line = lettering(self.text, size, WHITE) if self.text else None
        room = self.box.inflate(-round(24 * scale), 0)
        x, y = room.x, self.box.centery
        if line is not None:
            over = max(0, line.get_width() - room.width)
            screen.blit(line, (x, y - line.get_height() / 2), (over, 0, room.width, 99))
            x += line.get_width() - over
        if active and now % CARET_BLINK < CARET_BLINK / 2:
            half = round(9 * scale)
            pygame.draw.line(screen, CYAN, (x + 2, y - half), (x + 2, y + half))


def level_bar(
    screen: pygame.Surface, box: pygame.Rect, level: float, colour: Colour, *, segments: int = 12
) -> None:
    """How loud something is, 0 to 1: small lights in a row, the last ones paler."""
    pitch = box.width / segments
    lit = level * segments
    for number in range(segments):
        light = pygame.Rect(
            round(box.x + number * pitch), box.y, max(2, round(pitch) - 2), box.height
        )
        glow = min(1.0, max(0.0, lit - number))
        tone = mix(colour, WHITE, 0.55) if number >= segments - 2 else colour
        pygame.draw.rect(screen, mix(FIELD, tone, glow), light, border_radius=1)


@dataclass
class Toggle:
    """Something that is on or off."""

    label: str
    on: bool = False
    box: pygame.Rect = field(default_factory=lambda: pygame.Rect(0, 0, 10, 10))

    def press(self) -> None:
        """The other way round."""
        self.on = not self.on

    def draw(self, screen: pygame.Surface, scale: float, *, active: bool) -> None:
        """Draw the switch and its label; with a bright edge if it is the one to be pressed."""
        switch = pygame.Rect(self.box.x, 0, round(30 * scale), round(16 * scale))
        switch.centery = self.box.centery
        face = mix(FIELD, CYAN, 0.75) if self.on else FIELD
        pygame.draw.rect(screen, face, switch, border_radius=switch.height // 2)
        edge = WHITE if active else HAIRLINE
        pygame.draw.rect(screen, edge, switch, width=1, border_radius=switch.height // 2)
        radius = switch.height // 2 - 3
        x = switch.right - radius - 3 if self.on else switch.x + radius + 3
        pygame.draw.circle(screen, WHITE if self.on else SOFT, (x, switch.centery), radius)
        size = round((SMALL + 1) * scale)
        height = lettering(self.label, size, WHITE).get_height()
        place = (switch.right + round(10 * scale), self.box.centery - height / 2)
        write(screen, self.label, place, size, WHITE if active or self.on else SOFT)


@dataclass
class Button:
    """Something to press. ``note`` says below the label what will happen."""

    label: str
    press: Callable[[], None]
    note: str = ""
    strong: bool = False
    box: pygame.Rect = field(default_factory=lambda: pygame.Rect(0, 0, 10, 10))

    def draw(self, screen: pygame.Surface, scale: float, *, active: bool) -> None:
        """Draw it, brighter if it is the one that Enter would press."""
        hover = active or self.box.collidepoint(pygame.mouse.get_pos())
        if self.strong:
            face, letters = (mix(CYAN, WHITE, 0.25) if hover else CYAN), INK
        else:
            face, letters = (mix(FIELD, CYAN, 0.2) if hover else FIELD), WHITE
        pygame.draw.rect(screen, face, self.box, border_radius=CORNER)
        edge = WHITE if active else (face if self.strong else HAIRLINE)
        pygame.draw.rect(screen, edge, self.box, width=1, border_radius=CORNER)
        size = round(BODY * scale)
        height = lettering(self.label, size, letters, bold=True).get_height()
        lift = round(7 * scale) if self.note else 0
        write(
            screen,
            self.label,
            (self.box.centerx, self.box.centery - height / 2 - lift),
            size,
            letters,
            bold=True,
            align=0.5,
        )
        if self.note:
            write(
                screen,
                self.note,
                (self.box.centerx, self.box.centery + 4 * scale),
                round((SMALL - 1) * scale),
                mix(face, INK, 0.65) if self.strong else SOFT,
                align=0.5,
            )
