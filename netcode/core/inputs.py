"""Inputs on their way from a frame of the game to a tick of the server, on both ends.

A press shorter than a frame or a packet lost must not swallow a shot, and a hitch must not fire
one twice. So every tick has exactly one input; the client repeats it until it is of no use any
more; and where it comes too late for its tick, its edges count at a later one.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from netcode.core.stats import ServerStats
from netcode.declarations import Input
from netcode.errors import UsageError
from netcode.fields import Context
from netcode.protocol import Protocol
from netcode.wire.packets import LAG_STEPS, MAX_INPUTS, MAX_LAG, InputPacket

Inputs = tuple[Input, ...]
"""One input of every class, in the protocol's order."""

MAX_TICKS_PER_UPDATE = 15
"""Ticks that one update makes up for, after a frame that took a quarter of a second."""

REPEATED = 6
"""Ticks for which an input is sent on although the server has passed its tick: three packets, in
case the ones before were lost. A repeated input that did not change costs a bit."""

MAX_INPUT_LEAD = 120
"""Ticks that an input may be ahead of the server; what claims more is not believed."""

MAX_LATE = MAX_INPUTS
"""Ticks after which a press that comes late does not count any more."""

PACKET_RATE, PACKET_BURST = 150.0, 60.0
"""Input packets a second that a server reads of one client, and so many at once after a pause: five
times what a client sends. An input more for a tick changes nothing; reading it costs time."""


@dataclass(slots=True)
class Sampled:
    """The inputs of a tick, as the client keeps them."""

    tick: int
    inputs: Inputs
    lag: int
    """See `InputPacket.lags`."""


class InputSampler:
    """The client's end: takes in what frames say, and gives every tick its input."""

    def __init__(self, protocol: Protocol, context: Context) -> None:
        self.tick = -1
        """The newest tick that has its input."""
        self._kinds = protocol.inputs
        self._context = context
        self._pending: Inputs = tuple(kind() for kind in protocol.inputs)
        self._seen: float | None = None
        self._recent: deque[Sampled] = deque(maxlen=MAX_INPUTS)
        self._sent = -1

    def latch(self, inputs: Sequence[Input], seen: float | None = None) -> None:
        """Take in one frame's inputs, and the display tick of the picture that they answer.

        Raises `UsageError` for a class of another game.
        """
        for given in inputs:
            if type(given) not in self._kinds:
                raise UsageError(
                    f"{given!r} is not an input of this game: add its class to "
                    "Protocol(inputs=[...])"
                )
        self._seen = seen
        by_kind = {type(given): given for given in inputs}
        self._pending = tuple(
            waiting.merged_with(by_kind[type(waiting)]) if type(waiting) in by_kind else waiting
            for waiting in self._pending
        )

    def jump_back(self, newest: int) -> None:
        """The clock was too far ahead: ticks from ``newest`` on get their inputs once more."""
        self._recent = deque(
            (entry for entry in self._recent if entry.tick < newest), maxlen=MAX_INPUTS
        )
        self.tick = newest - 1
        self._sent = min(self._sent, self.tick)

    def sample(self, newest: int) -> list[tuple[int, Inputs]]:
        """Give every tick up to ``newest`` its input, and return those that are to be simulated.

        After a long frame several ticks are due at once. Edges belong to the newest one: the
        others have been simulated at the server by the time they get there.
        """
        if newest <= self.tick:
            return []
        before = newest - 1 if self.tick < 0 else self.tick
        fresh = tuple(as_received(part, self._context) for part in self._pending)
        held = tuple(part.held() for part in fresh)
        for tick in range(max(before + 1, newest - MAX_INPUTS + 1), newest + 1):
            inputs = fresh if tick == newest else held
            self._recent.append(Sampled(tick, inputs, self._lag(tick)))
        self._pending = tuple(part.held() for part in self._pending)
        self.tick = newest
        first = max(before + 1, newest - MAX_TICKS_PER_UPDATE + 1)
        return [(entry.tick, entry.inputs) for entry in self._recent if entry.tick >= first]

    def _lag(self, tick: int) -> int:
        if self._seen is None:
            return 0
        return max(0, min(MAX_LAG, round((tick - self._seen) * LAG_STEPS)))

    def pending(self) -> Inputs:
        """What the next tick's inputs would be if it were now."""
        return tuple(as_received(part, self._context) for part in self._pending)

    @property
    def unsent(self) -> int:
        """Ticks whose inputs have not been sent yet."""
        return self.tick - self._sent

    def to_send(self, simulated: int) -> list[Sampled]:
        """The inputs that the server may still want, oldest first.

        ``simulated`` is the newest tick that the server is known to have simulated.
        """
        self._sent = self.tick
        return [entry for entry in self._recent if entry.tick > simulated - REPEATED]


@dataclass(slots=True)
class _Waiting:
    """An input that has come, and waits for its tick."""

    inputs: Inputs
    lag: int
    arrived: float
    silence: float
    """Seconds since the packet before: what it may have been held up by lost ones."""


