"""Is somebody speaking? Frame by frame, against whatever the room sounds like. Pure.

A loud frame is not speech: a fan is loud, mains hum is, and so is a key that is struck. What speech
does and these do not is to rise above the room's own sound *in many bands at once*, for longer than
a blow lasts. So a frame is cut into eight bands of the range in which speech lies. Each band has a
floor, the least that it held in the last seconds: a steady sound fills its own floor and counts for
nothing, while speech has gaps in every band between its syllables and keeps the floors down. The
score of a frame is by how much it stands above the floors, on average, and no band counts for more
than `MOST_ABOVE`, so that a whistle or a hum in one or two of them never adds up to a voice.

A blow has its power within a few milliseconds of the frame, which no voice has; what follows it and
is quieter is its echo.
"""

import numpy as np
from numpy.typing import NDArray

from netcode.voice.opus import FRAME, RATE, Pcm

QUIETEST = -127.0
"""dBFS that stand for digital silence, which RFC 6464 can say no more quietly."""

HOLD = 15
"""Frames for which somebody is still held to speak after the last one that was speech: 300 ms, so
that the ends of words and the gaps between them are sent."""

ATTACK = 8.0
"""dB above the floors, on average over the bands, at which speech begins, in the same frame."""

RELEASE = 5.0
"""dB above the floors at which speech that has begun goes on."""

MOST_ABOVE = 20.0
"""dB that a single band may count for."""

SILENT = -60.0
"""dBFS in all bands together below which nothing is speech, however quiet the floors are."""

EDGES = (200.0, 350.0, 550.0, 800.0, 1_100.0, 1_500.0, 2_000.0, 2_800.0, 4_000.0)
"""Hz between the bands. Mains hum and its first harmonics stay below, hiss stays above."""

FLOOR_FRAMES = 25
"""Frames in each of the `FLOOR_PARTS` that a floor is the least of: 4 × 0.5 s. Speech without a gap
for longer than that does not occur, and a fan that is switched on is forgiven after it."""

FLOOR_PARTS = 4

SMOOTHING = 0.4
"""Share of the newest frame in what the floors are taken from: a single frame of noise fluctuates
by several dB, and the least of a hundred would lie far below the noise."""

BIAS = 1.4
"""By how much the mean power of noise lies above the least of its smoothed power."""

BLOW = 0.7
"""Share of a frame's power within a quarter of it (5 ms) that makes it a blow, if the frame before
was quiet. The pulses of a deep voice are as short, but there is one in every frame."""

SUDDEN = 10.0
"""So many times the power of the frame before it has a blow."""

ECHO = 0.6
"""Share of a blow's power that its echo is still believed to have, a frame later."""

_TINY = 1e-13
_QUARTER = np.ones(4, np.float32)


def dbfs(samples: Pcm) -> float:
    """Level of samples in dB below full scale (the power of a full square wave; a full sine has
    -3), not less than -127. Stereo counts all samples of both sides."""
    flat = samples.reshape(-1)
    power = float(np.dot(flat, flat)) / max(1, len(flat))
    return max(QUIETEST, min(0.0, 10.0 * float(np.log10(power + _TINY))))


def audio_level(level: float) -> int:
    """A level in dBFS as RFC 6464 writes it: 0 is the loudest, 127 is silence."""
    return max(0, min(127, round(-level)))


class Activity:
    """The detector of one microphone. Give it every frame, whether anything is sent or not."""

    def __init__(self) -> None:
        self.speaking = False
        """Whether the last frame was speech, or not longer than `HOLD` ago."""
        self.level = QUIETEST
        """dBFS of the last frame."""
        self.score = 0.0
        """dB that the last frame stood above the room's own sound: what thresholds look at."""
        self._held = 0
        self._echo = 0.0
        self._blows = 0
        self._power_before = 0.0
        hz = np.arange(FRAME // 2 + 1) * (RATE / FRAME)
        self._edges = np.searchsorted(hz, EDGES)
        self._window = np.hanning(FRAME).astype(np.float32)
        # So that the powers of the bands add up to the power of the windowed frame.
        self._scale = 2.0 / (FRAME * float(np.sum(self._window**2)))
        bands = len(EDGES) - 1
        self._windowed = np.empty(FRAME, np.float32)
        self._smoothed = np.zeros(bands)
        # Nobody knows the room yet, so it is taken for a quiet one: who speaks first is heard.
        quiet = 10.0 ** (SILENT / 10.0) / bands
        self._least = np.full((FLOOR_PARTS, bands), quiet)
        self._part = 0
        self._in_part = 0

    def take(self, frame: Pcm) -> bool:
        """Look at the next 20 ms (float32[960]); whether somebody is speaking."""
        self.level = dbfs(frame)
        bands = self._powers(frame)
        floors = np.maximum(self._least.min(axis=0) * BIAS, _TINY)
        above = 10.0 * np.log10(np.maximum(bands, _TINY) / floors)
        self.score = float(np.clip(above, 0.0, MOST_ABOVE).mean())
        power = float(bands.sum())
        audible = power > 10.0 ** (SILENT / 10.0)
        needed = RELEASE if self.speaking else ATTACK
        struck = self._struck(frame, power)
        if audible and self.score >= needed and not struck:
            self._held = HOLD
            self.speaking = True
        elif self._held:
            self._held -= 1
        else:
            self.speaking = False
        self._learn(bands)
        return self.speaking

    def _struck(self, frame: Pcm, power: float) -> bool:
        """Whether this is a blow, or the echo of one."""
        parts = np.square(frame).reshape(16, -1).sum(axis=1)
        is_dense = float(np.convolve(parts, _QUARTER, "valid").max()) > BLOW * float(parts.sum())
        from_quiet = power > SUDDEN * self._power_before
        # A blow may begin at the very end of a frame; then most of it is in the next one.
        is_blow = is_dense and (from_quiet or self._blows == 1)
        self._blows = self._blows + 1 if is_blow else 0
        self._power_before = power
        if is_blow:
            self._echo = max(self._echo, power)
            return True
        self._echo *= ECHO
        return power < self._echo

    def _powers(self, frame: Pcm) -> NDArray[np.float64]:
        np.multiply(frame, self._window, out=self._windowed)
        spectrum = np.fft.rfft(self._windowed)
        power = spectrum.real**2 + spectrum.imag**2
        edges = self._edges
        summed = np.add.reduceat(power[: edges[-1]], edges[:-1])
        return np.asarray(summed, np.float64) * self._scale

    def _learn(self, bands: NDArray[np.float64]) -> None:
        self._smoothed += SMOOTHING * (bands - self._smoothed)
        if self._in_part == FLOOR_FRAMES:
            self._in_part = 0
            self._part = (self._part + 1) % FLOOR_PARTS
            self._least[self._part] = self._smoothed
        self._in_part += 1
        least = self._least[self._part]
        np.minimum(least, self._smoothed, out=least)
