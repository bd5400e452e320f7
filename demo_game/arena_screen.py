"""The screen on which the game is played: one client, its view, its panels and its keys."""

import math
import time

import pygame

import netcode as nc
from demo_game.chatbox import ChatBox
from demo_game.game import Blast, BlastKind, Chat, Downed, RoundOver, Ship, Steer
from demo_game.graphs import NetworkHistory, draw_network
from demo_game.help import draw_help, draw_hint
from demo_game.hud import Hud
from demo_game.palette import GEMS
from demo_game.simulation import POINTS_CRYSTAL, RESPAWN_TICKS
from demo_game.view import View
from netcode.transports.conditioner import PRESETS

RESPAWN_SECONDS = RESPAWN_TICKS / 60
WEATHERS = tuple(PRESETS)
COLLECT_RANGE = 80.0
"""A crystal that vanishes so near to the own ship was collected by it, in units."""


class ArenaScreen:
    """Plays on a joined client until it raises `netcode.Disconnected`."""

    def __init__(self, client: nc.Client, width: int, height: int, weather: str | None) -> None:
        self.client = client
        self.view = View(width, height)
        self.hud = Hud()
        self.chat = ChatBox()
        self.network = NetworkHistory()
        self.weather = weather or "clean"
        self.show_help = False
        self.show_network = False
        self._fire_pressed = False
        self._now = time.monotonic()
        self.resize(width, height)
        client.on(Blast)(self._blast)
        client.on(Chat)(lambda message: self.chat.said(message, self._now))
        client.on(Downed)(lambda message: self.hud.downed(message, self._now))
        client.on(RoundOver)(lambda message: self.hud.round_over(message, self._now))
        client.on_leave(Ship)(self._ship_left)

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.view.resize(width, height)
        self.hud.resize(width, height)

    # -- keys --------------------------------------------------------------------------------

    def handle(self, event: pygame.event.Event) -> bool:
        """Take an event. False if the player wants to leave."""
        if event.type != pygame.KEYDOWN:
            return True
        if self.chat.typing is not None:
            line = self.chat.key(event)
            if line:
                self._say(line)
            return True
        if event.key == pygame.K_ESCAPE:
            if not self.show_help:
                return False
            self.show_help = False
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self.chat.typing = ""
        elif event.key == pygame.K_F1:
            self.show_help = not self.show_help
        elif event.key == pygame.K_F3:
            self.show_network = not self.show_network
        elif event.key == pygame.K_F5:
            self.set_weather(WEATHERS[(WEATHERS.index(self.weather) + 1) % len(WEATHERS)])
        elif event.key == pygame.K_SPACE:
            self._fire_pressed = True
        return True

    def steer(self) -> Steer:
        """What the keys say now. A shot is not lost if the key is up again already."""
        fire, self._fire_pressed = self._fire_pressed, False
        if self.chat.typing is not None:
            return Steer()
        keys = pygame.key.get_pressed()
        left = keys[pygame.K_a] or keys[pygame.K_LEFT]
        right = keys[pygame.K_d] or keys[pygame.K_RIGHT]
        return Steer(
            turn=int(right) - int(left),
            thrust=bool(keys[pygame.K_w] or keys[pygame.K_UP]),
            brake=bool(keys[pygame.K_s] or keys[pygame.K_DOWN]),
            fire=fire or bool(keys[pygame.K_SPACE]),
        )

    def set_weather(self, weather: str) -> None:
        """Let this client's link behave as under this preset of the conditioner."""
        self.weather = weather
        self.client.conditions = None if weather == "clean" else weather
        self.chat.remark(f"weather on this link, both ways: {weather}", self._now)

    # -- a frame -----------------------------------------------------------------------------

    def update(self, steer: Steer, now: float, dt: float) -> None:
        """Play one frame. Raises `netcode.Disconnected` when the session is over."""
        self._now = now
        self.client.update(steer)
        own = self.client.own(Ship)
        if own is not None:
            self.hud.respawn_at = math.inf
        self.view.update(self.client.world, own, dt)
        self.network.take(now, self.client.stats)

    def draw(self, screen: pygame.Surface) -> None:
        """Draw the frame."""
        client, now, scale = self.client, self._now, self.hud.scale
        world, own, me = client.world, client.own(Ship), client.player_id
        self.view.draw(screen, world, own, now)
        self.hud.draw(screen, world, me, own, self.view.camera, now, self.weather)
        self.chat.draw(screen, scale, now)
        draw_hint(screen, scale)
        if self.show_network:
            stats = client.stats
            path = " · ".join(part for part in (stats.transport, stats.path) if part)
            draw_network(screen, scale, self.network, path, self.weather)
        if self.show_help:
            draw_help(screen, scale)

    # -- what the network tells --------------------------------------------------------------

    def _blast(self, blast: Blast) -> None:
        self.view.effects.blast(blast, self.view.camera)
        own = self.client.own(Ship)
        if blast.kind is not BlastKind.CRYSTAL or own is None or not blast.grade:
            return
        if math.hypot(own.x - blast.x, own.y - blast.y) < COLLECT_RANGE:
            points = f"+{POINTS_CRYSTAL * blast.grade}"
            self.view.effects.note(blast.x, blast.y - 18, points, GEMS[blast.grade])

    def _ship_left(self, ship: Ship) -> None:
        if ship.player == self.client.player_id:
            self.hud.respawn_at = self._now + RESPAWN_SECONDS

    def _say(self, line: str) -> None:
        try:
            self.client.send(Chat(text=line))
        except nc.SendQueueFull:
            self.chat.remark("the link is too slow for that just now", self._now)
