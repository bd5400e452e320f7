"""How a ship flies: the one function that runs on both ends."""

import math

import pytest

import netcode as nc
from demo_game import game
from demo_game.game import GAME, Ship, Steer, fly

DT = 1 / 60


def step_of(world: nc.World, tick: int = 1) -> nc.Step:
    return nc.Step(tick=tick, dt=DT, world=world, seed=0)


def ship_in(world: nc.World, **values: object) -> Ship:
    return world.spawn(Ship, **values)


@pytest.fixture
def world() -> nc.World:
    return nc.World(GAME.entities)


def test_thrust_accelerates_where_the_ship_points(world: nc.World) -> None:
    ship = ship_in(world, heading=math.pi / 2)
    for tick in range(30):
        fly(ship, Steer(thrust=True), step_of(world, tick))
    assert ship.vy > 150
    assert ship.vx == pytest.approx(0, abs=1e-6)
    assert ship.y > 0
    assert ship.thrusting


def test_turning_changes_the_heading_only(world: nc.World) -> None:
    ship = ship_in(world, vx=100)
    fly(ship, Steer(turn=1), step_of(world))
    assert ship.heading == pytest.approx(game.TURN_RATE * DT)
    assert ship.vy == 0


def test_speed_never_leaves_the_declared_range(world: nc.World) -> None:
    ship = ship_in(world, x=-1900)
    for tick in range(400):
        fly(ship, Steer(thrust=True), step_of(world, tick))
        assert math.hypot(ship.vx, ship.vy) <= game.MAX_SPEED + 1e-6


def test_brake_stops_sooner_than_drag(world: nc.World) -> None:
    braking, gliding = ship_in(world, vx=300), ship_in(world, vx=300)
    for tick in range(60):
        fly(braking, Steer(brake=True), step_of(world, tick))
        fly(gliding, Steer(), step_of(world, tick))
    assert braking.vx < 60 < gliding.vx < 300


@pytest.mark.parametrize("heading", [0, math.pi / 2, math.pi, -math.pi / 2])
def test_walls_throw_a_ship_back(world: nc.World, heading: float) -> None:
    far = game.ARENA - 50
    ship = ship_in(world, x=far * math.cos(heading), y=far * math.sin(heading), heading=heading)
    bounced = False
    for tick in range(120):
        fly(ship, Steer(thrust=tick < 30), step_of(world, tick))
        assert abs(ship.x) <= game.ARENA - game.SHIP_RADIUS
        assert abs(ship.y) <= game.ARENA - game.SHIP_RADIUS
        bounced |= ship.vx * math.cos(heading) + ship.vy * math.sin(heading) < -1
    assert bounced


def test_holding_fire_shoots_at_the_reload_rate_while_there_is_ammunition(
    world: nc.World,
) -> None:
    ship = ship_in(world, ammo=3)
    shots = []
    for tick in range(5 * game.RELOAD_TICKS):
        fly(ship, Steer(fire=True), step_of(world, tick))
        if ship.reload == game.RELOAD_TICKS:
            shots.append(tick)
    assert shots == [0, game.RELOAD_TICKS, 2 * game.RELOAD_TICKS]
    assert ship.ammo == 0


def test_the_same_inputs_give_the_same_flight(world: nc.World) -> None:
    one, two = ship_in(world), ship_in(world)
    for tick in range(300):
        steer = Steer(turn=tick // 7 % 3 - 1, thrust=tick % 5 > 1, fire=tick % 11 == 0)
        fly(one, steer, step_of(world, tick))
        fly(two, steer, step_of(world, tick))
    for field in Ship.fields:
        assert getattr(one, field.name) == getattr(two, field.name), field
