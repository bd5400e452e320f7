"""Test vectors for clients in any language: ``python -m tests.vectors.make`` writes them anew.

One JSON file for each scenario:

    wire, broadcast_every   the version of the format; ticks from one broadcast to the next
    classes                 the entity classes in their order, with what WIRE_FORMAT.md asks of
                            their fields; defaults as lanes, of a Text as text
    events                  what happens at the client, in this order:
      {"sent": bytes}       it sends this input packet, which acknowledges what has arrived
      {"received": bytes,   this state packet arrives
       "dropped": true,     only if it is too old or has been taken in before
       "held": {…},         for each class the rows that have changed by it: null for one that has
                            left, else generation, controlled and the lanes (texts) of all fields
       "known": {…}}        for a packet of the newest broadcast: for each class the rows in view
                            that are known at that broadcast

Bytes are hexadecimal.
"""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netcode as nc
from netcode.declarations import Entity
from netcode.protocol import WIRE_VERSION
from netcode.world.history import ABSENT
from tests.vectors.line import EVERY, PLAYER, Held, Line, schema_of

FOLDER = Path(__file__).parent


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    y = nc.Float(-2000, 2000, step=0.05)
    heading = nc.Angle(bits=10)
    hull = nc.Int(0, 100, default=100)
    name = nc.Text(max_bytes=24)


class Rock(nc.Entity):
    position = nc.Vec2(-2000, 2000, step=1)


class Dial(nc.Entity):
    coarse = nc.Angle(bits=2)
    fine = nc.Angle(bits=24)


class Drone(nc.Entity):
    turn = nc.Quat(bits=9)
    height = nc.Float(0, 100, step=0.1)


class Card(nc.Entity):
    title = nc.Text(max_bytes=40)
    rank = nc.Int(0, 12)
    open = nc.Bool()
    note = nc.Text(max_bytes=8, default="none")


class Kart(nc.Entity):
    x = nc.Float(-500, 500, step=0.1)
    chases = nc.Ref("Kart")
    fuel = nc.Float(0, 100, step=0.5, default=50, only_owner=True)
    plan = nc.Text(max_bytes=12, default="wait", only_owner=True)
    target = nc.Ref("Rock", only_owner=True)


class Counter(nc.Entity):
    count = nc.Int(0, (1 << 31) - 1)
    ready = nc.Bool()


