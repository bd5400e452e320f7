"""What strangers cost: nonces that need no memory, and a bounded number of paces."""

import pytest

from signaling.errors import UsageError
from signaling.turn.limits import TurnLimits
from signaling.turn.strangers import MAX_REMEMBERED, NONCE_LIFETIME, Nonces, Strangers


def test_a_nonce_is_good_for_its_client_for_ten_minutes() -> None:
    nonces = Nonces(b"key")
    nonce = nonces.make("145.1.1.1", 1111, 5.0)
    assert len(nonce) <= 128  # RFC 8489, 14.10
    for age in (0, 1, NONCE_LIFETIME):
        assert nonces.is_good(nonce, "145.1.1.1", 1111, 5.0 + age)
    assert not nonces.is_good(nonce, "145.1.1.1", 1111, 5.0 + NONCE_LIFETIME + 1)
    assert not nonces.is_good(nonce, "145.1.1.1", 1111, 4.0)
    assert not nonces.is_good(nonce, "145.1.1.1", 1112, 5.0)
    assert not nonces.is_good(nonce, "145.1.1.2", 1111, 5.0)
    assert not Nonces(b"other key").is_good(nonce, "145.1.1.1", 1111, 5.0)


def test_nonsense_is_no_nonce() -> None:
    nonces = Nonces(b"key")
    good = nonces.make("145.1.1.1", 1111, 5.0)
    spoiled = [good[:at] + b"g" + good[at + 1 :] for at in range(len(good))]
    for nonce in (b"", b"x", good + b"0", good[:-1], b"\xff" * len(good), *spoiled):
        assert not nonces.is_good(nonce, "145.1.1.1", 1111, 5.0)


def test_an_address_has_a_burst_and_then_a_rate() -> None:
    strangers = Strangers(TurnLimits(stranger_burst=3, stranger_rate=1), 0.0)
    assert [strangers.may_ask("145.1.1.1", 0.0) for _ in range(4)] == [True, True, True, False]
    assert strangers.may_ask("145.1.1.2", 0.0)
    assert strangers.may_ask("145.1.1.1", 1.0)


def test_an_ipv6_household_is_one_address() -> None:
    strangers = Strangers(TurnLimits(stranger_burst=2, stranger_rate=1), 0.0)
    hosts = [f"2a00:1450:1:2::{last:x}" for last in range(1, 4)]
    assert [strangers.may_ask(host, 0.0) for host in hosts] == [True, True, False]
    assert strangers.may_ask("2a00:1450:1:3::1", 0.0)
    assert strangers.may_ask("fe80::1%eth0", 0.0)


def test_a_flood_from_everywhere_is_remembered_in_bounded_memory() -> None:
    strangers = Strangers(TurnLimits(), 0.0)
    for number in range(3 * MAX_REMEMBERED):
        strangers.may_ask(f"145.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
    assert len(strangers) == MAX_REMEMBERED


def test_who_keeps_asking_is_not_forgotten_in_a_flood() -> None:
    strangers = Strangers(TurnLimits(stranger_burst=10, stranger_rate=0.001), 0.0)
    allowed = 0
    for number in range(3 * MAX_REMEMBERED):
        strangers.may_ask(f"145.{number >> 16}.{number >> 8 & 255}.{number & 255}", 0.0)
        if number % 100 == 0:
            allowed += strangers.may_ask("9.9.9.9", 0.0)
    assert allowed == 10


def test_all_together_are_answered_at_a_bounded_rate() -> None:
    strangers = Strangers(TurnLimits(challenge_rate=5), 0.0)
    assert sum(strangers.may_be_answered(0.0) for _ in range(100)) == 5
    assert sum(strangers.may_be_answered(1.0) for _ in range(100)) == 5


@pytest.mark.parametrize("setting", ["max_allocations", "stranger_rate", "bytes_per_second"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_that_make_no_sense_are_refused(setting: str, value: float) -> None:
    with pytest.raises(UsageError, match=setting):
        TurnLimits(**{setting: value})  # type: ignore[arg-type]
