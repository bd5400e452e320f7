"""Getting into an arena while the window stays alive, and the screens that say how it goes."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pygame

import netcode as nc
from demo_game.camera import VIEW_HEIGHT, VIEW_WIDTH
from demo_game.game import GAME
from demo_game.palette import (
    BODY,
    CYAN,
    FAINT,
    FIELD,
    LARGE,
    MINT,
    SMALL,
    SOFT,
    WHITE,
    Colour,
)
from demo_game.widgets import panel, wrapped, write


@dataclass
class Attempt:
    """One attempt to join; `poll` it every frame, it never blocks.

    ``find`` gives the address, or None while it is not known yet; it raises `OSError` with a
    readable text if it never will be.
    """

    find: Callable[[], str | None]
    name: str
    conditions: str | None
    first_step: str
    started: float
    voice: nc.Voice = field(default_factory=nc.Voice)
    address: str = ""
    error: str = ""
    """Why it did not work, for people."""
    client: nc.Client | None = None

    @property
    def steps(self) -> tuple[str, ...]:
        """What has to be done, for people."""
        return (self.first_step, "Opening a WebRTC connection", "Entering the arena")

    @property
    def step(self) -> int:
        """Which of the steps is being taken."""
        if self.client is None:
            return 0
        return 2 if self.client.stats.transport else 1

    def poll(self) -> nc.Client | None:
        """Go on. Returns the client once it is in; whoever takes it closes it."""
        try:
            if self.client is None:
                self.address = self.find() or ""
                if self.address:
                    self.client = nc.connect(
                        self.address,
                        GAME,
                        name=self.name,
                        conditions=self.conditions,
                        voice=self.voice,
                    )
                    self.client.start()
        except (nc.UsageError, OSError) as error:
            self.error = str(error)
        if self.client is None:
            return None
        if self.client.error is not None:
            self.error = str(self.client.error)
        return self.client if self.client.joined else None

    def abandon(self) -> None:
        """Nobody waits any more."""
        if self.client is not None:
            self.client.close()


def draw_attempt(screen: pygame.Surface, attempt: Attempt, now: float) -> None:
    """The steps of joining, the one being taken with a moving light."""
    scale, box = _plate(screen, 400, 60 + 34 * len(attempt.steps) + 30)

    def px(units: float) -> int:
        return round(units * scale)

    y = box.y + px(26)
    for number, step in enumerate(attempt.steps):
        tone: Colour = SOFT if number < attempt.step else WHITE if number == attempt.step else FAINT
        dot = (box.x + px(36), y + px(9))
        if number < attempt.step:
            pygame.draw.circle(screen, MINT, dot, px(5))
        elif number == attempt.step:
            pygame.draw.circle(screen, CYAN, dot, px(4 + 2 * abs((now * 1.6) % 2 - 1)))
        else:
            pygame.draw.circle(screen, FIELD, dot, px(5))
        write(screen, step, (box.x + px(58), y), px(BODY), tone)
        y += px(34)
    waited = now - attempt.started
    note = f"{waited:.0f} s      Esc cancels" if waited > 2 else "Esc cancels"
    write(screen, note, (box.centerx, box.bottom - px(34)), px(SMALL), FAINT, align=0.5)
    if attempt.address:
        below = (box.centerx, box.bottom + px(14))
        write(screen, attempt.address, below, px(SMALL), FAINT, align=0.5)


def draw_end(screen: pygame.Surface, reason: str) -> None:
    """The quiet screen after a game, with the reason why it ended."""
    lines_width = 380
    scale, box = _plate(screen, 460, 178)
    middle = box.centerx
    write(
        screen,
        "The game is over",
        (middle, box.y + 28 * scale),
        round(LARGE * scale),
        WHITE,
        bold=True,
        align=0.5,
    )
    y = box.y + 68 * scale
    for line in wrapped(reason, round(BODY * scale), round(lines_width * scale))[:3]:
        write(screen, line, (middle, y), round(BODY * scale), SOFT, align=0.5)
        y += 22 * scale
    hint = "Enter plays again      Esc goes to the start"
    at = (middle, box.bottom - 34 * scale)
    write(screen, hint, at, round(SMALL * scale), FAINT, align=0.5)


def _plate(screen: pygame.Surface, width: float, height: float) -> tuple[float, pygame.Rect]:
    wide, high = screen.get_size()
    scale = max(0.7, min(2.5, min(wide / VIEW_WIDTH, high / VIEW_HEIGHT)))
    box = pygame.Rect(0, 0, round(width * scale), round(height * scale))
    box.center = (wide // 2, high // 2)
    panel(screen, box)
    return scale, box
