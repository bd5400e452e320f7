"""Liveness: the round trip from heartbeats, and silence."""

import itertools
import random

import pytest

from netcode.link.frames import NOTHING_HEARD, Heartbeat
from netcode.link.liveness import (
    EAGER_BEATS,
    EAGER_INTERVAL,
    HEARTBEAT_INTERVAL,
    MAX_RTT,
    SILENCE_LIMIT,
    Liveness,
)

CLOCK = (1 << 32) - 1


def exchange(
    one_way: float, held: float, start: float = 1000.0, apart: float = 5e5
) -> tuple[float | None, float | None]:
    """One beat each way; the other end's clock is ``apart`` seconds off. The RTT at both ends."""
    a, b = Liveness(start), Liveness(start + apart)
    first = a.beat(start, ())
    b.hear_beat(first, start + one_way + apart)
    answer = b.beat(start + one_way + held + apart, ())
    a.hear_beat(answer, start + 2 * one_way + held)
    third = a.beat(start + 2 * one_way + 2 * held, ())
    b.hear_beat(third, start + 3 * one_way + 2 * held + apart)
    return a.rtt, b.rtt


@pytest.mark.parametrize("one_way", [0.0, 0.001, 0.05, 0.4, 2.0])
@pytest.mark.parametrize("held", [0.0, 0.1, 0.25, 5.0])
def test_the_round_trip_leaves_out_how_long_the_echo_was_held(one_way: float, held: float) -> None:
    for rtt in exchange(one_way, held):
        assert rtt == pytest.approx(2 * one_way, abs=0.0021)


def test_the_clock_on_the_wire_goes_round() -> None:
    start = CLOCK / 1000 - 0.02
    for rtt in exchange(0.05, 0.1, start=start, apart=0.0):
        assert rtt == pytest.approx(0.1, abs=0.0021)


@pytest.mark.parametrize("seed", range(20))
def test_a_very_short_round_trip_is_never_mistaken_for_a_negative_one(seed: int) -> None:
    rng = random.Random(seed)
    a, b = exchange(rng.random() / 5000, rng.random(), start=1000 + rng.random())
    assert a is not None
    assert b is not None


def measured(liveness: Liveness, rtt: float, now: float) -> None:
    sent = int((now - rtt) * 1000) % CLOCK
    liveness.hear_beat(Heartbeat(time=1, echo=sent, held=0, acknowledgements=()), now)


def test_the_round_trip_is_smoothed_as_rfc_6298_says() -> None:
    liveness = Liveness(0.0)
    measured(liveness, 0.1, 10.0)
    assert liveness.rtt == pytest.approx(0.1, abs=0.002)
    assert liveness.rtt_deviation == pytest.approx(0.05, abs=0.002)
    measured(liveness, 0.5, 20.0)
    # deviation: 3/4 · 0.05 + 1/4 · 0.4; round trip: 7/8 · 0.1 + 1/8 · 0.5
    assert liveness.rtt_deviation == pytest.approx(0.1375, abs=0.002)
    assert liveness.rtt == pytest.approx(0.15, abs=0.002)


@pytest.mark.parametrize("rtt", [-0.2, -1000.0, MAX_RTT + 1, 1e6])
def test_echoes_that_cannot_be_true_are_not_believed(rtt: float) -> None:
    liveness = Liveness(0.0)
    measured(liveness, 0.1, 10.0)
    before = (liveness.rtt, liveness.rtt_deviation)
    measured(liveness, rtt, 20.0)
    assert (liveness.rtt, liveness.rtt_deviation) == before


@pytest.mark.parametrize("seed", range(5))
def test_whatever_a_peer_makes_up_the_round_trip_stays_possible(seed: int) -> None:
    rng = random.Random(seed)
    liveness, now = Liveness(0.0), 0.0
    for _ in range(500):
        now += rng.random()
        made_up = Heartbeat(rng.randrange(2**32), rng.randrange(2**32), rng.randrange(2**16), ())
        liveness.hear_beat(made_up, now)
        beat = liveness.beat(now, ())
        assert beat.encode()
        assert liveness.rtt is None or 0.0 <= liveness.rtt <= MAX_RTT


def test_before_anything_was_heard_nothing_is_echoed() -> None:
    assert Liveness(5.0).beat(5.0, ()).echo == NOTHING_HEARD


def test_how_long_an_echo_was_held_has_an_end() -> None:
    liveness = Liveness(0.0)
    liveness.hear_beat(Heartbeat(1, NOTHING_HEARD, 0, ()), 0.0)
    assert liveness.beat(500.0, ()).held == 0xFFFF


def test_a_peer_is_dead_after_the_silence_limit_and_not_before() -> None:
    liveness = Liveness(100.0)
    liveness.hear(110.0)
    assert not liveness.is_dead(110.0 + SILENCE_LIMIT)
    assert liveness.is_dead(110.0 + SILENCE_LIMIT + 0.001)
    assert SILENCE_LIMIT < 3.0


@pytest.mark.parametrize("step", [1 / 240, 1 / 60, 0.0156, 0.1])
def test_a_coarse_timer_keeps_the_rate_of_heartbeats(step: float) -> None:
    liveness = Liveness(0.0)
    beats = 0
    for n in itertools.count():
        now = n * step
        if now >= 20.0:
            break
        if liveness.is_due(now):
            liveness.beat(now, ())
            beats += 1
    eager = EAGER_BEATS * EAGER_INTERVAL
    assert beats == pytest.approx(EAGER_BEATS + (20.0 - eager) / HEARTBEAT_INTERVAL, abs=1.5)


def test_after_a_stall_heartbeats_do_not_come_in_a_bunch() -> None:
    liveness = Liveness(0.0)
    for n in range(EAGER_BEATS + 1):
        liveness.beat(n * EAGER_INTERVAL, ())
    sent = 0
    for n in range(10):
        now = 30.0 + n / 100
        if liveness.is_due(now):
            liveness.beat(now, ())
            sent += 1
    assert sent <= 2


def test_who_is_told_that_nothing_is_heard_beats_faster() -> None:
    liveness = Liveness(0.0)
    for n in range(EAGER_BEATS + 2):
        liveness.beat(n * EAGER_INTERVAL, ())
    assert liveness.next_beat > 0.5
    liveness.hear_beat(Heartbeat(time=1, echo=100, held=200, acknowledgements=()), 0.5)
    assert liveness.next_beat > 0.5 + EAGER_INTERVAL
    liveness.hear_beat(Heartbeat(time=2, echo=100, held=1000, acknowledgements=()), 0.5)
    assert liveness.next_beat <= 0.5 + EAGER_INTERVAL
