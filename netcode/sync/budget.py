"""The budget: how many bytes of state a second a peer's link bears.

Additive increase, multiplicative decrease, as every fair sender does (RFC 5681), by three signs of
a full line: packets that do not arrive, a round trip that has grown beyond its own best, and bytes
that pile up on this side. While the round trip falls again, a queue is draining and nothing is cut.
Without a sign the budget grows while it is needed. It never falls below a floor, at which a game is
still playable, nor rises above a ceiling, so that one player cannot take a server's whole line.
"""

from collections import deque
from dataclasses import dataclass

from netcode.errors import UsageError

REVIEW = 0.25
"""Seconds between two looks at the signs: a round trip or more must pass for a change to show."""

GROWTH = 1.08
"""Per review, while the budget is used: doubled in two and a quarter seconds."""
STEP = 1_000.0
"""Bytes a second that it grows by at least."""
CUT = 0.75
"""After a sign."""
MOST_CUT = 0.5
"""After a sign, if little of what is sent arrives."""

BEST_WINDOW = 30.0
"""Seconds over which the best round trip is remembered: a route may get longer for good."""
RTT_GROWTH = 1.5
RTT_SLACK = 0.08
"""A round trip above 1.5 × its best + 80 ms is a queue, not jitter."""

MUCH_LOSS = 0.12
"""Share of lost packets that radio and chance do not explain: the preset `terrible` has 8 %."""
BACKLOG = 0.3
"""Seconds' worth of the budget, beyond a round trip's, that may wait or be in flight."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Bytes of state a second for each player: where it starts, and between what it adapts.

    Counted are the bytes of state packets, without about 93 bytes of headers below each. Raises
    `UsageError` unless 1,000 ≤ floor ≤ start ≤ ceiling.
    """

    start: float = 64_000.0
    floor: float = 12_000.0
    """As much as a player with a slow line and forty entities in view needs."""
    ceiling: float = 256_000.0

    def __post_init__(self) -> None:
        if not 1_000 <= self.floor <= self.start <= self.ceiling:
            raise UsageError(
                f"a budget needs 1000 <= floor <= start <= ceiling bytes a second, not floor "
                f"{self.floor:g}, start {self.start:g}, ceiling {self.ceiling:g}"
            )


class BudgetControl:
    """Adapts one peer's budget to what its link bears. ``now`` is monotonic seconds."""

    def __init__(self, limits: Budget) -> None:
        self.limits = limits
        self.rate = float(limits.start)
        """Bytes a second."""
        self.held_back = ""
        """Which sign was seen at the last review, for people; empty if none."""
        self._reviewed = -1.0
        self._sent = 0.0
        self._last_rtt = 0.0
        self._used = False
        self._best: deque[tuple[float, float]] = deque()

    def note(self, sent: int, deferred: bool, broadcast_rate: float) -> None:
        """What the last broadcast took: the budget grows only while it is used."""
        self._sent += 0.1 * (sent * broadcast_rate - self._sent)
        self._used |= deferred or sent * broadcast_rate > 0.5 * self.rate

    def review(self, now: float, rtt: float | None, loss: float, backlog: int) -> float:
        """Look at the signs, if it is time to; the bytes a second from now on.

        ``rtt`` is the round trip in seconds (None: not measured yet), ``loss`` a share of packets,
        ``backlog`` the bytes handed over that have not arrived as far as this end knows.
        """
        if now - self._reviewed < max(REVIEW, 1.5 * (rtt or 0.0)):
            return self.rate
        self._reviewed = now
        self.held_back = self._sign(now, rtt, loss, backlog)
        draining = rtt is not None and rtt < self._last_rtt
        self._last_rtt = rtt or 0.0
        if self.held_back and not draining:
            # What arrives of what is sent is more than the line carries, so it is a bound.
            arriving = max(self._sent * (1.0 - loss), self.rate * MOST_CUT)
            self.rate = max(self.limits.floor, min(self.rate * CUT, arriving))
        elif not self.held_back and self._used:
            grown = max(self.rate * GROWTH, self.rate + STEP)
            self.rate = min(self.limits.ceiling, grown)
        self._used = False
        return self.rate

    def _sign(self, now: float, rtt: float | None, loss: float, backlog: int) -> str:
        best = rtt or 0.0
        if rtt is not None:
            while self._best and self._best[-1][1] >= rtt:
                self._best.pop()
            self._best.append((now, rtt))
            while self._best[0][0] < now - BEST_WINDOW:
                self._best.popleft()
            best = self._best[0][1]
            if rtt > RTT_GROWTH * best + RTT_SLACK:
                return "the round trip has grown"
        if loss > MUCH_LOSS:
            return "packets are lost"
        if backlog > self.rate * (best + BACKLOG):
            return "bytes are piling up"
        return ""
