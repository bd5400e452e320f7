"""The screen on which the game is played: one client, its view, its panels and its keys."""

import enum
import math
import time

import pygame

import netcode as nc
from demo_game.arena_map import PICK_REACH, MapLayout, draw_legend, draw_map, draw_wait
from demo_game.chatbox import ChatBox
from demo_game.game import (
    ROCK_RADII,
    SHIP_RADIUS,
    Blast,
    BlastKind,
    Chat,
    Downed,
    Pilot,
    Rock,
    RoundOver,
    Ship,
    Steer,
)
from demo_game.ghosts import draw_ghosts
from demo_game.graphs import NetworkHistory, draw_network
from demo_game.help import draw_help, draw_hint
from demo_game.hud import Badge, Hud
from demo_game.inquiry import FiguresPoll, Inquiry, pick
from demo_game.palette import AMBER, CORAL, GEMS, RED, VIOLET
from demo_game.sight import draw_sight
from demo_game.simulation import POINTS_CRYSTAL, RESPAWN_TICKS
from demo_game.spectator import Spectator, census
from demo_game.state_panel import draw_state
from demo_game.view import View
from demo_game.voice_hud import draw_marks, draw_own_voice, draw_speakers
from demo_game.voice_panel import Person, VoicePanel
from demo_game.voice_stats import draw_voice_stats, voice_lines
from demo_game.voices import VoiceChoices, Voices
from demo_game.why_panel import colour_of, draw_target, draw_why
from netcode.transports.conditioner import PRESETS

RESPAWN_SECONDS = RESPAWN_TICKS / 60
WEATHERS = tuple(PRESETS)
COLLECT_RANGE = 300.0
"""A crystal of the own livery that vanishes so near was collected by the own ship, in units. The
server tells of it when the display gets there; the ship has flown on by then."""


class Look(enum.Enum):
    """What F4 leads through."""

    PLAY = "as much as is played with"
    SIGHT = "the whole radius of view"
    MAP = "the whole arena, as a spectator sees it"


