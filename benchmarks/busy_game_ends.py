"""The two ends of the busy game question, each a process of its own: a server and a player.

Both note when packets leave and arrive on `time.monotonic`, which all processes of one machine
share. They note it where the library hands a packet to WebRTC and takes it in, on its own thread.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from statistics import median
from types import TracebackType
from typing import Any, Literal

import netcode as nc
from netcode.core.guest import EAGER
from netcode.link.frames import Heartbeat
from netcode.link.liveness import Liveness
from netcode.wire.packets import STATE, InputPacket

SHIPS = 50
"""That all move: what a player sees of a lively game."""

FRAME_RATE = 61.0
"""Frames a second. Not 60, or every broadcast would come at the same point of a frame: so its
point goes through a whole frame in a second."""

ANSWER_TIMEOUT = 60.0
"""Seconds that a process may take longer than it was asked to work."""

CALIBRATIONS = 15
CALIBRATION_ROUNDS = 20_000

FIRST_SNAPSHOT_TIMEOUT = 10.0

_SEQUENCE = struct.Struct("<BH")
"""The head of a state packet: what it is, and its number."""

Key = tuple[int, int]
"""(player, number of the packet)."""


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    y = nc.Float(-2000, 2000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)
    vy = nc.Float(-400, 400, step=0.1)
    heading = nc.Angle(bits=10)


class Steer(nc.Input):
    turn = nc.Int(-1, 1)
    thrust = nc.Bool()


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.heading += steer.turn * 3.0 * step.dt
    ship.vx = 100.0 * math.cos(ship.heading) * steer.thrust
    ship.vy = 100.0 * math.sin(ship.heading) * steer.thrust
    ship.x += ship.vx * step.dt
    ship.y += ship.vy * step.dt


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: fly})


Network = Literal["thread", "own loop", "none"]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    busy: bool = True
    """Whether a frame has work to do."""
    interval: float | None = None
    """The switch interval in seconds; None leaves it as the library has it."""
    network: Network = "thread"
    """Where the client's network runs. Cases that are played together have the same."""


@dataclass(slots=True)
class ServerNotes:
    states_sent: dict[Key, float] = field(default_factory=dict)
    inputs_read: dict[Key, float] = field(default_factory=dict)


@dataclass(slots=True)
class Slot:
    """What a player noted while one case was played. Times in seconds."""

    begin: float
    end: float
    interval: float
    """The switch interval that was in force."""
    states_read: dict[Key, float] = field(default_factory=dict)
    inputs_due: dict[Key, float] = field(default_factory=dict)
    rtts: list[float] = field(default_factory=list)
    frames: list[float] = field(default_factory=list)
    """How long the work of each frame took."""


class Process:
    """A process with a pipe to this one; a context manager."""

    def __init__(self, target: Callable[[Connection], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=target, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()  # its sign to end
        self._process.join(ANSWER_TIMEOUT)
        self._process.kill()
        self._process.join()

    def say(self, what: Any) -> None:
        self._pipe.send(what)

    def hear(self, within: float = 0.0) -> Any:
        """The next answer. Raises `RuntimeError` if there is none."""
        if not self._pipe.poll(within + ANSWER_TIMEOUT):
            raise RuntimeError("a process of the benchmark does not answer")
        try:
            return self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("a process of the benchmark has died, see above") from error


# -- the server ------------------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Say the URL, serve until told to stop, and say what was noted."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    notes = ServerNotes()
    server = nc.Server(GAME, tick_rate=60, broadcast_rate=20)
    ships = [server.world.spawn(Ship) for _ in range(SHIPS)]

    @server.on_tick
    def rules(step: nc.Step) -> None:
        now = step.tick * step.dt
        for number, ship in enumerate(ships):
            angle = now * (0.3 + number / SHIPS) + number
            ship.x = 20.0 * number * math.cos(angle)
            ship.y = 20.0 * number * math.sin(angle)
            ship.vx, ship.vy = -ship.y * 0.3, ship.x * 0.3
            ship.heading = angle

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship))
        _note_packets(player, notes)

    @server.on_leave
    def leave(player: nc.Player) -> None:
        for ship in player.entities:
            server.world.despawn(ship)

    async with server:
        pipe.send(server.url)
        with suppress(EOFError):
            await asyncio.to_thread(pipe.recv)
    with suppress(OSError):
        pipe.send(notes)


def _note_packets(player: nc.Player, notes: ServerNotes) -> None:
    send, take = player.send_datagram, player.take_inputs

    def send_datagram(data: bytes) -> bool:
        kind, sequence = _SEQUENCE.unpack_from(data)
        if kind == STATE:
            notes.states_sent[player.id, sequence] = time.monotonic()
        return send(data)

    def take_inputs(packet: InputPacket, *rest: Any) -> bool:
        notes.inputs_read[player.id, packet.sequence] = time.monotonic()
        return take(packet, *rest)

    player.send_datagram = send_datagram  # type: ignore[method-assign]
    player.take_inputs = take_inputs  # type: ignore[method-assign]


# -- the player ------------------------------------------------------------------------------


def play(pipe: Connection) -> None:
    """Told the URL and the seconds of work a frame; then again and again (cases, seconds), which
    makes one connection and answers with a slot for each case."""
    with suppress(EOFError):
        url, work_seconds = pipe.recv()
        work = calibrate(work_seconds)
        while True:
            cases, seconds = pipe.recv()
            pipe.send(_PLAYED_ON[cases[0].network](url, work, cases, seconds))


