"""Limits that make no sense are refused; the pace is a burst and then a rate."""

import pytest

from signaling.errors import UsageError
from signaling.limits import Pace, SignalingLimits


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("max_rooms", 0),
        ("max_peers_per_room", -1),
        ("max_peers_per_room", 4_097),
        ("max_connections_per_address", 0),
        ("address_burst", 0),
        ("address_rate", 0.0),
        ("bad_token_rate", -1.0),
        ("join_timeout", 0.0),
        ("message_rate", float("nan")),
        ("byte_burst", 65_535),
        ("parcel_byte_rate", -1.0),
        ("parcel_total_rate", 0),
        ("parcel_queue_bytes_per_sender", 16_384),
    ],
)
def test_limits_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(UsageError, match=setting):
        SignalingLimits(**{setting: value})  # type: ignore[arg-type]


def test_a_rate_of_nothing_switches_relaying_off() -> None:
    assert SignalingLimits().relays
    assert not SignalingLimits(parcel_byte_rate=0).relays


def test_one_peer_cannot_fill_the_queue_of_another() -> None:
    limits = SignalingLimits()
    assert limits.send_queue_messages >= 2 * limits.message_burst
    assert limits.send_queue_bytes >= 2 * limits.byte_burst


def test_a_burst_goes_at_once_and_the_next_one_waits() -> None:
    pace = Pace(burst=3, rate=2, now=0.0)
    assert [pace.take(1, now=0.0) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]


def test_who_keeps_the_rate_never_waits() -> None:
    pace = Pace(burst=1, rate=2, now=0.0)
    assert all(pace.take(1, now=tick * 0.5) == 0 for tick in range(100))


def test_a_pause_earns_no_more_than_one_burst() -> None:
    pace = Pace(burst=2, rate=1, now=0.0)
    assert [pace.take(1, now=1000.0) for _ in range(3)] == [0, 0, 1.0]


def test_what_can_be_spared_is_a_burst_and_then_a_rate() -> None:
    pace = Pace(burst=3, rate=2, now=0.0)
    assert [pace.spare(1, now=0.0) for _ in range(4)] == [True, True, True, False]
    assert [pace.spare(1, now=0.5) for _ in range(2)] == [True, False]


def test_more_than_the_burst_is_not_refused_for_ever() -> None:
    pace = Pace(burst=10, rate=10, now=0.0)
    assert pace.spare(100, now=0.0)
    assert not pace.spare(1, now=9.0)
    assert pace.spare(1, now=9.2)
