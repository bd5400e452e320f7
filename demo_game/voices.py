"""Voice in the arena without its drawing: what a player has chosen, and who speaks. No pygame.

A pilot speaks while V is held, and hears who is near: `Voices` tells the voice chat where the ships
are, so that voices pan and fade as they fly.
"""

import threading
from dataclasses import dataclass, field
from typing import Literal, Protocol

import netcode as nc
from demo_game.game import ARENA, Pilot, Ship
from netcode.errors import VoiceError
from netcode.voice.activity import dbfs
from netcode.voice.devices import DEFAULT, Device, Devices, Microphone, devices
from netcode.voice.jitter_buffer import VoiceStats
from netcode.voice.opus import Pcm

FLOOR_DB = 60.0
"""Below full scale: what is softer is no level at all on the screen."""
LOOK_EVERY = 2.0
"""Seconds between two looks at which devices are plugged in."""
STAYS = 10.0
"""Seconds for which a voice stays in the network's view after it was heard."""
PROBLEM_SECONDS = 20.0
"""For so long a problem stands on the screen; and again while the key is held."""


@dataclass
class VoiceChoices:
    """What the player has chosen about voice; kept from one arena to the next. Pilots are known by
    name, as their numbers are others in each arena."""

    mode: Literal["push", "open"] = "push"
    microphone: Device = DEFAULT
    speaker: Device = DEFAULT
    gain: float = 1.0
    loudness: float = 1.0
    volumes: dict[str, float] = field(default_factory=dict)
    muted: set[str] = field(default_factory=set)

    def voice(self) -> nc.Voice:
        """What to connect with."""
        return nc.Voice(
            mode=self.mode,
            microphone=self.microphone.id or None,
            speaker=self.speaker.id or None,
        )


@dataclass(frozen=True, slots=True)
class Speaking:
    """Somebody who is heard at this moment; ``level`` is 0 to 1."""

    player: int
    name: str
    colour: int
    level: float


class Voices:
    """The voice chat of one arena, as its screen sees it. `update` it every frame."""

    def __init__(self, chat: nc.VoiceChat, choices: VoiceChoices) -> None:
        self.chat = chat
        self.choices = choices
        self.speaking: list[Speaking] = []
        """Who is heard, in the order of the players' numbers."""
        self.recent: dict[int, float] = {}
        """Who was heard lately, and when it was the last time."""
        self.heard: set[int] = set()
        """Everybody who was ever heard here."""
        self._places: dict[int, tuple[float, float]] = {}
        self._known: dict[int, str] = {}
        self._problem: str | None = None
        self._problem_since = 0.0
        chat.locate = self._places.get
        chat.gain, chat.loudness = choices.gain, choices.loudness

    def press(self, down: bool) -> None:
        """The key to talk is held, or not."""
        self.chat.pressed = down

    def toggle_microphone(self) -> None:
        """Mute one's own microphone, or no more."""
        self.chat.muted = not self.chat.muted

    @property
    def own_level(self) -> float:
        """Of the microphone, 0 to 1."""
        return share_of(self.chat.level)

    def update(self, world: nc.World, now: float) -> None:
        """Look at who is where, and who speaks."""
        pilots = {pilot.player: pilot for pilot in world[Pilot]}
        self._locate(world, pilots)
        for number, pilot in pilots.items():
            if self._known.get(number) != pilot.name:
                self.obey(number, pilot.name)
        self._known = {number: pilot.name for number, pilot in pilots.items()}
        self.speaking = [
            Speaking(number, pilots[number].name, pilots[number].colour, level)
            for number, level in sorted(self.chat.speaking.items())
            if number in pilots
        ]
        self.recent.update((one.player, now) for one in self.speaking)
        self.recent = {
            number: when
            for number, when in self.recent.items()
            if number in pilots and now - when < STAYS
        }
        self.heard.update(one.player for one in self.speaking)
        if self.chat.problem != self._problem:
            self._problem, self._problem_since = self.chat.problem, now

    def obey(self, number: int, name: str) -> None:
        """Hear a pilot as the player has chosen."""
        self.chat.set_volume(number, self.choices.volumes.get(name, 1.0))
        self.chat.mute(number, name in self.choices.muted)

    def problem(self, now: float) -> str | None:
        """What keeps the player from talking or hearing, while it should be read."""
        if self.chat.pressed or now - self._problem_since < PROBLEM_SECONDS:
            return self._problem
        return None

    def _locate(self, world: nc.World, pilots: dict[int, Pilot]) -> None:
        """Ships stand where they are seen, those out of sight where the minimap has them, and a
        wrecked pilot where the wreck was."""
        places = self._places
        for number in [number for number in places if number not in pilots]:
            del places[number]
        for number, pilot in pilots.items():
            if pilot.flying:
                places[number] = (on_the_radar(pilot.radar_x), on_the_radar(pilot.radar_y))
        for ship in world[Ship]:
            places[ship.player] = (ship.x, ship.y)


def on_the_radar(step: int) -> float:
    """A coordinate of the arena, from what the minimap is told."""
    return step / 255 * 2 * ARENA - ARENA


def share_of(level: float) -> float:
    """A level in dBFS as 0 to 1, for a bar."""
    return min(1.0, max(0.0, 1.0 + level / FLOOR_DB))


def loss_of(stats: VoiceStats) -> float:
    """Share of a voice's packets that have not come, 0 to 1."""
    return stats.lost / max(1, stats.played + stats.late + stats.lost)


class Ends(Protocol):
    """What the panel of settings sets: a `VoiceChat`, or a `Rehearsal` where there is none."""

    gain: float
    loudness: float
    mode: Literal["push", "open"]

    @property
    def level(self) -> float: ...
    @property
    def problem(self) -> str | None: ...
    def use_microphone(self, device: str | None) -> None: ...
    def use_speaker(self, device: str | None) -> None: ...


class Rehearsal:
    """A microphone that nobody hears but the meter, for settings outside of an arena."""

    def __init__(self, choices: VoiceChoices) -> None:
        self.gain, self.loudness, self.mode = choices.gain, choices.loudness, choices.mode
        self.problem: str | None = None
        self._level = -100.0
        self._microphone: Microphone | None = None
        self.use_microphone(choices.microphone.id or None)

    @property
    def level(self) -> float:
        """Of the microphone after the gain, in dBFS."""
        return self._level

    def use_microphone(self, device: str | None) -> None:
        """Listen to this one from now on."""
        self.close()
        self._microphone = Microphone(device, spoken=self._spoken)
        try:
            self._microphone.start()
            self.problem = None
        except VoiceError as error:
            self.problem = str(error)

    def use_speaker(self, device: str | None) -> None:
        """Nothing is heard in a rehearsal; what was chosen counts in the arena."""

    def close(self) -> None:
        """Let go of the microphone. Idempotent."""
        microphone, self._microphone, self._level = self._microphone, None, -100.0
        if microphone is not None:
            microphone.close()

    def _spoken(self, frame: Pcm) -> None:
        self._level = dbfs(frame * self.gain)


class DeviceWatch:
    """Which devices are plugged in, looked up every two seconds on a thread of its own."""

    def __init__(self) -> None:
        self.latest = Devices([], [])
        self._closed = threading.Event()
        threading.Thread(target=self._look, name="demo-devices", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _look(self) -> None:
        while not self._closed.is_set():
            try:
                self.latest = devices()
            except VoiceError:
                self.latest = Devices([], [])  # why, the microphone itself says
            self._closed.wait(LOOK_EVERY)
