"""Frames become shorter and longer by a period, and nobody hears it."""

import numpy as np
import pytest

from netcode.voice.opus import FRAME, RATE
from netcode.voice.stretching import LONGEST, SHORTEST, lengthen, shorten
from tests.unit.voice.sounds import voiced


def tone(hertz: float, frames: int) -> np.ndarray:
    t = np.arange(frames * FRAME) / RATE
    return (0.3 * np.sin(2 * np.pi * hertz * t + 0.3)).astype(np.float32).reshape(frames, FRAME)


@pytest.mark.parametrize("change", [shorten, lengthen])
@pytest.mark.parametrize("hertz", [90.0, 150.0, 233.3, 440.0])
def test_a_tone_stays_the_tone_it_was(change, hertz: float) -> None:  # type: ignore[no-untyped-def]
    frames = tone(hertz, 40)
    changed = [change(frame, LONGEST, 0.8) for frame in frames]
    length = sum(map(len, changed))
    assert abs(length - frames.size) >= 40 * SHORTEST
    sound = np.concatenate(changed)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert frequencies[spectrum.argmax()] == pytest.approx(hertz, abs=2.5)
    near = np.abs(frequencies - hertz) < 10
    assert spectrum[near].sum() > 0.999 * spectrum.sum()
    assert np.abs(np.diff(sound)).max() < 1.3 * np.abs(np.diff(frames.ravel())).max()


@pytest.mark.parametrize("change", [shorten, lengthen])
def test_a_voice_is_changed_by_a_period_of_its_pitch(change) -> None:  # type: ignore[no-untyped-def]
    frames = voiced(50)
    changed = [abs(len(change(frame, LONGEST, 0.6)) - FRAME) for frame in frames]
    assert sum(1 for period in changed if period) > 35
    # Pitches of 110 to 170 Hz have periods of 282 to 436 samples.
    assert all(270 <= period <= 450 for period in changed if period and period < 500)


def test_no_more_is_left_out_than_may_be() -> None:
    frame = tone(100.0, 1)[0]
    assert len(shorten(frame, 500, 0.8)) >= FRAME - 500
    assert shorten(frame, SHORTEST - 1, 0.0) is frame


@pytest.mark.parametrize("change", [shorten, lengthen])
def test_noise_is_left_alone_unless_it_is_quiet(change) -> None:  # type: ignore[no-untyped-def]
    noise = np.random.default_rng(1).standard_normal(FRAME).astype(np.float32)
    loud, quiet = 0.1 * noise, 1e-4 * noise
    assert change(loud, LONGEST, 0.8) is loud
    assert abs(len(change(quiet, LONGEST, 0.8)) - FRAME) == LONGEST


@pytest.mark.parametrize("frame", [np.zeros(FRAME, np.float32), np.ones(FRAME, np.float32)])
def test_degenerate_frames_do_no_harm(frame: np.ndarray) -> None:
    for change in (shorten, lengthen):
        assert np.isfinite(change(frame, LONGEST, 0.8)).all()
