"""History: a ring of quantised ticks."""

from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.world.history import ABSENT, LENGTH, History
from netcode.world.world import World


class Rock(nc.Entity):
    grade = nc.Int(0, 9)
    spot = nc.Vec2(-10, 10, step=1)


class Mark(nc.Entity):
    pass


class Stone(nc.Entity):
    """As many parts as a class can have."""

    grade = nc.Int(0, 9)
    secret = nc.Int(0, 9, only_owner=True)
    near: nc.Ref[Any] = nc.Ref("Stone")


def grades(history: History, tick: int) -> list[int]:
    frame = history.at(tick)
    assert frame is not None
    return frame.tables[0].lanes[:, 0].tolist()


def test_a_tick_is_kept_as_it_was() -> None:
    world = World([Rock, Mark])
    history = History(world.tables, 3)
    rock = world.spawn(Rock, grade=1)
    history.record(3, world.tables)
    rock.grade = 2
    world.spawn(Rock, grade=5)
    history.record(6, world.tables)
    assert grades(history, 3)[0] == 1
    assert grades(history, 6) == [2, 5]
    assert history.at(3).tables[0].life.tolist() == [0, ABSENT]  # type: ignore[union-attr]
    assert history.at(4) is None
    newest = history.newest
    assert newest is not None
    assert (newest.tick, newest.complete, len(history)) == (6, True, 2)
    assert [frame.tick for frame in history] == [3, 6]


def test_life_tells_tenants_apart() -> None:
    world = World([Rock])
    history = History(world.tables)
    rock = world.spawn(Rock)
    world.spawn(Rock)
    history.record(1, world.tables)
    world.despawn(rock)
    history.record(2, world.tables)
    world.spawn(Rock)
    history.record(3, world.tables)
    lives = [frame.tables[0].life.tolist() for frame in history]
    assert lives == [[0, 0], [ABSENT, 0], [1, 0]]
    assert all(frame.tables[0].known.all() for frame in history)


def test_the_oldest_makes_room() -> None:
    world = World([Rock])
    history = History(world.tables)
    rock = world.spawn(Rock)
    for tick in range(100):
        rock.grade = tick % 10
        history.record(tick, world.tables)
    assert [frame.tick for frame in history] == list(range(100 - LENGTH, 100))
    assert history.at(99 - LENGTH) is None
    assert all(grades(history, frame.tick) == [frame.tick % 10] for frame in history)


def test_frames_are_used_again() -> None:
    world = World([Rock])
    history = History(world.tables, 2)
    frames = {id(history.record(2 * number, world.tables)) for number in range(5 * LENGTH)}
    assert len(frames) == LENGTH


def test_a_frame_used_again_is_not_complete_before_it_is_said_to_be() -> None:
    world = World([Rock])
    history = History(world.tables)
    for tick in range(LENGTH + 1):
        history.record(tick, world.tables)
    frame = history.begin(LENGTH + 1)
    assert (frame.tick, frame.number, frame.complete) == (LENGTH + 1, LENGTH + 1, False)


@pytest.mark.parametrize(("before", "after"), [(6, 6), (6, 3), (6, 7), (6, 8), (-1, 4)])
def test_a_tick_must_be_a_newer_broadcast(before: int, after: int) -> None:
    history = History(World([Rock]).tables, 3)
    if before >= 0:
        history.begin(before)
    with pytest.raises(UsageError, match=f"tick {after} is no broadcast"):
        history.begin(after)


@pytest.mark.parametrize("gap", [1, 2, LENGTH - 1, LENGTH, LENGTH + 1, 5 * LENGTH])
def test_broadcasts_that_were_left_out_are_not_there(gap: int) -> None:
    world = World([Rock])
    history = History(world.tables, 3)
    for number in range(LENGTH):
        history.record(3 * number, world.tables)
    last = LENGTH - 1 + gap
    history.record(3 * last, world.tables)
    kept = [*range(max(0, last - LENGTH + 1), LENGTH), last]
    assert [frame.number for frame in history] == kept
    assert len(history) == len(kept)
    for number in range(last + 5):
        frame = history.at(3 * number)
        assert (frame is not None and frame.number == number) == (number in kept)


def test_a_place_is_that_of_the_broadcasts_number() -> None:
    """Both ends mean the same by "so many broadcasts ago"."""
    world = World([Rock])
    history = History(world.tables, 3)
    for number in (4, 5, LENGTH + 2):
        frame = history.record(3 * number, world.tables)
        assert history.numbers[number % LENGTH] == number == frame.number


