"""The stepper: time, inputs, and what must hold."""

import pytest

import netcode as nc
from netcode.testing import FRAME, ManualClock, Stepper
from tests.scenarios.small_game import (
    GAME,
    Chat,
    Rock,
    Steer,
    begin,
    enter,
    own_ship,
    ship_of,
)


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


def story(seed: int) -> list[object]:
    game = begin(seed=seed)
    guests = [enter(game, name, "terrible") for name in ("Ada", "Bob")]
    told: list[object] = []
    for _ in range(30):
        game.run(FRAME, lambda guest: [Steer(thrust=1)])
        told += [(guest.tick, own_ship(guest).x, guest.stats) for guest in guests]
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
    with pytest.raises(AssertionError, match=r"within 0\.2 s \(seed 1\): .*game\.host\.tick < 0"):
        game.run_until(lambda: game.host.tick < 0, within=0.2)


def never_ready() -> bool:
    return False


def test_run_until_names_a_function_too() -> None:
    with pytest.raises(AssertionError, match=r"seed 7\): def never_ready"):
        Stepper(GAME, seed=7).run_until(never_ready, within=0.1)
    with pytest.raises(AssertionError, match="isdigit"):
        Stepper(GAME).run_until("x".isdigit, within=0.1)


def test_a_stepper_says_its_seed() -> None:
    game = begin(seed=12)
    enter(game, "Ada")
    assert "1 clients" in repr(game)
    assert "seed 12" in repr(game)


def test_a_guest_whose_game_is_over_has_seen_everything_before_its_end() -> None:
    game = begin()
    ada = enter(game, "Ada")
    heard: list[str] = []
    ada.on(Chat)(lambda said: heard.append(said.text))
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
    assert ada.error is None


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


def test_find_gives_what_a_client_shows_for_the_servers() -> None:
    game = begin()
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    game.run(0.5)
    own, seen = ada.find(ship_of(game, ada)), bob.find(ship_of(game, ada))
    assert own is own_ship(ada)
    assert seen is not None
    assert (seen.name, seen.mine) == ("Ada", False)
    rock = game.server.world.spawn(Rock)
    assert ada.find(rock) is None
    game.server.world.despawn(rock)
    assert ada.find(rock) is None


def test_the_same_seed_gives_the_game_the_same_chance() -> None:
    drawn: dict[int, list[float]] = {}
    for seed in (1, 2):
        game = begin(seed=seed)
        numbers: list[float] = []

        @game.server.on_tick
        def draw(step: nc.Step, numbers: list[float] = numbers) -> None:
            numbers.append(step.random.random())

        game.run(0.1)
        drawn[seed] = numbers
    assert len(drawn[1]) >= 5
    assert drawn[1] != drawn[2]
