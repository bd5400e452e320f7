"""What is recorded of each speaker, and when it is on the disk."""

from pathlib import Path

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice import recording
from netcode.voice.opus import FRAME
from netcode.voice.recording import MixRecorder, Recorder
from netcode.voice.rtp import VoicePacket
from netcode.voice.sources import Tone
from tests.unit.voice.test_ogg import decode, levels, pages_of, tone

TICK = 0.02
START = 5_000.0
SOUND = tone(400)


def packet(number: int, timestamp: int | None = None, marker: bool = False) -> VoicePacket:
    at = 1_000 + number * FRAME if timestamp is None else timestamp
    return VoicePacket(7, number % 65_536, at % 2**32, 20, marker, SOUND[number % len(SOUND)])


def file_of(folder: Path, speaker: int = 7) -> bytes:
    return (folder / f"voice-{speaker}.opus").read_bytes()


def frames_in(data: bytes) -> float:
    return pages_of(data)[-1][1] / FRAME


def packets_in(data: bytes) -> list[bytes]:
    return [one for page in pages_of(data)[2:] for one in page[3]]


def heard(folder: Path, speaker: int = 7) -> np.ndarray:
    """Which 20 ms of a file are loud."""
    return levels(decode(file_of(folder, speaker), "libopus")) > 0.05


