"""How long does one broadcast to a hundred players keep a server busy?

In one process and thread, without a network: the entities are moved (which is the game's work and
is not counted), then the clock runs for what the server does at one broadcast: quantise and
remember the frame (`History.record`), read an acknowledgement from every peer, and make every
peer's packets (`Sender.broadcast`).

| case | world | a peer sees |
|---|---|---|
| 1000x100 | 1,000 ships that all move, 100 peers whose viewpoints move | about 50 (nc.Radius) |
| 10000x100 | 10,000 ships that all move, in ten times the area, 100 peers | about 50 (nc.Radius) |
| idle10000x16 | 10,000 ships at rest and 32 that move, 16 peers | all (nc.Everything) |
| mixed12 | 1,000 entities of twelve classes, 100 peers who look from their own | about 50 |

A ship has x and y in steps of 0.05, vx and vy in steps of 0.1, and a heading of 10 bits; it steers
about, so that all five change at every broadcast. The mixed world uses every type of field and
fields for the owner alone; at every broadcast 20 of its entities spawn, leave, or change a text
and whatever else they have.

Each packet is acknowledged two broadcasts later (a round trip of up to 100 ms at 20 Hz) by a
stand-in that costs nothing, as one acknowledgement from each peer with all that went before.
Peers 1 and 2 have real receivers, which decode everything while the clock stands: whatever they
know must be equal to the server's columns of that tick, and be all that they are to see.

- tick: milliseconds of one broadcast, over 200 broadcasts after 40 to warm up (joining is over by
  then). Python's garbage collection is on.
- naive tick: the same world told by plain Python (`replication_naive.py`): objects with slots, a
  grid of cells in a dictionary, `msgpack.packb` of what changed for each player; it sees the very
  same entities, which is checked. It sends whole records and trusts that nothing gets lost, so it
  keeps no baselines and reads no acknowledgements. Where everybody sees everything it goes
  straight to a list of what changed, and packs it for each player.
- ratio to naive: our median by its median, measured one after the other in this call.
- in view: pairs of peer and entity, by peers; of both, in the mean over the broadcasts.
- payload: bytes of one broadcast to one peer, without what the transport adds, of both.
- bytes per pair: what the sender keeps for each pair in view. The index by which it finds a pair
  is given apart, by pairs in view, for it has a place for every peer and entity.
- bytes per entity: what the history's ring keeps for each.

Where the time goes, in 1000x100 (4,700 updates of five lanes, 200 entries and leaves):

- 28 % writing: descriptions of sections, lists of rows, two streams of 23,000 Rice codes, and
  packing some 60,000 numbers into words
- 22 % coding: residuals of 1,500 distinct rows (gathers from the ring, extrapolation, a second
  predictor on trial), Rice parameters, which lanes rest
- 19 % interest: the grid, sorted keys, who came and who went
- 8 % which pairs are due, and what each shares with its peer
- 8 % Python for each peer: acknowledgements, viewpoints, headers
- 3 % quantising
- 12 % the rest: looks into arrays of pairs, notes of what was sent, sums for `explain`

In idle10000x16 there are 512 pairs to tell, and the time is that of some 900 calls of numpy, 1 to
2 µs each whatever they are given; passes over all 160,000 pairs take a tenth of it. In mixed12
twelve tables are asked for interest and quantised one by one.

What was tried: coding each distinct row once for all peers who look at the same samples (kept: it
halves the coding where everybody sees everybody, and changes little where an entity has five
viewers or fewer); a sweep instead of the grid at 100,000 pairs (slower: 0.95 against 0.66 ms);
asking glibc to keep freed arrays (kept: 10.6 ms became 7.3); quantising only what changed (kept for
tables of 512 rows and more). The naive server knows what changed without looking, sends whole
records and forgets about loss. With 1,000 entities a quarter of its time is not in reach of numpy;
with ten times the entities it is.

``--profile`` plays every case once more, after it was measured, and prints the functions that take
most of it.

Goals, at the median: 1000x100 in 5 ms, 10000x100 in 10 ms, idle10000x16 in 1 ms, mixed12 in twice
the time of 1000x100, and at most a quarter of the naive server's time.
"""

import argparse
import gc
import zlib
from collections import deque
from collections.abc import Callable
from cProfile import Profile
from dataclasses import dataclass, field
from io import StringIO
from pstats import Stats
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks import report
from benchmarks.replication_naive import NaiveServer, Seen, id_of
from benchmarks.replication_worlds import Idle, Mixed, Plain, Scene
from benchmarks.report import Row
from netcode.sync.receiver import Receiver
from netcode.sync.sender import Sender
from netcode.testing.agreement import Disagreement, Held, check
from netcode.world.history import Frame, History
from netcode.world.world import World

WARM_UP = 40
BROADCASTS = 200
QUICK_BROADCASTS = 60

EVERY = 3
"""Ticks from one broadcast to the next: 60 ticks a second."""

ROUND_TRIP = 2
"""Broadcasts until a packet's acknowledgement is here."""

