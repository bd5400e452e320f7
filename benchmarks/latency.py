"""How old is what a player sees? States at 20 Hz between two programs, over bad links.

Two processes on hosts of their own, joined by a virtual cable (`cable.py`; Linux, and root or
user namespaces). One sends a state of 200 bytes 20 times a second, each with the time at which it
was sent; the other notes when it arrives. They share a clock, so one-way times are exact. They
are introduced to each other by pipes, not over the cable. No state travels the other way.

- latency: from sending a state to the callback that receives it, of those that arrived.
- staleness: the age of the newest state that the receiver has, looked at 60 times a second
  (at a random moment of each 60th, so that the 20 Hz do not beat with it). This is what is
  felt: it grows with every state that is lost or late.
- frame wait: from the callback to the next frame of a 59.94 Hz display. It comes on top, and is
  the same for everybody.

| case | what it is |
|---|---|
| ideal | no program: the weather's model alone. Nothing that sends once can be better |
| raw_unreliable | bare aiortc, stock settings, one unordered channel without retransmission |
| websocket | the websockets library over the kernel's TCP (congestion control is printed) |
| ours_unreliable | a netcode channel declared UNRELIABLE |
| ours_reliable | a netcode channel declared RELIABLE: every state arrives, in order |

| weather | one way, each direction |
|---|---|
| clean | nothing: the cost of the programs and of the cable |
| loss5 | 50 ± 5 ms, 5 % of the packets lost |
| lte | a recorded mobile link (--trace), the receiver being the phone |

Every case of one weather has a cable of its own with the same seed, and they are measured side by
side. Together they use a quarter of a core, and they send at different moments of the 50 ms: the
medians in clean weather are the same as one after the other (``--alone``) to 0.1 ms. Ratios of
the 99th percentile of staleness compare the cases. Congestion control reacts to what was lost
when, so figures of TCP differ from seed to seed more than those of the others: a full run
measures each case for 100 s.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks import cable, report
from benchmarks.latency_cases import CONNECT_TIMEOUT
from benchmarks.latency_end import CASES, LINE_LIMIT, LINGER, SEND_RATE, STATE_BYTES, WARM_UP
from benchmarks.report import Row
from netcode.transports.link_model import PRESETS, Conditions, LinkModel, lte

SECONDS = 100.0
"""How long each case is measured: windows of 20 s differ by half."""

QUICK_SECONDS = 6.0

SAMPLE_RATE = 60
"""Looks at the newest state per second."""

START_AHEAD = 0.5
"""Seconds from telling both ends to the first state."""

CLOSE_TIMEOUT = 10.0
"""Seconds that an end has to close its connection before it is killed."""

TRUSTED_LATENESS_MS = 2.0
"""A cable that hands over later than this was disturbed by other programs, and it is said."""

FAILURES = (cable.CableError, ConnectionError, TimeoutError)
"""What can go wrong with one case while the others go on."""

IDEAL = "ideal"
DATAGRAM_OVERHEAD = 93
"""Bytes of IP, UDP, DTLS and SCTP around a state, for the model."""


@dataclass(frozen=True, slots=True)
class Weather:
    name: str
    forth: Conditions
    """From the sender to the receiver."""
    back: Conditions


@dataclass(frozen=True, slots=True)
class Measured:
    """What the receiver of one case noted. All times in seconds of one clock."""

    arrivals: list[tuple[int, float, float]]
    """(sequence number, sent, arrived), of every state that arrived."""
    frame_waits: list[float]
    begin: float
    end: float
    """The time that counts, without the warming up."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trace",
        metavar="PATH",
        help="a recorded link for the lte cases: PATH.up and PATH.down, or one of the two",
    )
    parser.add_argument("--seed", type=int, default=1, help="decides all chance (default 1)")
    parser.add_argument("--seconds", type=float, help=f"for each case (default {SECONDS:g})")
    parser.add_argument("--weather", action="append", help="only this one; can be repeated")
    parser.add_argument("--case", action="append", help="only this one; can be repeated")
    parser.add_argument(
        "--alone", action="store_true", help="one case after the other instead of side by side"
    )


