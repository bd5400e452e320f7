"""A server and one client at a bad line, with a record of what the client sent and received.

What is recorded is enough to test a client in another language: see `make`.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import netcode as nc
from netcode.declarations import Entity
from netcode.fields import Text
from netcode.sync.interest import Interest
from netcode.sync.receiver import Receiver
from netcode.sync.sender import Sender
from netcode.wire.packets import InputPacket, decode_inputs, encode_inputs
from netcode.world.history import ABSENT, Frame, History
from netcode.world.world import World

PLAYER = 1
EVERY = 3
"""Ticks from one broadcast to the next."""

Held = list[dict[int, dict[str, Any]]]
"""For each class, by row: ``{"generation", "controlled", "fields"}``."""


def schema_of(kinds: Sequence[type[Entity]]) -> list[dict[str, Any]]:
    """What a client in another language must know of the entity classes, as JSON."""
    texts = World([])
    return [
        {
            "name": kind.__name__,
            "fields": [
                {
                    "name": described.name,
                    "kind": type(described).__name__,
                    "lane_bits": list(described.lane_bits),
                    "only_owner": described.only_owner,
                    "default": described.default
                    if isinstance(described, Text)
                    else list(described.encode(described.default, texts)),
                }
                for described in kind.fields
            ],
        }
        for kind in kinds
    ]


class End:
    """A client made of the real receiver."""

    def __init__(self, kinds: Sequence[type[Entity]]) -> None:
        self.world = World(kinds)
        self.history = History(self.world.tables, every=EVERY)
        self.receiver = Receiver(self.world.tables, self.history, self.world.texts)

    def held(self) -> Held:
        tables: Held = []
        for known, table in zip(self.receiver.known, self.world.tables, strict=True):
            lanes = known.lanes.tolist()
            rows: dict[int, dict[str, Any]] = {}
            for row, life in enumerate(known.life.tolist()):
                if life != ABSENT:
                    rows[row] = {
                        "generation": life,
                        "controlled": bool(known.controlled[row]),
                        "fields": {
                            described.name: self.world.text(
                                lanes[row][table.lanes_of(described).start]
                            )
                            if isinstance(described, Text)
                            else lanes[row][table.lanes_of(described)]
                            for described in table.fields
                        },
                    }
            tables.append(rows)
        return tables


class Line:
    """One player's connection: ``step`` is one broadcast and one client packet."""

    def __init__(
        self,
        kinds: Sequence[type[Entity]],
        *,
        interest: Interest | None = None,
        seed: int = 1,
        loss: float = 0.0,
        twice: float = 0.0,
        most_delay: int = 0,
        budget: int | None = None,
    ) -> None:
        self.kinds = kinds
        self.world = World(kinds)
        self.history = History(self.world.tables, every=EVERY)
        self.sender = Sender(self.world.tables, self.history, interest or nc.Everything())
        self.peer = self.sender.add(PLAYER)
        self.peer.budget = budget
        self.end = End(kinds)
        self.rng = random.Random(seed)
        self.loss, self.twice, self.most_delay = loss, twice, most_delay
        self.number = 0
        self.client_packet = 0
        self.frame: Frame | None = None
        self.sizes: list[int] = []
        """Of the newest broadcast: bytes of each of its packets."""
        self.on_sent: Callable[[int, bytes], object] = lambda number, data: None
        self.on_received: Callable[[bytes], object] = lambda data: None
        self._down: list[tuple[int, int, bytes]] = []
        self._up: list[tuple[int, int, bytes]] = []

    def step(self, lost: bool | None = None) -> None:
        """The next broadcast. ``lost``: whether it is, instead of leaving it to chance."""
        self.number += 1
        self.frame = self.history.record(self.number * EVERY, self.world.tables)
        packets = self.sender.broadcast(self.frame)[PLAYER]
        self.sizes = [len(data) for data in packets]
        for data in packets:
            self._hand_over(self._down, data, lost)
        for data in self._due(self._down):
            self.end.receiver.receive(data)
            self.on_received(data)
        self.client_packet += 1
        newest, window = self.end.receiver.acknowledge(self.client_packet)
        heard = self.end.receiver.heard
        packet = InputPacket(
            self.client_packet, heard, newest, window, newest_tick=0, inputs=[], lags=[]
        )
        data = encode_inputs(packet, self.world)
        self.on_sent(self.client_packet, data)
        self._hand_over(self._up, data, lost)
        for data in self._due(self._up):
            packet = decode_inputs(data, [], self.world)
            if packet.heard:
                self.sender.acknowledge(
                    self.peer, packet.sequence, packet.newest_state, packet.window
                )

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def _hand_over(
        self, queue: list[tuple[int, int, bytes]], data: bytes, lost: bool | None
    ) -> None:
        if self.rng.random() < self.loss if lost is None else lost:
            return
        for _ in range(1 + (self.rng.random() < self.twice)):
            delay = int(self.rng.random() * (self.most_delay + 1))
            queue.append((self.number + delay, int(self.rng.random() * 1_000), data))

    def _due(self, queue: list[tuple[int, int, bytes]]) -> list[bytes]:
        """What arrives now: without delays in order, else in any."""
        due = [item for item in queue if item[0] <= self.number]
        queue[:] = [item for item in queue if item[0] > self.number]
        if self.most_delay:
            due.sort(key=lambda item: item[:2])
        return [data for _, _, data in due]
