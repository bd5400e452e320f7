"""How long a way is, and how much may be on it."""

import pytest

from netcode.transports.pacing import LEAST_WINDOW, MOST_WINDOW, UNKNOWN, RoundTrip, Window


def test_nothing_is_known_at_first() -> None:
    assert (RoundTrip().smoothed, RoundTrip().least()) == (None, UNKNOWN)


def test_one_late_acknowledgement_changes_little() -> None:
    way = RoundTrip()
    for tick in range(10):
        way.measured(0.1, tick * 0.05)
    way.measured(0.9, 0.5)
    assert way.smoothed == pytest.approx(0.2)
    assert way.least() == 0.1


def test_a_route_that_gets_longer_is_believed_after_a_while() -> None:
    way = RoundTrip()
    way.measured(0.05, 0.0)
    for second in range(1, 30):
        way.measured(0.2, float(second))
        assert way.least() == (0.05 if second < 22 else 0.2)
    way.measured(0.03, 30.0)
    assert way.least() == 0.03


def test_a_window_follows_what_the_way_bears_within_bounds() -> None:
    window = Window()
    for _ in range(100):
        window.acknowledged(1_000, late=0.0)
    assert window.size == MOST_WINDOW
    window.acknowledged(1_000, late=0.05)
    assert window.size == MOST_WINDOW
    for _ in range(100):
        window.acknowledged(1_000, late=5.0)
    assert window.size == LEAST_WINDOW
