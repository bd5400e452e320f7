"""The transport in memory: what each lane means when the wire loses messages."""

import random
from collections.abc import Callable

import pytest

from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane, Transport
from netcode.transports.link_model import Conditions
from netcode.transports.loopback import (
    CHUNK,
    MAX_BACKLOG,
    MAX_EARLY_BYTES,
    LoopbackTransport,
    loopback_pair,
)

SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])
DELAY = 0.05
RTO = 0.2  # above 1.5 round trips of 0.1 s
ANY_LANE = pytest.mark.parametrize("lane", list(Lane), ids=lambda lane: lane.name)
RETRANSMITTED = [lane for lane in Lane if lane not in (Lane.UNRELIABLE, Lane.EXPIRING_100)]


class Lab:
    """Two ends on a wire, a hand-driven clock, and everything that either end heard."""

    def __init__(
        self, forth: Conditions | None = None, back: Conditions | None = None, seed: int = 1
    ) -> None:
        self.now = 0.0
        forth = forth or Conditions(delay=DELAY)
        self.a, self.b, self.wire = loopback_pair(
            lambda: self.now, forth=forth, back=back or forth, seed=seed
        )
        self.heard: list[tuple[float, str, Lane, bytes]] = []
        self.closed: list[tuple[float, str, str]] = []
        self.start(self.a, "a")
        self.start(self.b, "b")

    def start(self, end: LoopbackTransport, name: str) -> None:
        end.start(
            lambda lane, data: self.heard.append((self.now, name, lane, data)),
            lambda reason: self.closed.append((self.now, name, reason)),
        )

    def run(self, seconds: float) -> None:
        """Step from event to event, so that everything happens at its own time."""
        end = self.now + seconds
        while (due := self.wire.next_time()) is not None and due <= end:
            self.now = max(self.now, due)
            self.wire.advance(self.now)
        self.now = end

    def at(self, name: str) -> list[bytes]:
        return [data for _, who, _, data in self.heard if who == name]

    def times(self, name: str) -> list[float]:
        return [time for time, who, _, _ in self.heard if who == name]


def lose_first(count: int) -> Callable[[LoopbackTransport, Lane, bytes], bool]:
    """Lose the first ``count`` transmissions, whatever they are."""
    left = [count]

    def predicate(sender: LoopbackTransport, lane: Lane, data: bytes) -> bool:
        left[0] -= 1
        return left[0] >= 0

    return predicate


def test_it_is_a_transport() -> None:
    end: Transport = Lab().a
    assert end.kind == "loopback"


@ANY_LANE
def test_a_message_arrives_after_the_delay_in_either_direction(lane: Lane) -> None:
    lab = Lab()
    lab.a.send(lane, b"to b")
    lab.b.send(lane, b"to a")
    lab.run(1)
    assert sorted(lab.heard) == [
        (pytest.approx(DELAY), "a", lane, b"to a"),
        (pytest.approx(DELAY), "b", lane, b"to b"),
    ]


def test_nothing_moves_before_its_time() -> None:
    lab = Lab()
    assert lab.wire.next_time() is None
    lab.a.send(Lane.UNRELIABLE, b"x")
    assert lab.wire.next_time() == pytest.approx(DELAY)
    lab.wire.advance(DELAY - 0.001)
    assert lab.heard == []
    lab.wire.advance(DELAY)
    assert lab.at("b") == [b"x"]


def test_one_late_advance_delivers_everything_in_order() -> None:
    lab = Lab()
    for n in range(5):
        lab.now = n * 0.01
        (lab.a if n % 2 else lab.b).send(Lane.UNRELIABLE, bytes([n]))
    lab.now = 60
    lab.wire.advance(lab.now)
    assert [data for *_, data in lab.heard] == [bytes([n]) for n in range(5)]


# -- lanes under loss ------------------------------------------------------------------------


def test_unreliable_is_sent_once() -> None:
    lab = Lab()
    lab.wire.drop(lose_first(1))
    lab.a.send(Lane.UNRELIABLE, b"lost")
    lab.a.send(Lane.UNRELIABLE, b"found")
    lab.run(10)
    assert lab.at("b") == [b"found"]


