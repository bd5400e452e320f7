"""Tables: rows, generations, columns, handles."""

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.fields import GENERATIONS, NO_HANDLE
from netcode.world.table import MAX_ROWS, NOBODY, Table
from netcode.world.world import World


class Rock(nc.Entity):
    x = nc.Float(-100, 100, step=0.5)
    grade = nc.Int(0, 9, default=2)
    spot = nc.Vec2(-100, 100, step=0.5)
    label = nc.Text(max_bytes=10)


class Sized(nc.Entity):
    size = nc.Int(0, 9)


@pytest.fixture
def table() -> Table[Rock]:
    return World([Rock]).table(Rock)


# -- spawning --------------------------------------------------------------------------------


def test_a_spawned_entity_has_its_values_and_defaults(table: Table[Rock]) -> None:
    rock = table.spawn(x=3, label="a")
    assert (rock.x, rock.grade, rock.spot, rock.label) == (3.0, 2, (0.0, 0.0), "a")
    assert (rock.alive, rock.mine, len(table)) == (True, False, 1)


def test_a_row_is_reused_with_the_next_generation(table: Table[Rock]) -> None:
    first = table.spawn(x=5, label="old")
    handle = first.handle
    table.despawn(0)
    second = table.spawn()
    assert (second._row, table.generation[0], table.size) == (0, 1, 1)
    assert (second.x, second.label) == (0.0, "")
    assert second.handle != handle
    assert table.by_handle(handle) is None
    assert table.by_handle(second.handle) is second
    assert not first.alive


def test_rows_rest_as_long_as_possible(table: Table[Rock]) -> None:
    for _ in range(4):
        table.spawn()
    for row in (2, 0, 3):
        table.despawn(row)
    assert [table.spawn()._row for _ in range(4)] == [2, 0, 3, 4]


def test_generations_wrap_below_their_bits(table: Table[Rock]) -> None:
    table.place(0, GENERATIONS - 1)
    table.despawn(0)
    assert table.spawn().handle == 0
    assert table.generation[0] == 0


def test_what_cannot_be_spawned_changes_nothing(table: Table[Rock]) -> None:
    with pytest.raises(UsageError, match="no field 'y'; its fields are: x, grade, spot, label"):
        table.spawn(x=1, y=2)
    with pytest.raises(UsageError, match=r"Rock\.x"):
        table.spawn(grade=1, x="far")
    assert (len(table), table.size) == (0, 0)


def test_a_table_grows_and_keeps_everything(table: Table[Rock]) -> None:
    rocks = [table.spawn(x=index % 90, label=str(index)) for index in range(1_000)]
    assert [rock.x for rock in rocks] == [float(index % 90) for index in range(1_000)]
    assert [rock.label for rock in rocks] == [str(index) for index in range(1_000)]
    assert table.size == len(table) == 1_000
    assert table.generation.max() == 0


def test_a_full_table_says_so() -> None:
    class Bit(nc.Entity):
        on = nc.Bool()

    table = World([Bit]).table(Bit)
    table.place(MAX_ROWS - 2, 0)
    with pytest.raises(UsageError, match="no more than 65535 Bit"):
        table.spawn()
    table.despawn(MAX_ROWS - 2)
    assert table.spawn()._row == MAX_ROWS - 2


# -- despawning and iterating ----------------------------------------------------------------


def test_despawning_an_empty_row_is_harmless(table: Table[Rock]) -> None:
    table.spawn()
    table.despawn(0)
    table.despawn(0)
    assert [table.spawn()._row for _ in range(2)] == [0, 1]


def test_a_despawned_row_has_no_owner(table: Table[Rock]) -> None:
    table.spawn()
    table.own(0, 5)
    table.despawn(0)
    table.spawn()
    assert table.owner.tolist() == [NOBODY]


def test_a_loop_sees_who_was_there_and_still_is(table: Table[Rock]) -> None:
    rocks = [table.spawn(grade=index) for index in range(5)]
    seen = []
    for rock in table:
        seen.append(rock.grade)
        if rock.grade == 1:
            table.despawn(rocks[2]._row)
            table.despawn(rocks[1]._row)
            table.spawn(grade=9)  # in the row of one that the loop has not reached
    assert seen == [0, 1, 3, 4]


