"""History: a ring of quantised ticks."""

import numpy as np

import netcode as nc
from netcode.world.history import ABSENT, LENGTH, History
from netcode.world.world import World


class Rock(nc.Entity):
    grade = nc.Int(0, 9)
    spot = nc.Vec2(-10, 10, step=1)


class Mark(nc.Entity):
    pass


def grades(history: History, tick: int) -> list[int]:
    frame = history.at(tick)
    assert frame is not None
    return frame.tables[0].lanes[:, 0].tolist()


def test_a_tick_is_kept_as_it_was() -> None:
    world = World([Rock, Mark])
    history = History(world.tables)
    rock = world.spawn(Rock, grade=1)
    history.record(3, world.tables)
    rock.grade = 2
    world.spawn(Rock, grade=5)
    history.record(6, world.tables)
    assert grades(history, 3) == [1]
    assert grades(history, 6) == [2, 5]
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
    history = History(world.tables, length=4)
    frames = {id(history.record(tick, world.tables)) for tick in range(50)}
    assert len(frames) == 4


def test_a_frame_used_again_is_as_good_as_new() -> None:
    world = World([Rock])
    history = History(world.tables, length=2)
    for _ in range(40):
        world.spawn(Rock, grade=9)
    history.record(1, world.tables)
    history.record(2, world.tables)
    frame = history.begin(3)
    assert not frame.complete
    kept = frame.tables[0]
    kept.fit(5)
    assert kept.lanes.shape == (5, 3)
    kept.fit(60)
    assert kept.life[40:].tolist() == [ABSENT] * 20
    assert not kept.known[40:].any()


def test_an_empty_history_has_no_newest() -> None:
    history = History(World([Rock]).tables)
    assert (history.newest, len(history), history.at(0)) == (None, 0, None)


def test_memory_is_what_the_docstring_says() -> None:
    """(4 · lanes + 5) bytes a row and tick; capacity doubles, so at most twice that."""
    world = World([Rock])
    history = History(world.tables)
    rows = 1_000
    for _ in range(rows):
        world.spawn(Rock)
    for tick in range(2 * LENGTH):
        history.record(tick, world.tables)
    arrays = [
        array
        for frame in history
        for table in frame.tables
        for array in vars(table).values()
        if isinstance(array, np.ndarray)
    ]
    stated = (4 * 3 + 5) * rows * LENGTH
    assert stated <= sum(array.nbytes for array in arrays) <= 2 * stated


def test_a_class_without_fields_has_a_history_of_lives() -> None:
    world = World([Mark])
    history = History(world.tables)
    world.spawn(Mark)
    kept = history.record(1, world.tables).tables[0]
    assert (kept.lanes.shape, kept.life.tolist()) == ((1, 0), [0])
