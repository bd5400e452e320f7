"""The chat: the last lines, and the one that is being typed."""

from dataclasses import dataclass

import pygame

from demo_game.game import Chat
from demo_game.palette import (
    CYAN,
    INK,
    LIVERIES,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    lettering,
)
from demo_game.widgets import panel, write

KEPT_LINES = 50
SHOWN_LINES = 7
SHOWN_SECONDS = 14.0
MAX_BYTES = 120
"""As declared by `Chat.text`."""


@dataclass(slots=True)
class Line:
    """One thing that was said; ``who`` is empty for the game's own remarks."""

    when: float
    who: str
    colour: Colour
    text: str


class ChatBox:
    """Keeps, takes and draws lines. ``typing`` is None while the keys steer the ship."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.typing: str | None = None

    def said(self, chat: Chat, now: float) -> None:
        """Show a line that came from the server."""
        self._add(Line(now, chat.who, LIVERIES[chat.colour], chat.text))

    def remark(self, text: str, now: float) -> None:
        """Show a line of the game's own."""
        self._add(Line(now, "", SOFT, text))

    def key(self, event: pygame.event.Event) -> str | None:
        """Take a key while typing. Returns the finished line when Enter ends one."""
        if self.typing is None:
            return None
        if event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            line, self.typing = self.typing.strip(), None
            return line or None
        if event.key == pygame.K_ESCAPE:
            self.typing = None
        elif event.key == pygame.K_BACKSPACE:
            self.typing = self.typing[:-1]
        elif event.unicode.isprintable():
            longer = self.typing + event.unicode
            if len(longer.encode()) <= MAX_BYTES:
                self.typing = longer
        return None

    def draw(self, screen: pygame.Surface, scale: float, now: float) -> None:
        """Draw the last lines above the bottom left corner; all recent ones while typing."""
        size, row = round((SMALL + 1) * scale), round(20 * scale)
        x, y = round(16 * scale), screen.get_height() - round(46 * scale)
        if self.typing is not None:
            box = pygame.Rect(x - 4, y - 2, round(400 * scale), row + round(10 * scale))
            panel(screen, box, lit=True)
            text = lettering(self.typing, size, WHITE)
            room = box.width - round(70 * scale)
            over = max(0, text.get_width() - room)
            write(screen, "say", (x + 6, y + 5 * scale), size, CYAN)
            at = x + round(38 * scale)
            screen.blit(text, (at, y + 5 * scale), (over, 0, room, 99))
            if now % 1.0 < 0.5:
                caret = at + text.get_width() - over + 2
                pygame.draw.line(screen, CYAN, (caret, y + 6), (caret, y + row + 2))
        shown = self.lines[-SHOWN_LINES:]
        if self.typing is None:
            shown = [line for line in shown if now - line.when < SHOWN_SECONDS]
        for line in reversed(shown):
            y -= row
            left = x
            if line.who:
                left += self._shadowed(screen, line.who + "  ", (left, y), size, line.colour)
            self._shadowed(screen, line.text, (left, y), size, WHITE if line.who else SOFT)

    def _shadowed(
        self,
        screen: pygame.Surface,
        text: str,
        place: tuple[int, int],
        size: int,
        colour: Colour,
    ) -> int:
        write(screen, text, (place[0] + 1, place[1] + 1), size, INK)
        return write(screen, text, place, size, colour)

    def _add(self, line: Line) -> None:
        self.lines = [*self.lines[1 - KEPT_LINES :], line]