def test_living_rows_are_listed(table: Table[Rock]) -> None:
    for _ in range(4):
        table.spawn()
    table.despawn(1)
    assert table.rows().tolist() == [0, 2, 3]
    assert table.alive.tolist() == [True, False, True, True]
    assert table.at(1) is None
    assert table.at(99) is None
    assert table.at(-1) is None


# -- handles ---------------------------------------------------------------------------------


@pytest.mark.parametrize("handle", [NO_HANDLE, -5, 7, 1 << 16, (1 << 31) - 2])
def test_a_handle_of_nobody_finds_nobody(table: Table[Rock], handle: int) -> None:
    table.spawn()
    assert table.by_handle(handle) is None


def test_a_dead_row_has_no_handle(table: Table[Rock]) -> None:
    table.spawn()
    table.despawn(0)
    assert table.handle(0) == NO_HANDLE


# -- the client's mirror ---------------------------------------------------------------------


def test_a_mirror_places_entities_where_the_server_has_them(table: Table[Rock]) -> None:
    entity = table.place(40, 7)
    assert (entity._row, entity.handle, table.size, len(table)) == (40, 7 << 16 | 40, 41, 1)
    assert table.by_handle(7 << 16 | 40) is entity


def test_placing_over_a_tenant_despawns_it(table: Table[Rock]) -> None:
    old = table.place(3, 1)
    new = table.place(3, 2)
    assert (old.alive, new.alive, table.at(3)) == (False, True, new)


def test_a_mirror_that_lives_long_stays_small(table: Table[Rock]) -> None:
    for generation in range(2_000):
        table.place(generation % 5, generation)
        table.despawn(generation % 5)
    assert len(table._free) <= 2 * 16 + 1


# -- columns ---------------------------------------------------------------------------------


def test_a_column_is_the_entities_themselves(table: Table[Rock]) -> None:
    rocks = [table.spawn(x=index) for index in range(3)]
    table.x[1] = 50
    assert rocks[1].x == 50.0
    rocks[2].x = 60
    assert table.x.tolist() == [0, 50, 60]
    assert (table.x.dtype, table.grade.dtype, table.spot.shape) == (np.float64, np.int64, (3, 2))


def test_arithmetic_in_place_stays_with_the_column(table: Table[Rock]) -> None:
    """``table.x += 1`` is the way to move a thousand rocks; it ends in an assignment."""
    rock = table.spawn(x=1)
    table.x += 2
    table["x"] *= 3
    assert rock.x == 9.0
    for _ in range(100):
        table.spawn()
    assert len(table.x) == 101
    table.x += 1
    assert rock.x == 10.0
    assert table.x.tolist()[1:] == [1.0] * 100


def test_a_whole_column_can_be_assigned(table: Table[Rock]) -> None:
    rocks = [table.spawn() for _ in range(3)]
    table.x = np.array([1.0, 2.0, 3.0])
    table["grade"] = 7
    assert [rock.x for rock in rocks] == [1, 2, 3]
    assert [rock.grade for rock in rocks] == [7, 7, 7]
    with pytest.raises(ValueError, match="broadcast"):
        table.x = np.zeros(5)


def test_a_column_named_like_the_tables_own_has_brackets() -> None:
    table = World([Sized]).table(Sized)
    sized = table.spawn(size=4)
    table.spawn()
    assert table.size == 2
    assert table["size"].tolist() == [4, 0]
    table["size"] += 1
    assert sized.size == 5
    sized.size = 7
    assert table["size"].tolist() == [7, 1]


def test_a_column_that_is_not_there_is_named(table: Table[Rock]) -> None:
    with pytest.raises(AttributeError, match="no field 'speed'"):
        _ = table.speed
    with pytest.raises(UsageError, match="no field 'speed'"):
        _ = table["speed"]


# -- quantised -------------------------------------------------------------------------------


def test_rows_come_back_from_their_lanes(table: Table[Rock]) -> None:
    for index in range(5):
        table.spawn(x=index * 1.26, grade=index, spot=(index, -index), label=f"n{index}")
    lanes = table.quantise()
    other = World([Rock], table.context.texts).table(Rock)  # type: ignore[attr-defined]
    for row in range(5):
        other.place(row, 0)
    other.load(np.arange(5), lanes)
    assert other.quantise().tolist() == lanes.tolist()
    assert other.x.tolist() == [0, 1.5, 2.5, 4, 5]
    assert [rock.label for rock in other] == [f"n{index}" for index in range(5)]


