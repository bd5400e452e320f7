"""A game that loads a level for three seconds keeps its place, and is right at once."""

import pytest

from tests.scenarios.small_game import Rock, Steer, begin, contents, enter, own_ship, seen, ship_of


@pytest.mark.parametrize("weather", ["terrible"])
def test_three_seconds_without_an_update(weather: str) -> None:
    game = begin(seed=5)
    ada, bob = enter(game, "Ada", weather), enter(game, "Bob")
    game.run(1.0)
    ada.stalled = True
    rocks = [game.host.world.spawn(Rock, x=n, size=n) for n in range(30)]
    game.run(3.0, lambda guest: [Steer(thrust=1)] if guest is bob else [])
    assert ada.error is None
    for rock in rocks[:10]:
        game.host.world.despawn(rock)
    game.run(0.5)

    ada.stalled = False
    game.run(2 / 60)
    assert len(ada.world[Rock]) == 20
    there = seen(ada, bob)
    assert there is not None
    # Shown a little in the past (delay and jitter), at 200 a second.
    assert there.x == pytest.approx(ship_of(game, bob).x, abs=120)
    game.run(1.0)
    assert contents(ada.authoritative)["Rock"] == contents(game.host.world)["Rock"]


def test_the_ship_answers_at_once_after_the_stall() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(1.0)
    ada.stalled = True
    game.run(3.0)
    ada.stalled = False
    before = own_ship(ada).vx
    game.run(3 / 60, lambda guest: [Steer(thrust=1)])
    assert own_ship(ada).vx > before
    game.run(0.5, lambda guest: [Steer(thrust=1)])
    assert ship_of(game, ada).vx > 20


def test_the_same_over_and_over() -> None:
    game = begin(seed=2)
    ada = enter(game, "Ada", "loss5")
    for _ in range(3):
        ada.stalled = True
        game.run(3.0)
        ada.stalled = False
        game.run(0.5)
    assert ada.error is None
    assert contents(ada.authoritative) == contents(game.host.world)
