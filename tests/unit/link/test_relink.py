"""A link dies and another one takes over: nothing is lost, nothing comes twice."""

import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcode.link.delivery import RELIABLE, UNORDERED, UNRELIABLE, Delivery
from netcode.link.frames import Piece
from netcode.link.session import Session
from netcode.transports.base import Lane

SIZES = [0, 20, 1100, 2500, 9000]


class Cable:
    """What is on its way in one direction: in order on the reliable lane, in any on the other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.lanes: dict[Lane, deque[Piece]] = {Lane.RELIABLE: deque(), Lane.UNORDERED: deque()}

    def take(self) -> tuple[Lane, Piece] | None:
        filled = [lane for lane, queue in self.lanes.items() if queue]
        if not filled:
            return None
        lane = self.rng.choice(filled)
        queue = self.lanes[lane]
        if lane is Lane.UNORDERED:
            queue.rotate(self.rng.randrange(len(queue)))
        return lane, queue.popleft()

    def cut(self) -> None:
        """What is on its way is lost, whether or not it would have been sent again."""
        for queue in self.lanes.values():
            queue.clear()


class End:
    def __init__(self, rng: random.Random) -> None:
        self.session = Session()
        self.ways = {
            delivery: self.session.open("x", delivery)[0] for delivery in (RELIABLE, UNORDERED)
        }
        self.cable = Cable(rng)
        self.sent: dict[Delivery, list[bytes]] = {RELIABLE: [], UNORDERED: []}
        self.got: dict[Delivery, list[bytes]] = {RELIABLE: [], UNORDERED: []}
        self.rng = rng

    def say(self) -> None:
        delivery = self.rng.choice([RELIABLE, UNORDERED])
        number = len(self.sent[delivery]).to_bytes(4, "big")
        payload = number + self.rng.randbytes(self.rng.choice(SIZES))
        self.ways[delivery].outgoing.send(payload, 0.0)
        self.sent[delivery].append(payload)

    def hand_over(self) -> None:
        channel = self.rng.choice(list(self.ways.values()))
        piece = channel.outgoing.next_frame(0.0)
        if piece is not None:
            self.cable.lanes[channel.delivery.lane].append(piece)

    def hear(self, other: "End") -> None:
        arrived = other.cable.take()
        if arrived is not None:
            for channel, payload in self.session.receive(*arrived):
                self.got[channel.delivery].append(payload)

    def tell(self, other: "End") -> None:
        """A heartbeat, which is lost half of the time."""
        entries = self.session.acknowledgements()
        if self.rng.random() < 0.5:
            other.session.acknowledge(entries)


def check(sender: End, receiver: End) -> None:
    assert receiver.got[RELIABLE] == sender.sent[RELIABLE][: len(receiver.got[RELIABLE])]
    got = receiver.got[UNORDERED]
    assert len(set(got)) == len(got)


@given(st.integers(0, 2**32), st.integers(0, 6))
def test_random_cuts_lose_nothing_and_double_nothing(seed: int, cuts: int) -> None:
    rng = random.Random(seed)
    a, b = End(rng), End(rng)
    for life in range(cuts + 1):
        for _ in range(rng.randrange(300)):
            one, other = rng.choice([(a, b), (b, a)])
            act = rng.choices(["say", "hand over", "hear", "tell"], [1, 6, 6, 1])[0]
            if act == "say":
                one.say()
            elif act == "hand over":
                one.hand_over()
            elif act == "hear":
                one.hear(other)
            else:
                one.tell(other)
            check(a, b)
            check(b, a)
        if life < cuts:
            for end in (a, b):
                end.cable.cut()
            for end in (a, b):
                end.session.relink()
    settle(a, b)
    for one, other in ((a, b), (b, a)):
        assert other.got[RELIABLE] == one.sent[RELIABLE]
        assert sorted(other.got[UNORDERED]) == one.sent[UNORDERED]
        assert all(channel.outgoing.is_settled for channel in one.ways.values())


def settle(a: End, b: End) -> None:
    for _ in range(4):
        for one, other in ((a, b), (b, a)):
            for channel in one.ways.values():
                while (piece := channel.outgoing.next_frame(0.0)) is not None:
                    one.cable.lanes[channel.delivery.lane].append(piece)
            while any(one.cable.lanes.values()):
                other.hear(one)
            one.session.acknowledge(other.session.acknowledgements())


def test_everything_unacknowledged_goes_out_again_in_order() -> None:
    session = Session()
    channel, _ = session.open("x", RELIABLE)
    for n in range(5):
        channel.outgoing.send(b"%d" % n, 0.0)
    while channel.outgoing.next_frame(0.0) is not None:
        pass
    session.relink()
    again = []
    while (piece := channel.outgoing.next_frame(0.0)) is not None:
        again.append(piece.payload)
    assert again == [b"%d" % n for n in range(5)]


def test_nothing_is_sent_twice_within_a_link() -> None:
    session = Session()
    channel, _ = session.open("x", RELIABLE)
    channel.outgoing.send(b"once", 0.0)
    assert channel.outgoing.next_frame(0.0) is not None
    assert channel.outgoing.next_frame(100.0) is None


def test_an_unreliable_message_that_was_handed_over_is_not_sent_again() -> None:
    session = Session()
    channel, _ = session.open("x", UNRELIABLE)
    channel.outgoing.send(b"gone", 0.0)
    assert channel.outgoing.next_frame(0.0) is not None
    session.relink()
    assert channel.outgoing.next_frame(0.0) is None


@pytest.mark.parametrize("delivery", [RELIABLE, UNORDERED, UNRELIABLE], ids=str)
def test_a_message_cut_in_the_middle_starts_again_from_its_first_piece(delivery: Delivery) -> None:
    a, b = Session(), Session()
    out, _ = a.open("x", delivery)
    b.open("x", delivery)
    payload = bytes(range(256)) * 20
    out.outgoing.send(payload, 0.0)
    for _ in range(2):
        piece = out.outgoing.next_frame(0.0)
        assert piece is not None
        assert b.receive(delivery.lane, piece) == []
    a.relink()
    b.relink()
    got = []
    while (piece := out.outgoing.next_frame(0.0)) is not None:
        got += [payload for _, payload in b.receive(delivery.lane, piece)]
    assert got == [payload]


def test_pieces_may_overtake_the_word_that_the_new_link_carries_the_session() -> None:
    a, b = Session(), Session()
    out, _ = a.open("x", UNORDERED)
    b.open("x", UNORDERED)
    payload = bytes(range(256)) * 20
    out.outgoing.send(payload, 0.0)
    a.relink()
    got = []
    while (piece := out.outgoing.next_frame(0.0)) is not None:
        got += [payload for _, payload in b.receive(Lane.UNORDERED, piece)]
        if piece.index == 1:
            b.relink()
    assert got == [payload]


def test_a_channel_that_is_opened_after_the_cut_still_gets_everything_once() -> None:
    a, b = Session(), Session()
    out, _ = a.open("late", RELIABLE)
    sent = [bytes([n]) * 3000 for n in range(4)]
    for payload in sent:
        out.outgoing.send(payload, 0.0)
    for _ in range(5):  # the first message, and half of the second
        piece = out.outgoing.next_frame(0.0)
        assert piece is not None
        b.receive(Lane.RELIABLE, piece)
    a.relink()
    b.relink()
    while (piece := out.outgoing.next_frame(0.0)) is not None:
        b.receive(Lane.RELIABLE, piece)
    _, waited = b.open("late", RELIABLE)
    assert waited == sent
    a.acknowledge(b.acknowledgements())
    assert out.outgoing.is_settled
