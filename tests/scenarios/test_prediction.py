"""The own entity answers in the same frame, and the server agrees."""

import random

import pytest

import netcode as nc
from netcode.protocol import Protocol
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.small_game import Ship, Steer, begin, enter, own_ship, ship_of

TICK = 1 / 60


@pytest.mark.parametrize("weather", ["clean", "loss5", "terrible"])
def test_the_ship_answers_in_the_frame_of_the_key_press(weather: str) -> None:
    game = begin(seed=4)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    ship = own_ship(ada)
    assert ship.vx == 0.0
    game.run(2 * TICK, lambda guest: [Steer(thrust=1, aim=1.0)])
    assert ship.vx > 0.0
    assert ship.heading == pytest.approx(1.0, abs=0.01)
    assert ship_of(game, ada).vx == 0.0 or weather == "clean"


@pytest.mark.parametrize("weather", ["lan", "4g"])
def test_on_a_line_that_loses_nothing_the_server_does_exactly_what_was_predicted(
    weather: str,
) -> None:
    game = begin(seed=4)
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    rng = random.Random(1)
    predicted: dict[int, tuple[float, float, float, int]] = {}
    confirmed: dict[int, tuple[float, float, float, int]] = {}

    def state(ship: Ship) -> tuple[float, float, float, int]:
        return ship.x, ship.vx, ship.heading, ship.shots

    def note_host(step: object) -> None:
        confirmed[game.host.tick] = state(ship_of(game, ada))

    game.host.on_tick.append(note_host)

    def steer(guest: SteppedClient) -> list[Steer]:
        predicted.setdefault(ada.tick, state(own_ship(ada)))
        # Values between the steps of the fields, as a mouse gives them.
        return [Steer(thrust=rng.randint(-1, 1), aim=rng.uniform(-3, 3), fire=rng.random() < 0.2)]

    game.run(3.0, steer)
    game.run(0.5)
    common = [tick for tick in predicted if tick in confirmed]
    assert len(common) > 150
    # Broadcast ticks are rounded after the handlers of the tick have run.
    wrong = [
        tick
        for tick in common
        if tick % 3 and predicted[tick] != pytest.approx(confirmed[tick], abs=1e-9)
    ]
    assert len(wrong) <= (0 if weather != "4g" else 0.1 * len(common))


def test_chance_in_the_simulation_is_predicted_too() -> None:
    """With others in the game: their draws must not shift one's own."""

    def wander(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.x = step.random.uniform(-900, 900)

    game = Stepper(Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: wander}), seed=1)
    game.host.on_join.append(lambda player: player.control(game.host.world.spawn(Ship)))
    guests = [enter(game, name) for name in ("Ada", "Bob", "Cyd")]
    game.run(1.0)
    at_tick: dict[tuple[int, int], float] = {}

    def note(step: nc.Step) -> None:
        for player in game.host.guests:
            at_tick[player.id, step.tick] = ship_of(game, guests[player.id - 1]).x

    game.host.on_tick.append(note)
    seen: dict[tuple[int, int], float] = {}
    for _ in range(60):
        game.run(TICK)
        for guest in guests:
            seen[guest.player_id, guest.tick] = own_ship(guest).x
    game.run(0.5)
    matching = [key for key in seen if key in at_tick]
    assert len(matching) > 100
    for key in matching:
        assert seen[key] == pytest.approx(at_tick[key], abs=0.03)


def test_a_bump_that_only_the_server_knows_of_is_taken_over() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(1.0)
    ship_of(game, ada).x += 200.0
    game.run(0.5)
    assert own_ship(ada).x == pytest.approx(ship_of(game, ada).x, abs=0.5)


def test_after_a_hitch_the_prediction_is_where_the_server_will_be() -> None:
    """The ship coasts; after a frame of 0.6 s it must not hang back for a round trip."""
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(1.0, lambda guest: [Steer(thrust=1)])
    game.run(1.0)
    gap = own_ship(ada).x - ship_of(game, ada).x
    assert gap > 3.0  # it is a round trip ahead
    ada.stalled = True
    game.run(0.6)
    ada.stalled = False
    game.run(3 * TICK)
    assert own_ship(ada).x - ship_of(game, ada).x == pytest.approx(gap, abs=gap / 2)
