"""The kit that users test their games with."""

import pytest

import netcode as nc
from netcode.testing import FRAME, LossPattern, ManualClock, Stepper
from netcode.transports.base import Lane
from tests.scenarios.small_game import GAME, Chat, Ship, Steer, begin, enter, own_ship


def test_a_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(5.0)
    assert clock() == clock() == 5.0
    clock.advance(0.25)
    assert clock() == 5.25
    clock.advance(0)
    assert clock() == 5.25


@pytest.mark.parametrize("seconds", [-0.1, float("nan")])
def test_time_does_not_run_backwards(seconds: float) -> None:
    with pytest.raises(nc.UsageError):
        ManualClock().advance(seconds)


def test_a_loss_pattern_repeats_and_counts_one_lane_only() -> None:
    pattern = LossPattern(".xx")
    got = []
    for _ in range(6):
        got.append(pattern.loses_next(Lane.UNRELIABLE))
        assert not pattern.loses_next(Lane.RELIABLE)
    assert got == [False, True, True] * 2


def test_an_empty_loss_pattern_is_refused() -> None:
    with pytest.raises(nc.UsageError):
        LossPattern("")


def story(seed: int) -> list[object]:
    game = begin(seed=seed)
    guests = [enter(game, name, "terrible") for name in ("Ada", "Bob")]
    told: list[object] = []
    for _ in range(30):
        game.run(FRAME, lambda guest: [Steer(thrust=1)])
        told += [(guest.tick, own_ship(guest).x, guest.stats()) for guest in guests]
    return told


def test_the_seed_decides_everything() -> None:
    assert story(3) == story(3)
    assert story(3) != story(4)


def test_run_lets_exactly_so_much_time_pass() -> None:
    game = Stepper(GAME)
    start = game.clock.now
    for _ in range(7):
        game.run(0.1)
    assert game.clock.now - start == pytest.approx(0.7, abs=1e-9)
    assert game.host.tick == pytest.approx(42, abs=1)


def test_run_until_says_how_long_it_took_and_gives_up() -> None:
    game = Stepper(GAME)
    assert game.run_until(lambda: game.host.tick >= 30, within=1.0) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(AssertionError, match=r"within 0\.2 s"):
        game.run_until(lambda: False, within=0.2)


def test_a_guest_whose_game_is_over_has_seen_everything_before_its_end() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[str] = []
    ada.handlers.set(Chat, lambda said: heard.append(said.text))
    game.player_of(ada).send(Chat(text="last words"))
    game.player_of(ada).kick("enough")
    game.run(0.5)
    assert heard == ["last words"]
    assert ada.over
    game.run(0.5)  # and nobody calls its update any more


def test_a_mistake_of_the_test_is_not_swallowed() -> None:
    class Alien(nc.Input):
        pass

    game = begin()
    enter(game, "Ada")
    with pytest.raises(nc.UsageError, match="Alien"):
        game.run(0.1, lambda guest: [Alien()])


def test_a_stalled_guest_is_not_updated_but_stays() -> None:
    game = begin()
    ada = enter(game, "Ada")
    before = ada.tick
    ada.stalled = True
    game.run(4.0)
    assert ada.tick == before
    assert ada.ended is None


def test_who_is_not_in_the_game_has_no_player() -> None:
    game = begin()
    guest = game.join("Ada")
    with pytest.raises(KeyError):
        game.player_of(guest)
    game.run(0.5)
    assert game.player_of(guest).name == "Ada"


def test_a_wrong_name_for_the_weather_is_told_at_once() -> None:
    with pytest.raises(nc.UsageError, match="nice"):
        begin().join("Ada", "nice")


def test_losing_ends_when_told() -> None:
    game = begin()
    ada = enter(game, "Ada")
    ada.lose(LossPattern("x"))
    game.host.world.spawn(Ship, name="late")
    game.run(0.5)
    assert len(ada.world[Ship]) == 1
    ada.lose(None)
    game.run(0.5)
    assert len(ada.world[Ship]) == 2
