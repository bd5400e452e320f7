"""Bad weather for a running program: packets are held back, lost, doubled and reordered.

A `Conditioner` stands between a transport and its socket. What the weather does is decided by
`link_model.LinkModel`; this module only keeps packets until they are due. Datagrams pass it
below encryption, so a lost packet is retransmitted by whoever does so on a real link.
"""

import asyncio
import heapq
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from netcode.transports.link_model import (
    PRESETS,
    Conditions,
    LinkModel,
    conditions,
    load_trace,
    lte,
)

__all__ = [
    "PRESETS",
    "Conditioner",
    "Conditions",
    "Counts",
    "LinkModel",
    "conditions",
    "load_trace",
    "lte",
]

MAX_HELD = 4_096
"""Packets held back at most in each direction: over half a second at a rate that no game needs
and Python does not reach (8,000 a second). More are lost, as in any router."""

HEADERS_BELOW = 28
"""Bytes of the IPv4 and UDP headers around each datagram, which use a link's rate as well."""

logger = logging.getLogger(__name__)

Forward = Callable[[bytes], None]


@dataclass(slots=True)
class Counts:
    """What happened to the packets of one direction."""

    passed: int = 0
    """Packets forwarded, copies not counted."""
    lost: int = 0
    """Packets that the weather lost, with those for which there was no room."""
    duplicated: int = 0
    """Packets that were forwarded a second time."""


class Conditioner:
    """The weather on both directions of one link, as seen from this end.

    ``conditions`` (a preset's name or `Conditions`) holds for both directions unless
    ``incoming`` is given; without any, datagrams pass at once. ``seed`` decides all chance:
    give each link its own, or all links lose the same packets.

    Every method belongs to the thread of the running event loop. A ``forward`` that raises is
    logged and does no harm to other packets.
    """

    def __init__(
        self,
        conditions: str | Conditions | None = None,
        *,
        incoming: str | Conditions | None = None,
        seed: int,
    ) -> None:
        self._outgoing = _Direction(_resolve(conditions), random.Random(f"{seed} outgoing"))
        way_in = conditions if incoming is None else incoming
        self._incoming = _Direction(_resolve(way_in), random.Random(f"{seed} incoming"))

    @property
    def conditions(self) -> Conditions:
        """The weather on the way out. Setting it changes both directions, from the next packet
        on; a preset's name is taken as well."""
        return self._outgoing.model.conditions

    @conditions.setter
    def conditions(self, value: str | Conditions | None) -> None:
        for direction in (self._outgoing, self._incoming):
            direction.model.conditions = _resolve(value)

    @property
    def outgoing_counts(self) -> Counts:
        """What happened to the packets sent."""
        return self._outgoing.counts

    @property
    def incoming_counts(self) -> Counts:
        """What happened to the packets received."""
        return self._incoming.counts

    def outgoing(self, data: bytes, forward: Forward) -> None:
        """Send a datagram through the weather: ``forward`` is called when it would arrive, now,
        later, twice or never."""
        self._outgoing.take(data, forward)

    def incoming(self, data: bytes, forward: Forward) -> None:
        """The same for a datagram that was received."""
        self._incoming.take(data, forward)

    def close(self) -> None:
        """Forget every packet that is held back, and take no more. Idempotent."""
        self._outgoing.close()
        self._incoming.close()


def _resolve(which: str | Conditions | None) -> Conditions:
    return conditions("clean" if which is None else which)


class _Direction:
    """Packets of one direction, ordered by when they are due, behind one timer.

    The event loop does not keep the order of timers that are due at the same moment, so each
    packet carries a number.
    """

    def __init__(self, weather: Conditions, rng: random.Random) -> None:
        self.model = LinkModel(weather, rng)
        self.counts = Counts()
        self._held: list[tuple[float, int, bytes, Forward]] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self, data: bytes, forward: Forward) -> None:
        if self._closed:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        arrivals = self.model.plan(now, len(data) + HEADERS_BELOW)
        if not arrivals or len(self._held) + len(arrivals) > MAX_HELD:
            self.counts.lost += 1
            return
        self.counts.passed += 1
        self.counts.duplicated += len(arrivals) - 1
        for arrival in arrivals:
            if arrival <= now and not self._held:
                _forward(data, forward)
            else:
                heapq.heappush(self._held, (arrival, next(self._numbers), data, forward))
        self._set_timer(loop)

    def close(self) -> None:
        self._closed = True
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._held:
            return
        due = self._held[0][0]
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = loop.call_at(due, self._deliver_due, loop, due)

    def _deliver_due(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self._timer = None
        # The event loop runs a timer early by up to its clock's resolution (16 ms on Windows).
        now = max(due, loop.time())
        # A forward may close this conditioner, which empties the heap.
        while self._held and self._held[0][0] <= now:
            _, _, data, forward = heapq.heappop(self._held)
            _forward(data, forward)
        self._set_timer(loop)


def _forward(data: bytes, forward: Forward) -> None:
    try:
        forward(data)
    except Exception:
        logger.exception("forwarding a datagram through the conditioner failed")