# -- growing ---------------------------------------------------------------------------------


def test_rows_that_come_later_were_absent_and_unknown_before() -> None:
    world = World([Rock])
    history = History(world.tables)
    history.fit(0, 1)
    old = history.begin(1)
    old.tables[0].lanes[0], old.tables[0].life[0], old.tables[0].known[0] = (3, 10, 10), 0, True
    assert not history.fit(0, 16)
    assert history.fit(0, 17)
    assert old.tables[0].size == 17
    assert old.tables[0].life.tolist() == [0] + [ABSENT] * 16
    assert old.tables[0].known.tolist() == [True] + [False] * 16
    assert old.tables[0].lanes[0].tolist() == [3, 10, 10]
    assert not history.fit(0, 5), "a history does not shrink"
    assert old.tables[0].size == 17


@pytest.mark.parametrize("seed", range(5))
def test_growing_moves_everything_and_loses_nothing(seed: int) -> None:
    """Three classes that outgrow their room one after the other, against plain copies."""
    rng = np.random.default_rng(seed)
    world = World([Rock, Mark, Stone])
    history = History(world.tables)
    copies: dict[int, list[tuple[list[list[int]], list[int]]]] = {}
    for tick in range(50):
        for kind in (Rock, Mark, Stone):
            for _ in range(int(rng.integers(0, 5))):
                world.spawn(kind)
        for kind in (Rock, Stone):
            world.table(kind)["grade"] = rng.integers(0, 10, world.table(kind).size)
        frame = history.record(tick, world.tables)
        copies[tick] = [(kept.lanes.tolist(), kept.life.tolist()) for kept in frame.tables]
    assert history.layout.rooms != [16, 16, 16]
    for frame in history:
        for kept, (lanes, life) in zip(frame.tables, copies[frame.tick], strict=True):
            rows = len(life)
            assert kept.lanes[:rows].tolist() == lanes
            assert kept.life.tolist() == life + [ABSENT] * (kept.size - rows)
            assert kept.known[:rows].all()


def test_what_a_frame_hands_out_is_the_frame_itself() -> None:
    world = World([Rock])
    history = History(world.tables)
    world.spawn(Rock, grade=3)
    kept = history.record(1, world.tables).tables[0]
    kept.lanes[0, 0] = 7
    kept.life[0] = 4
    kept.known[0] = False
    assert (kept.lanes[0, 0], kept.life[0], kept.known[0]) == (7, 4, False)


def test_an_empty_history_has_no_newest() -> None:
    history = History(World([Rock]).tables)
    assert (history.newest, len(history), history.at(0)) == (None, 0, None)


def test_memory_is_what_the_docstring_says() -> None:
    """(4 · lanes + 5) bytes a row and tick, for the rows that have room: at most twice as many
    as there are."""
    world = World([Rock])
    history = History(world.tables)
    rows = 1_000
    for _ in range(rows):
        world.spawn(Rock)
    for tick in range(2 * LENGTH):
        history.record(tick, world.tables)
    room = history.layout.rooms[0]
    assert rows <= room <= 2 * rows
    held = history.lanes.nbytes + history.life.nbytes + history.known.nbytes
    assert held == (4 * 3 + 5) * room * LENGTH


def test_a_class_without_fields_has_a_history_of_lives() -> None:
    world = World([Mark])
    history = History(world.tables)
    world.spawn(Mark)
    kept = history.record(1, world.tables).tables[0]
    assert (kept.lanes.shape, kept.life.tolist()) == ((1, 0), [0])


def test_the_frame_before_a_tick() -> None:
    history = History(World([Rock]).tables)
    with pytest.raises(nc.UsageError, match="no history"):
        history.before(5)
    for tick in (10, 12, 15):
        history.begin(tick)
    assert history.kept().tolist() == [10, 12, 15]
    found = {tick: history.before(tick).tick for tick in (3.0, 10.0, 11.9, 12.0, 14.99, 15, 99)}
    assert found == {3.0: 10, 10.0: 10, 11.9: 10, 12.0: 12, 14.99: 12, 15: 15, 99: 15}
    history.begin(10 + LENGTH)
    assert history.kept().tolist() == [12, 15, 10 + LENGTH]
