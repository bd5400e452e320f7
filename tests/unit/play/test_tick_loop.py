"""When a server's ticks are due, on good timers and bad ones."""

import pytest

from netcode.play.tick_clock import CATCH_UP, LATE, TickLoop

COARSE = 0.0156  # Windows


def run(loop: TickLoop, start: float, seconds: float, step: float) -> int:
    """Ask every ``step`` seconds; how many ticks were due in all."""
    ticks, n = 0, 1
    while n * step <= seconds:
        ticks += loop.due(start + n * step)
        n += 1
    return ticks


@pytest.mark.parametrize("rate", [1, 20, 30, 60, 64, 128])
@pytest.mark.parametrize("step", [0.001, 1 / 240, COARSE])
def test_any_timer_gives_the_right_number_of_ticks_none_of_them_late(
    rate: float, step: float
) -> None:
    loop = TickLoop(rate, 1000.0)
    assert run(loop, 1000.0, 20.0, step) == pytest.approx(20 * rate, abs=1 + rate * step)
    assert (loop.late, loop.skipped) == (0, 0)


def test_nothing_is_due_before_its_time() -> None:
    loop = TickLoop(50, 0.0)
    assert loop.next_at == pytest.approx(0.02)
    assert loop.due(0.0199) == 0
    assert loop.due(0.0201) == 1
    assert loop.due(0.0202) == 0


def test_a_short_stall_is_made_up_for() -> None:
    loop = TickLoop(60, 0.0)
    assert loop.due(4.5 / 60) == 4
    assert loop.skipped == 0


def test_a_stall_is_made_up_for_only_so_far_and_the_rest_is_counted() -> None:
    loop = TickLoop(60, 0.0)
    assert loop.due(2.0 + 0.001) == CATCH_UP
    assert loop.skipped == 120 - CATCH_UP
    assert loop.due(2.0 + 0.002) == 0
    assert loop.due(2.0 + 0.001 + 1 / 60) == 1


def test_only_ticks_that_ran_count_as_late() -> None:
    loop = TickLoop(60, 0.0)
    loop.due(2.0 + 0.001)
    # The newest five were due 1, 18, 34, 51 and 68 ms ago; 18 ms is not late yet.
    assert LATE == 0.020
    assert loop.late == 3


def test_a_night_asleep_costs_nothing() -> None:
    loop = TickLoop(1000, 0.0)
    week = 7 * 24 * 3600.0
    assert loop.due(week) == CATCH_UP
    assert loop.skipped == pytest.approx(1000 * week, abs=CATCH_UP + 1)
    assert loop.late <= CATCH_UP
    assert week < loop.next_at <= week + 0.0011


@pytest.mark.parametrize("cost", [1.01, 1.5, 4.0])
def test_a_server_that_is_too_slow_does_not_spiral(cost: float) -> None:
    """Each tick takes ``cost`` times its interval: it falls behind steadily, not ever faster."""
    interval = 1 / 60
    loop, now, ran = TickLoop(60, 0.0), 0.0, 0
    for _ in range(2000):
        count = loop.due(now)
        assert count <= CATCH_UP
        ran += count
        now += count * cost * interval or interval / 10
        # It is never further behind than what one round of catching up takes.
        assert now - loop.next_at < (CATCH_UP + 1) * cost * interval
    assert ran == pytest.approx(now / (cost * interval), rel=0.02)
    assert ran + loop.skipped == pytest.approx(now * 60, abs=(CATCH_UP + 1) * cost)
