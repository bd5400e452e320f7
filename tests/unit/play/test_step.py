"""What a simulate function is given, and that chance is the same on both ends."""

import random
from itertools import pairwise

import pytest

import netcode as nc
from netcode.play.prediction import simulate_entity
from netcode.play.step import Step
from netcode.world.world import World


class Ball(nc.Entity):
    x = nc.Float(0, 1, step=0.001)


class Push(nc.Input):
    hard = nc.Bool()


def bounce(ball: Ball, push: Push, step: nc.Step) -> None:
    ball.x = step.random.random()


GAME = nc.Protocol(entities=[Ball], inputs=[Push], simulate={Ball: bounce})


def step_at(tick: int, world: World, seed: int = 3) -> Step:
    return Step(tick=tick, dt=1 / 60, world=world, seed=seed)


def test_the_same_tick_draws_the_same_numbers_and_another_tick_others() -> None:
    world = World([Ball])
    first = [step_at(10, world).random.random() for _ in range(3)]
    assert len(set(first)) == 1
    several = {step_at(tick, world).random.random() for tick in range(200)}
    assert len(several) == 200
    assert step_at(10, world, seed=4).random.random() != first[0]


def test_neighbouring_ticks_have_nothing_in_common() -> None:
    world = World([Ball])
    drawn = [step_at(tick, world).random.random() for tick in range(4000)]
    pairs = sum((a > 0.5) == (b > 0.5) for a, b in pairwise(drawn))
    assert 0.45 < pairs / len(drawn) < 0.55
    assert 0.47 < sum(drawn) / len(drawn) < 0.53


def test_each_entity_draws_its_own_numbers_whoever_is_simulated_before_it() -> None:
    """A server simulates everybody's entities, a client only its own: both must draw the same."""
    server, client = World([Ball]), World([Ball])
    balls = [server.spawn(Ball) for _ in range(4)]
    step = step_at(77, server)
    for ball in balls:
        simulate_entity(GAME, ball, (Push(),), step)
    assert len({ball.x for ball in balls}) == 4

    mirrored = client.table(Ball).place(2, int(server.table(Ball).generation[2]))
    simulate_entity(GAME, mirrored, (Push(),), step_at(77, client))
    assert mirrored.x == balls[2].x


def test_chance_of_a_tick_does_not_depend_on_the_entities_before_it() -> None:
    """What ``on_tick`` draws after the entities have moved is the tick's own."""
    world = World([Ball])
    alone = step_at(5, world).random.random()
    step = step_at(5, world)
    simulate_entity(GAME, world.spawn(Ball), (Push(),), step)
    assert step.random.random() == alone


def test_spawn_makes_an_entity_on_a_server_and_nothing_on_a_client() -> None:
    world = World([Ball])
    on_server = Step(tick=1, dt=0.1, world=world, seed=0, spawn=world.spawn)
    ball = on_server.spawn(Ball, x=0.5)
    assert ball is not None
    assert ball.x == 0.5
    assert Step(tick=1, dt=0.1, world=world, seed=0).spawn(Ball, x=0.5) is None
    assert len(world[Ball]) == 1


def test_spawn_takes_only_entity_classes_also_where_it_does_nothing() -> None:
    with pytest.raises(nc.UsageError):
        Step(tick=1, dt=0.1, world=World([Ball]), seed=0).spawn(random.Random)  # type: ignore[type-var]


def test_a_misspelt_attribute_of_a_step_raises() -> None:
    with pytest.raises(AttributeError):
        step_at(1, World([Ball])).seed = 3  # type: ignore[attr-defined]
