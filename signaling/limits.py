"""What a signaling server spends on others at most, and the pace it lets one connection keep."""

import math
from dataclasses import dataclass, fields

from signaling.errors import UsageError
from signaling.messages import MAX_CLIENT_MESSAGE_BYTES, MAX_LISTED_PEERS
from signaling.parcels import MAX_PARCEL_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class SignalingLimits:
    """The bounds of a `SignalingServer`. Raises `UsageError` for one that makes no sense."""

    max_connections: int = 1_000
    """WebSocket connections at one time. More get HTTP 503 before they cost anything."""
    max_connections_per_address: int = 64
    """WebSocket connections at one time from one IP address (IPv6: from one /64), as many as a full
    room behind one router. More get HTTP 429. This machine itself (loopback) is not limited."""
    address_burst: int = 200
    """Connections that one address may open at once; beyond, only ``address_rate`` of them."""
    address_rate: float = 5.0
    """New connections per second and address in the long run. More get HTTP 429."""
    bad_token_burst: int = 10
    """Joins with a bad token that one address is answered at once; beyond, each answer waits."""
    bad_token_rate: float = 0.2
    """Bad tokens per second and address that are answered without a wait in the long run. A wait
    is five seconds at most. Who shares the address and has a good token does not wait."""
    max_rooms: int = 1_000
    """Rooms with somebody in them."""
    max_peers_per_room: int = 64
    """Members of one room, its host included."""
    join_timeout: float = 10.0
    """Seconds from the open connection to its ``join``; then it is closed."""
    max_bad_messages: int = 5
    """Messages that make no sense before the connection is closed (code 1008)."""
    message_burst: int = 400
    """Messages that a connection may send at once; beyond, it is slowed to ``message_rate``.

    Enough for a host that greets a full room of 64 with an offer and five candidates each.
    """
    message_rate: float = 100.0
    """Messages per second and connection, in the long run.

    What comes faster is not read, and its sender's pongs wait behind it: who keeps sending
    faster for longer than ``ping_timeout`` is taken for lost.
    """
    byte_burst: int = 524_288
    """Bytes that a connection may send at once; beyond, it is slowed to ``byte_rate``."""
    byte_rate: float = 131_072.0
    """Bytes per second and connection, in the long run."""
    send_queue_messages: int = 1_000
    """Messages that wait for one slow reader before it is closed (code 1013).

    More than twice ``message_burst``, so that no single peer can make another look slow.
    """
    send_queue_bytes: int = 1_048_576
    """Bytes that wait for one slow reader before it is closed; twice ``byte_burst``."""
    parcel_byte_burst: int = 1_048_576
    """Bytes of parcels (see `signaling.parcels`) that a connection may send at once; beyond, it is
    slowed to ``parcel_byte_rate``. Like messages, what comes faster is not read."""
    parcel_byte_rate: float = 262_144.0
    """Bytes of parcels per second and connection, in the long run: a player's state ten times over,
    or a voice. 0 switches relaying off: parcels are refused with the code ``relaying_off``."""
    parcel_burst: int = 2_000
    """Parcels that a connection may send at once; beyond, it is slowed to ``parcel_rate``."""
    parcel_rate: float = 500.0
    """Parcels per second and connection, in the long run."""
    parcel_total_burst: int = 16_777_216
    """Bytes of parcels from all connections together, in all rooms, at once."""
    parcel_total_rate: float = 8_388_608.0
    """The same per second, in the long run; beyond, all who send parcels are slowed. What the
    program that the server runs in sends itself is not counted."""
    parcel_queue_bytes: int = 1_048_576
    """Bytes of parcels that wait for one reader. A parcel that finds no room ends the relaying from
    its sender to that reader, and both hear it (``relaying_ended``)."""
    parcel_queue_bytes_per_sender: int = 524_288
    """The same of one sender: who floods a peer cannot cut others off from it."""
    ping_interval: float = 4.0
    """Seconds between keepalive pings."""
    ping_timeout: float = 4.0
    """Seconds to wait for a pong. With the interval and `CLOSE_GRACE`, a lost socket is
    announced within 10 s."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (value > 0 or (value == 0 and field.name == "parcel_byte_rate")):
                raise UsageError(f"{field.name} must be above 0, not {value}")
        if self.max_peers_per_room > MAX_LISTED_PEERS:
            raise UsageError(f"max_peers_per_room must be at most {MAX_LISTED_PEERS}")
        if self.byte_burst < MAX_CLIENT_MESSAGE_BYTES:
            raise UsageError(
                f"byte_burst must be at least {MAX_CLIENT_MESSAGE_BYTES}, one largest message"
            )
        if self.parcel_queue_bytes_per_sender < MAX_PARCEL_FRAME_BYTES:
            raise UsageError(
                f"parcel_queue_bytes_per_sender must be at least {MAX_PARCEL_FRAME_BYTES}, one "
                "largest parcel"
            )

    @property
    def relays(self) -> bool:
        """Whether parcels are relayed at all."""
        return self.parcel_byte_rate > 0


CLOSE_GRACE = 1.5
"""Seconds that the other end has for its part of closing; then the socket is dropped.

Long enough for a round trip on a poor link, short enough that a lost socket (ping interval and
timeout before it) is announced within 10 s.
"""


class Pace:
    """A token bucket: a burst at once, then a steady rate. Pure: the caller passes the time."""

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._tokens = burst
        self._at = now

    def take(self, amount: float, now: float, *, most: float = math.inf) -> float:
        """Take an amount and return how many seconds to wait before acting on it.

        ``now`` is in monotonic seconds. The bucket goes into debt, which the wait pays off. A wait
        of ``most`` seconds is the longest: what would make it longer is not taken.
        """
        self._refill(now)
        self._tokens = max(self._tokens - amount, min(self._tokens, -most * self._rate))
        return max(0.0, -self._tokens / self._rate)

    def try_take(self, amount: float, now: float) -> float:
        """Take an amount if it is there; return 0.0, or in how many seconds it will be."""
        self._refill(now)
        if self._tokens < amount:
            return (amount - self._tokens) / self._rate
        self._tokens -= amount
        return 0.0

    def _refill(self, now: float) -> None:
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now

    def spare(self, amount: float, now: float) -> bool:
        """Take an amount unless the bucket is empty; return whether it was taken.

        For what is dropped rather than delayed. Here, too, the bucket may go into debt by one
        amount, so that an amount above the burst is not refused for ever.
        """
        self._refill(now)
        if self._tokens <= 0:
            return False
        self._tokens -= amount
        return True
