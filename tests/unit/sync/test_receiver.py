"""The receiver's own duties: what it says it has, and what a frame of its history means."""

import itertools
import random

import numpy as np
import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.sync.baselines import WINDOW
from netcode.sync.receiver import LATEST, MAX_AHEAD, SENT_KEPT, Receiver
from netcode.wire.packets import MAX_PACKETS, StateHeader
from netcode.world.history import ABSENT, LENGTH, Frame, History
from netcode.world.world import World
from tests.unit.sync.lab import CLEAR, DARK, EVERY, Lab, Letter, Rock, Ship, Weather


class Dot(nc.Entity):
    level = nc.Int(0, 7)


class Flag(nc.Entity):
    """As many parts as there can be: for all, for the owner, and two references."""

    height = nc.Int(0, 7)
    secret = nc.Int(0, 7, default=5, only_owner=True)
    near = nc.Ref("Flag")
    far = nc.Ref("Flag", only_owner=True)


def receiver(*kinds: type[nc.Entity]) -> Receiver:
    world = World(kinds or (Dot,))
    return Receiver(world.tables, History(world.tables, EVERY), world.texts)


# -- packets by hand -------------------------------------------------------------------------


class Bits:
    """Numbers, most significant bit first."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, width: int) -> "Bits":
        assert 0 <= value < 1 << width
        self.text += format(value, f"0{width}b") if width else ""
        return self

    def count(self, value: int) -> "Bits":
        return self.put(value.bit_length(), 5).put(value, value.bit_length())

    def rows(self, rows: list[int]) -> "Bits":
        """A list of rows, with the Rice parameters 15 for gaps and 0 for runs."""
        runs: list[list[int]] = []
        for row in rows:
            if runs and row == runs[-1][-1] + 1:
                runs[-1].append(row)
            else:
                runs.append([row])
        self.count(len(runs)).put(15, 4).put(0, 4)
        ends = [-2] + [run[-1] for run in runs]
        gaps = [run[0] - end - 2 for run, end in zip(runs, ends, strict=False)]
        for quotient in [gap >> 15 for gap in gaps] + [len(run) - 1 for run in runs]:
            self.put(1, quotient + 1)
        for gap in gaps:
            self.put(gap & 0x7FFF, 15)
        return self

    def bytes(self) -> bytes:
        text = self.text + "0" * (-len(self.text) % 8)
        return bytes(int(text[at : at + 8], 2) for at in range(0, len(text), 8))


def packet(
    sequence: int,
    tick: int,
    *,
    updates: dict[int, int] | None = None,
    entries: dict[int, int] | None = None,
    leaves: list[int] | None = None,
    index: int = 0,
    count: int = 1,
    deferred: bool = False,
    generation: int = 0,
    age: int = 0,
    mine: bool = False,
    interval_code: int = 0,
    client_packet: int = 0,
) -> bytes:
    """What a packet says of Dots: levels of rows that change or enter, and rows that leave."""
    header = StateHeader(sequence, tick, index, count, deferred, client_packet, None, 0.0)
    body = Bits()
    updates, entries, leaves = updates or {}, entries or {}, leaves or []
    if updates or entries or leaves:
        body.put(0, 8).count(len(updates)).count(len(entries)).count(len(leaves))
        if updates:
            body.put(0b01, 2).put(0, 1).rows(list(updates))  # sparse, no flags
            body.count(len(updates)).put(0, 4)
            for _ in updates:
                body.put(1, 1)
            for level in updates.values():
                body.put(level, 3)
        if entries:
            body.rows(list(entries))
            for _ in entries:
                body.put(generation, 15).put(interval_code, 2).put(mine, 1).put(age, 6)
            for level in entries.values():
                body.put(level, 3)
        if leaves:
            body.rows(leaves)
    return header.encode() + body.put(255, 8).bytes()


def level(end: Receiver, row: int = 0) -> int | None:
    known = end.known[0]
    if row >= len(known.life) or known.life[row] == ABSENT:
        return None
    return int(known.lanes[row, 0])


def frame_at(end: Receiver, tick: int) -> Frame:
    frame = end.history.at(tick)
    assert frame is not None
    return frame


def levels(end: Receiver, row: int = 0) -> list[int | None]:
    """What the frames say of a row, oldest first; None where it is not known to be there."""
    said: list[int | None] = []
    for frame in end.history:
        kept = frame.tables[0]
        there = row < kept.size and kept.known[row] and kept.life[row] != ABSENT
        said.append(int(kept.lanes[row, 0]) if there else None)
    return said


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
    end.receive(packet(2, 6, entries={0: 2}, age=1, client_packet=1))
    assert level(end) == 2


def test_a_packet_that_builds_on_what_was_never_sent_is_refused() -> None:
    end = receiver()
    end.receive(packet(1, 3))
    end.acknowledge(1)
    with pytest.raises(WireError, match="client packet"):
        end.receive(packet(2, 6, client_packet=2))
    assert (end.tick, end.newest_packet) == (3, 1)


# -- epochs ----------------------------------------------------------------------------------


def test_the_newer_value_stays_when_the_older_comes_late() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, updates={0: 3}))
    end.receive(packet(2, 6, updates={0: 2}))
    assert level(end) == 3
    assert levels(end) == [1, 2, 3]
    assert end.stats.late == 1


def test_a_late_value_carries_on_up_to_the_next_one_that_was_said() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, updates={0: 5}))
    assert levels(end) == [1, None, None, None, 5]
    end.receive(packet(2, 6, updates={0: 2}))
    for sequence in (3, 4):
        end.receive(packet(sequence, 3 * sequence))
    assert levels(end) == [1, 2, 2, 2, 5]


def test_an_entry_begins_when_its_age_says() -> None:
    """The row's former tenant had left by then: what is told of it later does not count."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, entries={0: 5}, age=2, generation=1))
    end.receive(packet(2, 6, updates={0: 2}))
    assert (level(end), end.stats.stray) == (5, 1)
    end.receive(packet(3, 9, entries={0: 3}, age=0, generation=1))
    assert level(end) == 5
    assert levels(end)[2:] == [3, None, 5]


