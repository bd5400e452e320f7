"""The receiver's own duties: what it says it has, and what a frame of its history means."""

import random
from typing import Any

import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.sync.baselines import WINDOW
from netcode.sync.receiver import LATEST, MAX_AHEAD, SENT_KEPT
from netcode.wire.packets import MAX_PACKETS, StateHeader
from netcode.world.history import LENGTH
from tests.unit.sync.by_hand import level, packet, receiver
from tests.unit.sync.lab import CLEAR, DARK, EVERY, Lab, Letter, Rock, Weather


class Flag(nc.Entity):
    """As many parts as there can be: for all, for the owner, and two references."""

    height = nc.Int(0, 7)
    secret = nc.Int(0, 7, default=5, only_owner=True)
    near: nc.Ref[Any] = nc.Ref("Flag")
    far: nc.Ref[Any] = nc.Ref("Flag", only_owner=True)


# -- acknowledging ---------------------------------------------------------------------------


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
    end.receive(packet(max(arrived), EVERY) if arrived[0] == 3 else packet(arrived[0], EVERY))
    for sequence in arrived[1:]:
        end.receive(packet(sequence, EVERY))
    assert (end.newest_packet, end.window) == (newest, window)


def test_an_acknowledgement_reaches_back_as_far_as_baselines_do() -> None:
    """What is older is of no use to the server, and would only take room."""
    end = receiver()
    for sequence in range(1, 60):
        end.receive(packet(sequence, EVERY * sequence))
    newest, window = end.acknowledge(1)
    assert newest == 59
    assert window == (1 << window.bit_length()) - 1
    assert 14 <= window.bit_length() <= 16


def test_before_anything_has_arrived_nothing_is_acknowledged() -> None:
    assert receiver().acknowledge(1) == (0, 0)


def test_sequence_numbers_go_on_beyond_sixteen_bits() -> None:
    end = receiver()
    for turn, sequence in enumerate(range(1, 140_001, 20_000)):
        end.receive(packet(sequence, EVERY * turn))
    assert end.newest_packet == 120_001


def test_a_doubled_packet_counts_once() -> None:
    end = receiver()
    for _ in range(3):
        end.receive(packet(1, 3, entries={0: 5}))
    assert (end.stats.packets, end.stats.doubled) == (3, 2)


def test_what_is_too_old_for_the_ring_is_not_taken_and_not_acknowledged() -> None:
    """Both ends would otherwise count on samples that the client has not got."""
    end = receiver()
    end.receive(packet(1, 0))
    for late, taken in ((LATEST, True), (LATEST + 1, False)):
        number = 100 + late
        end.receive(packet(number, EVERY * number))
        before = end.window
        end.receive(packet(number - late, EVERY * (number - late), entries={late: 5}))
        assert (level(end, late) == 5) is taken
        assert (end.window != before) is taken
    assert end.stats.too_late == 1


def test_how_much_is_remembered_of_client_packets_is_bounded() -> None:
    end = receiver()
    end.receive(packet(1, 3))
    for number in range(1, 3 * SENT_KEPT):
        end.acknowledge(number)
    assert len(end._sent) == SENT_KEPT


def test_a_packet_that_builds_on_a_client_packet_of_long_ago_is_understood() -> None:
    """The server has heard nothing since; it tells in full."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    for number in range(1, 3 * SENT_KEPT):
        end.acknowledge(number)
    end.receive(packet(20, 3 * 20, entries={0: 2}, age=19, client_packet=1))
    assert level(end) == 2


def test_a_packet_whose_baselines_are_forgotten_is_not_taken() -> None:
    """With few broadcasts and many client packets, what was shared would still be in reach."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    for number in range(1, 3 * SENT_KEPT):
        end.acknowledge(number)
    end.receive(packet(2, 6, updates={0: 2}, client_packet=1))
    assert (level(end), end.newest_packet, end.stats.too_late) == (1, 1, 1)


def test_a_packet_that_builds_on_what_was_never_sent_is_refused() -> None:
    end = receiver()
    end.receive(packet(1, 3))
    end.acknowledge(1)
    with pytest.raises(WireError, match="client packet"):
        end.receive(packet(2, 6, client_packet=2))
    assert (end.tick, end.newest_packet) == (3, 1)


# -- headers ---------------------------------------------------------------------------------


def test_input_news_comes_from_the_newest_tick_alone() -> None:
    end = receiver()
    newer = StateHeader(2, 6, 0, 1, False, 0, 50, 0.02).encode() + b"\xff"
    older = StateHeader(1, 3, 0, 1, False, 0, 40, 0.01).encode() + b"\xff"
    end.receive(newer)
    end.receive(older)
    assert (end.input_tick, end.earliness) == (50, 0.02)