WINDOW = (1 << 200) - 1
"""The stand-in has the last 200 packets."""

CHECKED_PEERS = (1, 2)

PROFILE_LINES = 30


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    scene: Callable[[np.random.Generator], Scene]


CASES = (
    Case("1000x100", lambda rng: Plain(1_000, 100, rng)),
    Case("10000x100", lambda rng: Plain(10_000, 100, rng)),
    Case("idle10000x16", lambda rng: Idle(10_000, 32, 16, rng)),
    Case("mixed12", lambda rng: Mixed(1_000, 100, rng)),
)
YARDSTICK = "1000x100"


@dataclass(slots=True)
class Measured:
    """What one server did at the broadcasts that count."""

    seconds: list[float] = field(default_factory=list)
    payload: float = 0.0
    """Bytes of one broadcast to one peer, in the mean."""
    seen: list[list[Seen]] = field(default_factory=list)
    """What the checked peers saw, by broadcast, as the naive server's numbers."""
    in_view: float = 0.0
    """Entities that one peer sees, in the mean."""
    memory: dict[str, int] = field(default_factory=dict)

    @property
    def milliseconds(self) -> NDArray[np.float64]:
        return np.array(self.seconds) * 1000.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1, help="decides all chance (default 1)")
    names = [case.name for case in CASES]
    parser.add_argument(
        "--case", action="append", choices=names, help="only this one; can be repeated"
    )
    parser.add_argument("--profile", action="store_true", help="also print where the time goes")


def run(args: argparse.Namespace) -> list[Row]:
    broadcasts = QUICK_BROADCASTS if args.quick else BROADCASTS
    report.note(f"seed {args.seed}, {broadcasts} broadcasts after {WARM_UP} to warm up")
    rows: list[Row] = []
    yardstick = 0.0
    with report.progress() as progress:
        for case in CASES:
            if args.case and case.name not in args.case:
                continue
            ours = _measure_ours(case, _scene(case, args.seed), broadcasts, progress)
            naive = _measure_naive(case, _scene(case, args.seed), broadcasts, progress)
            _check_same_view(case, ours, naive)
            if args.profile:
                profile = Profile()
                _measure_ours(case, _scene(case, args.seed), broadcasts, progress, profile)
                _show(case, profile)
            rows += _rows(case, ours, naive)
            median = float(np.median(ours.milliseconds))
            if case.name == YARDSTICK:
                yardstick = median
            elif yardstick and case.name == "mixed12":
                rows.append(Row(case.name, f"ratio_to_{YARDSTICK}", median / yardstick, "x"))
    return rows


def _show(case: Case, profile: Profile) -> None:
    text = StringIO()
    Stats(profile, stream=text).sort_stats("tottime").print_stats(PROFILE_LINES)
    report.note(f"{case.name}: {text.getvalue()}")


def _scene(case: Case, seed: int) -> Scene:
    return case.scene(np.random.default_rng([seed, zlib.crc32(case.name.encode())]))


def _rows(case: Case, ours: Measured, naive: Measured) -> list[Row]:
    median, naive_median = (float(np.median(m.milliseconds)) for m in (ours, naive))
    memory = ours.memory
    figures = [
        ("tick_ms_p50", median, "ms"),
        ("tick_ms_p99", float(np.percentile(ours.milliseconds, 99)), "ms"),
        ("naive_tick_ms_p50", naive_median, "ms"),
        ("ratio_to_naive", median / naive_median, "x"),
        ("in_view", naive.in_view, "1"),
        ("payload_bytes", ours.payload, "B"),
        ("naive_payload_bytes", naive.payload, "B"),
        ("bytes_per_pair", memory["pair_bytes"], "B"),
        ("index_bytes_per_pair", memory["where_bytes"] / max(1, memory["pairs"]), "B"),
        ("bytes_per_entity", memory["entity_bytes"], "B"),
    ]
    return [Row(case.name, *figure) for figure in figures]


# -- our server ------------------------------------------------------------------------------


class _Client:
    """A real receiver, whose acknowledgements take as long as the stand-in's."""

    def __init__(self, player: int, scene: Scene) -> None:
        self.player = player
        self.world = World([table.kind for table in scene.world.tables])
        self.history = History(self.world.tables, every=EVERY)
        self._receiver = Receiver(self.world.tables, self.history, self.world.texts)

    def receive(self, packets: list[bytes], number: int) -> tuple[int, int]:
        """Take in one broadcast; return (newest, window) of the client's packet ``number``."""
        for data in packets:
            self._receiver.receive(data)
        return self._receiver.acknowledge(number)

    def check(self, where: str, scene: Scene, frame: Frame) -> Seen:
        """Return what the client sees, as the naive server's numbers; all of it is true."""
        held = self.history.at(frame.tick)
        if held is None:
            raise Disagreement(f"{where}: the client has no frame of it")
        seen: Seen = set()
        tables = zip(scene.world.tables, frame.tables, held.tables, strict=True)
        for index, (table, theirs, kept) in enumerate(tables):
            mine = table.owner[: kept.size] == self.player
            rows = check(
                where,
                table,
                Held(theirs.life, theirs.lanes, theirs.known, scene.world.texts.text),
                Held(kept.life, kept.lanes, kept.known, self.world.texts.text, mine),
            )
            lives = kept.life[rows].tolist()
            seen |= {
                id_of(index, row, life) for row, life in zip(rows.tolist(), lives, strict=True)
            }
        return seen


