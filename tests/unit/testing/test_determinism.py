"""check_determinism finds what keeps prediction from being right, and names it."""

import enum
import math
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import netcode as nc
from netcode.testing import check_determinism
from tests.scenarios import small_game


class Ship(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)
    vx = nc.Float(-300, 300, step=0.1)
    at = nc.Vec2(-1000, 1000, step=0.1)
    heading = nc.Angle(bits=12)
    heat = nc.Int(0, 100)
    name = nc.Text(max_bytes=10)
    target: nc.Ref["Ship"] = nc.Ref("Ship")


class Shot(nc.Entity, predicted=True):
    x = nc.Float(-1000, 1000, step=0.05)
    vx = nc.Float(-900, 900, step=0.1)


class Buoy(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)


class Steer(nc.Input):
    thrust = nc.Float(-1, 1, step=0.01)
    turn = nc.Int(-1, 1)
    fire = nc.Bool(edge=True)
    lock: nc.Ref["Buoy"] = nc.Ref("Buoy")


Simulate = Callable[[Any, Any, nc.Step], None]


def sail(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.heading += steer.turn * 3.0 * step.dt
    ship.vx = max(-200.0, min(200.0, ship.vx + steer.thrust * 100.0 * step.dt))
    ship.x = max(-990.0, min(990.0, ship.x + ship.vx * step.dt + step.random.uniform(-1, 1)))
    ship.at = (ship.x, -ship.x)
    ship.heat = max(0, min(100, ship.heat + (10 if steer.fire else -1)))
    ship.name = f"{ship.heat}"
    if steer.fire and ship.heat < 80:
        step.spawn(Shot, x=ship.x, vx=500 + step.random.uniform(-5, 5))


def fly(shot: Shot, steer: Steer, step: nc.Step) -> None:
    shot.x += shot.vx * step.dt + step.random.uniform(-1, 1)


def game(ship: Simulate = sail, shot: Simulate = fly) -> nc.Protocol:
    return nc.Protocol(
        entities=[Ship, Shot, Buoy], inputs=[Steer], simulate={Ship: ship, Shot: shot}
    )


def found(protocol: nc.Protocol, **options: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        check_determinism(protocol, **options)
    return str(caught.value)


@pytest.mark.parametrize("seed", range(4))
def test_a_game_that_depends_on_nothing_else_passes(seed: int) -> None:
    moved = check_determinism(game(), seed=seed)
    assert moved[Ship] == 600
    assert moved[Shot] > 600
    assert Buoy not in moved


@pytest.mark.parametrize(("tick_rate", "broadcast_rate"), [(60, 60), (30, 10), (20, 1)])
def test_at_other_rates_too(tick_rate: float, broadcast_rate: float) -> None:
    check_determinism(game(), ticks=200, tick_rate=tick_rate, broadcast_rate=broadcast_rate)


def test_the_rules_of_a_game_make_the_start() -> None:
    moved = check_determinism(small_game.GAME, set_up=small_game.set_up, ticks=100)
    assert moved == {small_game.Ship: 100}


def test_inputs_may_be_the_games_own() -> None:
    moved = check_determinism(game(), inputs=lambda rng: [Steer(fire=rng.random() < 0.0)], ticks=50)
    assert moved == {Ship: 50, Shot: 50}  # the one of the start, and no other


class Mode(enum.Enum):
    IDLE = 1
    BUSY = 2
    LOST = 3


class Thing(nc.Entity):
    x = nc.Float(0.1, 7.05, step=0.3)
    count = nc.Int(-5, 5)
    on = nc.Bool()
    heading = nc.Angle(bits=7)
    mode = nc.Enum(Mode)
    label = nc.Text(max_bytes=5)
    other: nc.Ref["Thing"] = nc.Ref("Thing")
    flat = nc.Vec2(-10, 10, step=0.3)
    deep = nc.Vec3(-10, 10, step=0.07)
    turn = nc.Quat()
    secret = nc.Float(-10, 10, step=0.3, only_owner=True)


class Wish(nc.Input):
    push = nc.Float(-1, 1, step=0.01)
    count = nc.Int(-3, 4)
    on = nc.Bool(edge=True)
    heading = nc.Angle()
    mode = nc.Enum(Mode)
    flat = nc.Vec2(-10, 10, step=0.3)
    turn = nc.Quat()
    other: nc.Ref["Thing"] = nc.Ref("Thing")


def grant(thing: Thing, wish: Wish, step: nc.Step) -> None:
    chance = step.random.uniform
    thing.x = max(0.1, min(7.05, thing.x + wish.push * chance(-1, 1)))
    thing.count, thing.on, thing.mode, thing.other = wish.count, wish.on, wish.mode, wish.other
    thing.heading += wish.heading * 0.1
    thing.label = f"{thing.count}ü"
    thing.flat = (wish.flat[0] * 0.9, max(-10.0, min(10.0, thing.flat[1] + chance(-1, 1))))
    thing.deep = (thing.x, chance(-1, 1), wish.push)
    w, x, y, z = (a + 0.1 * b for a, b in zip(thing.turn, wish.turn, strict=True))
    size = math.hypot(w, x, y, z) or 1.0
    thing.turn = (w / size, x / size, y / size, z / size)
    thing.secret = wish.push * 3.7


@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_field_comes_to_the_same(seed: int) -> None:
    check_determinism(
        nc.Protocol(entities=[Thing], inputs=[Wish], simulate={Thing: grant}), seed=seed
    )


# -- programs that fail ----------------------------------------------------------------------


def test_the_time_of_day_is_found() -> None:
    def late(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.x = time.perf_counter() % 100

    text = found(game(late), seed=5)
    assert text.startswith("Ship.x at tick 1: ")
    assert "in the first run" in text
    assert "(seed 5)" in text
    assert "the time of day" in text


def test_chance_that_is_not_the_steps_is_found() -> None:
    def gamble(ship: Ship, steer: Steer, step: nc.Step) -> None:
        if step.tick == 20:
            ship.vx = random.random()

    assert found(game(gamble)).startswith("Ship.vx at tick 20: ")


calls = 0


def test_a_global_that_remembers_is_found() -> None:
    def count(ship: Ship, steer: Steer, step: nc.Step) -> None:
        global calls
        calls += 1
        ship.heat = calls % 47

    assert found(game(count)).startswith(
        "Ship.heat at tick 1: 1 in the first run, 37 in the second"
    )


def test_a_closure_that_remembers_each_entity_is_found_by_going_back() -> None:
    """Both runs have entities of their own, so that it remembers the same of each."""

    def make() -> Simulate:
        cooldowns: dict[Ship, int] = {}

        def shoot(ship: Ship, steer: Steer, step: nc.Step) -> None:
            waits = cooldowns.get(ship, 0)
            if steer.fire and waits == 0:
                ship.heat = min(100, ship.heat + 1)
                waits = 10
            cooldowns[ship] = max(0, waits - 1)

        return shoot

    text = found(game(make()))
    assert text.startswith("Ship.heat at tick ")
    assert "on the server" in text
    assert "on a client that was set back to tick " in text
    assert "declared fields" in text


def test_the_order_of_a_set_is_found() -> None:
    def set_up(server: nc.ServerSide) -> None:
        for n in range(40):
            server.world.spawn(Buoy, x=n)

        @server.on_join
        def join(player: nc.Player) -> None:
            player.control(server.world.spawn(Ship))

    def drift(ship: Ship, steer: Steer, step: nc.Step) -> None:
        for buoy in set(step.world[Buoy]):
            ship.x = ship.x * 0.9 + buoy.x

    assert found(game(drift), set_up=set_up).startswith("Ship.x at tick 1: ")


def test_replaying_used_for_more_than_effects_is_found() -> None:
    def cautious(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.x += 0.0 if step.replaying else 1.0

    text = found(game(cautious))
    assert text.startswith("Ship.x at tick ")
    assert "step.replaying" in text


def test_a_value_out_of_its_range_is_clamped_at_both_ends_alike() -> None:
    def overheat(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.heat += 1

    nc.testing.check_determinism(game(overheat), ticks=200)


def test_a_look_at_another_that_moves_is_found() -> None:
    def follow(shot: Shot, steer: Steer, step: nc.Step) -> None:
        for ship in step.world[Ship]:
            shot.x = ship.x

    assert found(game(shot=follow)).startswith("Shot.x at tick ")


@pytest.mark.parametrize("when_replaying", [True, False])
def test_a_spawn_at_one_end_only_is_found(when_replaying: bool) -> None:
    def shoot(ship: Ship, steer: Steer, step: nc.Step) -> None:
        if step.replaying is when_replaying:
            step.spawn(Shot)

    text = found(game(shoot))
    assert text.startswith("Shot at tick ")
    there, missing = ("client", "server") if when_replaying else ("server", "client")
    assert f" there on {'the' if there == 'server' else 'a'} {there}" in text
    assert f"not there on {'the' if missing == 'server' else 'a'} {missing}" in text


def test_a_value_that_is_no_number_is_the_same_as_itself() -> None:
    def divide(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.x = float("nan")

    check_determinism(game(divide), ticks=60)


# -- misuse ----------------------------------------------------------------------------------


def test_a_game_that_simulates_nothing_is_refused() -> None:
    with pytest.raises(nc.UsageError, match="simulates nothing"):
        check_determinism(nc.Protocol(entities=[Ship]))


def test_rules_that_give_the_player_nothing_are_refused() -> None:
    with pytest.raises(nc.UsageError, match="controls no Ship or Shot"):
        check_determinism(game(), set_up=lambda server: None)


def test_rules_that_turn_the_player_away_are_refused() -> None:
    def set_up(server: nc.ServerSide) -> None:
        server.on_join(lambda player: player.kick("private"))

    with pytest.raises(nc.UsageError, match="private"):
        check_determinism(game(), set_up=set_up)


def test_inputs_of_another_game_are_refused() -> None:
    class Alien(nc.Input):
        pass

    with pytest.raises(nc.UsageError, match="Alien"):
        check_determinism(game(), inputs=lambda rng: [Alien()])
