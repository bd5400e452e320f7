"""The watch over a connection, at the end that called: another link when the one of now fails.

A link that has fallen silent may be dead, or its packets may just be late. So another one is made
beside it, and whichever speaks first is used. And a link on a low rung is there to begin with: from
time to time the better ones are tried, and the session moves over without noticing.
"""

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from typing import Protocol

from netcode.errors import JoinError
from netcode.link.connection import Connection
from netcode.link.link import Link
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

ATTEMPT_TIMEOUT = 8.0
"""Seconds for all rungs of one attempt."""

PAUSES = (0.1, 0.5, 1.0, 2.0)
"""Seconds between attempts to come back; the last one for all that follow."""

ANSWER_TIMEOUT = 3.0
"""Seconds that the other end has to answer on a link that is open."""

LINGER = 2.0
"""Seconds for which the way to the link before is kept: what is still on it is taken in."""

CLIMBS = (2.0, 8.0, 20.0, 60.0)
"""Seconds before each attempt to climb; the last one for all that follow."""


class Line(Protocol):
    """What is watched over: a connection to somebody, and the way there."""

    @property
    def connection(self) -> Connection: ...

    @property
    def has_begun(self) -> bool:
        """Whether there is anything to come back to yet."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether nobody wants to come back any more."""
        ...

    async def open(self, rungs: Sequence[Rung]) -> Transport:
        """A transport to the other end by the first of these rungs that opens. Raises a
        `JoinError`. Cancelling gives it up."""
        ...

    def come_back(self, transport: Transport) -> Link | None:
        """Ask to go on by this transport; None if that is not possible any more."""
        ...

    def give_up_waiting(self) -> None:
        """Wait no longer for the answer on the link that was asked last."""

    def pump(self) -> None:
        """Do what is due on the links."""

    def doubt(self) -> None:
        """The link has been silent for so long that the way to signaling may be dead, too."""

    def rest(self) -> None:
        """The link is the best there can be; nothing else is needed for now."""


class Watch:
    """One line's. ``rungs`` are those that may be used, the best first; may be set."""

    def __init__(self, line: Line, rungs: Sequence[Rung]) -> None:
        self.rungs = rungs
        self._line = line
        self._hurry = random.uniform(*SUSPICION)
        self._moved_at = float("-inf")

    async def keep(self) -> None:
        """Watch until the line is over. Safe to cancel."""
        climbs = 0
        climb_at = time.monotonic() + CLIMBS[0]
        while not self._line.is_over:
            if not self._line.has_begun:
                pass
            elif self._is_suspicious():
                await self._come_back()
                self._hurry = random.uniform(*SUSPICION)
                climbs, climb_at = 0, time.monotonic() + CLIMBS[0]
            elif not self._better():
                if time.monotonic() - self._moved_at > LINGER:
                    self._line.rest()
            elif time.monotonic() >= climb_at:
                await self._attempt(self._better(), climbs=True)  # a failure changes nothing
                climbs += 1
                climb_at = time.monotonic() + CLIMBS[min(climbs, len(CLIMBS) - 1)]
            await asyncio.sleep(LOOK)

    # ----------------------------------------------------------------------------------------

    @property
    def _rung(self) -> str:
        link = self._line.connection.link
        return "" if link is None else link.transport.rung

    def _better(self) -> tuple[Rung, ...]:
        """The rungs above the one in use, of those that may be used."""
        if self._rung not in self.rungs:
            return ()
        return tuple(self.rungs[: self.rungs.index(Rung(self._rung))])

    async def _come_back(self) -> None:
        """Seek another link until there is one, or the old one speaks, or it is over."""
        attempt = 0
        while not self._line.is_over and not self._has_recovered():
            self._line.doubt()
            await self._attempt(self.rungs, climbs=False)
            if not self._has_recovered():
                await asyncio.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
            attempt += 1

    async def _attempt(self, rungs: Sequence[Rung], *, climbs: bool) -> None:
        """Open a link and ask the other end to go on there. A failure is logged."""
        opening = asyncio.create_task(self._open(rungs))
        deadline = time.monotonic() + ATTEMPT_TIMEOUT
        try:
            while not opening.done():
                await asyncio.wait([opening], timeout=LOOK)
                # A link that fails while a better one is tried needs all rungs, and at once.
                useless = self._is_suspicious() if climbs else self._has_recovered()
                if useless or self._line.is_over or time.monotonic() > deadline:
                    opening.cancel()
                    await asyncio.wait([opening])
            if opening.cancelled():
                return
            transport = opening.result()
        except JoinError as error:
            log.info("no other link for now: %s", error)
            return
        except Exception:
            log.exception("another link could not be tried")
            return
        except BaseException:
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
                await opening.result().wait_closed()
            raise
        await self._ask(transport)

    async def _open(self, rungs: Sequence[Rung]) -> Transport:
        return await self._line.open(rungs)

    async def _ask(self, transport: Transport) -> None:
        """Ask the other end to go on by this transport, and wait for the answer."""
        link = self._line.come_back(transport)
        if link is None:
            transport.close()
            await transport.wait_closed()
            return
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while self._line.connection.waiting is link:
            self._line.pump()
            if time.monotonic() > deadline:
                self._line.give_up_waiting()
            await asyncio.sleep(LOOK / 5)
        self._moved_at = time.monotonic()

    def _patience(self) -> float:
        """How much longer than others this link may be silent: TCP holds everything back while it
        sends one packet again, and another link would have to wait as long."""
        return 2.0 if self._rung in (Rung.TURN_TCP, Rung.WEBSOCKET) else 1.0

    def _is_suspicious(self) -> bool:
        connection = self._line.connection
        return not connection.is_up or connection.silence() > self._hurry * self._patience()

    def _has_recovered(self) -> bool:
        connection = self._line.connection
        return connection.is_up and connection.silence() < RECOVERED
