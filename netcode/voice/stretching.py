"""A frame made shorter or longer by one period of its pitch, which keeps the pitch as it is.

A voice repeats itself every 2.5 to 15 ms. Where a piece is most like the one a period later, the
sound may go over from one into the other: forwards, and a period is left out; backwards, and it is
heard twice (WSOLA, as NetEq does it). The period is searched at a quarter of the rate and then put
right to the sample. Where nothing repeats itself, as in an "s", nothing is done, unless it is so
quiet that nobody hears.
"""

import numpy as np

from netcode.voice.opus import Pcm

SHORTEST = 120
"""Samples of the shortest period: 2.5 ms."""

LONGEST = 720
"""Samples of the longest period: 15 ms."""

QUIET = 1e-3
"""RMS below which anything may be left out or said twice: -60 dB."""

_OVERLAP = 240
_COARSE = 4
_FADE_IN = np.linspace(0.0, 1.0, _OVERLAP, dtype=np.float32)
_FADE_OUT = 1.0 - _FADE_IN


def shorten(frame: Pcm, most: int, likeness: float) -> Pcm:
    """The frame without a period of at most ``most`` samples, or the frame itself.

    ``likeness``, 0 to 1, is how like each other two periods must be.
    """
    period = _period(frame, most, likeness)
    if period == 0:
        return frame
    crossed = frame[:_OVERLAP] * _FADE_OUT + frame[period : period + _OVERLAP] * _FADE_IN
    return np.concatenate((crossed, frame[period + _OVERLAP :]))


def lengthen(frame: Pcm, most: int, likeness: float) -> Pcm:
    """The frame with a period of at most ``most`` samples said twice, or the frame itself."""
    period = _period(frame, most, likeness)
    if period == 0:
        return frame
    crossed = frame[period : period + _OVERLAP] * _FADE_OUT + frame[:_OVERLAP] * _FADE_IN
    return np.concatenate((frame[:period], crossed, frame[_OVERLAP:]))


def _period(frame: Pcm, most: int, likeness: float) -> int:
    """Samples after which the frame's beginning comes again, or 0."""
    most = min(most, LONGEST)
    if most < SHORTEST:
        return 0
    if float(np.dot(frame, frame)) < QUIET * QUIET * len(frame):
        return most
    coarse = frame.reshape(-1, _COARSE).mean(axis=1)
    first, last = SHORTEST // _COARSE, most // _COARSE
    at = (first + int(np.argmax(_likenesses(coarse, first, last, _OVERLAP // _COARSE)))) * _COARSE
    first, last = max(SHORTEST, at - _COARSE + 1), min(most, at + _COARSE - 1)
    fine = _likenesses(frame, first, last, _OVERLAP)
    best = int(np.argmax(fine))
    return first + best if fine[best] >= likeness else 0


def _likenesses(sound: Pcm, first: int, last: int, window: int) -> Pcm:
    """Correlation of the first ``window`` samples with those that begin at each lag, -1 to 1."""
    begin = sound[:window]
    ahead = sound[first : last + window]
    products = np.correlate(ahead, begin, "valid")
    squares = np.concatenate((np.zeros(1, np.float32), np.cumsum(ahead * ahead)))
    energies = squares[window:] - squares[:-window]
    scale = np.sqrt(np.maximum(energies, 0.0) * np.dot(begin, begin)) + 1e-9
    likenesses: Pcm = products / scale
    return likenesses
