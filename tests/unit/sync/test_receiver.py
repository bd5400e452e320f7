"""The receiver's own duties: what it says it has, and what a frame of its history means."""

import random

import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.sync.receiver import MAX_AHEAD, Receiver
from netcode.wire.bits import BitWriter
from netcode.wire.packets import WINDOW, StateHeader
from netcode.world.history import ABSENT, History
from netcode.world.world import World
from tests.unit.sync.lab import Lab, Rock, Weather


class Dot(nc.Entity):
    level = nc.Int(0, 7)


def receiver() -> Receiver:
    world = World([Dot])
    return Receiver(world.tables, History(world.tables), world.texts)


def packet(
    sequence: int,
    tick: int,
    rows: dict[int, int | None] | None = None,
    *,
    entering: bool = False,
    index: int = 0,
    count: int = 1,
    deferred: bool = False,
    life: int = 0,
) -> bytes:
    """A packet that gives rows of Dot a level, or takes them out of view (None)."""
    header = StateHeader(sequence, tick, index, count, deferred, 0, None, 0.0)
    body = BitWriter()
    for row, level in (rows or {}).items():
        told = entering or level is None
        body.write_one(0, 8)
        body.write_one(1, 16)
        body.write_one(row, 16)
        body.write_one(told, 1)
        if told:
            body.write_one(level is not None, 1)
        if entering and level is not None:
            body.write_one(life, 15)
            body.write_one(0, 1)
        if level is not None:
            body.write_one(1, 1)
            body.write_one(level, 3)
    body.write_one(255, 8)
    return header.encode() + body.getvalue()


def level(end: Receiver, row: int = 0) -> int | None:
    known = end.known[0]
    if row >= len(known.life) or known.life[row] == ABSENT:
        return None
    return int(known.lanes[row, 0])


@pytest.mark.parametrize(
    ("arrived", "newest", "window"),
    [
        ([1], 1, 0b0),
        ([1, 2, 3], 3, 0b11),
        ([1, 3], 3, 0b10),
        ([3, 1, 2], 3, 0b11),
        ([1, 1 + WINDOW], 1 + WINDOW, 1 << (WINDOW - 1)),
        ([1, 2 + WINDOW], 2 + WINDOW, 0),
        ([1, 2, 2, 1], 2, 0b1),
    ],
)
def test_the_window_says_which_packets_have_arrived(
    arrived: list[int], newest: int, window: int
) -> None:
    end = receiver()
    for sequence in arrived:
        end.receive(packet(sequence, 3 * sequence))
    assert (end.newest_packet, end.window) == (newest, window)


def test_sequence_numbers_go_on_beyond_sixteen_bits() -> None:
    end = receiver()
    for sequence in range(1, 140_001, 20_000):
        end.receive(packet(sequence, sequence))
    assert end.newest_packet == 120_001


def test_what_is_too_old_for_the_window_is_not_taken() -> None:
    """It could not be acknowledged, so it must not count."""
    end = receiver()
    end.receive(packet(WINDOW + 5, 300))
    end.receive(packet(1, 3, {0: 5}, entering=True))
    assert level(end) is None
    assert end.stats.doubled == 1


def test_a_doubled_packet_counts_once() -> None:
    end = receiver()
    for _ in range(3):
        end.receive(packet(1, 3, {0: 5}, entering=True))
    assert (end.stats.packets, end.stats.doubled) == (3, 2)


def test_the_newer_value_stays_when_the_older_comes_late() -> None:
    end = receiver()
    end.receive(packet(1, 3, {0: 1}, entering=True))
    end.receive(packet(3, 9, {0: 3}))
    end.receive(packet(2, 6, {0: 2}))
    assert level(end) == 3
    assert end.stats.late == 1


def test_an_update_older_than_the_entry_is_about_somebody_else() -> None:
    end = receiver()
    end.receive(packet(1, 3, {0: 1}, entering=True))
    end.receive(packet(3, 9, {0: None}))
    end.receive(packet(2, 6, {0: 2}))
    assert level(end) is None
    end.receive(packet(5, 15, {0: 5}, entering=True, life=1))
    end.receive(packet(4, 12, {0: 4}, entering=True, life=0))
    assert level(end) == 5
    assert end.known[0].life[0] == 1