def burn(rounds: int) -> int:
    """Work in plain Python, of which nothing is left but the time."""
    total = 0
    for n in range(rounds):
        total += n % 7
    return total


def calibrate(seconds: float) -> int:
    """Rounds that take as long while this process does nothing else."""
    taken = []
    for _ in range(CALIBRATIONS):
        begin = time.perf_counter()
        burn(CALIBRATION_ROUNDS)
        taken.append(time.perf_counter() - begin)
    return round(CALIBRATION_ROUNDS * seconds / median(taken))


class _Player:
    """A client, and what is noted of it. Made before the client starts."""

    def __init__(self, url: str, work: int) -> None:
        self.client = nc.connect(url, GAME, name="busy")
        self.slots: list[Slot] = []
        self._slot = Slot(0.0, 0.0, 0.0)
        self._work = work
        self._guest: Any = self.client._guest  # Any, because its methods are replaced
        self._note_states()
        self._note_inputs()

    def _note_states(self) -> None:
        take = self._guest.connection._on_datagram

        def noted(data: bytes) -> None:
            take(data)
            kind, sequence = _SEQUENCE.unpack_from(data)
            if kind == STATE:
                self._slot.states_read[self.client.player_id, sequence] = time.monotonic()

        self._guest.connection._on_datagram = noted

    def _note_inputs(self) -> None:
        guest = self._guest
        send, sample = guest._send_inputs, guest._sampler.sample
        latest = sampled = 0.0

        def note_sample(newest: int) -> Any:
            nonlocal sampled
            due = sample(newest)
            if due:
                sampled = time.monotonic()
            return due

        def note_send() -> None:
            nonlocal latest
            send()
            # Due when the time had come, or somewhat before with inputs enough for a packet.
            eager = max(sampled, latest - EAGER * guest._input_interval)
            key = self.client.player_id, guest._packet
            self._slot.inputs_due[key] = min(latest, eager)
            latest = guest._next_input_at

        guest._sampler.sample = note_sample
        guest._send_inputs = note_send

    def _note_round_trips(self) -> None:
        liveness = self._guest.link.liveness
        hear = liveness.hear_beat

        def noted(beat: Heartbeat, now: float) -> None:
            hear(beat, now)
            single = Liveness(now)  # what this beat alone says, not smoothed
            single.hear_beat(beat, now)
            if single.rtt is not None:
                self._slot.rtts.append(single.rtt)

        liveness.hear_beat = noted

    def play(self, cases: Sequence[Case], seconds: float) -> Iterator[float]:
        """Play; each value is what the game waits for its next frame, in seconds."""
        self._note_round_trips()
        deadline = time.monotonic() + FIRST_SNAPSHOT_TIMEOUT
        while self.client.own(Ship) is None:
            if time.monotonic() > deadline:
                raise TimeoutError("no snapshot has come")
            self.client.update()
            yield 1 / FRAME_RATE
        found = sys.getswitchinterval()
        for case in cases:
            sys.setswitchinterval(found if case.interval is None else case.interval)
            now = time.monotonic()
            self._slot = Slot(now, now + seconds, sys.getswitchinterval())
            self.slots.append(self._slot)
            for due in paced(self._slot.end):
                self._frame(case)
                yield until(due)
        sys.setswitchinterval(found)

    def _frame(self, case: Case) -> None:
        self.client.update(Steer(turn=1, thrust=True))
        for ship in self.client.world[Ship]:
            math.hypot(ship.x, ship.y)
        if case.busy:
            self._slot.frames.append(timed_burn(self._work))


def timed_burn(work: int) -> float:
    begin = time.perf_counter()
    burn(work)
    return time.perf_counter() - begin


def paced(end: float) -> Iterator[float]:
    """For each frame until ``end``, when the next one is due."""
    due = time.monotonic()
    while due < end:
        # A frame that comes late is late; those that it has missed are not made up for.
        due = max(due + 1 / FRAME_RATE, time.monotonic())
        yield due


def until(due: float) -> float:
    return max(0.0, due - time.monotonic())


def _on_a_thread(url: str, work: int, cases: Sequence[Case], seconds: float) -> list[Slot]:
    player = _Player(url, work)
    with player.client:
        for wait in player.play(cases, seconds):
            time.sleep(wait)
    return player.slots


def _on_own_loop(url: str, work: int, cases: Sequence[Case], seconds: float) -> list[Slot]:
    async def play() -> list[Slot]:
        player = _Player(url, work)
        async with player.client:
            for wait in player.play(cases, seconds):
                await asyncio.sleep(wait)
        return player.slots

    return asyncio.run(play())


def _alone(url: str, work: int, cases: Sequence[Case], seconds: float) -> list[Slot]:
    """Nothing but the work: what a frame takes in a game without a network."""
    slots = []
    for _ in cases:
        now = time.monotonic()
        slot = Slot(now, now + seconds, sys.getswitchinterval())
        for due in paced(slot.end):
            slot.frames.append(timed_burn(work))
            time.sleep(until(due))
        slots.append(slot)
    return slots


_PLAYED_ON: dict[Network, Callable[[str, int, Sequence[Case], float], list[Slot]]] = {
    "thread": _on_a_thread,
    "own loop": _on_own_loop,
    "none": _alone,
}
