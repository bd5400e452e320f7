"""A voice chat without sound: keeps what it is told, and says what a test wants to be heard."""

from collections.abc import Callable
from typing import Literal

from netcode.voice.jitter_buffer import VoiceStats


class FakeChat:
    """In the place of a `netcode.VoiceChat`."""

    def __init__(self) -> None:
        self.locate: Callable[[int], tuple[float, float] | None] | None = None
        self.mode: Literal["push", "open"] = "push"
        self.pressed = self.muted = self.talking = self.recording = False
        self.gain = self.loudness = 1.0
        self.level = -100.0
        self.problem: str | None = None
        self.speaking: dict[int, float] = {}
        self.volumes: dict[int, float] = {}
        self.silenced: set[int] = set()
        self.microphone: str | None = ""
        self.speaker: str | None = ""

    def set_volume(self, player: int, volume: float) -> None:
        self.volumes[player] = volume

    def mute(self, player: int, on: bool = True) -> None:
        (self.silenced.add if on else self.silenced.discard)(player)

    def stats(self, player: int) -> VoiceStats:
        return VoiceStats(delay=0.06, played=90, concealed=10, lost=10)

    def use_microphone(self, device: str | None) -> None:
        self.microphone = device

    def use_speaker(self, device: str | None) -> None:
        self.speaker = device
