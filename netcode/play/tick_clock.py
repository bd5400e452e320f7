"""Clocks: when the server's ticks are due, and which tick a client is at.

A client keeps two hands on one dial. The *display* tick lies behind the newest snapshot by the
interpolation delay, so that there is nearly always a sample on both sides of it. The *input*
tick runs ahead of the server, so that an input reaches it just before its tick is simulated.

Both hands run at the clock's own speed, a little faster or slower while they are off, and jump
only beyond `SNAP`. How far behind and ahead they should be is not worked out from a formula but
from what happened: from how long after one snapshot the next one was there (the *need*), and from
how early the server says that inputs came.
"""

import math
from bisect import bisect_left, insort
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


WINDOW = 8.0
"""Seconds of arrivals from which offset and delay are taken. The offset is that of the quickest
packet, which has waited least on its way."""

COVERED = 0.95
"""Share of the snapshots that are there when the display needs them. The rest is bridged by going
on as before, which for so short a time is nearly right: waiting for them would cost more."""

MAX_DELAY = 0.5
"""Seconds. A line that needs more stalls rather than jitters."""

AT_ONCE = 0.002
"""Seconds within which packets have arrived together: after a pause of the whole program, or of
the line, only that tells of the line."""

SHIFT_WINDOW = 0.4
"""Seconds in which all are late when the server has skipped ticks or the route is longer; more
where broadcasts are rare."""

SHIFT = 0.1
"""Seconds by which the quickest of them must be late for what came before to be forgotten."""

SNAP = 0.25
"""Seconds of error above which a hand jumps: it would take five seconds to walk that far."""

DISPLAY_FASTER, DISPLAY_SLOWER = 0.02, 0.04
"""A display that is off runs up to this share faster or slower, which nobody sees."""

INPUT_FASTER, INPUT_SLOWER = 0.05, 0.05

PULL = 0.02
"""Share of speed by which a hand is pulled for each tick that it is off."""

PULL_TICKS = 12.0
"""Ticks in which the pull takes effect: a speed that leaps is seen as a jerk."""

LEAD_TICKS = 2.0
"""Ticks that inputs are to arrive before they are needed, as long as the server has said little."""

GUARD = 0.5
"""Ticks by which the latest inputs that count should come before they are needed."""

LET_LATE = 0.02
"""Share of the reports that may tell of a late input. One lost packet in twenty is covered, a burst
of eight is not: everybody would see this player a quarter of a second later for half a minute."""

REPORTS_WINDOW = 30.0
"""Seconds of what the server said of inputs that the lead is taken from."""

STEADY_TICKS = 2.0
"""Ticks that the input hand may be off for a report to count."""

FEW_REPORTS = 100
"""So many tell of the line as it is, but not yet of what is rare on it."""

MOST = 4_096
"""Values in a window: 30 s of 120 a second, however often a server sends."""

MAX_LED_RTT = 1.0
"""Seconds of round trip that the inputs run ahead for. Where packets take longer an end is
overloaded: running farther ahead would only add to it, and a server refuses inputs from afar."""

MAX_TRIM = 0.5
"""Seconds more than that which a server can talk a client into."""


