"""A link: one session on one transport, from the first heartbeat to the goodbye."""

import pytest

from netcode.errors import SendQueueFull, WireError
from netcode.link import frames
from netcode.link.channels import QUEUE_BYTES
from netcode.link.delivery import RELIABLE, UNORDERED, UNRELIABLE
from netcode.link.frames import Piece
from netcode.link.link import DATAGRAM_IN_FLIGHT, MAX_BAD_FRAMES
from netcode.link.session import Channel
from netcode.transports.base import Lane
from netcode.transports.link_model import Conditions
from tests.unit.link.link_lab import Lab

FAR = Conditions(delay=0.05)
DATAGRAM = bytes([frames.FIRST_DATAGRAM])
GARBAGE = bytes([9]) * 20

RELIABLE_LANES = pytest.mark.parametrize(
    "lane", [Lane.RELIABLE, Lane.UNORDERED], ids=lambda lane: lane.name
)
LOSSY_LANES = pytest.mark.parametrize(
    "lane",
    [lane for lane in Lane if lane not in (Lane.RELIABLE, Lane.UNORDERED)],
    ids=lambda lane: lane.name,
)


# -- talking -------------------------------------------------------------------------------------


def test_messages_go_both_ways_and_datagrams_pass_untouched() -> None:
    lab = Lab(FAR)
    at_a, at_b = lab.open("chat", RELIABLE)
    lab.a.link.send(at_a, b"hello")
    lab.b.link.send(at_b, b"hi")
    assert lab.a.link.send_datagram(DATAGRAM + b"state")
    lab.run(0.2)
    assert (lab.a.got("chat"), lab.b.got("chat")) == ([b"hi"], [b"hello"])
    assert lab.b.datagrams == [DATAGRAM + b"state"]


def test_the_round_trip_is_measured() -> None:
    lab = Lab(FAR)
    assert lab.a.link.rtt is None
    lab.run(0.25)
    assert lab.a.link.rtt == pytest.approx(0.1, abs=0.01)  # known soon
    lab.run(2.0)
    for end in (lab.a, lab.b):
        assert end.link.rtt == pytest.approx(0.1, abs=0.01)


def test_state_is_not_stuck_behind_bulk() -> None:
    """A mebibyte waits; a datagram still arrives about as fast as over an empty line."""
    lab = Lab(Conditions(delay=0.02, rate=150_000))
    bulk, _ = lab.open("bulk", RELIABLE)
    lab.a.link.send(bulk, bytes(1 << 20))
    delays = []
    for _ in range(60):
        sent = lab.clock.now
        heard = len(lab.b.datagrams)
        assert lab.a.link.send_datagram(DATAGRAM + bytes(100))
        while len(lab.b.datagrams) == heard:
            lab.run(0.005)
        delays.append(lab.clock.now - sent)
    # 20 ms away, and at most 12 kB before it: 80 ms at this rate, and their headers.
    assert max(delays) < 0.14


def test_bulk_arrives_beside_a_steady_stream_of_state() -> None:
    """State alone keeps the line fuller than bulk is allowed to make it."""
    lab = Lab(Conditions(delay=0.1))
    chat, _ = lab.open("chat", RELIABLE)
    for tick in range(60):
        for _ in range(10):
            lab.a.link.send_datagram(DATAGRAM + bytes(1000))
        if tick == 20:
            lab.a.link.send(chat, b"hello")
        lab.run(0.05)
        if lab.b.got("chat"):
            break
    assert lab.b.got("chat") == [b"hello"]


def test_two_long_messages_arrive_side_by_side() -> None:
    lab = Lab(FAR)
    one, _ = lab.open("one", RELIABLE)
    two, _ = lab.open("two", RELIABLE)
    lab.a.link.send(one, bytes(200_000))
    lab.a.link.send(two, bytes(200_000))
    while not lab.b.heard:
        lab.run(0.05)
    lab.run(0.2)
    assert {name for name, _ in lab.b.heard} == {"one", "two"}


def test_a_state_packet_that_would_only_be_late_is_held_back() -> None:
    lab = Lab(Conditions(delay=0.5))
    sent = 0
    while lab.a.link.send_datagram(DATAGRAM + bytes(1000)):
        sent += 1
        assert sent < 1000
    assert sent == pytest.approx(DATAGRAM_IN_FLIGHT / 1000, abs=2)
    assert lab.a.link.stats.datagrams_held_back == 1


