"""How a ship flies: the one function that runs on both ends."""

import math

import pytest

import netcode as nc
from demo_game import game
from demo_game.game import GAME, Bullet, Ship, Steer, fly, glide

DT = 1 / 60


def step_of(world: nc.World, tick: int = 1) -> nc.Step:
    return nc.Step(tick=tick, dt=DT, world=world, seed=0, spawn=world.spawn)


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
    for tick in range(1, game.AMMO_EVERY):
        before = len(world[Bullet])
        fly(ship, Steer(fire=True), step_of(world, tick))
        if len(world[Bullet]) > before:
            shots.append(tick)
    assert shots == [1, 1 + game.RELOAD_TICKS, 1 + 2 * game.RELOAD_TICKS]
    assert ship.ammo == 0


def test_a_shot_leaves_the_nose_with_the_ships_own_speed(world: nc.World) -> None:
    ship = ship_in(world, heading=math.pi / 2, vx=100, player=3, colour=5, shielded=True)
    fly(ship, Steer(fire=True), step_of(world))
    (shot,) = world[Bullet]
    assert (shot.x, shot.y) == pytest.approx((ship.x, game.MUZZLE))
    assert (shot.vx, shot.vy) == pytest.approx((ship.vx, game.BULLET_SPEED))
    assert (shot.player, shot.colour) == (3, 5)
    assert not ship.shielded, "who shoots is not protected any more"


def test_a_shot_glides_straight_on_whatever_is_pressed(world: nc.World) -> None:
    shot = world.spawn(Bullet, x=10, y=20, vx=600, vy=-60)
    for tick in range(60):
        glide(shot, Steer(turn=1, thrust=True, fire=True), step_of(world, tick))
    assert (shot.x, shot.y) == pytest.approx((610, -40))
    assert len(world[Bullet]) == 1


def test_where_nothing_is_spawned_a_ship_flies_all_the_same(world: nc.World) -> None:
    ship = ship_in(world)
    fly(ship, Steer(fire=True), nc.Step(tick=1, dt=DT, world=world, seed=0))
    assert ship.reload == game.RELOAD_TICKS
    assert len(world[Bullet]) == 0


def test_ammunition_grows_back_to_the_reserve(world: nc.World) -> None:
    poor, rich = ship_in(world, ammo=0), ship_in(world, ammo=game.AMMO_RESERVE + 4)
    for tick in range(1, 20 * game.AMMO_EVERY + 1):
        fly(poor, Steer(), step_of(world, tick))
        fly(rich, Steer(), step_of(world, tick))
    assert poor.ammo == 20
    assert rich.ammo == game.AMMO_RESERVE + 4


def test_the_same_inputs_give_the_same_flight(world: nc.World) -> None:
    one, two = ship_in(world), ship_in(world)
    for tick in range(300):
        steer = Steer(turn=tick // 7 % 3 - 1, thrust=tick % 5 > 1, fire=tick % 11 == 0)
        fly(one, steer, step_of(world, tick))
        fly(two, steer, step_of(world, tick))
    for field in Ship.fields:
        assert getattr(one, field.name) == getattr(two, field.name), field
