"""The session: channels by name, what waits for a late opening, and what is told of it."""

import random

import pytest

from netcode.errors import UsageError, WireError
from netcode.link.channels import MAX_WAITING
from netcode.link.delivery import (
    EXPIRING,
    RELIABLE,
    SEQUENCED,
    UNORDERED,
    UNRELIABLE,
    Delivery,
)
from netcode.link.frames import MAX_ACKNOWLEDGEMENTS, PIECE_BYTES, Piece, channel_id
from netcode.link.session import (
    MAX_CHANNELS,
    MAX_UNOPENED_BYTES,
    MAX_WAITING_BYTES,
    TELLINGS,
    Session,
)
from netcode.transports.base import Lane

ALL = [RELIABLE, UNORDERED, UNRELIABLE, SEQUENCED, EXPIRING(250)]
EVERY_DELIVERY = pytest.mark.parametrize("delivery", ALL, ids=str)
BOTH_RELIABLE = pytest.mark.parametrize("delivery", [RELIABLE, UNORDERED], ids=str)


def carry(sender: Session, receiver: Session) -> list[bytes]:
    """Hand everything over and return what was delivered."""
    got = []
    for channel in sender.channels.values():
        while (piece := channel.outgoing.next_frame(0.0)) is not None:
            got += [payload for _, payload in receiver.receive(channel.delivery.lane, piece)]
    return got


def message(name: str, delivery: Delivery, sequence: int, payload: bytes = b"x") -> Piece:
    return Piece(channel_id(name, delivery.name), sequence, 0, 1, payload)


def receive_all(session: Session, lane: Lane, pieces: list[Piece]) -> None:
    for piece in pieces:
        session.receive(lane, piece)


@EVERY_DELIVERY
def test_what_comes_before_the_opening_waits_for_it(delivery: Delivery) -> None:
    a, b = Session(), Session()
    out, _ = a.open("chat", delivery)
    sent = [b"hello", bytes(3000)]
    for payload in sent:
        out.outgoing.send(payload, 0.0)
        assert carry(a, b) == []
    _, waited = b.open("chat", delivery)
    assert waited == sent
    out.outgoing.send(b"now", 0.0)
    assert carry(a, b) == [b"now"]


def test_opening_twice_gives_the_same_channel_and_nothing_twice() -> None:
    session = Session()
    session.receive(Lane.RELIABLE, message("chat", RELIABLE, 0))
    first, waited = session.open("chat", RELIABLE)
    second, nothing = session.open("chat", RELIABLE)
    assert first is second
    assert (waited, nothing) == ([b"x"], [])


def test_the_same_name_with_another_delivery_is_another_channel() -> None:
    session = Session()
    assert session.open("x", RELIABLE)[0] is not session.open("x", UNORDERED)[0]


def test_names_that_cannot_be_told_apart_are_refused() -> None:
    session = Session()
    assert channel_id("plumless", "RELIABLE") == channel_id("buckeroo", "RELIABLE")
    session.open("plumless", RELIABLE)
    with pytest.raises(UsageError, match="rename"):
        session.open("buckeroo", RELIABLE)


def test_a_sequenced_channel_opened_late_gets_no_message_older_than_another() -> None:
    session = Session()
    for sequence in (1, 0, 3, 2):
        session.receive(Lane.UNRELIABLE, message("aim", SEQUENCED, sequence, b"%d" % sequence))
    channel, waited = session.open("aim", SEQUENCED)
    assert waited == [b"1", b"3"]
    assert session.receive(Lane.UNRELIABLE, message("aim", SEQUENCED, 2)) == []
    assert session.receive(Lane.UNRELIABLE, message("aim", SEQUENCED, 4)) == [(channel, b"x")]


def test_there_are_only_so_many_channels() -> None:
    session = Session()
    for n in range(MAX_CHANNELS):
        session.open(f"c{n}", RELIABLE)
    session.open("c0", RELIABLE)
    with pytest.raises(UsageError):
        session.open("one more", RELIABLE)


@BOTH_RELIABLE
def test_a_message_on_the_wrong_lane_is_a_wire_error(delivery: Delivery) -> None:
    session = Session()
    session.open("x", delivery)
    with pytest.raises(WireError, match="lane"):
        session.receive(Lane.UNRELIABLE, message("x", delivery, 0))


# -- nobody opens it: bounds ---------------------------------------------------------------------


@BOTH_RELIABLE
def test_a_flood_of_reliable_messages_that_nobody_opens_is_a_wire_error(
    delivery: Delivery,
) -> None:
    session = Session()
    flood = [message("spam", delivery, n) for n in range(MAX_WAITING + 1)]
    with pytest.raises(WireError):
        receive_all(session, delivery.lane, flood)


@pytest.mark.parametrize("lane", [Lane.UNRELIABLE, Lane.EXPIRING_100], ids=lambda lane: lane.name)
def test_a_flood_of_unreliable_messages_that_nobody_opens_is_dropped(lane: Lane) -> None:
    session = Session()
    for n in range(MAX_WAITING + 10):
        session.receive(lane, message("spam", UNRELIABLE, n))
    assert session.dropped == 10