@pytest.mark.parametrize("lane", RETRANSMITTED, ids=lambda lane: lane.name)
def test_a_lost_message_comes_again_after_the_timeout(lane: Lane) -> None:
    lab = Lab()
    lab.wire.drop(lose_first(1))
    lab.a.send(lane, b"x")
    lab.run(10)
    assert lab.times("b") == [pytest.approx(RTO + DELAY)]


def test_the_timeout_grows_with_the_round_trip() -> None:
    lab = Lab(Conditions(delay=0.3), Conditions(delay=0.1))
    lab.wire.drop(lose_first(1))
    lab.a.send(Lane.RELIABLE, b"x")
    lab.run(10)
    assert lab.times("b") == [pytest.approx(1.5 * 0.4 + 0.3)]


def test_reliable_waits_for_the_gap_and_unordered_does_not() -> None:
    for lane, order in ((Lane.RELIABLE, [b"1", b"2"]), (Lane.UNORDERED, [b"2", b"1"])):
        lab = Lab()
        lab.wire.drop(lose_first(1))
        lab.a.send(lane, b"1")
        lab.a.send(lane, b"2")
        lab.run(0.1)
        assert lab.at("b") == ([] if lane is Lane.RELIABLE else [b"2"])
        lab.run(10)
        assert lab.at("b") == order


@pytest.mark.parametrize(
    ("lane", "losses_survived"),
    [
        (Lane.EXPIRING_100, 0),  # retransmissions would leave at 0.2, 0.4, 0.6 … s
        (Lane.EXPIRING_250, 1),
        (Lane.EXPIRING_500, 2),
        (Lane.EXPIRING_1000, 5),
    ],
    ids=lambda value: value.name if isinstance(value, Lane) else str(value),
)
def test_expiring_is_sent_again_only_within_its_lifetime(lane: Lane, losses_survived: int) -> None:
    for losses in (losses_survived, losses_survived + 1):
        lab = Lab()
        lab.wire.drop(lose_first(losses))
        lab.a.send(lane, b"x")
        lab.run(10)
        assert lab.at("b") == ([b"x"] if losses == losses_survived else [])
        assert lab.a.backlog() == 0


@SEEDS
@pytest.mark.parametrize("lane", [Lane.RELIABLE, Lane.UNORDERED])
def test_every_reliable_message_survives_terrible_weather(seed: int, lane: Lane) -> None:
    rng = random.Random(seed)
    bad = Conditions(
        delay=0.1, jitter=0.1, loss=0.25, burst=3, duplicate=0.25, reorder=0.1, reorder_by=0.2
    )
    lab = Lab(bad, seed=seed)
    messages = [n.to_bytes(2, "big") + rng.randbytes(rng.randrange(5_000)) for n in range(200)]
    for message in messages:
        lab.a.send(lane, message)
        lab.run(0.01)
    lab.run(60)
    if lane is Lane.RELIABLE:
        assert lab.at("b") == messages
    else:
        assert lab.at("b") != messages
        assert sorted(lab.at("b")) == messages
    assert lab.a.backlog() == 0


@SEEDS
def test_unreliable_loses_what_the_weather_loses_and_repeats_nothing(seed: int) -> None:
    lab = Lab(Conditions(loss=0.2, duplicate=0.5), seed=seed)
    for n in range(1_000):
        lab.a.send(Lane.UNRELIABLE, n.to_bytes(2, "big"))
    lab.run(1)
    assert 720 < len(lab.at("b")) < 880
    assert len(set(lab.at("b"))) == len(lab.at("b"))


def test_a_long_message_is_as_many_packets_and_dies_with_one_of_them() -> None:
    share = {}
    for chunks in (1, 10):
        lab = Lab(Conditions(loss=0.1), seed=5)
        for _ in range(300):
            lab.a.send(Lane.UNRELIABLE, bytes(chunks * CHUNK))
        lab.run(1)
        share[chunks] = len(lab.at("b")) / 300
    assert share[1] == pytest.approx(0.9, abs=0.06)
    assert share[10] == pytest.approx(0.9**10, abs=0.1)


def test_the_same_seed_is_the_same_story() -> None:
    def story(seed: int) -> list[tuple[float, str, Lane, bytes]]:
        lab = Lab(Conditions(delay=0.05, jitter=0.02, loss=0.2), seed=seed)
        for n in range(100):
            lab.a.send(Lane(n % 7), bytes([n]))
            lab.b.send(Lane(n % 7), bytes([n]))
            lab.run(0.01)
        lab.run(5)
        return lab.heard

    assert story(3) == story(3)
    assert story(3) != story(4)


