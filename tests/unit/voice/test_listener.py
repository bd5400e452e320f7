"""All voices of one player: who is heard, how loud, from where; and two threads at once."""

import logging
import math
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice import opus
from netcode.voice.listener import HOLD, MOST_SPEAKERS, Listener
from netcode.voice.opus import FRAME
from netcode.voice.rtp import VoicePacket
from tests.unit.voice.line import STEP, ToneDecoder, numbered


@pytest.fixture
def listener() -> Listener:
    return Listener(decoder=ToneDecoder)


def talk(
    listener: Listener, speakers: list[int], first: int = 0, count: int = 30
) -> Iterator[np.ndarray]:
    """Each speaker's packets, one each 20 ms, and what is heard in between."""
    for n in range(first, first + count):
        for speaker in speakers:
            listener.receive(
                VoicePacket(speaker, n, n * FRAME, 20, n == first, numbered(n)), n * STEP
            )
        yield listener.mix(n * STEP + 0.01).copy()


def loudness(frames: Iterator[np.ndarray]) -> np.ndarray:
    """RMS of the last frame, for both ears."""
    return np.sqrt(np.mean(list(frames)[-1].astype(float) ** 2, axis=0))


TONE = 0.3 / math.sqrt(2)


def test_who_speaks_is_heard_as_loud_as_it_spoke(listener: Listener) -> None:
    np.testing.assert_allclose(loudness(talk(listener, [7])), TONE, rtol=0.01)


def test_nobody_speaks(listener: Listener) -> None:
    out = listener.mix(0.0)
    assert out.shape == (FRAME, 2)
    assert out.dtype == np.float32
    assert not out.any()
    assert listener.speaking == {}


def test_volume_and_mute_are_for_one_speaker(listener: Listener) -> None:
    listener.set_volume(7, 0.5)
    np.testing.assert_allclose(loudness(talk(listener, [7])), TONE / 2, rtol=0.01)
    listener.mute(7)
    assert listener.is_muted(7)
    assert not loudness(talk(listener, [7], 30)).any()
    assert loudness(talk(listener, [7, 8], 60)) == pytest.approx([TONE, TONE], rel=0.01)
    listener.mute(7, False)
    listener.mute(8)
    np.testing.assert_allclose(loudness(talk(listener, [7, 8], 90)), TONE / 2, rtol=0.01)
    assert listener.volume_of(7) == 0.5


def test_deafened_nothing_is_heard_and_nothing_is_late_afterwards(listener: Listener) -> None:
    list(talk(listener, [7]))
    listener.deafened = True
    assert not any(frame.any() for frame in talk(listener, [7], 30))
    assert listener.speaking == {}
    listener.deafened = False
    assert loudness(talk(listener, [7], 60)) == pytest.approx([TONE, TONE], rel=0.01)
    assert listener.stats(7).late == 0


def test_place_says_how_loud_and_from_where(listener: Listener) -> None:
    listener.place = {7: (1.0, 1.0), 8: (0.0, 0.0)}.__getitem__
    left, right = loudness(talk(listener, [7, 8]))
    assert left / right == pytest.approx(0.25, rel=0.01)
    assert list(listener.speaking) == [7], "who is too far away is not heard"


def test_a_place_that_fails_is_logged_once_and_everybody_is_heard(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    listener.place = {7: (math.nan, 0.0)}.__getitem__
    with caplog.at_level(logging.ERROR):
        left, right = loudness(talk(listener, [7, 8]))
    assert left == right > TONE
    assert len(caplog.records) == 1
    assert "Listener.place" in caplog.text


def test_speaking_says_who_is_heard_and_holds_on_a_little(listener: Listener) -> None:
    list(talk(listener, [7]))
    assert listener.speaking[7] == pytest.approx(1 + 20 * math.log10(TONE) / 60, abs=0.02)
    for n in range(30, 70):
        listener.mix(n * STEP + 0.01)
        if n * STEP < 30 * STEP + HOLD - 0.05:
            assert 7 in listener.speaking
    assert listener.speaking == {}


def test_who_is_forgotten_begins_anew(listener: Listener) -> None:
    listener.set_volume(7, 0.1)
    list(talk(listener, [7]))
    assert listener.stats(7).played > 20
    listener.forget(7)
    assert listener.stats(7).played == 0
    assert listener.volume_of(7) == 1.0
    listener.forget(7)


def test_stats_are_a_copy(listener: Listener) -> None:
    list(talk(listener, [7]))
    before = listener.stats(7)
    played = before.played
    list(talk(listener, [7], 30))
    assert before.played == played


def test_who_was_silent_for_longest_makes_room() -> None:
    listener = Listener(decoder=ToneDecoder)
    for speaker in range(MOST_SPEAKERS):
        listener.receive(VoicePacket(speaker, 0, 0, 20, True, numbered(0)), speaker * STEP)
    listener.receive(VoicePacket(0, 1, FRAME, 20, True, numbered(1)), 2.0)
    listener.receive(VoicePacket(999, 1, FRAME, 20, True, numbered(1)), 2.0)
    assert len(listener._speakers) == MOST_SPEAKERS
    assert 1 not in listener._speakers
    assert {0, 2, 999} <= set(listener._speakers)


@pytest.mark.parametrize("volume", [-0.1, 4.1, math.nan])
def test_volumes_that_make_no_sense_are_refused(listener: Listener, volume: float) -> None:
    with pytest.raises(UsageError, match="volume"):
        listener.set_volume(7, volume)


def test_without_libopus_there_is_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise UsageError("voice needs libopus")

    monkeypatch.setattr(opus, "_load", none)
    with pytest.raises(UsageError, match="libopus"):
        Listener()


def test_packets_come_in_while_another_thread_mixes(listener: Listener) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def card() -> None:
        now = 0.0
        try:
            while not done.is_set():
                now += STEP
                assert np.abs(listener.mix(now)).max() <= 1.0
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=card)
    thread.start()
    try:
        for n in range(400):
            for speaker in range(80):
                listener.receive(
                    VoicePacket(speaker, n, n * FRAME, 20, n == 0, numbered(n)), n * STEP
                )
            listener.mute(n % 7, n % 2 == 0)
            listener.forget(n % 11)
            listener.deafened = n % 50 == 49
            assert len(listener.speaking) <= MOST_SPEAKERS
    finally:
        done.set()
        thread.join()
    assert not errors
