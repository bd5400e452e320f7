"""The gate: what is decided about a connection before it becomes a WebSocket.

A socket is counted from its first moment. Its request is answered with an HTTP status if it may
not come in, with the reason for people in the body and for programs in a header, or if it only
asks how the server is (``/healthz``). What is let in goes on to `signaling.server`.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from signaling.addresses import THIS_MACHINE, Addresses, Proxies, address_of
from signaling.errors import Refused
from signaling.hosts import host_of
from signaling.limits import SignalingLimits
from signaling.messages import CODE_HEADER

log = logging.getLogger("signaling")

HEALTH_PATH = "/healthz"

RETRY_AFTER = 5
"""Seconds after which who was refused may try again, unless there is a better guess."""

HANDSHAKE_MARGIN = 64
"""Sockets beyond ``max_connections`` that get as far as being told that the server is full."""

MAX_UNSENT_BYTES = 2_097_152
"""Bytes in a socket's buffer, beyond which it is dropped.

We put one message there at a time, 1 MiB at most; but websockets answers every ping into it,
also to those who send pings and never read the answers.
"""


class Gate:
    """The gate of one server.

    Args:
        limits: how many connections it lets in, in total and from one address.
        trust_proxies: the reverse proxies whose ``X-Forwarded-For`` is believed.
        counts: what `HEALTH_PATH` tells besides the connections.

    Raises:
        UsageError: if a proxy's address is none.
    """

    def __init__(
        self,
        limits: SignalingLimits,
        trust_proxies: Iterable[str],
        counts: Callable[[], Mapping[str, int]],
        *,
        lets_back: bool = False,
    ) -> None:
        self.sockets: set[Visitor] = set()
        """All that are open, also those which have not said anything yet."""
        self.draining: float | None = None
        """Seconds after which to try again, while nobody new is let in."""
        self._lets_back = lets_back
        """Whether a newcomer may turn out to be somebody who comes back, who is always let in."""
        self._limits = limits
        self._proxies = Proxies(trust_proxies)
        self._addresses = Addresses(limits)
        self._counts = counts
        self._has_warned = False

    def make_connection(self, *arguments: Any, **options: Any) -> "Visitor":
        """Return the connection for a socket; websockets calls this for each."""
        return Visitor(self, *arguments, **options)

    def answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return what a request is answered, or None to let it become a WebSocket."""
        assert isinstance(connection, Visitor)  # what make_connection makes
        try:
            self._locate(connection, request)
            self._addresses.arrived(connection.address, connection.loop.time())
        except Refused as error:
            self._warn(connection.address, error)
            return _refusal(connection, HTTPStatus.TOO_MANY_REQUESTS, error, RETRY_AFTER)
        if request.path.partition("?")[0] == HEALTH_PATH:
            return self._health(connection)
        if self.draining is not None and not self._lets_back:
            going = Refused("draining", "this server is going away: try again later")
            return _refusal(connection, HTTPStatus.SERVICE_UNAVAILABLE, going, self.draining)
        if len(self.sockets) > self._limits.max_connections:
            full = Refused("server_full", "this server has too many connections: try again later")
            return _refusal(connection, HTTPStatus.SERVICE_UNAVAILABLE, full, RETRY_AFTER)
        return None

    def penalty(self, connection: "Visitor") -> float:
        """Return how many seconds the answer to a connection's bad token has to wait."""
        return self._addresses.penalty(connection.address, connection.loop.time())

    def _opened(self, connection: "Visitor") -> None:
        self.sockets.add(connection)
        ip = _ip_of(connection)
        # Who a trusted proxy speaks for is known only when the request is here.
        connection.address = THIS_MACHINE if self._proxies.trusts(ip) else address_of(ip)
        few = self._addresses.opened(connection.address)
        if not few or len(self.sockets) > self._limits.max_connections + HANDSHAKE_MARGIN:
            connection.transport.abort()

    def _closed(self, connection: "Visitor") -> None:
        if connection in self.sockets:
            self.sockets.discard(connection)
            self._addresses.closed(connection.address)

    def _locate(self, connection: "Visitor", request: Request) -> None:
        """Count a connection for the address at which it began, if a proxy tells another one."""
        ip = _ip_of(connection)
        if not self._proxies.trusts(ip) or connection not in self.sockets:
            return
        address = address_of(self._proxies.origin(ip, request.headers.get_all("X-Forwarded-For")))
        self._addresses.closed(connection.address)
        connection.address = address
        self._addresses.opened(address)

    def _health(self, connection: ServerConnection) -> Response:
        draining = self.draining is not None
        health = {
            "status": "draining" if draining else "ok",
            # Without the one that asks.
            "connections": len(self.sockets) - 1,
            **self._counts(),
        }
        status = HTTPStatus.SERVICE_UNAVAILABLE if draining else HTTPStatus.OK
        response = connection.respond(status, json.dumps(health) + "\n")
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        response.headers["Cache-Control"] = "no-store"
        return response

    def _warn(self, address: str, error: Refused) -> None:
        """Say once that an address has reached its limit, so that it cannot fill the log too."""
        level = logging.INFO if self._has_warned else logging.WARNING
        self._has_warned = True
        log.log(
            level,
            "%s is turned away: %s. If it is your reverse proxy, say so (trust_proxies)",
            address,
            error,
        )


class Visitor(ServerConnection):
    """A socket at the gate, and later the WebSocket that it becomes.

    websockets itself knows only connections whose handshake is over; a bound must also count those
    who never begin one.
    """

    address: str = THIS_MACHINE
    """Where it comes from, as `signaling.addresses` counts it."""

    def __init__(self, gate: Gate, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._gate = gate

    @property
    def host(self) -> str | None:
        """By which host it has reached this server, as `signaling.hosts` reads it."""
        return host_of(self.request.headers.get_all("Host")) if self.request else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._gate._opened(self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gate._closed(self)
        super().connection_lost(exc)


def _ip_of(connection: ServerConnection) -> str:
    name = connection.remote_address
    return str(name[0]) if isinstance(name, tuple) else ""


def _refusal(
    connection: ServerConnection, status: HTTPStatus, error: Refused, retry_after: float
) -> Response:
    response = connection.respond(status, f"{error}\n")
    response.headers[CODE_HEADER] = error.code
    response.headers["Retry-After"] = str(max(1, round(retry_after)))
    return response
