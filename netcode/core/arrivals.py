"""Arrivals: links on which nobody has said who they are, until they have."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from netcode.core.join import CONTROL, Hello, Identity, Refusal, decode_hello, encode
from netcode.errors import WireError
from netcode.link.delivery import RELIABLE
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.transports.base import Transport

HELLO_TIMEOUT = 5.0
"""Seconds that a fresh link has for saying who it is."""


MAX_WAITING = 64
"""Links that have not said hello. Each may cost a WebRTC connection for five seconds."""

MAX_PER_CALLER = 2
"""Of them from one caller, which needs one."""


class Arrival:
    """A link that is nobody's yet, with a session of its own in case it becomes a new player's."""

    def __init__(self, since: float, identity: Identity | None, caller: str) -> None:
        self.since = since
        self.caller = caller
        """Whose it is, as far as whoever made the transport knows."""
        self.identity = identity
        """Who that certainly is, whatever the other end says; None where nobody has looked."""
        self.session = Session()
        self.control: Channel = self.session.open(CONTROL, RELIABLE)[0]
        self.refused: str | None = None
        self.link: Link

    def refuse(self, reason: str, description: dict[str, Any] | None = None) -> None:
        """Turn it away, with the game's declarations if it is these that differ."""
        # The description may be long: the link is closed when all of it has been handed over.
        self.refused = reason
        self.link.send(self.control, encode(Refusal(reason, description)))


class Arrivals:
    """All that wait at the door of one host.

    ``on_hello(arrival, hello)`` answers a newcomer, ``on_resume(arrival, ticket)`` somebody who has
    been here before; both either `remove` the arrival, whose link is a player's then, or turn it
    away. ``on_retired(link)`` is called for every link that has ended here.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_hello: Callable[[Arrival, Hello], None],
        on_resume: Callable[[Arrival, bytes], None],
        on_retired: Callable[[Link], None],
    ) -> None:
        self._clock = clock
        self._on_hello = on_hello
        self._on_resume = on_resume
        self._on_retired = on_retired
        self._waiting: list[Arrival] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def attach(self, transport: Transport, identity: Identity | None, caller: str = "") -> Link:
        """A transport to somebody; the link is started. Where there is no room, the oldest link
        of the caller who has most has to go."""
        arrival = Arrival(self._clock(), identity, caller)
        theirs = Counter(each.caller for each in self._waiting)
        if len(self._waiting) >= MAX_WAITING:
            self._drop(max(theirs, key=lambda each: theirs[each]))
        elif caller and theirs[caller] >= MAX_PER_CALLER:
            self._drop(caller)
        arrival.link = Link(
            transport,
            arrival.session,
            self._clock,
            on_message=lambda channel, payload: self._message(arrival, channel, payload),
            on_datagram=_too_early,
            on_closed=lambda reason: self._closed(arrival),
            on_resume=lambda ticket: self._resume(arrival, ticket),
        )
        self._waiting.append(arrival)
        arrival.link.start()
        return arrival.link

    def remove(self, arrival: Arrival) -> None:
        """This one is in."""
        self._waiting.remove(arrival)

    def pump(self, now: float) -> None:
        """Keep the links alive, and end those that have been turned away or say nothing."""
        for arrival in list(self._waiting):
            arrival.link.pump()
            if arrival.refused and arrival.control.outgoing.is_idle:
                arrival.link.close(f"refused: {arrival.refused}")
            elif now - arrival.since > HELLO_TIMEOUT:
                arrival.link.close("said nothing after connecting")

    def close(self, reason: str) -> None:
        """Turn everybody away."""
        for arrival in list(self._waiting):
            arrival.link.close(reason)

    # ----------------------------------------------------------------------------------------

    def _drop(self, caller: str) -> None:
        oldest = next(each for each in self._waiting if each.caller == caller)
        oldest.link.close("too many links that say nothing")

    def _message(self, arrival: Arrival, channel: Channel, payload: bytes) -> None:
        if channel is not arrival.control or arrival.refused:
            raise WireError("said something other than hello, or twice")
        self._on_hello(arrival, decode_hello(payload))

    def _resume(self, arrival: Arrival, ticket: bytes) -> None:
        if arrival not in self._waiting or arrival.refused:
            raise WireError("came back twice")
        self._on_resume(arrival, ticket)

    def _closed(self, arrival: Arrival) -> None:
        if arrival in self._waiting:
            self._waiting.remove(arrival)
        self._on_retired(arrival.link)


def _too_early(data: bytes) -> None:
    raise WireError("a datagram before the hello")
