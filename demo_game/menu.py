"""The start screen: a name, an address, and what to do with them."""

from collections.abc import Callable

import pygame

from demo_game.camera import VIEW_HEIGHT, VIEW_WIDTH
from demo_game.palette import BODY, CORAL, CYAN, FAINT, HUGE, SMALL, SOFT, WHITE
from demo_game.widgets import Button, TextField, Toggle, panel, wrapped, write

TITLE = "SHARDFIELD"
SUBTITLE = "a space arena for many, over WebRTC"
KEYS = "A D turn     W thrust     S brake     Space fire     V talk     Enter chat     F1 help"
NAME_LENGTH = 16


class Menu:
    """Two fields, a switch and four buttons; Tab walks through them, Enter presses.

    The callbacks read `name` and `address` themselves.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        alone: Callable[[], None],
        host: Callable[[], None],
        join: Callable[[], None],
        settings: Callable[[], None],
        host_note: str,
        hum: bool = False,
    ) -> None:
        self._name = TextField("Your name", name, NAME_LENGTH)
        self._address = TextField("Address of an arena", address, 200)
        self._alone = Button("Play with bots", alone, "a server and bots on this machine", True)
        self._host = Button("Host", host, host_note)
        self._join = Button("Join", join, "the address above")
        self._hum = Toggle("Bots hum", hum)
        self._settings = Button("Voice settings   F2", settings)
        self._controls: tuple[TextField | Button | Toggle, ...] = (
            self._name,
            self._alone,
            self._hum,
            self._settings,
            self._address,
            self._host,
            self._join,
        )
        self._active = 0
        self.error = ""
        """What went wrong the last time, to be read here."""
        self.scale = 1.0
        """Pixels per unit of the interface, as it was drawn last."""

    @property
    def name(self) -> str:
        """What is in the field for the name."""
        return self._name.text.strip()

    @property
    def address(self) -> str:
        """What is in the field for the address."""
        return self._address.text.strip()

    @property
    def hum(self) -> bool:
        """Whether the bots shall hum, so that voices can be tried alone."""
        return self._hum.on

    def handle(self, event: pygame.event.Event) -> None:
        """Take a key or a click."""
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            for number, control in enumerate(self._controls):
                if control.box.collidepoint(event.pos):
                    self._active = number
                    if not isinstance(control, TextField):
                        control.press()
        if event.type != pygame.KEYDOWN:
            return
        control = self._controls[self._active]
        if event.key in (pygame.K_TAB, pygame.K_DOWN, pygame.K_UP):
            back = event.key == pygame.K_UP or event.mod & pygame.KMOD_SHIFT
            self._active = (self._active + (-1 if back else 1)) % len(self._controls)
        elif event.key == pygame.K_F2:
            self._settings.press()
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            if control is self._name:
                self._alone.press()
            elif control is self._address:
                self._join.press()
            elif not isinstance(control, TextField):
                control.press()
        elif isinstance(control, TextField):
            control.key(event)

    def draw(self, screen: pygame.Surface, now: float) -> None:
        """Draw it in the middle of the screen, over whatever is there."""
        width, height = screen.get_size()
        scale = max(0.65, min(2.5, min(width / VIEW_WIDTH, height / VIEW_HEIGHT)))
        self.scale = scale

        def px(units: float) -> int:
            return round(units * scale)

        middle, top = width // 2, height // 2 - px(282)
        write(screen, TITLE, (middle, top), px(HUGE), WHITE, bold=True, align=0.5, spacing=px(9))
        write(screen, SUBTITLE, (middle, top + px(76)), px(BODY), SOFT, align=0.5)
        box = pygame.Rect(0, 0, px(420), px(386))
        box.midtop = (middle, top + px(122))
        panel(screen, box)
        left, wide = box.x + px(28), box.width - px(56)
        half = (wide - px(12)) // 2
        self._name.box = pygame.Rect(left, box.y + px(40), wide, px(40))
        self._alone.box = pygame.Rect(left, box.y + px(94), wide, px(58))
        self._hum.box = pygame.Rect(left, box.y + px(162), half, px(30))
        self._settings.box = pygame.Rect(left + half + px(12), box.y + px(162), half, px(30))
        y = box.y + px(220)
        pygame.draw.line(screen, (30, 42, 70), (left, y - px(8)), (left + wide, y - px(8)))
        self._address.box = pygame.Rect(left, y + px(28), wide, px(40))
        self._join.box = pygame.Rect(left + half + px(12), y + px(82), half, px(58))
        self._host.box = pygame.Rect(left, y + px(82), half, px(58))
        for number, control in enumerate(self._controls):
            if isinstance(control, TextField):
                control.draw(screen, scale, active=number == self._active, now=now)
            else:
                control.draw(screen, scale, active=number == self._active)
        place = (middle, box.bottom + px(20))
        if self.error:
            for line in wrapped(self.error, px(SMALL + 1), px(640)):
                write(screen, line, place, px(SMALL + 1), CORAL, align=0.5)
                place = (place[0], place[1] + px(19))
        else:
            write(screen, KEYS, place, px(SMALL + 1), FAINT, align=0.5)
        foot = (middle, height - px(26))
        write(screen, "netcode", foot, px(SMALL), CYAN, bold=True, align=0.5, spacing=px(1))
