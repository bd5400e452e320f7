"""How many bytes does it take to tell one client of one moving object, once?

A server broadcasts 20 times a second to one client that sees everything; both are the real
sender and the real receiver, in simulated time. The client is a process of its own that has
nothing but the datagrams (`bandwidth_receiver.py`). After every broadcast the lanes that it holds
are compared with the server's quantised columns of that tick, for every row of which it says that
it is known; one that differs ends the benchmark, and so does a row that is not known although
nothing was lost.

| case | objects | fields |
|---|---|---|
| move_y | 500, up and down by a sine | x y z in steps of 1 mm |
| all_axes | 500, to and fro through the origin | x y z in steps of 1 mm |
| wander | 500, wandering, facing forward | x y z in steps of 1 mm, yaw and pitch of 10 bits |
| karts | 64 recorded karts (--trace) | x y z, speed, steering in steps of 0.01, Quat of 10 bits |

The first three motions are those of a public benchmark of Unity's networking libraries
(December 2023; `motions.py` has the formulas). It published, in bytes of UDP payload per object
and tick of 20 Hz:

| motion | Mirror | NGO | Mirage | FishNet | Netick | Fusion 1 | Fusion 2 |
|---|---|---|---|---|---|---|---|
| move_y | 26.7 | 26.5 | 13.7 | 6.2 | 2.7 | 2.6 | 8.6 |
| all_axes | 30.7 | 30.6 | 12.4 | 10.3 | 8.7 | 8.1 | 7.9 |
| wander | 45.9 | 46.1 | 13.8 | 14.5 | 9.6 | 12.5 | 8.5 |

Six of the karts are recordings of one race, the others copies of them that are a random time
ahead (`karts.py`).

| link | what it is |
|---|---|
| (none) | 90 ms there and back: the newest acknowledged tick is two broadcasts old |
| loss5 | the same, and each datagram is lost with a chance of 5 %, in both directions |
| rtt140 | 140 ms there and back: three broadcasts old |

A datagram sent at t arrives at t + RTT/2, the client acknowledges it on arrival, and the
broadcast at time t has read whatever arrived at or before t.

- bytes: every state datagram of the server and 93 bytes for each (IP, UDP, DTLS and SCTP around
  it), by objects and broadcasts. The acknowledgements of the other direction are not in it. The
  first second, in which the client joins, is left out.
- payload bytes: the same without the 93.
- json, msgpack: what one would have written otherwise. Every broadcast is one message with every
  object as a map from field name to value, floats rounded to the step; compact JSON (msgpack has
  doubles, as it packs a Python float). 93 bytes for each begun 1,100.
- ratio to plain: bytes of this link by those of the same case without loss, at 90 ms.
- rows known: of all rows and ticks, those that the client knows for certain at that tick, when
  the last datagram of the tick has arrived (a tick of which nothing arrived counts, with none).
- goal: what we want to be below, for the figure that it stands beside: bytes, or ratio to plain.
"""

import argparse
import json
import random
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from rich.progress import Progress

import netcode as nc
from benchmarks import karts, motions, report
from benchmarks.bandwidth_receiver import Acknowledgement, RemoteReceiver
from benchmarks.motions import BROADCAST_RATE, Columns
from benchmarks.report import Row
from netcode.declarations import Entity
from netcode.sync.sender import Sender
from netcode.testing.agreement import Disagreement, Held, check
from netcode.transports.base import MAX_DATAGRAM
from netcode.world.history import History
from netcode.world.world import World

SECONDS = 60
QUICK_SECONDS = 10

JOINING = 1
"""Seconds at the start that are not counted."""

EVERY = 3
"""Ticks from one broadcast to the next: 60 ticks a second."""

INTERVAL_MS = 1_000 // BROADCAST_RATE

DATAGRAM_OVERHEAD = 93
"""Bytes of IP, UDP, DTLS and SCTP around one message."""

NAMES = ("move_y", "all_axes", "wander", "karts")
OBJECTS = 500
KARTS = 64
PLAYER = 1


@dataclass(frozen=True, slots=True)
class Case:
    """What moves, and how it is declared."""

    name: str
    kind: type[Entity]
    count: int
    decimals: dict[str, int]
    """To which decimals the naive way rounds each field."""
    start: Callable[[np.random.Generator], Iterator[Columns]]
    goal: float | None
    """Bytes per object and tick, the datagrams' own included."""


@dataclass(frozen=True, slots=True)
class LinkKind:
    """What lies between the two ends."""

    name: str
    rtt_ms: int
    loss: float
    goal: float | None
    """Of the ratio to the plain link."""


PLAIN = LinkKind("", 90, 0.0, None)
LINKS = (PLAIN, LinkKind("loss5", 90, 0.05, 1.1), LinkKind("rtt140", 140, 0.0, 1.3))

PLACE = {"x": 3, "y": 3, "z": 3}
FACING = {"yaw": 3, "pitch": 3}
KART = {"x": 2, "y": 2, "z": 2, "orientation": 3, "speed": 2, "steering": 2}


