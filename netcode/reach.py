"""The way from a player to the host of a room: into the room, and up the ladder to its host.

The room is left as soon as nobody needs it: a link does not, once it is open, unless it goes
through the signaling server itself. It is entered again when another link is wanted.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Sequence

import signaling
from netcode.doors import Enter
from netcode.errors import Unreachable
from netcode.ladder import HEAD_START, first_open, head_start_after
from netcode.membership import Membership
from netcode.rungs import Rung
from netcode.transports.base import Transport
from netcode.transports.webrtc import DatagramFilters

LEFT = "this player has left the signaling room"


class Reach:
    """One player's way to the host. Lives on an event loop.

    ``enter`` goes into the room, and is given what the caller of `open` gives. ``filters()`` makes
    the bad weather of each transport, if any. ``tls`` says whom to trust on the way to a relay.
    """

    def __init__(
        self,
        url: str,
        enter: Enter,
        *,
        name: str,
        filters: Callable[[], DatagramFilters | None] = lambda: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._enter = enter
        self._name = name
        self._filters = filters
        self._tls = tls
        self._room: Membership | None = None
        self._head_start = HEAD_START
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
                lambda rung: room.introductions.call(host, rung), rungs, self._head_start
            )
        except signaling.ConnectionLost as error:
            raise Unreachable(f"{self._url} hung up: {error}") from None

    async def _enter_room(self, timeout: float, token: str | None) -> Membership:
        began = time.monotonic()
        member = await self._enter(name=self._name or "player", timeout=timeout, token=token)
        self._head_start = head_start_after(time.monotonic() - began)
        self._room = Membership(member, filters=self._filters, tls=self._tls)
        return self._room

    def leave(self) -> None:
        """Leave the room, if this player is in it. Links that go through it end. It takes a moment,
        in the background; `close` waits for it."""
        room, self._room = self._room, None
        if room is not None:
            task = asyncio.create_task(room.close(LEFT), name="netcode leaving a room")
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def close(self) -> None:
        """Leave the room, and return when everything is gone."""
        self.leave()
        while self._leaving:
            await asyncio.wait(self._leaving)
