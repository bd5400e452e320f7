"""The way from a player to the host of a room: into the room, and up the ladder to its host.

The room is left as soon as nobody needs it: a link does not, once it is open, unless it goes
through the signaling server itself. It is entered again when another link is wanted.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import signaling
from netcode.doors import Enter
from netcode.errors import Unreachable
from netcode.introductions import Introductions
from netcode.ladder import HEAD_START, MAX_HEAD_START, first_open
from netcode.rungs import Rung
from netcode.transports.base import Transport
from netcode.transports.webrtc import DatagramFilters

ROUND_TRIPS = 3
"""Round trips that entering a room takes at least: TCP, WebSocket, the room."""

HEAD_START_TRIPS = 6
"""Round trips that a rung has before the next is tried: about what opening a link takes."""

FRESH = 60.0
"""Seconds for which what a room has told of STUN and TURN servers is used without asking again."""

RENEWAL = 1.0
"""Seconds to wait for new credentials; the old ones may still do."""


class Reach:
    """One player's way to the host. Lives on an event loop.

    ``enter`` goes into the room, and is given what the caller of `open` gives. ``filters()`` makes
    the bad weather of each transport, if any.
    """

    def __init__(
        self,
        url: str,
        enter: Enter,
        *,
        name: str,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
    ) -> None:
        self._url = url
        self._enter = enter
        self._name = name
        self._filters = filters
        self._room: Room | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def in_room(self) -> bool:
        """Whether this player is a member of the room now."""
        return self._room is not None and not self._room.has_ended

    async def open(
        self, rungs: Sequence[Rung], *, timeout: float, token: str | None = None
    ) -> Transport:
        """A transport to the host by the first of these rungs that opens.

        ``timeout`` is for entering the room, if this player is not there; ``token`` is what opens
        it. Raises a `JoinError` that says what went wrong. Cancelling gives it up, and stays in
        the room.
        """
        room = self._room
        if room is None or room.has_ended:
            self.leave()
            room = await self._enter_room(timeout, token)
        await room.renew()
        host = room.member.host
        if host is None:
            raise Unreachable(
                f"there is a signaling server at {self._url}, but no game: "
                "start the game's server there"
            )
        try:
            return await first_open(
                lambda rung: room.introductions.call(host, rung), rungs, room.head_start
            )
        except signaling.ConnectionLost as error:
            raise Unreachable(f"{self._url} hung up: {error}") from None

    async def _enter_room(self, timeout: float, token: str | None) -> "Room":
        began = time.monotonic()
        member = await self._enter(name=self._name or "player", timeout=timeout, token=token)
        took = time.monotonic() - began
        self._room = Room(member, self._filters)
        self._room.head_start = min(
            MAX_HEAD_START, max(HEAD_START, took * HEAD_START_TRIPS / ROUND_TRIPS)
        )
        return self._room

    def leave(self) -> None:
        """Leave the room, if this player is in it. Links that go through it end. It takes a moment,
        in the background; `close` waits for it."""
        room, self._room = self._room, None
        if room is not None:
            task = asyncio.create_task(room.close(), name="netcode leaving a room")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Leave the room, and return when everything is gone."""
        self.leave()
        while self._leaving:
            await asyncio.wait(self._leaving)


class Room:
    """A membership of the room, with somebody who listens. `close` ends it."""

    def __init__(
        self,
        member: signaling.SignalingClient,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
    ) -> None:
        self.member = member
        self.head_start = HEAD_START
        self.introductions = Introductions(
            member.send,
            send_to=member.send_to,
            ice_servers=lambda: member.ice_servers,
            filters=filters,
        )
        self._told_at = time.monotonic()
        self._told = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name="netcode listening to a room")

    @property
    def has_ended(self) -> bool:
        return self._listening.done()

    async def renew(self) -> None:
        """Ask for new credentials, if those that are here may have grown old."""
        has_credentials = any(server.credential for server in self.member.ice_servers)
        if not has_credentials or time.monotonic() - self._told_at < FRESH:
            return
        self._told.clear()
        with suppress(signaling.ConnectionLost, TimeoutError):
            await self.member.renew_ice_servers()
            async with asyncio.timeout(RENEWAL):
                await self._told.wait()

    async def _listen(self) -> None:
        with suppress(signaling.ConnectionLost):
            async for message in self.member:
                if isinstance(message, signaling.IceServersRenewed):
                    self._told_at = time.monotonic()
                    self._told.set()
                self.introductions.take(message)
        await self.introductions.hang_up()

    async def close(self) -> None:
        if not self._listening.done():
            self._listening.cancel()
            await asyncio.wait([self._listening])
        await self.introductions.close()
        await self.introductions.hang_up("this player has left the signaling room")
        await self.member.close()
