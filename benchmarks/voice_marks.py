"""Marks in a voice, and where they are in what is heard: how long a voice is under way. Pure.

Somebody hums, and every half second or so there is a chirp of 12 ms in it. The source notes when it
was asked for each frame, the sink when it was given each. The chirps are found again in the samples
that were heard, by correlation, wherever codec and buffers have moved them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netcode.voice.opus import FRAME, RATE, Pcm
from netcode.voice.sinks import Stereo
from netcode.voice.sources import Hum, Source

STEP = FRAME / RATE

EVERY = 0.5
"""Seconds from mark to mark, more or less: marks begin anywhere in a frame."""

LATEST = 0.4
"""Seconds within which a mark is looked for."""

ALIKE = 0.5
"""Correlation from which on something is the mark, of 1."""

_CHIRP_SECONDS = 0.012
_FROM_HZ, _TO_HZ = 500.0, 3_000.0
_CHIRP_PEAK = 0.4


def _chirp() -> NDArray[np.float64]:
    count = round(_CHIRP_SECONDS * RATE)
    at = np.arange(count) / RATE
    sweep = (_TO_HZ - _FROM_HZ) / _CHIRP_SECONDS
    wave = np.sin(2.0 * np.pi * (_FROM_HZ * at + 0.5 * sweep * at**2))
    return _CHIRP_PEAK * np.hanning(count) * wave


class MarkedVoice:
    """A source: ``seconds`` of a voice, somebody's hum unless told otherwise, with marks in it, and
    then silence. ``clock`` is in seconds."""

    def __init__(
        self,
        seconds: float,
        seed: int,
        *,
        voice: Source | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.asked: list[float] = []
        """When each frame was asked for: its last sample existed then, and no sooner."""
        chance = np.random.default_rng(seed)
        frames = int(seconds / STEP)
        voice = voice or Hum(seed)
        self._track = np.concatenate([voice.next().copy() for _ in range(frames)])
        chirp = _chirp()
        last = len(self._track) - len(chirp)
        begins = np.arange(EVERY, seconds, EVERY) + chance.uniform(0.0, 0.2 * EVERY)
        begins += chance.uniform(0.0, 0.2 * EVERY, len(begins))
        self._marks = [at for at in (begins * RATE).astype(int).tolist() if at < last]
        for at in self._marks:
            self._track[at : at + len(chirp)] += chirp
        self._silence = np.zeros(FRAME, np.float32)
        self._clock = clock

    def next(self) -> Pcm:
        """The next 20 ms."""
        begin = len(self.asked) * FRAME
        self.asked.append(self._clock())
        frame = self._track[begin : begin + FRAME]
        return frame if len(frame) else self._silence

    def captured(self) -> list[float]:
        """When the first sample of each mark existed: a frame is complete 20 ms after its first."""
        places = (divmod(at, FRAME) for at in self._marks)
        return [
            self.asked[frame] - STEP + within / RATE
            for frame, within in places
            if frame < len(self.asked)
        ]

    def close(self) -> None:
        """There is nothing to let go of."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came out, mono, and when each of its frames was given: its first sample sounds then."""

    samples: Pcm
    given: list[float]


class Ear:
    """A sink that keeps what it hears."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._frames: list[Stereo] = []
        self._given: list[float] = []
        self._clock = clock

    def take(self, frame: Stereo) -> None:
        """Keeps 20 ms."""
        self._given.append(self._clock())
        self._frames.append(frame.copy())

    def sides(self) -> Stereo:
        """All of it, left and right: shape (samples, 2)."""
        return np.concatenate([np.empty((0, 2), np.float32), *self._frames])

    def heard(self) -> Heard:
        """All of it, the mean of both sides."""
        return Heard(self.sides().mean(axis=1, dtype=np.float32), list(self._given))

    def close(self) -> None:
        """There is nothing to let go of."""


def delays(captured: list[float], heard: Heard) -> list[float]:
    """Seconds from when the first sample of each mark existed to when it sounded; of those marks
    that are found."""
    chirp = _chirp()
    chirp /= np.sqrt(chirp @ chirp)
    given = np.array(heard.given)
    found = []
    for at in captured:
        first, last = np.searchsorted(given, (at, at + LATEST)).tolist()
        piece = heard.samples[first * FRAME : last * FRAME].astype(np.float64)
        if len(piece) < len(chirp):
            continue
        products = np.correlate(piece, chirp, "valid")
        sums = np.concatenate(([0.0], np.cumsum(piece * piece)))
        energies = sums[len(chirp) :] - sums[: -len(chirp)]
        likeness = products / np.sqrt(np.maximum(energies, 1e-9))
        best = int(np.argmax(np.abs(products)))
        if abs(likeness[best]) >= ALIKE:
            frame, within = divmod(first * FRAME + best, FRAME)
            found.append(float(given[frame]) + within / RATE - at)
    return found
