"""On a line that does not carry everything, what matters comes first, and nothing starves."""

import random

import netcode as nc
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.small_game import GAME, Rock, Ship, begin, enter

NARROW = nc.Conditions(delay=0.03, rate=24_000, queue=40)
"""Bytes a second: less than half of what the rocks below want."""


def moving_rocks(game: Stepper, count: int, seed: int) -> list[Rock]:
    """Rocks that jump about at every tick, as nothing could predict."""
    rng = random.Random(seed)
    rocks = [game.host.world.spawn(Rock, size=n) for n in range(count)]

    def jump(step: nc.Step) -> None:
        for rock in rocks:
            rock.x, rock.y = rng.uniform(-900, 900), rng.uniform(-900, 900)

    game.host.on_tick.append(jump)
    return rocks


def newest_positions(guest: SteppedClient) -> dict[int, float]:
    return {rock.handle: rock.x for rock in guest.authoritative[Rock]}


def test_the_budget_finds_what_the_line_carries() -> None:
    game = begin(budget=nc.Budget(start=100_000, floor=4_000))
    guest = enter(game, "Ada", NARROW)
    moving_rocks(game, 600, seed=1)
    game.run(20.0)
    player = game.player_of(guest)
    assert player.connected
    assert 8_000 < player.budget.rate < 60_000, player.budget
    assert guest.guest.link is not None
    before = guest.guest.link.transport.stats.bytes_received
    game.run(10.0)
    carried = guest.guest.link.transport.stats.bytes_received - before
    assert NARROW.rate is not None
    assert carried > 0.5 * 10 * NARROW.rate
    # What waits in the line is not so much that the game feels it.
    assert guest.stats.rtt < 1.0


def test_nothing_starves_on_a_narrow_line() -> None:
    game = begin(budget=nc.Budget(start=12_000, floor=12_000, ceiling=12_000))
    guest = enter(game, "Ada")
    rocks = moving_rocks(game, 300, seed=2)
    game.run_until(lambda: len(guest.authoritative[Rock]) == len(rocks), within=10.0)
    for _ in range(3):
        before = newest_positions(guest)
        game.run(2.0)
        after = newest_positions(guest)
        assert all(before[handle] != after[handle] for handle in before)


def test_what_weighs_more_is_fresher() -> None:
    game = begin(
        budget=nc.Budget(start=5_000, floor=5_000, ceiling=5_000),
        priority=nc.Priority({Ship: 16}),
    )
    guest = enter(game, "Ada")
    others = [game.host.world.spawn(Ship, name=f"drone {n}") for n in range(10)]
    rocks = moving_rocks(game, 400, seed=3)
    rng = random.Random(4)

    def wander(step: nc.Step) -> None:
        for ship in others:
            ship.x, ship.y = rng.uniform(-900, 900), rng.uniform(-900, 900)

    game.host.on_tick.append(wander)
    game.run(5.0)
    receiver = guest.guest._receiver
    [ships, stones] = [
        receiver.samples._said_at[known._rows][known.life >= 0] for known in receiver.known
    ]
    newest = receiver.history.newest_number
    assert len(ships) == 11
    assert len(stones) == len(rocks)
    assert (newest - ships[1:]).max() <= 2
    assert (newest - stones).max() >= 6


def test_everything_is_right_once_it_is_calm_again() -> None:
    game = begin(budget=nc.Budget(start=12_000, floor=4_000))
    guest = enter(game, "Ada", NARROW)
    rocks = moving_rocks(game, 300, seed=5)
    game.run(5.0)
    game.host.on_tick.clear()
    game.run(4.0)
    shown = newest_positions(guest)
    assert shown == {rock.handle: as_told(rock.x) for rock in rocks}


def as_told(x: float) -> float:
    """A rock's x as it is told."""
    field = next(f for f in GAME.entities[1].fields if f.name == "x")
    return float(field.decode(field.encode(x, None), None))
