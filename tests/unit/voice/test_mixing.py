"""Voices for two ears: sides, distances, no clicks, never too loud."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcode.errors import UsageError
from netcode.voice.mixing import EAR_TO_EAR, ROOM, Mixer, Panner, limit, placed
from netcode.voice.opus import FRAME, RATE


def tone(frames: int, hertz: float = 440.0, loud: float = 0.3) -> np.ndarray:
    t = np.arange(frames * FRAME) / RATE
    return (loud * np.sin(2 * np.pi * hertz * t)).astype(np.float32).reshape(frames, FRAME)


def mixed(frames: np.ndarray, gains: list[float], pans: list[float]) -> np.ndarray:
    mixer, panner = Mixer(), Panner()
    out = []
    for frame, gain, pan in zip(frames, gains, pans, strict=True):
        mixer.add(panner, frame, gain, pan)
        out.append(mixer.finish().copy())
    return np.concatenate(out)


def rms(samples: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(samples.astype(float) ** 2, axis=0))


def test_a_voice_from_the_middle_is_as_it_was() -> None:
    frames = tone(3)
    out = mixed(frames, [1.0] * 3, [0.0] * 3)
    assert out.shape == (3 * FRAME, 2)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out[:, 0], frames.ravel(), atol=1e-6)
    np.testing.assert_allclose(out[:, 1], frames.ravel(), atol=1e-6)


@given(st.floats(-1, 1))
def test_a_voice_is_as_loud_from_every_side_and_the_far_ear_keeps_a_quarter(pan: float) -> None:
    frames = tone(4)
    left, right = rms(mixed(frames, [1.0] * 4, [pan] * 4)[FRAME:])
    assert math.hypot(left, right) == pytest.approx(math.sqrt(2) * 0.3 / math.sqrt(2), rel=0.01)
    assert min(left, right) / max(left, right) >= 0.249
    if abs(pan) > 0.01:
        assert (right > left) == (pan > 0)


@pytest.mark.parametrize("pan", [-1.0, -0.5, 0.7, 1.0])
def test_the_far_ear_hears_it_later(pan: float) -> None:
    frames = tone(4)
    out = mixed(frames, [1.0] * 4, [pan] * 4)[FRAME:]
    left, right = np.exp(-2j * np.pi * 440 * np.arange(len(out)) / RATE) @ out
    later = np.angle(right / left) / (2 * np.pi * 440)
    assert later == pytest.approx(pan * EAR_TO_EAR, abs=1e-5)


def test_changes_of_gain_and_side_do_not_click() -> None:
    gains = [1.0, 0.0, 1.0, 0.2, 1.0, 1.0, 1.0, 1.0]
    pans = [0.0, 0.0, 1.0, -1.0, 1.0, -1.0, 0.0, 0.3]
    frames = tone(8)
    out = mixed(frames, gains, pans)
    steepest = np.abs(np.diff(frames.ravel())).max()
    assert np.abs(np.diff(out, axis=0)).max() < 1.6 * steepest


def test_voices_add_up() -> None:
    a, b = tone(1)[0], tone(1, 700.0)[0]
    mixer = Mixer()
    mixer.add(Panner(), a, 0.5, 0.0)
    mixer.add(Panner(), b, 0.5, 0.0)
    np.testing.assert_allclose(mixer.finish()[:, 0], 0.5 * a + 0.5 * b, atol=1e-6)
    assert not mixer.finish().any(), "each frame begins with nothing"


@given(st.lists(st.floats(-50, 50, width=32), min_size=1))
def test_what_is_soft_is_left_alone_and_nothing_is_too_loud(values: list[float]) -> None:
    before = np.array(values, np.float32)
    after = before.copy()
    limit(after)
    assert np.abs(after).max() <= 1.0
    soft = np.abs(before) <= ROOM
    np.testing.assert_array_equal(after[soft], before[soft])
    order = np.argsort(before)
    assert (np.diff(after[order]) >= 0).all()


def test_twenty_people_who_shout_at_once_fit() -> None:
    mixer = Mixer()
    for n in range(20):
        mixer.add(Panner(), tone(1, 300.0 + n, 1.0)[0], 1.0, (n - 10) / 10)
    assert np.abs(mixer.finish()).max() <= 1.0


def test_who_is_near_is_heard_in_full_and_who_is_far_is_not() -> None:
    def gain(distance: float) -> float:
        return placed((3, 4), (3 + distance, 4), full=1, silent=15)[0]

    assert gain(0) == gain(1) == pytest.approx(1.0)
    assert gain(15) == gain(16) == gain(1e9) == gain(math.inf) == 0
    gains = [gain(d / 10) for d in range(10, 151)]
    assert all(a > b for a, b in pairwise(gains))
    assert gain(14.99) < 0.001


@pytest.mark.parametrize(
    ("speaker", "heading", "pan"),
    [
        ((5, 0), None, 1.0),
        ((-5, 0), None, -1.0),
        ((0, 5), None, 0.0),
        ((5, 0), 0.0, 0.0),
        ((0, 5), 0.0, 1.0),
        ((0, -5), 0.0, -1.0),
        ((5, 0), -math.pi / 2, 1.0),
        ((5, 0), math.pi / 2, -1.0),
        ((0, 0), 1.0, 0.0),
        ((0.5, 0), None, 0.5),
    ],
)
def test_a_voice_comes_from_its_side(
    speaker: tuple[float, float], heading: float | None, pan: float
) -> None:
    got = placed((0, 0), speaker, full=1, silent=15, heading=heading)[1]
    assert got == pytest.approx(pan, abs=1e-9)


@pytest.mark.parametrize(("full", "silent"), [(-1, 5), (5, 5), (6, 5), (math.nan, 5)])
def test_distances_that_make_no_sense_are_refused(full: float, silent: float) -> None:
    with pytest.raises(UsageError, match="full must be"):
        placed((0, 0), (1, 1), full=full, silent=silent)
