"""A server, its clients and a bad network in one thread, with a ledger of what was true when."""

import enum
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import netcode as nc
from netcode.declarations import Entity
from netcode.fields import Ref, Text
from netcode.sync.interest import Interest, Viewers
from netcode.sync.receiver import Receiver
from netcode.sync.sender import Peer, Sender
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.bits import unwrap
from netcode.wire.packets import STATE_HEADER_BYTES
from netcode.world.history import ABSENT, Frame, History
from netcode.world.table import NOBODY, Table
from netcode.world.world import World
from tests.unit.wire.independent_decoder import TEXT, Layout

EVERY = 3
"""Ticks from one broadcast to the next."""

IDLE_PACKET = STATE_HEADER_BYTES + 1
"""Bytes of a packet that tells nothing: its header and the closing section."""


class Mood(enum.Enum):
    CALM = 1
    CROSS = 2
    WILD = 3


class Ship(nc.Entity):
    """Every kind of field, and two that only the owner may see."""

    x = nc.Float(-200, 200, step=0.25)
    y = nc.Float(-200, 200, step=0.25)
    hull = nc.Int(0, 100)
    ready = nc.Bool()
    heading = nc.Angle(bits=9)
    mood = nc.Enum(Mood)
    name = nc.Text(max_bytes=12)
    chases = nc.Ref("Ship")
    drift = nc.Vec2(-8, 8, step=0.5)
    spin = nc.Vec3(-1, 1, step=0.125)
    turn = nc.Quat(bits=7)
    ammo = nc.Int(0, 255, default=7, only_owner=True)
    plan = nc.Text(max_bytes=8, default="none", only_owner=True)


class Rock(nc.Entity):
    position = nc.Vec2(-200, 200, step=1)
    grade = nc.Int(-3, 3)


class Mark(nc.Entity):
    """No field at all: only its presence is told."""


class Letter(nc.Entity):
    """So long that few fit into a packet."""

    front = nc.Text(max_bytes=255)
    back = nc.Text(max_bytes=255)
    number = nc.Int(0, 1000)


SCHEMAS: dict[str, tuple[type[Entity], ...]] = {
    "every field": (Ship, Rock),
    "presence only": (Mark, Rock),
    "long": (Rock, Letter, Ship),
}


@dataclass(frozen=True)
class Weather:
    """What the network does to packets, both ways."""

    loss: float = 0.0
    twice: float = 0.0
    most_delay: int = 0
    """Broadcasts by which a packet may be late; each one's delay is drawn anew."""


@dataclass
class Truth:
    """What one player was to be shown at one tick: by table, row to (life, mine, values)."""

    tables: list[dict[int, tuple[int, bool, tuple[Any, ...]]]]


class Recorded:
    """An interest policy that writes down what it has answered."""

    def __init__(self, policy: Interest) -> None:
        self.policy = policy
        self.answers: dict[str, NDArray[np.bool_]] = {}

    def visible(self, table: Table[Any], viewers: Viewers) -> NDArray[np.bool_]:
        answer = self.policy.visible(table, viewers)
        self.answers[table.kind.__name__] = answer.copy()
        return answer


@dataclass
class Client:
    """One player's end, and the packets that are under way to and from it."""

    peer: Peer
    world: World
    history: History
    receiver: Receiver
    truth: dict[int, Truth] = field(default_factory=dict)
    down: list[tuple[int, bytes]] = field(default_factory=list)
    up: list[tuple[int, int, int, int]] = field(default_factory=list)
    inputs: int = 0
    newest_heard: int = 0


