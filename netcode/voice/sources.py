"""Where a voice comes from when it is not a microphone: tones, files, and bots that hum.

A source is asked for one frame after the other, 50 times a second by whoever needs them (`pump`
does it on an event loop). It has no clock of its own, so in a test a minute of it takes no time.

Each source gives out one buffer again and again: what has to last longer than until the next frame
must be copied.
"""

import contextlib
from collections.abc import Generator
from itertools import chain
from os import PathLike, fspath
from typing import Protocol

import av
import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError
from netcode.voice.opus import FRAME, RATE, Pcm


class Source(Protocol):
    """Something that gives the frames of a voice."""

    def next(self) -> Pcm:
        """The next 20 ms: float32[960]. Valid until the next call."""

    def close(self) -> None:
        """Lets go of what it holds, such as a file. More than once does no harm."""


class Silence:
    """Nothing to be heard, forever."""

    def __init__(self) -> None:
        self._frame = np.zeros(FRAME, np.float32)

    def next(self) -> Pcm:
        """20 ms of silence."""
        return self._frame

    def close(self) -> None:
        """There is nothing to let go of."""


class Tone:
    """A sine of ``hz``, at ``level`` dBFS (of its power: a full sine has -3).

    It is no speech: a talker that listens for speech (`"open"`) does not send it, one whose key is
    pressed does. Raises `UsageError` for what cannot be sampled at 48 kHz, or would be clipped.
    """

    def __init__(self, hz: float = 440.0, level: float = -20.0) -> None:
        if not 0 < hz < RATE / 2:
            raise UsageError(f"a tone must lie between 0 and {RATE // 2} Hz, not at {hz!r}")
        if not level <= -3.0:
            raise UsageError(f"a sine has at most -3 dBFS, not {level!r}")
        self._amplitude = np.sqrt(2.0) * 10.0 ** (level / 20.0)
        self._step = 2.0 * np.pi * hz / RATE
        self._angles = self._step * np.arange(FRAME)
        self._phase = 0.0
        self._frame = np.empty(FRAME, np.float32)

    def next(self) -> Pcm:
        """The next 20 ms, which go on where the last ones ended."""
        np.multiply(self._amplitude, np.sin(self._angles + self._phase), out=self._frame)
        self._phase = (self._phase + FRAME * self._step) % (2.0 * np.pi)
        return self._frame

    def close(self) -> None:
        """There is nothing to let go of."""


class Hum:
    """Somebody sings to himself: a quiet note with vibrato, a breath, and the note again.

    For bots. Each ``seed`` has a pitch (those of all seeds go together), a colour and a vibrato of
    its own, always the same. ``level`` is dBFS while the note stands. A talker that listens for
    speech takes it for a voice, since it breathes.
    """

    _SCALE = (0, 2, 4, 7, 9, 12, 14, 16)
    """Half tones above the lowest note: a pentatonic scale, of which no two notes clash."""
    _LOWEST = 146.8
    _SUNG, _BREATH, _SWELL = 1.5, 0.45, 0.12
    """Seconds for which a note stands, of the breath after it, and in which it swells and fades."""
    _TABLE = 4_096

    def __init__(self, seed: int = 0, level: float = -28.0) -> None:
        if not level <= -12.0:
            raise UsageError(f"a hum above -12 dBFS would be clipped: {level!r}")
        chance = np.random.default_rng(seed)
        self._hz = self._LOWEST * 2.0 ** (self._SCALE[seed % len(self._SCALE)] / 12.0)
        self._vibrato_hz = chance.uniform(4.6, 5.8)
        self._depth = self._hz * 2.0 ** (chance.uniform(0.15, 0.3) / 12.0) - self._hz
        self._wave = self._colour(chance) * 10.0 ** (level / 20.0)
        # Bots that were made together do not breathe together.
        self._at = int(chance.integers(0, self._period))
        self._samples = np.arange(FRAME)
        self._frame = np.empty(FRAME, np.float32)

    @property
    def _period(self) -> int:
        return int((self._SUNG + self._BREATH) * RATE)

    def _colour(self, chance: np.random.Generator) -> NDArray[np.float32]:
        """One period of the note with a power of 1: overtones, raised around two formants."""
        angles = 2.0 * np.pi * np.arange(self._TABLE) / self._TABLE
        formants = chance.uniform((350.0, 900.0), (600.0, 2_200.0))
        period = np.zeros(self._TABLE)
        for overtone in range(1, int(3_600.0 / self._hz)):
            hz = overtone * self._hz
            raised = np.exp(-(((hz - formants) / 250.0) ** 2)).sum()
            strength = (0.15 + raised) / overtone**0.7
            period += strength * np.sin(overtone * angles + chance.uniform(0.0, 2.0 * np.pi))
        period /= np.sqrt(np.mean(period**2))
        return period.astype(np.float32)

    def next(self) -> Pcm:
        """The next 20 ms of the song."""
        seconds = (self._at + self._samples) / RATE
        sway = self._depth / self._vibrato_hz * np.cos(2.0 * np.pi * self._vibrato_hz * seconds)
        turns = self._hz * seconds - sway / (2.0 * np.pi)
        self._wave.take((turns % 1.0 * self._TABLE).astype(np.intp), out=self._frame, mode="wrap")
        within = seconds % (self._SUNG + self._BREATH)
        swell = np.minimum(within, self._SUNG - within) / self._SWELL
        self._frame *= np.clip(swell, 0.0, 1.0).astype(np.float32)
        self._at += FRAME
        return self._frame

    def close(self) -> None:
        """There is nothing to let go of."""


