"""Liveness: heartbeats, the round trip, and noticing that the other end is gone."""

from netcode.link.frames import NOTHING_HEARD, Acknowledgement, Heartbeat

HEARTBEAT_INTERVAL = 0.25
"""Seconds between heartbeats. Four a second cost a client 0.4 kB/s and find a dead peer soon."""

EAGER_INTERVAL = 0.05
EAGER_BEATS = 8
"""The first heartbeats come quickly, since the round trip is needed soon; and so do those after
the other end has said that it hears none: on a line that carries nothing else, a burst of loss
could swallow all that is sent before the silence limit."""

UNHEARD = 0.75
"""Seconds without a heartbeat from this end after which the other end is worth hurrying for."""

SILENCE_LIMIT = 2.5
"""Seconds without a byte after which a peer is dead: ten lost heartbeats in a row, and time to
act on it within three seconds."""

_CLOCK_SPAN = (1 << 32) - 1
MAX_RTT = 10.0
"""Round trips above this (seconds) are not believed: a clock ran wild, or somebody makes it up."""


class Liveness:
    """One link's pulse. Smoothed round trip after RFC 6298: gains of 1/8 and 1/4."""

    def __init__(self, now: float) -> None:
        self.rtt: float | None = None
        """Smoothed round trip in seconds; None until the first one is measured."""
        self.rtt_deviation = 0.0
        self.silence_limit = SILENCE_LIMIT
        """Seconds of silence after which the peer is dead; may be set, on lines known to stall."""
        self.samples = 0
        self._last_heard = now
        self._next_beat = now
        self._beats = 0
        self._heard_time: int | None = None
        self._heard_at = now

    def hear(self, now: float) -> None:
        """Anything at all has arrived."""
        self._last_heard = now

    def silence(self, now: float) -> float:
        """Seconds since anything arrived."""
        return now - self._last_heard

    def is_dead(self, now: float) -> bool:
        return self.silence(now) > self.silence_limit

    def is_due(self, now: float) -> bool:
        return now >= self._next_beat

    @property
    def next_beat(self) -> float:
        return self._next_beat

    def beat(self, now: float, acknowledgements: tuple[Acknowledgement, ...]) -> Heartbeat:
        """The heartbeat to send now."""
        # From the beat that was due, not from now, so that a coarse timer keeps the rate.
        self._beats += 1
        interval = EAGER_INTERVAL if self._beats <= EAGER_BEATS else HEARTBEAT_INTERVAL
        self._next_beat = max(self._next_beat + interval, now)
        held = min(0xFFFF, int((now - self._heard_at) * 1000))
        return Heartbeat(
            time=_milliseconds(now),
            echo=NOTHING_HEARD if self._heard_time is None else self._heard_time,
            held=held,
            acknowledgements=acknowledgements,
        )

    def hear_beat(self, beat: Heartbeat, now: float) -> None:
        """Take the times out of a heartbeat from the other end."""
        self._heard_time, self._heard_at = beat.time, now
        if beat.echo == NOTHING_HEARD or beat.held > UNHEARD * 1000:
            self._beats = 0
            self._next_beat = min(self._next_beat, now + EAGER_INTERVAL)
        if beat.echo == NOTHING_HEARD:
            return
        away = (_milliseconds(now) - beat.echo) % _CLOCK_SPAN
        rtt = (away - beat.held) / 1000.0
        if not 0.0 <= rtt <= MAX_RTT:
            return
        self.samples += 1
        if self.rtt is None:
            self.rtt, self.rtt_deviation = rtt, rtt / 2
            return
        self.rtt_deviation += (abs(rtt - self.rtt) - self.rtt_deviation) / 4
        self.rtt += (rtt - self.rtt) / 8


def _milliseconds(now: float) -> int:
    return int(now * 1000) % _CLOCK_SPAN
