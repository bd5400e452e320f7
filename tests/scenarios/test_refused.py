"""At the door: another protocol, a full game."""

import pytest

import netcode as nc
from netcode.errors import ProtocolMismatch, Refused
from netcode.protocol import Protocol
from netcode.testing import Stepper
from tests.scenarios.small_game import GAME, Ship, begin, enter


class Wide(nc.Entity):
    x = nc.Float(0, 10, step=0.5)
    hull = nc.Int(0, 100)


def variant() -> Protocol:
    class Wide(nc.Entity):
        x = nc.Float(0, 10, step=0.5)
        hull = nc.Int(0, 200)

    return nc.Protocol(entities=[Wide])


def without_hull() -> Protocol:
    class Wide(nc.Entity):
        x = nc.Float(0, 10, step=0.5)

    return nc.Protocol(entities=[Wide])


@pytest.mark.parametrize("make", [variant, without_hull])
@pytest.mark.parametrize("weather", ["clean", "terrible"])
def test_a_mismatch_names_class_and_field(make: type, weather: str) -> None:
    game = Stepper(nc.Protocol(entities=[Wide]), seed=2)
    guest = game.join("Ada", weather, protocol=make())
    game.run(5.0)
    assert isinstance(guest.error, ProtocolMismatch)
    assert "Wide.hull" in str(guest.error)
    assert len(game.host.guests) == 0
    assert game.host.waiting == 0


def large(step: float) -> Protocol:
    """A game so large that its description does not fit into what is handed over at once."""
    kinds = [
        type(
            f"Kind{n}",
            (nc.Entity,),
            {f"field_{i}": nc.Float(0, 1, step=step if n == 11 else 0.5) for i in range(20)},
        )
        for n in range(12)
    ]
    return nc.Protocol(entities=kinds)


def test_a_mismatch_is_named_also_in_a_large_game() -> None:
    game = Stepper(large(0.5))
    guest = game.join("Ada", "4g", protocol=large(0.25))
    game.run(3.0)
    assert isinstance(guest.error, ProtocolMismatch)
    assert "Kind11.field_0" in str(guest.error)


@pytest.mark.parametrize("weather", ["clean", "terrible"])
def test_a_full_game_refuses_and_says_so(weather: str) -> None:
    game = begin(max_players=2)
    ada, _ = enter(game, "Ada"), enter(game, "Bob")
    cyd = game.join("Cyd", weather)
    game.run(3.0)
    assert isinstance(cyd.error, Refused)
    assert "full (2 players)" in str(cyd.error)
    assert len(ada.world[Ship]) == 2

    ada.close()
    game.run(0.5)
    assert enter(game, "Dan").joined


def test_the_same_declarations_made_twice_match() -> None:
    assert variant().hash == variant().hash != nc.Protocol(entities=[Wide]).hash
    assert GAME.hash != variant().hash
