"""One speaker's packets become an even stream, with as little delay as the line allows."""

import random

import numpy as np
import pytest

from netcode.errors import WireError
from netcode.voice.jitter_buffer import MOST_PACKETS, JitterBuffer
from netcode.voice.opus import FRAME, RATE
from netcode.voice.rtp import VoicePacket
from tests.unit.voice.line import (
    STEP,
    Line,
    ToneDecoder,
    jittery,
    longest_silence,
    numbered,
)

PHASES = [0.001, 0.0065, 0.0125, 0.019]


@pytest.mark.parametrize("phase", PHASES)
def test_on_a_clean_line_a_voice_is_heard_within_a_frame_or_so(phase: float) -> None:
    heard = Line(phase=phase).play(10)
    assert heard.delay_between(2, 10) < 0.026
    assert heard.targets[-1] == pytest.approx(0.025)
    stats = heard.buffer.stats
    assert (stats.concealed, stats.lost, stats.late) == (0, 0, 0)


@pytest.mark.parametrize("phase", PHASES)
def test_the_delay_begins_at_no_more_than_40_ms(phase: float) -> None:
    heard = Line(phase=phase).play(0.3)
    assert 0.02 <= heard.delays[heard.delays > 0][0] <= 0.04
    assert heard.targets[0] == pytest.approx(0.04)


def test_every_frame_is_played_once_and_in_order_whatever_the_order_of_packets() -> None:
    decoder = ToneDecoder()
    line = Line(delay=jittery(0.1), doubled=0.3, buffer=JitterBuffer(decoder))
    heard = line.play(20)
    assert decoder.played == sorted(set(decoder.played))
    assert len(decoder.played) > 970
    assert heard.buffer.stats.concealed_share < 0.01
    assert heard.buffer.stats.lost <= 10  # those that are still under way


def test_what_comes_twice_is_no_news() -> None:
    usual, doubled = Line().play(10), Line(doubled=1.0).play(10)
    np.testing.assert_array_equal(usual.samples, doubled.samples)
    assert doubled.buffer.stats == usual.buffer.stats


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_jitter_cost_no_more_than_the_loss(seed: int) -> None:
    heard = Line(delay=jittery(0.04, loss=0.05), seed=seed).play(60)
    stats = heard.buffer.stats
    assert stats.lost / 3_000 == pytest.approx(0.05, abs=0.015)
    assert stats.concealed_share < 0.03, "some are in the packet after"
    assert stats.recovered > stats.concealed
    assert longest_silence(heard.samples[RATE:]) < 0.06
    assert heard.delay_between(5, 60) < 0.075


def test_for_a_rare_loss_nobody_waits() -> None:
    heard = Line(delay=jittery(0.0, loss=0.01)).play(60)
    stats = heard.buffer.stats
    assert stats.concealed + stats.recovered == pytest.approx(stats.lost, abs=2)
    assert heard.delay_between(2, 60) < 0.026


def test_where_much_is_lost_it_pays_to_wait_for_the_packet_after() -> None:
    heard = Line(delay=jittery(0.0, loss=0.1)).play(60)
    stats = heard.buffer.stats
    assert stats.lost > 250
    assert stats.concealed_share < 0.025
    assert heard.delay_between(2, 60) < 0.046


def test_a_line_that_becomes_worse_is_followed_at_once() -> None:
    heard = Line(
        delay=lambda n, rng: 0.03 + (0.12 * rng.random() if n >= 500 else 0.0),
    ).play(20)
    assert heard.delay_between(8, 10) < 0.03
    assert 0.1 < heard.delay_between(11, 20) < 0.17
    missed = heard.samples[round(11 * RATE) :]
    assert longest_silence(missed) < 0.045


def test_a_line_that_becomes_better_is_followed_in_seconds() -> None:
    heard = Line(
        delay=lambda n, rng: 0.03 + (0.12 * rng.random() if n < 500 else 0.0),
    ).play(16)
    assert heard.delay_between(8, 10) > 0.1
    assert heard.delay_between(14, 16) < 0.035
    assert heard.buffer.stats.concealed_share < 0.02


