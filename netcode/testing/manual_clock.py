"""A clock that moves only when it is told to."""

from netcode.errors import UsageError


class ManualClock:
    """Monotonic seconds that pass only when told to. Call it to read it."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `UsageError` if it were to run backwards."""
        if not seconds >= 0:
            raise UsageError(f"time does not run backwards: {seconds} s")
        self.now += seconds


class MachineClock:
    """The clock of one machine, which may be fast or slow, or stand still: by the test's clock."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._read_at = clock.now
        self._now = clock.now
        self._speed = 1.0

    def __call__(self) -> float:
        """Monotonic seconds of this machine."""
        self._now += (self._clock.now - self._read_at) * self._speed
        self._read_at = self._clock.now
        return self._now

    def run_at(self, speed: float) -> None:
        """From now on, let ``speed`` seconds pass in each of the test's."""
        self()
        self._speed = speed