# -- the hand on the wire --------------------------------------------------------------------


def test_drop_chooses_by_sender_lane_and_message() -> None:
    lab = Lab()
    lab.wire.drop(lambda sender, lane, data: sender is lab.a and data == b"no")
    for end in (lab.a, lab.b):
        end.send(Lane.UNRELIABLE, b"no")
        end.send(Lane.UNRELIABLE, b"yes")
    lab.run(1)
    assert lab.at("b") == [b"yes"]
    assert lab.at("a") == [b"no", b"yes"]
    lab.wire.drop(None)
    lab.a.send(Lane.UNRELIABLE, b"no")
    lab.run(1)
    assert lab.at("b") == [b"yes", b"no"]


def test_an_outage_delays_reliable_messages_and_ends() -> None:
    lab = Lab()
    lab.wire.drop(lambda *_: True)
    lab.a.send(Lane.RELIABLE, b"x")
    lab.run(3)
    assert lab.heard == []
    lab.wire.drop(None)
    lab.run(RTO + DELAY)
    assert lab.at("b") == [b"x"]


def test_cut_is_silent_both_ways() -> None:
    lab = Lab()
    lab.a.send(Lane.RELIABLE, b"on its way")
    lab.wire.cut()
    lab.a.send(Lane.RELIABLE, b"after")
    lab.b.send(Lane.UNRELIABLE, b"after")
    lab.a.close()
    lab.run(3_600)
    assert lab.heard == []
    assert [who for _, who, _ in lab.closed] == ["a"]
    assert lab.b.backlog() == len(b"after")
    assert lab.wire.next_time() is None


def test_conditions_can_change() -> None:
    lab = Lab()
    lab.wire.set_conditions(Conditions(delay=0.5), Conditions(loss=1))
    lab.a.send(Lane.UNRELIABLE, b"slow")
    lab.b.send(Lane.UNRELIABLE, b"lost")
    lab.run(2)
    assert [(time, who) for time, who, *_ in lab.heard] == [(pytest.approx(0.5), "b")]


def test_ends_that_answer_each_other_for_ever_do_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netcode.transports.loopback.MAX_EVENTS", 1_000)
    a, b, wire = loopback_pair(lambda: 0.0, seed=1)
    a.start(a.send, print)
    b.start(b.send, print)
    a.send(Lane.UNRELIABLE, b"ping")
    with pytest.raises(RuntimeError, match="delay"):
        wire.advance(0.0)


# -- backlog and statistics ------------------------------------------------------------------


@ANY_LANE
def test_backlog_counts_until_the_acknowledgement_is_back(lane: Lane) -> None:
    lab = Lab()
    lab.a.send(lane, b"12345")
    lab.run(0.02)
    lab.a.send(lane, b"678")
    assert lab.a.backlog() == 8
    assert lab.b.backlog() == 0
    lab.run(0.081)  # the first arrived at 0.05, its acknowledgement at 0.10
    assert lab.a.backlog() == 3
    lab.run(0.02)
    assert lab.a.backlog() == 0


def test_backlog_grows_with_the_queue_of_a_slow_link() -> None:
    lab = Lab(Conditions(rate=10_000, queue=1_000))
    for _ in range(100):
        lab.a.send(Lane.RELIABLE, bytes(907))  # 1,000 bytes each with headers: 10 s in all
    lab.run(4.95)
    assert lab.a.backlog() == 51 * 907
    lab.run(6)
    assert lab.a.backlog() == 0


def test_statistics_count_messages_and_bytes() -> None:
    lab = Lab()
    lab.wire.drop(lose_first(1))
    lab.a.send(Lane.UNRELIABLE, b"lost")
    lab.a.send(Lane.RELIABLE, b"123")
    lab.run(1)
    assert (lab.a.stats.messages_sent, lab.a.stats.bytes_sent) == (2, 7)
    assert (lab.b.stats.messages_received, lab.b.stats.bytes_received) == (1, 3)


# -- start, close, misuse --------------------------------------------------------------------


