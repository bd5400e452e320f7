"""Voices that are made rather than recorded."""

import wave
from pathlib import Path

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice.activity import Activity, dbfs
from netcode.voice.opus import RATE
from netcode.voice.sources import FileSource, Hum, Silence, Source, Tone


def played(source: Source, frames: int) -> np.ndarray:
    return np.concatenate([source.next().copy() for _ in range(frames)])


def pitch(sound: np.ndarray) -> float:
    """Hz of the strongest part."""
    strengths = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(strengths.argmax() * RATE / len(sound))


def write_wav(path: Path, samples: np.ndarray, rate: int, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return path


def test_silence_is_silent() -> None:
    assert not played(Silence(), 3).any()


@pytest.mark.parametrize(("hz", "level"), [(440.0, -20.0), (333.3, -6.0), (5_000.0, -40.0)])
def test_a_tone_has_its_pitch_and_level_and_goes_on_between_frames(hz: float, level: float) -> None:
    sound = played(Tone(hz, level), 100)
    assert sound.dtype == np.float32
    assert pitch(sound) == pytest.approx(hz, abs=0.5)
    assert dbfs(sound) == pytest.approx(level, abs=0.05)
    steepest = 2 * np.pi * hz / RATE * np.sqrt(2) * 10 ** (level / 20)
    assert np.abs(np.diff(sound)).max() <= steepest * 1.001


def test_a_hum_is_a_quiet_voice_to_those_who_listen_for_speech() -> None:
    for seed in range(8):
        detector, source = Activity(), Hum(seed)
        heard = [detector.take(source.next()) for _ in range(1_000)]
        assert np.mean(heard) > 0.8, seed
        assert np.abs(played(source, 100)).max() < 0.25, seed


def test_hums_differ_by_seed_and_by_nothing_else() -> None:
    assert np.array_equal(played(Hum(3), 100), played(Hum(3), 100))
    assert not np.allclose(played(Hum(3), 100), played(Hum(11), 100))


def test_a_hum_has_no_clicks() -> None:
    sound = played(Hum(5), 500)
    assert np.abs(np.diff(sound)).max() < 0.05


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (22_050, 1), (44_100, 2)])
def test_a_file_is_played_at_48_khz_on_one_channel(
    tmp_path: Path, rate: int, channels: int
) -> None:
    t = np.arange(rate) / rate
    samples = np.repeat(0.5 * np.sin(2 * np.pi * 700 * t), channels)
    source = FileSource(write_wav(tmp_path / "tone.wav", samples, rate, channels))
    sound = played(source, 50)
    assert pitch(sound) == pytest.approx(700, abs=1)
    assert dbfs(sound) == pytest.approx(-9, abs=0.3)


def test_silence_follows_a_file(tmp_path: Path) -> None:
    source = FileSource(write_wav(tmp_path / "short.wav", np.full(2_400, 0.5), RATE))
    sound = played(source, 2)
    assert not source.ended
    rest = played(source, 3)
    assert source.ended
    assert np.allclose(sound, 0.5, atol=1e-3)
    assert np.allclose(rest[:480], 0.5, atol=1e-3)
    assert not rest[480:].any()


def test_a_loop_goes_on_without_a_gap(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "short.wav", np.full(1_000, 0.5), RATE)
    source = FileSource(path, loop=True)
    assert np.allclose(played(source, 20), 0.5, atol=1e-3)
    assert not source.ended
    source.close()
    source.close()
    assert not played(source, 1).any()
    path.unlink()  # it is closed, which Windows would notice


def test_a_file_that_cannot_be_played_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.wav cannot be played"):
        FileSource(tmp_path / "missing.wav")
    text = tmp_path / "text.wav"
    text.write_text("this is no sound")
    with pytest.raises(UsageError, match=r"text\.wav"):
        FileSource(text)
    with pytest.raises(UsageError, match="no sound in it"):
        FileSource(write_wav(tmp_path / "empty.wav", np.empty(0), RATE), loop=True)


@pytest.mark.parametrize(
    "make",
    [lambda: Tone(0), lambda: Tone(24_000), lambda: Tone(440, 0.0), lambda: Hum(1, -3.0)],
)
def test_what_cannot_be_made_is_refused(make: object) -> None:
    with pytest.raises(UsageError):
        make()  # type: ignore[operator]