class FileSource:
    """A sound file, of whatever form PyAV reads (WAV, Ogg, MP3, FLAC, video …), as one voice.

    It is read and resampled as it is played, never whole. With ``loop`` it begins anew at its end,
    otherwise silence follows, and `ended` says so. Raises `UsageError` if the file cannot be read
    or has no sound in it.
    """

    def __init__(self, path: str | PathLike[str], loop: bool = False) -> None:
        self._path = fspath(path)
        self._loop = loop
        self.ended = False
        """Whether all of it has been given out, and silence follows."""
        self._frame = np.zeros(FRAME, np.float32)
        self._rest = np.empty(0, np.float32)
        self._blocks = _blocks(self._path)
        # Now, where the program is that gave a wrong path, and not in the middle of a game.
        if not self._read():
            raise UsageError(f"{self._path}: there is no sound in it")

    def next(self) -> Pcm:
        """The next 20 ms; silence after the end."""
        filled = 0
        while filled < FRAME:
            if not len(self._rest) and not self._read_on():
                self._frame[filled:] = 0.0
                break
            part = self._rest[: FRAME - filled]
            self._frame[filled : filled + len(part)] = part
            self._rest = self._rest[len(part) :]
            filled += len(part)
        return self._frame

    def close(self) -> None:
        """Closes the file; silence follows. More than once does no harm."""
        self.ended = True
        self._rest = self._rest[:0]
        self._blocks.close()

    def _read_on(self) -> bool:
        if self.ended:
            return False
        if self._read():
            return True
        if self._loop:
            self._blocks = _blocks(self._path)
            if self._read():
                return True
        self.ended = True
        return False

    def _read(self) -> bool:
        block = next(self._blocks, None)
        self._rest = self._rest[:0] if block is None else block
        return block is not None


def _blocks(path: str) -> Generator[Pcm, None, None]:
    """Pieces of a file's sound, never empty, until it ends."""
    try:
        container = av.open(path)
    except (av.FFmpegError, OSError) as error:
        raise UsageError(f"{path} cannot be played: {error}") from error
    with container:
        if not container.streams.audio:
            return
        resampler = av.AudioResampler(format="fltp", rate=RATE)
        with contextlib.suppress(av.FFmpegError):  # what is behind a broken place is lost
            for frame in chain(container.decode(audio=0), (None,)):
                for piece in resampler.resample(frame):
                    if piece.samples:
                        # The mean, and not FFmpeg's own mixing, which is louder than full scale.
                        yield piece.to_ndarray().mean(axis=0, dtype=np.float32)
