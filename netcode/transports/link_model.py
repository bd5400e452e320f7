"""Bad weather on one direction of a link, as a pure function of time and chance.

`LinkModel.plan` is told when a packet is sent and how large it is, and says when it arrives: not
at all, once, or twice. It knows no clock and no event loop, so the same model serves unit tests,
the conditioner of a running program and the virtual cable of the benchmarks.

A packet passes, in this order: the bottleneck (a queue in front of a limited rate or of a
recorded trace), loss, delay with jitter, duplication and reordering.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from netcode.errors import UsageError

if TYPE_CHECKING:
    from random import Random

JITTER_TRUNCATION = 2.5
"""Jitter is drawn again beyond this many deviations: one draw in 80, and no packet is absurd."""

TRACE_SLOT = 1_500
"""Bytes that one line of a mahimahi trace carries, IP header included."""

LTE_DELAY = 0.020
"""Seconds of propagation added to an LTE trace, which records the capacity of the radio only."""

LTE_QUEUE = 60
"""Packets that wait before the radio. Phones' real queues are longer, and worse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What one direction of a link does to packets. Without arguments: nothing at all.

    Raises `UsageError` (a `ValueError`) for values that make no sense.
    """

    delay: float = 0.0
    """One-way delay in seconds."""

    jitter: float = 0.0
    """Deviation of the delay in seconds: a normal distribution, truncated at
    `JITTER_TRUNCATION` deviations and at no delay. Packets do not overtake each other through
    jitter: one that would is delivered together with the one before it, so the mean delay grows
    when packets are sent closer together than the jitter."""

    loss: float = 0.0
    """Share of the packets that are lost, 0 to 1, in the long run exactly."""

    burst: float = 1.0
    """Mean length of a run of lost packets (Gilbert–Elliott). Losses are independent while this
    is at most ``1 / (1 - loss)``, the mean run that chance makes by itself."""

    duplicate: float = 0.0
    """Share of the packets that arrive twice, 0 to 1. The copy has its own jitter."""

    reorder: float = 0.0
    """Share of the packets that are held back while later ones overtake them, 0 to 1."""

    reorder_by: float = 0.05
    """How long a reordered packet is held back, in seconds."""

    rate: float | None = None
    """Bytes per second that the link carries; None is no limit."""

    trace: tuple[int, ...] | None = None
    """Instead of a rate: the milliseconds at which the link carries up to `TRACE_SLOT` bytes
    (see `load_trace`). Small packets share a slot, a packet may take its bytes from two, and
    after the last slot the trace begins again."""

    queue: int = 60
    """Packets that wait for the rate or the trace, with the one being carried. When it is full,
    new packets are lost."""

    def __post_init__(self) -> None:
        self.validate()

    def validate(self) -> None:
        """Raise `UsageError` naming the field that makes no sense."""
        for name in ("delay", "jitter", "reorder_by"):
            seconds = getattr(self, name)
            if not (isfinite(seconds) and seconds >= 0):
                raise UsageError(f"{name} is in seconds and cannot be {seconds!r}")
        for name in ("loss", "duplicate", "reorder"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise UsageError(f"{name} is a share from 0 to 1 (5 % is 0.05), not {share!r}")
        if not (isfinite(self.burst) and self.burst >= 1):
            raise UsageError(f"burst is a mean run of at least 1 packet, not {self.burst!r}")
        if self.rate is not None and not (isfinite(self.rate) and self.rate > 0):
            raise UsageError(f"rate is in bytes per second or None, not {self.rate!r}")
        if self.queue < 1:
            raise UsageError(f"queue holds at least 1 packet, not {self.queue!r}")
        if self.trace is not None:
            if self.rate is not None:
                raise UsageError("give either a rate or a trace: the trace is the rate")
            _validate_trace(self.trace)


def _validate_trace(trace: tuple[int, ...]) -> None:
    if not trace or trace[0] < 0 or trace[-1] <= 0:
        raise UsageError("a trace needs milliseconds from 0 on, the last one above 0")
    if any(later < earlier for earlier, later in pairwise(trace)):
        raise UsageError("the milliseconds of a trace must not decrease")


PRESETS: Mapping[str, Conditions] = MappingProxyType(
    {
        "clean": Conditions(),
        "lan": Conditions(delay=0.0005, jitter=0.0002),
        "wifi": Conditions(delay=0.010, jitter=0.006, loss=0.005, burst=2),
        "4g": Conditions(delay=0.045, jitter=0.012, loss=0.015, burst=3),
        "loss5": Conditions(delay=0.050, jitter=0.005, loss=0.05, burst=1),
        "terrible": Conditions(
            delay=0.120, jitter=0.050, loss=0.08, burst=4, duplicate=0.01, reorder=0.02
        ),
    }
)
"""Weather with a name, for each direction of a link. `lte` makes the one that needs a file."""


def conditions(which: str | Conditions) -> Conditions:
    """Return the preset of that name, or the argument if it is `Conditions` already.

    Raises `UsageError` for a name that is no preset.
    """
    if isinstance(which, Conditions):
        return which
    try:
        return PRESETS[which]
    except KeyError:
        known = ", ".join(PRESETS)
        hint = "; make 'lte' from a recorded trace with lte(path)" if which == "lte" else ""
        raise UsageError(f"no preset is called {which!r} (there are: {known}{hint})") from None


def load_trace(path: str | Path) -> tuple[int, ...]:
    """Read a mahimahi trace: one millisecond per line at which one packet could be carried.

    The same number twice means two packets. Raises `OSError` when the file cannot be read and
    `UsageError` when it is no trace.
    """
    try:
        trace = tuple(int(line) for line in Path(path).read_text("ascii").split())
    except ValueError as error:
        raise UsageError(f"{path} is no mahimahi trace: {error}") from None
    _validate_trace(trace)
    return trace


def lte(path: str | Path) -> tuple[Conditions, Conditions]:
    """Return the conditions (up, down) of a recorded mobile link.

    ``path`` names either of the two files ``X.up`` and ``X.down``, or their common ``X``.
    Up is from the phone, down is towards it. Raises like `load_trace`.
    """
    prefix = str(path).removesuffix(".down").removesuffix(".up")
    up, down = (
        Conditions(delay=LTE_DELAY, queue=LTE_QUEUE, trace=load_trace(prefix + suffix))
        for suffix in (".up", ".down")
    )
    return up, down


class LinkModel:
    """One direction of a link under `Conditions`: when does each packet arrive?

    ``rng`` decides everything that is chance. ``start`` is the time of the trace's first
    millisecond, in the same clock as ``now``; without it the first packet starts the trace.
    """

    def __init__(self, conditions: Conditions, rng: Random, *, start: float | None = None) -> None:
        self._rng = rng
        self._start = start
        self._newest_arrival = float("-inf")
        self.conditions = conditions

    @property
    def conditions(self) -> Conditions:
        """What the link is like now. Can be replaced at any time: packets on their way keep the
        arrival they were given, and are still not overtaken."""
        return self._conditions

    @conditions.setter
    def conditions(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._in_burst = self._rng.random() < conditions.loss
        self._bottleneck: _Bottleneck | None = None
        if conditions.rate is not None:
            self._bottleneck = _Rate(conditions.rate, conditions.queue)
        elif conditions.trace is not None:
            self._bottleneck = _Trace(conditions.trace, conditions.queue, self._start)

    def restart_trace(self, now: float) -> None:
        """Let a recorded trace begin again, with its first millisecond at ``now``."""
        self._start = now
        self.conditions = self._conditions

    @property
    def newest_arrival(self) -> float:
        """When the last packet that kept its place arrives; minus infinity before the first."""
        return self._newest_arrival

    def plan(self, now: float, size: int) -> list[float]:
        """Return when a packet of ``size`` bytes sent at ``now`` arrives: empty means lost, two
        times mean duplicated. ``now`` must not go backwards from call to call."""
        departure: float | None = now
        if self._bottleneck is not None:
            departure = self._bottleneck.depart(now, size)
        if departure is None or self._is_lost():
            return []
        arrivals = [self._arrival(departure)]
        if self._chance(self._conditions.duplicate):
            arrivals.append(self._arrival(departure))
        return arrivals

    def _chance(self, share: float) -> bool:
        return share > 0 and self._rng.random() < share

    def _is_lost(self) -> bool:
        """Take one step of the Gilbert–Elliott chain: every packet of the bad state is lost.

        With r the chance to leave the bad state and p to enter it, the mean run is 1/r and the
        stationary loss p/(p + r).
        """
        loss = self._conditions.loss
        if loss in (0, 1):
            self._in_burst = loss == 1
            return self._in_burst
        lost = self._in_burst
        leave = min(1 / self._conditions.burst, 1 - loss)
        enter = leave * loss / (1 - loss)
        self._in_burst = self._rng.random() < (1 - leave if lost else enter)
        return lost

    def _arrival(self, departure: float) -> float:
        weather = self._conditions
        delay = weather.delay
        if weather.jitter > 0:
            delay = max(0.0, delay + weather.jitter * self._truncated_normal())
        if self._chance(weather.reorder):
            return departure + delay + weather.reorder_by
        self._newest_arrival = max(self._newest_arrival, departure + delay)
        return self._newest_arrival

    def _truncated_normal(self) -> float:
        while True:
            deviations = self._rng.gauss(0.0, 1.0)
            if abs(deviations) <= JITTER_TRUNCATION:
                return deviations


class _Bottleneck:
    """A drop-tail queue before a link that carries only so much."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._departures: deque[float] = deque()

    def depart(self, now: float, size: int) -> float | None:
        """Return when the packet has left the bottleneck, or None when the queue is full."""
        while self._departures and self._departures[0] <= now:
            self._departures.popleft()
        if len(self._departures) >= self._limit:
            return None
        departure = max(now, self._carry(now, size))
        self._departures.append(departure)
        return departure

    def _carry(self, now: float, size: int) -> float:
        raise NotImplementedError


