"""What a relay spends on others at most."""

from dataclasses import dataclass, fields

from signaling.errors import UsageError


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """The bounds of a `TurnServer`. Raises `UsageError` for one that makes no sense."""

    max_allocations: int = 500
    """Relayed addresses at one time; more get 508. Each is a socket, and many systems give a
    process 1,024 of them."""
    max_allocations_per_user: int = 32
    """Relayed addresses of one name; more get 486. A member of a mesh has one for each other."""
    max_permissions: int = 100
    """Peer addresses that one allocation may permit at a time; more get 508."""
    max_channels: int = 100
    """Channels that one allocation may bind at a time; more get 508."""
    bytes_per_second: float = 1_000_000.0
    """Of one allocation in each direction, in the long run; what is above is dropped. A packet
    counts as 400 bytes at least."""
    burst_bytes: float = 500_000.0
    """Bytes that one allocation may relay at once in each direction."""
    request_burst: int = 200
    """Requests about one allocation at once: permissions and channels for all its peers, twice."""
    request_rate: float = 20.0
    """The same per second, in the long run. What is above is dropped without an answer."""
    max_connections: int = 1_000
    """TCP and TLS connections at one time; more are closed at once."""
    connect_timeout: float = 10.0
    """Seconds from the TCP connection to its allocation; then it is closed."""
    stranger_burst: int = 100
    """Packets and connections of one address (IPv6: of one /64) that is not known yet, at once.

    An allocation costs two, so a household of 50 may join at the same moment.
    """
    stranger_rate: float = 20.0
    """The same per second, in the long run. What is above is dropped without an answer."""
    challenge_rate: float = 2_000.0
    """Answers a second to all strangers together: a flood from many addresses costs no more."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise UsageError(f"{field.name} must be above 0, not {getattr(self, field.name)}")
