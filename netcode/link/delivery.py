"""Deliveries: what a channel promises about the messages sent on it."""

from dataclasses import dataclass

from netcode.errors import UsageError
from netcode.transports.base import EXPIRING_LIFETIMES, Lane


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a channel promises. Use the constants below, or `EXPIRING`."""

    name: str
    lane: Lane
    """Which of the transport's streams carries it."""
    reliable: bool = False
    """Every message arrives exactly once, also when the link breaks and is replaced."""
    ordered: bool = False
    """Messages arrive in the order in which they were sent."""
    sequenced: bool = False
    """A message that is older than one already delivered is dropped."""
    lifetime: float | None = None
    """Seconds after which a message that has not been handed over is dropped."""

    def __repr__(self) -> str:
        return self.name


RELIABLE = Delivery("RELIABLE", Lane.RELIABLE, reliable=True, ordered=True)
"""Arrives exactly once, in order."""

UNORDERED = Delivery("UNORDERED", Lane.UNORDERED, reliable=True)
"""Arrives exactly once, in whatever order: nothing waits for a lost neighbour."""

UNRELIABLE = Delivery("UNRELIABLE", Lane.UNRELIABLE)
"""Sent once. May be lost, doubled or overtaken."""

SEQUENCED = Delivery("SEQUENCED", Lane.UNRELIABLE, sequenced=True)
"""Sent once; what arrives after a newer message is dropped."""


def EXPIRING(milliseconds: int) -> Delivery:  # noqa: N802  a delivery like the constants above
    """Retransmitted while it is at most this old, then given up.

    A message that waits longer than ``milliseconds`` in this end's queue is never sent; once
    sent, it is retransmitted for the longest of 100, 250, 500 and 1,000 ms that is not above
    ``milliseconds`` (100 ms for less). Raises `UsageError` outside 1..60,000 ms.
    """
    if not 1 <= milliseconds <= 60_000:
        raise UsageError(f"EXPIRING takes 1 to 60000 milliseconds, not {milliseconds}")
    fitting = [lane for lane, most in EXPIRING_LIFETIMES.items() if most <= milliseconds]
    lane = fitting[-1] if fitting else Lane.EXPIRING_100
    return Delivery(f"EXPIRING({milliseconds})", lane, lifetime=milliseconds / 1000.0)
