"""With a radius of interest, entities come into view and leave it, and say so."""

import pytest

import netcode as nc
from netcode.testing import SteppedClient
from tests.scenarios.small_game import Rock, Ship, begin, enter, ship_of


def watch(guest: SteppedClient) -> list[tuple[str, int]]:
    events: list[tuple[str, int]] = []
    guest.on_enter(Rock)(lambda rock: events.append(("enter", rock.size)))
    guest.on_leave(Rock)(lambda rock: events.append(("leave", rock.size)))
    return events


@pytest.mark.parametrize("weather", ["terrible"])
def test_what_comes_near_enters_and_what_goes_far_leaves(weather: str) -> None:
    game = begin(seed=2, interest=nc.Radius(100, 120))
    rocks = [game.host.world.spawn(Rock, x=60.0 * n, size=n) for n in range(10)]
    ada = enter(game, "Ada", weather)
    events = watch(ada)
    ship = ship_of(game, ada)

    def go(x: float) -> set[int]:
        ship.x = x
        game.run(2.0)
        return {rock.size for rock in ada.world[Rock]}

    assert go(0.0) == {0, 1}
    assert go(300.0) == {4, 5, 6}
    assert go(540.0) == {8, 9}
    came = [size for what, size in events if what == "enter"]
    went = [size for what, size in events if what == "leave"]
    assert sorted(set(came) - {0, 1}) == [4, 5, 6, 8, 9]
    assert sorted(went) == [0, 1, 4, 5, 6]
    assert len(came) == len(set(came))
    assert len(rocks) == 10


def test_one_at_the_edge_does_not_flicker() -> None:
    game = begin(interest=nc.Radius(100, 120))
    rock = game.host.world.spawn(Rock, x=90.0, size=1)
    ada = enter(game, "Ada")
    ship_of(game, ada).x = 0.0
    game.run(1.0)
    events = watch(ada)
    for n in range(16):
        rock.x = 95.0 if n % 2 else 115.0
        game.run(0.2)
    assert events == []
    rock.x = 125.0
    game.run(0.5)
    assert events == [("leave", 1)]
    rock.x = 110.0
    game.run(0.5)
    assert events == [("leave", 1)]
    rock.x = 99.0
    game.run(0.5)
    assert events == [("leave", 1), ("enter", 1)]


def test_two_players_far_apart_do_not_see_each_other_until_they_meet() -> None:
    game = begin(interest=nc.Radius(100))
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    ship_of(game, ada).x, ship_of(game, bob).x = -500.0, 500.0
    game.run(1.0)
    assert [ship.name for ship in ada.world[Ship]] == ["Ada"]
    ship_of(game, bob).x = -450.0
    game.run(1.0)
    assert {ship.name for ship in ada.world[Ship]} == {"Ada", "Bob"}
    assert {ship.name for ship in bob.world[Ship]} == {"Ada", "Bob"}


def test_a_viewpoint_looks_from_elsewhere() -> None:
    game = begin(interest=nc.Radius(100))
    game.host.world.spawn(Rock, x=800.0, size=8)
    ada = enter(game, "Ada")
    game.player_of(ada).viewpoint = (800.0, 0.0)
    game.run(1.0)
    assert [rock.size for rock in ada.world[Rock]] == [8]
    assert ada.own(Ship) is not None  # one's own is always told


def test_the_values_of_one_that_comes_back_are_the_present_ones() -> None:
    game = begin(interest=nc.Radius(100))
    rock = game.host.world.spawn(Rock, x=50.0, size=1)
    ada = enter(game, "Ada", "loss5")
    ship = ship_of(game, ada)
    ship.x = 0.0
    game.run(1.0)
    ship.x = 900.0
    game.run(1.0)
    assert len(ada.world[Rock]) == 0
    rock.size, rock.y = 5, 20.0
    ship.x = 0.0
    game.run(1.0)
    [back] = ada.world[Rock]
    assert back.size == 5
    assert back.y == pytest.approx(20.0, abs=0.03)
