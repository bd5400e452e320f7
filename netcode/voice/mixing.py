"""Many voices to two ears: how loud, from which side, and never more than there is room for.

A voice is panned with equal power, so that it is as loud from every side; the far ear keeps a
quarter of what the near one hears, as it does with a head between, and hears it up to 0.43 ms
later. Gains and delays glide to their new values within the frame, so nothing clicks.

What all voices are together is left as it is up to -3 dB; above that it is bent softly, and never
goes over full scale.
"""

import math

import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError
from netcode.voice.opus import FRAME, RATE, Pcm

Stereo = NDArray[np.float32]
"""Samples for two ears, shape (960, 2): left and right."""

EAR_TO_EAR = 0.43e-3
"""Seconds by which the far ear hears later what comes from the side."""

ROOM = 10 ** (-3 / 20)
"""Up to here nothing is bent: -3 dB."""

_FAR = 0.25
_WIDEST = math.pi / 4 - math.atan(_FAR)
_FAINTEST = 0.01
_LATEST = EAR_TO_EAR * RATE
_BEFORE = math.ceil(_LATEST) + 1
_RISE = np.linspace(0.0, 1.0, FRAME, dtype=np.float32)
_PLACES = np.arange(FRAME, dtype=np.float32) + _BEFORE


class Panner:
    """One voice's way to both ears: remembers where it was, to glide to where it is."""

    def __init__(self) -> None:
        self._gains: tuple[float, float] | None = None
        self._delays = (0.0, 0.0)
        self._heard = np.zeros(_BEFORE + FRAME, np.float32)  # with the end of the frame before

    def add(self, pcm: Pcm, gain: float, pan: float, left: Pcm, right: Pcm) -> None:
        """Adds a frame to what the two ears hear.

        ``gain`` is a factor, at which a voice from the middle is as loud as it was spoken; ``pan``
        is -1 (left) to 1 (right).
        """
        heard = self._heard
        heard[:_BEFORE] = heard[FRAME:]
        heard[_BEFORE:] = pcm
        angle = math.pi / 4 + pan * _WIDEST
        loud = gain * math.sqrt(2)
        gains = (loud * math.cos(angle), loud * math.sin(angle))
        delays = (_LATEST * max(0.0, pan), _LATEST * max(0.0, -pan))
        before = self._gains or gains
        for ear, begin, end, late, later in zip(
            (left, right), before, gains, self._delays, delays, strict=True
        ):
            sound = pcm if late == later == 0.0 else self._delayed(late, later)
            ear += sound * (end if begin == end else begin + (end - begin) * _RISE)
        self._gains, self._delays = gains, delays

    def _delayed(self, begin: float, end: float) -> Pcm:
        """The frame as it is heard by an ear that is so many samples late."""
        places = _PLACES - (begin + (end - begin) * _RISE)
        whole = places.astype(np.intp)
        part = places - whole
        sound: Pcm = self._heard[whole]
        # At the frame's very end without delay there is no sample after, and none is needed.
        after = self._heard[np.minimum(whole + 1, _BEFORE + FRAME - 1)]
        return sound + part.astype(np.float32) * (after - sound)


class Mixer:
    """Adds up one frame after the other: `add` for each voice, then `finish`."""

    def __init__(self) -> None:
        self._ears = np.zeros((2, FRAME), np.float32)
        self._mixed = np.zeros((FRAME, 2), np.float32)

    def add(self, panner: Panner, pcm: Pcm, gain: float, pan: float) -> None:
        """A voice of this frame; see `Panner.add`."""
        panner.add(pcm, gain, pan, self._ears[0], self._ears[1])

    def finish(self) -> Stereo:
        """The frame: float32 of shape (960, 2), -1 to 1, filled anew by the next call."""
        limit(self._ears)
        np.copyto(self._mixed, self._ears.T)
        self._ears.fill(0.0)
        return self._mixed


def limit(samples: NDArray[np.float32]) -> None:
    """Bends what is louder than `ROOM`, in place, so that nothing goes over 1."""
    if not samples.size or float(np.abs(samples).max()) <= ROOM:
        return
    size = np.abs(samples)
    over = size > ROOM
    bent = ROOM + (1.0 - ROOM) * np.tanh((size[over] - ROOM) / (1.0 - ROOM))
    samples[over] = np.copysign(np.minimum(bent, 1.0), samples[over])


def placed(
    listener: tuple[float, float],
    speaker: tuple[float, float],
    *,
    full: float,
    silent: float,
    heading: float | None = None,
) -> tuple[float, float]:
    """Gain and pan of a speaker that stands there, as in Mumble.

    Up to the distance ``full`` a voice has its full loudness; from there it becomes fainter evenly,
    and nothing is heard from ``silent`` on. Without ``heading`` the listener looks at a picture in
    which x grows to the right. With it, the listener looks in this direction: radians, from the x
    axis towards the y axis, with y downwards as on screens (elsewhere, turn the sign of the pan).
    Whoever is nearer than ``full`` comes to the middle by and by, and does not jump from one ear to
    the other.

    Raises `UsageError` unless ``0 <= full < silent``.
    """
    if not 0 <= full < silent:
        raise UsageError(
            f"full must be 0 or more and less than silent, not {full!r} and {silent!r}"
        )
    east, south = speaker[0] - listener[0], speaker[1] - listener[1]
    distance = math.hypot(east, south)
    if not distance < silent:
        return 0.0, 0.0
    share = max(0.0, (distance - full) / (silent - full))
    gain = (_FAINTEST**share - _FAINTEST) / (1.0 - _FAINTEST)
    to_the_right = east
    if heading is not None:
        to_the_right = south * math.cos(heading) - east * math.sin(heading)
    beside = max(distance, full)
    return gain, to_the_right / beside if beside else 0.0
