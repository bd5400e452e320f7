"""Speech is heard at once and to its end; what is only loud is not taken for it."""

import numpy as np
import pytest

from netcode.voice.activity import HOLD, QUIETEST, Activity, audio_level, dbfs
from netcode.voice.opus import FRAME
from tests.unit.voice.speech import Samples, keyboard, mains_hum, noise, speaks, speech

SECOND = 50


def listen(sound: Samples, detector: Activity | None = None) -> list[bool]:
    detector = detector or Activity()
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return [detector.take(frame) for frame in frames]


def loud_frames(sound: Samples) -> list[int]:
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return [number for number, frame in enumerate(frames) if dbfs(frame) > -36]


def syllables(seconds: float) -> Samples:
    """Something like a voice where there is no espeak-ng: a rich sound of 130 Hz, four times a
    second."""
    t = np.arange(int(seconds * 48_000)) / 48_000
    rich = sum(np.sin(2 * np.pi * 130 * k * t) / k**0.5 for k in range(1, 30))
    return (0.03 * rich * np.clip(np.sin(2 * np.pi * 4 * t), 0, 1)).astype(np.float32)


@speaks
@pytest.mark.parametrize("voice", ["en", "en+f2", "en+whisper", "de"])
@pytest.mark.parametrize("room", [None, -60.0, -45.0])
def test_speech_is_heard_whole(voice: str, room: float | None) -> None:
    sound = speech(voice)
    detector = Activity()
    if room is not None:
        listen(noise(4, room), detector)
        sound = sound + noise(len(sound) / 48_000, room, seed=3)
    heard = listen(sound, detector)
    loud = loud_frames(sound)
    assert np.mean([heard[number] for number in loud]) > 0.97


@speaks
def test_a_deep_voice_is_not_taken_for_blows() -> None:
    sound = speech(pitch=0)
    heard = listen(sound)
    assert np.mean([heard[number] for number in loud_frames(sound)]) > 0.9


@speaks
def test_the_first_frame_of_speech_is_heard() -> None:
    detector = Activity()
    listen(noise(4, -65), detector)
    sound = speech()
    first = loud_frames(sound)[0]
    assert any(listen(sound[: (first + 1) * FRAME], detector))


def test_syllables_are_heard_at_once_and_held_for_300_ms() -> None:
    detector = Activity()
    assert not any(listen(noise(3, -70), detector))
    heard = listen(np.concatenate([syllables(2), noise(1, -70)]), detector)
    assert heard.index(True) <= 1
    assert all(heard[1 : 2 * SECOND])
    silent = heard.index(False, 2 * SECOND - 10)
    last_syllable = 1.875 * SECOND  # the last one ends there
    assert HOLD - 2 <= silent - last_syllable <= HOLD + 4


@pytest.mark.parametrize("level", [-60.0, -40.0, -20.0])
def test_a_steady_noise_is_forgiven_within_two_and_a_half_seconds(level: float) -> None:
    assert not any(listen(noise(20, level))[int(2.5 * SECOND) :])


def test_a_noise_that_becomes_louder_is_forgiven_too() -> None:
    detector = Activity()
    listen(noise(5, -60), detector)
    assert not any(listen(noise(10, -35), detector)[int(2.5 * SECOND) :])


def test_mains_hum_is_never_speech() -> None:
    assert not any(listen(mains_hum(10, -30)))


def test_keys_being_struck_are_hardly_ever_speech() -> None:
    assert np.mean(listen(keyboard(30))) < 0.05


def test_silence_is_not_speech_however_long() -> None:
    detector = Activity()
    assert not any(listen(np.zeros(10 * 48_000, np.float32), detector))
    assert detector.level == QUIETEST


def test_what_nobody_could_hear_is_not_speech_even_in_a_silent_room() -> None:
    detector = Activity()
    listen(np.zeros(10 * 48_000, np.float32), detector)
    assert not any(listen(noise(0.5, -66), detector))


def test_speech_that_goes_on_for_long_is_heard_to_its_end() -> None:
    heard = listen(syllables(20))
    assert all(heard[1:])


def test_levels_are_those_of_rfc_6464() -> None:
    full = np.ones(FRAME, np.float32)
    assert dbfs(full) == pytest.approx(0.0, abs=1e-6)
    sine = np.sin(2 * np.pi * 1_000 * np.arange(FRAME) / 48_000).astype(np.float32)
    assert dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert dbfs(np.zeros(FRAME, np.float32)) == QUIETEST
    assert dbfs(np.full((FRAME, 2), 0.1, np.float32)) == pytest.approx(-20.0, abs=0.01)
    assert [audio_level(level) for level in (3.0, 0.0, -20.4, -127.0, -300.0)] == [
        0,
        0,
        20,
        127,
        127,
    ]
