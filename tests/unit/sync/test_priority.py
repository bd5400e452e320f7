"""Priority: weights, the order of what waits, and the bound on how long anything can wait."""

import math
import random
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.errors import UsageError
from netcode.sync.priority import MAX_WEIGHT, Priority
from netcode.world.world import World
from tests.unit.sync.lab import CLEAR, EVERY, Lab, Weather


class Car(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)
    y = nc.Float(-1000, 1000, step=0.01)
    speed = nc.Int(0, 1 << 20)


class Tree(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)
    y = nc.Float(-1000, 1000, step=0.01)
    speed = nc.Int(0, 1 << 20)


class Note(nc.Entity):
    text = nc.Text(max_bytes=20)


NOWHERE = np.full((1, 3), np.nan)
ORIGIN = np.zeros((1, 3))


def weight(
    priority: Priority, x: float = 0.0, kind: type[nc.Entity] = Car, viewpoint: Any = ORIGIN
) -> float:
    world = World([kind])
    entity: Any = world.spawn(kind)
    if kind is not Note:
        entity.x = x
    return float(priority.weights(world.tables[0], np.array([0]), viewpoint)[0])


# -- weights ---------------------------------------------------------------------------------


def test_unless_told_otherwise_all_weigh_alike() -> None:
    assert weight(Priority()) == weight(Priority(), 900.0) == 1.0


def test_a_class_has_its_weight() -> None:
    priority = Priority({Car: 5})
    assert (weight(priority), weight(priority, kind=Tree)) == (5.0, 1.0)


@pytest.mark.parametrize(("x", "expected"), [(0, 4.0), (50, 2.5), (100, 1.0), (900, 1.0)])
def test_what_is_near_weighs_more(x: float, expected: float) -> None:
    assert weight(Priority(near=100), x) == pytest.approx(expected)


def test_without_a_viewpoint_or_a_position_distance_does_not_count() -> None:
    assert weight(Priority(near=100), viewpoint=NOWHERE) == 1.0
    assert weight(Priority(near=100), kind=Note) == 1.0


def test_factors_are_multiplied_and_limited() -> None:
    def speedy(table: Any, rows: Any, viewpoints: Any) -> Any:
        return np.full(len(rows), 2.0)

    assert weight(Priority({Car: 1.5}, near=100, weigh=speedy)) == 12.0
    assert weight(Priority({Car: 10}, near=100, weigh=speedy)) == MAX_WEIGHT


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.0, 1.0), (-5.0, 1.0), (math.nan, 1.0), (math.inf, MAX_WEIGHT), (1e9, MAX_WEIGHT)],
)
def test_whatever_a_game_answers_stays_within_limits(given: float, expected: float) -> None:
    assert weight(Priority(weigh=lambda table, rows, points: np.full(len(rows), given))) == expected


def test_a_game_is_asked_once_a_class_for_the_rows_that_wait_and_from_where() -> None:
    asked: list[tuple[str, list[int], list[list[float]]]] = []

    def weigh(table: Any, rows: Any, viewpoints: Any) -> Any:
        asked.append((table.kind.__name__, rows.tolist(), viewpoints[:, :2].tolist()))
        return np.ones(len(rows))

    lab = Lab((Car, Tree), random.Random(1), priority=Priority(weigh=weigh))
    lab.clients[0].peer.viewpoint = (7.0, 8.0)
    lab.clients[0].peer.budget = 200
    for _ in range(30):
        lab.world.spawn(Car)
        lab.world.spawn(Tree)
    lab.step(CLEAR)
    kinds = {name for name, _, _ in asked}
    assert kinds == {"Car", "Tree"}
    for _, rows, viewpoints in asked:
        assert rows == list(range(30))
        assert viewpoints == [[7.0, 8.0]] * 30


def test_nobody_is_asked_while_the_budget_reaches() -> None:
    def weigh(table: Any, rows: Any, viewpoints: Any) -> Any:
        raise AssertionError("not needed")

    lab = Lab((Car,), random.Random(1), priority=Priority(weigh=weigh))
    for _ in range(30):
        lab.world.spawn(Car)
    lab.step(CLEAR)


@pytest.mark.parametrize("wrong", [{Car: 0.5}, {Car: 17}, {Car: math.nan}])
def test_a_weight_out_of_range_is_refused(wrong: dict[type[nc.Entity], float]) -> None:
    with pytest.raises(UsageError, match="weight of Car"):
        Priority(wrong)


@pytest.mark.parametrize("near", [0, -1, math.nan])
def test_a_distance_that_is_none_is_refused(near: float) -> None:
    with pytest.raises(UsageError, match="near"):
        Priority(near=near)


def test_the_wrong_number_of_weights_is_refused() -> None:
    with pytest.raises(UsageError, match="one weight for each"):
        weight(Priority(weigh=lambda table, rows, points: np.ones(5)))


# -- order -----------------------------------------------------------------------------------


def test_the_heavier_go_first() -> None:
    lab = Lab((Tree, Car), random.Random(1), priority=Priority({Car: 16}))
    lab.clients[0].peer.budget = 200
    for _ in range(20):
        lab.world.spawn(Tree)
        lab.world.spawn(Car)
    lab.step(CLEAR)
    first = {said.part for said in lab.said()}
    assert first == {1}
    assert lab.clients[0].peer.deferred > 20