@pytest.mark.parametrize("late", [True, False], ids=["late", "lost"])
@pytest.mark.parametrize("phase", PHASES)
def test_after_half_a_second_without_packets_the_delay_is_soon_as_before(
    late: bool, phase: float
) -> None:
    def delay(n: int, rng: random.Random) -> float | None:
        usual = 0.03 + 0.02 * rng.random()
        if not 500 <= n < 525:
            return usual
        return usual + (525 - n) * STEP if late else None

    heard = Line(delay=delay, phase=phase).play(20)
    before = heard.delay_between(5, 10)
    assert heard.delay_between(15.5, 16) == pytest.approx(before, abs=0.02)
    after = heard.samples[round(10.7 * RATE) :]
    assert longest_silence(after) < 0.005, "what comes is played at once"
    stats = heard.buffer.stats
    assert stats.lost == (0 if late else 25)
    assert stats.concealed < 30


@pytest.mark.parametrize("drift", [2e-4, -2e-4])
def test_clocks_that_drift_do_not_carry_the_delay_away(drift: float) -> None:
    heard = Line(drift=drift, delay=jittery(0.01)).play(600)
    minutes = [heard.delay_between(t, t + 60) for t in range(0, 600, 60)]
    assert max(minutes) < 0.045
    assert min(minutes) > 0.005
    stats = heard.buffer.stats
    assert stats.concealed <= 3
    assert stats.stretched < 100, "ten times a minute at most"
    assert len(heard.buffer._packets) < 10


@pytest.mark.parametrize("jitter", [0.0, 0.04])
def test_silence_is_no_loss(jitter: float) -> None:
    line = Line(spoken=lambda n: n % 150 < 50, delay=jittery(jitter))
    heard = line.play(60)
    stats = heard.buffer.stats
    assert (stats.lost, stats.concealed) == (0, pytest.approx(0, abs=3))
    assert stats.played > 960
    quiet = np.abs(heard.samples).reshape(-1, FRAME).max(axis=1) == 0
    assert quiet.mean() == pytest.approx(2 / 3, abs=0.02)


def test_a_speaker_who_stopped_is_not_playing() -> None:
    line = Line(spoken=lambda n: n < 50)
    line.play(0.9)
    assert line.buffer.is_playing
    line = Line(spoken=lambda n: n < 50)
    line.play(1.3)
    assert not line.buffer.is_playing


@pytest.mark.parametrize(
    ("sequence", "timestamp"), [(65_500, 2**32 - 30 * FRAME), (1, 2**31 - FRAME)]
)
def test_counters_that_wrap_are_not_noticed(sequence: int, timestamp: int) -> None:
    heard = Line(sequence=sequence, timestamp=timestamp).play(5)
    assert heard.buffer.stats.lost == 0
    assert heard.buffer.stats.played > 240
    assert longest_silence(heard.samples) < 0.002


def test_a_speaker_who_begins_anew_is_heard_again() -> None:
    buffer = JitterBuffer(ToneDecoder())
    for first, sequence, timestamp in ((0, 5, 7_000), (100, 40_000, 3_000_000_000)):
        for n in range(first, first + 100):
            now = n * STEP
            packet = VoicePacket(
                1,
                sequence + n - first,
                timestamp + (n - first) * FRAME,
                20,
                n == first,
                numbered(n),
            )
            buffer.receive(packet, now)
            sound = buffer.pull(now + 0.01).copy()
    assert np.abs(sound).max() > 0.2
    assert buffer.stats.played > 190


class UnendingDecoder(ToneDecoder):
    """What is made up goes on as the tone would: only fading can be heard."""

    def conceal(self) -> np.ndarray:
        return self.decode(numbered(self.played[-1] + 1))


STEEPEST = 0.3 * 2 * np.pi * 440 / RATE
"""Between two samples of the tone."""


