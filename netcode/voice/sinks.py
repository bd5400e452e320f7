"""Where what is heard goes when it is not a loudspeaker: a file, a meter, nowhere.

A sink is given one stereo frame after the other, float32[960, 2]. The frames belong to whoever
gives them and are overwritten afterwards, so a sink copies what it keeps.
"""

import wave
from collections import deque
from os import PathLike, fspath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError
from netcode.voice.activity import QUIETEST, dbfs
from netcode.voice.opus import FRAME, RATE

Stereo = NDArray[np.float32]
"""Samples of both sides, left and right: shape (960, 2), -1 to 1."""

SECOND = RATE // FRAME
"""Frames a second."""


class Sink(Protocol):
    """Something that takes what is heard."""

    def take(self, frame: Stereo) -> None:
        """The next 20 ms: float32[960, 2]. It is copied if it is kept."""

    def close(self) -> None:
        """No more frames come. More than once does no harm."""


class NullSink:
    """Nobody listens."""

    def take(self, frame: Stereo) -> None:
        """Forgets it."""

    def close(self) -> None:
        """There is nothing to let go of."""


class Meter:
    """Measures what it is given, and keeps the last frames, for tests and displays."""

    def __init__(self, keep: int = SECOND) -> None:
        self.level = QUIETEST
        """dBFS of the last frame."""
        self.taken = 0
        """Frames taken so far."""
        self._frames: deque[Stereo] = deque(maxlen=keep)

    def take(self, frame: Stereo) -> None:
        """Measures 20 ms and keeps a copy of them."""
        self.level = dbfs(frame)
        self.taken += 1
        self._frames.append(frame.copy())

    def heard(self) -> Stereo:
        """The last frames in one piece, oldest first: shape (samples, 2)."""
        return np.concatenate([np.empty((0, 2), np.float32), *self._frames])

    def close(self) -> None:
        """There is nothing to let go of."""


class FileSink:
    """Writes a WAV file, 16 bits, stereo, 48 kHz.

    Each second it is made whole on the disk, header and all, so that even a program that is killed
    leaves a file with all but its last second. Raises `UsageError` if the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file = open(fspath(path), "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"{fspath(path)} cannot be written: {error}") from error
        self._wave = wave.open(self._file, "wb")  # noqa: SIM115
        self._wave.setnchannels(2)
        self._wave.setsampwidth(2)
        self._wave.setframerate(RATE)
        self._second = np.empty((SECOND, FRAME, 2), "<i2")
        self._waiting = 0

    def take(self, frame: Stereo) -> None:
        """Adds 20 ms. Raises `OSError` when the disk takes no more, `ValueError` after `close`."""
        self._second[self._waiting] = np.rint(np.clip(frame, -1.0, 1.0) * 32_767.0)
        self._waiting += 1
        if self._waiting == SECOND:
            self._write()

    def close(self) -> None:
        """Writes what is left and closes the file. More than once does no harm."""
        if self._file.closed:
            return
        try:
            self._write()
            self._wave.close()
        finally:
            self._file.close()

    def _write(self) -> None:
        # Puts the length into the header, too.
        self._wave.writeframes(self._second[: self._waiting].tobytes())
        self._waiting = 0