def test_an_entry_of_an_older_epoch_is_ignored() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, entries={0: 5}, generation=2))
    end.receive(packet(3, 9, entries={0: 3}, generation=1))
    assert (level(end), int(end.known[0].life[0])) == (5, 2)


def test_an_entry_that_is_told_again_is_the_same_epoch() -> None:
    end = receiver()
    end.receive(packet(2, 6, entries={0: 2}, age=1))
    end.receive(packet(3, 9, updates={0: 4}))
    end.receive(packet(1, 3, entries={0: 1}, age=0))
    assert level(end) == 4
    assert end.stats.stray == 0


@pytest.mark.parametrize("began", [39, 60, 100])
def test_an_entry_that_is_told_three_times_is_one_epoch_in_any_order(began: int) -> None:
    for order in itertools.permutations((100, 101, 102)):
        end = receiver()
        end.receive(packet(90, 3 * 90))
        for number in order:
            entries = {0: number - 100}
            end.receive(packet(number, 3 * number, entries=entries, age=number - began))
        assert levels(end)[-3:] == [0, 1, 2], order
        assert (level(end), end.stats.stray) == (2, 0)


def test_a_leave_ends_what_had_begun_before_it() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, leaves=[0]))
    end.receive(packet(2, 6, updates={0: 2}))
    assert level(end) is None
    end.receive(packet(5, 15, entries={0: 5}, generation=1))
    end.receive(packet(4, 12, leaves=[0]))
    assert level(end) == 5
    assert int(end.known[0].life[0]) == 1


def test_a_leave_that_comes_before_the_entry_it_ends() -> None:
    end = receiver()
    end.receive(packet(3, 9, leaves=[4]))
    end.receive(packet(2, 9, entries={4: 2}, age=1))
    assert level(end, 4) is None
    end.receive(packet(4, 12, entries={4: 3}))
    assert level(end, 4) == 3


def test_an_update_of_what_is_not_in_view_is_counted_and_ignored() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(2, 6, leaves=[0]))
    end.receive(packet(3, 9, updates={0: 1}))
    assert level(end) is None
    assert end.stats.stray == 1


def test_a_tick_that_speaks_of_a_former_tenant_leaves_the_row_unknown() -> None:
    """All of tick 6 is here, and yet: what it says of row 0 could not be used any more."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1, 1: 1}))
    end.receive(packet(3, 9, entries={0: 3}, generation=1))
    end.receive(packet(2, 6, updates={0: 2}))
    assert (levels(end), levels(end, 1)) == ([1, None, 3], [1, 1, 1])


# -- what silence means ----------------------------------------------------------------------


def test_a_tick_is_complete_when_all_its_packets_are_here() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 6, index=1, count=2))
    frame = frame_at(end, 6)
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (False, False)
    end.receive(packet(2, 6, index=0, count=2))
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (True, True)


def test_a_tick_with_something_deferred_is_never_complete() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(2, 6, entries={1: 2}, deferred=True))
    frame = frame_at(end, 6)
    assert not frame.complete
    assert frame.tables[0].known.tolist()[:2] == [False, True]


def test_the_ticks_of_lost_packets_are_unknown() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(4, 12))
    assert [frame.tick for frame in end.history] == [3, 6, 9, 12]
    assert [frame.complete for frame in end.history] == [True, False, False, True]
    assert levels(end) == [1, None, None, 1]


@pytest.mark.parametrize(("code", "interval"), [(0, 1), (1, 2), (2, 4), (3, 8)])
def test_silence_means_rest_only_at_a_rows_own_broadcasts(code: int, interval: int) -> None:
    end = receiver()
    end.receive(packet(1, 3, entries=dict.fromkeys(range(9), 1), interval_code=code))
    for number in range(2, 20):
        end.receive(packet(number, 3 * number))
    for frame in list(end.history)[1:]:
        due = (frame.number + np.arange(9)) % interval == 0
        assert frame.tables[0].known.tolist() == due.tolist()


def test_what_came_into_view_later_is_not_known_at_a_tick_before() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, entries={1: 3}))
    end.receive(packet(2, 6))
    assert levels(end, 1) == [None, None, 3]


def test_everything_at_rest_is_known_at_every_broadcast() -> None:
    """As the other end really does it, for longer than the ring."""
    lab = Lab((Ship, Rock), random.Random(1))
    for _ in range(5):
        lab.world.spawn(Ship)
        lab.world.spawn(Rock)
    lab.calm_down(2 * LENGTH)
    for frame in lab.clients[0].history:
        assert frame.complete
        for kept in frame.tables:
            assert kept.known.all()
            assert (kept.life != ABSENT).all()


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
