"""One second after the last change, everybody's world is the server's, whatever was lost."""

import random

import pytest

import netcode as nc
from netcode.testing import SteppedClient
from tests.scenarios.small_game import Rock, Steer, begin, contents, enter

LOSSY = nc.Conditions(delay=0.100, jitter=0.020, loss=0.10)


@pytest.mark.parametrize("seed", range(2))
def test_after_ten_percent_loss_the_worlds_are_equal(seed: int) -> None:
    rng = random.Random(seed)
    game = begin(seed=seed)
    world = game.host.world
    guests = [enter(game, name, LOSSY) for name in ("Ada", "Bob")]

    def steer(guest: SteppedClient) -> list[Steer]:
        return [Steer(thrust=rng.randint(-1, 1), fire=rng.random() < 0.1)]

    for _ in range(20):
        for _ in range(rng.randrange(2)):
            world.spawn(Rock, x=rng.uniform(-900, 900), size=rng.randrange(1000))
        for rock in list(world[Rock]):
            if rng.random() < 0.1:
                world.despawn(rock)
            elif rng.random() < 0.3:
                rock.x += rng.uniform(-30, 30)
        game.run(0.1, steer)
    for guest in guests:
        guest.stalled = True  # nobody steers any more
    for ship in world.tables[0]:
        ship.vx = 0.0
    game.run(0.5)
    for player in game.host.guests:
        for entity in player.entities:
            player.release(entity)  # and the server's own simulation stops, too
    game.run(1.0)
    expected = contents(world)
    for guest in guests:
        assert contents(guest.authoritative) == expected


@pytest.mark.parametrize("seed", range(2))
def test_what_is_displayed_gets_there_too(seed: int) -> None:
    game = begin(seed=seed)
    guest = enter(game, "Ada", LOSSY)
    rocks = [game.host.world.spawn(Rock, x=n) for n in range(50)]
    game.run(1.0)
    for rock in rocks:
        rock.x = 500 - rock.x
    game.run(1.5)
    shown = {rock.handle: rock.x for rock in guest.world[Rock]}
    assert shown == pytest.approx({rock.handle: rock.x for rock in rocks}, abs=0.03)