@dataclass(slots=True)
class Tally:
    """What was counted after the joining."""

    broadcasts: int = 0
    datagrams: int = 0
    payload: int = 0
    rows_known: int = 0
    """Summed over the ticks."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace", type=Path, metavar="FOLDER", help="recorded races (*.replay) for the karts"
    )
    parser.add_argument("--seed", type=int, default=1, help="decides all chance (default 1)")
    parser.add_argument(
        "--case", action="append", choices=NAMES, help="only this one; can be repeated"
    )


def run(args: argparse.Namespace) -> list[Row]:
    seconds = QUICK_SECONDS if args.quick else SECONDS
    cases = _cases(args.trace)
    if args.case:
        cases = [case for case in cases if case.name in args.case]
    report.note(f"seed {args.seed}, {seconds} s for each case, after {JOINING} s of joining")
    rows: list[Row] = []
    with report.progress() as progress:
        for case in cases:
            plain = 0.0
            for link in LINKS:
                name = f"{case.name}/{link.name}" if link.name else case.name
                tally = _measure(name, case, link, seconds, args.seed, progress)
                bytes_each, figures = _figures(case, link, tally)
                if link is PLAIN:
                    plain = bytes_each
                    figures += _naive_figures(case, seconds, args.seed)
                else:
                    figures.append(("ratio_to_plain", bytes_each / plain, "x"))
                    if link.goal is not None:
                        figures.append(("goal_ratio", link.goal, "x"))
                rows += [Row(name, *figure) for figure in figures]
    return rows


def _cases(trace: Path | None) -> list[Case]:
    cases = [
        Case("move_y", motions.Point, OBJECTS, PLACE, _endless(motions.move_y), 1.0),
        Case("all_axes", motions.Point, OBJECTS, PLACE, _endless(motions.all_axes), 2.3),
        Case("wander", motions.Wanderer, OBJECTS, PLACE | FACING, _endless(motions.wander), 3.5),
    ]
    if trace is None:
        report.note("absent: karts, because no recorded races were given with --trace")
        return cases
    try:
        recordings = karts.load(trace)
    except (OSError, ValueError) as error:
        raise SystemExit(f"--trace {trace}: {error}") from error

    def start(rng: np.random.Generator) -> Iterator[Columns]:
        # The offsets leave room for a full run, so that a quick one is its beginning.
        return karts.race(recordings, KARTS, JOINING + SECONDS, rng)

    return [*cases, Case("karts", karts.Kart, KARTS, KART, start, None)]


def _endless(
    motion: Callable[[int, np.random.Generator], Iterator[Columns]],
) -> Callable[[np.random.Generator], Iterator[Columns]]:
    return lambda rng: motion(OBJECTS, rng)


def _motion(case: Case, seed: int) -> Iterator[Columns]:
    """The same for every link of a case, and for the naive way."""
    return case.start(np.random.default_rng([seed, zlib.crc32(case.name.encode())]))


# -- figures ---------------------------------------------------------------------------------


def _figures(
    case: Case, link: LinkKind, tally: Tally
) -> tuple[float, list[tuple[str, float, str]]]:
    told = tally.broadcasts * case.count
    bytes_each = (tally.payload + DATAGRAM_OVERHEAD * tally.datagrams) / told
    figures = [("bytes_per_entity_tick", bytes_each, "B")]
    if link is PLAIN and case.goal is not None:
        figures.append(("goal_bytes_per_entity_tick", case.goal, "B"))
    figures += [
        ("payload_bytes_per_entity_tick", tally.payload / told, "B"),
        ("datagrams_per_tick", tally.datagrams / tally.broadcasts, "1"),
        ("rows_known_percent", 100.0 * tally.rows_known / told, "%"),
    ]
    return bytes_each, figures


def _naive_figures(case: Case, seconds: int, seed: int) -> list[tuple[str, float, str]]:
    sizes = {"json": 0, "msgpack": 0}
    broadcasts = 0
    for number, columns in enumerate(_motion(case, seed)):
        if number >= (JOINING + seconds) * BROADCAST_RATE:
            break
        if number >= JOINING * BROADCAST_RATE:
            broadcasts += 1
            message = naive_message(number, columns, case.decimals)
            sizes["json"] += on_the_wire(json.dumps(message, separators=(",", ":")).encode())
            sizes["msgpack"] += on_the_wire(msgpack.packb(message))
    return [
        (f"{name}_bytes_per_entity_tick", size / (broadcasts * case.count), "B")
        for name, size in sizes.items()
    ]


def naive_message(tick: int, columns: Columns, decimals: dict[str, int]) -> dict[str, Any]:
    """Every object as a map from field name to rounded value."""
    values = [np.round(columns[name], digits).tolist() for name, digits in decimals.items()]
    names = ("id", *decimals)
    objects = [
        dict(zip(names, (number, *row), strict=True))
        for number, row in enumerate(zip(*values, strict=True))
    ]
    return {"tick": tick, "objects": objects}


def on_the_wire(message: bytes) -> int:
    """Bytes of a message that is cut into datagrams, with theirs."""
    return len(message) + DATAGRAM_OVERHEAD * -(-len(message) // MAX_DATAGRAM)


# -- the simulated link ----------------------------------------------------------------------


@dataclass(slots=True)
class Wire:
    """One direction: what is sent arrives half a round trip later, or is lost."""

    delay_ms: int
    loss: float
    rng: random.Random
    _under_way: deque[tuple[int, Any]] = field(default_factory=deque)

    def send(self, now_ms: int, item: Any) -> None:
        if self.rng.random() >= self.loss:
            self._under_way.append((now_ms + self.delay_ms, item))

    def arrivals(self, now_ms: int) -> Iterator[tuple[int, Any]]:
        """(time, item) of what has arrived at or before now, in order."""
        while self._under_way and self._under_way[0][0] <= now_ms:
            yield self._under_way.popleft()


class Server:
    """One table that moves, one peer, and what was true at each tick."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        world = World([case.kind])
        self.table = world.table(case.kind)
        for _ in range(case.count):
            world.spawn(case.kind)
        self._tables = world.tables
        self._history = History(self._tables, every=EVERY)
        self._sender = Sender(self._tables, self._history, nc.Everything())
        self._peer = self._sender.add(PLAYER)
        self._motion = _motion(case, seed)
        self.truth: dict[int, Held] = {}
        """Quantised here, apart from the history: what the client must hold at each tick."""

    def broadcast(self, tick: int) -> list[bytes]:
        motions.write(self.table, next(self._motion))
        life = np.array(self.table.generation)
        self.truth[tick] = Held(life, self.table.quantise(), self.table.alive.copy())
        packets = self._sender.broadcast(self._history.record(tick, self._tables))
        return packets[PLAYER]

    def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        self._sender.acknowledge(self._peer, *acknowledgement)