def test_an_update_of_what_is_not_in_view_is_counted_and_ignored() -> None:
    end = receiver()
    end.receive(packet(1, 3, {4: 1}))
    assert level(end, 4) is None
    assert end.stats.stray == 1


def test_a_tick_is_complete_when_all_its_packets_are_here() -> None:
    end = receiver()
    end.receive(packet(1, 3, {0: 1}, entering=True))
    end.receive(packet(3, 6, index=1, count=2))
    frame = end.history.newest
    assert frame is not None
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (False, False)
    end.receive(packet(2, 6, index=0, count=2))
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (True, True)


def test_a_tick_with_something_deferred_is_never_complete() -> None:
    end = receiver()
    end.receive(packet(1, 3, {0: 1}, entering=True))
    end.receive(packet(2, 6, {1: 2}, entering=True, deferred=True))
    frame = end.history.newest
    assert frame is not None
    assert not frame.complete
    assert frame.tables[0].known.tolist()[:2] == [False, True]


def test_input_news_comes_from_the_newest_tick_alone() -> None:
    end = receiver()
    world = World([Dot])
    del world
    newer = StateHeader(2, 6, 0, 1, False, 0, 50, 0.02).encode() + b"\xff"
    older = StateHeader(1, 3, 0, 1, False, 0, 40, 0.01).encode() + b"\xff"
    end.receive(newer)
    end.receive(older)
    assert (end.input_tick, end.earliness) == (50, 0.02)


def test_a_tick_from_another_age_is_refused() -> None:
    end = receiver()
    end.receive(packet(1, 3))
    with pytest.raises(WireError, match="far from"):
        end.receive(packet(2, 4 + MAX_AHEAD))
    assert (end.tick, end.newest_packet, end.window) == (3, 1, 0)


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("no end", b""),
        ("unknown class", bytes([1, 0, 0, 0xFF])),
        ("more rows than bytes", bytes([0, 0xFF, 0xFF])),
        ("rows that do not ascend", bytes([0, 0, 2, 0, 5, 0, 5, 0, 0, 0xFF])),
        ("something after the end", b"\xff\x00"),
        ("bits set in the padding", None),
    ],
)
def test_nonsense_changes_nothing(what: str, body: bytes | None) -> None:
    end = receiver()
    end.receive(packet(1, 3, {0: 1}, entering=True))
    header = packet(2, 6)[:-1]
    data = header + body if body is not None else packet(2, 6, {0: 3})[:-1] + b"\x01"
    with pytest.raises(WireError):
        end.receive(data)
    assert (end.tick, end.newest_packet, level(end), len(end.history)) == (3, 1, 1, 1)


def test_a_generation_beyond_the_last_is_refused() -> None:
    with pytest.raises(WireError, match="generation"):
        receiver().receive(packet(1, 3, {0: 1}, entering=True, life=(1 << 15) - 1))


def test_texts_of_a_malformed_packet_are_not_kept() -> None:
    class Sign(nc.Entity):
        text = nc.Text(max_bytes=20)

    lab = Lab((Sign,), random.Random(1))
    lab.world.spawn(Sign, text="a long enough text")
    lab.step(Weather(loss=1.0))
    data = lab.sent[1][0]
    client = lab.clients[0]
    with pytest.raises(WireError):
        client.receiver.receive(data + b"more")
    assert len(client.world.texts) == 1
    client.receiver.receive(data)
    assert len(client.world.texts) == 2


def test_a_row_far_out_costs_what_the_wire_can_name_and_no_more() -> None:
    end = receiver()
    end.receive(packet(1, 3, {65535: 1}, entering=True))
    assert len(end.known[0].life) == 65536
    assert level(end, 65535) == 1


def test_a_client_that_missed_everything_starts_from_any_packet() -> None:
    lab = Lab((Rock,), random.Random(2))
    lab.world.spawn(Rock, grade=1)
    for _ in range(30):
        lab.step(Weather(loss=1.0))
    lab.calm_down(10)
    lab.check_equal()
