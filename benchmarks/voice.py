"""How long is a voice under way, and what does a server pay to pass it on?

**loopback**: two players of a server, each of the three a process of its own on this machine;
direct WebRTC, default settings, no sound card. One hums, with chirps at known samples in it, that
are found again by correlation in the samples that the other one hears. What counts is from the
moment the first sample of a chirp existed (a frame is complete 20 ms after its first sample, when
the source is asked for it) to the moment at which it sounds (that of the frame, when the sink is
given it, and its place in the frame). Buffers of sound cards come on top. **raw_aiortc** is the
same with aiortc's own tracks, encoder and jitter buffer between two peer connections, and no server
between. Each of several talks begins at another point of the listener's frames.

**forwarding**: one speaks and 20 listen. CPU of the server's process for a second of the stream to
one listener, without what the links cost while nobody speaks; beside it, aiortc's `MediaRelay` with
the same room, which decodes, and encodes for each (96 kbit/s, stereo: aiortc has nothing else). And
what of it is sending alone: SRTP and the socket, with loopback's way to the other socket.

**capacity**: players are added, 20 at a time, one of whom talks or all of whom do (8 are heard by
each), until the server's process takes 90 % of a core, or packets come late (p99 20 ms after the
fastest) though neither server nor players have waited for a core. At most 100 are tried; beyond,
figures are extrapolated as a straight line. Most of it is what a link costs in silence, with 60
ticks and 20 broadcasts a second: voice is the difference.

Two cores, Python 3.11, other programs ran as well (load 3 to 6):

| case | p50 | p95 | ms, from mouth to ear |
|---|---|---|---|
| loopback | 51 | 58 | 42 in another run, of one talk |
| raw_aiortc | 108 | 110 | |

| case | ms of CPU a second and listener | |
|---|---|---|
| forwarding | 0.7 to 1.5 in three runs | 0.34 of it sending: 6.7 µs a packet |
| media_relay | 66 | 43 times as much as 1.5; it does not keep up with 10 listeners |

| capacity | of a core | in silence |
|---|---|---|
| 20, 40, 60 listeners of one | 22, 34, 47 % | 18, 30, 40 % |
| 10, 20 who all talk | 23, 30 % | 11, 14 % |

By that, 90 % are some 130 listeners of one speaker, or some 100 players who all talk: both
extrapolated, since other programs had the cores.

Where the time goes: 20 ms until a frame is complete, 6.5 ms that Opus looks ahead, about 1 ms of
encoding, server and sockets, and 15 to 25 ms in the jitter buffer, of which up to 20 are chance:
where in a frame of the listener's the packets come.

Goals: loopback at most 60 ms at the median; forwarding at most 0.35 of the relay.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np

import netcode as nc
from benchmarks import report
from benchmarks.busy_game_ends import Process
from benchmarks.report import Row
from benchmarks.voice_ends import READY, Noticed, Room, Used, play, send, serve
from benchmarks.voice_loopback import hear, raw_hear, raw_talk, talk
from benchmarks.voice_marks import delays
from benchmarks.voice_relay import attend, relay

WARM_UP = 1.5
"""Seconds of talking that do not count: links and buffers settle, code is specialised."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured. Times in seconds."""

    talks: int
    talk_seconds: float
    listeners: int
    """Of the room in which forwarding is compared."""
    rounds: int
    round_seconds: float
    step: int
    """Players that are added at a time, to see how many there may be …"""
    most: int
    """… and how many are tried at most."""


FULL = Effort(6, 6.0, 20, 3, 3.0, 20, 100)
QUICK = Effort(2, 4.0, 10, 2, 1.5, 10, 20)

FULL_CORE = 0.9
TOO_LATE = 0.02
"""Where a server is at its end: share of a core, and seconds by which the latest of a hundred
packets are late."""

PACKET_RATE = 50
"""Packets a second of somebody who talks."""

SENDINGS = 50
"""Rounds in which the cost of one send is measured."""

