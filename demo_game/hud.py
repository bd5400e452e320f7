"""What is drawn over the arena: scores, hull and ammunition, minimap, clock and news."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pygame

import netcode as nc
from demo_game import game
from demo_game.camera import VIEW_HEIGHT, VIEW_WIDTH, Camera
from demo_game.game import ARENA, Crystal, Downed, Pilot, Rock, Round, RoundOver, Ship
from demo_game.palette import (
    AMBER,
    BODY,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    GEMS,
    HAIRLINE,
    INK,
    LARGE,
    LIVERIES,
    MINT,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    lettering,
    mix,
)
from demo_game.widgets import panel, shortened, write

MARGIN = 14
BOARD_LINES = 8
NEWS_SECONDS = 6.0
BANNER_SECONDS = 7.0
MAP_SIDE = 168
SHIP_HEIGHT = 52


@dataclass(slots=True)
class Standing:
    """One line of the score board."""

    place: int
    pilot: Pilot


@dataclass(frozen=True, slots=True)
class Badge:
    """Says that something is not as usual."""

    text: str
    colour: Colour


def standings(world: nc.World, me: int, lines: int) -> list[Standing]:
    """The best pilots, at most ``lines`` of them; ``me`` is always among them."""
    pilots = sorted(world[Pilot], key=lambda pilot: (-pilot.score, pilot.name))
    ranked = [Standing(place, pilot) for place, pilot in enumerate(pilots, start=1)]
    shown = ranked[:lines]
    for own in ranked[lines:]:
        if own.pilot.player == me:
            shown[-1] = own
    return shown


class Hud:
    """All panels over the arena. Times are seconds of any running clock."""

    def __init__(self) -> None:
        self.scale = 1.0
        self._news: list[tuple[float, Downed]] = []
        self._banner: tuple[float, RoundOver] | None = None
        self.board_bottom = 0
        """Where the score board ends, in pixels; it grows with the pilots."""
        self.respawn_at = math.inf
        """When the next ship comes; the clock's infinity while there is one."""

    def resize(self, width: int, height: int) -> None:
        """The window has this many pixels now."""
        self.scale = max(0.75, min(2.5, min(width / VIEW_WIDTH, height / VIEW_HEIGHT)))

    def ship_top(self, screen: pygame.Surface) -> int:
        """Where the gauges of hull and ammunition begin, in pixels from the top."""
        return screen.get_height() - self._px(MARGIN + 22 + SHIP_HEIGHT)

    def downed(self, news: Downed, now: float) -> None:
        """Show who was destroyed, for a while."""
        self._news = [*self._news[-4:], (now, news)]

    def round_over(self, result: RoundOver, now: float) -> None:
        """Show who has won, for a while."""
        self._banner = (now, result)

    def draw(
        self,
        screen: pygame.Surface,
        world: nc.World,
        me: int,
        own: Ship | None,
        camera: Camera,
        now: float,
        badges: Sequence[Badge] = (),
        *,
        map_open: bool = False,
    ) -> None:
        """Draw all panels, and below the clock a badge for everything that is not as usual.

        With ``map_open`` those that the map of the whole arena replaces are left out.
        """
        self._draw_board(screen, world, me)
        if not map_open:
            self._draw_map(screen, world, me, camera)
        self._draw_clock(screen, world)
        bottom = self._draw_badges(screen, badges)
        self._draw_news(screen, now, bottom)
        if own is None:
            self._draw_wreck(screen, now)
        elif not map_open:
            self._draw_ship(screen, own)
        self._draw_banner(screen, now)

    def _px(self, units: float) -> int:
        return round(units * self.scale)

    def _draw_board(self, screen: pygame.Surface, world: nc.World, me: int) -> None:
        px = self._px
        lines = standings(world, me, BOARD_LINES)
        if not lines:
            return
        row = px(20)
        box = pygame.Rect(px(MARGIN), px(MARGIN), px(262), px(34) + row * len(lines))
        panel(screen, box)
        self.board_bottom = box.bottom
        tiny = px(SMALL - 2)
        top = box.y + px(9)
        write(screen, "PILOTS", (box.x + px(12), top), tiny, FAINT, bold=True, spacing=px(1))
        for right, title in ((172, "KILLS"), (216, "SCORE"), (252, "MS")):
            write(screen, title, (box.x + px(right), top), tiny, FAINT, bold=True, align=1)
        for number, line in enumerate(lines):
            pilot, y = line.pilot, box.y + px(28) + number * row
            if pilot.player == me:
                strip = pygame.Rect(box.x + 1, y - px(1), box.width - 2, row)
                pygame.draw.rect(screen, mix(FIELD, CYAN, 0.16), strip)
            tone = (WHITE if pilot.player == me else SOFT) if pilot.flying else FAINT
            size = px(SMALL + 1)
            write(screen, str(line.place), (box.x + px(21), y), size, FAINT, align=1)
            livery = LIVERIES[pilot.colour]
            chip = pygame.Rect(box.x + px(28), y + px(5), px(8), px(8))
            pygame.draw.rect(
                screen, livery if pilot.flying else mix(livery, INK, 0.6), chip, border_radius=px(2)
            )
            name = shortened(pilot.name or "unnamed", size, px(92))
            write(screen, name, (box.x + px(43), y), size, tone)
            for right, value, shade in (
                (172, str(pilot.kills), tone),
                (216, f"{pilot.score:,}", AMBER if line.place == 1 and pilot.score else tone),
                (252, str(pilot.ping) if pilot.ping else "–", FAINT),
            ):
                write(screen, value, (box.x + px(right), y), size, shade, align=1)

    def _draw_map(self, screen: pygame.Surface, world: nc.World, me: int, camera: Camera) -> None:
        px = self._px
        side = px(MAP_SIDE)
        box = pygame.Rect(screen.get_width() - side - px(MARGIN), px(MARGIN), side, side)
        panel(screen, box)
        inner = box.inflate(-px(12), -px(12))

        def place(x: float, y: float) -> tuple[int, int]:
            return (
                round(inner.x + (x + ARENA) / (2 * ARENA) * inner.width),
                round(inner.y + (y + ARENA) / (2 * ARENA) * inner.height),
            )

        for share in (0.25, 0.5, 0.75):
            x, y = inner.x + inner.width * share, inner.y + inner.height * share
            pygame.draw.line(screen, FIELD, (x, inner.y), (x, inner.bottom))
            pygame.draw.line(screen, FIELD, (inner.x, y), (inner.right, y))
        seen = pygame.Rect(0, 0, 0, 0)
        seen.width = round(camera.width / camera.zoom / (2 * ARENA) * inner.width)
        seen.height = round(camera.height / camera.zoom / (2 * ARENA) * inner.height)
        seen.center = place(camera.x, camera.y)
        pygame.draw.rect(screen, HAIRLINE, seen.clip(inner), width=1)
        for rock in world[Rock]:
            pygame.draw.circle(screen, FAINT, place(rock.x, rock.y), max(1, px(rock.grade * 0.7)))
        for crystal in world[Crystal]:
            screen.set_at(place(crystal.x, crystal.y), GEMS[crystal.worth])
        for pilot in world[Pilot]:
            if not pilot.flying:
                continue
            spot = place(
                pilot.radar_x / 255 * 2 * ARENA - ARENA, pilot.radar_y / 255 * 2 * ARENA - ARENA
            )
            if pilot.player == me:
                pygame.draw.circle(screen, WHITE, spot, px(4), width=1)
            pygame.draw.circle(screen, LIVERIES[pilot.colour], spot, px(2.4))

    def _draw_clock(self, screen: pygame.Surface, world: nc.World) -> None:
        px = self._px
        clock = next(iter(world[Round]), None)
        if clock is None:
            return
        middle = screen.get_width() / 2
        text = f"{clock.seconds // 60}:{clock.seconds % 60:02d}"
        tone: Colour = CORAL if clock.seconds <= 15 else WHITE
        write(screen, text, (middle, px(MARGIN)), px(LARGE), tone, bold=True, align=0.5)

    def _draw_badges(self, screen: pygame.Surface, badges: Sequence[Badge]) -> int:
        """In as many rows as fit between score board and minimap; returns where they end."""
        px = self._px
        room = screen.get_width() - 2 * px(262 + 2 * MARGIN)
        rows: list[list[pygame.Surface]] = [[]]
        for badge in badges:
            plate = self._badge(badge)
            if rows[-1] and _width(rows[-1], px(6)) + plate.get_width() > room:
                rows.append([])
            rows[-1].append(plate)
        y = px(MARGIN + 29)
        for row in filter(None, rows):
            x = (screen.get_width() - _width(row, px(6))) // 2 + px(3)
            for plate in row:
                screen.blit(plate, (x, y))
                x += plate.get_width() + px(6)
            y += px(26)
        return y

    def _badge(self, badge: Badge) -> pygame.Surface:
        px = self._px
        label = lettering(badge.text, px(SMALL), badge.colour)
        box = pygame.Rect(0, 0, label.get_width() + px(30), px(22))
        plate = pygame.Surface(box.size, pygame.SRCALPHA)
        panel(plate, box)
        pygame.draw.circle(plate, badge.colour, (px(11), box.centery), px(4))
        plate.blit(label, label.get_rect(midleft=(px(20), box.centery)))
        return plate

    def _draw_news(self, screen: pygame.Surface, now: float, top: int) -> None:
        px = self._px
        self._news = [(when, item) for when, item in self._news if now - when < NEWS_SECONDS]
        y = max(px(MARGIN + 64), top + px(6))
        for when, item in self._news:
            parts: list[tuple[str, Colour]] = [(item.victim, LIVERIES[item.victim_colour])]
            if item.by:
                parts = [(item.by, LIVERIES[item.by_colour]), (" destroyed ", SOFT), *parts]
            else:
                parts.append((" hit a rock", SOFT))
            images = [lettering(text, px(SMALL + 1), colour) for text, colour in parts]
            x = (screen.get_width() - sum(image.get_width() for image in images)) / 2
            fade = round(255 * min(1.0, (NEWS_SECONDS - (now - when)) / 1.5))
            for image in images:
                image.set_alpha(fade)
                screen.blit(image, (x, y))
                image.set_alpha(255)
                x += image.get_width()
            y += px(20)

    def _draw_ship(self, screen: pygame.Surface, own: Ship) -> None:
        px = self._px
        box = pygame.Rect(0, 0, px(316), px(SHIP_HEIGHT))
        box.midbottom = (screen.get_width() // 2, screen.get_height() - px(MARGIN + 22))
        panel(screen, box)
        hull = own.hull / game.MAX_HULL
        tone = MINT if hull > 0.6 else AMBER if hull > 0.3 else CORAL
        self._draw_gauge(screen, box.x + px(14), box.y, "HULL", own.hull, hull, tone)
        ammo = own.ammo / game.MAX_AMMO
        shade = CYAN if own.ammo > 5 else CORAL
        self._draw_gauge(screen, box.x + px(165), box.y, "AMMO", own.ammo, ammo, shade)

    def _draw_gauge(
        self,
        screen: pygame.Surface,
        x: int,
        y: int,
        title: str,
        value: int,
        share: float,
        colour: Colour,
    ) -> None:
        px = self._px
        write(screen, title, (x, y + px(12)), px(SMALL - 2), FAINT, bold=True, spacing=px(1))
        write(screen, str(value), (x + px(137), y + px(8)), px(BODY), WHITE, bold=True, align=1)
        bar = pygame.Rect(x, y + px(32), px(137), px(7))
        pygame.draw.rect(screen, FIELD, bar, border_radius=px(3))
        bar.width = round(bar.width * min(1.0, share))
        if bar.width:
            pygame.draw.rect(screen, colour, bar, border_radius=px(3))

    def _draw_wreck(self, screen: pygame.Surface, now: float) -> None:
        if not math.isfinite(self.respawn_at):
            return
        px = self._px
        middle, y = screen.get_width() / 2, screen.get_height() * 0.36
        write(screen, "DESTROYED", (middle, y), px(34), CORAL, bold=True, align=0.5, spacing=px(4))
        left = max(0.0, self.respawn_at - now)
        text = f"A new ship in {left:.1f} s"
        write(screen, text, (middle, y + px(48)), px(BODY), SOFT, align=0.5)

    def _draw_banner(self, screen: pygame.Surface, now: float) -> None:
        if self._banner is None or now - self._banner[0] > BANNER_SECONDS:
            return
        px, result = self._px, self._banner[1]
        middle, y = screen.get_width() / 2, screen.get_height() * 0.2
        paint = LIVERIES[result.colour]
        write(screen, "ROUND OVER", (middle, y), px(BODY), FAINT, bold=True, align=0.5, spacing=3)
        text = f"{result.winner} wins with {result.score:,}"
        write(screen, text, (middle, y + px(24)), px(30), paint, bold=True, align=0.5)


def _width(row: Sequence[pygame.Surface], gap: int) -> int:
    """Of badges in a row, with a gap after each."""
    return sum(plate.get_width() + gap for plate in row)
