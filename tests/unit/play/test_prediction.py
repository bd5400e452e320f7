"""Prediction: what a client simulates ahead is what the server will say."""

import random

import numpy as np
import pytest

import netcode as nc
from netcode.core.simulation import Simulation
from netcode.play.prediction import (
    MAX_REPLAY,
    PATIENCE,
    Owned,
    Predictor,
    round_to_steps,
    simulate_entity,
)
from netcode.play.scratch import SPAWNED_PER_TICK, order_of, spawn_key
from netcode.play.step import Spawn, Step
from netcode.world.world import World

EVERY = 3
SEED = 9


class Kart(nc.Entity):
    x = nc.Float(-500, 500, step=0.25)
    speed = nc.Float(-50, 50, step=0.5)
    laps = nc.Int(0, 1000)
    name = nc.Text(max_bytes=8)
    rival = nc.Ref("Kart")


class Shell(nc.Entity, predicted=True):
    x = nc.Float(-500, 500, step=0.25)
    speed = nc.Float(-500, 500, step=0.5)


class Sign(nc.Entity):
    x = nc.Float(-500, 500, step=0.25)


class Pedal(nc.Input):
    push = nc.Int(-1, 1)
    throw = nc.Int(0, 400)


def drive(kart: Kart, pedal: Pedal, step: nc.Step) -> None:
    kart.speed += (pedal.push * 30.0 + step.random.uniform(-3, 3)) * step.dt
    kart.x += kart.speed * step.dt
    kart.laps += pedal.push == 1
    for _ in range(pedal.throw):
        step.spawn(Shell, x=kart.x, speed=kart.speed + step.random.uniform(50, 60))


def roll(shell: Shell, pedal: Pedal, step: nc.Step) -> None:
    shell.speed += step.random.uniform(-30, 30)
    shell.x += shell.speed * step.dt


GAME = nc.Protocol(
    entities=[Kart, Shell, Sign], inputs=[Pedal], simulate={Kart: drive, Shell: roll}
)
KART, SHELL = 0, 1
SOON = 1
"""Ticks of patience on a line that loses nothing."""


class Server:
    """One player's entities, simulated as a host does; remembers what it would tell."""

    def __init__(self) -> None:
        self.world = World(GAME.entities)
        self.simulation = Simulation(GAME, self.world, 1 / 60, SEED)
        self.mine: list[nc.Entity] = []
        self.kart = self.world.spawn(Kart, name="Ada")
        self.control(self.kart)
        self.told: dict[int, list[Owned]] = {}

    def control(self, entity: nc.Entity) -> None:
        self.world.table(type(entity)).own(entity._row, 1)
        self.mine.append(entity)

    def run(self, tick: int, pedal: Pedal) -> None:
        self.simulation.move(tick, tuple(self.mine), (pedal,), self.control)
        if tick % EVERY == 0:
            self.simulation.round()
            self.told[tick] = self.owned()

    def owned(self) -> list[Owned]:
        found = []
        for index, table in enumerate(self.world.tables[:2]):
            lanes = table.quantise()
            for row in table.rows().tolist():
                key = int(table["_spawned"][row]) if index == SHELL else 0
                generation = int(table.generation[row])
                found.append(Owned(index, row, generation, key, lanes[row].copy()))
        return found

    @property
    def state(self) -> list[tuple[float, float]]:
        shells = sorted((shell.x, shell.speed) for shell in self.world[Shell])
        return [(self.kart.x, self.kart.speed), *shells]


class Client:
    def __init__(self) -> None:
        self.world = World(GAME.entities)
        self.steps: list[tuple[int, bool]] = []
        self.predictor = Predictor(GAME, self.world, EVERY, self._step)

    def _step(self, tick: int, replaying: bool, spawn: Spawn | None) -> Step:
        self.steps.append((tick, replaying))
        return Step(
            tick=tick, dt=1 / 60, world=self.world, seed=SEED, replaying=replaying, spawn=spawn
        )

    @property
    def state(self) -> list[tuple[float, float]]:
        values = [(s.index, s.view.x, s.view.speed) for s in self.predictor.mine]  # type: ignore[attr-defined]
        return [(x, speed) for _, x, speed in sorted(values)]

    def begin(self, server: Server) -> None:
        self.predictor.confirm(0, server.owned(), SOON)


def pedals(seed: int, count: int, throws: float = 0.0) -> list[Pedal]:
    rng = random.Random(seed)
    return [
        Pedal(push=rng.choice([-1, 0, 1, 1]), throw=(rng.random() < throws) * rng.choice((1, 1, 3)))
        for _ in range(count)
    ]


