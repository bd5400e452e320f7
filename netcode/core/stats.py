"""What a game may want to show about its network."""

from collections import deque
from dataclasses import dataclass

from netcode.transports.base import TransportStats

METER_WINDOW = 1.0
"""Seconds over which rates are taken."""


class Meter:
    """Amounts per second over the last `METER_WINDOW` seconds."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, float]] = deque()
        self._sum = 0.0
        self._since: float | None = None

    def add(self, now: float, amount: float = 1.0) -> None:
        if self._since is None:
            self._since = now
        self._entries.append((now, amount))
        self._sum += amount
        self._expire(now)

    def rate(self, now: float) -> float:
        self._expire(now)
        if self._since is None:
            return 0.0
        return self._sum / max(METER_WINDOW / 10, min(METER_WINDOW, now - self._since))

    def _expire(self, now: float) -> None:
        while self._entries and self._entries[0][0] <= now - METER_WINDOW:
            self._sum -= self._entries.popleft()[1]


class Traffic:
    """What a connection carries a second and has carried in all, told from what the transport of
    its link has counted so far; after a change of links that counts from zero again."""

    def __init__(self) -> None:
        self.bytes_in, self.bytes_out = Meter(), Meter()
        self.packets_in, self.packets_out = Meter(), Meter()
        self.bytes_received = self.bytes_sent = 0
        self._counted = (0, 0, 0, 0)
        self._of: TransportStats | None = None

    def count(self, now: float, carried: TransportStats) -> None:
        """Note what has been carried since the last call."""
        if carried is not self._of:
            self._of, self._counted = carried, (0, 0, 0, 0)
        counted = (
            carried.bytes_received,
            carried.bytes_sent,
            carried.messages_received,
            carried.messages_sent,
        )
        meters = (self.bytes_in, self.bytes_out, self.packets_in, self.packets_out)
        for meter, new, old in zip(meters, counted, self._counted, strict=True):
            meter.add(now, new - old)
        self.bytes_received += counted[0] - self._counted[0]
        self.bytes_sent += counted[1] - self._counted[1]
        self._counted = counted


@dataclass(frozen=True, slots=True)
class NetworkStats:
    """A client's view of its connection, taken at one moment. Rates are over the last second."""

    rtt: float = 0.0
    """Smoothed round trip in seconds; 0 until it is known."""
    jitter: float = 0.0
    """Mean lateness of snapshots in seconds."""
    loss: float = 0.0
    """Share of the server's last 64 state packets that did not arrive (or not in order yet)."""
    bytes_in: float = 0.0
    """Bytes a second received, without the headers below the data channel (about 93 a packet)."""
    bytes_out: float = 0.0
    """Bytes a second sent, likewise."""
    packets_in: float = 0.0
    packets_out: float = 0.0
    broadcast_hz: float = 0.0
    """Snapshots a second."""
    bytes_received: int = 0
    """In total."""
    bytes_sent: int = 0
    interpolation_delay: float = 0.0
    """Seconds that others are shown behind a snapshot that has just arrived."""
    lead: float = 0.0
    """Seconds that this player's simulation runs ahead of the server's."""
    corrections: int = 0
    """Times so far that own entities had to be put elsewhere than they were predicted."""
    mispredictions: int = 0
    """Snapshots so far that said anything else of own entities than was predicted."""
    transport: str = ""
    """What carries the link: ``"webrtc"``, ``"loopback"``."""
    rung: str = ""
    """Which way it takes: ``"direct"``, ``"turn_udp"`` or ``"turn_tcp"`` by a relay,
    ``"websocket"`` through the signaling server; ``""`` on a line that is none of these."""
    path: str = ""
    """How it gets there, in words, where the transport can tell."""


@dataclass(slots=True)
class ServerStats:
    """Counts of a server since it started."""

    ticks: int = 0
    late_ticks: int = 0
    """Ticks that ran noticeably after they were due."""
    skipped_ticks: int = 0
    """Ticks that never ran because the server could not keep up."""
    broadcasts: int = 0
    broadcast_hz: float = 0.0
    """Broadcasts a second, over the last second."""
    bytes_sent: int = 0
    """State bytes handed to transports."""
    bytes_received: int = 0
    """Input bytes that arrived."""
    missing_inputs: int = 0
    """Ticks simulated for a player without a fresh input: the last one was held."""
    late_inputs: int = 0
    """Inputs that arrived after their tick had been simulated."""
    refused_inputs: int = 0
    """Inputs that were not believed, being for ticks far ahead, and input packets that were not
    read, being more than a client needs to send."""
    handler_errors: int = 0
    """Exceptions raised by handlers of messages, joins and leaves; they are in the log."""