STARVED = 0.1
"""Share of the time for which a process could have run and did not: beyond it, lateness is no fault
of the process."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--case", choices=CASES, help="only this one")


def run(args: argparse.Namespace) -> list[Row]:
    rows: list[Row] = []
    for name, case in CASES.items():
        if args.case in (None, name):
            rows += case(QUICK if args.quick else FULL)
    return rows


# -- from mouth to ear -----------------------------------------------------------------------


def _loopback(effort: Effort) -> Iterator[Row]:
    """Ours and aiortc's in turns, in new processes each time: where in a frame of the listener's
    those of the talker end is chance, which lasts as long as both do."""
    seconds = WARM_UP + effort.talk_seconds
    ours: list[float] = []
    raw: list[float] = []
    waits: list[float] = []
    marks = 0
    for _ in range(effort.talks):
        captured, wait = _ours(seconds, ours)
        marks += captured
        waits.append(wait)
        marks += _raw(seconds, raw)
    for case, found in (("loopback", ours), ("raw_aiortc", raw)):
        for percent in (50, 95):
            value = float(np.percentile(found, percent))
            yield Row(case, f"mouth_to_ear_ms_p{percent}", value * 1000, "ms")
        yield Row(case, "marks_found_percent", 200.0 * len(found) / marks, "%")
    yield Row("loopback", "jitter_buffer_ms_p50", float(np.median(waits)) * 1000, "ms")


def _ours(seconds: float, found: list[float]) -> tuple[int, float]:
    """Talk once; add the delays that were found. Returns how many marks there were, and the last
    delay of the jitter buffer."""
    with Process(serve) as server, Process(hear) as ear, Process(talk) as mouth:
        url = server.hear()
        ear.say((url, seconds + 2.0))
        ear.hear()
        mouth.say((url, seconds))
        captured = mouth.hear(seconds)
        heard, wait = ear.hear(seconds)
    counted = [at for at in captured if at >= captured[0] + WARM_UP]
    found += delays(counted, heard)
    return len(counted), wait


def _raw(seconds: float, found: list[float]) -> int:
    with Process(raw_hear) as ear, Process(raw_talk) as mouth:
        ear.say((mouth.hear(), seconds + 2.0))
        mouth.say((ear.hear(), seconds))
        captured = mouth.hear(seconds)
        heard = ear.hear(seconds)
    counted = [at for at in captured if at >= captured[0] + WARM_UP]
    found += delays(counted, heard)
    return len(counted)


# -- what forwarding costs -------------------------------------------------------------------


def _forwarding(effort: Effort) -> Iterator[Row]:
    ours, theirs = _cost(_forward, effort), _cost(_media_relay, effort)
    with Process(send) as sending:
        sending.say(SENDINGS)
        alone = float(np.median(sending.hear()))
    unit = "server_cpu_ms_per_stream_second"
    yield Row("forwarding", unit, ours * 1000, "ms")
    yield Row("forwarding", "ratio_to_media_relay", ours / theirs, "x")
    yield Row("forwarding", "send_us_per_packet", alone * 1e6, "us")
    yield Row("media_relay", unit, theirs * 1000, "ms")


Measure = Callable[[bool], Used]
"""Says what the server used for a while in which somebody talks, or nobody does."""


def _cost(room: Callable[[int, float], AbstractContextManager[Measure]], effort: Effort) -> float:
    """CPU seconds of a second of one speaker's stream to one listener, without what the links cost
    anyway, which is measured before anybody speaks: aiortc's relay goes on for a while afterwards.
    Packets are counted, 50 of which are a second: a relay that does not keep up sends fewer. The
    median of the rounds."""
    costs = []
    with room(effort.listeners, effort.round_seconds) as measure:
        silent = measure(False)
        measure(True)
        for _ in range(effort.rounds):
            talking = measure(True)
            if not talking.forwarded:
                raise RuntimeError("nothing of what is said is passed on")
            costs.append((talking.cpu - silent.share * talking.seconds) / talking.forwarded)
    return float(np.median(costs)) * PACKET_RATE


@contextmanager
def _forward(listeners: int, seconds: float) -> Iterator[Measure]:
    """A server of ours with a room in it, while the context lasts."""
    with Process(serve) as server, Process(play) as crowd:
        crowd.say(server.hear())

        def measure(talks: bool) -> Used:
            crowd.say(Room(1 + listeners, int(talks)))
            _must(crowd.hear(60.0))
            server.say(seconds)
            return server.hear(seconds)

        yield measure


@contextmanager
def _media_relay(listeners: int, seconds: float) -> Iterator[Measure]:
    with Process(relay) as server, Process(attend) as crowd:
        crowd.say(listeners)
        for _ in range(1 + listeners):
            server.say(crowd.hear())
            crowd.say(server.hear())
        _must(crowd.hear())

        def measure(talks: bool) -> Used:
            crowd.say(talks)
            _must(crowd.hear())
            server.say(seconds)
            return server.hear(seconds)

        yield measure


def _must(answer: str) -> None:
    if answer != READY:
        raise RuntimeError(f"the players are not there: {answer}")


# -- how much one core carries ---------------------------------------------------------------


def _capacity(effort: Effort) -> Iterator[Row]:
    yield from _raised("listeners", lambda size: Room(1 + size, 1), effort)
    yield from _raised("talkers", lambda size: Room(size, size), effort)


def _raised(what: str, room: Callable[[int], Room], effort: Effort) -> Iterator[Row]:
    """Add as many each time, until the server or the packets say that it is enough."""
    case = f"capacity/{what}"
    loads: list[tuple[int, float]] = []
    seconds = effort.round_seconds
    carried, why = 0, f"{effort.most} {what} were the most that was tried"
    with Process(serve) as server, Process(play) as crowd:
        crowd.say(server.hear())
        for size in range(effort.step, effort.most + 1, effort.step):
            crowd.say(Room(room(size).players, 0))
            answer = crowd.hear(120.0)
            if answer != READY:
                why = f"no more players came in: {answer}"
                break
            server.say(seconds)
            silent: Used = server.hear(seconds)
            crowd.say(room(size))
            _must(crowd.hear())
            measured = _load(server, crowd, room(size), silent, seconds)
            if measured is None:
                why = "nothing was passed on: the machine is too busy for the players"
                break
            load, late, said = measured
            report.note(f"{case} {size}: {said}")
            loads.append((size, load))
            if load >= FULL_CORE:
                why = "the server's core is full"
                break
            if late:
                why = "packets are late, and it is not for want of a core"
                break
            carried = size
    report.note(f"{case}: {carried} carried; then {why}")
    yield Row(case, f"{what}_measured", float(carried), what)
    yield Row(case, "server_core_percent", 100.0 * dict(loads).get(carried, 0.0), "%")
    full = _extrapolated(loads)
    if full is not None:
        yield Row(case, f"{what}_extrapolated", full, what)


def _load(
    server: Process, crowd: Process, room: Room, silent: Used, seconds: float
) -> tuple[float, bool, str] | None:
    """What share of a core the room takes, whether the server is late, and both in words; None if
    no packet was passed on.

    Where other programs have the cores, fewer packets are passed on than were to be: what each of
    them costs is known all the same. Packets that are late count if server and players have had
    their cores when they wanted them, and if it happens three times.
    """
    slots = min(nc.EveryoneVoice().slots, room.talking)
    for _ in range(3):
        crowd.say(None)
        crowd.hear()
        server.say(seconds)
        used: Used = server.hear(seconds)
        crowd.say(None)
        noticed: Noticed = crowd.hear()
        if noticed.late_p99 <= TOO_LATE:
            break
    if not used.forwarded:
        return None
    wanted = (
        PACKET_RATE
        * used.seconds
        * (room.players * slots if room.talking > slots else (room.players - 1) * room.talking)
    )
    passed_on = used.forwarded / wanted
    load = silent.share + (used.share - silent.share) / passed_on
    starved = max(used.waited / used.seconds, noticed.waited_share)
    late = noticed.late_p99 > TOO_LATE and starved < STARVED
    words = (
        f"{load:.0%} of a core, {silent.share:.0%} in silence; {passed_on:.0%} of the packets were "
        f"passed on, p99 {noticed.late_p99 * 1000:.1f} ms late; the players took "
        f"{noticed.cpu_share:.0%} of a core; other programs had the cores for {starved:.0%}"
    )
    return load, late, words


def _extrapolated(loads: list[tuple[int, float]]) -> float | None:
    """How many fill the core, if each more costs as much as those did that were measured; None if
    no cost was to be seen."""
    if not loads:
        return None
    sizes, shares = np.array(loads if len(loads) > 1 else [(0, 0.0), *loads]).T
    slope, base = np.polyfit(sizes, shares, 1)
    return float((FULL_CORE - base) / slope) if slope > 0 else None


CASES: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "loopback": _loopback,
    "forwarding": _forwarding,
    "capacity": _capacity,
}
