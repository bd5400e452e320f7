"""A client's half of the state protocol, written from WIRE_FORMAT.md alone.

It shares no code with netcode, so that the document is tested together with the program. Plain
integers and floats, one value at a time: slow, and easy to compare with the page.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.unit.wire.independent_body import (
    Entry,
    LaneShape,
    Part,
    Schema,
    Section,
    Value,
    parts_of,
    read_packet,
    require,
)

REACH = 15
RESTING_AGE = 16
LATEST = 15
WINDOW = 240
CLIENT_PACKETS = 256
PREDICTORS = ((0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (3, 3))
"""Degree and distance."""


# -- what a client keeps ---------------------------------------------------------------------


@dataclass
class Sample:
    values: list[Value]
    packet: int
    """The whole number of the state packet that carried it."""


@dataclass
class Row:
    """One row of one part."""

    generation: int | None = None
    """None while it is absent."""
    controlled: bool = False
    interval: int = 1
    since: int = -1_000_000
    left: int = -1_000_000
    samples: dict[int, Sample] = field(default_factory=dict)
    """By broadcast."""

    def at(self, broadcast: int) -> list[Value]:
        """The newest sample that is not newer than this broadcast."""
        return self.samples[max(n for n in self.samples if n <= broadcast)].values


@dataclass
class Broadcast:
    count: int
    arrived: set[int] = field(default_factory=set)
    mentioned: set[tuple[int, int]] = field(default_factory=set)
    """(part, row)"""
    deferred: bool = False


class Client:
    """Fed with every packet that arrives; told of every acknowledgement that is sent."""

    def __init__(self, schema: Schema, broadcast_every: int) -> None:
        self.schema = schema
        self.parts = parts_of(schema)
        self.every = broadcast_every
        self.rows: list[dict[int, Row]] = [{} for _ in self.parts]
        self.broadcasts: dict[int, Broadcast] = {}
        self.newest_broadcast = -1
        self.first_broadcast = -1
        self.newest_packet = 0
        self.arrived: set[int] = set()
        """Whole numbers of the packets that were taken in."""
        self.newest_client_packet = 0
        self.client_packets: dict[int, set[int]] = {0: set()}
        """The state packets that each client packet acknowledges; number 0 stands for none."""

    # -- acknowledging

    def sent(self, data: bytes) -> None:
        """This client packet was sent."""
        kind, low, flags, newest, size = struct.unpack("<BHBHB", data[:7])
        require(kind == 17, "not an input packet")
        window = {i for i in range(8 * size) if data[12 + i // 8] >> (i % 8) & 1}
        newest = whole(newest, self.newest_packet)
        acknowledged = {newest} | {newest - 1 - i for i in window} if flags % 2 else set()
        self.newest_client_packet += 1
        require(whole(low, self.newest_client_packet) == self.newest_client_packet, "not in turn")
        self.client_packets[self.newest_client_packet] = acknowledged
        if self.newest_client_packet > CLIENT_PACKETS:
            self.client_packets.pop(self.newest_client_packet - CLIENT_PACKETS, None)

    # -- packets

    def receive(self, data: bytes) -> bool:
        """Take in a packet; False if it is dropped for its age or because it came before."""
        packet = read_packet(data, self.parts)
        require(packet.tick % self.every == 0, "no broadcast")
        number = packet.tick // self.every
        named = whole(packet.client_packet, self.newest_client_packet)
        require(named in self.client_packets, "a client packet that was not sent")
        sequence = whole(packet.sequence, self.newest_packet)
        if self.newest_broadcast >= 0 and (
            number < self.newest_broadcast - LATEST or number < self.first_broadcast
        ):
            return False
        if sequence in self.arrived or sequence < self.newest_packet - WINDOW:
            return False
        self.arrived.add(sequence)
        self.newest_packet = max(self.newest_packet, sequence)
        if self.first_broadcast < 0:
            self.first_broadcast = number
        self.newest_broadcast = max(self.newest_broadcast, number)
        kept = self.broadcasts.setdefault(number, Broadcast(packet.count))
        kept.arrived.add(packet.index)
        kept.deferred |= packet.deferred
        for section in packet.sections:
            self._take(section, number, sequence, self.client_packets[named], kept)
        return True

    def _take(
        self, section: Section, number: int, sequence: int, acknowledged: set[int], kept: Broadcast
    ) -> None:
        part = self.parts[section.part]
        for row in section.updated:
            held = self._row(part, row)
            if held.generation is not None and number >= held.since:
                values = self._values(part, section, row, held, number, acknowledged)
                held.samples[number] = Sample(values, sequence)
                kept.mentioned.add((part.number, row))
        for row, entry in section.entered.items():
            if self._enter(part, row, entry, number):
                self._row(part, row).samples[number] = Sample(entry.values, sequence)
                kept.mentioned.add((part.number, row))
        for row in section.left:
            held = self._row(part, row)
            if held.generation is not None and number <= held.since:
                continue
            held.generation = None
            held.left = max(held.left, number)
            held.samples.clear()

    def _row(self, part: Part, row: int) -> Row:
        return self.rows[part.number].setdefault(row, Row())

    def _enter(self, part: Part, row: int, entry: Entry, number: int) -> bool:
        """Whether the entry counts."""
        held = self._row(part, row)
        since = number - entry.age
        alike = (held.generation, held.controlled, held.interval) == (
            entry.generation,
            entry.controlled,
            entry.interval,
        )
        if alike and since == held.since:
            return True
        if since <= held.since or since <= held.left:
            return False
        public = self.rows[part.public].get(row, Row())
        if part.public != part.number and public.generation not in (None, entry.generation):
            if since <= public.since:
                return False
            public.generation = None
            public.left = max(public.left, since - 1)
            public.samples.clear()
        held.generation, held.controlled = entry.generation, entry.controlled
        held.interval, held.since = entry.interval, since
        held.samples.clear()
        return True

    # -- values

    def _values(
        self,
        part: Part,
        section: Section,
        row: int,
        held: Row,
        number: int,
        acknowledged: set[int],
    ) -> list[Value]:
        ages = [
            age
            for age in range(1, REACH + 1)
            if number - age in held.samples and held.samples[number - age].packet in acknowledged
        ]
        base = held.at(number - (ages[0] if ages else RESTING_AGE))
        values: list[Value] = []
        for lane, (shape, said) in enumerate(zip(part.lanes, section.lanes, strict=True)):
            value = base[lane]
            if said.mode == "sparse":
                value = said.values.get(row, value)
            elif said.mode == "dense":
                chosen = chosen_ages(ages, *PREDICTORS[said.predictor])
                samples: list[Any] = [held.at(number - age) for age in chosen]
                line = [sample[lane] for sample in samples]
                prediction = predict(line, weights_of(chosen), shape)
                if shape.component:
                    first = lane - shape.component
                    same = [sample[first] == values[first] for sample in samples]
                    prediction = mend(prediction, line[0], same, shape.bits)
                value = modulo(prediction + signed(said.codes.get(row, 0)), 2**shape.bits)
            values.append(value)
        return values

    # -- what is held

    def held(self) -> list[dict[int, dict[str, Any]]]:
        """For each class the rows in view: ``{"generation", "controlled", "fields"}``."""
        tables: list[dict[int, dict[str, Any]]] = [{} for _ in self.schema]
        for part in self.parts:
            if part.public != part.number:
                continue
            for row, held in self.rows[part.number].items():
                if held.generation is None:
                    continue
                tables[part.table][row] = {
                    "generation": held.generation,
                    "controlled": held.controlled,
                    "fields": self._fields(part.table, row, held.generation),
                }
        return tables

    def _fields(self, table: int, row: int, generation: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for part in self.parts:
            if part.table != table:
                continue
            held = self.rows[part.number].get(row, Row())
            is_held = held.generation == generation
            lanes = iter(held.at(self.newest_broadcast) if is_held else part.defaults)
            for described in part.fields:
                of_field = [next(lanes) for _ in described["lane_bits"]]
                told[described["name"]] = of_field[0] if described["kind"] == "Text" else of_field
        return {
            described["name"]: told[described["name"]] for described in self.schema[table]["fields"]
        }

    def known(self, broadcast: int) -> list[dict[int, list[Value]]]:
        """For each class the rows whose public values at this broadcast are certain."""
        tables: list[dict[int, list[Value]]] = [{} for _ in self.schema]
        kept = self.broadcasts.get(broadcast)
        if kept is None:
            return tables
        complete = len(kept.arrived) == kept.count and not kept.deferred
        for part in self.parts:
            for row, held in self.rows[part.number].items():
                if part.public != part.number or held.generation is None:
                    continue
                due = broadcast >= held.since and (broadcast + row) % held.interval == 0
                if (part.number, row) in kept.mentioned or (complete and due):
                    tables[part.table][row] = held.at(broadcast)
        return tables


# -- arithmetic ------------------------------------------------------------------------------


def modulo(number: int, by: int) -> int:
    """Never negative."""
    return number - by * math.floor(number / by)


def whole(low: int, near: int) -> int:
    return near + modulo(low - near + 32_768, 65_536) - 32_768


def signed(code: int) -> int:
    return code // 2 if code % 2 == 0 else -((code + 1) // 2)


def chosen_ages(shared: Sequence[int], degree: int, distance: int) -> list[int]:
    if not shared:
        return [RESTING_AGE]
    chosen = [shared[0]]
    for age in shared[1:]:
        if len(chosen) <= degree and age >= chosen[-1] + distance:
            chosen.append(age)
    return chosen


def weights_of(ages: Sequence[int]) -> list[float]:
    weights = []
    for i, age in enumerate(ages):
        above = below = 1
        for j, other in enumerate(ages):
            if j != i:
                above *= other
                below *= other - age
        weights.append(above / below)
    return weights


def predict(samples: Sequence[int], weights: Sequence[float], shape: LaneShape) -> int:
    span = 2**shape.bits
    unwrapped = [samples[0]]
    for sample in samples[1:]:
        if shape.kind == "Angle":
            before = unwrapped[-1]
            sample = before - (modulo(before - sample + span // 2, span) - span // 2)
        unwrapped.append(sample)
    total = unwrapped[0] * weights[0]
    for sample, weight in zip(unwrapped[1:], weights[1:], strict=True):
        total = total + sample * weight
    prediction = math.floor(total + 0.5)
    return prediction if shape.kind == "Angle" else min(max(prediction, 0), span - 1)


def mend(prediction: int, newest: int, same: Sequence[bool], bits: int) -> int:
    if all(same):
        return prediction
    return newest if same[0] else 2 ** (bits - 1) - 1


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
