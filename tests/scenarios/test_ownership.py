"""Who controls what: owner-only fields, and control that moves to another player."""

import pytest

from netcode.errors import UsageError
from tests.scenarios.small_game import Ship, Steer, begin, enter, own_ship, seen, ship_of


@pytest.mark.parametrize("weather", ["terrible"])
def test_owner_only_fields_reach_only_the_owner(weather: str) -> None:
    game = begin()
    ada, bob = enter(game, "Ada", weather), enter(game, "Bob", weather)
    game.run(2.0)
    ship_of(game, ada).ammo = 7
    game.run(2.0)
    assert own_ship(ada).ammo == 7
    there = seen(bob, ada)
    assert there is not None
    assert there.ammo == 0
    assert {ship.ammo for ship in bob.authoritative[Ship] if not ship.mine} == {0}


@pytest.mark.parametrize("weather", ["loss5"])
def test_control_moves_to_another_player(weather: str) -> None:
    game = begin(seed=3)
    ada, bob = enter(game, "Ada", weather), enter(game, "Bob", weather)
    game.run(1.0)
    ship = ship_of(game, ada)
    ship.ammo = 9
    game.player_of(ada).release(ship)
    game.player_of(bob).control(ship)
    game.run(1.5)
    assert ada.own(Ship) is None
    assert sum(mine.mine for mine in bob.world[Ship]) == 2
    before = ship.x
    game.run(1.0, lambda guest: [Steer(thrust=-1)] if guest is bob else [Steer(thrust=1)])
    assert ship.x < before - 20
    there = next(s for s in bob.world[Ship] if s.handle == ship.handle)
    assert there.x < before - 20
    assert there.ammo == 9
    after = next(s for s in ada.authoritative[Ship] if s.handle == ship.handle)
    assert not after.mine


def test_the_new_owner_is_told_what_only_owners_know_also_if_it_never_changed() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    ship = ship_of(game, ada)
    game.run(1.0)
    game.player_of(ada).release(ship)
    game.player_of(bob).control(ship)
    game.run(1.0)
    there = next(s for s in bob.world[Ship] if s.handle == ship.handle)
    assert there.ammo == ship.ammo == 50


def test_nobody_takes_an_entity_from_another_player() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    with pytest.raises(UsageError, match="release"):
        game.player_of(bob).control(ship_of(game, ada))


def test_an_entity_that_is_gone_cannot_be_controlled() -> None:
    game = begin()
    ada = enter(game, "Ada")
    ship = ship_of(game, ada)
    game.host.world.despawn(ship)
    with pytest.raises(UsageError, match="gone"):
        game.player_of(ada).control(ship)
    assert game.player_of(ada).entities == ()


def test_a_player_without_an_entity_plays_on() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.host.world.despawn(ship_of(game, ada))
    game.run(1.0)
    assert ada.own(Ship) is None
    assert ada.error is None
    player = game.player_of(ada)
    player.control(game.host.world.spawn(Ship, x=5.0))
    game.run(1.0)
    assert own_ship(ada).x == pytest.approx(5.0, abs=0.1)
