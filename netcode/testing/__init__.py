"""Test a game without a network, a clock or a sleep.

A `Stepper` runs one server and any number of clients in one thread, over lines whose weather is
seeded, by a clock that moves only when it is told to:

    def test_the_ship_moves():
        game = nc.testing.Stepper(GAME)
        set_up(game.server)  # the same rules as in server.py
        ada = game.join("Ada")
        game.run(1.0)
        game.run(1.0, lambda client: [Steer(thrust=True)])
        assert ada.own(Ship).x > 0

`check_determinism` finds what keeps a client's prediction from being what the server will say.
What goes wrong raises `AssertionError` with the seed in its text. docs/testing-your-game.md has
it all.
"""

from netcode.testing.determinism import check_determinism
from netcode.testing.lines import LossPattern, Weather, WeatherScript
from netcode.testing.manual_clock import ManualClock
from netcode.testing.stepped_client import SteppedClient
from netcode.testing.stepper import FRAME, RESOLUTION, Stepper

__all__ = [
    "FRAME",
    "RESOLUTION",
    "LossPattern",
    "ManualClock",
    "SteppedClient",
    "Stepper",
    "Weather",
    "WeatherScript",
    "check_determinism",
]
