"""Two transports joined in memory, stepped by a clock that the caller owns.

Nothing here sleeps or runs by itself: messages arrive while `LoopbackWire.advance` is called, so
a test or a game with both ends in one program is deterministic to the bit. The wire keeps what
the lanes mean under loss as SCTP does: unreliable messages vanish, reliable ones are sent again
after a timeout, ordered ones wait for those before them, expiring ones are given up.

The one thing that the sender knows better than on a real network is which packet was lost: it
waits out the retransmission timeout, but never sends again what was only late.
"""

import heapq
import logging
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count

from netcode.errors import UsageError
from netcode.transports.base import (
    EXPIRING_LIFETIMES,
    MAX_TRANSPORT_MESSAGE,
    Lane,
    TransportStats,
)
from netcode.transports.link_model import Conditions, LinkModel

MIN_RTO = 0.2
"""Least seconds before a lost message is sent again: what our own SCTP endpoints use."""

RTO_PER_RTT = 1.5
"""On long paths the timeout is this many round trips: one for the acknowledgement, a half spare."""

CHUNK = 1_160
"""Bytes of a message that travel in one packet, as in aiortc. A longer message is several
packets, and arrives with the last of them."""

PACKET_OVERHEAD = 93
"""Bytes around each chunk: IP, UDP, DTLS and SCTP. They count where the link's rate is limited."""

MAX_BACKLOG = 16 * 1024 * 1024
"""Bytes under way at most; beyond, the transport closes. A thousand of the largest messages: a
sender that gets here does not look at `backlog`."""

MAX_EARLY_BYTES = 1024 * 1024
"""Bytes kept for an end that has not started. More are dropped and counted, and on a reliable
lane, where nothing may be missing, that end closes."""

MAX_EVENTS = 1_000_000
"""Events in one `LoopbackWire.advance`: more means two ends that answer each other for ever over
a wire without delay."""

CLOSED_HERE = "closed"
CLOSED_THERE = "the other end closed the connection"

logger = logging.getLogger(__name__)

LosePredicate = Callable[["LoopbackTransport", Lane, bytes], bool]
"""(sender, lane, message) -> whether to lose this transmission of it."""


def loopback_pair(
    clock: Callable[[], float],
    *,
    forth: Conditions | None = None,
    back: Conditions | None = None,
    seed: int,
) -> tuple["LoopbackTransport", "LoopbackTransport", "LoopbackWire"]:
    """Return two open transports and the wire between them.

    ``clock`` returns monotonic seconds and is asked at every send. ``forth`` is the weather from
    the first transport to the second, ``back`` the other way; None is none.
    """
    wire = LoopbackWire(clock, forth or Conditions(), back or Conditions(), seed)
    return wire.ends[0], wire.ends[1], wire