def test_lanes_can_be_written_where_they_are_to_stand(table: Table[Rock]) -> None:
    """Into a part of a larger array, as history does it."""
    for index in range(5):
        table.spawn(grade=index, x=index)
    ring = np.full((3, 100), -7, dtype=np.int32)
    size = table.size * table.lane_count
    table.quantise_into(ring[1, 10 : 10 + size].reshape(table.size, table.lane_count))
    assert ring[1, 10 : 10 + size].tolist() == table.quantise().ravel().tolist()
    assert (ring[[0, 2]] == -7).all()
    assert (ring[1, :10] == -7).all()
    assert (ring[1, 10 + size :] == -7).all()


@pytest.mark.parametrize("count", [1, 200])
def test_rounding_touches_what_is_continuous_in_these_rows(count: int) -> None:
    """Few rows go one by one and many as columns: both ways round alike."""
    table = World([Rock]).table(Rock)
    for _ in range(count + 1):
        table.spawn(x=3.3, spot=(1.1, -1.2), grade=4)
    table.round_rows(np.arange(count))
    assert table.x.tolist() == [3.5] * count + [3.3]
    assert table.spot.tolist() == [[1.0, -1.0]] * count + [[1.1, -1.2]]
    assert table.grade.tolist() == [4] * (count + 1)


def test_rounding_twice_changes_nothing_more(table: Table[Rock]) -> None:
    table.spawn(x=17.123, spot=(3.3, 99.99))
    table.round_rows(np.array([0]))
    before = (table.x.tolist(), table.spot.tolist())
    table.round_rows(np.array([0]))
    assert (table.x.tolist(), table.spot.tolist()) == before


# -- what a client has ahead of the server ---------------------------------------------------


def test_an_entity_ahead_of_the_server_has_no_handle_yet(table: Table[Rock]) -> None:
    rock = table.place_ahead()
    rock.x = 2.5
    assert rock.alive
    assert list(table) == [rock]
    assert (rock.handle, table.by_handle(-1)) == (-1, None)
    assert table.by_handle(rock._row) is None


def test_it_keeps_its_values_and_stays_itself_when_it_is_adopted(table: Table[Rock]) -> None:
    rock = table.place_ahead()
    rock.x, rock.grade, rock.label = 2.5, 4, "mine"
    table.adopt(rock, 7, 3)
    assert table.at(7) is rock
    assert rock.handle == 3 << 16 | 7
    assert table.by_handle(rock.handle) is rock
    assert (rock.x, rock.grade, rock.label) == (2.5, 4, "mine")
    assert len(table) == 1


def test_it_makes_way_for_what_the_server_has_in_that_row(table: Table[Rock]) -> None:
    ahead = [table.place_ahead() for _ in range(3)]
    for number, rock in enumerate(ahead):
        rock.grade = number
    for row in range(6):
        table.place(row, 0).grade = 100 + row
    assert [table.at(row).grade for row in range(6)] == list(range(100, 106))  # type: ignore[union-attr]
    assert [(rock.alive, rock.grade) for rock in ahead] == [(True, 0), (True, 1), (True, 2)]
    assert len({rock._row for rock in ahead} | set(range(6))) == 9


def test_adopting_takes_the_row_from_its_last_tenant(table: Table[Rock]) -> None:
    old = table.place(0, 4)
    rock = table.place_ahead()
    table.adopt(rock, 0, 5)
    assert not old.alive
    assert table.at(0) is rock


def test_what_is_ahead_can_go_again(table: Table[Rock]) -> None:
    rock = table.place_ahead()
    table.despawn(rock._row)
    assert not rock.alive
    assert len(table) == 0
    again = table.place_ahead()
    assert again.alive


def test_everything_is_fully_in_view_unless_it_is_said(table: Table[Rock]) -> None:
    rock = table.spawn()
    assert rock.fade == 1.0
    table.fades[rock._row] = 0.25
    assert rock.fade == 0.25
    table.despawn(rock._row)
    assert rock.fade == 0.0
    assert table.spawn().fade == 1.0
