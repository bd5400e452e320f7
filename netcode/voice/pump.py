"""Drives a source and a sink at 50 frames a second on an event loop, as a sound card would.

Programs without a sound card, bots and tests speak and hear by this; for everything behind it there
is no difference. The deadline of a frame is counted from the first one, never from the last, so
that late timers do not add up: an hour of it is an hour. A loop that was busy gets a few frames at
once; what lies farther back is skipped, since nobody wants to hear it.
"""

import asyncio
from collections.abc import Callable

from netcode.errors import UsageError
from netcode.voice.opus import FRAME, RATE, Pcm
from netcode.voice.sinks import Sink, Stereo
from netcode.voice.sources import Source

INTERVAL = FRAME / RATE
"""Seconds of a frame."""

CATCH_UP = 5
"""Frames made up for at once."""


class Beat:
    """When frames are due. Pure: told the time, in seconds."""

    def __init__(self, now: float) -> None:
        self.skipped = 0
        """Frames that never came, because everything stood still for longer than `CATCH_UP`."""
        self._first_at = now
        self._given = 0

    @property
    def next_at(self) -> float:
        return self._first_at + self._given * INTERVAL

    def due(self, now: float) -> int:
        """How many frames to do now, at most `CATCH_UP`."""
        count = max(0, int((now - self._first_at) / INTERVAL) + 1 - self._given)
        self._given += count
        self.skipped += max(0, count - CATCH_UP)
        return min(count, CATCH_UP)


class Pump:
    """Gives each frame of ``source`` to ``spoken``, and each frame that ``pull`` gives to ``sink``.

    Either pair may be left out. `start` needs a running event loop, and everything is called on
    it. A function that raises stops the pump, and the loop's exception handler is told; `close`
    stops it too, and closes source and sink.
    """

    def __init__(
        self,
        *,
        source: Source | None = None,
        spoken: Callable[[Pcm], object] | None = None,
        sink: Sink | None = None,
        pull: Callable[[], Stereo] | None = None,
    ) -> None:
        if (source is None) != (spoken is None) or (sink is None) != (pull is None):
            raise UsageError("a Pump takes source= with spoken=, and sink= with pull=")
        self._source, self._spoken = source, spoken
        self._sink, self._pull = sink, pull
        self._beat: Beat | None = None
        self._timer: asyncio.Handle | None = None
        self._closed = False

    @property
    def skipped(self) -> int:
        """Frames that were left out because the loop was busy for too long."""
        return self._beat.skipped if self._beat is not None else 0

    @property
    def is_running(self) -> bool:
        return self._timer is not None

    def start(self) -> None:
        """Begins with a frame at once. Raises `UsageError` if it was started or closed before."""
        if self._beat is not None or self._closed:
            raise UsageError("a Pump is started once: make another one")
        loop = asyncio.get_running_loop()
        self._beat = Beat(loop.time())
        self._timer = loop.call_soon(self._run, loop, self._beat)

    def close(self) -> None:
        """No more frames. More than once does no harm; it need not have been started."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._source is not None:
            self._source.close()
        if self._sink is not None:
            self._sink.close()

    def _run(self, loop: asyncio.AbstractEventLoop, beat: Beat) -> None:
        self._timer = None  # what raises below is not called again
        for _ in range(beat.due(loop.time())):
            if self._source is not None and self._spoken is not None:
                self._spoken(self._source.next())
            if self._sink is not None and self._pull is not None:
                self._sink.take(self._pull())
            if self._closed:
                return
        self._timer = loop.call_at(beat.next_at, self._run, loop, beat)