class LoopbackTransport:
    """One end of a `LoopbackWire`; see `netcode.transports.base.Transport`."""

    kind = "loopback"
    rung = ""

    def __init__(self, wire: "LoopbackWire", model: LinkModel) -> None:
        self.stats = TransportStats()
        self.is_off = False
        """Whether this end's machine is off or asleep: what it sends and what gets to it is lost,
        and reliable messages are sent again later. May be set."""
        self._wire = wire
        self._way = _Way(self, model, wire)
        self._on_receive: Callable[[Lane, bytes], None] | None = None
        self._on_closed: Callable[[str], None] | None = None
        self._early: deque[tuple[Lane, bytes]] = deque()
        self._early_bytes = 0
        self._closed_because: str | None = None

    def start(
        self, on_receive: Callable[[Lane, bytes], None], on_closed: Callable[[str], None]
    ) -> None:
        """Deliver to these callbacks from now on; what arrived before is delivered first.

        ``on_closed`` is called by `LoopbackWire.advance`, never from inside a method of this
        transport. Raises `UsageError` when called a second time.
        """
        if self._on_receive is not None:
            raise UsageError("this transport has been started: give it one pair of callbacks")
        self._on_receive = on_receive
        self._on_closed = on_closed
        while self._early:
            lane, data = self._early.popleft()
            self._hand_over(lane, data)
        if self._closed_because is not None:
            self._wire._schedule_here(self._tell_closed)

    def send(self, lane: Lane, data: bytes) -> None:
        """Hand over one message; it arrives, if it does, during a later `LoopbackWire.advance`.

        Raises `UsageError` when it is longer than `MAX_TRANSPORT_MESSAGE`.
        """
        if len(data) > MAX_TRANSPORT_MESSAGE:
            raise UsageError(
                f"a message has at most {MAX_TRANSPORT_MESSAGE} bytes, not {len(data)}: cut it"
            )
        if self._closed_because is not None:
            return
        self.stats.messages_sent += 1
        self.stats.bytes_sent += len(data)
        self._way.send(_Message(Lane(lane), data, self._wire.clock()))
        if self._way.backlog > MAX_BACKLOG:
            self._wire.close(self, "send queue overflow")

    def send_media(self, packet: bytes) -> None:
        """See `Transport.send_media`."""
        self.send(Lane.UNRELIABLE, packet)

    def backlog(self) -> int:
        """Bytes sent whose arrival has not been acknowledged yet (acknowledgements take the way
        back), or that have not been given up."""
        return self._way.backlog

    def path(self) -> str:
        """See `Transport.path`."""
        return "in memory"

    async def drain(self, timeout: float) -> bool:
        """Whether all that was sent is acknowledged, without a wait: only `LoopbackWire.advance`
        moves anything."""
        return self._closed_because is None and not self.backlog()

    def close(self) -> None:
        """Close this end now, and the other one when word of it gets there. Idempotent.

        What this end has sent and is not lost on its way still arrives.
        """
        self._wire.close(self, CLOSED_HERE)

    async def wait_closed(self) -> None:
        """Return at once: nothing of a loopback transport runs by itself."""

    def _arrived(self, lane: Lane, data: bytes) -> None:
        if self._closed_because is not None:
            return
        if self._on_receive is not None:
            self._hand_over(lane, data)
        elif self._early_bytes + len(data) <= MAX_EARLY_BYTES:
            self._early.append((lane, data))
            self._early_bytes += len(data)
        else:
            self.stats.dropped += 1
            if lane in (Lane.RELIABLE, Lane.UNORDERED):
                reason = "the other end sent more than this end keeps before it has started"
                self._wire.close(self, reason)

    def _hand_over(self, lane: Lane, data: bytes) -> None:
        self.stats.messages_received += 1
        self.stats.bytes_received += len(data)
        assert self._on_receive is not None
        try:
            self._on_receive(lane, data)
        except Exception:
            logger.exception("a loopback transport's on_receive failed")

    def _end(self, reason: str) -> None:
        if self._closed_because is not None:
            return
        self._closed_because = reason
        self._way.stop()
        if self._on_closed is not None:
            self._wire._schedule_here(self._tell_closed)

    def _hear_of_end(self) -> None:
        if not self.is_off:
            self._end(CLOSED_THERE)

    def _tell_closed(self, _: float) -> None:
        assert self._on_closed is not None
        assert self._closed_because is not None
        try:
            self._on_closed(self._closed_because)
        except Exception:
            logger.exception("a loopback transport's on_closed failed")


class LoopbackWire:
    """What lies between two loopback transports, and the hand that moves it."""

    def __init__(
        self, clock: Callable[[], float], forth: Conditions, back: Conditions, seed: int
    ) -> None:
        self.clock = clock
        self._events: list[tuple[float, int, bool, Callable[[float], None]]] = []
        self._numbers = count()
        self._is_cut = False
        self._lose: LosePredicate | None = None
        self.ends = (
            LoopbackTransport(self, LinkModel(forth, random.Random(f"{seed} forth"))),
            LoopbackTransport(self, LinkModel(back, random.Random(f"{seed} back"))),
        )

    def advance(self, now: float) -> None:
        """Deliver everything due up to and including ``now``, in the order in which it is due.

        What the callbacks send over a wire without delay is due at once, and delivered as well.
        """
        for _ in range(MAX_EVENTS):
            if not self._events or self._events[0][0] > now:
                return
            due, _, _, event = heapq.heappop(self._events)
            event(due)
        raise RuntimeError(
            f"{MAX_EVENTS} events at one time: both ends answer each other without end;"
            " give the wire a delay"
        )

    def next_time(self) -> float | None:
        """Return when something is due next, or None when the wire is empty."""
        return self._events[0][0] if self._events else None

    def cut(self) -> None:
        """Be dead both ways from now on, silently, as when the other machine loses its power.
        What is on its way is lost; nobody is told."""
        self._is_cut = True
        self._events = [event for event in self._events if event[2]]
        heapq.heapify(self._events)

    def drop(self, predicate: LosePredicate | None) -> None:
        """Lose every transmission for which ``predicate(sender, lane, message)`` is true.

        It is asked again for each retransmission of a reliable message. None stops it.
        """
        self._lose = predicate

    @property
    def conditions(self) -> tuple[Conditions, Conditions]:
        """The weather forth and back."""
        forth, back = (end._way.model.conditions for end in self.ends)
        return forth, back

    def set_conditions(self, forth: Conditions, back: Conditions) -> None:
        """Change the weather from the next packet on."""
        for end, conditions in zip(self.ends, (forth, back), strict=True):
            end._way.model.conditions = conditions

    def close(self, end: LoopbackTransport, reason: str) -> None:
        """End one transport at once; the other one hears of it behind what is on its way."""
        if end._closed_because is not None:
            return
        model = end._way.model
        heard = max(self.clock() + model.conditions.delay, model.newest_arrival)
        end._end(reason)
        self._schedule(heard, lambda _: self._other(end)._hear_of_end())

    def _other(self, end: LoopbackTransport) -> LoopbackTransport:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def _schedule(self, due: float, event: Callable[[float], None]) -> None:
        if not self._is_cut:
            heapq.heappush(self._events, (due, next(self._numbers), False, event))

    def _schedule_here(self, event: Callable[[float], None]) -> None:
        """Have something happen at one end now, which no cut can prevent."""
        heapq.heappush(self._events, (self.clock(), next(self._numbers), True, event))

    def _is_lost(self, sender: LoopbackTransport, lane: Lane, data: bytes) -> bool:
        if self._is_cut or sender.is_off:
            return True
        return self._lose is not None and self._lose(sender, lane, data)


