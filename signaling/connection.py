"""One WebSocket of the server: what comes in at a bounded pace, what goes out from a bounded queue.

The handler reads with `texts`; anybody may `send`, which never waits; one task runs
`send_queued`, and closes the socket when `end` has said with which code and reason.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.frames import CloseCode

from signaling.gate import Visitor
from signaling.limits import CLOSE_GRACE, Pace, SignalingLimits
from signaling.tokens import Claims


class Connection:
    """A WebSocket with a bounded queue of what waits to be sent."""

    def __init__(self, socket: Visitor, limits: SignalingLimits) -> None:
        self.peer_id: str | None = None
        """Its id in its room, while it is in one."""
        self.claims: Claims | None = None
        """What its join token says, if it had to show one."""
        self.said_goodbye = False
        """Whether the other end closed in the proper way, instead of vanishing."""
        self.socket = socket
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._queue: deque[str] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._end: tuple[CloseCode, str] | None = None
        self._ended = asyncio.Event()
        self._abort: asyncio.TimerHandle | None = None

    @property
    def ending(self) -> bool:
        """Whether `end` was called: nothing that still arrives matters."""
        return self._end is not None

    def send(self, text: str) -> bool:
        """Queue a text. Return False if the reader is too slow: the connection then ends."""
        if self._end is not None:
            return True
        size = len(text.encode())
        # A text that alone exceeds the queue's bytes passes while nothing waits before it.
        if len(self._queue) >= self._limits.send_queue_messages or (
            self._queue and self._queued_bytes + size > self._limits.send_queue_bytes
        ):
            waiting = len(self._queue)
            self._queue.clear()
            self.end(CloseCode.TRY_AGAIN_LATER, f"too slow: {waiting} messages waited to be read")
            return False
        self._queue.append(text)
        self._queued_bytes += size
        self._wake.set()
        return True

    def end(self, code: CloseCode, reason: str) -> None:
        """Close after what is queued has been sent; drop the socket if that takes too long.

        ``reason`` has at most 123 bytes, the bound of a close frame (RFC 6455, 5.5). Only the
        first call counts.
        """
        if self._end is None:
            self._end = code, reason
            self._ended.set()
            self._abort = self._loop.call_later(CLOSE_GRACE, self.socket.transport.abort)
            self._wake.set()

    @property
    def subject(self) -> str | None:
        """What the game's back end calls its player, if it said so."""
        return None if self.claims is None else self.claims.subject

    async def pause(self, seconds: float) -> None:
        """Wait, but not when the connection is to end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    async def texts(self) -> AsyncGenerator[str | bytes, None]:
        """Yield what arrives, no faster than the limits allow, until the connection ends.

        A sender that is faster is not refused: it is not read, so it waits in its own socket.
        Afterwards `said_goodbye` tells how it ended.
        """
        started = self._loop.time()
        messages = Pace(self._limits.message_burst, self._limits.message_rate, started)
        volume = Pace(self._limits.byte_burst, self._limits.byte_rate, started)
        try:
            while True:
                text = await self.socket.recv()
                now = self._loop.time()
                # Characters stand for bytes here: close enough for a pace.
                wait = max(messages.take(1, now), volume.take(len(text), now))
                if wait > 0:
                    await asyncio.sleep(wait)
                if self.ending:
                    return
                yield text
        except ConnectionClosedOK:
            self.said_goodbye = True
        except ConnectionClosed:
            pass

    async def send_queued(self) -> None:
        """Send what is queued until the connection ends. When this returns the socket is gone."""
        patience = self._limits.ping_interval + self._limits.ping_timeout
        try:
            while True:
                while self._queue:
                    text = self._queue.popleft()
                    self._queued_bytes -= len(text.encode())
                    # Keepalive pings queue behind a full socket, so they cannot notice that it
                    # is lost; this does, after the same time.
                    async with asyncio.timeout(patience):
                        await self.socket.send(text)
                if self._end is not None:
                    break
                self._wake.clear()
                await self._wake.wait()
            await self.socket.close(*self._end)
        except (ConnectionClosed, TimeoutError):
            pass
        finally:
            self.socket.transport.abort()
            if self._abort is not None:
                self._abort.cancel()
