"""Values out of their declared range are clamped, counted, and warned about once."""

import logging

import pytest

from netcode.testing import SteppedClient
from tests.scenarios.small_game import Rock, Steer, begin, enter, ship_of


def test_clamped_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    game = begin()
    ada = enter(game, "Ada")
    rock = game.host.world.spawn(Rock, x=5000.0, size=2000)
    game.run(2.0)
    [seen] = ada.world[Rock]
    assert (seen.x, seen.size) == (1000.0, 1000)
    assert rock.x == 5000.0  # the truth stays the server's
    table = game.host.world.table(Rock)
    assert table.clamped["x"] >= 38  # twenty broadcasts a second
    assert table.clamped["size"] >= 38
    warned = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert sorted(text.split(" is ")[0] for text in warned) == ["Rock.size", "Rock.x"]


def test_inputs_out_of_range_are_clamped_the_same_way_on_both_ends() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)

    def cheat(guest: SteppedClient) -> list[Steer]:
        return [Steer(thrust=1000, aim=900.0)]

    game.run(1.0, cheat)
    assert ship_of(game, ada).vx == pytest.approx(95, abs=10)
    own = next(ship for ship in ada.world.tables[0] if ship.mine)
    assert own.vx <= 105
    assert own.heading == pytest.approx(3.2, abs=0.02)


def test_what_is_no_number_does_not_spread() -> None:
    game = begin()
    ada = enter(game, "Ada")
    rock = game.host.world.spawn(Rock, x=1.0)
    game.run(0.5)
    rock.x = float("nan")
    game.run(0.5)
    [seen] = ada.world[Rock]
    assert -1000.0 <= seen.x <= 1000.0
