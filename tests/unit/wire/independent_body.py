"""What stands in a state packet, written from WIRE_FORMAT.md alone: bits to statements about rows.

It shares no code with netcode, so that the document is tested together with the program. Slow, and
easy to compare with the page. What the statements mean is worked out in `independent_decoder`.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Schema = Sequence[Mapping[str, Any]]
"""The entity classes in their order: ``{"name", "fields": [{"name", "kind", "lane_bits",
"only_owner", "default"}, …]}``; the default as lanes, that of a Text as text. As in JSON."""

Value = int | str
"""What a lane holds: a number, or in a Text's only lane the text."""

MAX_PACKETS = 16
END = 255
ESCAPE = 24
ALL_EXACT = 31


class MalformedError(Exception):
    """The bytes are not what the page allows."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise MalformedError(what)


# -- parts -----------------------------------------------------------------------------------


@dataclass
class LaneShape:
    bits: int
    kind: str
    """Of its field: ``Float``, ``Angle``, ``Text`` …"""
    component: int = 0
    """1, 2 or 3 for the lanes of a Quat behind its first; else 0."""


@dataclass
class Part:
    number: int
    table: int
    public: int
    """The number of the public part of the class."""
    fields: list[Mapping[str, Any]]
    lanes: list[LaneShape] = field(default_factory=list)
    defaults: list[Value] = field(default_factory=list)


def parts_of(schema: Schema) -> list[Part]:
    parts: list[Part] = []
    for table, kind in enumerate(schema):
        plain = [f for f in kind["fields"] if f["kind"] != "Ref"]
        public = len(parts)
        parts.append(Part(public, table, public, [f for f in plain if not f["only_owner"]]))
        private = [f for f in plain if f["only_owner"]]
        if private:
            parts.append(Part(len(parts), table, public, private))
        for reference in (f for f in kind["fields"] if f["kind"] == "Ref"):
            parts.append(Part(len(parts), table, public, [reference]))
    for part in parts:
        for described in part.fields:
            is_text = described["kind"] == "Text"
            part.defaults += [described["default"]] if is_text else described["default"]
            for lane, bits in enumerate(described["lane_bits"]):
                component = lane if described["kind"] == "Quat" else 0
                part.lanes.append(LaneShape(bits, described["kind"], component))
    return parts


# -- bits ------------------------------------------------------------------------------------


class Bits:
    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, width: int) -> int:
        require(self.at + width <= len(self.text), "the packet ends too early")
        part = self.text[self.at : self.at + width]
        self.at += width
        return int(part, 2) if part else 0

    def counted(self) -> int:
        size = self.take(5)
        require(size <= 16, "a count is too long")
        value = self.take(size)
        require(size == 0 or value >= 2 ** (size - 1), "a count has leading zeros")
        return value

    def zeros(self) -> int:
        """The zeros before the next one, and the one."""
        end = self.text.find("1", self.at)
        require(0 <= end <= self.at + ESCAPE, "a unary part has no end")
        count = end - self.at
        self.at = end + 1
        return count

    def block(self, shapes: Sequence[tuple[int, int]]) -> list[int]:
        """Rice codes, each of a (parameter, bits of the raw number)."""
        unary = [self.zeros() for _ in shapes]
        codes = []
        for quotient, (parameter, raw) in zip(unary, shapes, strict=True):
            if quotient == ESCAPE:
                codes.append(self.take(raw))
            else:
                codes.append(quotient * 2**parameter + self.take(parameter))
        return codes

    def rows(self, count: int) -> list[int]:
        runs = self.counted()
        require(0 < runs <= count, "runs")
        gap_parameter, run_parameter = self.take(4), self.take(4)
        codes = self.block([(gap_parameter, 16)] * runs + [(run_parameter, 16)] * runs)
        rows: list[int] = []
        next_row = 0
        for gap, more in zip(codes[:runs], codes[runs:], strict=True):
            first = next_row + gap
            require(first + more < 65_536, "a row is out of range")
            rows += range(first, first + more + 1)
            next_row = first + more + 2
        require(len(rows) == count, "the runs do not make up the rows")
        return rows

    def texts(self, sizes: Sequence[int]) -> list[str]:
        texts = []
        for size in sizes:
            data = bytes(self.take(8) for _ in range(size))
            try:
                texts.append(data.decode("utf-8"))
            except UnicodeDecodeError:
                raise MalformedError("not UTF-8") from None
        return texts


# -- one packet, without knowing what came before --------------------------------------------


@dataclass
class LaneUpdate:
    mode: str
    """``rest``, ``sparse`` or ``dense``."""
    predictor: int = 0
    codes: dict[int, int] = field(default_factory=dict)
    """Dense: by row, where it is not 0 by the description."""
    values: dict[int, Value] = field(default_factory=dict)
    """Sparse: by row."""


@dataclass
class Entry:
    generation: int
    interval: int
    controlled: bool
    age: int
    values: list[Value] = field(default_factory=list)


@dataclass
class Section:
    part: int
    updated: list[int] = field(default_factory=list)
    exact: set[int] = field(default_factory=set)
    lanes: list[LaneUpdate] = field(default_factory=list)
    entered: dict[int, Entry] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)


@dataclass
class Packet:
    sequence: int
    """16 bits of it."""
    tick: int
    index: int
    count: int
    deferred: bool
    client_packet: int
    """16 bits of it."""
    input_tick: int | None
    earliness: int
    sections: list[Section]


def read_packet(data: bytes, parts: Sequence[Part]) -> Packet:
    require(len(data) >= 18, "shorter than the header")
    kind, sequence, tick, index, count, flags, client_packet, input_tick, early = struct.unpack(
        "<BHIBBBHIh", data[:18]
    )
    require(kind == 16, "not a state packet")
    require(index < count <= MAX_PACKETS, "the index")
    bits = Bits(data[18:])
    sections: list[Section] = []
    while (part := bits.take(8)) != END:
        require(part < len(parts), "no such part")
        require(not sections or part > sections[-1].part, "the parts' order")
        sections.append(_section(parts[part], bits))
    rest = bits.text[bits.at :]
    require(len(rest) < 8 and "1" not in rest, "something behind the end")
    return Packet(
        sequence,
        tick,
        index,
        count,
        flags % 2 == 1,
        client_packet,
        None if input_tick == 0xFFFFFFFF else input_tick,
        early,
        sections,
    )


def _section(part: Part, bits: Bits) -> Section:
    section = Section(part.number)
    updates, entries, leaves = bits.counted(), bits.counted(), bits.counted()
    if updates:
        _updates(section, part, updates, bits)
    if entries:
        _entries(section, part, entries, bits)
    if leaves:
        section.left = bits.rows(leaves)
    return section


def _updates(section: Section, part: Part, count: int, bits: Bits) -> None:
    parameters = []
    for shape in part.lanes:
        parameter = ALL_EXACT
        if bits.take(1):
            described = LaneUpdate("rest")
        elif bits.take(1):
            described = LaneUpdate("sparse")
        else:
            require(shape.kind != "Text", "a dense text")
            described = LaneUpdate("dense", predictor=bits.take(3))
            parameter = bits.take(5)
        section.lanes.append(described)
        parameters.append(parameter)
    has_flags = bits.take(1)
    section.updated = rows = bits.rows(count)
    if has_flags:
        section.exact = {row for row in rows if bits.take(1)}
    inexact = [row for row in rows if row not in section.exact]
    coded = [lane for lane, parameter in enumerate(parameters) if parameter != ALL_EXACT]
    shapes = [(parameters[lane], part.lanes[lane].bits) for lane in coded for _ in inexact]
    codes = iter(bits.block(shapes))
    for lane in coded:
        section.lanes[lane].codes = {row: next(codes) for row in inexact}

    sparse = [lane for lane, said in enumerate(section.lanes) if said.mode == "sparse"]
    heads = [(bits.counted(), bits.take(4)) for _ in sparse]
    gaps = iter(bits.block([(parameter, 16) for said, parameter in heads for _ in range(said)]))
    places = []
    for said, _ in heads:
        at, of_lane = 0, []
        for _place in range(said):
            at += next(gaps)
            require(at < count, "a sparse value of no row")
            of_lane.append(rows[at])
            at += 1
        places.append(of_lane)
    for lane, of_lane in zip(sparse, places, strict=True):
        width = 8 if part.lanes[lane].kind == "Text" else part.lanes[lane].bits
        section.lanes[lane].values = {row: bits.take(width) for row in of_lane}
    for lane in sparse:
        if part.lanes[lane].kind == "Text":
            sizes: Any = section.lanes[lane].values
            texts = bits.texts(list(sizes.values()))
            section.lanes[lane].values = dict(zip(sizes, texts, strict=True))


def _entries(section: Section, part: Part, count: int, bits: Bits) -> None:
    rows = bits.rows(count)
    for row in rows:
        generation, code, controlled, age = (bits.take(width) for width in (15, 2, 1, 6))
        require(generation < 32_767, "the generation")
        section.entered[row] = Entry(generation, 2**code, controlled == 1, age)
    for shape in part.lanes:
        for entry in section.entered.values():
            entry.values.append(bits.take(8 if shape.kind == "Text" else shape.bits))
    for lane, shape in enumerate(part.lanes):
        if shape.kind == "Text":
            sizes: Any = [entry.values[lane] for entry in section.entered.values()]
            for entry, text in zip(section.entered.values(), bits.texts(sizes), strict=True):
                entry.values[lane] = text
