"""A server, its clients and a bad network in one thread, with a ledger of what was true when."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import netcode as nc
from netcode.declarations import Entity
from netcode.sync.interest import ALL, All, Interest, Intervals, Keys, Viewers
from netcode.sync.peers import Peer
from netcode.sync.priority import Priority
from netcode.sync.receiver import Receiver
from netcode.sync.sender import Sender
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.bits import unwrap
from netcode.wire.packets import STATE_HEADER_BYTES, StateHeader, decode_state_header
from netcode.wire.state_reader import DENSE, SPARSE, Section, lane_kinds, read_body
from netcode.world.history import History
from netcode.world.table import MAX_ROWS, Table
from netcode.world.world import World
from tests.unit.sync.happenings import SCHEMAS, Letter, Mark, Rock, Ship, scramble, stir
from tests.unit.sync.ledger import Ledger, Texts

__all__ = [
    "CLEAR",
    "DARK",
    "EVERY",
    "IDLE_PACKET",
    "SCHEMAS",
    "Lab",
    "Letter",
    "Mark",
    "Rock",
    "Ship",
    "Weather",
    "scramble",
    "stir",
]

EVERY = 3
"""Ticks from one broadcast to the next."""

IDLE_PACKET = STATE_HEADER_BYTES + 1
"""Bytes of a packet that tells nothing: its header and the closing part number."""


@dataclass(frozen=True)
class Weather:
    """What the network does to packets."""

    loss: float = 0.0
    twice: float = 0.0
    most_delay: int = 0
    """Broadcasts by which a packet may be late; each one's delay is drawn anew."""


CLEAR = Weather()
DARK = Weather(loss=1.0)


@dataclass(frozen=True)
class Said:
    """What one packet says of one row of a part."""

    packet: int
    part: int
    row: int
    what: str
    """``entry``, ``update`` or ``leave``."""
    fields: frozenset[str]
    """Fields of which anything is said."""


