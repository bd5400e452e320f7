"""How long do packets wait for a game that burns 12 ms of Python in each frame?

A client used from a plain loop has its network on a second thread (docs/architecture.md, Threads).
A thread that comes back from a system call while the game runs Python waits for the *switch
interval*, after which the game is asked to step aside, and Python's own is 5 ms. Here a real
server and a real client, each in a process of its own on this machine, play with 50 ships that all
move. The game's thread runs 61 frames a second (60 would meet every broadcast at the same point):
it calls `update`, looks at every ship, and does work in plain Python that took 12 ms when nothing
else ran in the process. The work is calibrated once and is the same in every frame.

| case | what it is |
|---|---|
| idle | frames without the work: what the programs and the machine take |
| busy/5ms | the work, at Python's own switch interval |
| busy/1ms, 0.5ms, 0.1ms | the work, at others |
| busy/ours | the work, and whatever the library does by itself |
| busy/own_loop | ``async with connect``: network and game take turns on one thread |
| alone | the work, without any network |

Cases on the same kind of thread take turns within one connection, for 2.5 s in each of 12 rounds,
back and forth. All times are of `time.monotonic`, which the processes share.

- snapshot delay: from the server handing a state packet to WebRTC until the client's network has
  decoded it into history (which the next frame then shows).
- input delay: from the moment at which the client's next packet of inputs was due until the server
  has read it.
- rtt: what single heartbeats say, in whole milliseconds.
- frame: how long the work took. What is more than alone is the network's share, and the price of
  switching.
- to 5ms, to alone: ratios of the same call.

Two cores, Python 3.11, while other programs ran, milliseconds:

| case | snapshot p50, p99 | input p50, p99 | frame p50 |
|---|---|---|---|
| idle | 1.3, 3.4 | 1.3, 4.4 | |
| busy/5ms | 6.4, 23 | 6.2, 21 | 13.1 |
| busy/1ms | 5.2, 13 | 2.7, 12 | 13.5 |
| busy/0.5ms | 3.9, 7.7 | 2.1, 8.1 | 13.5 |
| busy/ours | 2.9, 6.1 | 1.7, 8.5 | 13.6 |
| busy/0.1ms | 2.5, 9.4 | 1.8, 8.7 | 13.6 |
| busy/own_loop | 9.1, 74 | 10, 72 | 12.9 |
| alone | | | 12.9 |

In three runs ours was 0.45, 0.40 and 0.46 of 5 ms at the median, and 0.27, 0.33 and 1.04 at the
99th percentile. The third was on a busy machine (idle's p99 was 6 ms), where a p99 is the few of
six hundred packets that met a hiccup. Frames took 1.06, 1.07 and 1.10 of those alone (at 5 ms 1.02,
1.05 and 1.03).

What was done: while a client has a thread, the switch interval is 0.2 ms (`netcode/switching.py`).
A packet then waits 0.3 ms for its turn, and its 1 ms of Python takes twice as long, since both
threads take turns at an equal share. The game pays what the network's thread takes during the
work instead of during its rest, 5 to 10 % of a frame at any interval that lets packets in. A
program that computes on two threads at once, without a pause, pays for switching itself: compared
with 5 ms it took 4 % longer at 1 ms, 11 % at 0.2 and 12 % at 0.1 (7 %, 11 % and 14 % while the
machine was busy). So not 0.1 ms, which gains packets little.

Where the time of a snapshot goes, in the mean, from the server's send: to being read from the
socket 0.3 ms idle, 3.5 at 5 ms, 0.5 at 0.2 ms; to being decrypted 0.1, 2.5, 0.3; the decoding 0.9,
1.7, 1.8. Decrypting lets go of the interpreter for microseconds, and one time in three the game
has it then; `searchsorted`, `sort`, `take` and writes to a column of a table let go of it too, each
of which loses it two to four times in a hundred. So a short interval helps each time.

What was tried, and was not kept:

- A long interval while the network's thread works, so that the game cannot interrupt it, and a
  short one while it sleeps, set around each `select`: 0.1 ms and 1 ms gave 4.0 ms at the median
  (p99 11), 0.1 and 5 gave 5.1 (17), where 0.1 throughout gave 2.7 (7.5). Whenever the network's
  thread does lose its turn, it waits for the long interval as well.
- 1 ms, which the demo used to set for itself: see above.

What was looked at, and is no part of it: the lock between the two threads. The game's thread holds
it for 0.03 ms at a time (p99 0.34), and waits 0.8 ms for it in the worst of a hundred; the
network's thread waits less than 0.01 ms in 99 of a hundred. Nothing helps against a call into C
that keeps the interpreter.

On its own loop a game that is late for its next frame leaves the network one turn of the loop, in
which a socket gives one datagram; on a machine that cannot keep up, packets pile up.

Goals, at the median: busy/ours at most half of busy/5ms, and at most 2 ms more than idle; a frame
at most 1.15 times that of alone. At p99, where nothing else runs: at most half of busy/5ms.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from benchmarks import report
from benchmarks.busy_game_ends import Case, Process, ServerNotes, Slot, play, serve
from benchmarks.report import Row

WORK = 0.012
"""Seconds of plain Python in each frame."""

ROUNDS = 12
SECONDS = 2.5
"""For each case in each round."""

QUICK_ROUNDS = 1
QUICK_SECONDS = 1.0

MARGIN = 0.1
"""Seconds at both ends of a slot that are left out: a packet belongs to one case only."""

ALONE, STOCK, OURS = "alone", "busy/5ms", "busy/ours"

GROUPS = (
    (
        Case("idle", busy=False),
        Case(STOCK, interval=0.005),
        Case("busy/1ms", interval=0.001),
        Case("busy/0.5ms", interval=0.0005),
        Case(OURS),
        Case("busy/0.1ms", interval=0.0001),
    ),
    (Case("busy/own_loop", network="own loop"),),
    (Case(ALONE, network="none"),),
)
"""Cases that share a connection, since they differ only in what the game does."""


PERCENTILES = {
    "snapshot_delay": (50, 99),
    "input_delay": (50, 99),
    "rtt": (50,),
    "frame": (50, 99),
}
"""Which percentiles are shown of which times."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def run(args: argparse.Namespace) -> list[Row]:
    rounds, seconds = (QUICK_ROUNDS, QUICK_SECONDS) if args.quick else (ROUNDS, SECONDS)
    slots: dict[str, list[Slot]] = {case.name: [] for case in chain(*GROUPS)}
    with Process(serve) as server, Process(play) as player:
        player.say((server.hear(), WORK))
        for number in range(rounds):
            for group in GROUPS:
                # Back and forth, so that a machine that grows slower is no case's bad luck.
                cases = group[:: -1 if number % 2 else 1]
                player.say((cases, seconds))
                for case, slot in zip(cases, player.hear(seconds * len(cases)), strict=True):
                    slots[case.name].append(slot)
        server.say("stop")
        notes = server.hear()
    interval = slots[OURS][0].interval
    report.note(f"{rounds * seconds:g} s for each case; ours is {1000 * interval:.1f} ms")
    rows = [row for name in slots for row in figures(name, slots[name], notes)]
    return rows + ratios(rows)


