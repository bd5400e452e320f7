"""Paths into the past are worked out once between two broadcasts, and are the same for all that."""

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.play.motion import Motion
from netcode.play.rewind import Past
from netcode.world.history import History
from netcode.world.world import World

EVERY = 3


class Boat(nc.Entity):
    x = nc.Float(-100, 100, step=0.1)
    vx = nc.Float(-50, 50, step=0.1)
    heading = nc.Angle(bits=10)
    name = nc.Text(max_bytes=8)
    size = nc.Int(0, 100)


class Buoy(nc.Entity):
    place = nc.Vec2(-100, 100, step=0.1)
    turned = nc.Quat(bits=9)


@pytest.fixture
def world() -> World:
    world = World([Boat, Buoy])
    for number in range(6):
        world.spawn(Boat, x=number * 10.0, vx=float(number), name=f"b{number}", size=number)
        world.spawn(Buoy)
    return world


def sail(world: World, tick: int) -> None:
    boats = world.table(Boat)
    boats.x += boats.vx / 60
    boats.heading += 0.2
    world.table(Buoy)["place"] += 0.1
    if tick % 17 == 0:
        world.despawn(next(iter(boats)))
        world.spawn(Boat, x=-50.0, size=tick)


def test_kept_paths_give_what_fresh_ones_give(world: World) -> None:
    history = History(world.tables, EVERY)
    kept = [Motion(table, 60, EVERY) for table in world.tables]
    for tick in range(1, 90):
        sail(world, tick)
        if tick > EVERY:
            for lag in (0.0, 0.4, 3.7, 3.7, 8.0, 40.0):
                fresh = [Motion(table, 60, EVERY) for table in world.tables]
                one = Past(world, history, kept, tick - lag, 1)
                two = Past(world, history, fresh, tick - lag, 1)
                for kind in (Boat, Buoy):
                    assert np.array_equal(one[kind].generation, two[kind].generation)
                    for field in kind.fields:
                        assert np.array_equal(one[kind][field.name], two[kind][field.name])
        if tick % EVERY == 0:
            history.record(tick, world.tables)


def test_what_the_player_controls_is_as_it_is_now(world: World) -> None:
    history = History(world.tables, EVERY)
    motions = [Motion(table, 60, EVERY) for table in world.tables]
    history.record(3, world.tables)
    boats = world.table(Boat)
    boats.own(2, 7)
    boats.x[:] = 99.0
    with Past(world, history, motions, 3.0, 7) as past:
        then = past[Boat]
        boats.x[2] = 55.0  # later than the look into the past
        assert then.x.tolist() == pytest.approx([0, 10, 99, 30, 40, 50])
        with pytest.raises(ValueError, match="read-only"):
            then.x[0] = 1.0
        with pytest.raises(UsageError, match="no field 'z'"):
            then["z"]
