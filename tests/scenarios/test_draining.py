"""Draining: players hear when it ends, the game hears it first, and nobody new comes in."""

import pytest

from netcode.errors import Refused
from tests.scenarios.small_game import begin, enter


@pytest.mark.parametrize("weather", ["clean", "terrible"])
def test_players_hear_when_the_server_goes_away(weather: str) -> None:
    game = begin()
    ada = enter(game, "Ada", weather)
    assert ada.draining is None
    heard: list[float] = []
    game.server.on_drain(heard.append)
    game.host.drain(5.0)
    assert heard == [5.0]
    game.run_until(lambda: ada.draining is not None, within=3.0)
    before = ada.draining
    assert before is not None
    assert 1.0 < before <= 5.0
    game.run(1.0)
    assert ada.draining == pytest.approx(before - 1.0, abs=0.01)
    assert ada.error is None
    game.run(5.0)
    assert ada.draining == 0.0  # it is the server that ends the game, in its own time


def test_nobody_new_comes_in_and_is_told_why() -> None:
    game = begin()
    enter(game, "Ada")
    game.host.drain(30.0)
    bob = game.join("Bob")
    game.run(0.5)
    assert isinstance(bob.error, Refused)
    assert "going away" in str(bob.error)
    assert len(game.host.guests) == 1


def test_a_handler_that_raises_is_counted_and_the_others_are_called() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[float] = []

    def fail(seconds: float) -> None:
        raise RuntimeError("a bug in the game")

    game.server.on_drain(fail)
    game.server.on_drain(heard.append)
    game.host.drain(5.0)
    game.run(0.5)
    assert heard == [5.0]
    assert game.server.stats.handler_errors == 1
    assert ada.draining is not None
