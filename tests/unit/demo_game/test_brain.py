"""What a bot presses, given what it sees."""

import math
import random

import pytest

import netcode as nc
from demo_game import game
from demo_game.brain import Brain
from demo_game.game import GAME, Crystal, Pilot, Rock, Ship, Steer, fly

DT = 1 / 60


@pytest.fixture
def world() -> nc.World:
    return nc.World(GAME.entities)


def fly_for(world: nc.World, ship: Ship, seconds: float, seed: int = 1) -> list[Steer]:
    brain = Brain(random.Random(seed))
    steers = []
    for tick in range(round(seconds / DT)):
        steer = brain.decide(world, ship, tick * DT)
        steers.append(steer)
        fly(ship, steer, nc.Step(tick=tick, dt=DT, world=world, seed=0))
    return steers


@pytest.mark.parametrize("bearing", [0.0, 1.5, 3.1, -1.5])
def test_flies_to_a_crystal(world: nc.World, bearing: float) -> None:
    ship = world.spawn(Ship, player=1)
    world.spawn(Crystal, x=500 * math.cos(bearing), y=500 * math.sin(bearing), worth=1)
    crystal = next(iter(world[Crystal]))
    nearest = math.inf
    brain = Brain(random.Random(1))
    for tick in range(600):
        steer = brain.decide(world, ship, tick * DT)
        fly(ship, steer, nc.Step(tick=tick, dt=DT, world=world, seed=0))
        nearest = min(nearest, math.hypot(ship.x - crystal.x, ship.y - crystal.y))
    assert nearest < game.SHIP_RADIUS + game.CRYSTAL_RADIUS


@pytest.mark.parametrize("offset", [-30.0, 0.0, 25.0])
def test_does_not_hit_a_rock_between_it_and_a_crystal(world: nc.World, offset: float) -> None:
    ship = world.spawn(Ship, player=1, vx=150, ammo=0)
    world.spawn(Crystal, x=900, y=0, worth=1)
    rock = world.spawn(Rock, x=450, y=offset, grade=3, hull=3)
    brain = Brain(random.Random(2))
    for tick in range(500):
        fly(
            ship,
            brain.decide(world, ship, tick * DT),
            nc.Step(tick=tick, dt=DT, world=world, seed=0),
        )
        gap = math.hypot(ship.x - rock.x, ship.y - rock.y)
        assert gap > game.ROCK_RADII[3], f"tick {tick}"


def test_shoots_at_a_ship_in_range_with_a_good_aim(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1)
    world.spawn(Ship, player=2, x=0, y=300)
    steers = fly_for(world, ship, 2.0)
    assert any(steer.fire for steer in steers)
    assert abs(ship.heading - math.pi / 2) < 0.4


@pytest.mark.parametrize("values", [{"ammo": 0}, {"hull": 10}])
def test_leaves_ships_alone_when_it_cannot_win(world: nc.World, values: dict[str, int]) -> None:
    ship = world.spawn(Ship, player=1, **values)
    world.spawn(Ship, player=2, x=0, y=300)
    seconds = 2 * game.AMMO_EVERY * DT - 0.05  # before there are three shots again
    assert not any(steer.fire for steer in fly_for(world, ship, seconds))


def test_looks_for_others_by_the_minimap_now_and_then(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1)
    world.spawn(Pilot, player=1, flying=True, radar_x=127, radar_y=127)
    world.spawn(Pilot, player=2, flying=True, radar_x=127, radar_y=255)
    fly_for(world, ship, 12.0)
    assert ship.y > 600


def test_does_not_shoot_at_a_shield(world: nc.World) -> None:
    ship = world.spawn(Ship, player=1)
    world.spawn(Ship, player=2, x=0, y=300, shielded=True)
    assert not any(steer.fire for steer in fly_for(world, ship, 2.0))


def test_presses_nothing_while_destroyed_and_copes_with_an_empty_world(world: nc.World) -> None:
    brain = Brain(random.Random(1))
    assert brain.decide(world, None, 0.0) == Steer()
    ship = world.spawn(Ship, player=1, x=1000)
    assert isinstance(brain.decide(world, ship, 0.1), Steer)
