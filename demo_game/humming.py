"""When a bot hums: now and then for some seconds, so that one person alone can try voices."""

import random

HUMS = (2.5, 6.0)
PAUSES = (3.0, 10.0)
"""Seconds, from and to."""


class Humming:
    """Presses a bot's key to talk. Time is seconds of any running clock; the chance is its own."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._hums = False
        self._until: float | None = None

    def pressed(self, now: float) -> bool:
        """Whether the key is down at this moment."""
        if self._until is None:
            self._until = now + self._rng.uniform(0.0, PAUSES[0])
        while now >= self._until:
            self._hums = not self._hums
            self._until += self._rng.uniform(*(HUMS if self._hums else PAUSES))
        return self._hums
