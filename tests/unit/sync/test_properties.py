"""Whatever is declared, whatever happens and whatever the network does: a client never holds what
was not so, and ends with what the server has.

Hypothesis draws the game (classes, fields, interest, budgets, weather) and a plan of phases; what
happens within a phase is drawn from a seed. ``NETCODE_SYNC_GAMES`` sets how many games are played.
"""

import enum
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, note, settings

import netcode as nc
from netcode.declarations import Entity
from netcode.sync.baselines import PREDICTORS, REACH
from netcode.sync.interest import Interest
from netcode.world.history import LENGTH
from tests.unit.sync.happenings import Curves, scramble, stir
from tests.unit.sync.lab import CLEAR, DARK, IDLE_PACKET, Lab, Ship, Weather

GAMES = int(os.environ.get("NETCODE_SYNC_GAMES", "12"))

MOST_ROWS = 12
"""Of each class, so that a game takes tenths of a second; `grow` goes beyond."""


class Few(enum.Enum):
    ONE = 1


class Some(enum.Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


# -- any schema ------------------------------------------------------------------------------

Spec = tuple[str, bool, int]
"""A kind of field, whether it is only the owner's, and a number that chooses its range."""


def field_of(spec: Spec, classes: int) -> Any:
    kind, only_owner, size = spec
    low, high, step = [(-1, 1, 0.5), (-200, 200, 0.25), (0, 1e6, 1e-3), (5, 8, 0.01)][size % 4]
    match kind:
        case "float":
            return nc.Float(low, high, step=step, only_owner=only_owner)
        case "int":
            low, high = [(0, 1), (-3, 3), (0, 1000), (-(1 << 20), 1 << 29)][size % 4]
            return nc.Int(low, high, default=high, only_owner=only_owner)
        case "bool":
            return nc.Bool(default=size % 2 == 0, only_owner=only_owner)
        case "angle":
            return nc.Angle(bits=[2, 4, 9, 24][size % 4], only_owner=only_owner)
        case "enum":
            return nc.Enum([Few, Some][size % 2], only_owner=only_owner)
        case "text":
            default = ["", "none"][size // 2 % 2]
            most = [4, 60][size % 2]
            return nc.Text(max_bytes=most, default=default, only_owner=only_owner)
        case "vec2":
            return nc.Vec2(low, high, step=step, only_owner=only_owner)
        case "vec3":
            return nc.Vec3(low, high, step=step, only_owner=only_owner)
        case "quat":
            return nc.Quat(bits=[4, 7, 12, 20][size % 4], only_owner=only_owner)
        case "ref":
            return nc.Ref(f"Kind{size % classes}", only_owner=only_owner)
    raise AssertionError(kind)


FIELDS = st.tuples(
    st.sampled_from(
        ["float", "int", "bool", "angle", "enum", "text", "vec2", "vec3", "quat", "ref"]
    ),
    st.booleans(),
    st.integers(0, 7),
)
CLASSES = st.lists(
    st.tuples(st.sampled_from(["nowhere", "xy", "position"]), st.lists(FIELDS, max_size=6)),
    min_size=1,
    max_size=3,
)


def declare(classes: list[tuple[str, list[Spec]]]) -> tuple[type[Entity], ...]:
    kinds = []
    for number, (place, specs) in enumerate(classes):
        body: dict[str, Any] = {"__module__": __name__}
        if place == "xy":
            body["x"] = nc.Float(-100, 100, step=0.1)
            body["y"] = nc.Int(-100, 100)
            body["group"] = nc.Int(0, 3)
        elif place == "position":
            body["position"] = nc.Vec2(-100, 100, step=0.5)
            body["group"] = nc.Enum(Some)
        for place_of_field, spec in enumerate(specs):
            body[f"f{place_of_field}"] = field_of(spec, len(classes))
        kinds.append(type(f"Kind{number}", (nc.Entity,), body))
    return tuple(kinds)


# -- any interest ----------------------------------------------------------------------------

SIMPLE = st.sampled_from(
    [
        lambda: nc.Everything(),
        lambda: nc.Radius(60),
        lambda: nc.Radius(150, slower={30: 2, 60: 4, 90: 8}),
        lambda: nc.Radius(40, 90, slower={20: 8}),
        lambda: nc.Groups("group"),
        lambda: nc.OnlyOwner(),
    ]
)
INTERESTS: st.SearchStrategy[Callable[[], Interest]] = st.one_of(
    SIMPLE,
    st.builds(lambda a, b: lambda: a() | b(), SIMPLE, SIMPLE),
    st.builds(lambda a, b: lambda: a() & b(), SIMPLE, SIMPLE),
)

WEATHERS = st.sampled_from(
    [
        Weather(),
        Weather(loss=0.1),
        Weather(loss=0.4, twice=0.2),
        Weather(most_delay=2, twice=0.1),
        Weather(loss=0.2, twice=0.3, most_delay=5),
        Weather(loss=0.1, most_delay=20),
        Weather(loss=0.7, most_delay=8),
    ]
)


# -- a plan ----------------------------------------------------------------------------------


@dataclass
class Phase:
    """Some broadcasts in which the same thing goes on."""

    what: str
    broadcasts: int
    down: Weather
    up: Weather


PHASES = st.lists(
    st.builds(
        Phase,
        what=st.sampled_from(
            ["stir", "stir", "curves", "curves", "both", "rest", "grow", "join", "part", "budget"]
        ),
        broadcasts=st.integers(1, 12),
        down=WEATHERS,
        up=WEATHERS,
    )
    | st.builds(
        # Longer than baselines reach, than a round trip is rested, than the ring.
        Phase,
        what=st.sampled_from(["stir", "curves", "rest", "both"]),
        broadcasts=st.sampled_from([REACH, REACH + 1, REACH + 2, LENGTH, LENGTH + 5, 70]),
        down=st.sampled_from([CLEAR, DARK]),
        up=st.sampled_from([CLEAR, DARK]),
    ),
    min_size=1,
    max_size=7,
)


def play(lab: Lab, curves: Curves, phase: Phase) -> None:
    rng = lab.random
    match phase.what:
        case "join" if len(lab.clients) < 4:
            settle_in(lab, lab.join(max(lab.players, default=0) + 1).peer)
        case "part" if lab.clients:
            lab.part(rng.choice(lab.players))
        case "budget":
            for client in lab.clients:
                client.peer.budget = rng.choice([None, 40, 100, 400, 2_000])
        case "grow":
            table = rng.choice(lab.world.tables)
            for _ in range(rng.choice([5, 20])):
                if len(table) < 40:
                    scramble(table.spawn(), lab, 0.5)
    for _ in range(phase.broadcasts):
        if phase.what in ("stir", "both"):
            stir(lab, rows=MOST_ROWS)
        if phase.what in ("curves", "both"):
            curves.move(lab, lab.number)
        for client in lab.clients:
            client.peer.rtt = rng.choice([0, 1, 3.5, 10])
            if rng.random() < 0.1:
                settle_in(lab, client.peer)
        lab.step(phase.down, up=phase.up)


def settle_in(lab: Lab, peer: Any) -> None:
    """Look from somewhere, and belong to some groups."""
    rng = lab.random
    here = (rng.uniform(-100, 100), rng.uniform(-100, 100))
    peer.viewpoint = rng.choice([None, here, here])
    peer.groups = frozenset(rng.sample(range(4), k=rng.randint(0, 3)))


def end_well(lab: Lab) -> None:
    """Once nothing happens any more and packets arrive, every end has it all, and falls silent."""
    for client in lab.clients:
        client.peer.budget = None
    lab.calm_down(12 + LENGTH // 2)
    lab.check_equal()
    for packets in lab.sent.values():
        assert [len(data) for data in packets] == [IDLE_PACKET]


@settings(
    max_examples=GAMES,
    deadline=None,
    derandomize=GAMES <= 12,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    classes=CLASSES,
    interest=INTERESTS,
    clients=st.integers(0, 3),
    phases=PHASES,
    seed=st.integers(0, 1 << 32),
)
def test_any_game_in_any_weather(
    classes: list[tuple[str, list[Spec]]],
    interest: Callable[[], Interest],
    clients: int,
    phases: list[Phase],
    seed: int,
) -> None:
    rng = random.Random(seed)
    policy = interest()
    note(f"{policy!r}")
    lab = Lab(declare(classes), rng, interest=policy, clients=clients)
    for client in lab.clients:
        settle_in(lab, client.peer)
    stir(lab, 20)
    curves = Curves(rng)
    for phase in phases:
        play(lab, curves, phase)
    end_well(lab)


# -- chosen games: what the drawn ones meet seldom -------------------------------------------


def fleet(lab: Lab, count: int) -> Curves:
    """Ships that all move, some of them controlled."""
    for number in range(count):
        ship = lab.world.spawn(Ship)
        scramble(ship, lab, 1.0)
        if number % 9 == 0 and lab.clients:
            lab.world.table(Ship).own(ship._row, lab.random.choice(lab.players))
    return Curves(lab.random)


@pytest.mark.parametrize(("loss", "most_delay"), [(0.1, 0), (0.4, 3)])
def test_single_packets_of_a_tick_get_lost(loss: float, most_delay: int) -> None:
    """So many rows that each tick takes several packets, acknowledged one by one."""
    lab = Lab((Ship,), random.Random(f"{loss} {most_delay}"), clients=1)
    curves = fleet(lab, 150)
    several = 0
    for _ in range(20):
        curves.move(lab, lab.number)
        for ship in lab.random.sample(list(lab.world[Ship]), k=60):
            scramble(ship, lab, 0.3)
        lab.step(Weather(loss=loss, most_delay=most_delay, twice=0.1), up=Weather(loss=0.2))
        several += len(lab.sent[1]) > 1
    assert several > 12
    end_well(lab)


@pytest.mark.parametrize("which", ["down", "up", "both"])
@pytest.mark.parametrize("broadcasts", [REACH, REACH + 1, LENGTH + 1, 70])
def test_motion_goes_on_through_an_outage(which: str, broadcasts: int) -> None:
    lab = Lab((Ship,), random.Random(f"{which} {broadcasts}"), clients=1)
    curves = fleet(lab, 6)
    resting = lab.world.spawn(Ship, hull=33)
    for _ in range(12):
        curves.move(lab, lab.number)
        lab.step(CLEAR)
    down = CLEAR if which == "up" else DARK
    up = CLEAR if which == "down" else DARK
    for _ in range(broadcasts):
        curves.move(lab, lab.number)
        lab.step(down, up=up)
    if broadcasts % 2:
        resting.hull = 44
    for _ in range(12):
        curves.move(lab, lab.number)
        lab.step(Weather(most_delay=3), up=Weather(most_delay=3))
    end_well(lab)


@pytest.mark.parametrize("delay", [REACH - 2, REACH + 2, LENGTH + 5])
def test_an_acknowledgement_may_be_very_late(delay: int) -> None:
    """A round trip near and beyond what baselines reach: everything is then told in full."""
    lab = Lab((Ship,), random.Random(delay), clients=2)
    curves = fleet(lab, 8)
    for _ in range(40):
        curves.move(lab, lab.number)
        for client in lab.clients:
            client.up = [(max(e[0], lab.number + delay), e[1], e[2], e[3]) for e in client.up]
        lab.step(Weather(loss=0.1))
    end_well(lab)


def test_every_predictor_is_met() -> None:
    """Curves of all kinds, and a way there with gaps: else the tests here would prove little."""
    lab = Lab((Ship,), random.Random(8), clients=1, weather=Weather(loss=0.1))
    curves = fleet(lab, 5)
    for _ in range(60):
        curves.move(lab, lab.number)
        lab.step()
    counts = [0] * len(PREDICTORS)
    for _ in range(24):
        curves.move(lab, lab.number)
        lab.step()
        coding = lab.sender.told.coding
        assert coding is not None
        for number in coding.predictor[coding.active].tolist():
            counts[number] += 1
    assert sum(count > 0 for count in counts) >= 6, counts
    end_well(lab)
