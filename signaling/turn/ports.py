"""The sockets towards peers: one for each allocation, and which address it has.

Data is sent with the socket itself and dropped when the system does not take it: a transport
would keep it in a queue that nobody bounds, and late data is worth nothing to a game.
"""

import asyncio
import logging
import random
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import cast

from signaling.listening import as_tcp
from signaling.turn.allocations import Client
from signaling.turn.outside import NoRelayedAddress
from signaling.turn.stun import Address, Family

log = logging.getLogger("signaling")

RECEIVE_BUFFER = 262_144
"""Bytes that wait in a socket while the program is busy: 200 packets and more."""

TRIES = 50
"""Ports that are tried before an allocation is refused. In a range that is half full, the chance
that none of 50 is free is nothing."""

_SOCKET_FAMILY = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_SOMEWHERE_FAR = {Family.IPV4: "192.0.2.1", Family.IPV6: "2001:db8::1"}
"""Addresses of nobody, reached by the same route as the internet. Nothing is sent to them."""

FromPeer = Callable[[Address, Address, bytes], None]
"""Called with relayed address, peer and data."""


class RelayPorts:
    """All sockets towards peers of one server.

    Args:
        hosts: the addresses to bind to, the first of a family counts (``::1`` stands for
            127.0.0.1 as well); empty: whichever address of this machine faces the client.
        external: what to tell peers instead, where a router translates addresses one to one.
        ports: the ports to use, or None for whatever is free.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        external: Sequence[str],
        ports: range | None,
        from_peer: FromPeer,
    ) -> None:
        self._hosts = {family_of(host): host for host in reversed(hosts)}
        self._external = {family_of(host): host for host in reversed(external)}
        self._ports = ports
        self._from_peer = from_peer
        self._open: dict[Address, _Port] = {}
        self._closing: set[_Port] = set()

    def open(self, client: Client, family: Family, even: bool) -> Address:
        """Open a port, and return the address to tell. Raises `NoRelayedAddress`."""
        host = self._host_towards(client, family)
        if host is None:
            raise NoRelayedAddress(440)
        told = self._external.get(family, host)
        for _ in range(TRIES):
            wanted = random.choice(self._ports) if self._ports else 0
            try:
                bound = bind(socket.SOCK_DGRAM, host, wanted)
            except OSError:
                continue
            relayed = told, bound.getsockname()[1]
            # The same port may be in use on another address of this machine, told as the same.
            if relayed in self._open or (even and relayed[1] % 2):
                bound.close()
                continue
            port = _Port(bound, relayed, self._from_peer, self._closing)
            self._open[relayed] = port
            return relayed
        raise NoRelayedAddress(508)

    def close(self, relayed: Address) -> None:
        """Close what `open` has opened."""
        self._open.pop(relayed).close()

    def send(self, relayed: Address, peer: Address, data: bytes) -> bool:
        """Send to a peer; return whether the system took it."""
        try:
            self._open[relayed].socket.sendto(data, peer)
        except OSError:
            # No buffer, no route, too long, or an address that the system does not like: an
            # error of this packet only.
            return False
        return True

    async def wait_closed(self) -> None:
        """Wait until the sockets that were closed are gone."""
        while self._closing:
            await asyncio.wait([port.gone for port in self._closing])

    def _host_towards(self, client: Client, family: Family) -> str | None:
        if self._hosts:
            return self._hosts.get(family) or self._other_loopback(family)
        is_local = ip_address(client.host).is_loopback
        if family_of(client.host) is family and not is_local:
            return local_address_towards(client.host, family)
        # A client on this machine shall be reached by others, too.
        host = local_address_towards(_SOMEWHERE_FAR[family], family)
        if host is None and is_local and family_of(client.host) is family:
            return client.host
        return host

    def _other_loopback(self, family: Family) -> str | None:
        """Return 127.0.0.1 where all clients are on this machine and come by ``::1``.

        aioice asks for no family, which means IPv4 (RFC 8656, 7.2), whichever it comes by itself.
        """
        is_local = all(ip_address(host).is_loopback for host in self._hosts.values())
        return "127.0.0.1" if is_local and family is Family.IPV4 else None


class _Port(asyncio.DatagramProtocol):
    """One socket towards peers. Adds itself to ``closing`` between its closing and its end."""

    def __init__(
        self, bound: socket.socket, relayed: Address, from_peer: FromPeer, closing: set["_Port"]
    ) -> None:
        self.socket = bound
        loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done when the socket has been closed."""
        self._relayed = relayed
        self._from_peer = from_peer
        self._closing = closing
        self._transport: asyncio.DatagramTransport | None = None
        self._opening = loop.create_task(loop.create_datagram_endpoint(lambda: self, sock=bound))
        self._opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[object]) -> None:
        if opening.cancelled() or (failure := opening.exception()) is not None:
            self.socket.close()
            self._end()
            if not opening.cancelled():
                log.error("a relayed address cannot be listened to", exc_info=failure)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._from_peer(self._relayed, addr[:2], data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def close(self) -> None:
        self._closing.add(self)
        if self.gone.done():
            self._closing.discard(self)
        elif self._transport is not None:
            self._transport.abort()
        else:
            self._opening.cancel()

    def _end(self) -> None:
        self._closing.discard(self)
        if not self.gone.done():
            self.gone.set_result(None)


def family_of(host: str) -> Family:
    """Return the family of an IP address."""
    return Family.IPV6 if ":" in host else Family.IPV4


def local_address_towards(host: str, family: Family) -> str | None:
    """Return the address of this machine that the way to a host begins at, if there is a way."""
    with suppress(OSError), socket.socket(_SOCKET_FAMILY[family], socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # nothing is sent: the system only chooses a route
        return str(probe.getsockname()[0])
    return None


def bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """Return a socket, bound and not blocking. Raises `OSError`."""
    bound = socket.socket(_SOCKET_FAMILY[family_of(host)], kind)
    if kind is socket.SOCK_STREAM:
        bound = as_tcp(bound)
    try:
        bound.setblocking(False)
        if ":" in host:
            # With IPv4 in the same socket its addresses would come in disguise.
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind is socket.SOCK_DGRAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        elif hasattr(socket, "SO_REUSEPORT"):  # everywhere but on Windows, where it means theft
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
