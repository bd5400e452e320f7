"""A decoder of state packets written from WIRE_FORMAT.md alone.

It shares no code with netcode, so that the document is tested together with the program.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

TEXT = "text"
"""In a layout, in place of the widths of the lanes."""

Layout = Sequence[Sequence[tuple[str, Sequence[int] | str]]]
"""For each entity class its fields: (name, widths of the lanes) or (name, `TEXT`)."""


@dataclass
class Row:
    table: int
    row: int
    told: bool
    life: int | None = None
    """The generation of one that enters; None for one that leaves or only changes."""
    controlled: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    """What is said: the lanes of a field, or the text of one."""


@dataclass
class Packet:
    sequence: int
    tick: int
    index: int
    count: int
    deferred: bool
    client_packet: int
    input_tick: int | None
    earliness: int
    rows: list[Row]


class Bits:
    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, width: int) -> int:
        assert self.at + width <= len(self.text), "the packet ends too early"
        part = self.text[self.at : self.at + width]
        self.at += width
        return int(part, 2) if part else 0


def decode_state(data: bytes, layout: Layout) -> Packet:
    kind, sequence, tick, index, count, flags, client_packet, input_tick, earliness = struct.unpack(
        "<BHIBBBHIh", data[:18]
    )
    assert kind == 16
    bits = Bits(data[18:])
    rows: list[Row] = []
    while (table := bits.take(8)) != 255:
        rows += _section(table, layout[table], bits)
    assert set(bits.text[bits.at :]) <= {"0"}
    assert len(bits.text) - bits.at < 8
    return Packet(
        sequence,
        tick,
        index,
        count,
        bool(flags & 1),
        client_packet,
        None if input_tick == 0xFFFFFFFF else input_tick,
        earliness,
        rows,
    )


def _section(
    table: int, fields: Sequence[tuple[str, Sequence[int] | str]], bits: Bits
) -> list[Row]:
    count = bits.take(16)
    numbers = [bits.take(16) for _ in range(count)]
    rows = [Row(table, number, bool(bits.take(1))) for number in numbers]
    leaving = [row for row in rows if row.told and not bits.take(1)]
    entering = [row for row in rows if row.told and row not in leaving]
    for row in entering:
        row.life = bits.take(15)
    for row in entering:
        row.controlled = bool(bits.take(1))
    present = [row for row in rows if row not in leaving]
    said = [[row for row in present if bits.take(1)] for _ in fields]
    for (name, shape), chosen in zip(fields, said, strict=True):
        if shape == TEXT:
            for row in chosen:
                length = bits.take(8)
                row.values[name] = bytes(bits.take(8) for _ in range(length)).decode()
            continue
        for row in chosen:
            row.values[name] = []
        for width in shape:
            for row in chosen:
                row.values[name].append(bits.take(int(width)))
    return rows


# -- from lanes to values --------------------------------------------------------------------


def as_float(lane: int, low: float, high: float, step: float) -> float:
    top = math.floor((high - low) / step + 0.5)
    return min(low + min(lane, top) * step, high)


def as_int(lane: int, low: int, high: int) -> int:
    return min(lane, high - low) + low


def as_angle(lane: int, bits: int) -> float:
    return lane * (2 * math.pi / 2**bits)


def as_reference(lane: int) -> tuple[int, int] | None:
    """Row and generation."""
    return None if lane == 0 else ((lane - 1) & 0xFFFF, (lane - 1) >> 16)


def as_quaternion(lanes: Sequence[int], bits: int) -> list[float]:
    top = 2**bits - 2
    half = top / 2
    rest = [(min(lane, top) - half) / half * math.sqrt(0.5) for lane in lanes[1:]]
    square = sum(part * part for part in rest)
    rest.insert(lanes[0], math.sqrt(max(0.0, 1 - square)))
    return [part / math.sqrt(max(1.0, square)) for part in rest]
