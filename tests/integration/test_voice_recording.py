"""A program that records is killed. What it has recorded can be played, to the last second."""

from pathlib import Path

import av
import numpy as np
import pytest

from netcode.voice.opus import FRAME, RATE
from tests.integration.processes import Child

PROGRAM = Path(__file__).parent / "programs" / "voice_recorder.py"
FRAMES = 433
LOUD = 0.05


def play(path: Path) -> np.ndarray:
    """A file as PyAV plays it: samples of shape (count, channels)."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="fltp", rate=RATE)
        pieces = [
            piece.to_ndarray()
            for frame in file.decode(audio=0)
            for piece in resampler.resample(frame)
        ]
    return np.concatenate(pieces, axis=1).T


def loud(sound: np.ndarray) -> np.ndarray:
    frames = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    return np.sqrt(np.mean(frames**2, axis=1)) > LOUD


def pitch(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound * np.hanning(len(sound)))).argmax() * RATE / len(sound))


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """The folder of a program that was killed after frame `FRAMES`."""
    program = Child(str(PROGRAM), str(tmp_path), str(FRAMES))
    try:
        program.wait_for("taken")
        program.process.kill()
        program.process.wait()
    finally:
        program.end()
    return tmp_path


def test_what_was_recorded_can_be_played_to_the_last_second(recorded: Path) -> None:
    for name in ("voice-7.opus", "voice-9.opus", "mix.wav", "mix.opus"):
        frames = len(play(recorded / name)) / FRAME
        assert FRAMES - 51 <= frames <= FRAMES + 1, name


def test_voices_are_where_they_were(recorded: Path) -> None:
    first, second = (play(recorded / f"voice-{speaker}.opus")[:, 0] for speaker in (7, 9))
    assert loud(first)[2:99].all()
    assert loud(first)[106:-1].all()  # FFmpeg takes some frames to go on after a loss
    assert pitch(first[200 * FRAME : 300 * FRAME]) == pytest.approx(440, abs=2)
    heard = loud(second)
    assert heard[2:149].all()
    assert not heard[162:249].any()  # behind the tail
    assert heard[252:-1].all()
    assert pitch(second[270 * FRAME : 370 * FRAME]) == pytest.approx(660, abs=2)


def test_the_mix_has_both_sides(recorded: Path) -> None:
    for name in ("mix.wav", "mix.opus"):
        sound = play(recorded / name)[50 * FRAME : 150 * FRAME]
        assert pitch(sound[:, 0]) == pytest.approx(440, abs=2), name
        assert pitch(sound[:, 1]) == pytest.approx(660, abs=2), name