class Window:
    """Values of the last seconds, in their order; adding one costs little among however many."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._entries: deque[tuple[float, float]] = deque()
        self._ordered: list[float] = []

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, now: float, value: float) -> None:
        self._entries.append((now, value))
        insort(self._ordered, value)
        while self._entries[0][0] < now - self._seconds or len(self._entries) > MOST:
            _, old = self._entries.popleft()
            del self._ordered[bisect_left(self._ordered, old)]

    def at(self, place: int) -> float:
        """The value in this place of the order, from 0; the last one if there are fewer."""
        return self._ordered[min(place, len(self._ordered) - 1)]

    def clear(self) -> None:
        self._entries.clear()
        self._ordered.clear()


class Hand:
    """A tick that runs with time, and is pulled to where it should be."""

    def __init__(self, rate: float, faster: float, slower: float) -> None:
        self.tick = 0.0
        self._rate = rate
        self._faster, self._slower = faster, slower
        self._pull = 0.0

    def advance(self, passed: float, target: float) -> None:
        """Let ``passed`` ticks pass; jumps to the target if it is more than `SNAP` off."""
        error = target - (self.tick + passed)
        if abs(error) > SNAP * self._rate:
            self.tick, self._pull = target, 0.0
            return
        wanted = max(-self._slower, min(self._faster, error * PULL))
        self._pull += (wanted - self._pull) * min(1.0, passed / PULL_TICKS)
        self.tick += passed * (1.0 + self._pull)


class TickClock:
    """A client's two hands. All times are monotonic seconds passed in by the caller."""

    def __init__(self, tick_rate: float, broadcast_rate: float) -> None:
        self._rate = tick_rate
        self._interval = 1.0 / broadcast_rate
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=MOST)
        """When, and by how much later than its tick."""
        self._needs = Window(WINDOW)
        """By how much later than the tick of the snapshot that was the newest before."""
        self._newest: int | None = None
        self._now: float | None = None
        self._quickest = math.inf
        self._display = Hand(tick_rate, DISPLAY_FASTER, DISPLAY_SLOWER)
        self._input = Hand(tick_rate, INPUT_FASTER, INPUT_SLOWER)
        self._input_error = 0.0
        self._reports = Window(REPORTS_WINDOW)
        """How early inputs would have come without any lead."""
        self._heard = 0
        self._latest = 0.0
        """How early all inputs but the share `LET_LATE` came, or would have without any lead."""
        self.delay = 1.7 * self._interval
        """The interpolation delay in seconds: how far the display is to lie behind a snapshot that
        arrives as quickly as any."""
        self.display_lag = 0.0
        """The delay that the display hand keeps at the moment."""
        self.jitter = 0.0
        """Mean seconds by which packets arrive later than the quickest."""
        self.lead = 0.0
        """Seconds that inputs are to run ahead of a snapshot that arrives as quickly as any."""

    @property
    def is_set(self) -> bool:
        """Whether anything has arrived to set the hands by."""
        return self._now is not None

    @property
    def display_tick(self) -> float:
        """What is to be seen of others."""
        return self._display.tick

    @property
    def input_tick(self) -> float:
        """What the player does now is meant for this tick."""
        return self._input.tick

    def arrived(self, tick: int, now: float, earliness: float | None) -> None:
        """A newer snapshot came in, that of ``tick``; the server reports how early the latest
        inputs since its last one came, in seconds before they were needed."""
        offset = now - tick / self._rate
        if self._arrivals and now - self._arrivals[-1][0] < AT_ONCE:
            then, before = self._arrivals[-1]
            self._arrivals[-1] = then, min(before, offset)
        else:
            need = self._interval + offset
            if self._newest is not None:
                need = now - self._newest / self._rate
            self._arrivals.append((now, offset))
            self._needs.add(now, need)
        self._newest = tick
        while self._arrivals[0][0] < now - WINDOW:
            self._arrivals.popleft()
        self._forget_before_shift(now)
        self._quickest = min(offset for _, offset in self._arrivals)
        self.jitter = sum(offset for _, offset in self._arrivals) / len(self._arrivals)
        self.jitter -= self._quickest
        need = self._needs.at(int(COVERED * (len(self._needs) - 1))) - self._quickest
        self.delay = max(self._interval, min(MAX_DELAY, need))
        # What is said of inputs sent while the hand was far off says nothing of where it goes.
        if earliness is not None and abs(self._input_error) < STEADY_TICKS:
            self._report(now, earliness)

    def _report(self, now: float, earliness: float) -> None:
        led = self.lead - self._input_error / self._rate
        self._reports.add(now, earliness - led)
        self._heard += 1
        self._latest = self._reports.at(int(LET_LATE * len(self._reports)) + 1)

    def _forget_before_shift(self, now: float) -> None:
        """Start afresh when everything has been late for a while, or something comes far too early
        (this machine's clock has been asleep): that is no jitter."""
        if self._quickest < math.inf and self._arrivals[-1][1] < self._quickest - SNAP:
            self._start_afresh([self._arrivals[-1]])
            return
        window = max(SHIFT_WINDOW, 5 * self._interval)
        recent = [entry for entry in self._arrivals if entry[0] > now - window]
        before = len(self._arrivals) - len(recent)
        if before == 0 or len(recent) < 4:
            return
        old = [offset for _, offset in self._arrivals][:before]
        late = min(offset for _, offset in recent) - min(old)
        if late > max(SHIFT, 2.0 * self.jitter):
            self._start_afresh(recent)

    def _start_afresh(self, recent: list[tuple[float, float]]) -> None:
        """Only these arrivals tell of the line as it is now."""
        self._arrivals = deque(recent, maxlen=MOST)
        self._needs.clear()
        for then, offset in recent:
            self._needs.add(then, offset + self._interval)
        self._reports.clear()
        self._heard = 0

    def advance(self, now: float, rtt: float) -> None:
        """Move both hands to ``now``; ``rtt`` is the round trip in seconds."""
        if not self._arrivals:
            return
        arriving = (now - self._quickest) * self._rate
        display = arriving - self.delay * self._rate
        self.lead = self._wanted_lead(rtt)
        inputs = arriving + self.lead * self._rate
        if self._now is None:
            self._display.tick, self._input.tick = display, inputs
        else:
            passed = max(0.0, now - self._now) * self._rate
            self._display.advance(passed, display)
            self._input.advance(passed, inputs)
        self._input_error = inputs - self._input.tick
        self.display_lag = (arriving - self._display.tick) / self._rate
        self._now = now

    def _wanted_lead(self, rtt: float) -> float:
        """By the formula at first, then by what the server says of inputs: so that nearly all of
        them would have come in time."""
        led = min(rtt, MAX_LED_RTT)
        formula = led + LEAD_TICKS / self._rate + 2.0 * self.jitter
        if len(self._reports) == 0:
            return formula
        measured = GUARD / self._rate - self._latest
        if self._heard < FEW_REPORTS:
            measured = max(measured, formula)
        return max(0.0, min(led + MAX_TRIM, measured))