def test_a_full_queue_leaves_the_message_with_the_caller_and_recovers() -> None:
    lab = Lab(FAR)
    bulk, _ = lab.open("bulk", RELIABLE)
    sent = [n.to_bytes(4, "big") + bytes(20_000) for n in range(QUEUE_BYTES // 20_004)]
    for payload in sent:
        lab.a.link.send(bulk, payload)
    with pytest.raises(SendQueueFull):
        lab.a.link.send(bulk, bytes(20_000))
    lab.run(0.5)
    lab.a.link.send(bulk, b"again")
    lab.run(QUEUE_BYTES / 100_000)
    assert lab.b.got("bulk") == [*sent, b"again"]


# -- what makes no sense -------------------------------------------------------------------------


@RELIABLE_LANES
def test_a_bad_frame_on_a_reliable_lane_ends_the_link_with_a_reason(lane: Lane) -> None:
    lab = Lab(FAR)
    lab.a.transport.send(lane, GARBAGE)
    lab.run(0.5)
    [at_b] = lab.b.closed
    [at_a] = lab.a.closed
    assert "nonsense" in at_b
    assert at_a == at_b


@LOSSY_LANES
def test_a_bad_frame_on_any_other_lane_is_counted_and_dropped(lane: Lane) -> None:
    lab = Lab(FAR)
    lab.a.transport.send(lane, GARBAGE)
    lab.run(0.5)
    assert lab.b.link.stats.bad_frames == 1
    assert lab.b.link.is_open


def test_a_peer_that_talks_only_nonsense_is_not_listened_to_for_ever() -> None:
    lab = Lab(FAR)
    for _ in range(MAX_BAD_FRAMES + 1):
        lab.a.transport.send(Lane.UNRELIABLE, GARBAGE)
    lab.run(0.5)
    assert len(lab.b.closed) == 1


def test_an_empty_frame_is_harmless() -> None:
    lab = Lab(FAR)
    for lane in Lane:
        lab.a.transport.send(lane, b"")
    lab.run(0.5)
    assert lab.b.link.is_open


def test_a_wire_error_from_the_room_above_is_counted() -> None:
    lab = Lab(FAR)

    def refuse(channel: Channel, payload: bytes) -> None:
        raise WireError("not a message of this game")

    lab.b.link.on_message = refuse
    chat, _ = lab.open("chat", RELIABLE)
    lab.a.link.send(chat, b"?")
    lab.run(0.5)
    assert lab.b.link.stats.bad_frames == 1
    assert lab.b.link.is_open


def test_a_flood_on_a_channel_that_nobody_opened_ends_the_link() -> None:
    lab = Lab(FAR)
    for n in range(2000):
        lab.a.transport.send(Lane.RELIABLE, Piece(99, n, 0, 1, b"spam").encode())
    lab.run(0.5)
    assert len(lab.b.closed) == 1


# -- the end -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_goodbye_arrives_with_its_reason_also_over_a_lossy_line(seed: int) -> None:
    lab = Lab(Conditions(delay=0.05, loss=0.3), seed=seed)
    lab.run(0.5)
    lab.a.link.close("kicked: spamming")
    assert lab.a.closed == ["kicked: spamming"]
    lab.run(2.0)
    assert lab.b.closed == ["kicked: spamming"]


def test_closing_twice_says_goodbye_once() -> None:
    lab = Lab(FAR)
    lab.a.link.close("first")
    lab.a.link.close("second")
    lab.run(1.0)
    assert (lab.a.closed, lab.b.closed) == (["first"], ["first"])
    assert lab.a.link.closed_because == "first"


def test_what_was_sent_before_the_goodbye_comes_before_it() -> None:
    lab = Lab(FAR)
    chat, _ = lab.open("chat", RELIABLE)
    lab.a.link.send(chat, b"so long")
    lab.a.link.close("left")
    lab.run(1.0)
    assert (lab.b.got("chat"), lab.b.closed) == ([b"so long"], ["left"])


def test_a_dead_peer_is_noticed_within_three_seconds_at_both_ends() -> None:
    lab = Lab(FAR)
    lab.run(1.0)
    lab.wire.cut()
    lab.run(2.2)
    assert (lab.a.closed, lab.b.closed) == ([], [])
    lab.run(0.8)
    for end in (lab.a, lab.b):
        assert len(end.closed) == 1
        assert "nothing heard" in end.closed[0]


def test_an_idle_link_stays_open() -> None:
    lab = Lab(Conditions(delay=0.1, jitter=0.03, loss=0.2), seed=3)
    lab.run(60.0)
    assert (lab.a.closed, lab.b.closed) == ([], [])


def test_a_transport_that_closes_ends_the_link_once() -> None:
    lab = Lab(FAR)
    lab.a.transport.close()
    lab.run(1.0)
    assert (len(lab.a.closed), len(lab.b.closed)) == (1, 1)
    assert not lab.a.link.send_datagram(DATAGRAM)


def test_nothing_is_delivered_after_the_end() -> None:
    lab = Lab(FAR)
    chat, _ = lab.open("chat", UNORDERED)
    lab.a.link.send(chat, b"too late")
    lab.b.link.close("left")
    lab.run(1.0)
    assert lab.b.heard == []


def test_the_next_timer_is_soon_while_something_waits_and_the_heartbeat_otherwise() -> None:
    lab = Lab(Conditions(delay=0.3))
    bulk, _ = lab.open("bulk", RELIABLE)
    lab.run(1.0)
    assert lab.clock.now + 0.1 < lab.a.link.next_timer() + 0.1 <= lab.clock.now + 0.35
    lab.a.link.send(bulk, bytes(100_000))
    assert lab.a.link.next_timer() <= lab.clock.now + 0.01


def test_a_message_that_is_not_handed_over_in_time_is_dropped_by_the_sender() -> None:
    lab = Lab(Conditions(delay=0.4))
    voice, _ = lab.open("voice", UNRELIABLE)
    for _ in range(60):
        lab.a.link.send(voice, bytes(1000))
    lab.run(1.5)
    assert 0 < len(lab.b.got("voice")) < 60
    assert len(lab.b.got("voice")) + voice.outgoing.dropped == 60
