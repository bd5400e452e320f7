"""How long does it take to get into a game, and back into it after its link has died?

A server and a player, each a process of its own on this machine, both imported and warmed up. The
player joins on one rung of the ladder and no other, leaves, and joins again. All cases take turns,
so that whatever else the machine does befalls all of them, and each try begins at a random moment
between two broadcasts. A case that ends up on another rung than its own is absent, and said to be.

- connect: from `nc.connect` to the first state in ``client.world``, at which a game would draw it
  (looked at 1,000 times a second, not 60).
- resume: a link dies without a word, and in that moment the player asks the server something. From
  there to the answer: the silence is noticed, another link is made beside the dead one, the session
  goes on there, and the question is sent again.

| case | what it is |
|---|---|
| raw_aiortc | the floor: bare aiortc, stock settings, through a signaling server of ours |
| direct, turn_udp, turn_tcp, websocket | a game by that rung |
| resume/direct, …/turn_udp, …/turn_tcp | a link of that rung is cut, and made anew there |

The floor is in the same two processes and ends with an open data channel: no STUN, no game, no
state.

Two cores, Python 3.11, while other programs ran (load 3.5), milliseconds:

| case | p50 | p95 | to the floor |
|---|---|---|---|
| raw_aiortc | 38 | 59 | |
| direct | 76 | 110 | 2.0 |
| turn_udp | 72 | 132 | 1.9 |
| turn_tcp | 78 | 131 | 2.0 |
| websocket | 38 | 58 | 1.0 |
| resume/direct | 1,147 | 1,303 | |
| resume/turn_udp | 1,148 | 1,299 | |
| resume/turn_tcp | 2,283 | 2,449 | |

Where the time of direct goes, medians of 30 tries with marks at both ends:

| from nc.connect on | ms | |
|---|---|---|
| the client's thread and its event loop | 3 | |
| TCP, WebSocket, joining the room | 2 | three round trips |
| the offer | 7 | a certificate (0.4, on a curve), seven channels, sockets; STUN, a round trip |
| to the server and back with its answer | 5 | one round trip, and the same work there |
| checking paths | 21 | of which 20 is aioice's pause between two checks; the floor has it, too |
| DTLS, SCTP | 5 | four round trips |
| hello, welcome | 3 | one round trip |
| the first broadcast that is due | 0 to 50 | at 20 a second |

What a link costs after a cut: silence for 0.8 to 1.2 s until it is suspected (twice that over TCP,
which holds everything back itself while it sends one packet again), and then once more all of the
above but the thread and the broadcast.

What was found with it: over TCP every small packet of a relay that followed another one waited
40 ms, since asyncio had left Nagle's algorithm on (turn_tcp took 119, 3.2 times the floor).

What was looked at, and was not done:

- A certificate made in advance: it takes half a millisecond, and one for all links would let
  whoever they lead to recognise the player.
- The first state at once, instead of with the next broadcast: broadcasts are numbered alike at both
  ends, and a state between two of them would have no number. A game that wants its players to be in
  sooner raises ``broadcast_rate``.
- A shorter pause between checks: RFC 8445 has 50 ms, so that NATs are not stormed, and aioice's 20
  are short already.

Goal: direct at most 150 ms at the median.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks import report
from benchmarks.busy_game_ends import Process
from benchmarks.connect_ends import RAW, Try, play, serve
from benchmarks.report import Row
from netcode.rungs import Rung

RUNS, QUICK_RUNS = 40, 8
RESUMES, QUICK_RESUMES = 12, 2
"""Fewer, since each takes seconds."""

WARM_UPS = 2
"""First tries of each case that do not count: modules are imported, code is specialised."""

CONNECTS = [Try("connect", case) for case in (RAW, *Rung)]
CUTS = [Try("resume", rung) for rung in (Rung.DIRECT, Rung.TURN_UDP, Rung.TURN_TCP)]
"""The rungs whose link can be cut alone. The last one's ends with the connection below it, which is
known at once."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--runs", type=int, help=f"of each case (default {RUNS})")


def run(args: argparse.Namespace) -> list[Row]:
    runs = args.runs or (QUICK_RUNS if args.quick else RUNS)
    resumes = QUICK_RESUMES if args.quick else RESUMES
    tries = CONNECTS * (WARM_UPS + runs) + CUTS * resumes
    with Process(serve) as server, Process(play) as player:
        player.say(server.hear())
        taken, failed = _taken(player, tries)
    for what, why in failed.items():
        report.note(f"absent: {what}, because {why}")
    rows = []
    for what in CONNECTS:
        if what not in failed:
            rows += _rows(what, taken[what][WARM_UPS:], taken.get(CONNECTS[0], [])[WARM_UPS:])
    for what in CUTS:
        if what not in failed:
            rows += _rows(what, taken[what])
    return rows


def _taken(player: Process, tries: Sequence[Try]) -> tuple[dict[Try, list[float]], dict[Try, str]]:
    """Make the tries, in this order. Return the seconds of each kind, and why some kinds failed:
    those are not tried again."""
    taken: dict[Try, list[float]] = {}
    failed: dict[Try, str] = {}
    with report.progress() as progress:
        for each in progress.track(tries, description="connect"):
            if each in failed:
                continue
            player.say(each)
            answer = player.hear()
            if isinstance(answer, str):
                failed[each] = answer
            else:
                taken.setdefault(each, []).append(answer)
    return taken, failed


def _rows(what: Try, seconds: Sequence[float], floor: Sequence[float] = ()) -> Iterator[Row]:
    for percent in (50, 95):
        value = float(np.percentile(seconds, percent))
        yield Row(str(what), f"p{percent}_ms", value * 1000, "ms")
    if floor and what.case != RAW:
        yield Row(str(what), "p50_to_raw", float(np.median(seconds) / np.median(floor)), "x")