class Recorded(Interest):
    """An interest policy that writes down what it has answered: rows by class and player."""

    def __init__(self, policy: Interest) -> None:
        self.policy = policy
        self.answers: dict[str, dict[int, set[int]] | None] = {}

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        answer = self.policy.pairs(table, viewers)
        if answer is None or answer is ALL:
            self.answers[table.kind.__name__] = None
        else:
            rows: dict[int, set[int]] = {int(player): set() for player in viewers.players}
            for key in answer.tolist():
                rows[int(viewers.players[key // viewers.rows])].add(key % viewers.rows)
            self.answers[table.kind.__name__] = rows
        return answer

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        return self.policy.intervals(table, viewers, keys)

    def named(self, player: int) -> dict[str, set[int] | None]:
        """The rows that are named for a player, by class; None for all."""
        return {
            name: None if answer is None else answer.get(player, set())
            for name, answer in self.answers.items()
        }


@dataclass
class Client:
    """One player's end, and the packets that are under way to and from it."""

    peer: Peer
    world: World
    history: History
    receiver: Receiver
    ledger: Ledger
    down: list[tuple[int, bytes]] = field(default_factory=list)
    up: list[tuple[int, int, int, int]] = field(default_factory=list)
    inputs: int = 0


class Lab:
    """Steps by whole broadcasts. ``random`` decides everything."""

    def __init__(
        self,
        kinds: tuple[type[Entity], ...],
        rng: random.Random,
        *,
        interest: Interest | None = None,
        priority: Priority | None = None,
        clients: int = 1,
        weather: Weather = CLEAR,
    ) -> None:
        self.random = rng
        self.weather = weather
        self.world = World(kinds)
        self.history = History(self.world.tables, EVERY)
        self.interest = Recorded(interest or nc.Everything())
        self.sender = Sender(self.world.tables, self.history, self.interest, priority)
        self.number = 0
        """Of the newest broadcast."""
        self.sent: dict[int, list[bytes]] = {}
        """The packets of the newest broadcast, by player."""
        self.clients: list[Client] = []
        self._texts = Texts()
        for number in range(1, clients + 1):
            self.join(number)

    @property
    def players(self) -> list[int]:
        return [client.peer.player for client in self.clients]

    @property
    def tick(self) -> int:
        return self.number * EVERY

    def join(self, player: int) -> Client:
        world = World([table.kind for table in self.world.tables])
        history = History(world.tables, EVERY)
        receiver = Receiver(world.tables, history, world.texts)
        ledger = Ledger(player, world, history, receiver, self._texts)
        client = Client(self.sender.add(player), world, history, receiver, ledger)
        self.clients.append(client)
        return client

    def part(self, player: int) -> None:
        """A player leaves; what it controlled nobody controls."""
        self.clients = [client for client in self.clients if client.peer.player != player]
        self.sender.remove(player)
        for table in self.world.tables:
            for row in np.flatnonzero(table.owner == player).tolist():
                table.own(row, 0)

    # -- time --------------------------------------------------------------------------------

    def step(
        self,
        weather: Weather | None = None,
        *,
        up: Weather | None = None,
        receive: bool = True,
        lose: Callable[[int, StateHeader], bool] | None = None,
    ) -> None:
        """One broadcast: told, carried, taken in, checked and acknowledged.

        ``up`` is the weather for acknowledgements, if another one; ``lose`` picks packets to a
        player that get lost; nothing arrives anywhere without ``receive``.
        """
        weather = weather or self.weather
        self.number += 1
        frame = self.history.record(self.tick, self.world.tables)
        self.sent = self.sender.broadcast(frame)
        for client in self.clients:
            player = client.peer.player
            client.ledger.write(self.world.tables, frame, self.interest.named(player))
            packets = self.sent[player]
            assert packets
            for data in packets:
                assert len(data) <= MAX_DATAGRAM
                if lose is None or not lose(player, decode_state_header(data)[0]):
                    client.down += [(at, data) for at in self._arrivals(weather)]
            if receive:
                self._receive(client, weather.most_delay > 0)
                self._acknowledge(client, up or weather)

    def calm_down(self, broadcasts: int = 16) -> None:
        """Nothing changes and nothing is lost for a while."""
        for _ in range(broadcasts):
            self.step(CLEAR)

    def _arrivals(self, weather: Weather) -> list[int]:
        copies = 1 + (self.random.random() < weather.twice)
        return [
            self.number + self.random.randint(0, weather.most_delay)
            for _ in range(copies)
            if self.random.random() >= weather.loss
        ]

    def _receive(self, client: Client, shuffled: bool) -> None:
        due = [data for at, data in client.down if at <= self.number]
        client.down = [entry for entry in client.down if entry[0] > self.number]
        if shuffled:
            self.random.shuffle(due)
        for data in due:
            client.receiver.receive(data)
            client.ledger.check_newest()
        if due:
            client.ledger.check_history()

    def _acknowledge(self, client: Client, weather: Weather) -> None:
        receiver = client.receiver
        if receiver.heard:
            client.inputs += 1
            newest, window = receiver.acknowledge(client.inputs)
            said = (client.inputs, newest & 0xFFFF, window)
            client.up += [(at, *said) for at in self._arrivals(weather)]
        for _, number, newest, window in [e for e in client.up if e[0] <= self.number]:
            whole = unwrap(newest, client.peer.sequence)
            self.sender.acknowledge(client.peer, number, whole, window)
        client.up = [entry for entry in client.up if entry[0] > self.number]

    # -- looking -----------------------------------------------------------------------------

    def said(self, player: int = 1) -> list[Said]:
        """What the packets of the newest broadcast say, read from their bytes."""
        parts = self.history.layout.parts
        kinds = [lane_kinds(part.fields) for part in parts]
        found: list[Said] = []
        for index, data in enumerate(self.sent[player]):
            for section in read_body(decode_state_header(data)[1], kinds, [MAX_ROWS] * len(parts)):
                fields = parts[section.part].fields
                names = [f.name for f in fields for _ in f.lane_bits]
                for place, row in enumerate(section.updated.tolist()):
                    said = _changed(section, names, place)
                    found.append(Said(index, section.part, row, "update", said))
                for row in section.entered.tolist():
                    found.append(Said(index, section.part, row, "entry", frozenset(names)))
                for row in section.left.tolist():
                    found.append(Said(index, section.part, row, "leave", frozenset()))
        return found

    def check_equal(self) -> None:
        """Every client holds exactly what it is to be shown now."""
        for client in self.clients:
            client.ledger.check_equal(self.number)


def _changed(section: Section, names: list[str], place: int) -> frozenset[str]:
    """The fields of which a section says anything for the updated row at this place."""
    changed = set()
    for name, lane in zip(names, section.lanes, strict=True):
        listed = lane.mode == SPARSE and lane.places is not None and place in lane.places
        if lane.mode == DENSE or listed:
            changed.add(name)
    return frozenset(changed)
