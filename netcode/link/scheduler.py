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


class Scheduler:
    """Asks the channels in turn; one turn is one piece, so long messages interleave."""

    def __init__(self) -> None:
        self._turn = 0

    def next_frame(
        self, channels: Iterable[Channel], backlog: int, now: float
    ) -> tuple[Lane, Piece] | None:
        """The next frame to hand over while ``backlog`` bytes are on their way, or None."""
        waiting = [channel for channel in channels if not channel.outgoing.is_idle]
        if not waiting:
            return None
        self._turn += 1
        start = self._turn % len(waiting)
        in_turn = waiting[start:] + waiting[:start]
        in_turn.sort(key=lambda channel: channel.delivery.reliable)
        for channel in in_turn:
            reliable = channel.delivery.reliable
            if backlog >= (BULK_IN_FLIGHT if reliable else URGENT_IN_FLIGHT):
                continue
            piece = channel.outgoing.next_frame(now)
            if piece is not None:
                return channel.delivery.lane, piece
        return None