class InputBuffer:
    """The server's end: one player's inputs, consumed in the order of ticks, each exactly once.

    However fast a client sends, a tick takes one input: nobody moves faster than the clock. Times
    are monotonic seconds; ``tick_rate`` is in ticks a second.
    """

    def __init__(self, protocol: Protocol, tick_rate: float = 60.0) -> None:
        self._rate = tick_rate
        self._waiting: dict[int, _Waiting] = {}
        self._at_rest: Inputs = tuple(kind() for kind in protocol.inputs)
        self._held = self._at_rest
        self._late: deque[tuple[int, _Waiting]] = deque(maxlen=MAX_LATE)
        """What came too late and has edges, with its tick: each counts at the next tick that has
        none itself."""
        self._used: set[int] = set()
        """Which of the last `MAX_LATE` ticks' inputs have been used, in time or late."""
        self._has_said_anything = False
        self._ran_at = 0.0
        """When the newest tick was simulated."""
        self._earliest = math.inf
        self._allowance = PACKET_BURST
        self._silence = 0.0
        self._heard_at: float | None = None
        self.consumed_tick: int | None = None
        """The tick of the newest input that the simulation has used."""
        self.lag = 0
        """How far the picture that the newest input answered lay behind its tick, as the client
        says, in 1/32 of a tick."""
        self.waited = 0.0
        """Seconds for which the newest input that was consumed had been here before its tick."""
        self.silence = 0.0
        """Seconds in which nothing came before that input came."""
        self.earliness = 0.0
        """See `report`."""

    def allows(self, now: float, stats: ServerStats) -> bool:
        """Whether one more packet is read: there is a limit to how many come in a second."""
        self._silence = 0.0 if self._heard_at is None else now - self._heard_at
        self._heard_at = now
        self._allowance = min(PACKET_BURST, self._allowance + self._silence * PACKET_RATE)
        if self._allowance < 1.0:
            stats.refused_inputs += 1
            return False
        self._allowance -= 1.0
        return True

    def put(
        self, packet: InputPacket, tick: int, now: float, stats: ServerStats, newest: bool = True
    ) -> None:
        """Take in a packet's inputs; ``tick`` is the last one simulated.

        For a tick to come the newest packet counts: a client whose clock was ahead, because this
        server had stood still, says anew what its player wants.
        """
        first = packet.newest_tick - len(packet.inputs) + 1
        told = zip(packet.inputs, packet.lags, strict=True)
        for wanted, (inputs, lag) in enumerate(told, start=first):
            if wanted > tick + MAX_INPUT_LEAD:
                stats.refused_inputs += 1
            elif wanted > tick:
                waiting = self._waiting.get(wanted)
                said = waiting is not None and (waiting.inputs, waiting.lag) == (inputs, lag)
                if waiting is None or (newest and not said):
                    self._waiting[wanted] = _Waiting(inputs, lag, now, self._silence)
                self._has_said_anything = True
            elif wanted > tick - MAX_LATE and wanted not in self._used:
                stats.late_inputs += 1
                self._used.add(wanted)
                needed = self._ran_at - (tick - wanted) / self._rate
                self._earliest = min(self._earliest, needed - now)
                if _has_edges(inputs):
                    self._late.append((wanted, _Waiting(inputs, lag, now, self._silence)))

    def consume(self, tick: int, now: float, stats: ServerStats) -> Inputs:
        """The inputs for this tick; if none came in time, the last ones go on."""
        self._ran_at = now
        self._used.discard(tick - MAX_LATE)
        came = self._waiting.pop(tick, None)
        if came is None:
            stats.missing_inputs += self._has_said_anything
            inputs = self._held
        else:
            self._used.add(tick)
            self.consumed_tick, self.lag = tick, came.lag
            self.waited, self.silence = now - came.arrived, came.silence
            self._earliest = min(self._earliest, self.waited)
            inputs = came.inputs
            self._held = tuple(part.held() for part in inputs)
        if self._late and not _has_edges(inputs):
            pressed, late = self._late.popleft()
            inputs = tuple(
                one.merged_with(two) for one, two in zip(late.inputs, inputs, strict=True)
            )
            self.lag = min(MAX_LAG, late.lag + (tick - pressed) * LAG_STEPS)
            self.waited, self.silence = now - late.arrived, late.silence
        return inputs

    def rest(self) -> None:
        """Nothing is wanted any more until something new is said: the player's link has failed."""
        self._waiting.clear()
        self._late.clear()
        self._held = self._at_rest
        self._has_said_anything = False
        self._heard_at = None

    def report(self) -> float:
        """Seconds by which the latest of the inputs since the last report came before they were
        needed, negative if one was late; the last report again if nothing came."""
        if self._earliest < math.inf:
            self.earliness, self._earliest = self._earliest, math.inf
        return self.earliness


def _has_edges(inputs: Inputs) -> bool:
    return any(part != part.held() for part in inputs)


def as_received(given: Input, context: Context) -> Input:
    """An input as it reads at the other end, rounded and clamped: what is predicted with."""
    values = {
        field.name: field.decode(field.encode(given._get(field), context), context)
        for field in given.fields
    }
    return type(given)(**values)
