"""What a transport is: seven lanes of datagrams or retransmitted messages between two ends.

A lane is a pre-negotiated stream with one kind of delivery; channels (see `netcode.link`) are
multiplexed on it by name. This module is pure: it imports neither asyncio nor a socket.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAX_DATAGRAM = 1_100
"""Bytes of one message that every transport carries in a single packet (aiortc cuts at 1,160)."""

MAX_TRANSPORT_MESSAGE = 16_384
"""Bytes that ``send`` takes at most; the link cuts longer messages into pieces."""


class Lane(enum.IntEnum):
    """A pre-negotiated stream. Its number is the data channel's id, the same on both ends."""

    RELIABLE = 0
    """Retransmitted until it arrives, in order."""
    UNORDERED = 1
    """Retransmitted until it arrives, in whatever order."""
    UNRELIABLE = 2
    """Sent once: arrives or not."""
    EXPIRING_100 = 3
    """Retransmitted for at most 100 ms, in whatever order."""
    EXPIRING_250 = 4
    """Retransmitted for at most 250 ms."""
    EXPIRING_500 = 5
    """Retransmitted for at most 500 ms."""
    EXPIRING_1000 = 6
    """Retransmitted for at most 1,000 ms."""


EXPIRING_LIFETIMES: dict[Lane, int] = {
    Lane.EXPIRING_100: 100,
    Lane.EXPIRING_250: 250,
    Lane.EXPIRING_500: 500,
    Lane.EXPIRING_1000: 1000,
}
"""How long the transport retransmits on each expiring lane, in milliseconds."""


@dataclass(slots=True)
class TransportStats:
    """What a transport has carried so far."""

    bytes_sent: int = 0
    """Bytes of messages handed over, without any header of the layers below."""
    bytes_received: int = 0
    """Bytes of messages that arrived."""
    messages_sent: int = 0
    messages_received: int = 0
    dropped: int = 0
    """Arrived messages thrown away because they were malformed or nobody listened."""
    given_up: int = 0
    """Messages of lanes that may lose some, which were not sent since they would have been late.
    Only a transport that keeps what is handed over counts them, others lose them on the way."""


class Transport(Protocol):
    """An open link's bytes. Every method is called on the thread that runs its event loop."""

    kind: str
    """What this is, for people: ``"webrtc"``, ``"websocket"``, ``"loopback"``."""

    stats: TransportStats

    @property
    def rung(self) -> str:
        """Which rung of the connection ladder this is (see `netcode.rungs`); ``""`` if on none."""
        ...

    def start(
        self, on_receive: Callable[[Lane, bytes], None], on_closed: Callable[[str], None]
    ) -> None:
        """Deliver to these callbacks from now on; what arrived before is delivered first.

        ``on_closed(reason)`` is called at most once, also when this end closed. A callback that
        raises is logged and does no harm to the transport.
        """

    def send(self, lane: Lane, data: bytes) -> None:
        """Hand over one message of at most `MAX_TRANSPORT_MESSAGE` bytes; never blocks.

        On a transport that has closed this does nothing: ``on_closed`` has told, or will tell.
        """

    def send_media(self, packet: bytes) -> None:
        """Send one RTP packet of at most `MAX_DATAGRAM` bytes, once, past whatever waits.

        It arrives, if it does, as a message of the lane ``UNRELIABLE`` whose first byte is 128 to
        191. Before the transport is open, and once it has closed, this does nothing.
        """

    def backlog(self) -> int:
        """Bytes handed over that have not reached the other end as far as this end knows.

        Counts what waits in the transport's queue and what is in flight. The link hands over
        bulk only while this is small, so that state never queues behind it.
        """

    def path(self) -> str:
        """The way packets take, for people; ``""`` while unknown."""
        ...

    async def drain(self, timeout: float) -> bool:
        """Wait until all that was sent is acknowledged, at most ``timeout`` seconds.

        True if it is; False if time was up or the connection has ended. Unreliable messages
        are waited for until they have arrived or are given up.
        """
        ...

    def close(self) -> None:
        """Close at once; what is in flight may be lost. Idempotent, also after a failure."""

    async def wait_closed(self) -> None:
        """Return when everything that belongs to this transport (tasks, sockets) is gone."""
