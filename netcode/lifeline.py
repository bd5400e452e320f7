"""The lifeline: the watch over a guest's connection to its host, by way of the room.

The room is entered whenever another link is wanted, and left when none is (see `netcode.reach`). A
player who has been in the game gets into the room with its ticket, since the join token may have
expired.
"""

from collections.abc import Sequence

from netcode.core.guest import Guest
from netcode.errors import Refused
from netcode.link.connection import Connection
from netcode.link.link import Link
from netcode.link.tickets import as_token
from netcode.reach import Reach
from netcode.rungs import Rung
from netcode.transports.base import Transport
from netcode.watch import Watch

ENTER_TIMEOUT = 4.0
"""Seconds for getting into the room again. On a line that loses packets, TCP tries three times."""


class Lifeline:
    """One guest's. ``token`` is the join token, where there is one."""

    def __init__(
        self, guest: Guest, reach: Reach, rungs: Sequence[Rung], token: str | None
    ) -> None:
        self.watch = Watch(_HostLine(guest, reach, token), rungs)
        self._guest = guest
        self._reach = reach
        self._token = token

    async def join(self, timeout: float) -> Link:
        """The first link. Raises a `JoinError`. Cancelling gives it up."""
        rungs = self.watch.rungs
        transport = await self._reach.open(rungs, timeout=timeout, token=self._token)
        return self._guest.attach(transport)

    async def keep(self) -> None:
        """Watch over the link until the game is over. Safe to cancel."""
        await self.watch.keep()


class _HostLine:
    """The line to the host, as a `netcode.watch.Line`."""

    def __init__(self, guest: Guest, reach: Reach, token: str | None) -> None:
        self._guest = guest
        self._reach = reach
        self._token = token
        self.come_back = guest.come_back
        self.give_up_waiting = guest.give_up_waiting
        self.pump = guest.pump

    @property
    def connection(self) -> Connection:
        return self._guest.connection

    @property
    def has_begun(self) -> bool:
        return self._guest.joined and self._guest.connection.ticket is not None

    @property
    def is_over(self) -> bool:
        return self._guest.ended is not None

    async def open(self, rungs: Sequence[Rung]) -> Transport:
        ticket = self._guest.connection.ticket
        token = self._token if ticket is None else as_token(ticket)
        try:
            return await self._reach.open(rungs, timeout=ENTER_TIMEOUT, token=token)
        except Refused:
            self._reach.leave()
            raise

    def doubt(self) -> None:
        self._reach.leave()

    def rest(self) -> None:
        link = self._guest.link
        if link is None or link.transport.rung != Rung.WEBSOCKET:
            self._reach.leave()
