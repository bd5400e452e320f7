"""Meters: amounts per second over the last second."""

import pytest

from netcode.core.stats import METER_WINDOW, Meter


def test_a_meter_that_was_never_used_reads_nothing() -> None:
    assert Meter().rate(5.0) == 0.0


@pytest.mark.parametrize("rate", [1, 20, 60, 1000])
def test_a_steady_stream_reads_as_its_rate(rate: int) -> None:
    meter = Meter()
    for n in range(3 * rate + 1):
        meter.add(100.0 + n / rate, 2.0)
    assert meter.rate(103.0) == pytest.approx(2.0 * rate, rel=0.01)


def test_the_first_second_is_not_read_as_if_it_had_been_a_whole_one() -> None:
    meter = Meter()
    for n in range(10):
        meter.add(100.0 + n / 20)
    assert meter.rate(100.5) == pytest.approx(20, rel=0.01)


def test_a_single_event_is_not_read_as_a_flood() -> None:
    meter = Meter()
    meter.add(100.0)
    assert meter.rate(100.0) <= 10 / METER_WINDOW


def test_what_is_long_past_is_forgotten() -> None:
    meter = Meter()
    meter.add(100.0, 1e9)
    meter.add(100.1, 0.3)
    assert meter.rate(200.0) == pytest.approx(0.0, abs=1e-6)
    assert not meter._entries