class _Message:
    """One message under way, in chunks that are lost and sent again one by one."""

    __slots__ = ("data", "lane", "missing", "number", "sent", "unsent")

    def __init__(self, lane: Lane, data: bytes, sent: float) -> None:
        self.lane = lane
        self.data = data
        self.sent = sent
        self.number = 0
        chunks = max(1, -(-len(data) // CHUNK))
        self.unsent = [min(CHUNK, len(data) - i * CHUNK) for i in range(chunks)]
        """Sizes of the chunks that are not on their way: new, or lost."""
        self.missing = chunks
        """How many chunks have not arrived."""


class _Way:
    """One direction: transmits, retransmits and puts in order what one end sends."""

    def __init__(self, sender: LoopbackTransport, model: LinkModel, wire: LoopbackWire) -> None:
        self.model = model
        self.backlog = 0
        self._sender = sender
        self._wire = wire
        self._next_number = 0
        self._next_delivery = 0
        self._waiting: dict[int, bytes] = {}
        self._stopped = False

    def send(self, message: _Message) -> None:
        if message.lane is Lane.RELIABLE:
            message.number = self._next_number
            self._next_number += 1
        self.backlog += len(message.data)
        self._transmit(message, message.sent)

    def stop(self) -> None:
        """Send nothing more. What is on its way still arrives."""
        self._stopped = True
        self.backlog = 0

    def _transmit(self, message: _Message, now: float) -> None:
        if self._stopped:
            return
        if not self._wire._is_lost(self._sender, message.lane, message.data):
            chunks, message.unsent = message.unsent, []
            for size in chunks:
                arrivals = self.model.plan(now, size + PACKET_OVERHEAD)
                if arrivals:
                    # SCTP knows its packets by number: a later copy changes nothing.
                    self._wire._schedule(min(arrivals), partial(self._chunk_arrived, message, size))
                else:
                    message.unsent.append(size)
        if message.unsent:
            self._retransmit_later(message, now + self._timeout())

    def _retransmit_later(self, message: _Message, due: float) -> None:
        lifetime = self._lifetime(message.lane)
        if lifetime is not None and due > message.sent + lifetime:
            self._wire._schedule(due, lambda _: self._release(message))
        else:
            self._wire._schedule(due, lambda due: self._transmit(message, due))

    @staticmethod
    def _lifetime(lane: Lane) -> float | None:
        """Seconds during which a message is sent again; None is for ever."""
        if lane is Lane.UNRELIABLE:
            return 0.0
        milliseconds = EXPIRING_LIFETIMES.get(lane)
        return None if milliseconds is None else milliseconds / 1000

    def _timeout(self) -> float:
        return max(MIN_RTO, RTO_PER_RTT * (self.model.conditions.delay + self._delay_back()))

    def _delay_back(self) -> float:
        return self._wire._other(self._sender)._way.model.conditions.delay

    def _chunk_arrived(self, message: _Message, size: int, now: float) -> None:
        receiver = self._wire._other(self._sender)
        if receiver.is_off:
            message.unsent.append(size)
            if len(message.unsent) == 1:  # else the loss of another chunk has seen to it
                self._retransmit_later(message, now + self._timeout())
            return
        message.missing -= 1
        if message.missing:
            return
        self._wire._schedule(now + self._delay_back(), lambda _: self._release(message))
        if message.lane is not Lane.RELIABLE:
            receiver._arrived(message.lane, message.data)
            return
        self._waiting[message.number] = message.data
        while (data := self._waiting.pop(self._next_delivery, None)) is not None:
            self._next_delivery += 1
            receiver._arrived(Lane.RELIABLE, data)

    def _release(self, message: _Message) -> None:
        if not self._stopped:
            self.backlog -= len(message.data)
