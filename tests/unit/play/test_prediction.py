"""Prediction: what a client simulates ahead is what the server will say."""

import random

import numpy as np
import pytest

import netcode as nc
from netcode.play.prediction import MAX_REPLAY, Predictor, round_to_steps, simulate_entity
from netcode.play.step import Step
from netcode.world.world import World

EVERY = 3
SEED = 9


class Kart(nc.Entity):
    x = nc.Float(-500, 500, step=0.25)
    speed = nc.Float(-50, 50, step=0.5)
    laps = nc.Int(0, 1000)


class Pedal(nc.Input):
    push = nc.Int(-1, 1)


def drive(kart: Kart, pedal: Pedal, step: nc.Step) -> None:
    kart.speed += (pedal.push * 30.0 + step.random.uniform(-3, 3)) * step.dt
    kart.x += kart.speed * step.dt
    kart.laps += pedal.push == 1


GAME = nc.Protocol(entities=[Kart], inputs=[Pedal], simulate={Kart: drive})
ROW = {0: np.array([0], dtype=np.intp)}


def make_step(world: World, tick: int, replaying: bool = False) -> Step:
    return Step(tick=tick, dt=1 / 60, world=world, seed=SEED, replaying=replaying)


class Server:
    """Simulates as a host does and remembers the lanes of every tick."""

    def __init__(self) -> None:
        self.world = World(GAME.entities)
        self.kart = self.world.spawn(Kart)
        self.lanes: dict[int, np.ndarray] = {}

    def run(self, tick: int, pedal: Pedal) -> None:
        simulate_entity(GAME, self.kart, (pedal,), make_step(self.world, tick))
        if tick % EVERY == 0:
            round_to_steps(GAME, self.world, ROW)
            self.lanes[tick] = self.world.table(Kart).quantise()[ROW[0]]

    @property
    def state(self) -> tuple[float, float, int]:
        return self.kart.x, self.kart.speed, self.kart.laps


class Client:
    def __init__(self) -> None:
        self.world = World(GAME.entities)
        self.kart = self.world.spawn(Kart)
        self.steps: list[tuple[int, bool]] = []
        self.predictor = Predictor(GAME, self.world, EVERY, self._step)

    def _step(self, tick: int, replaying: bool) -> Step:
        self.steps.append((tick, replaying))
        return make_step(self.world, tick, replaying)

    def correct(self, tick: int, lanes: np.ndarray) -> None:
        self.world.table(Kart).load(ROW[0], lanes)
        self.predictor.correct(tick, ROW)

    @property
    def state(self) -> tuple[float, float, int]:
        return self.kart.x, self.kart.speed, self.kart.laps


def pedals(seed: int, count: int) -> list[Pedal]:
    rng = random.Random(seed)
    return [Pedal(push=rng.choice([-1, 0, 1, 1])) for _ in range(count)]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("lead", [1, 8, 31])
def test_replaying_gives_exactly_what_the_server_got(seed: int, lead: int) -> None:
    """The client is ``lead`` ticks ahead and hears every broadcast: nothing ever moves."""
    server, client = Server(), Client()
    moments: dict[int, tuple[float, float, int]] = {}
    for tick, pedal in enumerate(pedals(seed, 150), start=1):
        client.predictor.advance(tick, (pedal,), ROW)
        moments[tick] = client.state
        past = tick - lead
        if past > 0:
            server.run(past, pedals(seed, 150)[past - 1])
            assert server.state == moments[past]
            if past % EVERY == 0:
                client.correct(past, server.lanes[past])
                assert client.state == moments[tick]
    assert client.predictor.replayed > 0


def test_a_correction_is_taken_over_and_what_came_after_is_run_on_top() -> None:
    server, client = Server(), Client()
    for tick, pedal in enumerate(pedals(1, 20), start=1):
        client.predictor.advance(tick, (pedal,), ROW)
    for tick, pedal in enumerate(pedals(1, 12), start=1):
        server.run(tick, pedal)
    server.kart.x += 100.0  # a bump that the client could not know of
    bumped = server.world.table(Kart).quantise()[ROW[0]]
    client.correct(12, bumped)
    server.world.table(Kart).load(ROW[0], bumped)
    for tick, pedal in enumerate(pedals(1, 20)[12:], start=13):
        server.run(tick, pedal)
    assert client.state == server.state


def test_replayed_steps_say_so() -> None:
    client = Client()
    for tick in (1, 2, 3, 4, 5):
        client.predictor.advance(tick, (Pedal(),), ROW)
    lanes = client.world.table(Kart).quantise()[ROW[0]]
    client.steps.clear()
    client.correct(3, lanes)
    client.predictor.advance(6, (Pedal(),), ROW)
    assert client.steps == [(4, True), (5, True), (6, False)]


def test_what_is_replayed_is_bounded() -> None:
    client = Client()
    for tick in range(1, 1000):
        client.predictor.advance(tick, (Pedal(push=1),), ROW)
    lanes = client.world.table(Kart).quantise()[ROW[0]]
    client.correct(2, lanes)
    assert client.predictor.replayed == MAX_REPLAY


def test_a_tick_that_the_server_has_confirmed_already_is_not_run() -> None:
    client = Client()
    client.correct(30, client.world.table(Kart).quantise()[ROW[0]])
    client.predictor.advance(28, (Pedal(push=1),), ROW)
    assert client.kart.laps == 0
    client.predictor.advance(31, (Pedal(push=1),), ROW)
    assert client.kart.laps == 1


def test_entities_without_a_simulate_function_are_left_alone() -> None:
    class Rock(nc.Entity):
        x = nc.Float(0, 10, step=1.0)

    game = nc.Protocol(entities=[Rock], inputs=[Pedal])
    world = World([Rock])
    rock = world.spawn(Rock, x=3.3)
    simulate_entity(game, rock, (Pedal(),), make_step(world, 1))
    round_to_steps(game, world, ROW)
    assert rock.x == 3.3