class Lab:
    """Steps by whole broadcasts. ``random`` decides everything."""

    def __init__(
        self,
        kinds: tuple[type[Entity], ...],
        rng: random.Random,
        *,
        interest: Interest | None = None,
        clients: int = 1,
        weather: Weather = Weather(),
    ) -> None:
        self.random = rng
        self.weather = weather
        self.world = World(kinds)
        self.history = History(self.world.tables)
        self.interest = Recorded(interest or nc.Everything())
        self.sender = Sender(self.world.tables, self.interest)
        self.tick = 0
        self.broadcasts = 0
        self.sent: dict[int, list[bytes]] = {}
        """The packets of the newest broadcast, by player."""
        self.layout: Layout = [
            [(f.name, TEXT if isinstance(f, Text) else f.lane_bits) for f in kind.fields]
            for kind in kinds
        ]
        self.clients = [self.join(number) for number in range(1, clients + 1)]

    def join(self, player: int) -> Client:
        world = World([table.kind for table in self.world.tables])
        history = History(world.tables)
        receiver = Receiver(world.tables, history, world.texts)
        return Client(self.sender.add(player), world, history, receiver)

    # -- time --------------------------------------------------------------------------------

    def step(self, weather: Weather | None = None) -> None:
        """One broadcast: told, carried, taken in, checked and acknowledged."""
        weather = weather or self.weather
        self.tick += EVERY
        self.broadcasts += 1
        frame = self.history.record(self.tick, self.world.tables)
        self.sent = self.sender.broadcast(frame)
        for client in self.clients:
            self._write_down(client, frame)
            packets = self.sent[client.peer.player]
            assert packets
            for data in packets:
                assert len(data) <= MAX_DATAGRAM
                client.down += [(at, data) for at in self._arrivals(weather)]
            self._deliver(client, weather)

    def calm_down(self, broadcasts: int = 16) -> None:
        """Nothing changes and nothing is lost for a while."""
        for _ in range(broadcasts):
            self.step(Weather())

    def _arrivals(self, weather: Weather) -> list[int]:
        copies = 1 + (self.random.random() < weather.twice)
        return [
            self.broadcasts + self.random.randint(0, weather.most_delay)
            for _ in range(copies)
            if self.random.random() >= weather.loss
        ]

    def _deliver(self, client: Client, weather: Weather) -> None:
        due = [data for at, data in client.down if at <= self.broadcasts]
        client.down = [entry for entry in client.down if entry[0] > self.broadcasts]
        if weather.most_delay:
            self.random.shuffle(due)
        for data in due:
            client.receiver.receive(data)
            self.check(client)
        receiver = client.receiver
        if receiver.heard:
            client.inputs += 1
            said = (client.inputs, receiver.newest_packet & 0xFFFF, receiver.window)
            client.up += [(at, *said) for at in self._arrivals(weather)]
        for _, number, newest, window in [e for e in client.up if e[0] <= self.broadcasts]:
            # As the host does: only what is newer than all before counts.
            if number > client.newest_heard:
                client.newest_heard = number
                whole = unwrap(newest, client.peer.sequence)
                self.sender.acknowledge(client.peer, whole, window)
        client.up = [entry for entry in client.up if entry[0] > self.broadcasts]

    # -- the ledger --------------------------------------------------------------------------

    def _write_down(self, client: Client, frame: Frame) -> None:
        player = client.peer.player
        tables = []
        for table, kept in zip(self.world.tables, frame.tables, strict=True):
            rows = {}
            answer = self.interest.answers.get(table.kind.__name__)
            for row in np.flatnonzero(kept.life != ABSENT).tolist():
                mine = int(table.owner[row]) == player
                if mine or (answer is not None and bool(answer[client.peer.slot, row])):
                    values = _values(table, kept.lanes[row])
                    rows[row] = (int(kept.life[row]), mine, values)
            tables.append(rows)
        client.truth[self.tick] = Truth(tables)

    def check(self, client: Client) -> None:
        """Every single thing that the client holds was true at the tick at which it was said."""
        for index, (table, known) in enumerate(
            zip(client.world.tables, client.receiver.known, strict=True)
        ):
            for row in range(len(known.life)):
                said = known.said[row]
                if said[0] < 0:
                    assert known.life[row] == ABSENT
                    continue
                entry = client.truth[int(said[0])].tables[index].get(row)
                if known.life[row] == ABSENT:
                    assert entry is None
                    continue
                assert entry is not None
                assert entry[:2] == (known.life[row], known.controlled[row])
                values = _values(table, known.lanes[row])
                for column, described in enumerate(table.fields):
                    if described.only_owner and not known.controlled[row]:
                        assert said[1 + column] == -1
                        assert values[column] == _default(described, client.world)
                        continue
                    then = client.truth[int(said[1 + column])].tables[index][row]
                    assert then[0] == known.life[row]
                    assert values[column] == then[2][column], described
        self._check_history(client)

    def _check_history(self, client: Client) -> None:
        frame = client.history.newest
        if frame is None:
            return
        for index, (table, kept) in enumerate(zip(client.world.tables, frame.tables, strict=True)):
            truth = client.truth[frame.tick].tables[index]
            for row in np.flatnonzero(kept.known & (kept.life != ABSENT)).tolist():
                life, mine, values = truth[row]
                assert kept.life[row] == life
                held = _values(table, kept.lanes[row])
                for column, described in enumerate(table.fields):
                    if mine or not described.only_owner:
                        assert held[column] == values[column], (described, frame.complete)

    def check_equal(self) -> None:
        """Every client holds exactly what it is to be shown now."""
        for client in self.clients:
            self.check(client)
            truth = client.truth[self.tick]
            for index, (table, known) in enumerate(
                zip(client.world.tables, client.receiver.known, strict=True)
            ):
                held = {}
                for row in np.flatnonzero(known.life != ABSENT).tolist():
                    values = _values(table, known.lanes[row])
                    held[row] = (int(known.life[row]), bool(known.controlled[row]), values)
                wanted = {
                    row: (life, mine, _shown(table, values, client.world, mine))
                    for row, (life, mine, values) in truth.tables[index].items()
                }
                assert held == wanted
            newest = client.history.newest
            assert newest is not None
            assert newest.complete


