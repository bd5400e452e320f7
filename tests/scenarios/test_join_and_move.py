"""A player joins and moves, and the other one sees it."""

import pytest

from netcode.testing import SteppedClient
from tests.scenarios.small_game import Ship, Steer, begin, enter, own_ship, seen, ship_of

WEATHER = pytest.mark.parametrize("weather", ["clean", "loss5"])


@WEATHER
def test_two_players_see_each_other_move(weather: str) -> None:
    game = begin(seed=3)
    ada, bob = enter(game, "Ada", weather), enter(game, "Bob", weather)

    def steer(guest: SteppedClient) -> list[Steer]:
        return [Steer(thrust=1 if guest is ada else -1)]

    start = ship_of(game, ada).x, ship_of(game, bob).x
    game.run(2.0, steer)
    game.run(2.0)  # hands off: the ships glide on
    assert ship_of(game, ada).x > start[0] + 100
    assert ship_of(game, bob).x < start[1] - 100
    for guest, other in ((ada, bob), (bob, ada)):
        there = seen(guest, other)
        assert there is not None
        assert not there.mine
        assert own_ship(guest).mine
        # The others are shown a little in the past: at 200 a second, less than half a second ago.
        assert there.x == pytest.approx(ship_of(game, other).x, abs=100)


def test_names_are_cleaned_and_given_where_there_are_none() -> None:
    game = begin()
    ada, nobody = enter(game, "  Ada\x00\n\x1b[31m  "), enter(game, "")
    assert ada.name == "Ada[31m"
    game.run(0.5)
    assert game.player_of(nobody).name == nobody.name == f"Player {nobody.player_id}"
    assert {ship.name for ship in ada.world[Ship]} == {ada.name, nobody.name}


def test_joining_takes_a_round_trip_and_a_bit() -> None:
    game = begin()
    guest = game.join("Ada", "loss5")  # 50 ms each way
    assert game.run_until(lambda: guest.joined, within=2.0) < 0.15


def test_a_very_long_name_is_shortened_and_not_refused() -> None:
    game = begin()
    guest = enter(game, "x" * 10_000)
    assert guest.name == "x" * 64
