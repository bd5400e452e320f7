"""What comes into view fades in, what leaves it fades out, and neither jumps on the way."""

import itertools
from collections.abc import Callable

import pytest

import netcode as nc
from netcode.testing import SteppedGuest, Stepper

LASTS = 1.0
FRAME = 1 / 60


class Lamp(nc.Entity, fade=LASTS):
    x = nc.Float(-1000, 1000, step=0.1)
    y = nc.Float(-1000, 1000, step=0.1)


@pytest.fixture
def game() -> Stepper:
    return Stepper(nc.Protocol(entities=[Lamp]), interest=nc.Radius(100), seed=2)


def enter(game: Stepper) -> SteppedGuest:
    guest = game.join("Ada")
    game.run_until(lambda: guest.joined, within=5)
    game.player_of(guest).viewpoint = (0.0, 0.0)
    game.run(1.0)
    return guest


def fades(game: Stepper, guest: SteppedGuest, until: Callable[[], bool]) -> list[float]:
    """How much of the lamp is in view in each frame, from where it is until then."""
    seen = []
    for _ in range(300):
        game.run(FRAME)
        seen += [lamp.fade for lamp in guest.world[Lamp]]
        if until():
            return seen
    raise AssertionError("it did not come to that")


def lamp_of(guest: SteppedGuest) -> float:
    return max((lamp.fade for lamp in guest.world[Lamp]), default=0.0)


def largest_step(values: list[float]) -> float:
    return max(abs(b - a) for a, b in itertools.pairwise(values))


def test_it_comes_and_goes_evenly(game: Stepper) -> None:
    ada = enter(game)
    lamp = game.host.world.spawn(Lamp)
    coming = fades(game, ada, lambda: lamp_of(ada) == 1.0)
    assert coming == sorted(coming)
    assert largest_step(coming) < 0.04
    game.host.world.despawn(lamp)
    game.run_until(lambda: lamp_of(ada) < 1.0, within=1)
    going = fades(game, ada, lambda: not len(ada.world[Lamp]))
    assert going == sorted(going, reverse=True)
    assert len(going) == pytest.approx(LASTS / FRAME, abs=6)


def test_one_that_leaves_while_it_still_comes_goes_from_there(game: Stepper) -> None:
    ada = enter(game)
    lamp = game.host.world.spawn(Lamp)
    seen = fades(game, ada, lambda: lamp_of(ada) > 0.3)
    game.host.world.despawn(lamp)
    seen += fades(game, ada, lambda: not len(ada.world[Lamp]))
    assert max(seen) < 0.6
    assert largest_step(seen) < 0.04


def test_one_that_comes_back_while_it_still_goes_comes_from_there(game: Stepper) -> None:
    ada = enter(game)
    game.host.world.spawn(Lamp)
    fades(game, ada, lambda: lamp_of(ada) == 1.0)
    game.player_of(ada).viewpoint = (900.0, 0.0)
    seen = fades(game, ada, lambda: lamp_of(ada) < 0.7)
    game.player_of(ada).viewpoint = (0.0, 0.0)
    seen += fades(game, ada, lambda: lamp_of(ada) == 1.0)
    assert min(seen) > 0.2
    assert largest_step(seen) < 0.04