@pytest.mark.parametrize("throws", [0.0, 0.1])
@pytest.mark.parametrize("lead", [1, 8, 31])
def test_the_server_says_what_was_predicted_so_nothing_is_run_again(
    lead: int, throws: float
) -> None:
    """Chance, rounding and shells that both ends spawn included."""
    server, client = Server(), Client()
    client.begin(server)
    moments: dict[int, list[tuple[float, float]]] = {}
    inputs = pedals(lead, 150, throws)
    for tick, pedal in enumerate(inputs, start=1):
        client.predictor.advance(tick, (pedal,))
        moments[tick] = client.state
        past = tick - lead
        if past > 0:
            server.run(past, inputs[past - 1])
            assert server.state == moments[past]
            if past % EVERY == 0:
                client.predictor.confirm(past, server.told[past], SOON)
                assert client.state == moments[tick]
    assert client.predictor.mispredictions == client.predictor.replayed == 0
    assert (len(server.world[Shell]) > 5) == (throws > 0)


def test_a_correction_is_taken_over_and_what_came_after_is_run_on_top() -> None:
    server, client = Server(), Client()
    client.begin(server)
    inputs = pedals(1, 20, 0.2)
    for tick, pedal in enumerate(inputs, start=1):
        client.predictor.advance(tick, (pedal,))
    for tick, pedal in enumerate(inputs[:12], start=1):
        server.run(tick, pedal)
    server.kart.x += 100.0  # a bump that the client could not know of
    client.predictor.confirm(12, server.owned(), SOON)
    for tick, pedal in enumerate(inputs[12:], start=13):
        server.run(tick, pedal)
    assert client.state == server.state
    assert (client.predictor.mispredictions, client.predictor.corrections) == (1, 1)


def test_what_only_the_server_changes_is_taken_over_without_a_correction() -> None:
    server, client = Server(), Client()
    client.begin(server)
    for tick in range(1, 10):
        client.predictor.advance(tick, (Pedal(),))
    for tick in range(1, 7):
        server.run(tick, Pedal())
    server.kart.laps = 77
    client.predictor.confirm(6, server.owned(), SOON)
    [kart] = client.predictor.mine
    assert kart.view.laps == 77  # type: ignore[attr-defined]
    assert (client.predictor.mispredictions, client.predictor.corrections) == (1, 0)


def test_steps_say_whether_they_are_run_again_or_ahead() -> None:
    server, client = Server(), Client()
    client.begin(server)
    for tick in (1, 2, 3, 4, 5):
        client.predictor.advance(tick, (Pedal(),))
    server.kart.x = 50.0
    client.steps.clear()
    client.predictor.confirm(3, server.owned(), SOON)
    client.predictor.advance(6, (Pedal(),))
    client.predictor.look_ahead((Pedal(),))
    assert client.steps == [(4, True), (5, True), (6, False), (7, True)]


def test_looking_ahead_changes_nothing_and_spawns_nothing() -> None:
    server, client = Server(), Client()
    client.begin(server)
    client.predictor.advance(1, (Pedal(push=1),))
    before = client.state
    client.predictor.look_ahead((Pedal(push=1, throw=2),))
    assert client.state == before
    [kart] = client.predictor.mine
    assert kart.ahead[Kart.x] != kart.values[Kart.x]


def test_what_is_run_again_is_bounded() -> None:
    server, client = Server(), Client()
    client.begin(server)
    for tick in range(1, 1000):
        client.predictor.advance(tick, (Pedal(push=1),))
    server.kart.x = 200.0
    client.predictor.confirm(2, server.owned(), SOON)
    assert client.predictor.replayed == MAX_REPLAY


def test_a_tick_that_the_server_has_confirmed_already_is_not_run() -> None:
    server, client = Server(), Client()
    client.predictor.confirm(30, server.owned(), SOON)
    client.predictor.advance(28, (Pedal(push=1),))
    [kart] = client.predictor.mine
    assert kart.view.laps == 0  # type: ignore[attr-defined]
    client.predictor.advance(31, (Pedal(push=1),))
    assert kart.view.laps == 1  # type: ignore[attr-defined]


# -- what is spawned ahead -----------------------------------------------------------------------


def test_a_shell_is_there_at_once_and_becomes_the_servers() -> None:
    server, client = Server(), Client()
    client.begin(server)
    client.predictor.advance(1, (Pedal(throw=1),))
    [_, shell] = client.predictor.mine
    assert (shell.row, shell.view.handle) == (None, -1)
    for tick in (2, 3):
        client.predictor.advance(tick, (Pedal(),))
    for tick in (1, 2, 3):
        server.run(tick, Pedal(throw=int(tick == 1)))
    client.predictor.confirm(3, server.told[3], SOON)
    assert client.predictor.mine[1] is shell
    [real] = server.world[Shell]
    assert (shell.row, shell.view.handle) == (real._row, real.handle)
    assert client.predictor.replayed == 0


def test_a_shell_that_the_server_did_not_spawn_goes() -> None:
    server, client = Server(), Client()
    client.begin(server)
    for tick in (1, 2, 3, 4):
        client.predictor.advance(tick, (Pedal(throw=int(tick in (1, 4))),))
    for tick in (1, 2, 3):
        server.run(tick, Pedal())  # the press was lost
    client.predictor.confirm(3, server.told[3], SOON)
    [_, shell] = client.predictor.mine
    assert shell.born == 4


