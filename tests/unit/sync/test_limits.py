"""What once ran away: classes that hardly fit, forged counts, rows that blink, far leaves."""

import tracemalloc
from contextlib import suppress

import numpy as np
import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.sync.receiver import Receiver
from netcode.sync.samples import UNSEEN_KEPT
from netcode.sync.sender import Sender
from netcode.wire.bits import BitReader
from netcode.wire.packets import StateHeader
from netcode.wire.state_writer import StateWriter
from netcode.world.history import History
from netcode.world.world import World
from tests.unit.sync.by_hand import packet

WIDE = type("Wide", (nc.Entity,), {f"f{n}": nc.Int(0, (1 << 30) - 1) for n in range(180)})
MANY = type("Many", (nc.Entity,), {f"f{n}": nc.Int(0, 15) for n in range(800)})


class Line:
    """A sender and a receiver on a clear line."""

    def __init__(self, kind: type[nc.Entity], interest: nc.Interest | None = None) -> None:
        self.world, mirror = World([kind]), World([kind])
        self.history = History(self.world.tables)
        self.sender = Sender(self.world.tables, self.history, interest)
        self.peer = self.sender.add(1)
        self.receiver = Receiver(mirror.tables, History(mirror.tables), mirror.texts)
        self.number = 0

    def step(self) -> int:
        """One broadcast; the bytes that it took."""
        self.number += 1
        frame = self.history.record(self.number, self.world.tables)
        packets = self.sender.broadcast(frame)[1]
        for data in packets:
            assert len(data) <= 1_100
            self.receiver.receive(data)
        newest, window = self.receiver.acknowledge(self.number)
        self.sender.acknowledge(self.peer, self.number, newest, window)
        return sum(map(len, packets))

    def check(self) -> None:
        lanes = self.history.newest
        assert lanes is not None
        assert (self.receiver.known[0].lanes == lanes.tables[0].lanes).all()


@pytest.mark.parametrize("kind", [WIDE, MANY], ids=lambda kind: kind.__name__)
def test_an_update_that_does_not_fit_is_told_as_an_entry(kind: type[nc.Entity]) -> None:
    nc.Protocol(entities=[kind])
    line = Line(kind)
    rng = np.random.default_rng(1)
    for _ in range(6):
        line.world.spawn(kind)
    table = line.world.tables[0]
    high = 1 << table.fields[0].lane_bits[0]
    for _ in range(20):
        row = int(rng.integers(0, 6))
        for field in table.fields:
            table[field.name][:] = (table[field.name] + 3) % high
            table[field.name][row] = rng.integers(0, high)
        line.step()
    for _ in range(8):
        line.step()
    line.check()


def test_making_one_update_an_entry_may_make_another_too_long() -> None:
    """The Rice parameter suited the row that is gone."""
    line = Line(WIDE)
    for _ in range(100):
        line.world.spawn(WIDE)
    table = line.world.tables[0]
    line.peer.budget = None
    for _ in range(400):
        line.step()
        if not line.sender.pairs.pending[: line.sender.pairs.used].any():
            break
    for field in table.fields:
        table[field.name][0] += 100
        table[field.name][1] += 1 << 29
    for _ in range(40):
        line.step()
    line.check()


class Dot(nc.Entity):
    level = nc.Int(0, 7)


def far_leave(row: int) -> bytes:
    writer = StateWriter(1)
    one = np.zeros(1, dtype=np.int64)
    counts = np.array([0, 0, 0, 1 << 1 | 1])
    writer.put(np.zeros(4, dtype=np.int64), counts, np.array([8, 5, 5, 6]))
    writer.put_rows(one, np.array([row]))
    header = StateHeader(1, 1, 0, 1, False, 0, None, 0.0).encode()
    return header + writer.bodies(one)[0]


def test_rows_that_leave_unseen_take_no_room() -> None:
    world = World([Dot])
    end = Receiver(world.tables, History(world.tables), world.texts)
    end.receive(far_leave(65_000))
    assert end.history.sizes == [0]
    assert len(end.samples._unseen) == 1 <= UNSEEN_KEPT


def test_an_entry_that_comes_after_its_leave_is_out_of_date() -> None:
    world = World([Dot])
    end = Receiver(world.tables, History(world.tables, every=3), world.texts)
    end.receive(packet(3, 9, leaves=[4]))
    end.receive(packet(2, 6, entries={4: 1}))
    assert (end.known[0].life < 0).all()
    end.receive(packet(5, 15, entries={4: 2}))
    assert int(end.known[0].life[4]) == 0


def test_room_is_made_only_for_numbers_that_can_be_there() -> None:
    reader = BitReader(bytes(100))
    with pytest.raises(WireError):
        reader.expect(801)
    tracemalloc.start()
    world = World([Dot])
    end = Receiver(world.tables, History(world.tables), world.texts)
    data = far_leave(3)
    rng = np.random.default_rng(2)
    for _ in range(200):
        forged = bytearray(data)
        forged[18:] = rng.bytes(40)
        with suppress(WireError):
            end.receive(bytes(forged))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000_000


class Blink(nc.Interest):
    """Row 0 is in view for two broadcasts, and away for two."""

    def __init__(self) -> None:
        self.calls = 0

    def visible(self, table, viewers):  # type: ignore[no-untyped-def]
        self.calls += 1
        seen = np.ones(table.size, dtype=np.bool_)
        seen[0] = self.calls % 4 < 2
        return seen


def test_what_blinks_does_not_lose_its_place_once_it_has_been_told() -> None:
    line = Line(Dot, Blink())
    rng = np.random.default_rng(3)
    for _ in range(60):
        line.world.spawn(Dot)
    for _ in range(12):
        line.step()
    line.peer.budget = 60
    told = 0
    for _ in range(200):
        line.world.tables[0]["level"][:] = rng.integers(0, 8, 60)
        line.step()
        told += int(line.sender.pairs.sent[line.sender.pairs.where[0, 0]] == line.number)
    assert told >= 5
