"""The state writer and reader, beside a reader made of WIRE_FORMAT.md: alike, also for nonsense."""

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.wire.packets import STATE_HEADER_BYTES
from netcode.wire.state_reader import Section, lane_kinds, read_body
from netcode.wire.state_writer import StateWriter
from netcode.world.layout import parts_of as real_parts_of
from netcode.world.table import MAX_ROWS
from netcode.world.world import World
from tests.unit.wire.independent_body import Bits, MalformedError, parts_of, read_packet
from tests.unit.wire.independent_body import Section as OtherSection
from tests.vectors.make import FOLDER, SCENARIOS

QUICK = settings(deadline=None, max_examples=60)

ROWS = st.one_of(
    st.sets(st.integers(0, MAX_ROWS - 1), min_size=1, max_size=40),
    st.sets(st.integers(0, 30), min_size=1),
    st.integers(0, 60_000).map(lambda first: set(range(first, first + 300, 1 + first % 2))),
)


@given(st.lists(ROWS, min_size=1, max_size=4))
@QUICK
def test_lists_of_rows_come_back(lists: list[set[int]]) -> None:
    """As the leaves of one section in each packet."""
    writer = StateWriter(len(lists))
    heads, widths = [], []
    for rows in lists:
        size = len(rows).bit_length()
        heads += [0, 0, 0, size << size | len(rows)]
        widths += [8, 5, 5, 5 + size]
    sections = np.arange(len(lists))
    writer.put(np.repeat(sections, 4), np.array(heads), np.array(widths))
    every = [sorted(rows) for rows in lists]
    writer.put_rows(np.repeat(sections, [len(rows) for rows in every]), np.concatenate(every))
    bodies = writer.bodies(sections)
    assert len(bodies) == len(lists)
    for body, rows in zip(bodies, every, strict=True):
        (section,) = read_body(body, [[]], [0])
        assert section.left.tolist() == rows
        bits = Bits(body)
        assert [bits.take(8), bits.counted(), bits.counted(), bits.counted()] == [
            0,
            0,
            0,
            len(rows),
        ]
        assert bits.rows(len(rows)) == rows


def stated(section: Section) -> dict[str, Any]:
    """What a section says, for comparison with that of the other reader."""
    texts = section.texts
    return {
        "part": section.part,
        "updated": section.updated.tolist(),
        "exact": section.updated[section.exact].tolist(),
        "modes": [("rest", "sparse", "dense")[lane.mode] for lane in section.lanes],
        "predictors": [lane.predictor for lane in section.lanes],
        "codes": [[] if lane.codes is None else lane.codes.tolist() for lane in section.lanes],
        "places": [[] if lane.places is None else lane.places.tolist() for lane in section.lanes],
        "entered": section.entered.tolist(),
        "heads": list(
            zip(
                section.generation.tolist(),
                section.interval.tolist(),
                section.controlled.tolist(),
                section.age.tolist(),
                strict=True,
            )
        ),
        "left": section.left.tolist(),
        "texts": sorted(texts),
    }


def stated_by_the_other(section: OtherSection) -> dict[str, Any]:
    rows = section.updated
    values = [value for lane in section.lanes for value in lane.values.values()]
    values += [value for entry in section.entered.values() for value in entry.values]
    return {
        "part": section.part,
        "updated": rows,
        "exact": sorted(section.exact),
        "modes": [lane.mode for lane in section.lanes],
        "predictors": [lane.predictor for lane in section.lanes],
        "codes": [list(lane.codes.values()) for lane in section.lanes],
        "places": [[rows.index(row) for row in lane.values] for lane in section.lanes],
        "entered": list(section.entered),
        "heads": [
            (entry.generation, entry.interval, entry.controlled, entry.age)
            for entry in section.entered.values()
        ],
        "left": section.left,
        "texts": sorted(value for value in values if isinstance(value, str)),
    }


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A packet with some bits turned over, an end cut off or something put in."""
    spoilt = bytearray(data)
    at = rng.randrange(STATE_HEADER_BYTES, len(data))
    match rng.randrange(4):
        case 0:
            spoilt[at] ^= 1 << rng.randrange(8)
        case 1:
            spoilt[at] = rng.randrange(256)
        case 2:
            del spoilt[at:]
        case _:
            spoilt[at:at] = rng.randbytes(rng.randint(1, 4))
    return bytes(spoilt)


@pytest.mark.parametrize("name", SCENARIOS)
def test_both_readers_take_and_refuse_the_same(name: str) -> None:
    rng = random.Random(f"readers {name}")
    vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    packets = [bytes.fromhex(e["received"]) for e in vectors["events"] if "received" in e]
    kinds = SCENARIOS[name]().line.kinds
    real_parts = [lane_kinds(part.fields) for part in real_parts_of(World(kinds).tables)]
    parts = parts_of(vectors["classes"])
    taken = refused = 0
    for _ in range(150):
        packet = rng.choice(packets)
        for data in (packet, damaged(packet, rng)):
            try:
                theirs = read_packet(data, parts).sections
            except MalformedError:
                with pytest.raises(WireError):
                    read_body(data[STATE_HEADER_BYTES:], real_parts, [MAX_ROWS] * len(parts))
                refused += 1
                continue
            ours = read_body(data[STATE_HEADER_BYTES:], real_parts, [MAX_ROWS] * len(parts))
            assert [stated(one) for one in ours] == [stated_by_the_other(one) for one in theirs]
            taken += 1
    assert taken >= 150
    assert refused > 20


def test_an_update_of_a_row_that_was_never_mentioned_is_refused() -> None:
    vectors = json.loads((FOLDER / "escapes.json").read_text(encoding="utf-8"))
    packets = [bytes.fromhex(e["received"]) for e in vectors["events"] if "received" in e]
    real_parts = [
        lane_kinds(part.fields)
        for part in real_parts_of(World(SCENARIOS["escapes"]().line.kinds).tables)
    ]
    body = packets[-1][STATE_HEADER_BYTES:]
    (section,) = read_body(body, real_parts, [24])
    assert section.updated[-1] == 23
    with pytest.raises(WireError, match="row 23 of 23"):
        read_body(body, real_parts, [23])
