"""A link: one session on one transport.

Driven from outside: the transport delivers, somebody calls `pump` when `next_timer` says so, and
what has happened is told through callbacks. It knows no event loop and no thread.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from netcode.errors import WireError
from netcode.link import frames
from netcode.link.liveness import Liveness
from netcode.link.scheduler import Scheduler
from netcode.link.session import Channel, Session
from netcode.transports.base import Lane, Transport

log = logging.getLogger("netcode.link")

BUSY_INTERVAL = 0.005
"""Seconds between pumps while something waits for room on the transport."""

DATAGRAM_IN_FLIGHT = 48 * 1024
"""Bytes on their way above which state is not handed over either: it would only be late."""

MAX_BAD_FRAMES = 100
"""Malformed frames after which a peer is not worth listening to."""


def _nobody_listens(packet: bytes) -> None:
    """Media for an end that wants none is dropped."""


def _unexpected(ticket: bytes) -> None:
    raise WireError("nobody here asked for a ticket, or has given one")


@dataclass(slots=True)
class LinkStats:
    """Counts of one link."""

    bad_frames: int = 0
    """Frames that made no sense, and were dropped."""
    datagrams_held_back: int = 0
    """Datagrams not sent because the transport was full."""


class Link:
    """Carries a session over a transport until one of them ends.

    ``clock`` gives monotonic seconds. Callbacks: ``on_message(channel, payload)`` in the order
    of delivery, ``on_datagram(data)`` for state and inputs, ``on_closed(reason)`` exactly once.
    ``lock`` is held while something that arrived is taken in, callbacks included.

    With ``carries=False`` it takes in what comes but sends nothing of the session, until `carry`
    says that this is the link for it now. `retire` is the other end of that: another link carries
    the session, and this one takes in the rest. The callbacks may be set anew: a link that was
    made for a stranger may turn out to be for a session that exists.
    """

    def __init__(
        self,
        transport: Transport,
        session: Session,
        clock: Callable[[], float],
        *,
        on_message: Callable[[Channel, bytes], None],
        on_datagram: Callable[[bytes], None],
        on_closed: Callable[[str], None],
        on_resume: Callable[[bytes], None] = _unexpected,
        on_ticket: Callable[[bytes], None] = _unexpected,
        carries: bool = True,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.transport = transport
        self.session = session
        self.liveness = Liveness(clock())
        self.stats = LinkStats()
        self.closed_because: str | None = None
        self.is_final = False
        """Whether an end has said that it is over, or the other one cannot be believed, so that
        there is nothing to come back to; otherwise the way between them has failed."""
        self.on_message = on_message
        self.on_datagram = on_datagram
        self.on_closed = on_closed
        self.on_media: Callable[[bytes], None] = _nobody_listens
        """Called with each RTP packet that has come; may be set."""
        self.on_resume = on_resume
        """Called with the ticket by which the other end asks to carry an older session on."""
        self.on_ticket = on_ticket
        """Called with a ticket by which this end may come back."""
        self._carries = carries
        self._retired = False
        self._clock = clock
        self._scheduler = Scheduler()
        self._lock = nullcontext() if lock is None else lock

    def start(self) -> None:
        """Begin: what has arrived already is taken in at once, and a heartbeat goes out."""
        self.transport.start(self._receive, self._transport_closed)
        self.pump()

    @property
    def is_open(self) -> bool:
        return self.closed_because is None

    @property
    def rtt(self) -> float | None:
        """Smoothed round trip in seconds, None before the first measurement."""
        return self.liveness.rtt

    def carry(self, session: Session) -> None:
        """Carry this session from now on. What has not been acknowledged goes out again."""
        self.session = session
        self._carries = True
        session.relink()
        self.pump()

    def retire(self) -> None:
        """Another link carries the session. What is still on its way to here is taken in, until the
        transport is closed by whoever owns it; of its end only a goodbye is told."""
        self._carries = False
        self._retired = True

    def ask_to_resume(self, ticket: bytes) -> None:
        """Ask the other end to carry the session on by this link; `on_ticket` is its answer."""
        self.transport.send(Lane.RELIABLE, frames.Resume(ticket).encode())

    def give_ticket(self, ticket: bytes) -> None:
        """Tell the other end by what it may come back."""
        self.transport.send(Lane.RELIABLE, frames.Ticket(ticket).encode())

    def send(self, channel: Channel, payload: bytes) -> None:
        """Queue a message and hand over what there is room for.

        Raises `SendQueueFull` if the channel's queue is full, `UsageError` if it is too long.
        """
        channel.outgoing.send(payload, self._clock())
        if self.is_open:
            self._hand_over()

    def send_datagram(self, data: bytes) -> bool:
        """Hand a state or input packet over at once; False if the transport is too full for it."""
        if not self.is_open:
            return False
        if self.transport.backlog() > DATAGRAM_IN_FLIGHT:
            self.stats.datagrams_held_back += 1
            return False
        self.transport.send(Lane.UNRELIABLE, data)
        return True

    def send_media(self, packet: bytes) -> None:
        """Send an RTP packet at once; it is lost if there is no way for it now."""
        if self.is_open and self._carries:
            self.transport.send_media(packet)

    def pump(self) -> None:
        """Do what is due: heartbeat, waiting messages, noticing a dead peer."""
        if not self.is_open:
            return
        now = self._clock()
        if self.liveness.is_dead(now):
            self.close(f"nothing heard for {self.liveness.silence(now):.1f} s", say_goodbye=False)
            return
        if self.liveness.is_due(now):
            told = self.session.acknowledgements() if self._carries else ()
            beat = self.liveness.beat(now, told)
            self.transport.send(Lane.UNRELIABLE, beat.encode())
        self._hand_over()

    def next_timer(self) -> float:
        """When to call `pump` next, on the clock's scale."""
        if self._carries and self._waits:
            return self._clock() + BUSY_INTERVAL
        return self.liveness.next_beat

    @property
    def _waits(self) -> bool:
        return any(not channel.outgoing.is_idle for channel in self.session.channels.values())

    def close(self, reason: str, *, say_goodbye: bool = True) -> None:
        """End the link, telling the other end why if it can still hear. Idempotent.

        After a goodbye the transport stays open so that it can be delivered: whoever owns the
        transport drains and closes it.
        """
        if not self.is_open:
            return
        self.closed_because = reason
        self.is_final = say_goodbye
        if say_goodbye:
            self.transport.send(Lane.RELIABLE, frames.encode_bye(reason))
        else:
            self.transport.close()
        self._tell_closed(reason)

    # ----------------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        if not self._carries:
            return
        channels = self.session.channels.values()
        while True:
            frame = self._scheduler.next_frame(channels, self.transport.backlog(), self._clock())
            if frame is None:
                return
            lane, piece = frame
            self.transport.send(lane, piece.encode())

    def _receive(self, lane: Lane, data: bytes) -> None:
        with self._lock:
            self._take_in(lane, data)

    def _take_in(self, lane: Lane, data: bytes) -> None:
        if self.closed_because is not None or not data:
            return
        now = self._clock()
        self.liveness.hear(now)
        try:
            if frames.FIRST_MEDIA <= data[0] <= frames.LAST_MEDIA:
                self.on_media(data)
                return
            if data[0] >= frames.FIRST_DATAGRAM:
                self.on_datagram(data)
                return
            frame = frames.decode(data)
            if isinstance(frame, frames.Heartbeat):
                self.liveness.hear_beat(frame, now)
                self.session.acknowledge(frame.acknowledgements)
                return
            if isinstance(frame, str):
                self.is_final = True
                self._ended(frame or "the other end closed the link")
                return
            if not isinstance(frame, frames.Piece):
                answer = self.on_resume if isinstance(frame, frames.Resume) else self.on_ticket
                answer(frame.ticket)
                return
            delivered = self.session.receive(lane, frame)
        except WireError as error:
            self._bad_frame(lane, error)
            return
        for channel, payload in delivered:
            if not self.is_open:
                return
            try:
                self.on_message(channel, payload)
            except WireError as error:
                self._bad_frame(Lane.UNRELIABLE, error)

    def _bad_frame(self, lane: Lane, error: WireError) -> None:
        self.stats.bad_frames += 1
        log.debug("dropped a malformed frame: %s", error)
        # What a reliable lane has lost by being malformed cannot be made up for.
        if lane in (Lane.RELIABLE, Lane.UNORDERED) or self.stats.bad_frames > MAX_BAD_FRAMES:
            self.close(f"the other end sent nonsense: {error}")

    def _ended(self, reason: str) -> None:
        if self.is_open:
            self.closed_because = reason
            self.transport.close()
            self._tell_closed(reason)

    def _tell_closed(self, reason: str) -> None:
        if self.is_final or not self._retired:
            self.on_closed(reason)

    def _transport_closed(self, reason: str) -> None:
        with self._lock:
            self._ended(reason)
