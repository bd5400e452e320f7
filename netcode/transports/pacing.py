"""How long a way is, and how much may be on it before it becomes a queue. Pure: told the time."""

PERIOD = 10.0
"""Seconds after which a least round trip is looked for anew: what was measured up to twice as long
ago counts, so that a route that gets longer is believed in the end."""

UNKNOWN = 0.2
"""Seconds taken for the least round trip while none is known."""

FIRST_WINDOW = 8_192
"""Bytes that may be on a way of which nothing is known yet."""

LEAST_WINDOW = 2_048
MOST_WINDOW = 24_576

TOLERATED = 0.05
"""Seconds behind the least round trip to which a window lets a queue grow."""


class RoundTrip:
    """The round trip of one transport, in seconds."""

    def __init__(self) -> None:
        self.smoothed: float | None = None
        """With a gain of 1/8, as in RFC 6298; None until something was measured."""
        self._least: float | None = None
        self._least_before: float | None = None
        self._since = 0.0

    def measured(self, seconds: float, now: float) -> None:
        """Something that went so long ago has just been acknowledged."""
        if self.smoothed is None:
            self.smoothed = seconds
        else:
            self.smoothed += (seconds - self.smoothed) / 8
        if self._least is None or now - self._since > PERIOD:
            self._least_before, self._least, self._since = self._least, seconds, now
        else:
            self._least = min(self._least, seconds)

    def least(self) -> float:
        """The least of the last 10 to 20 seconds in which anything was measured."""
        if self._least is None:
            return UNKNOWN
        return min(self._least, self._least if self._least_before is None else self._least_before)


class Window:
    """How many bytes of bulk may be under way.

    It grows while what comes back is in time, and shrinks while it is late, so that bulk takes
    what the way carries and leaves no queue for others to wait in (the idea of LEDBAT, RFC 6817).
    """

    def __init__(self) -> None:
        self.size = float(FIRST_WINDOW)
        """Bytes."""

    def acknowledged(self, size: int, late: float) -> None:
        """So many bytes of bulk have arrived, so many seconds behind the least round trip."""
        change = max(-1.0, min(1.0, (TOLERATED - late) / TOLERATED))
        self.size = max(LEAST_WINDOW, min(MOST_WINDOW, self.size + change * size / 2))
