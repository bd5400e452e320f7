"""All sockets of one running relay: what `Relay` calls its outside.

Places are numbered: one for each datagram socket, one for each connection. With the address of the
far end a number makes a `Client`, which is all that the relay knows of sockets.
"""

import asyncio
import errno
import itertools
import socket
import ssl
from collections.abc import Sequence

from signaling.turn.allocations import Client
from signaling.turn.clients import DatagramSocket, StreamConnection
from signaling.turn.limits import TurnLimits
from signaling.turn.ports import RelayPorts, bind
from signaling.turn.relay import Relay
from signaling.turn.stun import Address, Family

BIND_TRIES = 20
"""Ports that are tried until one is free for UDP and TCP on all addresses."""

BACKLOG = 100
"""TCP connections that wait to be accepted."""

EVERYWHERE = ("0.0.0.0", "::")
DATAGRAMS, STREAMS = socket.SOCK_DGRAM, socket.SOCK_STREAM


class Sockets:
    """Sockets towards clients; those towards peers are in ``ports``."""

    relay: Relay
    """Who decides. To be set before `listen`."""

    def __init__(self, limits: TurnLimits, ports: RelayPorts) -> None:
        self._limits = limits
        self._ports = ports
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._datagrams: dict[int, DatagramSocket] = {}
        self._listeners: list[asyncio.Server] = []
        self._connections: dict[int, StreamConnection] = {}

    async def listen(self, hosts: Sequence[str], port: int, *, tcp: bool = True) -> int:
        """Listen on UDP, and on TCP unless told otherwise; return the port. Raises `OSError`."""
        bound = _bind_all(hosts, port, (DATAGRAMS, STREAMS) if tcp else (DATAGRAMS,))
        port = int(bound[0].getsockname()[1])
        for each in bound:
            if each.type is DATAGRAMS:
                place = DatagramSocket(each, next(self._numbers), self)
                self._datagrams[place.number] = place
            else:
                await self._accept(each, None)
        for place in self._datagrams.values():
            await place.open()
        return port

    async def listen_tls(self, hosts: Sequence[str], port: int, context: ssl.SSLContext) -> int:
        """Listen on TLS, and return the port. Raises `OSError`."""
        bound = _bind_all(hosts, port, (STREAMS,))
        port = int(bound[0].getsockname()[1])
        for each in bound:
            await self._accept(each, context)
        return port

    async def _accept(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        listener = await self._loop.create_server(
            lambda: StreamConnection(self, self._limits.connect_timeout, context),
            sock=bound,
            backlog=BACKLOG,
        )
        self._listeners.append(listener)

    async def close(self) -> None:
        """Close all sockets, and return when they are gone."""
        for listener in self._listeners:
            listener.close()
        places: list[DatagramSocket | StreamConnection] = [
            *self._datagrams.values(),
            *self._connections.values(),
        ]
        for place in places:
            place.close()
        if places:
            await asyncio.wait([place.closed for place in places])
        for listener in self._listeners:
            await listener.wait_closed()
        await self._ports.wait_closed()

    # --- what the sockets of clients ask for ---

    def receive(self, client: Client, packet: bytes) -> None:
        """Take in a packet of a client."""
        self.relay.receive(client, packet, self._loop.time())

    def has_allocation(self, client: Client) -> bool:
        """Say whether a client has an allocation."""
        return self.relay.has_allocation(client, self._loop.time())

    def register(self, connection: StreamConnection) -> int:
        """Take in a new connection and return its number."""
        number = next(self._numbers)
        self._connections[number] = connection
        return number

    def admits(self, host: str) -> bool:
        """Count a connection from an address; False if it has to be closed."""
        if len(self._connections) <= self._limits.max_connections and self.relay.strangers.may_ask(
            host, self._loop.time()
        ):
            return True
        self.relay.stats.unanswered += 1
        return False

    def gone(self, client: Client, *, malformed: bool) -> None:
        """Forget a connection that has ended."""
        self.relay.stats.malformed += malformed
        self.relay.forget(client)
        del self._connections[client.place]

    # --- what the relay asks for ---

    def open_relayed(self, client: Client, family: Family, even: bool) -> Address:
        """Open a port towards peers. Raises `NoRelayedAddress`."""
        return self._ports.open(client, family, even)

    def close_relayed(self, relayed: Address) -> None:
        """Close a port towards peers."""
        self._ports.close(relayed)

    def send_to_client(self, client: Client, packet: bytes) -> None:
        """Send a packet to a client, or count that it could not be."""
        place = self._datagrams.get(client.place)
        if place is not None:
            sent = place.send(client, packet)
        else:
            connection = self._connections.get(client.place)
            sent = connection is not None and connection.send(packet)
        if not sent:
            self.relay.stats.unsendable += 1

    def send_to_peer(self, relayed: Address, peer: Address, data: bytes) -> None:
        """Send data to a peer, or count that it could not be."""
        if not self._ports.send(relayed, peer, data):
            self.relay.stats.unsendable += 1


def _bind_all(
    hosts: Sequence[str], port: int, kinds: Sequence[socket.SocketKind]
) -> list[socket.socket]:
    """Return a socket of each kind on each host, all with the same port.

    Without hosts: on every address, of those families that this machine has.
    """
    for tries_left in reversed(range(BIND_TRIES)):
        bound: list[socket.socket] = []
        try:
            for host in hosts or EVERYWHERE:
                for kind in kinds:
                    chosen = bound[0].getsockname()[1] if bound else port
                    try:
                        bound.append(bind(kind, host, chosen))
                    except OSError as error:
                        if hosts or not bound or error.errno == errno.EADDRINUSE:
                            raise
                        # One family is switched off on this machine.
        except OSError as error:
            for each in bound:
                each.close()
            if port or not tries_left or error.errno != errno.EADDRINUSE:
                raise
        else:
            return bound
    raise AssertionError("the last try returns or raises")