@pytest.mark.parametrize("spoken", range(96, 104))
def test_a_voice_that_ends_fades_and_does_not_break_off(spoken: int) -> None:
    """Even if it has just been lengthened, so that samples are left over."""
    heard = Line(
        spoken=lambda n: n < spoken,
        delay=lambda n, rng: 0.03 + 0.001 * max(0, n - 60),
        buffer=JitterBuffer(UnendingDecoder()),
    ).play(3)
    assert heard.buffer.stats.stretched > 2
    last = np.flatnonzero(heard.samples)[-1]
    end = heard.samples[last - 4 * FRAME :]
    assert np.abs(end).max() > 0.2
    assert np.abs(np.diff(end)).max() < 1.5 * STEEPEST
    assert not heard.samples[-RATE // 2 :].any()
    assert heard.buffer.is_idle


def test_a_voice_comes_back_out_of_a_gap_without_a_click() -> None:
    heard = Line(
        delay=lambda n, rng: None if n > 20 and n % 20 in (5, 6, 7) else 0.03,
        payload=lambda n: numbered(n)[:1] + bytes(1) + numbered(n)[2:],  # nothing is told again
        buffer=JitterBuffer(UnendingDecoder()),
    ).play(10)
    assert heard.buffer.stats.concealed > 50
    assert np.abs(np.diff(heard.samples[RATE:])).max() < 1.5 * STEEPEST


def test_what_came_late_is_still_said_as_far_as_the_delay_has_to_grow() -> None:
    """A line that stands still for 60 ms once a second."""

    def delay(n: int, rng: random.Random) -> float:
        return 0.03 + STEP * max(0, 3 - n % 50)

    late = concealed = 0
    for k in range(8):
        stats = Line(delay=delay, phase=0.0025 * k).play(8).buffer.stats
        late, concealed = late + stats.late, concealed + stats.concealed
    assert late < 75
    assert concealed < 85


@pytest.mark.parametrize("block", [2, 3])
def test_a_sound_card_may_ask_for_several_frames_at_once(block: int) -> None:
    heard = Line(block=block, delay=jittery(0.002)).play(20)
    stats = heard.buffer.stats
    assert (stats.lost, stats.concealed, stats.late) == pytest.approx((0, 0, 0), abs=3)
    assert stats.stretched < 20
    assert heard.delay_between(5, 20) < 0.03 + (block - 1) * STEP


def test_a_damaged_packet_is_as_good_as_lost() -> None:
    class Picky(ToneDecoder):
        def decode(self, packet: bytes) -> np.ndarray:
            if packet == b"damaged":
                raise WireError("damaged")
            return super().decode(packet)

    line = Line(
        payload=lambda n: b"damaged" if n % 10 == 5 else numbered(n),
        buffer=JitterBuffer(Picky()),
    )
    stats = line.play(10).buffer.stats
    assert stats.concealed == pytest.approx(50, abs=1)
    assert stats.lost == 0


def test_one_packet_gone_astray_changes_nothing() -> None:
    buffer = JitterBuffer(ToneDecoder())
    for n in range(100):
        now = n * STEP
        buffer.receive(VoicePacket(1, n, n * FRAME, 20, n == 0, numbered(n)), now)
        if n % 20 == 10:
            buffer.receive(VoicePacket(1, 30_000 + 99 * n, 2**31, 20, False, numbered(n)), now)
        buffer.pull(now + 0.01)
    assert buffer.stats.concealed == buffer.stats.late == buffer.stats.lost == 0


def test_packets_that_nobody_asks_for_are_bounded() -> None:
    buffer = JitterBuffer(ToneDecoder())
    for n in range(5_000):
        buffer.receive(VoicePacket(1, n % 2**16, n * FRAME, 20, False, numbered(n)), n * STEP)
    assert len(buffer._packets) == MOST_PACKETS
    buffer.pull(5_000 * STEP)
    assert buffer.stats.delay < 0.04, "and the oldest of them are not worth hearing"


@pytest.mark.parametrize("seed", range(5))
def test_no_order_of_packets_does_harm(seed: int) -> None:
    rng = random.Random(seed)
    buffer = JitterBuffer(ToneDecoder())
    now, sequence, timestamp = 0.0, 0, 0
    for _ in range(5_000):
        now += rng.choice((0.0, 0.02, rng.random()))
        sequence += rng.choice((1, 1, 1, 2, -3, rng.randrange(2**16)))
        timestamp += rng.choice((FRAME, FRAME, 1, 100_000, -FRAME, rng.randrange(2**32)))
        buffer.receive(
            VoicePacket(1, sequence % 2**16, timestamp % 2**32, 0, rng.random() < 0.1, numbered(5)),
            now,
        )
        frame = buffer.pull(now)
        assert frame.shape == (FRAME,)
        assert len(buffer._packets) <= MOST_PACKETS