def test_who_has_waited_longest_goes_first() -> None:
    lab = Lab((Car,), random.Random(1))
    lab.clients[0].peer.budget = 120
    cars = [lab.world.spawn(Car) for _ in range(40)]
    waiting_since = dict.fromkeys(range(40), 1)
    for _ in range(30):
        for car in cars:
            car.speed, car.x = lab.random.randrange(1 << 20), lab.random.uniform(-900, 900)
        lab.step(CLEAR)
        sent = {said.row for said in lab.said()}
        assert 0 < len(sent) < 40
        newest = max(waiting_since[row] for row in sent)
        assert newest <= min(since for row, since in waiting_since.items() if row not in sent)
        waiting_since.update(dict.fromkeys(sent, lab.number))


# -- the bound -------------------------------------------------------------------------------

Kind = type[Car] | type[Tree]


class Watch:
    """How long each pair waits: broadcasts since it was last sent, or first changed after that."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.waits: dict[tuple[int, int], int] = {}
        self.longest: dict[tuple[int, int], int] = {}
        self.fewest = 1 << 30
        """Pairs sent in a broadcast in which not all were."""

    def look(self) -> None:
        said = {(said.part, said.row) for said in self.lab.said()}
        if self.lab.clients[0].peer.deferred:
            self.fewest = min(self.fewest, len(said))
        for part, table in enumerate(self.lab.world.tables):
            for row in table.rows().tolist():
                key = part, row
                self.waits[key] = 0 if key in said else self.waits.get(key, 0) + 1
                self.longest[key] = max(self.longest.get(key, 0), self.waits[key])


@pytest.mark.parametrize(
    ("heaviest", "weather"),
    [(1, CLEAR), (3, CLEAR), (16, Weather(loss=0.3))],
)
def test_with_a_tenth_of_the_budget_nobody_waits_longer_than_the_bound(
    heaviest: int, weather: Weather
) -> None:
    """The bound of the module: N pairs that wait, M of them fit, weights up to r times apart:
    no more than (r + 1) * ceil(N / M) broadcasts. Everything changes all the time."""
    rng = random.Random(heaviest)
    lab = Lab((Tree, Car), rng, priority=Priority({Car: heaviest}), weather=weather)
    things: list[Any] = [lab.world.spawn(kind) for _ in range(60) for kind in (Tree, Car)]

    def move() -> None:
        for thing in things:
            thing.x, thing.y = rng.uniform(-1000, 1000), rng.uniform(-1000, 1000)
            thing.speed = rng.randrange(1 << 20)

    for _ in range(4):
        move()
        lab.step(CLEAR)
    lab.clients[0].peer.budget = sum(map(len, lab.sent[1])) // 10
    watch = Watch(lab)
    for _ in range(70):
        move()
        lab.step()
        watch.look()
    bound = (heaviest + 1) * math.ceil(len(things) / watch.fewest)
    assert 4 <= watch.fewest <= 12
    assert len(watch.longest) == len(things)
    assert max(watch.longest.values()) <= bound
    if heaviest > 1:
        tree, car = (
            max(w for key, w in watch.longest.items() if key[0] == part) for part in (0, 1)
        )
        assert car < tree, "what weighs more waits less"
    lab.clients[0].peer.budget = None
    lab.calm_down()
    lab.check_equal()


class Tome(nc.Entity):
    """More than half a packet: cutting into packets leaves gaps."""

    one = nc.Text(max_bytes=255)
    two = nc.Text(max_bytes=255)
    three = nc.Text(max_bytes=255)


@pytest.mark.parametrize("size", [185, 240])
def test_what_leaves_gaps_in_packets_does_not_starve_either(size: int) -> None:
    """Without a budget there are still no more than sixteen packets."""
    lab = Lab((Tome,), random.Random(1))
    tomes = [lab.world.spawn(Tome) for _ in range(60)]
    watch = Watch(lab)
    for turn in range(12):
        for number, tome in enumerate(tomes):
            text = f"{turn:04}{number:04}"
            tome.one = tome.two = tome.three = text + "x" * (size - len(text))
        lab.step(CLEAR)
        watch.look()
    assert watch.fewest < 60
    assert max(watch.longest.values()) <= 2 * math.ceil(60 / watch.fewest)
    lab.calm_down(20)
    lab.check_equal()


def test_what_waited_while_nothing_else_did_is_as_old_as_its_change() -> None:
    """An entity at rest for long does not jump the queue when it moves at last."""
    lab = Lab((Car,), random.Random(1))
    rested = lab.world.spawn(Car)
    lab.calm_down(50)
    cars = [lab.world.spawn(Car) for _ in range(40)]
    lab.clients[0].peer.budget = 150
    lab.step(CLEAR)
    rested.speed = 1
    lab.step(CLEAR)
    assert rested._row not in [said.row for said in lab.said()]
    assert lab.tick == 52 * EVERY
    assert len(cars) == 40
