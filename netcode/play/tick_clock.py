"""Clocks: when the server's ticks are due, and which tick a client is at.

A client keeps two hands on one dial. The *display* tick lies behind the newest snapshot by the
interpolation delay, so that there is nearly always a sample on both sides of it. The *input*
tick runs ahead of the server, so that an input reaches it just before its tick is simulated.
"""

from collections import deque

CATCH_UP = 5
"""Ticks that a late server makes up for in one go; what is beyond is skipped, so that a server
that is too slow falls behind once and does not spiral."""

LATE = 0.020
"""Seconds after which a tick counts as late: a coarse timer of 15.6 ms (Windows) is not."""


class TickLoop:
    """When a server's ticks are due."""

    def __init__(self, rate: float, now: float) -> None:
        self.interval = 1.0 / rate
        self.late = 0
        """Ticks that ran more than `LATE` seconds after they were due."""
        self.skipped = 0
        """Ticks that never ran, because the server was more than `CATCH_UP` behind."""
        self.next_at = now + self.interval

    def due(self, now: float) -> int:
        """How many ticks to simulate now, at most `CATCH_UP`."""
        behind = now - self.next_at
        if behind < 0:
            return 0
        count = int(behind / self.interval) + 1
        self.next_at += count * self.interval
        # The oldest are skipped: those that run are the ones due most recently.
        ran = min(count, CATCH_UP)
        self.skipped += count - ran
        self.late += sum(now - (self.next_at - n * self.interval) > LATE for n in range(1, ran + 1))
        return ran


WINDOW = 2.0
"""Seconds of arrivals from which the offset is taken: the quickest packet tells it best."""

SHIFT_WINDOW = 0.4
"""Seconds in which all are late when the server has skipped ticks or the route is longer."""

SHIFT = 0.1
"""Seconds by which the quickest of them must be late for what came before to be forgotten."""

SPEED_UP = 0.05
"""A hand that is off runs up to this share faster or slower, which nobody sees."""

SNAP = 0.5
"""Seconds of error above which a hand jumps: it would take ten seconds to walk that far."""

LEAD_TICKS = 2.0
"""Ticks that inputs are to arrive before they are needed, on a line without jitter."""

MAX_JITTER = 0.25

MAX_LED_RTT = 1.0
"""Seconds of round trip that the inputs run ahead for. Where packets take longer an end is
overloaded: running farther ahead would only add to it, and a server refuses inputs from afar."""

TRIM_GAIN = 0.02
"""Share of the error in arriving at the server that the lead takes over with each snapshot."""


class TickClock:
    """A client's two hands. All times are monotonic seconds passed in by the caller."""

    def __init__(self, tick_rate: float, broadcast_rate: float) -> None:
        self._rate = tick_rate
        self._interval = 1.0 / broadcast_rate
        self._arrivals: deque[tuple[float, float]] = deque()
        self._now: float | None = None
        self.jitter = 0.0
        """Mean seconds by which packets arrive later than the quickest of the window."""
        self.display_tick = 0.0
        self.input_tick = 0.0
        self._lead_trim = 0.0
        self._input_error = 0.0

    @property
    def is_set(self) -> bool:
        """Whether anything has arrived to set the hands by."""
        return self._now is not None

    @property
    def delay(self) -> float:
        """The interpolation delay in seconds: 1.7 broadcast intervals + 4 × jitter."""
        return 1.7 * self._interval + 4.0 * min(self.jitter, MAX_JITTER)

    @property
    def margin(self) -> float:
        """Seconds that inputs are to arrive before they are needed."""
        return LEAD_TICKS / self._rate + 3.0 * min(self.jitter, MAX_JITTER)

    def arrived(self, tick: int, now: float, earliness: float | None) -> None:
        """A snapshot of ``tick`` came in; the server reports how early our inputs came."""
        offset = now - tick / self._rate
        self._arrivals.append((now, offset))
        while self._arrivals[0][0] < now - WINDOW:
            self._arrivals.popleft()
        self._forget_before_shift(now)
        quickest = min(offset for _, offset in self._arrivals)
        late = [min(offset - quickest, MAX_JITTER) for _, offset in self._arrivals]
        self.jitter += (sum(late) / len(late) - self.jitter) * 0.1
        # What is said of inputs sent while the hand was on its way says nothing of where it goes.
        if earliness is not None and abs(self._input_error) < 1.0 / self._rate:
            wanted = max(-0.05, min(0.25, self.margin - earliness))
            self._lead_trim = max(-0.2, min(0.5, self._lead_trim + TRIM_GAIN * wanted))

    def _forget_before_shift(self, now: float) -> None:
        """Start afresh when everything has been late for a while: that is no jitter."""
        recent = [entry for entry in self._arrivals if entry[0] > now - SHIFT_WINDOW]
        before = len(self._arrivals) - len(recent)
        if before == 0 or len(recent) < 4:
            return
        old = [offset for _, offset in self._arrivals][:before]
        if min(offset for _, offset in recent) - min(old) > max(SHIFT, 2.0 * self.jitter):
            self._arrivals = deque(recent)

    def advance(self, now: float, rtt: float) -> None:
        """Move both hands to ``now``."""
        if not self._arrivals:
            return
        quickest = min(offset for _, offset in self._arrivals)
        arriving = (now - quickest) * self._rate
        display = arriving - self.delay * self._rate
        lead = min(rtt, MAX_LED_RTT) + self.margin + self._lead_trim
        inputs = arriving + lead * self._rate
        if self._now is None:
            self.display_tick, self.input_tick = display, inputs
        else:
            passed = max(0.0, now - self._now) * self._rate
            self.display_tick = self._steer(self.display_tick + passed, display, passed)
            self.input_tick = self._steer(self.input_tick + passed, inputs, passed)
        self._input_error = (inputs - self.input_tick) / self._rate
        self._now = now

    def _steer(self, hand: float, target: float, passed: float) -> float:
        error = target - hand
        if abs(error) > SNAP * self._rate:
            return target
        most = SPEED_UP * passed
        return hand + max(-most, min(most, error * 0.1))
