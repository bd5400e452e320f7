"""One WebSocket of the server: what comes in at a bounded pace, what goes out from a bounded queue.

The handler reads with `frames`; anybody may `send` or `send_parcel`, which never wait; one task
runs `send_queued`, and closes the socket when `end` has said with which code and reason.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.frames import CloseCode

from signaling.gate import Visitor
from signaling.limits import CLOSE_GRACE, Pace, SignalingLimits
from signaling.outgoing import Outgoing
from signaling.tokens import Claims


class Connection:
    """A WebSocket with a bounded queue of what waits to be sent.

    ``all_parcels`` is the pace that it shares with all others.
    """

    def __init__(self, socket: Visitor, limits: SignalingLimits, all_parcels: Pace) -> None:
        self.peer_id: str | None = None
        """Its id in its room, while it is in one."""
        self.claims: Claims | None = None
        """What its join token says, if it had to show one."""
        self.said_goodbye = False
        """Whether the other end closed in the proper way, instead of vanishing."""
        self.socket = socket
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._all_parcels = all_parcels
        self._outgoing = Outgoing(limits)
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
        if not self._outgoing.put_message(text):
            waiting = self._outgoing.messages
            self._outgoing = Outgoing(self._limits)
            self.end(CloseCode.TRY_AGAIN_LATER, f"too slow: {waiting} messages waited to be read")
            return False
        self._wake.set()
        return True

    def send_parcel(self, sender: str, frame: bytes) -> bool:
        """Queue the frame of a parcel. Return False if there is no room for it: it is dropped."""
        if self._end is not None:
            return True
        self._wake.set()
        return self._outgoing.put_parcel(sender, frame)

    def has_parcels_of(self, sender: str) -> bool:
        """Whether parcels of this sender wait to be sent."""
        return self._outgoing.has_parcels_of(sender)

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

    async def frames(self) -> AsyncGenerator[str | bytes, None]:
        """Yield what arrives, no faster than the limits allow, until the connection ends.

        A sender that is faster is not refused: it is not read, so it waits in its own socket.
        Afterwards `said_goodbye` tells how it ended.
        """
        limits = self._limits
        now = self._loop.time()
        messages = Pace(limits.message_burst, limits.message_rate, now)
        volume = Pace(limits.byte_burst, limits.byte_rate, now)
        parcels = Pace(limits.parcel_burst, limits.parcel_rate, now)
        parcel_volume = Pace(limits.parcel_byte_burst, limits.parcel_byte_rate, now)
        try:
            while True:
                frame = await self.socket.recv()
                now = self._loop.time()
                size = len(frame)
                # Characters of a text stand for bytes here: close enough for a pace.
                if isinstance(frame, str) or not limits.relays:
                    wait = max(messages.take(1, now), volume.take(size, now))
                else:
                    wait = max(
                        parcels.take(1, now),
                        parcel_volume.take(size, now),
                        self._all_parcels.take(size, now),
                    )
                if wait > 0:
                    await self.pause(wait)
                if self.ending:
                    return
                yield frame
        except ConnectionClosedOK:
            self.said_goodbye = True
        except ConnectionClosed:
            pass

    async def send_queued(self) -> None:
        """Send what is queued until the connection ends. When this returns the socket is gone."""
        patience = self._limits.ping_interval + self._limits.ping_timeout
        try:
            while True:
                while (frame := self._outgoing.take()) is not None:
                    # Keepalive pings queue behind a full socket, so they cannot notice that it
                    # is lost; this does, after the same time.
                    async with asyncio.timeout(patience):
                        await self.socket.send(frame)
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
