"""Gathering: which addresses a connection can be reached at, and why there are not more.

aioice asks STUN and TURN servers itself, but forgets why one of them did not help. So it is left to
open the host addresses, and the servers are asked here: in bounded time, and with a note for each
failure. Like `turn_client` this reaches past public names; `aiortc_private` puts it in place.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aioice import Candidate, ice
from aioice.candidate import candidate_foundation, candidate_priority

from netcode.transports.turn_client import TurnServer, allocate, reason
from netcode.transports.webrtc_config import IceUrl

TIMEOUT = 3.0
"""Seconds that a TURN server has, its name, TCP and TLS included: three tries of a request over
UDP (0.5 s, doubling), where aioice would wait 5 s."""

STUN_TIMEOUT = 1.5
"""Seconds that a STUN server has: two tries. What it says only makes a direct path likelier, and a
network that lets no UDP out keeps everybody waiting so long."""

STUN_GRACE = 0.2
"""Seconds that it has for the other addresses of this machine, once it has answered one: many of
them (a virtual machine's, a container's) lead nowhere."""

LOOPBACK = ("127.0.0.1", "::1")

MAX_NOTES = 8
"""Notes that are kept: the servers', and a few refused peers."""

NOBODY = ("0.0.0.0", 9), ("::", 9)
"""The related address of a relayed candidate where that shall not be told (RFC 8839, 5.1)."""


class Gathering:
    """The gathering of one connection of aioice."""

    def __init__(
        self,
        connection: Any,
        *,
        stun: IceUrl | None,
        turn: TurnServer | None,
        relay_only: bool,
    ) -> None:
        self.notes: list[str] = []
        """Why there are not more candidates, or why some lead nowhere; for people."""
        self._connection = connection
        self._stun = stun
        self._turn = turn
        self._relay_only = relay_only
        self._open_hosts: Callable[..., Awaitable[list[Candidate]]] = (
            connection.get_component_candidates
        )
        self._given_up = asyncio.Event()
        # Not for aioice to ask.
        connection.stun_server = connection.turn_server = None
        connection.get_component_candidates = self._gather

    def give_up(self) -> None:
        """Ask no more: the connection is to be closed."""
        self._given_up.set()

    async def _gather(self, component: int, addresses: Sequence[str]) -> list[Candidate]:
        candidates: list[Candidate] = []
        if not self._relay_only:
            # aioice offers no loopback address, so that two programs on a machine without any
            # network would not meet.
            candidates = await self._open_hosts(component, addresses or list(LOOPBACK))
        hosts = list(self._connection._protocols)
        given_up = asyncio.create_task(self._given_up.wait())
        try:
            seen, relayed = await asyncio.gather(
                self._ask_stun(hosts, given_up), self._ask_turn(component, given_up)
            )
        finally:
            given_up.cancel()
        known = {(each.host, each.port) for each in candidates}
        for candidate in seen:
            if (candidate.host, candidate.port) not in known:  # redundant, RFC 8445, 5.1.3
                known.add((candidate.host, candidate.port))
                candidates.append(candidate)
        return candidates + relayed

    async def _ask_stun(self, hosts: list[Any], given_up: asyncio.Task[Any]) -> list[Candidate]:
        """Ask from each address of IPv4, which is all that aioice's way of asking knows."""
        url = self._stun
        if url is None:
            return []
        asking = {
            asyncio.create_task(ice.server_reflexive_candidate(protocol, (url.host, url.port)))
            for protocol in hosts
            if ipaddress.ip_address(protocol.local_candidate.host).version == 4
        }
        loop = asyncio.get_running_loop()
        deadline = loop.time() + STUN_TIMEOUT
        found: list[Candidate] = []
        failures: list[BaseException] = []
        waiting = set(asking)
        try:
            while waiting and not given_up.done() and loop.time() < deadline:
                done, _ = await asyncio.wait(
                    {*waiting, given_up},
                    timeout=deadline - loop.time(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for task in done & waiting:
                    if (failure := task.exception()) is not None:
                        failures.append(failure)
                    else:
                        found.append(task.result()[0])
                        deadline = min(deadline, loop.time() + STUN_GRACE)
                waiting -= done
        finally:
            await _cancel(waiting)
        if asking and not found and not given_up.done():
            why = reason(failures[0] if failures else TimeoutError())
            self.note(f"STUN server {url}: {why}")
        return found

    async def _ask_turn(self, component: int, given_up: asyncio.Task[Any]) -> list[Candidate]:
        server = self._turn
        if server is None:
            if self._relay_only:
                self.note("no TURN server was named")
            return []
        protocol = ice.StunProtocol(self._connection)
        asking = asyncio.create_task(allocate(server, protocol, self.note))
        try:
            await asyncio.wait(
                {asking, given_up}, timeout=TIMEOUT, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await _cancel({asking})
        failure = TimeoutError() if asking.cancelled() else asking.exception()
        if failure is not None:
            if not given_up.done():
                self.note(f"TURN server {server.url}: {reason(failure)}")
            return []
        self._connection._protocols.append(protocol)
        host, port = protocol.transport.get_extra_info("sockname")
        related = protocol.transport.get_extra_info("related_address")
        if self._relay_only:
            related = NOBODY[":" in host]
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("relay", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "relay"),
            host=host,
            port=port,
            type="relay",
            related_address=related[0],
            related_port=related[1],
        )
        return [protocol.local_candidate]

    def note(self, text: str) -> None:
        """Remember what has failed."""
        if text not in self.notes and len(self.notes) < MAX_NOTES:
            self.notes.append(text)


async def _cancel(tasks: set[Any]) -> None:
    """Cancel what still runs, and wait until it has ended."""
    running = {task for task in tasks if not task.done()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)
