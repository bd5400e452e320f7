"""A key pressed for less than a frame is never lost, and never counts twice."""

import pytest

import netcode as nc
from netcode.testing import FRAME, SteppedClient, Stepper
from tests.scenarios.small_game import Steer, begin, enter, own_ship, ship_of


def play(game: Stepper, ada: SteppedClient, rate: float, seconds: float, every: int) -> int:
    """Update ``rate`` times a second, with a press in every ``every``-th frame; the presses."""
    ada.stalled = True  # the stepper's own frames are too regular
    presses = 0
    for frame in range(1, round(seconds * rate) + 1):
        game.run(1 / rate)
        press = frame % every == 0
        presses += press
        ada.update(Steer(fire=press))
    return presses


@pytest.mark.parametrize("rate", [4, 15, 60, 144])
@pytest.mark.parametrize("weather", ["4g"])
def test_every_press_counts_once_at_any_frame_rate(rate: float, weather: str) -> None:
    game = begin(seed=6)
    line = nc.Conditions(delay=0.045, jitter=0.012) if weather == "4g" else weather
    ada = enter(game, "Ada", line)
    game.run(2.0)
    presses = play(game, ada, rate, 3.0, every=max(3, round(rate / 20)))
    play(game, ada, rate, 0.7, every=10**9)
    assert ship_of(game, ada).shots == presses
    assert own_ship(ada).shots == presses


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("weather", ["loss5", "terrible"])
def test_presses_survive_loss(weather: str, seed: int) -> None:
    game = begin(seed=seed)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    presses = play(game, ada, 60, 7.0, every=7)
    play(game, ada, 60, 2.0, every=10**9)
    assert ship_of(game, ada).shots == presses


@pytest.mark.parametrize("stall", [0.1, 0.3, 0.6])
def test_a_hitch_neither_loses_nor_repeats_a_press(stall: float) -> None:
    game = begin()
    ada = enter(game, "Ada", nc.Conditions(delay=0.06))
    game.run(1.0)
    for shots in range(1, 4):
        game.run(FRAME, lambda guest: [Steer(fire=True)])
        ada.stalled = True
        game.run(stall)
        ada.stalled = False
        game.run(1.0)
        assert ship_of(game, ada).shots == shots
    assert own_ship(ada).shots == 3


def test_a_held_key_stays_held_between_updates() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.run(1.0)
    game.run(3 * FRAME, lambda guest: [Steer(thrust=1)])
    ada.stalled = True
    game.run(0.5)
    assert ship_of(game, ada).vx == pytest.approx(50, abs=10)
