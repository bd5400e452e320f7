"""The settings of voice: devices, levels, and how loud each pilot is. F2 shows it, in the menu and
in the arena; keys and mouse do the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pygame

from demo_game.palette import (
    BODY,
    CORAL,
    CYAN,
    FAINT,
    FIELD,
    HAIRLINE,
    LIVERIES,
    MINT,
    SMALL,
    SOFT,
    WHITE,
    Colour,
    mix,
)
from demo_game.voice_hud import draw_microphone
from demo_game.voices import DeviceWatch, Ends, VoiceChoices, share_of
from demo_game.widgets import CORNER, level_bar, panel, shortened, wrapped, write
from netcode.voice.devices import DEFAULT, Device

WIDTH, HEAD, ROW, FOOT, METER = 500, 56, 34, 62, 28
PILOTS_HEAD = 34
MOST_PILOTS = 6
"""Shown at once; the list follows the one that is chosen."""
MOST_GAIN, MOST_LOUDNESS, MOST_VOLUME = 4.0, 2.0, 2.0
STEP = 0.1
MODES: dict[str, str] = {"push": "while V is held", "open": "whenever I speak"}
KEYS = "↑ ↓ choose     ← → change     Enter mutes a pilot     F2 closes"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose volume can be set."""

    player: int
    name: str
    colour: int


@dataclass(slots=True)
class Row:
    """One line of the panel. ``change`` takes -1 or 1; ``slide`` a share of the slider."""

    title: str
    value: str
    change: Callable[[int], None]
    share: float | None = None
    slide: Callable[[float], None] | None = None
    toggle: Callable[[], None] | None = None
    person: Person | None = None
    muted: bool = False