class Record:
    """A line whose events at the client are written down."""

    def __init__(self, *kinds: type[Entity], **line: Any) -> None:
        self.line = Line(kinds, **line)
        self.line.on_sent = self._sent
        self.line.on_received = self._received
        self.events: list[dict[str, Any]] = []
        self._held: Held = [{} for _ in kinds]

    def _sent(self, number: int, data: bytes) -> None:
        self.events.append({"sent": data.hex()})

    def _received(self, data: bytes) -> None:
        end = self.line.end
        event: dict[str, Any] = {"received": data.hex()}
        stats = end.receiver.stats
        dropped = stats.doubled + stats.too_late
        if dropped > sum("dropped" in before for before in self.events):
            event["dropped"] = True
        held = end.held()
        event["held"] = {
            kind.__name__: {
                row: now.get(row)
                for row in sorted({*before, *now})
                if before.get(row) != now.get(row)
            }
            for kind, before, now in zip(self.line.kinds, self._held, held, strict=True)
            if before != now
        }
        self._held = held
        newest = end.history.newest
        if newest is not None and newest.tick == int.from_bytes(data[3:7], "little"):
            event["known"] = {
                kind.__name__: [
                    row
                    for row, (known, life) in enumerate(
                        zip(kept.known.tolist(), kept.life.tolist(), strict=True)
                    )
                    if known and life != ABSENT
                ]
                for kind, kept in zip(self.line.kinds, newest.tables, strict=True)
            }
        self.events.append(event)

    def text(self) -> str:
        """The file: one event a line."""
        head = {
            "wire": WIRE_VERSION,
            "broadcast_every": EVERY,
            "classes": schema_of(self.line.kinds),
        }
        lines = [f"{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
        events = ",\n".join(json.dumps(event, ensure_ascii=False) for event in self.events)
        return "{\n" + "\n".join(lines) + f'\n"events": [\n{events}\n]\n}}\n'


# -- scenarios -------------------------------------------------------------------------------


def joining() -> Record:
    """The first packets are lost; what is entered is repeated until it is acknowledged."""
    record = Record(Ship, Rock)
    line, world = record.line, record.line.world
    line.peer.rtt = 2
    for index in range(4):
        world.spawn(Ship, x=100.0 * index, y=-50.0, heading=index, name=f"ship {index}")
        world.spawn(Rock, position=(7.0 * index, 3.0))
    line.step(lost=True)
    line.step(lost=True)
    line.steps(2)
    world.spawn(Ship, x=-2000.0, y=2000.0, name="neu: é")
    line.steps(4)
    return record


def movement() -> Record:
    """Thirty broadcasts of turning, stopping and bouncing, with losses in both directions."""
    record = Record(Ship, loss=0.25, seed=5)
    line, world = record.line, record.line.world
    for index in range(5):
        world.spawn(Ship, x=50.0 * index, y=0.0, heading=index)
    for number in range(30):
        for index, ship in enumerate(world[Ship]):
            if index == 3 and number > 8:
                continue  # has stopped
            at = number * 0.1 * (index + 1)
            ship.x += 12 * math.cos(at)
            ship.y += 12 * math.sin(at) if index else 20 * (-1) ** (number // 10)
            ship.heading = at
        line.step()
    return record


def angles() -> Record:
    """Angles that pass the end of their range, both ways, slowly and by nearly half a turn."""
    record = Record(Dial)
    line, world = record.line, record.line.world
    dials = [world.spawn(Dial) for _ in range(4)]
    for number in range(20):
        for dial, speed in zip(dials, (0.04, -0.05, 3.0, -3.1), strict=True):
            dial.fine = speed * (number - 9) - 0.01
            dial.coarse = speed * number
        line.step()
    return record


def rotations() -> Record:
    """Quaternions whose largest component, which is left out, changes now and then."""
    record = Record(Drone, loss=0.15, seed=3)
    line, world = record.line, record.line.world
    drones = [world.spawn(Drone, height=10.0 * index) for index in range(3)]
    for number in range(30):
        for index, drone in enumerate(drones):
            half = number * (0.06 + 0.05 * index)
            drone.turn = (math.sin(half) * 0.6, math.sin(half) * 0.8, 0.02, math.cos(half))
            drone.height += 0.3
        line.step()
    return record


def texts() -> Record:
    """Few of many change: sparse lists, and texts from none to the longest."""
    record = Record(Card, loss=0.1, seed=2)
    line, world = record.line, record.line.world
    cards = [world.spawn(Card, title=f"card {index}", rank=index % 13) for index in range(24)]
    rng = random.Random(4)
    for number in range(12):
        card = cards[int(rng.random() * 24)]
        card.rank = int(rng.random() * 13)
        if number % 3 == 0:
            cards[5].title = ["", "é" * 20, "x" * 40, "ace"][number // 3]
        if number % 4 == 1:
            for other in cards[10:14]:
                other.open = not other.open
            cards[number].note = "" if number == 5 else "turned"
        line.step()
    line.steps(3)
    return record


def leaving() -> Record:
    """Leaving, a new tenant in the same row, and coming back, over a line that reorders."""
    record = Record(Ship, interest=nc.Radius(100), loss=0.1, twice=0.2, most_delay=3, seed=7)
    line, world = record.line, record.line.world
    line.peer.viewpoint = (0.0, 0.0)
    for index in range(4):
        world.spawn(Ship, x=20.0 * index, y=0.0, name=f"s{index}")
    for number in range(36):
        mover = world[Ship].at(0)
        assert mover is not None
        mover.x = 160 * math.sin(number / 4)
        if number == 12:
            gone = world[Ship].at(2)
            assert gone is not None
            world.despawn(gone)
        if number == 14:
            world.spawn(Ship, x=1.0, y=1.0, name="tenant")
        line.peer.viewpoint = (0.0, 0.0 if number < 24 or number > 29 else 500.0)
        line.step()
    line.most_delay = 0
    line.loss = 0.0
    line.steps(5)
    return record


def owners() -> Record:
    """Fields of the owner, and references to what is in view and what is not."""
    record = Record(Kart, Rock, interest=nc.Radius(100), loss=0.1, seed=8)
    line, world = record.line, record.line.world
    line.peer.viewpoint = (0.0, 0.0)
    karts = [world.spawn(Kart, x=10.0 * index) for index in range(3)]
    rocks = [world.spawn(Rock, position=(5.0, 0.0)), world.spawn(Rock, position=(900.0, 0.0))]
    table = world.table(Kart)
    for number in range(28):
        if number == 2:
            table.own(0, PLAYER)
            karts[0].plan, karts[0].target, karts[0].chases = "go", rocks[0], karts[2]
        if number == 8:
            karts[0].target = rocks[1]  # out of view
            karts[1].chases = karts[0]
        if number == 12:
            table.own(1, PLAYER)
            table.own(0, 2)
        if number == 16:
            world.despawn(karts[2])
        if number == 20:
            rocks[1].position = (6.0, 0.0)
            karts[1].target = rocks[1]
            table.own(0, PLAYER)
        if 3 <= number < 24:
            karts[0].fuel -= 1.5
            karts[0].x += 1.0
        line.step()
    return record


def many_packets() -> Record:
    """More than one packet a tick, of which now and then one is lost."""
    record = Record(Card, Ship, loss=0.2, seed=6)
    line, world = record.line, record.line.world
    cards = [world.spawn(Card, title=f"{index:02}".ljust(40, ".")) for index in range(34)]
    ship = world.spawn(Ship, name="last")
    for number in range(6):
        ship.x += 3.0
        if number % 2:
            for index, card in enumerate(cards):
                card.title = f"{index:02} {number}".rjust(36, "-")
        line.step()
    return record


def escapes() -> Record:
    """Residuals so large that they are written in full."""
    record = Record(Counter)
    line, world = record.line, record.line.world
    counters = [world.spawn(Counter, count=1000 * index) for index in range(24)]
    for number in range(8):
        for index, counter in enumerate(counters):
            counter.count = min(counter.count + 1 + (number * index) % 3, (1 << 31) - 1)
        if number in (3, 5):
            counters[number].count += 1_234_567_890
        if number == 6:
            counters[2].count, counters[4].count = (1 << 31) - 1, 0
        line.step()
    return record


def slower() -> Record:
    """What is far away is told every second, fourth or eighth broadcast."""
    record = Record(
        Ship, interest=nc.Radius(1000, slower={200: 2, 400: 4, 600: 8}), loss=0.1, seed=9
    )
    line, world = record.line, record.line.world
    for index in range(4):
        world.spawn(Ship, x=100.0 + 200.0 * index, y=0.0)
    for number in range(30):
        line.peer.viewpoint = (0.0, 0.0) if number < 20 else (450.0, 0.0)
        for ship in world[Ship]:
            ship.y += 2.5
        line.step()
    return record


def tight() -> Record:
    """A budget that does not reach: what is not said is unknown."""
    record = Record(Ship, budget=80, loss=0.1, seed=11)
    line, world = record.line, record.line.world
    for index in range(12):
        world.spawn(Ship, x=10.0 * index, y=0.0)
    for number in range(20):
        for index, ship in enumerate(world[Ship]):
            ship.x += 7 * math.sin(number + index)
            ship.y += 1.0
        line.step()
    return record


def resting() -> Record:
    """What moves again after its last acknowledged value has gone out of reach."""
    record = Record(Ship, loss=0.1, seed=12)
    line, world = record.line, record.line.world
    ships = [world.spawn(Ship, x=10.0 * index, y=0.0, name="ship") for index in range(3)]
    line.steps(22)
    ships[1].x, ships[1].hull = 400.0, 7
    line.steps(3)
    ships[0].heading, ships[1].x = 1.0, 401.0
    line.steps(3)
    return record


SCENARIOS: dict[str, Callable[[], Record]] = {
    scenario.__name__: scenario
    for scenario in (
        joining,
        movement,
        angles,
        rotations,
        texts,
        leaving,
        owners,
        many_packets,
        escapes,
        slower,
        tight,
        resting,
    )
}


def main() -> None:
    for name, scenario in SCENARIOS.items():
        (FOLDER / f"{name}.json").write_text(scenario().text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