def figures(case: str, slots: Sequence[Slot], notes: ServerNotes) -> Iterator[Row]:
    waits = {
        "snapshot_delay": [
            read - notes.states_sent[key]
            for slot in slots
            for key, read in slot.states_read.items()
            if key in notes.states_sent and _counts(slot, notes.states_sent[key])
        ],
        "input_delay": [
            notes.inputs_read[key] - due
            for slot in slots
            for key, due in slot.inputs_due.items()
            if key in notes.inputs_read and _counts(slot, due)
        ],
        "rtt": [rtt for slot in slots for rtt in slot.rtts],
        "frame": [frame for slot in slots for frame in slot.frames],
    }
    for name, percents in PERCENTILES.items():
        for percent in percents if waits[name] else ():
            value = float(np.percentile(waits[name], percent)) * 1000
            yield Row(case, f"{name}_ms_p{percent}", value, "ms")


def _counts(slot: Slot, moment: float) -> bool:
    return slot.begin + MARGIN <= moment < slot.end - MARGIN


def ratios(rows: Sequence[Row]) -> list[Row]:
    """Compare every busy case with Python's own interval, and its frames with a game alone."""
    values = {(row.case, row.metric): row.value for row in rows}
    found = []
    for metric, yardstick, short in (
        ("snapshot_delay_ms_p50", STOCK, "snapshot_p50_to_5ms"),
        ("snapshot_delay_ms_p99", STOCK, "snapshot_p99_to_5ms"),
        ("frame_ms_p50", ALONE, "frame_p50_to_alone"),
    ):
        base = values.get((yardstick, metric))
        for case in dict.fromkeys(row.case for row in rows):
            value = values.get((case, metric))
            if base and value is not None and case != yardstick:
                found.append(Row(case, short, value / base, "x"))
    return found
