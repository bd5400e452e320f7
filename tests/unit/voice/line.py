"""A line for voices, simulated: packets are sent, late, lost, and played by a listener's clock."""

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from netcode.voice.jitter_buffer import JitterBuffer
from netcode.voice.opus import FRAME, RATE
from netcode.voice.rtp import VoicePacket

STEP = FRAME / RATE
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * FRAME) / RATE)).astype(np.float32)


class ToneDecoder:
    """Plays what was sent as a tone of 440 Hz, or nothing where it is asked to make something up.

    What a decoder makes up cannot be told from what was sent; here it can.
    """

    def __init__(self) -> None:
        self.played: list[int] = []

    def decode(self, packet: bytes) -> np.ndarray:
        (number,) = struct.unpack(">xxI", packet)
        self.played.append(number)
        return self._tone(number)

    def recover(self, packet_after: bytes) -> np.ndarray:
        (number,) = struct.unpack(">xxI", packet_after)
        self.played.append(number - 1)
        return self._tone(number - 1)

    def conceal(self) -> np.ndarray:
        return np.zeros(FRAME, np.float32)

    def reset(self) -> None:
        pass

    def _tone(self, number: int) -> np.ndarray:
        return np.roll(TONE, -(number % 5) * FRAME)[:FRAME].copy()


def numbered(number: int) -> bytes:
    """A payload for `ToneDecoder` that says what was in the one before, as Opus would."""
    return bytes([9 << 3, 0b0100_0000]) + struct.pack(">I", number)


@dataclass
class Heard:
    """What came out: the samples, and target and delay (in seconds) at each pull."""

    samples: np.ndarray
    targets: np.ndarray
    delays: np.ndarray
    buffer: JitterBuffer
    times: np.ndarray

    def delay_between(self, begin: float, end: float) -> float:
        """Mean delay between two times."""
        return float(self.delays[(self.times >= begin) & (self.times < end)].mean())


@dataclass
class Line:
    """How packets fare. ``delay(n, rng)`` is seconds that packet n takes, None if it is lost."""

    delay: Callable[[int, random.Random], float | None] = lambda n, rng: 0.03
    drift: float = 0.0
    phase: float = 0.004
    seed: int = 1
    sequence: int = 0
    timestamp: int = 0
    payload: Callable[[int], bytes] = numbered
    spoken: Callable[[int], bool] = lambda n: True
    doubled: float = 0.0
    block: int = 1
    """Frames that a sound card asks for at once."""

    buffer: JitterBuffer = field(default_factory=lambda: JitterBuffer(ToneDecoder()))

    def play(self, seconds: float) -> Heard:
        arrivals = sorted(self._arrivals(seconds), key=lambda arrival: arrival[0])
        count = round(seconds / STEP)
        samples = np.zeros((count, FRAME), np.float32)
        targets, delays = np.zeros(count), np.zeros(count)
        times = np.arange(count) // self.block * self.block * STEP + self.phase
        at = 0
        for k, now in enumerate(times):
            while at < len(arrivals) and arrivals[at][0] <= now:
                self.buffer.receive(arrivals[at][1], arrivals[at][0])
                at += 1
            samples[k] = self.buffer.pull(now)
            targets[k], delays[k] = self.buffer.stats.target_delay, self.buffer.stats.delay
        return Heard(samples.ravel(), targets, delays, self.buffer, times)

    def _arrivals(self, seconds: float) -> list[tuple[float, VoicePacket]]:
        rng = random.Random(self.seed)
        arrivals = []
        sent = 0
        was_spoken = False
        for n in range(round(seconds / STEP)):
            if not self.spoken(n):
                was_spoken = False
                continue
            packet = VoicePacket(
                speaker=7,
                sequence=(self.sequence + sent) % 2**16,
                timestamp=(self.timestamp + n * FRAME) % 2**32,
                level=30,
                marker=not was_spoken,
                payload=self.payload(n),
            )
            sent, was_spoken = sent + 1, True
            delay = self.delay(n, rng)
            if delay is None:
                continue
            arrived = (n + 1) * STEP * (1 + self.drift) + delay
            arrivals.append((arrived, packet))
            if rng.random() < self.doubled:
                arrivals.append((arrived + 0.03, packet))
        return arrivals


def jittery(jitter: float, loss: float = 0.0) -> Callable[[int, random.Random], float | None]:
    """30 ms and up to ``jitter`` seconds more, evenly spread; a share is lost."""
    return lambda n, rng: None if rng.random() < loss else 0.03 + jitter * rng.random()


def longest_silence(samples: np.ndarray, quiet: float = 1e-3) -> float:
    """Seconds of the longest stretch in which no sample is louder than ``quiet``."""
    loud = np.flatnonzero(np.abs(samples) > quiet)
    return float(np.diff(loud).max() / RATE)
