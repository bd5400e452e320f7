"""The scheduler: what is handed to the transport next.

SCTP has one queue for all lanes, first in, first out. Whatever is handed over early stands in
the way of the next state packet, so channels keep their messages here and are asked in turn,
unreliable ones first, only while little is on its way.
"""

from collections.abc import Iterable

from netcode.link.frames import Piece
from netcode.link.session import Channel
from netcode.transports.base import Lane

BULK_IN_FLIGHT = 12 * 1024
"""Bytes on their way above which no more is handed over. At 100 ms round trip this carries
120 kB/s of bulk, and a state packet waits behind at most a dozen others."""

URGENT_IN_FLIGHT = 3 * BULK_IN_FLIGHT
"""The same for messages that are not reliable: they would be stale if they waited for bulk."""

TRICKLE = 0.05
"""Seconds after which a reliable piece goes even though that much is on its way: 22 kB/s, so that
state which keeps the line full on its own cannot silence everything else."""


class Scheduler:
    """Asks the channels in turn; one turn is one piece, so long messages interleave."""

    def __init__(self) -> None:
        self._turn = 0
        self._served: dict[int, int] = {}
        """Each channel's latest turn: whoever has waited longest is next."""
        self._bulk_at = float("-inf")

    def next_frame(
        self, channels: Iterable[Channel], backlog: int, now: float
    ) -> tuple[Lane, Piece] | None:
        """The next frame to hand over while ``backlog`` bytes are on their way, or None."""
        waiting = [channel for channel in channels if not channel.outgoing.is_idle]
        waiting.sort(key=lambda channel: self._served.get(channel.number, 0))
        waiting.sort(key=lambda channel: channel.delivery.reliable)
        for channel in waiting:
            reliable = channel.delivery.reliable
            if not (self._has_room(backlog, now) if reliable else backlog < URGENT_IN_FLIGHT):
                continue
            piece = channel.outgoing.next_frame(now)
            if piece is not None:
                self._turn += 1
                self._served[channel.number] = self._turn
                if reliable:
                    self._bulk_at = now
                return channel.delivery.lane, piece
        return None

    def _has_room(self, backlog: int, now: float) -> bool:
        return backlog < BULK_IN_FLIGHT or now - self._bulk_at >= TRICKLE
