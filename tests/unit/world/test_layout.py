"""The layout: parts of classes, and where their rows and cells stand in one flat array."""

import enum
import math
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.fields import ROW_BITS
from netcode.world.layout import FIRST_ROWS, Layout, PartKind, parts_of
from netcode.world.world import World


class Rank(enum.Enum):
    LOW = 0
    HIGH = 1


class Crew(nc.Entity):
    secret = nc.Int(0, 9, only_owner=True)
    x = nc.Float(0, 1, step=0.5)
    boss: nc.Ref[Any] = nc.Ref("Crew")
    spin = nc.Quat(bits=6)
    hidden: nc.Ref[Any] = nc.Ref("Crew", only_owner=True)
    at = nc.Vec2(0, 10, step=1, only_owner=True)
    name = nc.Text(max_bytes=5)
    heading = nc.Angle(bits=7)
    rank = nc.Enum(Rank)
    on = nc.Bool()


class Empty(nc.Entity):
    pass


class Private(nc.Entity):
    code = nc.Int(0, 9, only_owner=True)


KINDS = (Crew, Empty, Private)


def layout_of(*kinds: type[nc.Entity]) -> Layout:
    return Layout(World(kinds or KINDS).tables)


# -- parts -----------------------------------------------------------------------------------


def test_what_is_told_together_is_one_part() -> None:
    parts = parts_of(World(KINDS).tables)
    said = [(p.table, p.kind, [f.name for f in p.fields], p.public) for p in parts]
    assert said == [
        (0, PartKind.PUBLIC, ["x", "spin", "name", "heading", "rank", "on"], 0),
        (0, PartKind.OWNER, ["secret", "at"], 0),
        (0, PartKind.REFERENCE, ["boss"], 0),
        (0, PartKind.REFERENCE, ["hidden"], 0),
        (1, PartKind.PUBLIC, [], 4),
        (2, PartKind.PUBLIC, [], 5),
        (2, PartKind.OWNER, ["code"], 5),
    ]
    assert [part.number for part in parts] == list(range(7))


def test_the_lanes_of_the_parts_are_all_lanes_once() -> None:
    world = World(KINDS)
    parts = parts_of(world.tables)
    for index, table in enumerate(world.tables):
        lanes = [lane for part in parts if part.table == index for lane in part.lanes.tolist()]
        assert sorted(lanes) == list(range(table.lane_count))
    firsts = [part.first_lane for part in parts]
    assert firsts == np.cumsum([0, *(len(part.lanes) for part in parts)])[:-1].tolist()


def test_a_parts_lanes_stand_in_the_order_of_its_fields() -> None:
    world = World(KINDS)
    part = parts_of(world.tables)[0]
    expected = [
        lane
        for described in part.fields
        for lane in range(world.tables[0].lane_count)[world.tables[0].lanes_of(described)]
    ]
    assert part.lanes.tolist() == expected


def test_a_game_without_classes_has_a_layout() -> None:
    layout = Layout(World(()).tables)
    assert (layout.parts, layout.entities, layout.rows, layout.cells) == ((), 0, 0, 0)


# -- traits ----------------------------------------------------------------------------------


def test_traits_are_those_of_each_lanes_field() -> None:
    layout = layout_of(Crew)
    traits = layout.traits
    names = [f.name for part in layout.parts for f in part.fields for _ in f.lane_bits]
    table = {
        # bits, wraps, moves, text
        "x": (2, False, True, False),
        "name": (31, False, False, True),
        "heading": (7, True, True, False),
        "rank": (1, False, False, False),
        "on": (1, False, False, False),
        "secret": (4, False, True, False),
        "at": (4, False, True, False),
        "boss": (31, False, False, False),
        "hidden": (31, False, False, False),
    }
    for place, name in enumerate(names):
        if name != "spin":
            said = (
                int(traits.bits[place]),
                bool(traits.wraps[place]),
                bool(traits.moves[place]),
                bool(traits.text[place]),
            )
            assert said == table[name], name
    spin = [place for place, name in enumerate(names) if name == "spin"]
    assert traits.bits[spin].tolist() == [2, 6, 6, 6]
    assert traits.moves[spin].tolist() == [False, True, True, True]
    assert traits.quat_index[spin].tolist() == [0, 1, 2, 3]
    assert traits.top.tolist() == [(1 << bits) - 1 for bits in traits.bits.tolist()]
    assert traits.mask.tolist() == [(1 << bits) - 1 for bits in traits.bits.tolist()]
    assert traits.half.tolist() == [1 << bits - 1 for bits in traits.bits.tolist()]
    assert math.isfinite(traits.top.max())
    assert traits.bits.max() < 32
    assert ROW_BITS == 16


# -- places ----------------------------------------------------------------------------------


def check(layout: Layout) -> None:
    """Entities and cells are numbered without gap or overlap, and the way back fits."""
    seen: set[int] = set()
    for part in layout.parts:
        room, lanes = layout.rooms[part.table], layout.lane_counts[part.table]
        for row in range(room):
            entity = int(layout.first[part.number]) + row
            assert layout.part_of[entity] == part.number
            assert layout.row_of[entity] == row
            assert layout.cell_of[entity] == layout.cell_starts[part.table] + row * lanes
            cells = layout.cell_of[entity] + part.lanes
            assert (layout.entity_of_cell[cells] == entity).all()
            assert not seen & set(cells.tolist())
            seen |= set(cells.tolist())
    assert seen == set(range(layout.cells))
    assert layout.entities == sum(layout.rooms[part.table] for part in layout.parts)
    assert layout.rows == sum(layout.rooms)


def test_every_row_of_every_part_has_its_place() -> None:
    layout = layout_of()
    assert layout.rooms == [FIRST_ROWS] * 3
    check(layout)


@pytest.mark.parametrize("table", [0, 1, 2])
@pytest.mark.parametrize("rows", [17, 40, 100])
def test_a_table_that_grows_moves_what_stands_behind_it(table: int, rows: int) -> None:
    layout = layout_of()
    assert not layout.fit(table, FIRST_ROWS)
    assert layout.fit(table, rows)
    assert layout.rooms[table] == max(rows, 2 * FIRST_ROWS)
    assert not layout.fit(table, rows)
    check(layout)


def test_growing_row_by_row_moves_seldom() -> None:
    layout = layout_of(Empty)
    assert sum(layout.fit(0, rows) for rows in range(1, 10_000)) <= 10
