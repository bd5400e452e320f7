"""State packets by hand, bit by bit, and what a receiver makes of them."""

import netcode as nc
from netcode.sync.receiver import Receiver
from netcode.wire.packets import StateHeader
from netcode.world.history import ABSENT, Frame, History
from netcode.world.world import World
from tests.unit.sync.lab import EVERY


class Dot(nc.Entity):
    level = nc.Int(0, 7)


def receiver(*kinds: type[nc.Entity]) -> Receiver:
    world = World(kinds or (Dot,))
    return Receiver(world.tables, History(world.tables, EVERY), world.texts)


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
