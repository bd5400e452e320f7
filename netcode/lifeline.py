"""The lifeline: keeps a guest connected, by another link when the one of now fails.

A link that has fallen silent may be dead, or its packets may just be late. So another one is made
beside it, and whichever speaks first is used. And a link on a low rung is there to begin with: from
time to time the better ones are tried, and the game moves over without noticing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Sequence

from netcode.core.guest import Guest
from netcode.errors import JoinError, Refused
from netcode.link.link import Link
from netcode.link.tickets import as_token
from netcode.reach import Reach
from netcode.rungs import Rung
from netcode.transports.base import Transport

log = logging.getLogger("netcode")

SUSPICION = (0.8, 1.2)
"""Seconds of silence after which another link is sought: three to five heartbeats, and not the same
for everybody, lest a server that stood still for a second be stormed by all its players at once."""

RECOVERED = 0.3
"""Seconds since something was heard below which a suspicion was wrong."""

LOOK = 0.1
"""Seconds between looks at the link."""

ENTER_TIMEOUT = 4.0
"""Seconds for getting into the room again. On a line that loses packets, TCP tries three times."""

ATTEMPT_TIMEOUT = 8.0
"""Seconds for all rungs of one attempt."""

PAUSES = (0.1, 0.5, 1.0, 2.0)
"""Seconds between attempts to come back; the last one for all that follow."""

ANSWER_TIMEOUT = 3.0
"""Seconds that the host has to answer on a link that is open."""

CLIMBS = (2.0, 8.0, 20.0, 60.0)
"""Seconds before each attempt to climb; the last one for all that follow."""


class Lifeline:
    """One guest's. ``token`` is the join token, where there is one."""

    def __init__(
        self, guest: Guest, reach: Reach, rungs: Sequence[Rung], token: str | None
    ) -> None:
        self._guest = guest
        self._reach = reach
        self._rungs = rungs
        self._token = token

    async def join(self, timeout: float) -> Link:
        """The first link. Raises a `JoinError`. Cancelling gives it up."""
        transport = await self._reach.open(self._rungs, timeout=timeout, token=self._token)
        return self._guest.attach(transport)

    async def keep(self) -> None:
        """Watch over the link until the game is over."""
        climbs = 0
        climb_at = time.monotonic() + CLIMBS[0]
        hurry = random.uniform(*SUSPICION)
        while self._guest.ended is None:
            connection = self._guest.connection
            if not self._guest.joined:
                pass
            elif not connection.is_up or connection.silence() > hurry * self._patience():
                await self._come_back()
                hurry = random.uniform(*SUSPICION)
                climbs, climb_at = 0, time.monotonic() + CLIMBS[0]
            elif not self._better():
                if self._rung != Rung.WEBSOCKET:
                    self._reach.leave()
            elif time.monotonic() >= climb_at:
                await self._climb()
                climbs += 1
                climb_at = time.monotonic() + CLIMBS[min(climbs, len(CLIMBS) - 1)]
            await asyncio.sleep(LOOK)

    # ----------------------------------------------------------------------------------------

    @property
    def _rung(self) -> str:
        link = self._guest.link
        return "" if link is None else link.transport.rung

    def _better(self) -> tuple[Rung, ...]:
        """The rungs above the one in use, of those that may be used."""
        if self._rung not in self._rungs:
            return ()
        return tuple(self._rungs[: self._rungs.index(Rung(self._rung))])

    async def _come_back(self) -> None:
        """Seek another link until there is one, or the old one speaks, or the game is over."""
        attempt = 0
        while self._guest.ended is None and not self._has_recovered():
            self._reach.leave()  # what has been silent for so long may be its line, too
            await self._attempt(self._rungs)
            if not self._has_recovered():
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    async def _climb(self) -> None:
        """Try the rungs above this one, once. A failure changes nothing."""
        await self._attempt(self._better())

    async def _attempt(self, rungs: Sequence[Rung]) -> None:
        """Open a link and ask the host to go on there. A failure is logged."""
        opening = asyncio.create_task(self._open(rungs))
        suspicious = not self._has_recovered()
        deadline = time.monotonic() + ATTEMPT_TIMEOUT
        try:
            while not opening.done():
                await asyncio.wait([opening], timeout=LOOK)
                needless = suspicious and self._has_recovered()
                if needless or self._guest.ended is not None or time.monotonic() > deadline:
                    opening.cancel()
                    await asyncio.wait([opening])
            if opening.cancelled():
                return
            transport = opening.result()
        except JoinError as error:
            log.info("no other link for now: %s", error)
            return
        except BaseException:
            opening.cancel()
            await asyncio.wait([opening])
            raise
        await self._ask(transport)

    async def _open(self, rungs: Sequence[Rung]) -> Transport:
        ticket = self._guest.connection.ticket
        token = self._token if ticket is None or self._token is None else as_token(ticket)
        try:
            return await self._reach.open(rungs, timeout=ENTER_TIMEOUT, token=token)
        except Refused:
            self._reach.leave()
            raise

    async def _ask(self, transport: Transport) -> None:
        """Ask the host to go on by this transport, and wait for the answer."""
        link = self._guest.come_back(transport)
        if link is None:
            transport.close()
            await transport.wait_closed()
            return
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while self._guest.connection.waiting is link:
            self._guest.pump()
            if time.monotonic() > deadline:
                self._guest.give_up_waiting()
            await asyncio.sleep(LOOK / 5)

    def _patience(self) -> float:
        """How much longer than others this link may be silent: TCP holds everything back while it
        sends one packet again, and another link would have to wait as long."""
        return 2.0 if self._rung in (Rung.TURN_TCP, Rung.WEBSOCKET) else 1.0

    def _has_recovered(self) -> bool:
        connection = self._guest.connection
        return connection.is_up and connection.silence() < RECOVERED