def _measure(
    name: str, case: Case, link: LinkKind, seconds: int, seed: int, progress: Progress
) -> Tally:
    """Play one case over one link. Raises `Disagreement` if the client ever holds a wrong lane."""
    server, tally = Server(case, seed), Tally()
    down = Wire(link.rtt_ms // 2, link.loss, random.Random(f"{seed} {name} down"))
    up = Wire(link.rtt_ms // 2, link.loss, random.Random(f"{seed} {name} up"))
    broadcasts = (JOINING + seconds) * BROADCAST_RATE
    joined = JOINING * BROADCAST_RATE
    bar = progress.add_task(name, total=broadcasts)
    with RemoteReceiver(case.kind, EVERY) as client:

        def deliver(until_ms: int) -> None:
            for at_ms, group in _moments(down.arrivals(until_ms)):
                answer = client.receive(group)
                for acknowledgement in answer.acknowledgements:
                    up.send(at_ms, acknowledgement)
                known = _compare(name, server, answer.tick, answer.held)
                if answer.tick >= joined * EVERY:
                    tally.rows_known += known
                    if not link.loss and known < case.count:
                        missing = case.count - known
                        raise Disagreement(
                            f"{name}, tick {answer.tick}: {missing} rows are not known, "
                            "although nothing was lost"
                        )

        for number in range(broadcasts):
            now_ms = number * INTERVAL_MS
            deliver(now_ms)
            for _, acknowledgement in up.arrivals(now_ms):
                server.acknowledge(acknowledgement)
            packets = server.broadcast(number * EVERY)
            for data in packets:
                if len(data) > MAX_DATAGRAM:
                    raise Disagreement(f"{name}: a datagram of {len(data)} bytes")
                down.send(now_ms, data)
            if number >= joined:
                tally.broadcasts += 1
                tally.datagrams += len(packets)
                tally.payload += sum(map(len, packets))
            progress.update(bar, completed=number)
        deliver(broadcasts * INTERVAL_MS + link.rtt_ms)
    progress.remove_task(bar)
    if server.table.clamped:
        raise ValueError(f"{name}: {server.table.clamped} are out of the fields' declared ranges")
    return tally


def _moments(arrivals: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    """Group what arrives at the same moment: the datagrams of one broadcast."""
    group: list[bytes] = []
    moment = -1
    for at_ms, data in arrivals:
        if group and at_ms != moment:
            yield moment, group
            group = []
        moment = at_ms
        group.append(data)
    if group:
        yield moment, group


def _compare(name: str, server: Server, tick: int, held: Held | None) -> int:
    """Return how many rows the client knows, all of them rightly."""
    if held is None:
        return 0
    if (truth := server.truth.get(tick)) is None:
        raise Disagreement(f"{name}: the client holds tick {tick}, which was never broadcast")
    return len(check(f"{name}, tick {tick}", server.table, truth, held))
