"""In terrible weather one can still play."""

import pytest

import netcode as nc
from netcode.testing import FRAME, SteppedClient
from tests.scenarios.small_game import Rock, Ship, Steer, begin, contents, enter, own_ship, ship_of


@pytest.mark.parametrize("seed", [0])
def test_everybody_steers_fires_and_sees_the_others(seed: int) -> None:
    game = begin(seed=seed)
    rocks = [game.host.world.spawn(Rock, x=10 * n) for n in range(40)]

    def move(step: nc.Step) -> None:
        for rock in rocks:
            rock.y += 0.3

    guests = [enter(game, name, "terrible") for name in ("Ada", "Bob", "Cyd")]
    game.host.on_tick.append(move)
    jumps = 0
    last: dict[str, float] = {}

    def steer(guest: SteppedClient) -> list[Steer]:
        nonlocal jumps
        x = own_ship(guest).x
        jumps += abs(x - last.get(guest.name, x)) > 15.0
        last[guest.name] = x
        return [Steer(thrust=1 if int(game.clock.now) % 2 else -1, fire=True)]

    game.run(4.0, steer)
    assert all(guest.error is None for guest in guests)
    assert jumps <= 2  # an input that came too late
    for guest in guests:
        stats = guest.stats
        assert stats.broadcast_hz > 12
        assert stats.rtt == pytest.approx(0.27, abs=0.1)
        assert stats.interpolation_delay < 0.6
        assert len(guest.world[Ship]) == 3
    game.host.on_tick.clear()
    for guest in guests:
        guest.stalled = True
    for ship in list(game.host.world[Ship]):
        ship.vx = 0.0
        next(p for p in game.host.guests if ship in p.entities).release(ship)
    game.run(2.0)
    for guest in guests:
        assert contents(guest.authoritative) == contents(game.host.world)


@pytest.mark.parametrize("seed", [2])
def test_others_move_smoothly(seed: int) -> None:
    """Speed as displayed, frame by frame, stays near the true one."""
    game = begin(seed=seed)
    ada = enter(game, "Ada", "terrible")
    rock = game.host.world.spawn(Rock, x=-900.0)

    def move(step: nc.Step) -> None:
        rock.x += 60.0 * step.dt

    game.host.on_tick.append(move)
    game.run(4.0)
    [shown] = ada.world[Rock]
    moves = []
    for _ in range(420):
        before = shown.x
        game.run(FRAME)
        moves.append(shown.x - before)
    steady = [move for move in moves if 0.8 < move / (60.0 * FRAME) < 1.2]
    assert min(moves) >= 0.0
    assert len(steady) > 0.95 * len(moves)


def test_presses_and_inputs_mostly_come_in_time() -> None:
    game = begin(seed=1)
    ada = enter(game, "Ada", "terrible")
    game.run(5.0)
    missing = game.host.stats.missing_inputs
    game.run(6.0, lambda guest: [Steer(thrust=1)])
    assert game.host.stats.missing_inputs - missing < 0.1 * 360
    assert ship_of(game, ada).vx > 100
