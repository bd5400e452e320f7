"""A server that is too slow falls behind, says so, and does not spiral."""

import pytest

import netcode as nc
from netcode.core.player import Player
from tests.scenarios.small_game import Chat, Ship, Steer, begin, enter, own_ship, ship_of


def test_slow_ticks_do_not_spiral_and_are_counted() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(0.5)
    ticks, start = game.host.stats.ticks, game.clock.now
    slow = True

    def think(step: nc.Step) -> None:
        if slow:
            game.clock.advance(1.5 / 60)  # each tick takes half as long again as it may

    game.host.on_tick.append(think)
    game.run(3.0, lambda guest: [Steer(thrust=1)])
    took = game.clock.now - start
    ran = game.host.stats.ticks - ticks
    assert ran == pytest.approx(took * 60 / 1.5, rel=0.1)
    assert game.host.stats.skipped_ticks == pytest.approx(took * 60 - ran, abs=12)
    assert game.host.stats.late_ticks > 0
    assert ada.error is None

    slow = False
    game.run(3.0)
    late, skipped = game.host.stats.late_ticks, game.host.stats.skipped_ticks
    game.run(2.0)
    assert (game.host.stats.late_ticks, game.host.stats.skipped_ticks) == (late, skipped)
    assert own_ship(ada).x == pytest.approx(ship_of(game, ada).x, abs=20)


def test_one_long_tick_is_survived_and_healed() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)
    hiccup = [1.0]

    def once(step: nc.Step) -> None:
        if hiccup:
            game.clock.advance(hiccup.pop())

    game.host.on_tick.append(once)
    game.run(3.0)
    assert ada.error is None
    before = own_ship(ada).vx
    game.run(0.5, lambda guest: [Steer(thrust=1)])
    assert own_ship(ada).vx > before
    assert ship_of(game, ada).vx > before + 30


def test_a_handler_that_raises_does_no_harm_to_others(caplog: pytest.LogCaptureFixture) -> None:
    game = begin()
    heard: list[str] = []

    def fussy(player: Player, said: Chat) -> None:
        if player.name == "Mallory":
            raise RuntimeError("I do not like you")
        heard.append(said.text)

    def clumsy(player: Player) -> None:
        raise KeyError(player.name)

    game.host.handlers.set(Chat, fussy)
    game.host.on_join.insert(0, clumsy)
    game.host.on_leave.insert(0, clumsy)
    ada, mallory = enter(game, "Ada"), enter(game, "Mallory")
    for guest in (mallory, ada, mallory, ada):
        guest.send(Chat(text=guest.name))
    game.run(0.5)
    mallory.close()
    game.run(0.5)
    assert heard == ["Ada", "Ada"]
    assert game.host.stats.handler_errors == 5
    assert len(game.host.world[Ship]) == 1
    assert ada.error is None
    assert sum("raised" in record.message for record in caplog.records) == 5
