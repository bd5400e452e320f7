"""What counts as one address, whose word is taken for it, and what one may take."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling import addresses
from signaling.addresses import (
    ADDRESS_MARGIN,
    MAX_PENALTY,
    THIS_MACHINE,
    Addresses,
    Proxies,
    address_of,
)
from signaling.errors import Refused, UsageError
from signaling.limits import Pace, SignalingLimits

ONE, OTHER = "203.0.113.9", "203.0.113.10"


@pytest.mark.parametrize(
    ("ip", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.1", THIS_MACHINE),
        ("127.8.9.1", THIS_MACHINE),
        ("::1", THIS_MACHINE),
        ("::ffff:127.0.0.1", THIS_MACHINE),
        ("", THIS_MACHINE),
    ],
)
def test_what_counts_as_one_address(ip: str, address: str) -> None:
    assert address_of(ip) == address


@pytest.mark.parametrize(
    ("ip", "forwarded", "origin"),
    [
        # Not from a trusted proxy: whatever it says is not looked at.
        ("198.51.100.1", ["203.0.113.9"], "198.51.100.1"),
        ("10.0.0.5", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.5", ["203.0.113.9"], "203.0.113.9"),
        # The client wrote the first entries itself; the proxy appended the last one.
        ("10.0.0.5", ["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["1.2.3.4", "203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["127.0.0.1, 203.0.113.9"], "203.0.113.9"),
        # Two proxies in a row, both trusted.
        ("10.0.0.5", ["1.2.3.4, 203.0.113.9, 10.7.7.7"], "203.0.113.9"),
        ("10.0.0.5", ["2001:db8::1"], "2001:db8::1"),
        # Nothing usable: the nearest that is known.
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("10.0.0.5", ["unknown"], "10.0.0.5"),
        ("10.0.0.5", ["203.0.113.9, nonsense, 10.7.7.7"], "10.7.7.7"),
        ("10.0.0.5", ["10.1.1.1, 10.7.7.7"], "10.1.1.1"),
        ("10.0.0.5", [","] * 1_000, "10.0.0.5"),
    ],
)
def test_a_proxy_is_believed_as_far_as_it_has_written_itself(
    ip: str, forwarded: list[str], origin: str
) -> None:
    assert Proxies(["10.0.0.0/8"]).origin(ip, forwarded) == origin


@given(st.lists(st.text(max_size=60) | st.just("10.0.0.7, 1.2.3.4"), max_size=5))
def test_whatever_a_header_holds_an_address_comes_out(forwarded: list[str]) -> None:
    origin = Proxies(["10.0.0.0/8"]).origin("10.0.0.5", forwarded)
    assert ipaddress.ip_address(origin)
    assert address_of(origin)


@given(st.text(max_size=60))
def test_whatever_a_socket_says_something_is_counted(ip: str) -> None:
    assert len(address_of(ip)) < 60
    assert not Proxies(["10.0.0.0/8"]).trusts(f"x{ip}")


def test_nobody_is_trusted_unless_named() -> None:
    assert Proxies([]).origin("127.0.0.1", ["203.0.113.9"]) == "127.0.0.1"


@pytest.mark.parametrize("wrong", ["proxy.example", "10.0.0", "", "10.0.0.0/40"])
def test_a_proxy_without_an_address_is_misuse(wrong: str) -> None:
    with pytest.raises(UsageError, match="no address of a proxy"):
        Proxies([wrong])


def test_one_text_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(UsageError, match=r"\['10.0.0.5'\]"):
        Proxies("10.0.0.5")


def refused(book: Addresses, address: str, now: float = 0.0) -> bool:
    try:
        book.arrived(address, now)
    except Refused as error:
        return error.code == "too_many_connections"
    return False


def test_connections_at_a_time_are_counted_for_each_address() -> None:
    book = Addresses(SignalingLimits(max_connections_per_address=2))
    for _ in range(2):
        book.opened(ONE)
        assert not refused(book, ONE)
    book.opened(ONE)
    assert refused(book, ONE)
    book.opened(OTHER)
    assert not refused(book, OTHER)
    book.closed(ONE)
    assert not refused(book, ONE)


def test_sockets_far_beyond_the_limit_are_dropped_without_an_answer() -> None:
    book = Addresses(SignalingLimits(max_connections_per_address=2))
    assert [book.opened(ONE) for _ in range(3 + ADDRESS_MARGIN)] == [True] * (
        2 + ADDRESS_MARGIN
    ) + [False]


def test_new_connections_are_a_burst_and_then_a_rate() -> None:
    book = Addresses(SignalingLimits(address_burst=3, address_rate=0.5))
    assert [refused(book, ONE) for _ in range(4)] == [False, False, False, True]
    assert not refused(book, OTHER)
    assert refused(book, ONE, now=1.9)
    assert not refused(book, ONE, now=2.0)


def test_who_keeps_knocking_is_not_shut_out_for_longer() -> None:
    book = Addresses(SignalingLimits(address_burst=1, address_rate=1))
    assert [refused(book, ONE, now=n / 100) for n in range(100)].count(False) == 1
    assert not refused(book, ONE, now=1.0)


def test_bad_tokens_are_answered_ever_later_up_to_a_bound() -> None:
    book = Addresses(SignalingLimits(bad_token_burst=2, bad_token_rate=0.5))
    assert [book.penalty(ONE, 0.0) for _ in range(6)] == [0, 0, 2, 4, MAX_PENALTY, MAX_PENALTY]
    assert book.penalty(OTHER, 0.0) == 0
    assert book.penalty(ONE, 60.0) == 0


def test_this_machine_is_not_limited() -> None:
    book = Addresses(SignalingLimits(max_connections_per_address=1, address_burst=1))
    assert all(book.opened(THIS_MACHINE) for _ in range(100))
    assert not any(refused(book, THIS_MACHINE) for _ in range(1_000))
    assert not any(book.penalty(THIS_MACHINE, 0.0) for _ in range(1_000))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_REMEMBERED", 10)
    book = Addresses(SignalingLimits(address_burst=1, address_rate=0.001, bad_token_burst=1))
    for number in range(100):
        book.opened(f"10.0.0.{number}")
        refused(book, f"10.0.0.{number}")
        book.penalty(f"10.0.0.{number}", 0.0)
        book.closed(f"10.0.0.{number}")
    assert len(book) == 0
    assert len(book._arrivals._paces) == len(book._bad_tokens._paces) == 10
    # The one that has been quiet longest is forgotten first.
    assert refused(book, "10.0.0.95")
    assert not refused(book, "10.0.0.5")


def test_a_pace_that_is_asked_first_takes_nothing_when_it_says_no() -> None:
    pace = Pace(burst=1, rate=2, now=0.0)
    assert [pace.try_take(1, now=0.0) for _ in range(3)] == [0, 0.5, 0.5]
    assert pace.try_take(1, now=0.5) == 0
