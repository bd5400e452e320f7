"""What is done with what is heard."""

import wave
from pathlib import Path

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice.activity import QUIETEST
from netcode.voice.opus import FRAME
from netcode.voice.sinks import FileSink, Meter, NullSink


def stereo(left: float, right: float) -> np.ndarray:
    return np.tile(np.array([left, right], np.float32), (FRAME, 1))


def read(path: Path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 48_000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32_767


def test_a_meter_measures_and_keeps_the_last_frames_only() -> None:
    meter = Meter(keep=3)
    assert meter.level == QUIETEST
    assert meter.heard().shape == (0, 2)
    frame = stereo(0, 0)
    for value in range(5):
        frame[:] = value / 10  # the frame is its owner's, who writes it anew
        meter.take(frame)
    assert meter.taken == 5
    assert meter.level == pytest.approx(20 * np.log10(0.4), abs=0.01)
    assert np.allclose(meter.heard()[::FRAME, 0], [0.2, 0.3, 0.4])


def test_a_file_has_both_sides_and_what_is_too_loud_is_clipped(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "mix.wav")
    sink.take(stereo(0.25, -0.5))
    sink.take(stereo(2.0, -2.0))
    sink.close()
    sink.close()
    sound = read(tmp_path / "mix.wav")
    assert sound.shape == (2 * FRAME, 2)
    assert np.allclose(sound[:FRAME], [0.25, -0.5], atol=1e-4)
    assert np.allclose(sound[FRAME:], [1.0, -1.0], atol=1e-4)


def test_whole_seconds_are_on_the_disk_before_the_file_is_closed(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "mix.wav")
    for _ in range(120):
        sink.take(stereo(0.1, 0.1))
    assert len(read(tmp_path / "mix.wav")) == 2 * 48_000
    sink.close()
    assert len(read(tmp_path / "mix.wav")) == 120 * FRAME


def test_a_path_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        FileSink(tmp_path / "missing" / "mix.wav")


def test_nobody_listens() -> None:
    sink = NullSink()
    sink.take(stereo(1, 1))
    sink.close()
