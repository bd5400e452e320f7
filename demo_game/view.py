"""Draws the arena: whatever a world holds, as the camera sees it."""

import math
import random
from weakref import WeakSet

import pygame

import netcode as nc
from demo_game import game
from demo_game.camera import Camera
from demo_game.effects import Effects
from demo_game.game import Blast, BlastKind, Bullet, Crystal, Pilot, Rock, Ship
from demo_game.palette import (
    AMBER,
    CORAL,
    GEMS,
    INK,
    LIVERIES,
    MINT,
    SMALL,
    WHITE,
    lettering,
    mix,
)
from demo_game.shots import OwnShots
from demo_game.sprites import Shapes, glow, ring
from demo_game.starfield import Starfield

BAR_WIDTH = 38
SMALLEST_ICON = 0.6
SMALLEST_LABEL = 0.75
"""Names stay readable however far the camera looks."""
HALF_THERE = 0.5
"""What fades has its name, flame and shield in this half of the time."""
LIGHT_STEPS = 4
"""In so many steps lights fade: each is a picture that is kept."""


class View:
    """The picture of the arena in a window of one size."""

    def __init__(self, width: int, height: int) -> None:
        self.camera = Camera()
        self.effects = Effects()
        self.shots = OwnShots()
        self.gone: WeakSet[nc.Entity] = WeakSet()
        """What has left the view and only fades away: whoever has a client keeps it up to date."""
        self.resize(width, height)
        self._flicker = random.Random(3)
        self._place: tuple[float, float] = (0.0, 0.0)

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.camera.resize(width, height)
        self._make_shapes()
        self.starfield = Starfield(width, height)

    @property
    def place(self) -> tuple[float, float]:
        """Where the own ship is, or was last."""
        return self._place

    def look_far(self, far: bool) -> None:
        """Show the whole radius of view, or as much as is played with."""
        if far != self.camera.far:
            self.camera.far = far
            self.camera.resize(self.camera.width, self.camera.height)
            self._make_shapes()

    def _make_shapes(self) -> None:
        zoom = self.camera.zoom
        self.shapes = Shapes(zoom)
        self.icons = self.shapes if zoom >= SMALLEST_ICON else Shapes(SMALLEST_ICON)
        """For ships, shots and crystals: what matters stays visible from afar."""

    def update(self, world: nc.World, own: Ship | None, dt: float, tick: int | None = None) -> None:
        """Let ``dt`` seconds pass for everything that moves on the screen only.

        ``tick`` is the client's, None where nothing is predicted; see `OwnShots.update`.
        """
        if own is not None:
            self._place = (own.x, own.y)
            self.camera.follow(own.x, own.y, own.vx, own.vy, dt)
        else:
            self.camera.rest(*self._place, dt)
        sight = self.shots.update(world, tick, self.gone)
        for shot in sight.fired:
            self.effects.muzzle(shot.x, shot.y, shot.colour)
        for shot in sight.struck:
            spark = Blast(kind=BlastKind.SPARK, x=shot.x, y=shot.y, colour=shot.colour)
            self.effects.blast(spark, self.camera)
        for ship in world[Ship]:
            if ship.thrusting:
                self.effects.exhaust(ship, dt)
        self.effects.update(dt)

    def draw(
        self,
        screen: pygame.Surface,
        world: nc.World,
        own: Ship | None,
        now: float,
        *,
        labels: bool = True,
    ) -> None:
        """Cover the whole screen. ``now`` is any running clock in seconds."""
        self.starfield.draw(screen, self.camera)
        self.starfield.draw_arena(screen, self.camera)
        self._draw_crystals(screen, world, now)
        self._draw_rocks(screen, world, now)
        self._draw_bullets(screen, world)
        for ship in world[Ship]:
            self._draw_ship(screen, ship, now)
        self.effects.draw(screen, self.camera)
        if not labels:
            return
        leader = _leader(world)
        for ship in world[Ship]:
            self._draw_label(screen, ship, is_own=ship is own, leads=ship.player == leader)

    def _draw_crystals(self, screen: pygame.Surface, world: nc.World, now: float) -> None:
        for crystal in world[Crystal]:
            if not self.camera.sees(crystal.x, crystal.y, 30):
                continue
            phase = now * 2.1 + crystal.handle * 1.7
            x, y = self.camera.screen(crystal.x, crystal.y + 2.0 * math.sin(phase))
            worth = crystal.worth
            strength = 0.35 + 0.1 * round(math.sin(phase * 1.3) * 2) / 2
            fade = crystal.fade
            self._light(screen, x, y, 20 + 4 * worth, GEMS[worth], strength, fade)
            _centred(screen, self.icons.gem(worth), x, y, fade=fade)

    def _draw_rocks(self, screen: pygame.Surface, world: nc.World, now: float) -> None:
        for rock in world[Rock]:
            radius = game.ROCK_RADII[rock.grade]
            if not self.camera.sees(rock.x, rock.y, radius * 1.3):
                continue
            number = rock.handle
            spin = (0.15 + 0.06 * (number % 7)) * (1 if number % 2 else -1) / rock.grade
            image = self.shapes.rock(rock.grade, number, now * spin + number)
            _centred(screen, image, *self.camera.screen(rock.x, rock.y), fade=rock.fade)

    def _draw_bullets(self, screen: pygame.Surface, world: nc.World) -> None:
        for bullet in world[Bullet]:
            if self.camera.sees(bullet.x, bullet.y, 30) and not self.shots.hides(bullet):
                image = self.icons.bullet(bullet.colour, math.atan2(bullet.vy, bullet.vx))
                _centred(screen, image, *self.camera.screen(bullet.x, bullet.y), add=True)

    def _draw_ship(self, screen: pygame.Surface, ship: Ship, now: float) -> None:
        if not self.camera.sees(ship.x, ship.y, 50):
            return
        x, y = self.camera.screen(ship.x, ship.y)
        heading, zoom, fade = ship.heading, self.icons.zoom, ship.fade
        if ship.thrusting and fade > HALF_THERE:
            back_x, back_y = math.cos(heading) * 11 * zoom, math.sin(heading) * 11 * zoom
            flame = self.icons.flame(self._flicker.randrange(4), heading)
            _centred(screen, flame, x - back_x, y - back_y, add=True)
            self._light(screen, x - back_x, y - back_y, 26, (255, 120, 50), 0.35)
        self._light(screen, x, y, 40, LIVERIES[ship.colour], 0.22, fade)
        _centred(screen, self.icons.ship(ship.colour, heading), x, y, fade=fade)
        if ship.shielded and fade > HALF_THERE:
            pulse = 0.55 + 0.1 * round(2 * math.sin(now * 7))
            paint = mix(LIVERIES[ship.colour], WHITE, 0.3)
            _centred(
                screen,
                ring(round(25 * zoom), max(2, round(3 * zoom)), paint, pulse),
                x,
                y,
                add=True,
            )

    def _draw_label(self, screen: pygame.Surface, ship: Ship, *, is_own: bool, leads: bool) -> None:
        if ship.fade < HALF_THERE or not self.camera.sees(ship.x, ship.y, 50):
            return
        x, y = self.camera.screen(ship.x, ship.y)
        zoom = max(SMALLEST_LABEL, self.camera.zoom)
        paint = LIVERIES[ship.colour]
        hull = ship.hull / game.MAX_HULL
        width, height = round(BAR_WIDTH * zoom), max(3, round(3 * zoom))
        top = y - 34 * max(0.6 * zoom, self.camera.zoom)
        if not is_own:
            name = lettering(ship.name, round(SMALL * zoom), mix(paint, WHITE, 0.45))
            shadow = lettering(ship.name, round(SMALL * zoom), INK)
            place = (round(x - name.get_width() / 2), round(top - 4 * zoom - name.get_height()))
            screen.blit(shadow, (place[0] + 1, place[1] + 1))
            screen.blit(name, place)
        if leads:
            self._draw_crown(screen, x - width / 2 - 9 * zoom, top + height / 2)
        if is_own and ship.hull == game.MAX_HULL:
            return
        box = pygame.Rect(round(x - width / 2), round(top), width, height)
        pygame.draw.rect(screen, INK, box.inflate(2, 2), border_radius=2)
        pygame.draw.rect(screen, mix(INK, WHITE, 0.2), box, border_radius=2)
        tone = MINT if hull > 0.6 else AMBER if hull > 0.3 else CORAL
        box.width = round(width * hull)
        pygame.draw.rect(screen, tone, box, border_radius=2)

    def _draw_crown(self, screen: pygame.Surface, x: float, y: float) -> None:
        s = 5.5 * max(SMALLEST_LABEL, self.camera.zoom)
        points = [(-1, 0.8), (-1, -0.7), (-0.45, 0.0), (0, -1), (0.45, 0.0), (1, -0.7), (1, 0.8)]
        placed = [(x + px * s, y + py * s) for px, py in points]
        pygame.draw.polygon(screen, AMBER, placed)
        pygame.draw.aalines(screen, AMBER, True, placed)

    def _light(
        self,
        screen: pygame.Surface,
        x: float,
        y: float,
        radius: float,
        colour: tuple[int, int, int],
        strength: float,
        fade: float = 1.0,
    ) -> None:
        shade = round(strength * round(fade * LIGHT_STEPS) / LIGHT_STEPS, 2)
        if shade > 0:
            light = glow(round(radius * self.icons.zoom), colour, shade)
            _centred(screen, light, x, y, add=True)


def _centred(
    screen: pygame.Surface,
    image: pygame.Surface,
    x: float,
    y: float,
    *,
    add: bool = False,
    fade: float = 1.0,
) -> None:
    """``fade`` makes an image with alpha fainter; light that is added has it in its strength."""
    width, height = image.get_size()
    place = (round(x - width / 2), round(y - height / 2))
    if fade < 1.0:
        image.set_alpha(round(255 * fade))
    screen.blit(image, place, None, pygame.BLEND_RGB_ADD if add else 0)
    if fade < 1.0:
        image.set_alpha(255)  # the image is kept, and drawn for others


def _leader(world: nc.World) -> int:
    """The player with the highest score, -1 while nobody has any."""
    best = max(world[Pilot], key=lambda pilot: pilot.score, default=None)
    return best.player if best is not None and best.score > 0 else -1
