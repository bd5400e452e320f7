"""The scheduler: who goes next, and how much is handed over at a time."""

from collections import Counter
from itertools import cycle

import pytest

from netcode.link.delivery import EXPIRING, RELIABLE, UNORDERED, UNRELIABLE, Delivery
from netcode.link.scheduler import BULK_IN_FLIGHT, TRICKLE, URGENT_IN_FLIGHT, Scheduler
from netcode.link.session import Channel, Session

LONG = 30_000


class Ways:
    def __init__(self, **deliveries: Delivery) -> None:
        self.session = Session()
        self.scheduler = Scheduler()
        self.now = 0.0
        self.by_name = {
            name: self.session.open(name, delivery)[0] for name, delivery in deliveries.items()
        }
        self._names = {channel.number: name for name, channel in self.by_name.items()}

    def __getitem__(self, name: str) -> Channel:
        return self.by_name[name]

    def fill(self, *names: str, size: int = LONG) -> None:
        for name in names:
            self[name].outgoing.send(bytes(size), self.now)

    def next(self, backlog: int = 0) -> str | None:
        chosen = self.scheduler.next_frame(self.session.channels.values(), backlog, self.now)
        if chosen is None:
            return None
        lane, piece = chosen
        name = self._names[piece.channel]
        assert lane is self[name].delivery.lane
        return name


def test_nothing_waits_nothing_goes() -> None:
    assert Ways(a=RELIABLE).next() is None


def test_what_is_not_reliable_goes_first() -> None:
    ways = Ways(bulk=RELIABLE, voice=UNRELIABLE, hint=EXPIRING(100))
    ways.fill("bulk")
    ways.fill("voice", "hint", size=10)
    assert {ways.next(), ways.next()} == {"voice", "hint"}
    assert ways.next() == "bulk"


def test_long_messages_take_turns_piece_by_piece() -> None:
    ways = Ways(a=RELIABLE, b=UNORDERED, c=RELIABLE)
    ways.fill("a", "b", "c")
    turns = [ways.next() for _ in range(30)]
    assert Counter(turns) == {"a": 10, "b": 10, "c": 10}


@pytest.mark.parametrize("per_pump", [1, 2, 3])
def test_turns_are_fair_also_when_little_fits_at_a_time(per_pump: int) -> None:
    """As when each acknowledgement makes room for one frame more."""
    ways = Ways(a=RELIABLE, b=RELIABLE)
    ways.fill("a", "b")
    turns = []
    for _ in range(8):
        turns += [ways.next() for _ in range(per_pump)]
        assert ways.next(backlog=BULK_IN_FLIGHT) is None
    assert abs(turns.count("a") - turns.count("b")) <= 1


def test_turns_are_fair_beside_a_channel_that_comes_and_goes() -> None:
    ways = Ways(a=RELIABLE, b=RELIABLE, voice=UNRELIABLE)
    ways.fill("a", "b")
    turns = Counter[str | None]()
    for talks in cycle([True, False]):
        if talks:
            ways.fill("voice", size=10)
        turns[ways.next()] += 1
        if turns.total() == 40:
            break
    assert abs(turns["a"] - turns["b"]) <= 1


def test_bulk_waits_while_enough_is_on_its_way() -> None:
    ways = Ways(bulk=RELIABLE)
    ways.fill("bulk")
    assert ways.next(BULK_IN_FLIGHT - 1) == "bulk"
    assert ways.next(BULK_IN_FLIGHT) is None


def test_what_would_be_stale_if_it_waited_for_bulk_may_go_beyond() -> None:
    ways = Ways(voice=UNRELIABLE)
    ways.fill("voice", size=5000)
    assert ways.next(BULK_IN_FLIGHT) == "voice"
    assert ways.next(URGENT_IN_FLIGHT) is None


def test_reliable_messages_trickle_even_when_the_line_is_never_free() -> None:
    """A game whose state alone keeps the line full must still be able to chat."""
    ways = Ways(chat=RELIABLE)
    ways.fill("chat")
    ways.now = 100.0
    went = []
    for _ in range(200):
        ways.now += TRICKLE / 10
        if ways.next(URGENT_IN_FLIGHT) is not None:
            went.append(ways.now)
    assert 19 <= len(went) <= 21