class VoicePanel:
    """Sets ``ends`` at once and remembers it in ``choices``. `close` it when it is shown no more.

    ``obey(player, name)`` is called when a pilot's volume has changed.
    """

    def __init__(
        self,
        choices: VoiceChoices,
        ends: Ends,
        obey: Callable[[int, str], None] = lambda player, name: None,
    ) -> None:
        self.choices = choices
        self.people: Sequence[Person] = ()
        """Whose volumes are shown; to be kept up to date."""
        self.chosen = 0
        self._ends = ends
        self._obey = obey
        self._watch = DeviceWatch()
        self._boxes: dict[int, pygame.Rect] = {}
        """Where the values of the rows that are shown stand, for the mouse."""
        self._dragged: int | None = None

    def close(self) -> None:
        """Look for devices no more."""
        self._watch.close()

    # -- what there is to set ----------------------------------------------------------------

    def rows(self) -> list[Row]:
        """All lines, as they are now."""
        choices, found = self.choices, self._watch.latest
        return [
            Row(
                "Microphone",
                choices.microphone.name,
                lambda by: self._microphone(_next(found.microphones, choices.microphone, by)),
            ),
            self._slider("Gain", choices.gain, MOST_GAIN, self._set_gain),
            Row("I am heard", MODES[choices.mode], lambda by: self._set_mode()),
            Row(
                "Speaker",
                choices.speaker.name,
                lambda by: self._speaker(_next(found.speakers, choices.speaker, by)),
            ),
            self._slider("Volume of all", choices.loudness, MOST_LOUDNESS, self._set_loudness),
            *(self._pilot(person) for person in self.people),
        ]

    def _pilot(self, person: Person) -> Row:
        def set_volume(volume: float) -> None:
            self.choices.volumes[person.name] = volume
            self._obey(person.player, person.name)

        def mute() -> None:
            self.choices.muted ^= {person.name}
            self._obey(person.player, person.name)

        volume = self.choices.volumes.get(person.name, 1.0)
        row = self._slider(person.name, volume, MOST_VOLUME, set_volume)
        row.person, row.toggle = person, mute
        row.muted = person.name in self.choices.muted
        return row

    def _slider(
        self, title: str, value: float, most: float, set_to: Callable[[float], None]
    ) -> Row:
        return Row(
            title,
            f"{value:.0%}",
            lambda by: set_to(round(min(most, max(0.0, value + by * STEP)), 2)),
            share=value / most,
            slide=lambda share: set_to(round(share * most / STEP * 2) * STEP / 2),
        )

    def _microphone(self, device: Device) -> None:
        if device != self.choices.microphone:
            self.choices.microphone = device
            self._ends.use_microphone(device.id or None)

    def _speaker(self, device: Device) -> None:
        if device != self.choices.speaker:
            self.choices.speaker = device
            self._ends.use_speaker(device.id or None)

    def _set_gain(self, gain: float) -> None:
        self.choices.gain = self._ends.gain = gain

    def _set_loudness(self, loudness: float) -> None:
        self.choices.loudness = self._ends.loudness = loudness

    def _set_mode(self) -> None:
        self.choices.mode = "open" if self.choices.mode == "push" else "push"
        self._ends.mode = self.choices.mode

    # -- keys and mouse ----------------------------------------------------------------------

    def handle(self, event: pygame.event.Event) -> bool:
        """Take an event. True if it was for this panel, and for nothing else."""
        rows = self.rows()
        self.chosen = min(self.chosen, len(rows) - 1)
        if event.type == pygame.KEYDOWN:
            return self._key(event.key, rows)
        if event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            for number, box in self._boxes.items():
                if number < len(rows) and box.collidepoint(event.pos):
                    self.chosen = number
                    self._click(rows[number], box, event.pos)
                    return True
        elif event.type == pygame.MOUSEBUTTONUP:
            self._dragged = None
        elif event.type == pygame.MOUSEMOTION and self._dragged is not None:
            if self._dragged in self._boxes and self._dragged < len(rows):
                self._slide(rows[self._dragged], self._boxes[self._dragged], event.pos)
            return True
        return False

    def _key(self, code: int, rows: list[Row]) -> bool:
        row = rows[self.chosen]
        if code in (pygame.K_UP, pygame.K_DOWN):
            self.chosen = (self.chosen + (1 if code == pygame.K_DOWN else -1)) % len(rows)
        elif code in (pygame.K_LEFT, pygame.K_RIGHT):
            row.change(1 if code == pygame.K_RIGHT else -1)
        elif code in (pygame.K_RETURN, pygame.K_KP_ENTER):
            if row.toggle is not None:
                row.toggle()
        else:
            return False
        return True

    def _click(self, row: Row, box: pygame.Rect, place: tuple[int, int]) -> None:
        if row.toggle is not None and place[0] > box.right - box.height:
            row.toggle()
        elif row.slide is not None:
            self._dragged = self.chosen
            self._slide(row, box, place)
        else:
            row.change(1 if place[0] > box.centerx else -1)

    def _slide(self, row: Row, box: pygame.Rect, place: tuple[int, int]) -> None:
        track = _track(box)
        if row.slide is not None:
            row.slide(min(1.0, max(0.0, (place[0] - track.x) / track.width)))

    # -- drawing -----------------------------------------------------------------------------

    def draw(self, screen: pygame.Surface, scale: float) -> pygame.Rect:
        """Draw it in the middle, smaller where the window is low. Returns where it is."""
        rows = self.rows()
        self.chosen = min(self.chosen, len(rows) - 1)
        ends = len(rows) - len(self.people)
        first = max(0, min(self.chosen - ends - MOST_PILOTS + 1, len(self.people) - MOST_PILOTS))
        pilots = range(ends + first, min(len(rows), ends + first + MOST_PILOTS))
        units = HEAD + METER + ROW * (ends + len(pilots)) + FOOT
        units += PILOTS_HEAD if pilots else 0
        scale = min(scale, (screen.get_height() - 12) / units)

        def px(value: float) -> int:
            return round(value * scale)

        box = pygame.Rect(0, 0, px(WIDTH), px(units))
        box.center = (screen.get_width() // 2, screen.get_height() // 2)
        panel(screen, box)
        panel(screen, box)  # twice: what moves behind it shall not be read through it
        left = box.x + px(28)
        write(screen, "VOICE", (left, box.y + px(22)), px(BODY), CYAN, bold=True)
        self._boxes = {}
        y = box.y + px(HEAD)
        for number in range(ends):
            self._draw_row(screen, rows[number], number, box, y, scale)
            y += px(ROW)
            if number == 0:
                self._draw_meter(screen, box, y, scale)
                y += px(METER)
        if pilots:
            y += px(PILOTS_HEAD - 22)
            title = "PILOTS" if len(pilots) == len(self.people) else f"PILOTS ({len(self.people)})"
            write(screen, title, (left, y), px(SMALL - 2), FAINT, bold=True, spacing=px(1))
            y += px(22)
        for number in pilots:
            self._draw_row(screen, rows[number], number, box, y, scale)
            y += px(ROW)
        self._draw_foot(screen, box, scale)
        return box

    def _draw_row(
        self,
        screen: pygame.Surface,
        row: Row,
        number: int,
        box: pygame.Rect,
        y: int,
        scale: float,
    ) -> None:
        def px(units: float) -> int:
            return round(units * scale)

        active, size = number == self.chosen, px(SMALL + 1)
        if active:
            strip = pygame.Rect(box.x + px(14), y, box.width - px(28), px(ROW - 2))
            pygame.draw.rect(screen, mix(FIELD, CYAN, 0.14), strip, border_radius=CORNER - 2)
        x = box.x + px(28)
        tone: Colour = WHITE if active else SOFT
        if row.person is not None:
            chip = pygame.Rect(x, y + px(12), px(9), px(9))
            pygame.draw.rect(screen, LIVERIES[row.person.colour], chip, border_radius=px(2))
            x += px(18)
        write(screen, shortened(row.title, size, px(112)), (x, y + px(7)), size, tone)
        value = pygame.Rect(box.x + px(166), y, box.width - px(194), px(ROW - 2))
        self._boxes[number] = value
        if row.share is None:
            self._draw_choice(screen, row, value, active, scale)
            return
        track = _track(value)
        paint = FAINT if row.muted else CYAN
        pygame.draw.rect(screen, FIELD, track, border_radius=track.height // 2)
        filled = track.copy()
        filled.width = round(track.width * min(1.0, row.share))
        pygame.draw.rect(screen, mix(FIELD, paint, 0.8), filled, border_radius=track.height // 2)
        knob = (track.x + filled.width, track.centery)
        pygame.draw.circle(screen, WHITE if active else paint, knob, px(7))
        text, shade = ("muted", CORAL) if row.muted else (row.value, tone)
        place = (value.right - px(34 if row.toggle else 0), y + px(7))
        write(screen, text, place, size, shade, align=1)
        if row.toggle is not None:
            _draw_ear(screen, (value.right - px(14), value.centery), px(12), row.muted)

    def _draw_choice(
        self, screen: pygame.Surface, row: Row, box: pygame.Rect, active: bool, scale: float
    ) -> None:
        size, edge = round((SMALL + 1) * scale), round(9 * scale)
        inner = box.inflate(0, -round(6 * scale))
        pygame.draw.rect(screen, FIELD, inner, border_radius=CORNER - 2)
        border = CYAN if active else HAIRLINE
        pygame.draw.rect(screen, border, inner, width=1, border_radius=CORNER - 2)
        text = shortened(row.value, size, inner.width - 6 * edge)
        write(screen, text, (inner.centerx, box.y + round(7 * scale)), size, WHITE, align=0.5)
        for x, way in ((inner.x + 1.5 * edge, -1), (inner.right - 1.5 * edge, 1)):
            tip = (x + way * edge * 0.4, inner.centery)
            back = x - way * edge * 0.25
            half = edge * 0.55
            tone = WHITE if active else SOFT
            pygame.draw.aalines(
                screen, tone, False, [(back, tip[1] - half), tip, (back, tip[1] + half)]
            )

    def _draw_meter(self, screen: pygame.Surface, box: pygame.Rect, y: int, scale: float) -> None:
        def px(units: float) -> int:
            return round(units * scale)

        level = share_of(self._ends.level)
        bar = pygame.Rect(box.x + px(186), y + px(8), box.width - px(214), px(9))
        draw_microphone(screen, (box.x + px(174), bar.centery), px(13), MINT if level else FAINT)
        level_bar(screen, bar, level, MINT, segments=28)
        write(screen, "Level", (box.x + px(28), y + px(3)), px(SMALL + 1), SOFT)

    def _draw_foot(self, screen: pygame.Surface, box: pygame.Rect, scale: float) -> None:
        size = round(SMALL * scale)
        problem = self._ends.problem
        bottom = box.bottom - round(28 * scale)
        write(screen, KEYS, (box.centerx, bottom), size, FAINT, align=0.5)
        if problem is None:
            return
        lines = wrapped(problem, size, box.width - round(24 * scale))[:3]
        height = round(17 * scale) * len(lines) + round(14 * scale)
        plate = pygame.Rect(box.x, box.bottom + round(6 * scale), box.width, height)
        panel(screen, plate)
        for number, line in enumerate(lines):
            y = plate.y + round((7 + 17 * number) * scale)
            write(screen, line, (plate.centerx, y), size, CORAL, align=0.5)


def _next(found: Sequence[Device], now: Device, by: int) -> Device:
    """The device before or after the one of now, in a circle with the system's own choice."""
    circle = [DEFAULT, *found]
    place = next((i for i, device in enumerate(circle) if device.id == now.id), 0)
    return circle[(place + by) % len(circle)]


def _track(box: pygame.Rect) -> pygame.Rect:
    """Where in the box of a value its slider runs."""
    height = max(4, box.height // 6)
    return pygame.Rect(box.x, box.centery - height // 2, round(box.width * 0.66), height)


def _draw_ear(screen: pygame.Surface, middle: tuple[int, int], height: int, muted: bool) -> None:
    """A loudspeaker with waves, or with a stroke through it."""
    x, y = middle
    half, tone = height // 2, CORAL if muted else SOFT
    cone = [
        (x - half, y - half // 2),
        (x - half // 2, y - half // 2),
        (x + 1, y - half),
        (x + 1, y + half),
        (x - half // 2, y + half // 2),
        (x - half, y + half // 2),
    ]
    pygame.draw.polygon(screen, tone, cone)
    if muted:
        pygame.draw.line(screen, CORAL, (x - half, y + half), (x + half + 2, y - half), 2)
    else:
        arc = pygame.Rect(x - half // 2, y - half, height, height)
        pygame.draw.arc(screen, tone, arc, -0.9, 0.9, 2)
