"""Real WebRTC through real loss: what everybody sees in the end is what the server has."""

import asyncio
import random
import time

import numpy as np
import pytest

import netcode as nc

SEED = 7
WEATHER = nc.Conditions(delay=0.1, jitter=0.02, loss=0.1)


class Rock(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.1)
    y = nc.Float(-1000, 1000, step=0.1)
    spin = nc.Angle(bits=8)
    label = nc.Text(max_bytes=16)


class Ship(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.05)
    target = nc.Ref(Rock)
    ammo = nc.Int(0, 100, only_owner=True)


class Steer(nc.Input):
    thrust = nc.Bool()


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 50 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Rock, Ship], inputs=[Steer], simulate={Ship: fly})


async def test_every_world_equals_the_servers_one_second_after_the_last_change() -> None:
    print("seed", SEED)
    chance = random.Random(SEED)
    server = nc.Server(GAME)
    changing = True

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship, ammo=player.id))

    @server.on_tick
    def rules(step: nc.Step) -> None:
        if not changing:
            return
        for rock in server.world[Rock]:
            rock.x += chance.uniform(-3, 3)
            rock.spin += 0.02
        if chance.random() < 0.2:
            rocks = list(server.world[Rock])
            if len(rocks) > 40:
                server.world.despawn(chance.choice(rocks))
            rock = server.world.spawn(Rock, y=chance.uniform(-900, 900), label=f"at {step.tick}")
            for ship in server.world[Ship]:
                ship.target = rock
                ship.ammo = chance.randrange(100)

    for _ in range(40):
        server.world.spawn(Rock, x=chance.uniform(-900, 900), label="first")

    async def play(clients: list[nc.Client], seconds: float, thrust: bool) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for client in clients:
                client.update(Steer(thrust=thrust))
            await asyncio.sleep(1 / 60)

    async with (
        server,
        nc.connect(server.url, GAME, name="Ada", conditions=WEATHER) as ada,
        nc.connect(server.url, GAME, name="Bob", conditions=WEATHER) as bob,
    ):
        clients = [ada, bob]
        await play(clients, 3.0, thrust=True)
        changing = False
        # The inputs under way still move ships: let them come to rest.
        await play(clients, 0.8, thrust=False)
        resting = [ship.x for ship in server.world[Ship]]
        await play(clients, 1.0, thrust=False)
        assert resting == [ship.x for ship in server.world[Ship]]
        for client in clients:
            _assert_same(server, client)
            assert client.stats.loss > 0 or client.stats.rtt > 0.15
            own = client.own(Ship)
            assert own is not None
            assert own.x == pytest.approx(client.authoritative.table(Ship).x[own._row], abs=0.1)
        assert server.stats.handler_errors == 0


def _assert_same(server: nc.Server, client: nc.Client) -> None:
    for kind in (Rock, Ship):
        truth, seen = server.world.table(kind), client.authoritative.table(kind)
        rows = truth.rows()
        assert rows.tolist() == seen.rows().tolist()
        assert np.array_equal(truth.generation[rows], seen.generation[rows])
        for entity, other in zip(truth, seen, strict=True):
            for field in kind.fields:
                mine, theirs = getattr(entity, field.name), getattr(other, field.name)
                if field.only_owner and not other.mine:
                    continue
                if isinstance(field, nc.Ref):
                    assert (mine and mine.handle) == (theirs and theirs.handle)
                elif isinstance(field, nc.Text):
                    assert mine == theirs
                else:
                    assert field.encode(mine, truth.context) == field.encode(theirs, truth.context)
