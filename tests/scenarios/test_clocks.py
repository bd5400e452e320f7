"""The two clocks: a drift, a sleep, a stall and a longer route, and who is when afterwards."""

import itertools

import pytest

import netcode as nc
from netcode.testing import SteppedClient, Stepper
from netcode.transports.link_model import conditions
from tests.scenarios.small_game import Rock, Ship, Steer, begin, enter, own_ship, ship_of

TICK = 1 / 60


def moving_rock(game: Stepper) -> Rock:
    """A rock whose x is the tick, so that a picture tells of which tick it is."""
    rock = game.server.world.spawn(Rock)

    @game.server.on_tick
    def move(step: nc.Step) -> None:
        rock.x = (step.tick % 900) - 450.0

    return rock


def behind(game: Stepper, client: SteppedClient, rock: Rock) -> float:
    """Seconds by which the picture of others lies behind the server."""
    shown = client.find(rock)
    assert shown is not None
    return ((rock.x - shown.x + 450) % 900 - 450) * TICK


def ahead(game: Stepper, client: SteppedClient) -> float:
    """Seconds by which the client's own tick is ahead of the server's."""
    return (client.tick - game.server.tick) * TICK


def in_time(game: Stepper, seconds: float) -> float:
    """The share of ticks, of so many seconds of flying, for which the input came in time."""
    missing = game.server.stats.missing_inputs
    game.run(seconds, lambda client: [Steer(thrust=1 if int(game.clock.now * 2) % 2 else -1)])
    return 1.0 - (game.server.stats.missing_inputs - missing) / (seconds / TICK)


@pytest.mark.parametrize(("ppm", "weather"), [(200, "wifi"), (-2_000, "loss5")])
def test_a_clock_that_drifts_stays_in_step(ppm: int, weather: str) -> None:
    """200 parts per million is what cheap clocks do, 12 ms in this minute; ten times as much would
    use up what there is to spare."""
    game = begin(seed=2, resolution=1 / 60)
    rock = moving_rock(game)
    ada = enter(game, "Ada", weather)
    ada.drift_ppm = ppm
    game.run(10.0)
    first = behind(game, ada, rock), ahead(game, ada)
    game.run(60.0)
    assert behind(game, ada, rock) == pytest.approx(first[0], abs=0.05)
    assert ahead(game, ada) == pytest.approx(first[1], abs=0.05)
    assert in_time(game, 5.0) > 0.97


def test_a_laptop_that_was_closed_for_two_seconds_is_back_with_the_first_snapshot() -> None:
    """Its clock stood still meanwhile. A longer sleep ends the link."""
    game = begin(seed=3)
    rock = moving_rock(game)
    ada = enter(game, "Ada", "4g")
    game.run(5.0)
    usual = behind(game, ada, rock), ahead(game, ada)

    ada.asleep = True
    game.run(2.0)
    ada.asleep = False

    game.run(0.5)
    assert ada.joined
    assert behind(game, ada, rock) == pytest.approx(usual[0], abs=0.1)
    assert ahead(game, ada) == pytest.approx(usual[1], abs=0.1)
    game.run(3.0)
    assert behind(game, ada, rock) == pytest.approx(usual[0], abs=0.05)
    assert in_time(game, 3.0) > 0.97


@pytest.mark.parametrize("weather", ["lan", "4g", "loss5"])
def test_a_game_that_stood_still_for_ten_seconds_is_right_at_the_first_frame(weather: str) -> None:
    game = begin(seed=4)
    rock = moving_rock(game)
    ada = enter(game, "Ada", weather)
    game.run(5.0)
    usual = behind(game, ada, rock), ahead(game, ada)

    ada.stalled = True
    game.run(10.0)
    ada.stalled = False

    game.run(2 * TICK)
    # What is usual wanders by some snapshots with what is lost; ten seconds would be far off.
    assert behind(game, ada, rock) == pytest.approx(usual[0], abs=0.3)
    assert ahead(game, ada) == pytest.approx(usual[1], abs=0.25)
    own_ship(ada)
    game.run(1.0)
    assert in_time(game, 3.0) > 0.97


def test_a_route_that_gets_longer_is_walked_to_and_nobody_jumps() -> None:
    game = begin(seed=5)
    rock = moving_rock(game)
    ada = enter(game, "Ada", "lan")
    game.run(5.0)
    ada.weather = nc.Conditions(delay=0.06)
    shown: list[float] = []
    for _ in range(300):
        game.run(TICK)
        picture = ada.find(rock)
        assert picture is not None
        shown.append(picture.x)
    steps = [(after - before) % 900 for before, after in itertools.pairwise(shown)]
    # While the hand is on its way, things go on as they went, slower and slower, but never back.
    assert max(steps) < 1.5
    game.run(15.0)
    assert behind(game, ada, rock) == pytest.approx(0.06 + 0.05, abs=0.04)
    assert in_time(game, 3.0) > 0.97


def test_a_route_that_gets_shorter_is_used_after_half_a_minute() -> None:
    game = begin(seed=6)
    rock = moving_rock(game)
    ada = enter(game, "Ada", nc.Conditions(delay=0.08))
    game.run(5.0)
    slow = behind(game, ada, rock), ahead(game, ada)
    ada.weather = "lan"
    game.run(45.0)
    assert behind(game, ada, rock) < slow[0] - 0.05
    assert ahead(game, ada) < slow[1] - 0.05
    assert in_time(game, 3.0) > 0.97


@pytest.mark.parametrize("weather", ["lan", "wifi", "4g", "loss5", "terrible"])
def test_inputs_come_in_time_on_every_line(weather: str) -> None:
    game = begin(seed=7)
    ada = enter(game, "Ada", weather)
    game.run(8.0)
    share = in_time(game, 10.0)
    # A burst of losses in terrible weather is longer than anybody should wait for.
    assert share > (0.9 if weather == "terrible" else 0.985)
    one_way = conditions(weather).delay
    assert ahead(game, ada) > one_way
    assert ada.stats.lead == pytest.approx(ahead(game, ada), abs=0.07 + one_way / 2)


def test_a_server_that_skips_ticks_is_caught_up_with() -> None:
    game = begin(seed=8)
    rock = moving_rock(game)
    ada = enter(game, "Ada", "wifi")
    game.run(5.0)
    usual = behind(game, ada, rock), ahead(game, ada)
    assert game.host._loop is not None
    game.host._loop.next_at += 0.5  # it was busy with something else
    game.run(12.0)
    assert behind(game, ada, rock) == pytest.approx(usual[0], abs=0.05)
    assert ahead(game, ada) == pytest.approx(usual[1], abs=0.06)
    assert isinstance(ship_of(game, ada), Ship)
