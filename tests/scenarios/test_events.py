"""on_enter, on_leave, on_change: each once, in order, with values that can be read."""

from functools import partial

import pytest

import netcode as nc
from netcode.errors import StaleEntityError
from netcode.testing import SteppedClient
from tests.scenarios.small_game import Rock, Ship, begin, enter, ship_of


def watch(guest: SteppedClient) -> list[tuple[object, ...]]:
    events: list[tuple[object, ...]] = []
    guest.on_enter(Rock)(lambda rock: events.append(("enter", rock.size)))
    guest.on_leave(Rock)(lambda rock: events.append(("leave", rock.size)))
    guest.on_change(Rock.size)(lambda rock, old, new: events.append(("change", old, new)))
    return events


@pytest.mark.parametrize("weather", ["terrible"])
def test_the_life_of_a_rock_in_order(weather: str) -> None:
    game = begin(seed=4)
    ada = enter(game, "Ada", weather)
    events = watch(ada)
    rock = game.host.world.spawn(Rock, size=3)
    game.run(2.0)
    for size in (4, 6):
        rock.size = size
        game.run(2.0)
    game.host.world.despawn(rock)
    game.run(2.0)
    assert events == [("enter", 3), ("change", 3, 4), ("change", 4, 6), ("leave", 6)]


def test_entering_is_not_a_change() -> None:
    game = begin()
    ada = enter(game, "Ada")
    events = watch(ada)
    for size in range(5):
        game.host.world.spawn(Rock, size=size)
    game.run(1.0)
    assert sorted(events) == [("enter", size) for size in range(5)]


def test_a_reused_row_is_one_leaving_and_another_entering() -> None:
    game = begin()
    ada = enter(game, "Ada")
    events = watch(ada)
    rock = game.host.world.spawn(Rock, size=1)
    game.run(1.0)
    row = rock._row
    game.host.world.despawn(rock)
    game.host.world.table(Rock).place(row, 9).size = 2
    game.run(1.0)
    assert events == [("enter", 1), ("leave", 1), ("enter", 2)]


def test_one_that_lived_between_two_broadcasts_is_never_told() -> None:
    game = begin()
    ada = enter(game, "Ada")
    events = watch(ada)

    def flash(step: nc.Step) -> None:
        if step.tick % 3 == 1:
            step.spawn(Rock, size=1)
        for rock in list(game.host.world[Rock]) if step.tick % 3 == 2 else []:
            game.host.world.despawn(rock)

    game.host.on_tick.append(flash)
    game.run(1.0)
    assert events == []


def test_an_entity_that_left_can_be_kept_but_not_read() -> None:
    game = begin()
    ada = enter(game, "Ada")
    kept: list[Rock] = []
    ada.on_leave(Rock)(kept.append)
    rock = game.host.world.spawn(Rock, size=1)
    game.run(0.5)
    game.host.world.despawn(rock)
    game.run(0.5)
    [gone] = kept
    assert not gone.alive
    with pytest.raises(StaleEntityError, match="despawned"):
        _ = gone.size


def test_handlers_run_in_the_order_in_which_they_were_added() -> None:
    game = begin()
    ada = enter(game, "Ada")
    order: list[int] = []
    for n in range(3):
        ada.on_enter(Rock)(partial(lambda n, rock: order.append(n), n))
    game.host.world.spawn(Rock)
    game.run(0.5)
    assert order == [0, 1, 2]


def test_the_own_ships_changes_are_told_too() -> None:
    game = begin()
    ada = enter(game, "Ada")
    told: list[tuple[int, int]] = []
    ada.on_change(Ship.ammo)(lambda ship, old, new: told.append((old, new)))
    ship_of(game, ada).ammo = 49
    game.run(0.5)
    ship_of(game, ada).ammo = 40
    game.run(0.5)
    assert told == [(50, 49), (49, 40)]


def test_text_changes_read_as_text() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    told: list[tuple[str, str]] = []
    bob.on_change(Ship.name)(lambda ship, old, new: told.append((old, new)))
    ship_of(game, ada).name = "Ada the Great"
    game.run(0.5)
    assert told == [("Ada", "Ada the Great")]
