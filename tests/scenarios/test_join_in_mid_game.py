"""Joining in mid-game gets the whole world."""

import pytest

from netcode.testing import Stepper
from tests.scenarios.small_game import Rock, begin, contents, enter


def crowd(game: Stepper, count: int) -> None:
    for number in range(count):
        game.host.world.spawn(Rock, x=number % 1000, y=number / 10, size=number % 1000)


@pytest.mark.parametrize("weather", ["terrible"])
def test_a_late_player_gets_everything_that_is_there(weather: str) -> None:
    game = begin(seed=5)
    crowd(game, 400)
    ada = enter(game, "Ada")
    game.run(2.0)
    bob = enter(game, "Bob", weather)
    game.run(3.0)
    assert contents(bob.authoritative) == contents(ada.authoritative) == contents(game.host.world)


def test_more_than_one_broadcast_can_hold_comes_in_several() -> None:
    game = begin()
    crowd(game, 6000)
    ada = game.join("Ada")
    game.run_until(lambda: len(ada.world[Rock]) > 0, within=1.0)
    assert len(ada.world[Rock]) < 6000
    game.run(1.0)
    assert len(ada.world[Rock]) == 6000


def test_what_is_gone_before_somebody_joins_is_not_shown() -> None:
    game = begin()
    crowd(game, 50)
    enter(game, "Ada")
    for rock in list(game.host.world[Rock])[::2]:
        game.host.world.despawn(rock)
    game.run(1.0)
    bob = enter(game, "Bob")
    game.run(1.0)
    assert len(bob.world[Rock]) == 25


def test_the_world_is_complete_also_while_everything_moves() -> None:
    game = begin()
    crowd(game, 300)

    def shake(step: object) -> None:
        game.host.world.table(Rock).x[:] += 0.1

    game.host.on_tick.append(shake)
    bob = enter(game, "Bob", "loss5")
    game.run(2.0)
    assert len(bob.world[Rock]) == 300