def _values(table: Table[Any], lanes: NDArray[np.int32]) -> tuple[Any, ...]:
    """Lanes by field; a text as itself, since each end numbers texts in its own way."""
    values: list[Any] = []
    for described in table.fields:
        part = lanes[table.lanes_of(described)].tolist()
        values.append(table.context.text(part[0]) if isinstance(described, Text) else part)
    return tuple(values)


def _default(described: Any, world: World) -> Any:
    if isinstance(described, Text):
        return described.default
    return list(described.encode(described.default, world))


def _shown(table: Table[Any], values: tuple[Any, ...], world: World, mine: bool) -> tuple[Any, ...]:
    return tuple(
        _default(described, world) if described.only_owner and not mine else value
        for described, value in zip(table.fields, values, strict=True)
    )


# -- something happens -----------------------------------------------------------------------


def stir(lab: Lab, most: int = 6) -> None:
    """Spawn, despawn, change, give and take control, at random."""
    rng = lab.random
    for _ in range(rng.randint(0, most)):
        table: Table[Any] = rng.choice(lab.world.tables)
        rows = table.rows().tolist()
        action = rng.random()
        if not rows or (action < 0.2 and len(rows) < 25):
            entity = table.spawn()
            scramble(entity, lab, 1.0)
        elif action < 0.35:
            table.despawn(rng.choice(rows))
        elif action < 0.5:
            player = rng.choice([NOBODY, *(client.peer.player for client in lab.clients)])
            table.own(rng.choice(rows), player)
        else:
            entity = table.at(rng.choice(rows))
            assert entity is not None
            scramble(entity, lab, 0.3)


def scramble(entity: Any, lab: Lab, share: float) -> None:
    """Give some fields of an entity new values, now and then out of range."""
    for described in entity.fields:
        if lab.random.random() < share:
            setattr(entity, described.name, any_value(described, lab))


def any_value(described: Any, lab: Lab) -> Any:
    rng = lab.random
    match described:
        case nc.Bool():
            return rng.random() < 0.5
        case nc.Int():
            return rng.randint(described.low, described.high)
        case nc.Float():
            return rng.uniform(described.steps.low, described.steps.high)
        case nc.Angle():
            return rng.uniform(-10, 10)
        case nc.Enum():
            return rng.choice(described.members)
        case Text():
            return "".join(rng.choices("aé☃😀", k=rng.randint(0, described.max_bytes)))
        case Ref():
            table = next(t for t in lab.world.tables if t.kind.__name__ == described.target)
            return rng.choice([None, *table])
        case nc.Quat():
            return tuple(rng.uniform(-1, 1) for _ in range(4))
        case nc.Vec2() | nc.Vec3():
            low, high = described.steps.low, described.steps.high
            return tuple(rng.uniform(low, high) for _ in range(described.dimensions))
    raise AssertionError(described)