class ArenaScreen:
    """Plays on a joined client until it raises `netcode.Disconnected`.

    ``url`` is where the client has joined: a spectator joins there, too, while the map is open.
    ``choices`` says how the player wants to talk and to hear, and is changed by the settings.
    """

    def __init__(
        self,
        client: nc.Client,
        url: str,
        width: int,
        height: int,
        weather: str | None,
        choices: VoiceChoices,
    ) -> None:
        self.client = client
        self.voices = Voices(client.voice, choices)
        self.voice_panel: VoicePanel | None = None
        self._url = url
        self.view = View(width, height)
        self.hud = Hud()
        self.chat = ChatBox()
        self.network = NetworkHistory()
        self.weather = weather or "clean"
        self.show_help = False
        self.show_network = False
        self.show_why = False
        self.show_ghosts = False
        self.look = Look.PLAY
        self.spectator: Spectator | None = None
        self.inquiry = Inquiry()
        self._figures = FiguresPoll()
        self._pointer: tuple[int, int] | None = None
        self._fire_pressed = False
        self._now = time.monotonic()
        self.resize(width, height)
        client.on(Blast)(self._blast)
        client.on(Chat)(lambda message: self.chat.said(message, self._now))
        client.on(Downed)(lambda message: self.hud.downed(message, self._now))
        client.on(RoundOver)(lambda message: self.hud.round_over(message, self._now))
        client.on_leave(Ship)(self._ship_left)
        client.on_reconnecting(lambda: self._remark("the connection is lost; another is sought"))
        client.on_resumed(lambda: self._remark("back in the game: nothing is lost"))
        for kind in (Ship, Rock):
            client.on_enter(kind)(self.view.gone.discard)
            client.on_leave(kind)(self.view.gone.add)

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.view.resize(width, height)
        self.hud.resize(width, height)
        self.layout = MapLayout.of(width, height, self.hud.scale)

    def close(self) -> None:
        """Leave the arena, on both links."""
        self.show_voice_panel(False)
        if self.spectator is not None:
            self.spectator.close(wait=True)
            self.spectator = None
        self.client.close()

    # -- keys --------------------------------------------------------------------------------

    def handle(self, event: pygame.event.Event) -> bool:
        """Take an event. False if the player wants to leave."""
        if event.type == pygame.MOUSEMOTION:
            self._pointer = event.pos
        if self.chat.typing is not None and event.type == pygame.KEYDOWN:
            line = self.chat.key(event)
            if line:
                self._say(line)
            return True
        if self.voice_panel is not None and self.voice_panel.handle(event):
            return True
        if event.type != pygame.KEYDOWN:
            return True
        if event.key == pygame.K_ESCAPE:
            if self.voice_panel is not None:
                self.show_voice_panel(False)
            elif self.show_help:
                self.show_help = False
            elif self.look is not Look.PLAY:
                self.look_at(Look.PLAY)
            else:
                return False
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self.chat.typing = ""
        elif event.key == pygame.K_F1:
            self.show_help = not self.show_help
        elif event.key == pygame.K_F2:
            self.show_voice_panel(self.voice_panel is None)
        elif event.key == pygame.K_m:
            self.voices.toggle_microphone()
        elif event.key == pygame.K_F3:
            self.show_network = not self.show_network
        elif event.key == pygame.K_F4:
            looks = list(Look)
            self.look_at(looks[(looks.index(self.look) + 1) % len(looks)])
        elif event.key == pygame.K_F6:
            self.show_why = not self.show_why
        elif event.key == pygame.K_F5:
            self.set_weather(WEATHERS[(WEATHERS.index(self.weather) + 1) % len(WEATHERS)])
        elif event.key == pygame.K_F7:
            self.predict(not self.client.prediction)
        elif event.key == pygame.K_F8:
            self.interpolate(not self.client.interpolation)
        elif event.key == pygame.K_F9:
            self.show_the_ghosts(not self.show_ghosts)
        elif event.key == pygame.K_SPACE:
            self._fire_pressed = True
        return True

    def steer(self) -> Steer:
        """What the keys say now, to the ship and to the microphone. A shot is not lost if the key
        is up again already."""
        fire, self._fire_pressed = self._fire_pressed, False
        keys = pygame.key.get_pressed()
        self.voices.press(self.chat.typing is None and bool(keys[pygame.K_v]))
        if self.chat.typing is not None:
            return Steer()
        arrows = self.voice_panel is None  # else they are the panel's
        left = keys[pygame.K_a] or (arrows and keys[pygame.K_LEFT])
        right = keys[pygame.K_d] or (arrows and keys[pygame.K_RIGHT])
        return Steer(
            turn=int(right) - int(left),
            thrust=bool(keys[pygame.K_w] or (arrows and keys[pygame.K_UP])),
            brake=bool(keys[pygame.K_s] or (arrows and keys[pygame.K_DOWN])),
            fire=fire or bool(keys[pygame.K_SPACE]),
        )

    def show_voice_panel(self, on: bool) -> None:
        """Show the settings of voice, or no more."""
        if self.voice_panel is not None:
            self.voice_panel.close()
            self.voice_panel = None
        if on:
            voices = self.voices
            self.voice_panel = VoicePanel(voices.choices, voices.chat, voices.obey)

    def set_weather(self, weather: str) -> None:
        """Let this client's link behave as under this preset of the conditioner."""
        self.weather = weather
        self.client.conditions = None if weather == "clean" else weather
        self._remark(f"weather on this link, both ways: {weather}")

    def predict(self, on: bool) -> None:
        """Let the own ship answer at once, or when the server has."""
        self.client.prediction = on
        self._remark(
            "prediction on: your ship and shots answer at once"
            if on
            else "prediction off: your ship and shots wait for the server"
        )

    def interpolate(self, on: bool) -> None:
        """Let others move evenly, or jump from snapshot to snapshot."""
        self.client.interpolation = on
        self._remark(
            "interpolation on: all others move evenly, a moment ago"
            if on
            else "interpolation off: all others jump to each snapshot"
        )

    def show_the_ghosts(self, on: bool) -> None:
        """Show what the server has said last, beside what is displayed."""
        self.show_ghosts = on
        self._remark("ghosts: outlines are what the server has said last" if on else "no ghosts")

    def badges(self) -> list[Badge]:
        """What is not as usual, so that nobody forgets it."""
        found = []
        if self.voices.chat.recording:
            found.append(Badge("recording", RED))
        if self.voices.chat.muted:
            found.append(Badge("microphone muted", CORAL))
        if self.client.reconnecting:
            found.append(Badge("connection lost: coming back", CORAL))
        if self.weather != "clean":
            found.append(Badge(f"weather: {self.weather}", AMBER))
        if not self.client.prediction:
            found.append(Badge("prediction off", CORAL))
        if not self.client.interpolation:
            found.append(Badge("interpolation off", CORAL))
        if self.show_ghosts:
            found.append(Badge("ghosts", VIOLET))
        return found

    def look_at(self, look: Look) -> None:
        """Show so much of the arena. The map has a link of its own while it is open."""
        self.look = look
        self.view.look_far(look is Look.SIGHT)
        self.inquiry.ask(self.client, None, self._now)
        if look is Look.MAP and self.spectator is None:
            self.spectator = Spectator(self._url, self.client.name, self.client.player_id)
        elif look is not Look.MAP and self.spectator is not None:
            self.spectator.close(wait=False)
            self.spectator = None

    # -- a frame -----------------------------------------------------------------------------

    def update(self, steer: Steer, now: float, dt: float) -> None:
        """Play one frame. Raises `netcode.Disconnected` when the session is over."""
        self._now = now
        self.client.update(steer)
        own = self.client.own(Ship)
        if own is not None:
            self.hud.respawn_at = math.inf
        self.voices.update(self.client.world, now)
        tick = self.client.tick if self.client.prediction else None
        self.view.update(self.client.world, own, dt, tick)
        self.network.take(now, self.client.stats)
        if self.spectator is not None:
            self.spectator.update()
        if self.show_network:
            self._figures.ask(self.client, now)
        if self.show_why:
            self._inquire(own, now)

    def _inquire(self, own: Ship | None, now: float) -> None:
        """Ask about what is under the mouse; then about that until something else is; at first
        about the own ship."""
        watching = self.spectator if self.look is Look.MAP else None
        if watching is not None and not watching.ready:
            return
        world = self.client.world if watching is None else watching.world
        target = self.inquiry.entity
        if target is not None and not target.alive:
            target = None
        if self._pointer is not None:
            place, zoom = self._pointed_at(self._pointer)
            target = pick(world, *place, PICK_REACH / zoom) or target
        if target is None and own is not None:
            target = world.table(Ship).by_handle(own.handle)
        self.inquiry.ask(self.client if watching is None else watching.client, target, now)

    def _pointed_at(self, pointer: tuple[int, int]) -> tuple[tuple[float, float], float]:
        """The place in the arena under the mouse, and pixels per unit there."""
        if self.look is Look.MAP:
            return self.layout.arena(pointer), self.layout.zoom
        return self.view.camera.arena(pointer), self.view.camera.zoom

    def draw(self, screen: pygame.Surface) -> None:
        """Draw the frame."""
        client, now, scale = self.client, self._now, self.hud.scale
        world, own, me = client.world, client.own(Ship), client.player_id
        on_map = self.look is Look.MAP
        if on_map:
            self._draw_map(screen, world, own)
        else:
            self.view.draw(screen, world, own, now)
            if self.show_ghosts:
                draw_ghosts(screen, self.view.camera, world, client.authoritative, scale)
            draw_marks(screen, self.view.camera, world, self.voices.speaking, me)
            if self.look is Look.SIGHT:
                draw_sight(screen, self.view.camera, *self.view.place, scale)
        if self.show_why:
            self._draw_target(screen)
        camera = self.view.camera
        self.hud.draw(screen, world, me, own, camera, now, self.badges(), map_open=on_map)
        if self.voice_panel is None:  # which shows the same
            draw_own_voice(screen, scale, self.voices, now, self.hud.ship_top(screen))
        self.chat.draw(screen, scale, now)
        draw_hint(screen, scale)
        if self.show_network:
            stats = client.stats
            path = " · ".join(part for part in (stats.transport, stats.path) if part)
            box = draw_network(screen, scale, self.network, path, self.weather)
            draw_state(screen, scale, self._figures.latest, box)
        bottom = self._draw_voices(screen, world)
        if self.show_why:
            draw_why(screen, self.inquiry, self._distance(), bottom + round(10 * scale), scale)
        if self.voice_panel is not None:
            self.voice_panel.people = [
                Person(one.player, one.name, one.colour)
                for one in sorted(world[Pilot], key=lambda one: one.player)
                if one.player != me
            ]
            self.voice_panel.draw(screen, scale)
        if self.show_help:
            draw_help(screen, scale)

    def _draw_voices(self, screen: pygame.Surface, world: nc.World) -> int:
        """Below the score board, those who speak; with F3, how their voices arrive. Returns where
        that ends."""
        scale, top = self.hud.scale, self.hud.board_bottom
        below = top + round(10 * scale)
        if self.show_network:
            pilots = {one.player: (one.name, one.colour) for one in world[Pilot]}
            return draw_voice_stats(screen, scale, voice_lines(self.voices, pilots), below)
        if self.voices.speaking:
            return draw_speakers(screen, scale, self.voices.speaking, below)
        return top

    def _draw_map(self, screen: pygame.Surface, world: nc.World, own: Ship | None) -> None:
        scale, spectator = self.hud.scale, self.spectator
        self.view.starfield.draw(screen, self.view.camera)
        if spectator is None or not spectator.ready:
            draw_wait(screen, self.layout, spectator.error if spectator else "", scale)
            return
        everything = spectator.world
        draw_map(screen, self.layout, everything, world, own, self.view.place, scale)
        rates = self.client.stats.bytes_in, spectator.client.stats.bytes_in
        draw_legend(screen, census(everything, world), *rates, scale)

    def _draw_target(self, screen: pygame.Surface) -> None:
        target, why = self.inquiry.entity, self.inquiry.why
        if target is None or not target.alive:
            return
        on_map = self.look is Look.MAP
        draws_at = self.layout.screen if on_map else self.view.camera.screen
        zoom = self.layout.zoom if on_map else self.view.camera.zoom
        reach = ROCK_RADII[target.grade] if isinstance(target, Rock) else SHIP_RADIUS
        tone = colour_of(why.verdict if why is not None else "")
        draw_target(screen, draws_at(target.x, target.y), reach * zoom * 1.2 + 4, tone)

    def _distance(self) -> float | None:
        """From the own ship's place to what is asked about."""
        target = self.inquiry.entity
        if target is None or not target.alive:
            return None
        return math.dist((target.x, target.y), self.view.place)

    # -- what the network tells --------------------------------------------------------------

    def _blast(self, blast: Blast) -> None:
        if self.view.shots.have_shown(blast):
            return
        self.view.effects.blast(blast, self.view.camera)
        own = self.client.own(Ship)
        if blast.kind is not BlastKind.CRYSTAL or own is None or not blast.grade:
            return
        near = math.hypot(own.x - blast.x, own.y - blast.y) < COLLECT_RANGE
        if near and blast.colour == own.colour:
            points = f"+{POINTS_CRYSTAL * blast.grade}"
            self.view.effects.note(blast.x, blast.y - 18, points, GEMS[blast.grade])

    def _ship_left(self, ship: Ship) -> None:
        if ship.player == self.client.player_id:
            self.hud.respawn_at = self._now + RESPAWN_SECONDS

    def _say(self, line: str) -> None:
        try:
            self.client.send(Chat(text=line))
        except nc.SendQueueFull:
            self._remark("the link is too slow for that just now")

    def _remark(self, text: str) -> None:
        self.chat.remark(text, self._now)
