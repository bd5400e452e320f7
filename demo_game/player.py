"""The window: start screen, connecting, playing, and the quiet end, in one loop."""

import contextlib
import getpass
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import pygame

import netcode as nc
from demo_game.arena_screen import ArenaScreen
from demo_game.attract import Attract
from demo_game.connecting import Attempt, draw_attempt, draw_end
from demo_game.game import Enter
from demo_game.local_game import LocalGame
from demo_game.menu import NAME_LENGTH, TITLE, Menu
from demo_game.quiet import hush_voice
from demo_game.voice_panel import VoicePanel
from demo_game.voices import Rehearsal, VoiceChoices

WIDTH, HEIGHT = 1280, 720
SMALLEST = (640, 400)
FRAME_RATE = 60
LONGEST_FRAME = 0.1
"""Seconds. After a longer pause what moves on the screen only goes on, rather than jumps."""
HOST_PORT = 8080
DEFAULT_ADDRESS = f"ws://localhost:{HOST_PORT}"


class Window:
    """Everything between opening and closing the window. Use it as a context manager."""

    def __init__(self, *, name: str, weather: str | None, bots: int, hum: bool) -> None:
        pygame.display.init()
        pygame.font.init()
        pygame.display.set_caption(TITLE.title())
        self.screen = pygame.display.set_mode((WIDTH, HEIGHT), pygame.RESIZABLE)
        pygame.key.set_repeat(350, 35)
        self._weather = weather
        self._bots = bots
        self._local: LocalGame | None = None
        self._hosting = False
        self._attempt: Attempt | None = None
        self._arena: ArenaScreen | None = None
        self._choices = VoiceChoices()
        self._settings: tuple[VoicePanel, Rehearsal] | None = None
        self._ended_because = ""
        self._again: tuple[Callable[[], str | None], str] = (lambda: self.menu.address, "")
        self._running = True
        self._clock = pygame.time.Clock()
        self._attract = Attract(WIDTH, HEIGHT)
        self.menu = Menu(
            name or _login_name(),
            DEFAULT_ADDRESS,
            alone=self.play_alone,
            host=self.play_host,
            join=lambda: self.play_at(self.menu.address),
            settings=self.show_settings,
            hum=hum,
            host_note=f"for others, on port {HOST_PORT}",
        )

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *error: object) -> None:
        self._leave()
        self._end_settings()
        self._end_local()
        pygame.display.quit()
        pygame.font.quit()

    # -- ways into a game --------------------------------------------------------------------

    def start_local(self) -> LocalGame:
        """Start server and bots, so that they are there when the player is ready."""
        local, hum = self._local, self.menu.hum
        if local is None or not local.host.running or self._hosting or local.hum != hum:
            self._end_local()
            self._local = LocalGame(bots=self._bots, hum=hum)
            self._local.invite_bots()
            return self._local
        return local

    def play_alone(self) -> None:
        """Join the server on this machine; it is started if need be."""
        self._begin(self.start_local().url_if_known, "Starting a server and bots")

    def play_host(self) -> None:
        """Open an arena for others, and join it."""
        if not self._hosting or self._local is None or not self._local.host.running:
            self._end_local()
            self._local = LocalGame(bots=0, port=HOST_PORT, address="0.0.0.0")
            self._hosting = True
        self._begin(self._local.url_if_known, f"Opening an arena on port {HOST_PORT}")

    def play_at(self, address: str) -> None:
        """Join an arena somewhere else."""
        self._begin(lambda: address, "Finding the arena")

    def show_settings(self) -> None:
        """Show the settings of voice over the start screen, and listen to the microphone."""
        rehearsal = Rehearsal(self._choices)
        self._settings = (VoicePanel(self._choices, rehearsal), rehearsal)

    def _end_settings(self) -> None:
        if self._settings is not None:
            for part in self._settings:
                part.close()
            self._settings = None

    def _begin(self, find: Callable[[], str | None], first_step: str) -> None:
        self._end_settings()
        self.menu.error = self._ended_because = ""
        self._again = (find, first_step)
        name = self.menu.name or "Pilot"
        self._attempt = Attempt(
            find, name, self._weather, first_step, time.monotonic(), self._choices.voice()
        )

    # -- the loop ----------------------------------------------------------------------------

    def run(self) -> None:
        """Until the window is closed."""
        last = time.monotonic()
        while self._running:
            now = time.monotonic()
            dt, last = min(LONGEST_FRAME, now - last), now
            for event in pygame.event.get():
                self._handle(event)
            self._update(now, dt)
            self._draw(now)
            pygame.display.flip()
            self._clock.tick(FRAME_RATE)

    def _handle(self, event: pygame.event.Event) -> None:
        if event.type == pygame.QUIT:
            self._running = False
        elif event.type == pygame.VIDEORESIZE:
            self._resize(max(SMALLEST[0], event.w), max(SMALLEST[1], event.h))
        elif self._arena is not None:
            if not self._arena.handle(event):
                self._leave()
        elif self._attempt is not None:
            if event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
                self._leave()
        elif self._ended_because:
            if event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
                self._ended_because = ""
            elif event.type == pygame.KEYDOWN and event.key == pygame.K_RETURN:
                self._begin(*self._again)
        elif self._settings is not None:
            closes = event.type == pygame.KEYDOWN and event.key in (pygame.K_ESCAPE, pygame.K_F2)
            if closes:
                self._end_settings()
            else:
                self._settings[0].handle(event)
        elif event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
            self._running = False
        else:
            self.menu.handle(event)

    def _update(self, now: float, dt: float) -> None:
        if self._arena is not None:
            try:
                self._arena.update(self._arena.steer(), now, dt)
            except nc.Disconnected as end:
                self._leave()
                self._ended_because = end.reason
            return
        self._attract.update(dt)
        attempt = self._attempt
        if attempt is None:
            return
        client = attempt.poll()
        if attempt.error:
            self._leave()
            self.menu.error = attempt.error
        elif client is not None:
            self._attempt = None
            width, height = self.screen.get_size()
            client.send(Enter())
            self._arena = ArenaScreen(
                client, attempt.address, width, height, self._weather, self._choices
            )
            if self._hosting:
                self._arena.chat.remark(f"others join at ws://<this machine>:{HOST_PORT}", now)

    def _draw(self, now: float) -> None:
        if self._arena is not None:
            self._arena.draw(self.screen)
            return
        self._attract.draw(self.screen)
        if self._attempt is not None:
            draw_attempt(self.screen, self._attempt, now)
        elif self._ended_because:
            draw_end(self.screen, self._ended_because)
        else:
            self.menu.draw(self.screen, now)
            if self._settings is not None:
                self._settings[0].draw(self.screen, self.menu.scale)

    def _resize(self, width: int, height: int) -> None:
        self.screen = pygame.display.set_mode((width, height), pygame.RESIZABLE)
        self._attract.resize(width, height)
        if self._arena is not None:
            self._arena.resize(width, height)

    def _leave(self) -> None:
        """Out of the arena, or out of trying to get in."""
        if self._attempt is not None:
            self._attempt.abandon()
            self._attempt = None
        if self._arena is not None:
            self._arena.close()
            self._arena = None

    def _end_local(self) -> None:
        if self._local is not None:
            self._local.end()
            self._local = None
        self._hosting = False


def _login_name() -> str:
    with contextlib.suppress(OSError, KeyError, ImportError):
        return getpass.getuser()[:NAME_LENGTH].capitalize()
    return "Pilot"


def _raise_exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main(*, url: str | None, name: str, weather: str | None, bots: int, hum: bool) -> int:
    """The window: with a ``url`` it joins at once, else it begins at the start screen."""
    signal.signal(signal.SIGTERM, _raise_exit)
    hush_voice()
    try:
        with Window(name=name, weather=weather, bots=bots, hum=hum) as window:
            if url is None:
                window.start_local()
            else:
                window.play_at(url)
            window.run()
    except KeyboardInterrupt:
        return 0
    return 0
