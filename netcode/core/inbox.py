"""The inbox: messages that have arrived, until the game handles them in its update.

One that tells of a moment waits until the display has got there.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from netcode.declarations import Message

MAX_INBOX = 4_096
"""Messages that wait for the next update. A game that does not update for so long is gone."""


class Inbox:
    """Filled by the network, emptied by the game; ``lock`` stands between the two."""

    def __init__(self, lock: AbstractContextManager[Any]) -> None:
        self._lock = lock
        self._arrived: deque[tuple[Message, int, int | None]] = deque()
        self._waiting: list[tuple[int, Message, int]] = []
        """Messages whose tick the display has not reached yet, in the order of ticks."""

    @property
    def arrived(self) -> int:
        """How many have come that nobody has looked at."""
        with self._lock:
            return len(self._arrived)

    def put(self, message: Message, request: int, tick: int | None) -> bool:
        """Take a message in, with the number of its request and its moment; False if it is full."""
        if len(self._arrived) + len(self._waiting) >= MAX_INBOX:
            return False
        self._arrived.append((message, request, tick))
        return True

    def due(
        self, arrived: int, seen: float | None, latest: float, everything: bool
    ) -> Iterator[tuple[Message, int]]:
        """The messages, and numbers of requests, to handle now: of the first ``arrived`` those that
        have no moment or one that the display, at tick ``seen``, has reached, and of those that
        wait likewise. Moments beyond ``latest`` are not believed, and with ``everything`` none
        counts any more.
        """
        for _ in range(arrived):
            with self._lock:
                message, request, tick = self._arrived.popleft()
                later = tick is not None and (seen is None or seen < tick <= latest)
                if later and not everything and tick is not None:
                    insort(self._waiting, (tick, message, request), key=lambda entry: entry[0])
                    continue
            yield message, request
        while self._waiting and (everything or (seen is not None and self._waiting[0][0] <= seen)):
            with self._lock:
                _, message, request = self._waiting.pop(0)
            yield message, request