def test_packets_are_written_as_they_came(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(150):
        recorder.take(7, packet(number), START + number * TICK)
    recorder.close()
    data = file_of(tmp_path)
    assert packets_in(data) == SOUND[:150]
    assert pages_of(data)[-1][0] == 4  # the end of the stream
    assert max(len(page[3]) for page in pages_of(data)) <= 50


def test_at_most_a_second_is_not_on_the_disk(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(300):
        recorder.take(7, packet(number), START + number * TICK)
        assert number - frames_in(file_of(tmp_path)) <= 50
    recorder.step(START + 300 * TICK + 0.9)
    assert frames_in(file_of(tmp_path)) == 300


def test_speakers_lie_side_by_side(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "new" / "folder")
    recorder.step(START)
    for number in range(200):
        now = START + number * TICK
        if 50 <= number < 100:
            recorder.take(7, packet(number), now)
        if number >= 120:
            recorder.take(9, packet(number, timestamp=number * FRAME), now)
    recorder.close()
    first, second = (heard(tmp_path / "new" / "folder", speaker) for speaker in (7, 9))
    assert abs(first.argmax() - 50) <= 1
    assert abs(len(first) - 100) <= 2
    assert abs(second.argmax() - 120) <= 1
    assert abs(len(second) - 200) <= 2


def test_a_pause_is_silent_and_as_long_as_it_was(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(50):
        recorder.take(7, packet(number), START + number * TICK)
    for number in range(1_050, 1_100):
        recorder.step(START + number * TICK)
        recorder.take(7, packet(number, marker=number == 1_050), START + number * TICK)
    recorder.close()
    loud = heard(tmp_path)
    assert loud[2:49].all()
    assert not loud[52:1_049].any()
    assert loud[1_052:].all()
    assert abs(len(loud) - 1_100) <= 2
    assert len(file_of(tmp_path)) < 30_000
    ends = [page[1] for page in pages_of(file_of(tmp_path))]
    assert np.diff(ends).max() <= 48_000  # no page is longer than a second


def test_lost_packets_are_gaps_and_reordered_ones_are_put_right(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    order = list(range(200))
    for at in range(3, 190, 7):
        order[at], order[at + 2] = order[at + 2], order[at]
    order = [number for number in order if number not in (30, 90, 91)]
    for step, number in enumerate(order):
        recorder.take(7, packet(number), START + step * TICK)
    recorder.close()
    written = packets_in(file_of(tmp_path))
    kept = [one for one in written if len(one) > 1]
    assert kept == [SOUND[number] for number in range(200) if number not in (30, 90, 91)]
    assert [at for at, one in enumerate(written) if len(one) == 1] == [30, 90, 91]
    assert recorder.left_out == 0


def test_doubled_and_very_late_packets_are_left_out(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(100):
        recorder.take(7, packet(number), START + number * TICK)
        recorder.take(7, packet(number), START + number * TICK)
    recorder.take(7, packet(3), START + 2.0)
    recorder.close()
    assert packets_in(file_of(tmp_path)) == SOUND[:100]
    assert recorder.left_out == 101


@pytest.mark.parametrize("jump", [10 * 48_000, -10 * 48_000, 2**31, 48_000 * 3_600 * 10])
def test_nobody_can_make_a_file_long(tmp_path: Path, jump: int) -> None:
    recorder = Recorder(tmp_path)
    for number in range(200):
        timestamp = 1_000 + number * FRAME + (jump if number >= 100 else 0)
        recorder.take(7, packet(number, timestamp), START + number * TICK)
    recorder.close()
    assert abs(frames_in(file_of(tmp_path)) - 200) <= 1
    assert len(packets_in(file_of(tmp_path))) >= 195


def test_a_speaker_whose_timestamps_make_no_sense_is_bounded(tmp_path: Path) -> None:
    chance = np.random.default_rng(4)
    recorder = Recorder(tmp_path)
    for number in range(500):
        timestamp = int(chance.integers(0, 2**32))
        recorder.take(7, packet(number, timestamp, number % 3 == 0), START + number * TICK)
    recorder.close()
    assert frames_in(file_of(tmp_path)) <= 500 + recording.ASTRAY


def test_timestamps_run_over(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(100):
        recorder.take(7, packet(number, 2**32 - 50 * FRAME + number * FRAME), START + number * TICK)
    recorder.close()
    assert packets_in(file_of(tmp_path)) == SOUND[:100]


def test_a_clock_that_runs_fast_is_set_in_a_pause(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    for number in range(2_000):
        if number % 100 < 50:
            timestamp = int(number * 1.01) * FRAME
            marker = number % 100 == 0
            recorder.take(7, packet(number, timestamp, marker), START + number * TICK)
    recorder.close()
    assert abs(frames_in(file_of(tmp_path)) - 1_950) <= 12


@pytest.mark.parametrize("payload", [b"\x18abc", b"\xfb", b"\xfb\x06aaaaaa", b"\xe0a"])
def test_what_is_no_frame_of_20_ms_is_left_out(tmp_path: Path, payload: bytes) -> None:
    recorder = Recorder(tmp_path)
    recorder.take(7, VoicePacket(7, 1, 960, 20, True, payload), START)
    recorder.close()
    assert recorder.left_out == 1
    assert list(tmp_path.iterdir()) == []


def test_speakers_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_SPEAKERS", 3)
    recorder = Recorder(tmp_path)
    for speaker in range(5):
        recorder.take(speaker, packet(0), START)
    recorder.close()
    recorder.close()
    recorder.take(0, packet(1), START)
    assert len(list(tmp_path.iterdir())) == 3
    assert recorder.left_out == 2


def test_no_recording_is_written_over(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.take(7, packet(0), START)
    recorder.close()
    with pytest.raises(UsageError, match="another folder"):
        Recorder(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be made"):
        Recorder(tmp_path / "file")


def mixed(hz_left: float, hz_right: float, frames: int) -> list[np.ndarray]:
    left, right = Tone(hz_left), Tone(hz_right, -26.0)
    return [np.stack([left.next(), right.next()], axis=1) for _ in range(frames)]


def test_a_mix_is_written_as_opus_each_second(tmp_path: Path) -> None:
    recorder = MixRecorder(tmp_path / "mix.opus")
    for number, frame in enumerate(mixed(440, 880, 175), start=1):
        recorder.take(frame)
        assert number - frames_in((tmp_path / "mix.opus").read_bytes()) <= 51
    recorder.close()
    recorder.close()
    data = (tmp_path / "mix.opus").read_bytes()
    assert pages_of(data)[-1][0] == 4
    assert frames_in(data) >= 175
    assert levels(decode(data, "opus"))[5:170] == pytest.approx(0.1, abs=0.02)


def test_a_mix_has_the_bits_it_should(tmp_path: Path) -> None:
    recorder = MixRecorder(tmp_path / "mix.opus")
    for frame in mixed(440, 880, 250):
        recorder.take(frame)
    recorder.close()
    assert (tmp_path / "mix.opus").stat().st_size * 8 / (250 * TICK) < 70_000


def test_a_mix_is_written_as_wav(tmp_path: Path) -> None:
    recorder = MixRecorder(tmp_path / "mix.WAV")
    for frame in mixed(440, 880, 60):
        recorder.take(frame)
    recorder.close()
    assert (tmp_path / "mix.WAV").stat().st_size == 44 + 60 * FRAME * 4


def test_a_mix_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.wav or an \.opus"):
        MixRecorder(tmp_path / "mix.mp3")
    with pytest.raises(UsageError, match="cannot be written"):
        MixRecorder(tmp_path / "missing" / "mix.opus")
