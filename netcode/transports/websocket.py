"""The seven lanes through the signaling server's WebSocket: the last rung, where all else is shut.

It is made of two functions, one that sends bytes to the other end (complete, in order, or not at
all) and `WebSocketTransport.take`, which gets what has come from it; so it knows no socket. **It is
not encrypted from end to end**: with ``wss://`` nobody on the way reads along, but the signaling
server could.

Between the ends lie two TCP connections and the queues of a server. They lose nothing, and hold
everything up that stands behind something else. So what is handed to them is kept small: every
message is acknowledged when it has been consumed (`netcode.transports.websocket_frames`), and what
has not been acknowledged is under way. Messages that may be lost are dropped before they would
wait; those that may not, wait here for their share of the way (`netcode.transports.pacing`).

There is no bad weather to be made for tests: nothing is lost on TCP.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from netcode.errors import NetcodeError, Unreachable, UsageError, WireError
from netcode.rungs import Rung
from netcode.transports.base import (
    EXPIRING_LIFETIMES,
    MAX_TRANSPORT_MESSAGE,
    Lane,
    TransportStats,
)
from netcode.transports.listener import RELIABLE_LANES, Listener
from netcode.transports.pacing import RoundTrip, Window
from netcode.transports.websocket_frames import (
    NUMBERS,
    VERSION,
    Accept,
    Ack,
    Close,
    Data,
    Frame,
    Open,
    decode,
)

FRESH_IN_FLIGHT = 32_768
"""Bytes under way beyond which no message goes that may be lost: it would be late."""

FRESH_PATIENCE = 0.1
"""Seconds behind the least round trip after which the way is full, however little is on it.