def test_what_may_have_been_lost_on_its_way_is_given_time() -> None:
    server, client = Server(), Client()
    client.begin(server)
    client.predictor.advance(1, (Pedal(throw=1),))
    for tick in range(1, PATIENCE + 7):
        server.run(tick, Pedal())
        if tick % EVERY == 0:
            client.predictor.confirm(tick, server.told[tick], 1_000)
            assert len(client.predictor.mine) == 1 + (tick < PATIENCE + 1)


def test_a_shell_thrown_after_a_bump_is_the_same_one_in_another_place() -> None:
    server, client = Server(), Client()
    client.begin(server)
    for tick in range(1, 9):
        client.predictor.advance(tick, (Pedal(throw=3 * (tick == 7)),))
    shells = client.predictor.mine[1:]
    for tick in range(1, 4):
        server.run(tick, Pedal())
    server.kart.x += 40.0
    client.predictor.confirm(3, server.owned(), SOON)
    assert client.predictor.mine[1:] == shells
    assert all(shell.view.x > 35 for shell in shells)  # type: ignore[attr-defined]


def test_a_shell_that_is_not_thrown_after_all_goes() -> None:
    """The kart threw because it had come so far; the server says that it has not."""

    def throw_at_goal(kart: Kart, pedal: Pedal, step: nc.Step) -> None:
        kart.x += 1.0
        if kart.x == 5.0:
            step.spawn(Shell, x=kart.x)

    game = nc.Protocol(
        entities=[Kart, Shell], inputs=[Pedal], simulate={Kart: throw_at_goal, Shell: roll}
    )
    world = World(game.entities)
    predictor = Predictor(
        game,
        world,
        EVERY,
        lambda tick, again, spawn: Step(
            tick=tick, dt=1 / 60, world=world, seed=1, replaying=again, spawn=spawn
        ),
    )
    lanes = World(game.entities).table(Kart)
    lanes.spawn(x=0.0)
    predictor.confirm(0, [Owned(KART, 0, 0, 0, lanes.quantise()[0])], SOON)
    for tick in range(1, 8):
        predictor.advance(tick, (Pedal(),))
    assert len(predictor.mine) == 2
    predictor.confirm(3, [Owned(KART, 0, 0, 0, lanes.quantise()[0])], SOON)
    assert len(predictor.mine) == 1


def test_a_tick_that_comes_once_more_spawns_nothing_again() -> None:
    """The clock was too far ahead, and jumped back."""
    server, client = Server(), Client()
    client.begin(server)
    for tick in range(1, 6):
        client.predictor.advance(tick, (Pedal(throw=int(tick == 4)),))
    [_, shell] = client.predictor.mine
    client.predictor.jump_back(3)
    for tick in (4, 5):
        client.predictor.advance(tick, (Pedal(throw=int(tick == 4)),))
    assert client.predictor.mine[1:] == [shell]


def test_no_more_are_spawned_at_once_than_can_be_told_apart() -> None:
    server, client = Server(), Client()
    client.begin(server)
    client.predictor.advance(1, (Pedal(throw=400),))
    assert len(client.predictor.mine) == 1 + SPAWNED_PER_TICK
    server.run(1, Pedal(throw=400))
    assert len(server.world[Shell]) == 400


def test_a_class_that_is_not_predicted_is_for_the_server_to_spawn() -> None:
    made: list[object] = []

    def plant(kart: Kart, pedal: Pedal, step: nc.Step) -> None:
        made.append(step.spawn(Sign, x=1.0))
        with pytest.raises(nc.UsageError, match="no field"):
            step.spawn(Sign, y=1.0)

    game = nc.Protocol(entities=[Kart, Sign], inputs=[Pedal], simulate={Kart: plant})
    world = World(game.entities)
    predictor = Predictor(
        game, world, EVERY, lambda t, r, s: Step(tick=t, dt=1, world=world, seed=1, spawn=s)
    )
    table = World(game.entities).table(Kart)
    table.spawn()
    predictor.confirm(0, [Owned(KART, 0, 0, 0, table.quantise()[0])], SOON)
    predictor.advance(1, (Pedal(),))
    assert made == [None]


def test_both_ends_move_a_players_entities_in_the_same_order() -> None:
    world = World(GAME.entities)
    shells = [world.spawn(Shell) for _ in range(4)]
    for shell, key in zip(shells, (spawn_key(9, 1), 0, spawn_key(9, 0), 0), strict=True):
        shell._set(GAME.spawned[Shell], key)
    kart = world.spawn(Kart)
    ordered = sorted([*shells, kart], key=lambda entity: order_of(GAME, entity))
    assert ordered == [kart, shells[1], shells[3], shells[2], shells[0]]


# -- the server's part ---------------------------------------------------------------------------


def test_entities_without_a_simulate_function_are_left_alone() -> None:
    world = World(GAME.entities)
    sign = world.spawn(Sign, x=3.3)
    step = Step(tick=1, dt=1 / 60, world=world, seed=SEED)
    simulate_entity(GAME, sign, (Pedal(),), step)
    round_to_steps(GAME, world, {2: np.array([0])})
    assert sign.x == 3.3
