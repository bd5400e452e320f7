"""The two halves of a channel: what each delivery keeps, orders, drops and refuses."""

import itertools
import random
from dataclasses import replace

import pytest

from netcode.errors import SendQueueFull, UsageError, WireError
from netcode.link.channels import (
    MAX_PARTIAL,
    MAX_RELIABLE_BYTES,
    MAX_UNRELIABLE_BYTES,
    PATIENCE,
    QUEUE_BYTES,
    QUEUE_MESSAGES,
    SEQUENCES,
    Incoming,
    Outgoing,
)
from netcode.link.delivery import (
    EXPIRING,
    RELIABLE,
    SEQUENCED,
    UNORDERED,
    UNRELIABLE,
    Delivery,
)
from netcode.link.frames import PIECE_BYTES, UNORDERED_WINDOW, WHOLE_BYTES, Acknowledgement, Piece

ALL = [RELIABLE, UNORDERED, UNRELIABLE, SEQUENCED, EXPIRING(100)]
EVERY_DELIVERY = pytest.mark.parametrize("delivery", ALL, ids=str)
EVERY_QUEUE = pytest.mark.parametrize(
    "delivery", [delivery for delivery in ALL if not delivery.sequenced], ids=str
)
BOTH_RELIABLE = pytest.mark.parametrize("delivery", [RELIABLE, UNORDERED], ids=str)
SEEDS = pytest.mark.parametrize("seed", range(5))
NUMBER = 7


def pieces_of(*payloads: bytes, delivery: Delivery = RELIABLE, now: float = 0.0) -> list[Piece]:
    outgoing = Outgoing(NUMBER, delivery)
    pieces = []
    for payload in payloads:
        outgoing.send(payload, now)
        pieces += all_pieces(outgoing, now)
    return pieces


def all_pieces(outgoing: Outgoing, now: float = 0.0) -> list[Piece]:
    pieces = []
    while (piece := outgoing.next_frame(now)) is not None:
        pieces.append(piece)
    return pieces


def received(incoming: Incoming, pieces: list[Piece]) -> list[bytes]:
    return [payload for piece in pieces for payload in incoming.receive(piece)]


# -- straight through ----------------------------------------------------------------------------


