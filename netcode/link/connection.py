"""A connection: one session with one peer, over whichever link carries it at the moment.

A link ends for one of two reasons. Somebody said so: then the connection is *over*. Or the way
between the two has failed: then it is *lost*, and for a grace period the peer may come back on
another link, where the session goes on as if nothing had been; reliable messages are neither lost
nor doubled (see `channels`), and what is sent meanwhile waits.

The end that called comes back: it makes a new link, perhaps beside one that still works, and shows
its ticket on it; the end that answers takes it from the ticket whose link that is (`tickets`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.transports.base import Transport


class Connection:
    """One end of it. ``clock`` gives monotonic seconds.

    Callbacks: ``on_message`` and ``on_datagram`` as those of a link; ``on_lost(reason)`` when the
    link has failed and the grace period begins, ``on_resumed()`` when it has ended well,
    ``on_over(reason)`` exactly once, ``on_confirmed()`` when the other end is heard to use the link
    that was adopted last, and ``on_retired(link)`` once for every link that has ended or
    been replaced: whoever made its transport closes it.
    """

    def __init__(
        self,
        session: Session,
        clock: Callable[[], float],
        *,
        on_message: Callable[[Channel, bytes], None],
        on_datagram: Callable[[bytes], None] = lambda data: None,
        on_lost: Callable[[str], None] = lambda reason: None,
        on_resumed: Callable[[], None] = lambda: None,
        on_confirmed: Callable[[], None] = lambda: None,
        on_over: Callable[[str], None],
        on_retired: Callable[[Link], None],
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.session = session
        self.grace = 0.0
        """Seconds for which a lost peer may come back; may be set. 0 is never."""
        self.link: Link | None = None
        """What carries the session, or did so last; None before the first."""
        self.waiting: Link | None = None
        """A link on which this end has asked to carry the session on, and has no answer yet."""
        self.ticket: bytes | None = None
        """By what this end may come back, if it is the one that called."""
        self.lost_at: float | None = None
        """When the link failed; None while there is one, and when it is over."""
        self.over_because: str | None = None
        self.on_media: Callable[[bytes], None] = lambda packet: None
        """Called with each RTP packet that comes; may be set."""
        self._lost_because = ""
        self._rtt_before: float | None = None
        self._clock = clock
        self._on_message = on_message
        self._on_datagram = on_datagram
        self._on_lost = on_lost
        self._on_resumed = on_resumed
        self._on_confirmed = on_confirmed
        self._on_over = on_over
        self._on_retired = on_retired
        self._lock = lock

    @property
    def is_up(self) -> bool:
        """Whether a link carries the session now."""
        return self.link is not None and self.link.is_open and self.over_because is None

    @property
    def rtt(self) -> float | None:
        """Smoothed round trip in seconds; None before the first measurement. Of the link before,
        until there is one on this."""
        if self.link is None:
            return None
        return self._rtt_before if self.link.rtt is None else self.link.rtt

    def silence(self) -> float:
        """Seconds since anything was heard on the link that carries the session."""
        return 0.0 if self.link is None else self.link.liveness.silence(self._clock())

    # -- links -------------------------------------------------------------------------------

    def begin(self, transport: Transport) -> Link:
        """The first link, from the end that calls; not started yet."""
        self.link = self._new_link(transport, carries=True)
        return self.link

    def begin_on(self, link: Link) -> None:
        """The first link at the end that calls, where that has been started before: on it the two
        have found out who they are."""
        self.adopt(link)
        link.on_ticket = lambda ticket: self._ticket(link, ticket)

    def come_back(self, transport: Transport) -> Link:
        """Ask on a new link to carry the session on there. It needs a `ticket`.

        Until the answer is here, the link of before goes on if it can. One link waits at a time:
        the one that waited is given up.
        """
        assert self.ticket is not None
        self.give_up_waiting()
        self.waiting = link = self._new_link(transport, carries=False)
        link.ask_to_resume(self.ticket)
        link.start()
        return link

    def give_up_waiting(self) -> None:
        """Want no other link any more: the one of before has been heard again."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.retire()
            waiting.on_closed = lambda reason: None  # a refusal that comes late means nothing
            self._on_retired(waiting)

    def adopt(self, link: Link) -> None:
        """A link carries the session from now on, the first one or another; its peer has shown that
        it may. The link of before takes in what is still on its way."""
        before, self.link = self.link, link
        if link is self.waiting:
            self.waiting = None
        self._listen_to(link)
        if before is not None:
            self._rtt_before = before.rtt or self._rtt_before
            was_open = before.is_open
            before.retire()
            if was_open:
                self._on_retired(before)
        lost, self.lost_at = self.lost_at, None
        if link.session is not self.session or before is not None:
            link.carry(self.session)
        if lost is not None:
            self._on_resumed()

    # -- time --------------------------------------------------------------------------------

    def pump(self) -> None:
        """Do what is due: the links' heartbeats and messages, and the end of the grace period."""
        if self.link is not None:
            self.link.pump()
        if self.waiting is not None:
            self.waiting.pump()
        if self.lost_at is not None and self._clock() - self.lost_at > self.grace:
            self._over(f"lost: {self._lost_because}")

    def next_timer(self) -> float:
        """When to call `pump` next, on the clock's scale."""
        due = [link.next_timer() for link in (self.link, self.waiting) if link and link.is_open]
        if self.lost_at is not None:
            due.append(self.lost_at + self.grace)
        return min(due, default=float("inf"))

    # -- the session -------------------------------------------------------------------------

    def send(self, channel: Channel, payload: bytes) -> None:
        """Queue a message, and hand it over if there is a link. While there is none it waits.

        Raises `SendQueueFull` if the channel's queue is full, `UsageError` if it is too long.
        """
        if self.link is None:
            channel.outgoing.send(payload, self._clock())
        elif self.over_because is None:
            self.link.send(channel, payload)

    def send_media(self, packet: bytes) -> None:
        """Send an RTP packet at once; it is lost if there is no link."""
        if self.link is not None:
            self.link.send_media(packet)

    def close(self, reason: str) -> None:
        """End it, and tell the other end why if there is a link. Idempotent."""
        for link in (self.waiting, self.link):
            if link is not None and link.is_open:
                link.close(reason)
        self._over(reason)

    # ----------------------------------------------------------------------------------------

    def _new_link(self, transport: Transport, *, carries: bool) -> Link:
        link = Link(
            transport,
            self.session,
            self._clock,
            on_message=self._on_message,
            on_datagram=self._on_datagram,
            on_closed=lambda reason: None,
            carries=carries,
            lock=self._lock,
        )
        self._listen_to(link)
        link.on_ticket = lambda ticket: self._ticket(link, ticket)
        return link

    def _listen_to(self, link: Link) -> None:
        def confirm() -> None:
            link.on_message, link.on_datagram = self._on_message, self._on_datagram
            if link is self.link:
                self._on_confirmed()

        def first_message(channel: Channel, payload: bytes) -> None:
            confirm()
            self._on_message(channel, payload)

        def first_datagram(data: bytes) -> None:
            confirm()
            self._on_datagram(data)

        link.on_message, link.on_datagram = first_message, first_datagram
        link.on_media = lambda packet: self.on_media(packet)
        link.on_closed = lambda reason: self._closed(link, reason)

    def _ticket(self, link: Link, ticket: bytes) -> None:
        if link is self.waiting or link is self.link:
            self.ticket = ticket
        if link is self.waiting:
            self.adopt(link)

    def _closed(self, link: Link, reason: str) -> None:
        was_waiting = link is self.waiting
        if was_waiting:
            self.waiting = None
        if was_waiting or link is self.link:
            self._on_retired(link)
        if link.is_final and not (was_waiting and self.is_up):
            self._over(reason)
        elif link is self.link and self.over_because is None:
            self._lost(reason)

    def _lost(self, reason: str) -> None:
        if self.grace <= 0:
            self._over(reason)
            return
        self.lost_at, self._lost_because = self._clock(), reason
        self._on_lost(reason)

    def _over(self, reason: str) -> None:
        if self.over_because is not None:
            return
        self.over_because, self.lost_at = reason, None
        for link in (self.waiting, self.link):
            if link is not None and link.is_open:
                link.close(reason)
        self._on_over(reason)
