"""A membership: one stay in a signaling room, with somebody who listens there.

It ends with the connection to the signaling server, and does not come back: who wants to be in the
room again makes another one, under another id.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Collection
from contextlib import suppress

import signaling
from netcode.introductions import Introductions, OnTransport
from netcode.rungs import Rung
from netcode.transports.webrtc import DatagramFilters

FRESH = 60.0
"""Seconds for which what a room has told of STUN and TURN servers is used without asking again."""

RENEWAL = 1.0
"""Seconds to wait for new credentials; the old ones may still do."""


class Membership:
    """Made of a member that has just joined. Lives on an event loop.

    ``filters``, ``on_call``, ``rungs`` and ``tls`` are those of `Introductions`; ``on_message`` is
    given each message of the server's before the introductions are.
    """

    def __init__(
        self,
        member: signaling.SignalingClient,
        *,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
        on_call: Callable[[str], OnTransport] | None = None,
        rungs: Collection[Rung] = tuple(Rung),
        tls: ssl.SSLContext | None = None,
        on_message: Callable[[signaling.Incoming], None] = lambda message: None,
    ) -> None:
        self.member = member
        self.introductions = Introductions(
            member.send,
            send_to=member.send_to,
            ice_servers=lambda: member.ice_servers,
            filters=filters,
            on_call=on_call,
            rungs=rungs,
            tls=tls,
        )
        self.ended_because: str | None = None
        """Why the server or the network ended it; None as long as it lasts."""
        self.heard_at = time.monotonic()
        """When anything was last heard of the server, in monotonic seconds."""
        self._on_message = on_message
        self._told_at = self.heard_at
        self._answered = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name="netcode listening to a room")

    @property
    def has_ended(self) -> bool:
        return self._listening.done() or self.ended_because is not None

    async def renew(self) -> None:
        """Ask for new credentials, if those that are here may have grown old."""
        has_credentials = any(server.credential for server in self.member.ice_servers)
        if has_credentials and time.monotonic() - self._told_at >= FRESH:
            await self.ask(RENEWAL)

    async def ask(self, timeout: float) -> bool:
        """Ask for credentials, and return whether an answer has come within ``timeout`` seconds,
        with some or without: whether the server is still there."""
        self._answered.clear()
        with suppress(signaling.ConnectionLost, TimeoutError):
            async with asyncio.timeout(timeout):
                await self.member.renew_ice_servers()
                await self._answered.wait()
                return True
        return False

    async def wait_ended(self) -> None:
        """Return when it has ended. Safe to cancel."""
        await asyncio.wait([self._listening])

    def give_up(self, reason: str) -> None:
        """The server does not answer any more: it is over, as if the connection had been lost."""
        self.ended_because = reason
        self._listening.cancel()

    async def close(self, reason: str) -> None:
        """Leave the room. Links that go through it end for this reason; others go on."""
        if not self._listening.done():
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self.introductions.close()
        await self.introductions.hang_up(reason)
        await self.member.close()

    async def _listen(self) -> None:
        try:
            async for message in self.member:
                self.heard_at = time.monotonic()
                match message:
                    case signaling.IceServersRenewed():
                        self._told_at = self.heard_at
                        self._answered.set()
                    case signaling.Error(code="no_ice_servers"):
                        self._answered.set()
                    case _:
                        pass
                self._on_message(message)
                self.introductions.take(message)
        except signaling.ConnectionLost as error:
            self.ended_because = error.reason
        await self.introductions.hang_up()