@EVERY_DELIVERY
@pytest.mark.parametrize(
    "size", [0, 1, WHOLE_BYTES, WHOLE_BYTES + 1, 2 * PIECE_BYTES, MAX_UNRELIABLE_BYTES]
)
def test_a_message_of_any_size_arrives_as_it_was_sent(delivery: Delivery, size: int) -> None:
    payload = random.Random(size).randbytes(size)
    pieces = pieces_of(payload, delivery=delivery)
    assert len(pieces) == max(1, 1 if size <= WHOLE_BYTES else -(-size // PIECE_BYTES))
    assert received(Incoming(NUMBER, delivery), pieces) == [payload]


@EVERY_DELIVERY
def test_the_longest_message_is_taken_and_one_byte_more_is_not(delivery: Delivery) -> None:
    longest = MAX_RELIABLE_BYTES if delivery.reliable else MAX_UNRELIABLE_BYTES
    outgoing = Outgoing(NUMBER, delivery)
    with pytest.raises(UsageError, match="too long"):
        outgoing.send(bytes(longest + 1), 0.0)
    assert outgoing.is_settled
    outgoing.send(bytes(longest), 0.0)
    assert received(Incoming(NUMBER, delivery), all_pieces(outgoing)) == [bytes(longest)]


# -- order and gaps ------------------------------------------------------------------------------


@SEEDS
def test_reliable_waits_for_gaps_whatever_order_the_pieces_come_in(seed: int) -> None:
    rng = random.Random(seed)
    sent = [rng.randbytes(rng.choice([0, 10, 1500, 4000])) for _ in range(40)]
    pieces = pieces_of(*sent)
    rng.shuffle(pieces)
    # Every piece comes twice, the second time anywhere.
    doubled = pieces + rng.sample(pieces, len(pieces))
    incoming = Incoming(NUMBER, RELIABLE)
    pending = iter(doubled)
    got = []
    while True:
        few = list(itertools.islice(pending, 8))
        if not few:
            break
        got += received(incoming, few)
        assert got == sent[: len(got)]
    assert got == sent


@SEEDS
def test_unordered_delivers_at_once_and_each_exactly_once(seed: int) -> None:
    rng = random.Random(seed)
    sent = [bytes([n]) + rng.randbytes(rng.choice([0, 10, 1500, 4000])) for n in range(40)]
    pieces = pieces_of(*sent, delivery=UNORDERED)
    rng.shuffle(pieces)
    got = received(Incoming(NUMBER, UNORDERED), pieces + pieces)
    assert sorted(got) == sorted(sent)


def test_unordered_does_not_wait_for_a_lost_neighbour() -> None:
    first, second = pieces_of(b"first", b"second", delivery=UNORDERED)
    incoming = Incoming(NUMBER, UNORDERED)
    assert received(incoming, [second]) == [b"second"]
    assert received(incoming, [first]) == [b"first"]


def test_unreliable_delivers_whatever_comes() -> None:
    one, two, three = pieces_of(b"1", b"2", b"3", delivery=UNRELIABLE)
    got = received(Incoming(NUMBER, UNRELIABLE), [three, one, one, two])
    assert got == [b"3", b"1", b"1", b"2"]


def test_sequenced_drops_what_is_older_than_what_was_delivered() -> None:
    one, two, three = (
        piece for n in range(3) for piece in [Piece(NUMBER, n, 0, 1, b"%d" % (n + 1))]
    )
    incoming = Incoming(NUMBER, SEQUENCED)
    assert received(incoming, [two, one, two, three]) == [b"2", b"3"]
    assert incoming.dropped == 2


# -- what goes stale -----------------------------------------------------------------------------


def test_a_sequenced_message_replaces_the_one_that_waits() -> None:
    outgoing = Outgoing(NUMBER, SEQUENCED)
    for n in range(5):
        outgoing.send(b"%d" % n, 0.0)
    assert [piece.payload for piece in all_pieces(outgoing)] == [b"4"]
    assert outgoing.dropped == 4


@pytest.mark.parametrize(
    ("delivery", "patience"),
    [(UNRELIABLE, PATIENCE), (EXPIRING(70), 0.07), (EXPIRING(2000), 2.0)],
    ids=str,
)
def test_what_waited_too_long_is_never_sent(delivery: Delivery, patience: float) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    outgoing.send(b"old", 10.0)
    outgoing.send(b"new", 10.0 + patience)
    assert [p.payload for p in all_pieces(outgoing, 10.0 + patience + 0.001)] == [b"new"]
    assert outgoing.dropped == 1
    assert outgoing.waiting_bytes == 0


@BOTH_RELIABLE
def test_a_reliable_message_never_goes_stale(delivery: Delivery) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    outgoing.send(b"patient", 0.0)
    assert [p.payload for p in all_pieces(outgoing, 1e6)] == [b"patient"]


def test_the_rest_of_a_message_that_goes_stale_half_sent_is_not_sent() -> None:
    outgoing = Outgoing(NUMBER, UNRELIABLE)
    outgoing.send(bytes(5000), 0.0)
    first = outgoing.next_frame(0.0)
    assert first is not None
    assert outgoing.next_frame(PATIENCE + 1) is None
    assert outgoing.is_idle


# -- bounds --------------------------------------------------------------------------------------


@EVERY_QUEUE
def test_a_full_queue_refuses_the_message_and_keeps_what_it_has(delivery: Delivery) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    for n in range(QUEUE_MESSAGES):
        outgoing.send(b"%d" % n, 0.0)
    with pytest.raises(SendQueueFull):
        outgoing.send(b"one too many", 0.0)
    assert [p.payload for p in all_pieces(outgoing)] == [b"%d" % n for n in range(QUEUE_MESSAGES)]


@EVERY_QUEUE
def test_a_queue_holds_as_many_bytes_as_it_says(delivery: Delivery) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    chunk = bytes(QUEUE_BYTES // 256)
    for _ in range(256):
        outgoing.send(chunk, 0.0)
    assert outgoing.waiting_bytes == QUEUE_BYTES
    with pytest.raises(SendQueueFull):
        outgoing.send(b"x", 0.0)


@BOTH_RELIABLE
def test_the_queue_has_room_again_when_messages_are_acknowledged(delivery: Delivery) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    for _ in range(QUEUE_MESSAGES):
        outgoing.send(b"", 0.0)
    all_pieces(outgoing)
    with pytest.raises(SendQueueFull):
        outgoing.send(b"", 0.0)
    outgoing.acknowledge(Acknowledgement(NUMBER, 1, 0))
    outgoing.send(b"", 0.0)


def test_stale_messages_do_not_fill_the_queue() -> None:
    outgoing = Outgoing(NUMBER, UNRELIABLE)
    for _ in range(QUEUE_MESSAGES):
        outgoing.send(b"old", 0.0)
    outgoing.send(b"new", PATIENCE + 1)
    assert [p.payload for p in all_pieces(outgoing, PATIENCE + 1)] == [b"new"]


def test_an_early_acknowledgement_does_not_unbound_the_queue() -> None:
    """A hostile peer acknowledges what has not been handed over yet."""
    outgoing = Outgoing(NUMBER, RELIABLE)
    for n in range(QUEUE_MESSAGES):
        outgoing.send(b"x", 0.0)
        outgoing.acknowledge(Acknowledgement(NUMBER, n + 1, 0))
    with pytest.raises(SendQueueFull):
        outgoing.send(b"x", 0.0)


@BOTH_RELIABLE
def test_a_number_far_beyond_what_a_peer_may_send_is_a_wire_error(delivery: Delivery) -> None:
    with pytest.raises(WireError):
        received(Incoming(NUMBER, delivery), [Piece(NUMBER, 3 * QUEUE_MESSAGES, 0, 1, b"")])


@BOTH_RELIABLE
def test_what_waits_behind_a_gap_is_bounded_in_messages(delivery: Delivery) -> None:
    incoming = Incoming(NUMBER, delivery)
    flood = [Piece(NUMBER, n, 0, 1, b"") for n in range(1, 3 * QUEUE_MESSAGES)]
    with pytest.raises(WireError):
        received(incoming, flood)


def test_what_waits_behind_a_gap_is_bounded_in_bytes() -> None:
    """Each message is a mebibyte long; the first one never comes."""
    incoming = Incoming(NUMBER, RELIABLE)
    pieces = pieces_of(bytes(MAX_RELIABLE_BYTES))
    flood = [replace(piece, sequence=n) for n in range(1, 20) for piece in pieces]
    with pytest.raises(WireError):
        received(incoming, flood)
    assert incoming.held_bytes <= 3 * QUEUE_BYTES


@BOTH_RELIABLE
def test_half_messages_are_bounded(delivery: Delivery) -> None:
    incoming = Incoming(NUMBER, delivery)
    halves = [Piece(NUMBER, n, 0, 2, bytes(PIECE_BYTES)) for n in range(2 * MAX_PARTIAL)]
    with pytest.raises(WireError):
        received(incoming, halves)


def test_half_messages_that_may_be_lost_make_room_for_newer_ones() -> None:
    incoming = Incoming(NUMBER, UNRELIABLE)
    halves = [Piece(NUMBER, n, 0, 2, bytes(PIECE_BYTES)) for n in range(10 * MAX_PARTIAL)]
    assert received(incoming, halves) == []
    assert incoming.dropped == 9 * MAX_PARTIAL
    assert incoming.held_bytes <= MAX_PARTIAL * PIECE_BYTES
    end = Piece(NUMBER, 10 * MAX_PARTIAL - 1, 1, 2, b"end")
    assert received(incoming, [end]) == [bytes(PIECE_BYTES) + b"end"]


@EVERY_DELIVERY
def test_pieces_that_contradict_each_other_are_a_wire_error(delivery: Delivery) -> None:
    incoming = Incoming(NUMBER, delivery)
    received(incoming, [Piece(NUMBER, 0, 0, 3, bytes(PIECE_BYTES))])
    with pytest.raises(WireError, match="disagree"):
        received(incoming, [Piece(NUMBER, 0, 1, 4, bytes(PIECE_BYTES))])


@EVERY_DELIVERY
def test_a_message_announced_longer_than_allowed_is_a_wire_error(delivery: Delivery) -> None:
    with pytest.raises(WireError, match="too long"):
        received(Incoming(NUMBER, delivery), [Piece(NUMBER, 0, 0, 5000, bytes(PIECE_BYTES))])


# -- acknowledgements ----------------------------------------------------------------------------


def test_acknowledgements_are_cumulative_with_a_window_behind_the_gap() -> None:
    incoming = Incoming(NUMBER, UNORDERED)
    received(incoming, [Piece(NUMBER, n, 0, 1, b"") for n in (0, 1, 3, 5)])
    assert incoming.acknowledgement() == Acknowledgement(NUMBER, 2, 0b101)


def test_what_lies_beyond_the_window_is_not_acknowledged_yet() -> None:
    incoming = Incoming(NUMBER, UNORDERED)
    received(incoming, [Piece(NUMBER, n, 0, 1, b"") for n in (UNORDERED_WINDOW + 1,)])
    assert incoming.acknowledgement() == Acknowledgement(NUMBER, 0, 0)


@BOTH_RELIABLE
def test_only_what_is_acknowledged_is_forgotten(delivery: Delivery) -> None:
    outgoing = Outgoing(NUMBER, delivery)
    for n in range(8):
        outgoing.send(b"%d" % n, 0.0)
    all_pieces(outgoing)
    outgoing.acknowledge(Acknowledgement(NUMBER, 2, 0b101))
    outgoing.relink()
    assert [p.payload for p in all_pieces(outgoing)] == [b"2", b"4", b"6", b"7"]


@pytest.mark.parametrize("claimed", [4, 5, 1000, SEQUENCES // 2])
def test_acknowledging_what_was_never_sent_is_ignored(claimed: int) -> None:
    outgoing = Outgoing(NUMBER, RELIABLE)
    for _ in range(3):
        outgoing.send(b"x", 0.0)
    all_pieces(outgoing)
    outgoing.acknowledge(Acknowledgement(NUMBER, claimed, 0xFFFFFFFF))
    assert not outgoing.is_settled
    outgoing.acknowledge(Acknowledgement(NUMBER, 3, 0))
    assert outgoing.is_settled


def test_an_old_acknowledgement_that_comes_late_changes_nothing() -> None:
    outgoing = Outgoing(NUMBER, RELIABLE)
    for _ in range(6):
        outgoing.send(b"x", 0.0)
    all_pieces(outgoing)
    outgoing.acknowledge(Acknowledgement(NUMBER, 5, 0))
    outgoing.acknowledge(Acknowledgement(NUMBER, 2, 0))
    outgoing.relink()
    assert [piece.sequence for piece in all_pieces(outgoing)] == [5]


# -- the numbers go round ------------------------------------------------------------------------


def at_the_edge(delivery: Delivery) -> tuple[Outgoing, Incoming]:
    outgoing, incoming = Outgoing(NUMBER, delivery), Incoming(NUMBER, delivery)
    outgoing._next = incoming.next = SEQUENCES - 3
    return outgoing, incoming


@SEEDS
@BOTH_RELIABLE
def test_sequence_numbers_go_round(delivery: Delivery, seed: int) -> None:
    outgoing, incoming = at_the_edge(delivery)
    sent = [b"%d" % n for n in range(10)]
    for payload in sent:
        outgoing.send(payload, 0.0)
    pieces = all_pieces(outgoing)
    assert {piece.sequence for piece in pieces} >= {SEQUENCES - 1, 0}
    random.Random(seed).shuffle(pieces)
    got = received(incoming, pieces + pieces)
    assert (got if delivery.ordered else sorted(got)) == sent
    outgoing.acknowledge(incoming.acknowledgement())
    assert outgoing.is_settled


def test_an_acknowledgement_across_the_edge_forgets_only_what_arrived() -> None:
    outgoing, incoming = at_the_edge(UNORDERED)
    for n in range(6):
        outgoing.send(b"%d" % n, 0.0)
    pieces = all_pieces(outgoing)
    received(incoming, [pieces[0], pieces[2], pieces[4]])
    outgoing.acknowledge(incoming.acknowledgement())
    outgoing.relink()
    assert [p.payload for p in all_pieces(outgoing)] == [b"1", b"3", b"5"]


def test_sequenced_goes_round() -> None:
    outgoing, incoming = at_the_edge(SEQUENCED)
    got = []
    for n in range(6):
        outgoing.send(b"%d" % n, 0.0)
        got += received(incoming, all_pieces(outgoing))
    assert got == [b"%d" % n for n in range(6)]