@pytest.mark.parametrize("tick", [4, 5, 3 + 3 * MAX_AHEAD])
def test_a_tick_that_cannot_be_is_refused(tick: int) -> None:
    """Between two broadcasts, or from another age."""
    end = receiver()
    end.receive(packet(1, 3))
    with pytest.raises(WireError, match="no broadcast"):
        end.receive(packet(2, tick))
    assert (end.tick, end.newest_packet, end.window) == (3, 1, 0)


@pytest.mark.parametrize(("index", "count"), [(0, 0), (1, 1), (0, MAX_PACKETS + 1), (255, 255)])
def test_a_packet_outside_its_tick_is_refused(index: int, count: int) -> None:
    end = receiver()
    with pytest.raises(WireError, match="state packet"):
        end.receive(packet(1, 3, index=index, count=count))
    assert not end.heard


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01\xff",
        b"\xff\x00",
        b"\xff\x80",
        b"\x00\xff\xff\xff\xff",
        packet(1, 3, updates={0: 2, 1: 3})[18:],
        packet(1, 3, entries={0: 1}, generation=(1 << 15) - 1)[18:],
        packet(1, 3, entries={0: 1}, leaves=[0])[18:-1],
    ],
    ids=[
        "no end",
        "unknown class",
        "something after the end",
        "bits in the padding",
        "counts of more than 16 bits",
        "an update of a row that never was",
        "a generation that cannot be",
        "cut",
    ],
)
def test_nonsense_changes_nothing(body: bytes) -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    with pytest.raises(WireError):
        end.receive(packet(2, 6)[:18] + body)
    assert (end.tick, end.newest_packet, level(end), len(end.history)) == (3, 1, 1, 1)
    assert end.stats.packets == 1


def test_texts_of_a_malformed_packet_are_not_kept() -> None:
    class Sign(nc.Entity):
        text = nc.Text(max_bytes=20)

    lab = Lab((Sign,), random.Random(1))
    lab.world.spawn(Sign, text="a long enough text")
    lab.step(DARK)
    data = lab.sent[1][0]
    client = lab.clients[0]
    with pytest.raises(WireError):
        client.receiver.receive(data + b"more")
    assert len(client.world.texts) == 1
    client.receiver.receive(data)
    assert len(client.world.texts) == 2


# -- room ------------------------------------------------------------------------------------


def test_a_row_far_out_costs_what_the_wire_can_name_and_no_more() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={65_535: 1}))
    assert len(end.known[0].life) == 65_536
    assert level(end, 65_535) == 1
    assert end.history.layout.rooms == [65_536]


def test_tables_grow_in_mid_game() -> None:
    lab = Lab((Flag, Rock, Letter), random.Random(4), weather=Weather(loss=0.2, most_delay=3))
    rng = lab.random
    for _ in range(12):
        for kind in (Flag, Rock, Letter):
            for _ in range(rng.randint(0, 6)):
                entity = lab.world.spawn(kind)
                if isinstance(entity, Flag):
                    lab.world.table(Flag).own(entity._row, rng.randint(0, 1))
                    entity.near = entity.far = rng.choice(list(lab.world[Flag]))
        lab.step()
    assert min(lab.clients[0].history.layout.rooms) > 16
    lab.calm_down(10)
    lab.check_equal()


def test_what_is_not_told_reads_as_its_default() -> None:
    lab = Lab((Flag,), random.Random(2))
    flags = [lab.world.spawn(Flag, secret=3) for _ in range(40)]
    for flag in flags:
        flag.near = flag.far = flags[0]
    table = lab.world.table(Flag)
    table.own(1, 1)
    lab.calm_down(3)
    held = lab.clients[0].receiver.known[0].lanes
    secret, near, far = (table.lanes_of(f) for f in (Flag.secret, Flag.near, Flag.far))
    assert held[:, secret].ravel().tolist() == [5, 3] + [5] * 38
    assert held[:, near].ravel().tolist() == [flags[0].handle + 1] * 40
    assert held[:, far].ravel().tolist() == [0, flags[0].handle + 1] + [0] * 38
    lab.world.despawn(flags[0])
    table.own(1, 0)
    lab.calm_down(3)
    held = lab.clients[0].receiver.known[0].lanes
    assert held[1:, secret].ravel().tolist() == [5] * 39
    assert not held[1:, near].any()
    assert not held[1:, far].any()
    lab.check_equal()


def test_a_client_that_missed_everything_starts_from_any_packet() -> None:
    lab = Lab((Rock,), random.Random(2))
    lab.world.spawn(Rock, grade=1)
    for _ in range(3 * LENGTH):
        lab.step(DARK)
    lab.step(CLEAR)
    lab.check_equal()
