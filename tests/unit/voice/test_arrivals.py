"""How long a line's packets are waited for."""

import random

import pytest

from netcode.voice.arrivals import BIN, FIRST, LONGEST, Arrivals


def after(delays: list[float], arrivals: Arrivals | None = None, begin: float = 0.0) -> Arrivals:
    arrivals = arrivals or Arrivals()
    for n, delay in enumerate(delays):
        sent = begin + n * 0.02
        arrivals.add(sent + delay + 1_000, sent)
    return arrivals


def test_nothing_is_known_at_first() -> None:
    assert Arrivals().need == FIRST


def test_a_clean_line_is_recognised_within_a_third_of_a_second() -> None:
    assert after([0.1] * 15).need == BIN


@pytest.mark.parametrize("jitter", [0.02, 0.05, 0.1, 0.2])
def test_what_is_needed_is_what_95_percent_need(jitter: float) -> None:
    rng = random.Random(1)
    needs = []
    arrivals = Arrivals()
    for n in range(1_000):
        after([0.1 + jitter * rng.random()], arrivals, n * 0.02)
        needs.append(arrivals.need)
    mean = sum(needs[100:]) / 900
    assert mean == pytest.approx(0.95 * jitter, abs=0.01)


def test_one_late_packet_in_a_hundred_is_not_waited_for() -> None:
    assert after(([0.1] * 99 + [0.3]) * 5).need == BIN


def test_what_is_needed_grows_at_once_and_is_forgotten_in_seconds() -> None:
    arrivals = after([0.1] * 200)
    after([0.1 + 0.01 * (n % 10) for n in range(20)], arrivals, 4.0)
    assert arrivals.need >= 0.08
    after([0.1] * 200, arrivals, 4.4)
    assert arrivals.need == BIN


def test_it_is_bounded() -> None:
    rng = random.Random(2)
    arrivals = after([5 * rng.random() for _ in range(500)])
    assert arrivals.need == LONGEST
    assert len(arrivals._fastest) <= 100


def test_a_route_that_becomes_longer_is_a_new_base() -> None:
    arrivals = after([0.1] * 200)
    after([0.2] * 300, arrivals, 4.0)
    assert arrivals.base == pytest.approx(1_000.2)
    assert arrivals.need == BIN


def test_clocks_that_drift_apart_do_not_count_as_lateness() -> None:
    drifted = after([0.1 + 0.02 * n * 2e-4 for n in range(3_000)])
    assert drifted.need == BIN
