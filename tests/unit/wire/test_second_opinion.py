"""The real receiver, and a decoder written from WIRE_FORMAT.md, hold the same after each packet.

And what both hold for certain is what the server had.
"""

import enum
import math
import os
import random
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.fields import Ref, Text
from netcode.sync.interest import Interest
from netcode.world.history import ABSENT
from netcode.world.table import Table
from netcode.world.world import World
from tests.unit.wire.independent_decoder import Client
from tests.vectors.line import EVERY, PLAYER, Line, schema_of


class Gear(enum.Enum):
    LOW = 0
    HIGH = 1
    TOP = 2


class Kart(nc.Entity):
    """Every kind of field; three things are the owner's alone."""

    x = nc.Float(-500, 500, step=0.05)
    y = nc.Float(-500, 500, step=0.05)
    heading = nc.Angle(bits=10)
    turn = nc.Quat(bits=9)
    drift = nc.Vec2(-20, 20, step=0.1)
    place = nc.Vec3(-50, 50, step=0.01)
    laps = nc.Int(0, 1_000_000)
    ready = nc.Bool()
    gear = nc.Enum(Gear)
    name = nc.Text(max_bytes=30)
    chases = nc.Ref("Kart")
    holds = nc.Ref("Box")
    fuel = nc.Float(0, 100, step=0.001, default=50, only_owner=True)
    note = nc.Text(max_bytes=12, default="none", only_owner=True)
    secret = nc.Ref("Box", only_owner=True)


class Mark(nc.Entity):
    """Only its presence is told."""


class Box(nc.Entity):
    position = nc.Vec2(-500, 500, step=1)
    wide = nc.Int(0, (1 << 31) - 1)


KINDS = (Kart, Mark, Box)


def _random_turn(rng: random.Random) -> tuple[float, ...]:
    return tuple(rng.gauss(0, 1) for _ in range(4))


def stir(line: Line, rng: random.Random) -> None:
    """One broadcast's worth of a lively game."""
    world = line.world
    karts, boxes = world.table(Kart), world.table(Box)
    if rng.random() < 0.15 and len(karts) < 25:
        world.spawn(
            Kart,
            x=rng.uniform(-500, 500),
            y=rng.uniform(-500, 500),
            name=rng.choice(["Ada", "é", "", "a much longer name"]),
            turn=_random_turn(rng),
        )
    if rng.random() < 0.1 and len(boxes) < 10:
        world.spawn(Box, position=(rng.uniform(-500, 500), 0.0), wide=rng.randrange(1 << 31))
    if rng.random() < 0.05:
        world.spawn(Mark)
    for table in world.tables:
        if len(table) and rng.random() < 0.04:
            world.despawn(rng.choice(list(table)))
    for kart in karts:
        row = kart._row
        if row % 3 == 0:
            continue  # most of the time at rest
        at = line.number * 0.15 + row
        kart.x += 9 * math.cos(at)
        kart.y += 9 * math.sin(at)
        kart.heading += 0.1 * (row % 5)
        kart.turn = (math.sin(at / 3), math.cos(at / 3), math.sin(at), 0.1)
        kart.place = (row, 10 * math.sin(at), 0.0)
        kart.fuel = max(0.0, kart.fuel - 0.013)
    for kart in karts:
        if rng.random() < 0.05:
            kart.laps += rng.choice([1, 1000, -3])
            kart.ready = rng.random() < 0.5
            kart.gear = rng.choice(list(Gear))
            kart.name = rng.choice(["Bob", "ø", "", f"kart {rng.randrange(99)}"])
            kart.note = rng.choice(["none", "left", "brake!"])
            kart.chases = rng.choice([None, *karts])
            kart.holds = rng.choice([None, *boxes])
            kart.secret = rng.choice([None, *boxes])
            kart.drift = (rng.uniform(-20, 20), 0.0)
        if rng.random() < 0.02:
            karts.own(kart._row, rng.choice([0, 0, PLAYER, 2]))
        if rng.random() < 0.01:
            kart.x, kart.y = rng.uniform(-500, 500), rng.uniform(-500, 500)
    for box in boxes:
        if rng.random() < 0.05:
            box.wide = rng.randrange(1 << 31)


def check_certain(line: Line, client: Client, broadcast: int) -> int:
    """Rows that are certain at a broadcast are the server's; how many there are.

    If it is the newest broadcast, both ends are certain of the same rows and values.
    """
    ours, truth = line.end.history.at(broadcast * EVERY), line.history.at(broadcast * EVERY)
    if ours is None or truth is None:
        return 0
    theirs = client.known(broadcast) if broadcast == client.newest_broadcast else None
    count = 0
    for index, table in enumerate(line.world.tables):
        kept, had = ours.tables[index], truth.tables[index]
        certain = np.flatnonzero(kept.known & (kept.life != ABSENT))
        if theirs is not None:
            assert certain.tolist() == sorted(theirs[index])
        for row in certain.tolist():
            count += 1
            assert kept.life[row] == had.life[row]
            values = public_values(table, kept.lanes[row].tolist(), line.end.world)
            assert values == public_values(table, had.lanes[row].tolist(), line.world)
            assert theirs is None or values == theirs[index][row]
    return count


def public_values(table: Table[Any], lanes: list[int], world: World) -> list[int | str]:
    """The lanes of what everybody may see, a text as text."""
    values: list[int | str] = []
    for described in table.fields:
        if isinstance(described, Text):
            if not described.only_owner:
                values.append(world.text(lanes[table.lanes_of(described).start]))
        elif not isinstance(described, Ref) and not described.only_owner:
            values += lanes[table.lanes_of(described)]
    return values


SEEDS = int(os.environ.get("NETCODE_SYNC_SEEDS", "1"))
"""Games per case. More of them on demand: each takes about half a second."""

LINES: dict[str, dict[str, Any]] = {
    "clear": {},
    "loss": {"loss": 0.2},
    "reordering": {"loss": 0.05, "twice": 0.2, "most_delay": 4},
    "storm": {"loss": 0.4, "twice": 0.2, "most_delay": 9},
    "far": {"loss": 0.1, "most_delay": 22},
    "tight": {"loss": 0.2, "budget": 250, "most_delay": 4},
}
VIEWS: dict[str, Interest] = {
    "everything": nc.Everything(),
    "radius": nc.Radius(250),
    "slower": nc.Radius(300, slower={60: 2, 120: 4, 200: 8}),
}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("weather", LINES)
def test_both_hold_the_same_after_each_packet(weather: str, view: str, seed: int) -> None:
    rng = random.Random(f"{weather} {view} {seed}")
    line = Line(KINDS, interest=VIEWS[view], seed=seed, **LINES[weather])
    client = Client(schema_of(KINDS), EVERY)
    taken = 0
    certain = 0

    def received(data: bytes) -> None:
        nonlocal taken, certain
        if client.receive(data):
            taken += 1
            certain += check_certain(line, client, int.from_bytes(data[3:7], "little") // EVERY)
        assert client.held() == line.end.held()

    line.on_received = received
    line.on_sent = lambda _, data: client.sent(data)
    for _ in range(10):
        stir(line, rng)
    for _ in range(80):
        line.peer.viewpoint = (300 * math.cos(line.number / 9), 0.0)
        line.peer.rtt = rng.randint(0, 8)
        stir(line, rng)
        line.step()
    assert taken > 30
    assert certain > 10