def run(args: argparse.Namespace) -> list[Row]:
    seconds = args.seconds or (QUICK_SECONDS if args.quick else SECONDS)
    cases = [name for name in (IDEAL, *CASES) if not args.case or name in args.case]
    measured = [name for name in cases if name != IDEAL]
    if measured and (reason := cable.unavailable()):
        report.note(f"absent: {', '.join(measured)}, because {reason}")
        cases = [IDEAL] if IDEAL in cases else []
    report.note(f"seed {args.seed}, {seconds:g} s for each case")

    rows: list[Row] = []
    for weather in _weathers(args):
        results = _measure_all(weather, cases, seconds, args)
        for name, result in results.items():
            rows += _rows(f"{name}/{weather.name}", result, args.seed)
        rows += _ratios(weather, rows)
    return rows


def _weathers(args: argparse.Namespace) -> list[Weather]:
    weathers = [Weather(name, PRESETS[name], PRESETS[name]) for name in ("clean", "loss5")]
    if args.trace is None:
        report.note("absent: */lte, because no recorded link was given with --trace")
    else:
        up, down = lte(args.trace)
        weathers.append(Weather("lte", forth=down, back=up))
    return [w for w in weathers if not args.weather or w.name in args.weather]


# -- figures ---------------------------------------------------------------------------------


def _rows(case: str, result: Measured, seed: int) -> list[Row]:
    counted = [(sent, at) for _, sent, at in result.arrivals if result.begin <= sent < result.end]
    if not counted:
        report.note(f"absent: {case}, because no state arrived")
        return []
    latency = np.array([at - sent for sent, at in counted]) * 1000
    stale = np.array(staleness(result, random.Random(seed))) * 1000
    share = len(counted) / ((result.end - result.begin) * SEND_RATE)
    figures = [
        ("latency_p50_ms", float(np.percentile(latency, 50)), "ms"),
        ("latency_p99_ms", float(np.percentile(latency, 99)), "ms"),
        ("staleness_p50_ms", float(np.percentile(stale, 50)), "ms"),
        ("staleness_p99_ms", float(np.percentile(stale, 99)), "ms"),
        ("arrived_percent", 100 * share, "%"),
    ]
    if result.frame_waits:
        wait = float(np.percentile(np.array(result.frame_waits) * 1000, 50))
        figures.append(("frame_wait_p50_ms", wait, "ms"))
    return [Row(case, *figure) for figure in figures]


def staleness(result: Measured, rng: random.Random) -> list[float]:
    """Return the age in seconds of the newest state known, at one moment of each 60th."""
    by_arrival = sorted((at, sent) for _, sent, at in result.arrivals)
    times = [at for at, _ in by_arrival]
    newest = list(accumulate((sent for _, sent in by_arrival), max))
    ages = []
    for n in range(round((result.end - result.begin) * SAMPLE_RATE)):
        now = result.begin + (n + rng.random()) / SAMPLE_RATE
        known = bisect_right(times, now)
        if known:
            ages.append(now - newest[known - 1])
    return ages


def _ratios(weather: Weather, rows: Sequence[Row]) -> list[Row]:
    """Compare each case's staleness with the floor and with TCP."""
    p99 = {row.case: row.value for row in rows if row.metric == "staleness_p99_ms"}
    ratios = []
    for yardstick, short in (("raw_unreliable", "raw"), ("websocket", "websocket")):
        base = p99.get(f"{yardstick}/{weather.name}")
        for name in CASES if base else ():
            case = f"{name}/{weather.name}"
            if base and case in p99 and name != yardstick:
                ratios.append(Row(case, f"staleness_p99_to_{short}", p99[case] / base, "x"))
    return ratios


# -- measuring -------------------------------------------------------------------------------


def _measure_all(
    weather: Weather, cases: Sequence[str], seconds: float, args: argparse.Namespace
) -> dict[str, Measured]:
    results = {}
    if IDEAL in cases:
        results[IDEAL] = _ideal(weather, seconds, args.seed)
    real = [name for name in cases if name != IDEAL]
    groups = [[name] for name in real] if args.alone else [real]
    with report.progress() as progress:
        for group in filter(None, groups):
            results |= asyncio.run(_side_by_side(weather, group, seconds, args.seed, progress))
    return results


def _ideal(weather: Weather, seconds: float, seed: int) -> Measured:
    """Each state as one packet, and nothing else: what the weather alone does to it."""
    model = LinkModel(weather.forth, random.Random(f"{seed} forth"), start=-START_AHEAD)
    arrivals = []
    for sequence in range(round((WARM_UP + seconds) * SEND_RATE)):
        sent = sequence / SEND_RATE
        times = model.plan(sent, STATE_BYTES + DATAGRAM_OVERHEAD)
        if times:
            arrivals.append((sequence, sent, min(times)))
    return Measured(arrivals, [], WARM_UP, WARM_UP + seconds)


