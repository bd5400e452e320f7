"""Who listens to a transport: messages are kept until somebody does, and nobody's bug hurts it.

A transport that gets its messages from callbacks of others puts this between them and its user.
Pure: it is told what arrives and when the transport has ended.
"""

import logging
from collections import deque
from collections.abc import Callable

from netcode.errors import UsageError
from netcode.transports.base import Lane, TransportStats

MAX_EARLY_BYTES = 262_144
"""Bytes of messages kept until `Listener.start`: 16 of the largest."""

MAX_EARLY_MESSAGES = 1_024
"""The same for small ones: at 60 a second more than the 10 s that joining may take."""

RELIABLE_LANES = (Lane.RELIABLE, Lane.UNORDERED)

logger = logging.getLogger(__name__)


class Listener:
    """The two callbacks of a transport's user, and what waits for them. Counts into ``stats``."""

    def __init__(self, stats: TransportStats) -> None:
        self.errors = 0
        """How often a callback has raised."""
        self._stats = stats
        self._on_receive: Callable[[Lane, bytes], None] | None = None
        self._on_closed: Callable[[str], None] | None = None
        self._early: deque[tuple[Lane, bytes]] = deque()
        self._early_bytes = 0
        self._error_kinds: set[str] = set()

    @property
    def started(self) -> bool:
        """Whether somebody listens."""
        return self._on_closed is not None

    def start(
        self, on_receive: Callable[[Lane, bytes], None], on_closed: Callable[[str], None]
    ) -> None:
        """Deliver what was kept, and from now on at once. Raises `UsageError` a second time."""
        if self.started:
            raise UsageError("start() was called before: a transport has one listener")
        self._on_receive, self._on_closed = on_receive, on_closed
        while self._early:
            self._deliver(*self._early.popleft())

    def forget(self) -> None:
        """Throw away what is kept, also in the midst of delivering it."""
        self._early.clear()

    def take(self, lane: Lane, data: bytes) -> bool:
        """A message has arrived. False if it is lost and was not allowed to be."""
        self._stats.bytes_received += len(data)
        self._stats.messages_received += 1
        if self._on_receive is not None:
            self._deliver(lane, data)
        elif (
            len(self._early) < MAX_EARLY_MESSAGES
            and self._early_bytes + len(data) <= MAX_EARLY_BYTES
        ):
            self._early.append((lane, data))
            self._early_bytes += len(data)
        else:
            self._stats.dropped += 1
            return lane not in RELIABLE_LANES
        return True

    def tell_closed(self, reason: str) -> None:
        """The transport has ended; to be called once, after `start`."""
        assert self._on_closed is not None
        try:
            self._on_closed(reason)
        except Exception as error:
            self.failed("on_closed", error)

    def failed(self, where: str, error: Exception) -> None:
        """Somebody else's code has raised: log it with its traceback, once per kind, and count."""
        self.errors += 1
        kind = f"{where}: {type(error).__name__}"
        if kind not in self._error_kinds:
            self._error_kinds.add(kind)
            logger.error("%s raised; more of this kind are only counted", where, exc_info=error)

    def _deliver(self, lane: Lane, data: bytes) -> None:
        assert self._on_receive is not None
        try:
            self._on_receive(lane, data)
        except Exception as error:
            self.failed("on_receive", error)
