"""An own entity that is no more goes once, although the display lies behind its end."""

import pytest

from tests.scenarios.small_game import Ship, begin, enter, own_ship, ship_of


@pytest.mark.parametrize("weather", ["lan", "4g", "terrible"])
def test_an_own_ship_that_is_destroyed_goes_once_and_stays_away(weather: str) -> None:
    game = begin(seed=3)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    happened: list[str] = []
    ada.events.on_enter.setdefault(Ship, []).append(lambda ship: happened.append("came"))
    ada.events.on_leave.setdefault(Ship, []).append(lambda ship: happened.append("went"))
    game.host.world.despawn(ship_of(game, ada))
    frames = []
    for _ in range(120):
        game.run(1 / 60)
        frames.append(len(ada.world[Ship]))
    assert happened == ["went"]
    assert frames == sorted(frames, reverse=True)


def test_the_next_ship_comes_although_the_display_still_lies_before_the_end_of_the_last() -> None:
    game = begin(seed=3)
    ada = enter(game, "Ada", "4g")
    game.run(2.0)
    game.host.world.despawn(ship_of(game, ada))
    game.player_of(ada).control(game.host.world.spawn(Ship, x=77.0, name="Ada"))
    game.run_until(lambda: ada.own(Ship) is not None and own_ship(ada).x > 70, within=1.0)
    game.run(1.0)
    assert [ship.x for ship in ada.world[Ship]] == [pytest.approx(77.0)]