async def _side_by_side(
    weather: Weather, names: Sequence[str], seconds: float, seed: int, progress: Progress
) -> dict[str, Measured]:
    all_connected = asyncio.Barrier(len(names))
    # Spread over the interval of sending: at the same moment they would wait for each other's CPU.
    delays = [n / len(names) / SEND_RATE for n in range(len(names))]
    async with asyncio.TaskGroup() as group:
        tasks = {
            name: group.create_task(
                _measure(weather, name, seconds, seed, progress, all_connected, delay)
            )
            for name, delay in zip(names, delays, strict=True)
        }
    return {name: result for name, task in tasks.items() if (result := task.result())}


async def _measure(
    weather: Weather,
    name: str,
    seconds: float,
    seed: int,
    progress: Progress,
    all_connected: asyncio.Barrier,
    delay: float,
) -> Measured | None:
    """Measure one case over a cable of its own; None, with the reason said, if it failed.

    It starts when all cases are connected, so that none computes keys while another is measured.
    """
    case = f"{name}/{weather.name}"
    joined = cable.Cable(weather.forth, weather.back, seed=seed)
    try:
        async with AsyncExitStack() as stack:
            try:
                stack.enter_context(joined)
                ends = [await _start(stack, joined, host, name, seconds) for host in (0, 1)]
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await _introduce(ends, case)
            except FAILURES:
                await all_connected.wait()  # The others wait for this one.
                raise
            await all_connected.wait()
            joined.restart_traces()
            answer = await _measured(ends, progress, case, seconds, delay)
    except FAILURES as error:
        report.note(f"absent: {case}, because {str(error) or 'it did not connect in time'}")
        return None
    if joined.stats is not None and joined.stats.late_p99_ms > TRUSTED_LATENESS_MS:
        late = joined.stats.late_p99_ms
        report.note(f"{case}: the machine is busy, 1 % of the packets were {late:.1f} ms late")
    arrivals = [(n, sent, at) for n, sent, at in answer["arrivals"]]
    return Measured(arrivals, answer["frame_waits"], answer["begin"], answer["end"])


async def _measured(
    ends: Sequence[Process], progress: Progress, case: str, seconds: float, delay: float
) -> dict[str, Any]:
    """Let both ends begin; return what the receiver says. Raises `ConnectionError` if one fails."""
    start = time.monotonic() + START_AHEAD + delay
    for end in ends:
        await _write(end, start=start)
    showing = asyncio.create_task(_show(progress, case, START_AHEAD + WARM_UP + seconds + LINGER))
    try:
        for process in ends:
            answer = await _read(process)
    finally:
        showing.cancel()
    return answer


async def _show(progress: Progress, case: str, seconds: float) -> None:
    bar = progress.add_task(case, total=seconds)
    begin = time.monotonic()
    while True:
        progress.update(bar, completed=time.monotonic() - begin)
        await asyncio.sleep(0.5)


async def _start(
    stack: AsyncExitStack, joined: cable.Cable, host: int, name: str, seconds: float
) -> Process:
    role = ("sender", "receiver")[host]
    argv = [sys.executable, "-m", "benchmarks.latency_end", role, name, str(seconds)]
    process = await asyncio.create_subprocess_exec(
        *joined.command(host, argv), stdin=PIPE, stdout=PIPE, cwd=cable.ROOT, limit=LINE_LIMIT
    )
    stack.push_async_callback(_stop, process)
    return process


async def _stop(process: Process) -> None:
    """End a process by the end of its input, or by force where that is not enough."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), CLOSE_TIMEOUT)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _introduce(ends: Sequence[Process], case: str) -> None:
    """Carry what the two ends tell each other until both are ready."""

    async def relay(speaker: Process, listener: Process) -> None:
        while True:
            line = await _read(speaker)
            if "ready" in line:
                return
            if "note" in line:
                report.note(f"{case}: {line['note']}")
            if "tell" in line:
                await _write(listener, hear=line["tell"])

    await asyncio.gather(relay(ends[0], ends[1]), relay(ends[1], ends[0]))


async def _read(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ConnectionError("an end of the connection died, see above")
    said = dict(json.loads(line))
    if "failed" in said:
        raise ConnectionError(said["failed"])
    return said


async def _write(process: Process, **line: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(line).encode() + b"\n")
    await process.stdin.drain()
