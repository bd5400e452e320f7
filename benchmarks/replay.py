"""How long does it take to run the past again, and to arrange a frame?

In one process, without a network, with the demo's ship and shots. All times are of one thread.

- replay: a snapshot says that the ship is elsewhere, and the 15 ticks since then (a quarter of a
  second of round trip at 60 ticks a second) are simulated again for a ship and its ten shots:
  `Predictor.confirm`. 300 times, every time with another surprise.
- agreed: the same when the snapshot says what was predicted, as nearly always: a comparison.
- on columns: the same 15 ticks simulated on a world's own tables instead of on scratch copies, with
  the rounding at broadcasts: what one would have written otherwise.
- update: a whole `update()` of a client in the demo's arena (some 250 entities of six classes,
  three players), at 60 frames a second of which every third brings a snapshot.

Goal: a replay within 2 ms.
"""

import argparse
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.report import Row, note, progress
from demo_game.game import BULLET_SPEED, GAME, Bullet, Ship, Steer
from demo_game.simulation import Rules
from netcode.core.player import Player
from netcode.play.prediction import Owned, Predictor, round_to_steps, simulate_entity
from netcode.play.scratch import spawn_key
from netcode.play.step import Spawn, Step
from netcode.testing import FRAME, SteppedClient, Stepper
from netcode.world.world import World

TICKS = 15
SHOTS = 10
EVERY = 3
ROUNDS = 300
STEER = Steer(turn=1, thrust=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this question: none."""


def run(args: argparse.Namespace) -> list[Row]:
    """Measure one after the other, in turns of the same process."""
    rounds = 60 if args.quick else ROUNDS
    with progress() as bar:
        task = bar.add_task("replaying", total=4)
        replays = _replays(rounds, surprised=True)
        bar.advance(task)
        agreed = _replays(rounds, surprised=False)
        bar.advance(task)
        columns = _on_columns(rounds)
        bar.advance(task)
        updates = _updates(2.0 if args.quick else 10.0)
        bar.advance(task)
    rows = []
    for case, times in (
        ("replay", replays), ("agreed", agreed), ("on columns", columns), ("update", updates),
    ):  # fmt: skip
        rows += [
            Row(case, "time_ms_p50", 1e3 * float(np.percentile(times, 50)), "ms"),
            Row(case, "time_ms_p99", 1e3 * float(np.percentile(times, 99)), "ms"),
        ]
    rows.append(
        Row("replay", "ratio_to_columns", float(np.median(replays) / np.median(columns)), "x")
    )
    note(f"{TICKS} ticks of a ship and {SHOTS} shots, {rounds} times")
    return rows


class _Truth:
    """What a server would tell: a ship, and shots on their way."""

    def __init__(self) -> None:
        self.world = World(GAME.entities)
        self.ship = self.world.spawn(Ship, player=1)
        for number in range(SHOTS):
            shot = self.world.spawn(Bullet, x=10.0 * number, vx=BULLET_SPEED, player=1)
            shot._set(GAME.spawned[Bullet], spawn_key(1, number))

    def owned(self) -> list[Owned]:
        found = []
        for kind in (Ship, Bullet):
            table = self.world.table(kind)
            index, lanes = self.world.tables.index(table), table.quantise()
            for row in table.rows().tolist():
                key = spawn_key(1, row) if kind is Bullet else 0
                found.append(Owned(index, row, 0, key, lanes[row].copy()))
        return found


def _step(world: World) -> Callable[[int, bool, Spawn | None], Step]:
    return lambda tick, again, spawn: Step(
        tick=tick, dt=1 / 60, world=world, seed=1, replaying=again, spawn=spawn
    )


def _replays(rounds: int, *, surprised: bool) -> list[float]:
    truth, world, rng = _Truth(), World(GAME.entities), random.Random(1)
    predictor = Predictor(GAME, world, EVERY, _step(world))
    predictor.confirm(0, truth.owned(), 1)
    for tick in range(1, TICKS + EVERY + 1):
        predictor.advance(tick, (STEER,))
    times = []
    for number in range(1, rounds + 1):
        tick = number * EVERY
        told = truth.owned()
        if surprised:
            truth.ship.x = rng.uniform(-100, 100)
            told = truth.owned()
        else:
            table = world.tables.index(world.table(Ship))
            for one, scratch in zip(told, predictor.mine, strict=True):
                lanes: list[int] = []
                for field in scratch.table.fields:
                    lanes += field.encode(scratch.records[tick][field], world)
                one.lanes = np.array(lanes, dtype=np.int32)
            assert told[0].table == table
        before = predictor.replayed
        begin = perf_counter()
        predictor.confirm(tick, told, 1)
        times.append(perf_counter() - begin)
        assert predictor.replayed - before == (TICKS if surprised else 0)
        for later in range(tick + TICKS + 1, tick + TICKS + EVERY + 1):
            predictor.advance(later, (STEER,))
    return times


def _on_columns(rounds: int) -> list[float]:
    truth = _Truth()
    world, make = truth.world, _step(truth.world)
    entities = [truth.ship, *world[Bullet]]
    rows = {
        world.tables.index(world.table(kind)): world.table(kind).rows() for kind in (Ship, Bullet)
    }
    saved = {index: world.tables[index].quantise() for index in rows}
    times = []
    for _ in range(rounds):
        begin = perf_counter()
        for index, lanes in saved.items():
            world.tables[index].load(rows[index], lanes)
        for tick in range(1, TICKS + 1):
            step = make(tick, True, None)
            for entity in entities:
                simulate_entity(GAME, entity, (STEER,), step)
            if tick % EVERY == 0:
                round_to_steps(GAME, world, rows)
        times.append(perf_counter() - begin)
    return times


def _updates(seconds: float) -> list[float]:
    game = Stepper(GAME, seed=1)
    rules = Rules(game.server.world, seed=3)

    @game.server.on_join
    def join(player: Player) -> None:
        place = random.Random(player.id)
        player.control(rules.join(player.id, player.name, game.server.tick, place))

    @game.server.on_tick
    def tick(step: Step) -> None:
        rules.step(step)

    def steer(client: SteppedClient) -> list[Steer]:
        return [Steer(thrust=True, turn=1, fire=int(game.clock.now * 3) % 2 == 0)]

    ada, *_ = [game.join(name, "4g") for name in ("Ada", "Bob", "Cyd")]
    game.run(3.0, steer)
    times: list[float] = []
    update: Any = ada.update

    def timed(*inputs: Any) -> None:
        begin = perf_counter()
        update(*inputs)
        times.append(perf_counter() - begin)

    ada.update = timed  # type: ignore[method-assign]
    game.run(round(seconds / FRAME) * FRAME, steer)
    return times
