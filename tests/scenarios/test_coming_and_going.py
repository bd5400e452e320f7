"""What comes into view and leaves it: by degrees if its class fades, and teleports at once."""

import itertools

import pytest

import netcode as nc
from netcode.testing import FRAME
from tests.scenarios.duel_game import Balloon, Tank, begin, enter


def test_a_balloon_fades_in_and_out_with_the_view() -> None:
    game = begin(interest=nc.Radius(300))
    ada = enter(game, "Ada", "4g")
    balloon = game.host.world.spawn(Balloon, x=-600.0, vx=200.0)

    def drift(step: nc.Step) -> None:
        balloon.x += balloon.vx * step.dt

    game.host.on_tick.append(drift)
    fades: list[float] = []
    places: list[float] = []
    left: list[float] = []
    ada.on_leave(Balloon)(lambda gone: left.append(gone.fade))
    for _ in range(420):
        game.run(FRAME)
        for shown in ada.world[Balloon]:
            fades.append(shown.fade)
            places.append(shown.x)
    peak = fades.index(1.0)
    assert fades[0] < 0.1
    assert fades[:peak] == sorted(fades[:peak])
    assert 10 <= peak <= 17  # a quarter of a second
    end = len(fades) - 1 - fades[::-1].index(1.0)
    assert fades[end:] == sorted(fades[end:], reverse=True)
    assert 12 <= len(fades) - end <= 17
    assert fades[-1] < 0.15
    assert left == [1.0]  # told when it leaves, and not again when its picture has gone
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert all(0.8 < step / (200 * FRAME) < 1.2 for step in steps)


@pytest.mark.parametrize("weather", ["lan", "loss5"])
def test_a_teleport_is_not_smeared(weather: str) -> None:
    game = begin(seed=6)
    ada = enter(game, "Ada", weather)
    tank = game.host.world.spawn(Tank, x=-500.0)
    game.run(2.0)
    [shown] = [tank for tank in ada.world[Tank] if not tank.mine]
    for place in (500.0, -300.0, 200.0):
        tank.x = place
        seen = set()
        for _ in range(40):
            game.run(FRAME)
            seen.add(round(shown.x))
        assert len(seen) <= 2, seen
        assert shown.x == pytest.approx(place)


def test_one_that_walks_is_not_taken_for_one_that_teleports() -> None:
    game = begin()
    ada = enter(game, "Ada", "loss5")
    tank = game.host.world.spawn(Tank, x=-500.0)

    def walk(step: nc.Step) -> None:
        tank.x += 300.0 * step.dt

    game.run(1.0)
    game.host.on_tick.append(walk)
    game.run(0.5)
    [shown] = [tank for tank in ada.world[Tank] if not tank.mine]
    places = []
    for _ in range(120):
        game.run(FRAME)
        places.append(shown.x)
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert all(0.9 < step / (300 * FRAME) < 1.1 for step in steps)
