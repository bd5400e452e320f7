"""The own entity answers in the same frame, and the server agrees."""

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest

import netcode as nc
from netcode.core.player import Player
from netcode.protocol import Protocol
from netcode.testing import SteppedClient, Stepper
from netcode.world.table import Table
from tests.scenarios.small_game import (
    Ship,
    Steer,
    begin,
    enter,
    fly,
    own_ship,
    seen,
    ship_of,
)

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


State = tuple[float, float, float, int]


class Logbook:
    """What each end simulated in each tick, the client's first runs only."""

    def __init__(self, simulate: Callable[[Ship, Steer, nc.Step], None]) -> None:
        self.hosts: dict[tuple[str, int], State] = {}
        self.clients: dict[tuple[str, int], State] = {}
        self._simulate = simulate
        self.protocol = Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: self.fly})

    def fly(self, ship: Ship, steer: Steer, step: nc.Step) -> None:
        self._simulate(ship, steer, step)
        book = self.hosts if isinstance(ship._table, Table) else self.clients
        if not step.replaying:
            book[ship.name, step.tick] = ship.x, ship.vx, ship.heading, ship.shots

    def begin(self, *names: str, weather: str) -> tuple[Stepper, list[SteppedClient]]:
        game = Stepper(self.protocol, seed=4)

        def join(player: Player) -> None:
            player.control(game.host.world.spawn(Ship, name=player.name))

        game.host.on_join.append(join)
        guests = [enter(game, name, weather) for name in names]
        game.run(2.0)
        return game, guests

    def compare(self) -> tuple[int, int]:
        """Ticks that both have simulated, and those in which they differ."""
        common = self.hosts.keys() & self.clients.keys()
        return len(common), sum(self.hosts[key] != self.clients[key] for key in common)


@pytest.mark.parametrize("weather", ["lan", "4g", "loss5"])
def test_the_server_does_exactly_what_was_predicted(weather: str) -> None:
    """To the last bit, but for the few ticks whose inputs were lost over and over."""
    book = Logbook(fly)
    game, [ada] = book.begin("Ada", weather=weather)
    rng = random.Random(1)
    book.clients.clear()

    def steer(guest: SteppedClient) -> list[Steer]:
        # Values between the steps of the fields, as a mouse gives them.
        return [Steer(thrust=rng.randint(-1, 1), aim=rng.uniform(-3, 3), fire=rng.random() < 0.2)]

    game.run(5.0, steer)
    game.run(0.5)
    ticks, wrong = book.compare()
    assert ticks > 300
    assert wrong <= (0 if weather == "lan" else 0.1 * ticks)
    assert (ada.stats.corrections == 0) == (wrong == 0)


def test_chance_in_the_simulation_is_predicted_too() -> None:
    """With others in the game: their draws must not shift one's own."""

    def wander(ship: Ship, steer: Steer, step: nc.Step) -> None:
        ship.x = step.random.uniform(-900, 900)

    book = Logbook(wander)
    game, guests = book.begin("Ada", "Bob", "Cyd", weather="lan")
    game.run(1.5)
    ticks, wrong = book.compare()
    assert ticks > 3 * 150
    assert wrong == 0
    assert len(guests) == 3


def test_a_tick_is_run_once_without_replaying_whatever_the_line_does() -> None:
    """So sounds and sparks of a tick happen once."""
    runs: Counter[int] = Counter()
    again: Counter[int] = Counter()

    def count(ship: Ship, steer: Steer, step: nc.Step) -> None:
        fly(ship, steer, step)
        if not isinstance(ship._table, Table):
            (again if step.replaying else runs)[step.tick] += 1

    book = Logbook(count)
    game, [ada] = book.begin("Ada", weather="terrible")
    first = ada.tick
    for _ in range(20):
        game.run(0.25, lambda guest: [Steer(thrust=1, fire=True)])
        ship_of(game, ada).x = 0.0  # a surprise, so that much is run again
    played = range(first + 1, ada.tick + 1)
    assert {runs[tick] for tick in played} == {1}
    assert sum(again[tick] > 1 for tick in played) > 100


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


@pytest.mark.parametrize("weather", ["clean", "4g"])
def test_a_correction_moves_the_picture_little_by_little(weather: str) -> None:
    game = begin()
    ada = enter(game, "Ada", weather)
    game.run(2.0)
    ship_of(game, ada).x += 20.0
    places = [own_ship(ada).x]
    for _ in range(60):
        game.run(TICK)
        places.append(own_ship(ada).x)
    steps = [after - before for before, after in itertools.pairwise(places)]
    assert sum(steps) == pytest.approx(20.0, abs=0.1)
    assert max(steps) < 6.0
    assert min(steps) > -0.1
    assert ada.stats.corrections == 1


def test_a_teleport_is_no_correction_to_glide_over() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    game.run(2.0)
    ship_of(game, ada).x += 500.0
    places = [own_ship(ada).x]
    for _ in range(30):
        game.run(TICK)
        places.append(own_ship(ada).x)
    assert len({round(place, 3) for place in places}) == 2


def test_between_two_ticks_the_own_ship_moves_on() -> None:
    """At a frame rate that is no multiple of the ticks' it moves evenly all the same."""
    game = begin(resolution=1 / 480)
    ada = enter(game, "Ada", "4g")
    game.run(4.0, lambda guest: [Steer(thrust=1)])
    places = []
    for _ in range(96):
        game.run(1 / 96)
        ada.update()
        places.append((game.clock.now, own_ship(ada).x))
    speeds = [(x1 - x0) / (t1 - t0) for (t0, x0), (t1, x1) in itertools.pairwise(places)]
    assert min(speeds) > 0.93 * max(speeds) > 100


def test_prediction_and_interpolation_can_be_switched_off_to_see_what_they_do() -> None:
    game = begin()
    ada, bob = enter(game, "Ada", "4g"), enter(game, "Bob", "4g")
    game.run(2.0, lambda guest: [Steer(thrust=1)])
    ahead = own_ship(ada).x - ship_of(game, ada).x
    assert ahead > 3.0
    ada.prediction = False
    game.run(1.0)
    assert own_ship(ada).mine
    assert own_ship(ada).x - ship_of(game, ada).x < -3.0
    ada.prediction = True
    game.run(1.0)
    assert own_ship(ada).x - ship_of(game, ada).x > 3.0

    def moves(guest: SteppedClient) -> int:
        shown = []
        for _ in range(30):
            game.run(TICK)
            shown.append(seen(guest, bob).x)  # type: ignore[union-attr]
        return sum(after != before for before, after in itertools.pairwise(shown))

    assert moves(ada) == 29
    ada.interpolation = False
    assert 5 <= moves(ada) <= 11
    ada.interpolation = True
    game.run(0.5)
    assert moves(ada) == 29
