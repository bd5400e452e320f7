"""Presence: keeps one end of a mesh in its room, through the death of the signaling server.

Links need the room only while they are being opened (but for those through the signaling server).
So when the connection to signaling breaks, nothing happens to the mesh; the room is entered again
as soon as that works, under another id.
"""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import signaling
from netcode.doors import Enter
from netcode.errors import JoinError, Refused, Unreachable
from netcode.introductions import OnTransport
from netcode.ladder import HEAD_START, first_open, head_start_after
from netcode.membership import RENEWAL, Membership
from netcode.rungs import Rung
from netcode.transports.base import Transport
from netcode.transports.webrtc import DatagramFilters

log = logging.getLogger("netcode")

ENTER_TIMEOUT = 4.0
"""Seconds for getting into the room again. On a line that loses packets, TCP tries three times."""

PAUSES = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Seconds between attempts to enter the room again, half or one and a half times as much by chance,
since all members of it may be doing so; the last one for all that follow."""

LOOK = 0.05
"""Seconds between looks for a member that has come, or has told its new id over its link."""

QUIET = 1.0
"""Seconds without a word of the server's after which one in doubt asks whether it is there."""

PROBE_TIMEOUT = 2.0
"""Seconds that it has to answer."""

DISPLACED = "displaced"
"""How a signaling server begins when another member has come with the same join token."""


class Presence:
    """One end's. Lives on an event loop. ``enter`` goes into the room (see `netcode.doors`).

    ``on_call(membership, peer)`` says what to do with a transport to a member that calls,
    ``on_entered(membership)`` hears of every new id in the room.
    """

    def __init__(
        self,
        enter: Enter,
        *,
        name: str,
        rungs: Sequence[Rung],
        filters: Callable[[], DatagramFilters | None],
        on_call: Callable[[Membership, str], OnTransport],
        on_entered: Callable[[Membership], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.membership: Membership | None = None
        """The one of now, or the last one; None before the first."""
        self.elders: set[str] = set()
        """Who was in the room before this end came in, and still is: whom this end has to call."""
        self.entered_at = 0.0
        """When the room was entered, in monotonic seconds."""
        self._enter = enter
        self._name = name
        self._rungs = rungs
        self._filters = filters
        self._on_call = on_call
        self._on_entered = on_entered
        self._tls = tls
        self._head_start = HEAD_START
        self._keeper: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[object]] = set()

    @property
    def in_room(self) -> bool:
        """Whether this end is a member of the room now."""
        return self.membership is not None and not self.membership.has_ended

    def others(self) -> dict[str, str]:
        """The names of the others in the room by their ids; nobody while this end is not there."""
        if self.membership is None or self.membership.has_ended:
            return {}
        return self.membership.member.peers

    # -- coming and going --------------------------------------------------------------------

    async def enter(self, timeout: float) -> None:
        """Enter the room, and from then on stay there. Raises a `JoinError`."""
        await self._come_in(timeout)
        self._keeper = asyncio.create_task(self._keep(), name="netcode presence")

    async def stop(self) -> None:
        """Do not come back any more, call and answer nobody; the membership goes on."""
        for task in (self._keeper, self._probing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if self.membership is not None:
            await self.membership.introductions.close()

    async def close(self) -> None:
        """Leave the room, after `stop`; return when everything is gone."""
        if self.membership is not None:
            await self.membership.close("left")
        while self._leaving:
            await asyncio.wait(self._leaving)

    def probe(self) -> None:
        """Find out, in the background, whether the server is still there; if it is not, enter the
        room again. A connection that is dead may look alive for many seconds."""
        membership = self.membership
        if membership is None or membership.has_ended:
            return
        if time.monotonic() - membership.heard_at < QUIET:
            return
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._probe(membership), name="netcode probe")

    async def _probe(self, membership: Membership) -> None:
        asked_at = time.monotonic()
        answered = await membership.ask(PROBE_TIMEOUT)
        if not answered and membership.heard_at < asked_at and not membership.has_ended:
            membership.give_up("the signaling server does not answer")

    async def _come_in(self, timeout: float) -> None:
        began = time.monotonic()
        member = await self._enter(name=self._name, timeout=timeout)
        self.entered_at = time.monotonic()
        self._head_start = head_start_after(self.entered_at - began)
        self.elders = set(member.peers)
        membership = Membership(
            member,
            filters=self._filters,
            on_call=lambda peer: self._on_call(membership, peer),
            rungs=self._rungs,
            tls=self._tls,
            on_message=lambda message: self._heard(membership, message),
        )
        self.membership = membership
        self._on_entered(membership)

    async def _keep(self) -> None:
        """Enter the room again whenever the connection to signaling is lost."""
        while True:
            membership = self.membership
            assert membership is not None
            await membership.wait_ended()
            reason = membership.ended_because or "it ended"
            log.warning("the signaling server is gone, peers stay connected: %s", reason)
            self._run(membership.close(reason))
            if DISPLACED in reason:
                log.error("this end does not enter the room again: somebody has its join token")
                return
            if not await self._come_back():
                return

    async def _come_back(self) -> bool:
        """Enter the room again. False if that will not work any more."""
        attempt = 0
        while True:
            pause = PAUSES[min(attempt, len(PAUSES) - 1)]
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            attempt += 1
            try:
                await self._come_in(ENTER_TIMEOUT)
                log.info("in the room again")
                return True
            except Refused as error:
                if error.code.startswith("token_"):
                    log.error(
                        "the room does not let this end in again, so it meets nobody new and finds "
                        "no other link to those that it loses; who is connected stays so: %s",
                        error,
                    )
                    return False
                log.info("not in the room again yet: %s", error)
            except JoinError as error:
                log.info("not in the room again yet: %s", error)

    def _heard(self, membership: Membership, message: signaling.Incoming) -> None:
        match message:
            case signaling.PeerJoined():
                if any(server.credential for server in membership.member.ice_servers):
                    # The newcomer is about to call, and ours may have grown old.
                    self._run(membership.ask(RENEWAL))
            case signaling.PeerLeft():
                self.elders.discard(message.id)
            case _:
                pass

    def _run(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    # -- calling -----------------------------------------------------------------------------

    async def call(self, membership: Membership, there: str, rungs: Sequence[Rung]) -> Transport:
        """A transport to a member by the first of these rungs that opens. Raises `Unreachable`."""
        await membership.renew()
        try:
            return await first_open(
                lambda rung: membership.introductions.call(there, rung), rungs, self._head_start
            )
        except signaling.ConnectionLost as error:
            raise Unreachable(f"the signaling server is gone: {error}") from None

    async def wait_for(self, whom: Callable[[], str]) -> Membership:
        """Return when this end and a member are both in the room; ``whom()`` is the member's id,
        which may change. Safe to cancel."""
        while True:
            if self.membership is not None and whom() in self.others():
                return self.membership
            await asyncio.sleep(LOOK)