Reliable messages have a `Window`, which lets half of that become of a way: they make room first.
"""

STALE = 0.1
"""Seconds that an unreliable message waits here at most, while the socket takes nothing."""

MAX_QUEUED = 16_777_216
"""Bytes of reliable messages that may wait here: a thousand of the largest. A sender that gets here
does not look at `WebSocketTransport.backlog`."""

MAX_EXPIRING = 262_144
"""Bytes of expiring messages that may wait here; more are given up at once."""

ACK_DELAY = 0.01
"""Seconds that an acknowledgement waits for a message that it could go with."""

CLOSE_GRACE = 1.0
"""Seconds that the last word has to get into the socket."""

CLOSED_HERE = "closed"
CLOSED_THERE = "the other end closed the connection"

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Message:
    lane: Lane
    data: bytes
    deadline: float
    """When it is given up unless it is on its way; loop time."""


class WebSocketTransport:
    """One end; create it on the running event loop it will live on.

    ``send`` sends the bytes of one frame to the other end, and may wait while the socket is full;
    a `NetcodeError` that it raises is the end. One end calls `call`; the other one answers by
    itself when it takes what comes of that. Both then await `wait_open`. From there on this is a
    `netcode.transports.base.Transport` like any other.

    Every transport that was created must be closed, also if it never opened. Raises `UsageError`
    outside of an event loop.
    """

    kind = "websocket"
    rung = Rung.WEBSOCKET

    def __init__(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UsageError("create a WebSocketTransport inside a coroutine") from None
        self.stats = TransportStats()
        self._listener = Listener(self.stats)
        self._send = send
        self._phase = "new"
        self._called_at = 0.0
        self._control: deque[Frame] = deque()
        self._fresh: deque[_Message] = deque()
        self._fresh_bytes = 0
        self._bulk: deque[_Message] = deque()
        self._bulk_bytes = 0
        self._in_flight: deque[tuple[float, int, int]] = deque()
        """When each message went that has not been acknowledged, how long it is, and how much of
        that is bulk: all or nothing."""
        self._in_flight_bytes = 0
        self._bulk_in_flight = 0
        self._round_trip = RoundTrip()
        self._window = Window()
        self._sent = 0
        """Messages that have gone, as their numbers count."""
        self._received = 0
        self._consumed_told = 0
        self._ack_is_due = False
        self._ack_timer: asyncio.TimerHandle | None = None
        self._settled = asyncio.Event()
        self._finished = asyncio.Event()
        self._moved = asyncio.Event()
        """Something has been acknowledged or given up, or it has ended."""
        self._ended: str | None = None
        self._wake = asyncio.Event()
        self._sending = self._loop.create_task(self._send_all(), name="netcode websocket transport")

    # Introduction

    def call(self) -> None:
        """Ask the other end to open. Comes once, at one end."""
        if self._phase != "new":
            raise UsageError("call() is for the end that is not called, and comes once")
        self._phase = "calling"
        self._called_at = self._loop.time()
        self._say(Open())

    def take(self, frame: bytes) -> None:
        """A frame has come from the other end. Nonsense ends the transport."""
        if self._ended is not None:
            return
        try:
            self._take(decode(frame))
        except WireError as error:
            logger.debug("a frame made no sense: %s", error)
            self._end("the other end sent garbage", farewell="you sent garbage")

    def fail(self, reason: str) -> None:
        """The way to the other end is gone: end, without another word. Idempotent."""
        self._end(reason)

    async def wait_open(self, timeout: float) -> None:
        """Return when the other end has taken the call, or its call has been taken.

        Raises `Unreachable`, saying what was tried, after ``timeout`` seconds or as soon as it has
        ended. Neither that nor cancelling closes.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._settled.wait()
        except TimeoutError:
            raise Unreachable(
                f"no connection within {timeout:g} s: called through the signaling server, and got"
                " no answer"
            ) from None
        if self._ended is not None:
            raise Unreachable(f"{self._ended}: called through the signaling server")

    # The transport

    def start(
        self, on_receive: Callable[[Lane, bytes], None], on_closed: Callable[[str], None]
    ) -> None:
        """See `Transport.start`. ``on_closed`` is called from the event loop, never from inside
        a method of this transport."""
        ended_before = self._ended
        self._listener.start(on_receive, on_closed)
        self._acknowledge()
        if ended_before is not None:
            self._loop.call_soon(self._listener.tell_closed, ended_before)

    @property
    def callback_errors(self) -> int:
        """How often a callback of this transport's user has raised."""
        return self._listener.errors

    def send(self, lane: Lane, data: bytes) -> None:
        """See `Transport.send`. Raises `UsageError` before `wait_open` and for a message that
        is too long or not ``bytes``. Closes when more than `MAX_QUEUED` bytes wait."""
        if self._ended is not None:
            return
        size = len(data)
        if size > MAX_TRANSPORT_MESSAGE or type(data) is not bytes:
            raise UsageError(f"send at most {MAX_TRANSPORT_MESSAGE} bytes, as a bytes object")
        if self._phase != "open":
            raise UsageError("the transport is not open yet: await wait_open() first")
        now = self._loop.time()
        if lane in RELIABLE_LANES:
            if self._bulk_bytes + size > MAX_QUEUED:
                self._end("send queue overflow", farewell="send queue overflow")
                return
            self._bulk.append(_Message(lane, data, deadline=float("inf")))
            self._bulk_bytes += size
        else:
            lifetime = EXPIRING_LIFETIMES.get(lane)
            if lifetime is None:
                too_much = self._is_full(now, self._fresh_bytes + size)
            else:
                too_much = self._fresh_bytes + size > MAX_EXPIRING
            if too_much:
                self.stats.given_up += 1
                return
            deadline = now + (STALE if lifetime is None else lifetime / 1000)
            self._fresh.append(_Message(lane, data, deadline))
            self._fresh_bytes += size
        self.stats.bytes_sent += size
        self.stats.messages_sent += 1
        self._wake.set()

    def send_media(self, packet: bytes) -> None:
        """See `Transport.send_media`: here it is a message that is dropped before it would wait."""
        if self._phase == "open":
            self.send(Lane.UNRELIABLE, packet)

    def backlog(self) -> int:
        """See `Transport.backlog`: what waits here, and what has not been acknowledged."""
        self._give_up_stale(self._loop.time())
        return self._fresh_bytes + self._bulk_bytes + self._in_flight_bytes

    async def drain(self, timeout: float) -> bool:
        """See `Transport.drain`."""
        try:
            async with asyncio.timeout(timeout):
                while self._ended is None and self.backlog():
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            return False
        return self._ended is None

    def close(self) -> None:
        """See `Transport.close`; to lose nothing that is in flight, await `drain` before."""
        self._end(CLOSED_HERE, farewell="")

    async def wait_closed(self) -> None:
        """See `Transport.wait_closed`. A cancelled wait does not stop the closing."""
        await self._finished.wait()
        await asyncio.wait([self._sending])

    def rtt(self) -> float | None:
        """Smoothed round-trip time in seconds, from one program to the other and back; None before
        anything was acknowledged."""
        return self._round_trip.smoothed

    def path(self) -> str:
        """The way packets take, for people; ``""`` while it is not open."""
        return "websocket through the signaling server" if self._phase == "open" else ""

    # What comes

    def _take(self, frame: Frame) -> None:
        match frame:
            case Open(version) if self._phase == "new":
                if version != VERSION:
                    told = f"version {VERSION} is spoken here, not {version}"
                    self._end(f"the other end speaks version {version}", farewell=told)
                    return
                self._say(Accept())
                self._opened()
            case Accept() if self._phase == "calling":
                now = self._loop.time()
                self._round_trip.measured(now - self._called_at, now)
                self._opened()
            case Close(reason):
                self._end(f"{CLOSED_THERE}: {reason}" if reason else CLOSED_THERE)
            case Ack(consumed) if self._phase == "open":
                self._acknowledged(consumed)
            case Data() if self._phase == "open":
                self._acknowledged(frame.consumed)
                self._arrived(frame)
            case _:
                raise WireError(f"a {type(frame).__name__} at the wrong moment")

    def _opened(self) -> None:
        self._phase = "open"
        self._settled.set()

    def _arrived(self, frame: Data) -> None:
        if frame.number != self._received % NUMBERS:
            missing = "something that was sent is missing"
            self._end(missing, farewell=missing)
            return
        self._received += 1
        if not self._listener.take(frame.lane, frame.message):
            self._end(
                "the other end sent more than this end keeps before it has started",
                farewell="nobody listens here yet",
            )
            return
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Let the other end know, soon, what has been consumed: nothing, while nobody listens."""
        if self._ack_timer is None and self._listener.started and self._ended is None:
            self._ack_timer = self._loop.call_later(ACK_DELAY, self._ack_now)

    def _ack_now(self) -> None:
        self._ack_timer = None
        if self._received != self._consumed_told:
            self._ack_is_due = True
            self._wake.set()

    def _acknowledged(self, consumed: int) -> None:
        number = (consumed - (self._sent - len(self._in_flight))) % NUMBERS
        if number > len(self._in_flight):
            raise WireError("more is acknowledged than was sent")
        if not number:
            return
        sent_at, bulk = 0.0, 0
        for _ in range(number):
            sent_at, size, of_bulk = self._in_flight.popleft()
            self._in_flight_bytes -= size
            bulk += of_bulk
        now = self._loop.time()
        self._round_trip.measured(now - sent_at, now)
        self._bulk_in_flight -= bulk
        if self._bulk:
            self._window.acknowledged(bulk, now - sent_at - self._round_trip.least())
        self._moved.set()
        self._wake.set()

    # What goes

    async def _send_all(self) -> None:
        """Send what may go until the transport has ended, and the last word after that."""
        try:
            while True:
                frame = self._next(self._loop.time())
                if frame is not None:
                    await self._send(frame.encode())
                elif self._ended is not None:
                    return
                else:
                    self._wake.clear()
                    await self._wake.wait()
        except NetcodeError as error:
            self._end(str(error))
        except Exception as error:
            logger.exception("sending through the signaling server failed")
            self._end(f"sending failed: {error!r}")

    def _next(self, now: float) -> Frame | None:
        """Take the next frame that may go: what keeps the way open, then what is urgent."""
        if self._control:
            return self._control.popleft()
        if self._ended is not None:
            return None
        if self._ack_is_due:
            self._ack_is_due = False
            self._consumed_told = self._received
            return Ack(self._received % NUMBERS)
        self._give_up_stale(now)
        bulk = 0
        if self._fresh and not self._is_full(now, len(self._fresh[0].data)):
            message = self._fresh.popleft()
            self._fresh_bytes -= len(message.data)
        elif self._bulk and self._has_room_for_bulk(len(self._bulk[0].data)):
            message = self._bulk.popleft()
            bulk = len(message.data)
            self._bulk_bytes -= bulk
            self._bulk_in_flight += bulk
        else:
            return None
        self._in_flight.append((now, len(message.data), bulk))
        self._in_flight_bytes += len(message.data)
        number, self._sent = self._sent, self._sent + 1
        return Data(message.lane, number % NUMBERS, self._consumed() % NUMBERS, message.data)

    def _consumed(self) -> int:
        """How much to acknowledge with a message; an acknowledgement of its own is not due then."""
        if self._listener.started:
            self._consumed_told = self._received
        return self._consumed_told

    def _is_full(self, now: float, more: int) -> bool:
        """Whether this many more bytes, if they went now, would wait on the way."""
        if self._in_flight_bytes + more > FRESH_IN_FLIGHT:
            return True
        if not self._in_flight:
            return False
        return now - self._in_flight[0][0] > self._round_trip.least() + FRESH_PATIENCE

    def _has_room_for_bulk(self, size: int) -> bool:
        # The longest message must get through on the narrowest way, too: alone.
        return not self._bulk_in_flight or self._bulk_in_flight + size <= self._window.size

    def _give_up_stale(self, now: float) -> None:
        kept = [message for message in self._fresh if message.deadline > now]
        if len(kept) == len(self._fresh):
            return
        self.stats.given_up += len(self._fresh) - len(kept)
        self._fresh = deque(kept)
        self._fresh_bytes = sum(len(message.data) for message in kept)
        self._moved.set()

    def _say(self, frame: Frame) -> None:
        self._control.append(frame)
        self._wake.set()

    # Ending

    def _end(self, reason: str, *, farewell: str | None = None) -> None:
        """End; ``farewell`` is what the other end is told, None if it cannot hear any more."""
        if self._ended is not None:
            return
        self._ended = reason
        self._control.clear()
        self._fresh.clear()
        self._bulk.clear()
        self._in_flight.clear()
        self._fresh_bytes = self._bulk_bytes = self._in_flight_bytes = self._bulk_in_flight = 0
        if self._ack_timer is not None:
            self._ack_timer.cancel()
        if farewell is not None and self._phase != "new":
            self._control.append(Close(farewell))
        if reason == CLOSED_HERE:
            self._listener.forget()
        if self._listener.started:
            self._loop.call_soon(self._listener.tell_closed, reason)
        for event in (self._settled, self._finished, self._moved, self._wake):
            event.set()
        if not self._sending.done():
            grace = self._loop.call_later(CLOSE_GRACE, self._sending.cancel)
            self._sending.add_done_callback(lambda _: grace.cancel())