class _Rate(_Bottleneck):
    """A constant number of bytes per second."""

    def __init__(self, rate: float, limit: int) -> None:
        super().__init__(limit)
        self._rate = rate
        self._busy_until = float("-inf")

    def _carry(self, now: float, size: int) -> float:
        self._busy_until = max(now, self._busy_until) + size / self._rate
        return self._busy_until


class _Trace(_Bottleneck):
    """Slots of `TRACE_SLOT` bytes at recorded milliseconds, repeated for ever.

    The cursor is the slot that the newest packet in the queue ends in and what that slot still
    has room for. Slots that pass while nothing waits are lost.
    """

    def __init__(self, trace: tuple[int, ...], limit: int, start: float | None) -> None:
        super().__init__(limit)
        self._trace = trace
        self._period = trace[-1]
        self._start = start
        self._round = 0
        self._index = 0
        self._room = TRACE_SLOT

    def _carry(self, now: float, size: int) -> float:
        if self._start is None:
            self._start = now
        elapsed = max(0.0, (now - self._start) * 1000)
        if self._slot_time() < elapsed:
            self._seek(elapsed)
        while size > self._room:
            size -= self._room
            self._next_slot()
        self._room -= size
        return self._start + self._slot_time() / 1000

    def _slot_time(self) -> int:
        return self._round * self._period + self._trace[self._index]

    def _seek(self, elapsed: float) -> None:
        """Move to the first slot at or after ``elapsed`` milliseconds."""
        self._round = int(elapsed // self._period)
        self._index = 0
        self._room = TRACE_SLOT
        into_round = elapsed - self._round * self._period
        if into_round > 0:
            self._index = bisect_left(self._trace, into_round)
        elif self._round > 0:
            # The last slot of a round is at the moment at which the next round begins.
            self._round -= 1
            self._index = bisect_left(self._trace, self._period)

    def _next_slot(self) -> None:
        self._room = TRACE_SLOT
        self._index += 1
        if self._index == len(self._trace):
            self._index = 0
            self._round += 1