def test_what_arrives_before_start_is_delivered_first() -> None:
    now = 0.0
    a, b, wire = loopback_pair(lambda: now, seed=1)
    a.send(Lane.RELIABLE, b"1")
    a.send(Lane.UNRELIABLE, b"2")
    wire.advance(now)
    a.close()
    wire.advance(now)
    story: list[object] = []
    b.start(lambda lane, data: story.append(data), story.append)
    assert story == [b"1", b"2"]
    wire.advance(now)
    assert story == [b"1", b"2", "the other end closed the connection"]


def test_what_is_kept_before_start_is_bounded() -> None:
    a, b, wire = loopback_pair(lambda: 0.0, seed=1)
    fits = MAX_EARLY_BYTES // MAX_TRANSPORT_MESSAGE
    for _ in range(fits + 3):
        a.send(Lane.UNRELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
        wire.advance(0.0)
    received: list[bytes] = []
    b.start(lambda lane, data: received.append(data), lambda reason: None)
    assert len(received) == fits
    assert b.stats.dropped == 3


def test_losing_a_reliable_message_before_start_closes() -> None:
    a, b, wire = loopback_pair(lambda: 0.0, seed=1)
    reasons: list[str] = []
    a.start(lambda lane, data: None, reasons.append)
    for _ in range(MAX_EARLY_BYTES // MAX_TRANSPORT_MESSAGE + 1):
        a.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
    wire.advance(0.0)
    b.start(lambda lane, data: None, reasons.append)
    wire.advance(0.0)
    assert sorted(reasons) == [
        "the other end closed the connection",
        "the other end sent more than this end keeps before it has started",
    ]


def test_close_tells_this_end_now_and_the_other_after_the_delay() -> None:
    lab = Lab()
    lab.a.send(Lane.RELIABLE, b"before")
    lab.a.close()
    lab.a.close()
    assert lab.closed == []  # callbacks never come from inside a method
    lab.run(0)
    assert lab.closed == [(0.0, "a", "closed")]
    lab.a.send(Lane.RELIABLE, b"after")
    lab.b.send(Lane.RELIABLE, b"to nobody")
    lab.run(10)
    assert lab.at("b") == [b"before"]
    assert lab.at("a") == []
    assert lab.closed[1:] == [(pytest.approx(DELAY), "b", "the other end closed the connection")]
    assert lab.a.backlog() == lab.b.backlog() == 0


def test_both_ends_closing_at_once_are_each_told_once() -> None:
    lab = Lab()
    lab.a.close()
    lab.b.close()
    lab.run(10)
    assert sorted(who for _, who, _ in lab.closed) == ["a", "b"]


def test_closing_inside_a_callback_stops_deliveries() -> None:
    now = 0.0
    a, b, wire = loopback_pair(lambda: now, seed=1)
    story: list[str] = []

    def receive(lane: Lane, data: bytes) -> None:
        story.append("received")
        b.close()

    b.start(receive, story.append)
    a.send(Lane.RELIABLE, b"1")
    a.send(Lane.RELIABLE, b"2")
    wire.advance(now)
    assert story == ["received", "closed"]


def test_a_callback_that_raises_is_logged_and_harmless(caplog: pytest.LogCaptureFixture) -> None:
    a, b, wire = loopback_pair(lambda: 0.0, seed=1)
    received: list[bytes] = []

    def fail(lane: Lane, data: bytes) -> None:
        received.append(data)
        raise ZeroDivisionError("user code")

    b.start(fail, lambda reason: 1 / 0)
    a.send(Lane.RELIABLE, b"1")
    a.send(Lane.RELIABLE, b"2")
    wire.advance(0.0)
    b.close()
    wire.advance(0.0)
    assert received == [b"1", b"2"]
    assert [record.exc_info is not None for record in caplog.records] == [True] * 3


async def test_wait_closed_returns() -> None:
    lab = Lab()
    lab.a.close()
    await lab.a.wait_closed()


def test_misuse_raises() -> None:
    lab = Lab()
    with pytest.raises(ValueError, match="16384"):
        lab.a.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE + 1))
    with pytest.raises(ValueError, match="started"):
        lab.start(lab.a, "a")


def test_a_sender_that_ignores_the_backlog_is_closed() -> None:
    lab = Lab()
    for _ in range(MAX_BACKLOG // MAX_TRANSPORT_MESSAGE + 1):
        lab.a.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
    lab.run(0)
    assert lab.closed == [(0.0, "a", "send queue overflow")]