def test_a_flood_of_channels_that_nobody_opens_is_bounded() -> None:
    session = Session()
    flood = [message(f"spam{n}", RELIABLE, 0) for n in range(MAX_CHANNELS + 1)]
    with pytest.raises(WireError):
        receive_all(session, Lane.RELIABLE, flood)


def test_what_waits_on_one_channel_is_bounded_in_bytes() -> None:
    session = Session()
    payload = bytes(1050)
    most = MAX_WAITING_BYTES // len(payload)
    assert most < MAX_WAITING
    flood = [message("spam", RELIABLE, n, payload) for n in range(most + 1)]
    with pytest.raises(WireError):
        receive_all(session, Lane.RELIABLE, flood)


@pytest.mark.parametrize("half", [False, True], ids=["whole messages", "half messages"])
@pytest.mark.parametrize("lane", [Lane.RELIABLE, Lane.UNRELIABLE], ids=lambda lane: lane.name)
def test_what_waits_on_all_channels_together_is_bounded(lane: Lane, half: bool) -> None:
    session = Session()
    taken = 0
    try:
        for n in range(200):
            for sequence in range(30):
                payload = bytes(PIECE_BYTES)
                piece = Piece(n, sequence, 0, 2 if half else 1, payload)
                before = session.dropped
                session.receive(lane, piece)
                taken += len(payload) if session.dropped == before else 0
    except WireError:
        assert lane is Lane.RELIABLE
    else:
        assert lane is Lane.UNRELIABLE
    assert MAX_UNOPENED_BYTES // 2 < taken <= MAX_UNOPENED_BYTES


# -- acknowledgements ----------------------------------------------------------------------------


def test_an_acknowledgement_is_told_several_times_then_only_now_and_then() -> None:
    session = Session()
    for name in ("chat", "files", "scores"):
        session.open(name, RELIABLE)
        session.receive(Lane.RELIABLE, message(name, RELIABLE, 0))
    told = [len(session.acknowledgements()) for _ in range(TELLINGS + 4)]
    assert told == [3] * TELLINGS + [1] * 4


def test_an_acknowledgement_survives_any_number_of_lost_heartbeats() -> None:
    a, b = Session(), Session()
    channels = [a.open(f"c{n}", RELIABLE)[0] for n in range(10)]
    for channel in channels:
        b.open(channel.name, RELIABLE)
        channel.outgoing.send(b"x", 0.0)
    carry(a, b)
    for _ in range(3 * TELLINGS):
        b.acknowledgements()  # lost
    for _ in range(len(channels)):
        a.acknowledge(b.acknowledgements())
    assert all(channel.outgoing.is_settled for channel in channels)


def test_more_acknowledgements_than_one_heartbeat_holds_are_told_in_turn() -> None:
    a, b = Session(), Session()
    channels = [a.open(f"c{n}", RELIABLE)[0] for n in range(MAX_CHANNELS)]
    for channel in channels:
        b.open(channel.name, RELIABLE)
        channel.outgoing.send(b"x", 0.0)
    carry(a, b)
    for _ in range(-(-MAX_CHANNELS // MAX_ACKNOWLEDGEMENTS)):
        entries = b.acknowledgements()
        assert len(entries) <= MAX_ACKNOWLEDGEMENTS
        a.acknowledge(entries)
    assert all(channel.outgoing.is_settled for channel in channels)


def test_what_waits_for_an_opening_is_acknowledged_too() -> None:
    a, b = Session(), Session()
    channel, _ = a.open("late", RELIABLE)
    channel.outgoing.send(b"x", 0.0)
    carry(a, b)
    a.acknowledge(b.acknowledgements())
    assert channel.outgoing.is_settled


def test_acknowledgements_of_channels_that_are_not_there_are_ignored() -> None:
    a, b = Session(), Session()
    b.open("x", RELIABLE)
    b.receive(Lane.RELIABLE, message("x", RELIABLE, 0))
    a.open("x", UNRELIABLE)
    a.acknowledge(b.acknowledgements())


def test_interleaved_long_messages_of_many_channels_arrive_whole() -> None:
    rng = random.Random(4)
    a, b = Session(), Session()
    sent = {}
    for n in range(12):
        name, delivery = f"c{n}", rng.choice([RELIABLE, UNORDERED])
        channel, _ = a.open(name, delivery)
        b.open(name, delivery)
        sent[name] = rng.randbytes(rng.randrange(20_000))
        channel.outgoing.send(sent[name], 0.0)
    got = {}
    waiting = list(a.channels.values())
    while waiting:
        channel = rng.choice(waiting)
        piece = channel.outgoing.next_frame(0.0)
        if piece is None:
            waiting.remove(channel)
            continue
        for where, payload in b.receive(channel.delivery.lane, piece):
            got[where.name] = payload
    assert got == sent
