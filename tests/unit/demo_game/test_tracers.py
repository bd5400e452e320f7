"""Own shots that are shown before the server tells of them."""

import pytest

import netcode as nc
from demo_game import game
from demo_game.game import GAME, Rock, Ship, Steer, fly
from demo_game.tracers import Tracers

DT = 1 / 60


@pytest.fixture
def world() -> nc.World:
    return nc.World(GAME.entities)


def play(world: nc.World, ship: Ship, tracers: Tracers, steer: Steer, frames: int) -> int:
    shots = 0
    for tick in range(frames):
        fly(ship, steer, nc.Step(tick=tick, dt=DT, world=world, seed=0))
        shots += tracers.update(world, ship, DT)
    return shots


def test_every_predicted_shot_makes_one_tracer(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1, ammo=5)
    shots = play(world, ship, Tracers(), Steer(fire=True), 5 * game.RELOAD_TICKS)
    assert shots == 5
    assert ship.ammo == 0


def test_a_tracer_flies_as_the_bullet_will(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1, ammo=1)
    tracers = Tracers()
    play(world, ship, tracers, Steer(fire=True), 31)
    (tracer,) = tracers.flying
    assert tracer.x == pytest.approx(game.SHIP_RADIUS + 6 + game.BULLET_SPEED * 0.5)
    play(world, ship, tracers, Steer(), game.BULLET_TICKS)
    assert tracers.flying == []


def test_a_tracer_ends_on_what_is_displayed_in_its_way(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1, ammo=1)
    world.spawn(Rock, x=200, y=0, grade=3, hull=3)
    tracers = Tracers()
    play(world, ship, tracers, Steer(fire=True), 30)
    assert tracers.flying == []


def test_nothing_is_fired_while_destroyed(world: nc.World) -> None:
    assert not Tracers().update(world, None, DT)