class _Ours:
    """The server's part of a broadcast, and the stand-in for what comes back."""

    def __init__(self, case: Case, scene: Scene) -> None:
        self._scene = scene
        self._tables = scene.world.tables
        self._history = History(self._tables, every=EVERY)
        self.sender = Sender(self._tables, self._history, scene.interest)
        self._peers = [self.sender.add(player) for player in range(1, scene.peers + 1)]
        self._clients = [_Client(n, scene) for n in CHECKED_PEERS]
        self._under_way: deque[list[tuple[int, int]]] = deque()
        """(newest, window) of each peer, for every broadcast that is not acknowledged yet."""
        self._number = 0

    def broadcast(self, profile: Profile | None) -> tuple[float, dict[int, list[bytes]], Frame]:
        """One broadcast: how many seconds it took, its packets, and its frame."""
        viewpoints = self._scene.viewpoints()
        if viewpoints is not None and not self._scene.follows:
            for peer, (x, y) in zip(self._peers, viewpoints.tolist(), strict=True):
                peer.viewpoint = (x, y)
        self._number += 1
        arrived: list[tuple[int, int]] = []
        if len(self._under_way) == ROUND_TRIP:
            arrived = self._under_way.popleft()
        client_packet = self._number - ROUND_TRIP
        peers = self._peers[: len(arrived)]

        if profile is not None:
            profile.enable()
        begin = perf_counter()
        frame = self._history.record(self._number * EVERY, self._tables)
        for peer, (newest, window) in zip(peers, arrived, strict=True):
            self.sender.acknowledge(peer, client_packet, newest, window)
        packets = self.sender.broadcast(frame)
        seconds = perf_counter() - begin
        if profile is not None:
            profile.disable()

        answers = [(peer.sequence, WINDOW) for peer in self._peers]
        for client in self._clients:
            answers[client.player - 1] = client.receive(packets[client.player], self._number)
        self._under_way.append(answers)
        return seconds, packets, frame

    def seen(self, where: str, frame: Frame) -> list[Seen]:
        """What the checked peers see; raises `Disagreement` if any of it is wrong."""
        return [
            client.check(f"{where}, peer {client.player}", self._scene, frame)
            for client in self._clients
        ]


def _measure_ours(
    case: Case,
    scene: Scene,
    broadcasts: int,
    progress: Progress,
    profile: Profile | None = None,
) -> Measured:
    ours, result = _Ours(case, scene), Measured()
    bar = progress.add_task(case.name, total=WARM_UP + broadcasts)
    gc.collect()
    for number in range(WARM_UP + broadcasts):
        scene.advance()
        seconds, packets, frame = ours.broadcast(profile if number >= WARM_UP else None)
        seen = ours.seen(f"{case.name}, tick {frame.tick}", frame)
        if number >= WARM_UP:
            result.seconds.append(seconds)
            size = sum(len(data) for each in packets.values() for data in each)
            result.payload += size / (len(packets) * broadcasts)
            result.seen.append(seen)
        progress.update(bar, completed=number)
    progress.remove_task(bar)
    result.memory = ours.sender.memory()
    return result


# -- the naive server ------------------------------------------------------------------------


def _measure_naive(case: Case, scene: Scene, broadcasts: int, progress: Progress) -> Measured:
    naive, result = NaiveServer(scene), Measured()
    bar = progress.add_task(f"{case.name}, naive", total=WARM_UP + broadcasts)
    gc.collect()
    for number in range(WARM_UP + broadcasts):
        scene.advance()
        naive.follow()
        begin = perf_counter()
        messages = naive.tick((number + 1) * EVERY)
        seconds = perf_counter() - begin
        if number >= WARM_UP:
            result.seconds.append(seconds)
            result.payload += sum(map(len, messages)) / (len(messages) * broadcasts)
            result.seen.append([naive.shown(player) for player in CHECKED_PEERS])
            result.in_view += naive.in_view() / broadcasts
        progress.update(bar, completed=number)
    progress.remove_task(bar)
    return result


def _check_same_view(case: Case, ours: Measured, naive: Measured) -> None:
    """Both servers told the checked peers about the very same entities, at every broadcast."""
    for number, (mine, theirs) in enumerate(zip(ours.seen, naive.seen, strict=True)):
        for player, (known, told) in enumerate(zip(mine, theirs, strict=False), start=1):
            if known != told:
                raise Disagreement(
                    f"{case.name}, broadcast {number}, peer {player}: the client does not know "
                    f"{len(told - known)} entities in view and knows {len(known - told)} too many"
                )
