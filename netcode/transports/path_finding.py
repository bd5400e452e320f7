"""Finding a path and keeping it: patience that aioice does not have.

- **Direct paths go first.** aioice takes the first pair that answers and keeps it. A relay close by
  may answer before the other end does, so pairs with a relay wait, unless there are no others.
- **Checks that were too early come again at once.** The first check often meets a router, or a
  relay, that does not know this end yet. When the other end's check comes through, the way is open
  both ways, so this end's is sent again (RFC 8445, 7.3.1.4), where aioice would wait half a second.
- **Far players stay.** aioice ends a connection whose checks of consent (RFC 7675) take longer than
  half a second six times; dead peers are noticed by the heartbeats of a link, and much sooner.

Like `gathering` this reaches past public names; `aiortc_private` puts it in place.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

RELAY_WAIT = 0.5
"""Seconds from the first check until pairs with a relay are checked, too."""

CONSENT_RETRANSMISSIONS = 2
"""How often a check of consent is sent again: it is given 3.5 s then (0.5 s, doubling)."""

MAX_WAITING_CHECKS = 100
"""Checks of the other end that wait for their turn, as many as aioice keeps before it begins."""


class RelaysLast:
    """Lets pairs with a relay wait at one connection of aioice."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._is_holding = True
        self._has_begun = False
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: deque[tuple[Any, tuple[str, int], Any]] = deque(maxlen=MAX_WAITING_CHECKS)
        self._connect = connection.connect
        self._pair: Callable[[Any], None] = connection._pair_remote_candidate
        self._take_check: Callable[[Any, tuple[str, int], Any], None] = connection.check_incoming
        self._expects_more: Callable[[], bool] = connection._remote_candidates_expected
        self._end_candidates: Callable[[], None] = connection._end_remote_candidates
        connection.connect = self.connect
        connection._pair_remote_candidate = self.pair
        connection.check_incoming = self.take_check
        connection._remote_candidates_expected = self.expects_more
        connection._end_remote_candidates = self.end_candidates

    async def connect(self) -> None:
        """Check the pairs."""
        self._has_begun = True
        if self._may_be_direct():
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(RELAY_WAIT, self._let_relays_in)
        else:
            self._is_holding = False
        try:
            await self._connect()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            # Whatever is checked later, as when the other end changes its path, need not wait.
            self._is_holding = False
            self._waiting.clear()

    def pair(self, remote: Any) -> None:
        """Make the pairs of a candidate of the other end, those with a relay when it is time."""
        connection = self._connection
        if not self._is_holding:
            self._pair(remote)
        elif remote.type != "relay":
            every = connection._protocols
            connection._protocols = [each for each in every if not _is_relayed(each)]
            try:
                self._pair(remote)
            finally:
                connection._protocols = every

    def take_check(self, message: Any, addr: tuple[str, int], protocol: Any) -> None:
        """Answer a check of the other end with one of ours, when it is time."""
        if self._is_holding and (_is_relayed(protocol) or self._is_remote_relay(addr)):
            self._waiting.append((message, addr, protocol))
        else:
            self._take_check(message, addr, protocol)
            _hurry(protocol, addr)

    def expects_more(self) -> bool:
        """Whether it is too early to say that no pair has answered."""
        return self._expects_more() or (self._has_begun and self._is_holding)

    def end_candidates(self) -> None:
        """The other end has named all its candidates."""
        if self._has_begun and self._is_holding and not self._may_be_direct():
            self._let_relays_in()
        self._end_candidates()

    def _let_relays_in(self) -> None:
        self._is_holding = False
        connection = self._connection
        if connection._check_list_done:
            return
        for remote in list(connection._remote_candidates):
            self._pair(remote)
        connection.sort_check_list()
        while self._waiting:
            message, addr, protocol = self._waiting.popleft()
            self._take_check(message, addr, protocol)
            _hurry(protocol, addr)
        # Perhaps all others have failed by now, and there are none with a relay.
        connection._check_list_maybe_fail()

    def _may_be_direct(self) -> bool:
        connection = self._connection
        return any(each.type != "relay" for each in connection._local_candidates) and (
            self._expects_more()
            or any(each.type != "relay" for each in connection._remote_candidates)
        )

    def _is_remote_relay(self, addr: tuple[str, int]) -> bool:
        return any(
            each.type == "relay" and (each._network_host, each.port) == addr
            for each in self._connection._remote_candidates
        )


def _hurry(protocol: Any, addr: tuple[str, int]) -> None:
    """Send again at once what this socket has asked that address once, and not been answered."""
    for transaction in list(protocol.transactions.values()):
        if transaction._Transaction__addr == addr and transaction._Transaction__tries == 1:
            transaction._Transaction__timeout_handle.cancel()
            transaction._Transaction__retry()


def be_patient(protocol: Any) -> None:
    """Give the checks of consent by this socket as long as a far player takes to answer."""
    request = protocol.request

    async def patient_request(
        message: Any,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> Any:
        # Checks of consent are the only ones that aioice sends once.
        if retransmissions == 0:
            retransmissions = CONSENT_RETRANSMISSIONS
        return await request(message, addr, integrity_key, retransmissions)

    protocol.request = patient_request


def _is_relayed(protocol: Any) -> bool:
    return bool(protocol.local_candidate.type == "relay")
