"""A game of shots: tanks that fire bolts, which appear at once, and a bang that has its moment."""

from typing import Any

import netcode as nc
from netcode.core.player import Player
from netcode.testing import SteppedClient, Stepper


class Tank(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)
    y = nc.Float(-1000, 1000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    name = nc.Text(max_bytes=16)
    hull = nc.Int(0, 100, default=100)
    loading = nc.Int(0, 6, only_owner=True)


class Bolt(nc.Entity, predicted=True):
    x = nc.Float(-1000, 1000, step=0.05)
    number = nc.Int(0, 10_000)


class Balloon(nc.Entity, fade=0.25):
    x = nc.Float(-1000, 1000, step=0.05)
    y = nc.Float(-1000, 1000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)


class Drive(nc.Input):
    go = nc.Int(-1, 1)
    fire = nc.Bool(edge=True)


class Bang(nc.Message, delivery=nc.UNRELIABLE, timed=True):
    number = nc.Int(0, 1_000_000)


class Boom(nc.Message, timed=True):
    number = nc.Int(0, 1_000_000)


class News(nc.Message):
    number = nc.Int(0, 1_000_000)


BOLT_SPEED = 300.0
LOADING = 6


def drive(tank: Tank, keys: Drive, step: nc.Step) -> None:
    tank.vx = 100.0 * keys.go
    tank.x = max(-990.0, min(990.0, tank.x + tank.vx * step.dt))
    tank.loading = max(0, tank.loading - 1)
    if keys.fire and not tank.loading:
        tank.loading = LOADING
        step.spawn(Bolt, x=tank.x, number=step.tick % 10_000)


def fly(bolt: Bolt, keys: Drive, step: nc.Step) -> None:
    bolt.x += BOLT_SPEED * step.dt


GAME = nc.Protocol(
    entities=[Tank, Bolt, Balloon],
    inputs=[Drive],
    messages=[Bang, Boom, News],
    simulate={Tank: drive, Bolt: fly},
)


def begin(seed: int = 1, **options: Any) -> Stepper:
    """A running game: whoever joins gets a tank; bolts end at the arena's edge."""
    game = Stepper(GAME, seed=seed, **options)

    def join(player: Player) -> None:
        player.control(game.host.world.spawn(Tank, name=player.name, x=-10.0 * player.id))

    def end_bolts(step: nc.Step) -> None:
        for bolt in game.host.world[Bolt]:
            if bolt.x > 900:
                game.host.world.despawn(bolt)

    game.host.on_join.append(join)
    game.host.on_tick.append(end_bolts)
    return game


def enter(game: Stepper, name: str, weather: str = "clean") -> SteppedClient:
    """Let somebody join, and time pass until the own tank is on the screen."""
    guest = game.join(name, weather)
    game.run_until(lambda: guest.own(Tank) is not None, within=10.0)
    return guest
