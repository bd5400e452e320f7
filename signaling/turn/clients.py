"""The sockets towards clients: a datagram socket for all of them, a connection for each.

Both cut what arrives into packets, say where each came from, and send what the relay answers.
What a slow reader does not take is dropped, like datagrams that a full line does not take.
"""

import asyncio
import socket
import ssl
from typing import Protocol, cast

from signaling.errors import PacketError
from signaling.turn.allocations import Client
from signaling.turn.framing import LARGEST, StreamPackets, padded

MAX_UNSENT = 65_536
"""Bytes that may wait in the program for a slow reader; what would come on top is dropped."""

TLS_TIMEOUT = 5.0
"""Seconds for a TLS handshake: two round trips on the poorest line, and a retransmission."""


SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""As Python has it: IPv6 comes with flow and scope."""


class Host(Protocol):
    """What sockets need of those who hold them."""

    def receive(self, client: Client, packet: bytes) -> None:
        """Take in a packet."""

    def has_allocation(self, client: Client) -> bool:
        """Say whether a client has an allocation."""

    def register(self, connection: "StreamConnection") -> int:
        """Take in a new connection and return its number."""

    def admits(self, host: str) -> bool:
        """Count a connection from an address; False if it has to be closed."""

    def gone(self, client: Client, *, malformed: bool) -> None:
        """Forget a connection that has ended."""


class DatagramSocket(asyncio.DatagramProtocol):
    """A UDP socket to which all clients send."""

    def __init__(self, bound: socket.socket, number: int, host: Host) -> None:
        self.number = number
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the socket is gone."""
        self._socket = bound
        self._host = host
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Begin to receive. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)

    def datagram_received(self, data: bytes, addr: SocketAddress) -> None:
        scope = addr[3] if len(addr) == 4 else 0
        self._host.receive(Client(self.number, addr[0], addr[1], scope), data)

    def send(self, client: Client, packet: bytes) -> bool:
        """Send to a client; return whether the system took it."""
        address: SocketAddress = client.host, client.port
        if client.scope:
            address = (client.host, client.port, 0, client.scope)
        try:
            self._socket.sendto(packet, address)
        except OSError:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """Close the socket."""
        if self._transport is None:
            self._socket.close()
            self.connection_lost(None)
        else:
            self._transport.abort()


class StreamConnection(asyncio.Protocol):
    """One TCP connection of a client, with TLS on it if there is a context.

    ``patience`` are the seconds that it may be without an allocation.
    """

    def __init__(self, host: Host, patience: float, context: ssl.SSLContext | None) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is gone."""
        self._host = host
        self._patience = patience
        self._context = context
        self._packets = StreamPackets()
        self._malformed = False
        self._client: Client | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""
        """What came with the end of the handshake, before this end has heard of that."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)
        # There is no name where the connection has ended already.
        host, port = (transport.get_extra_info("peername") or ("0.0.0.0", 0))[:2]
        self._client = Client(self._host.register(self), host, port)
        if not self._host.admits(host):
            transport.abort()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._patience, self._look)
        if self._context is not None:
            # The handshake is ours rather than the listener's, so that it is counted, too.
            transport.pause_reading()
            self._handshake = loop.create_task(self._shake_hands(transport, self._context))

    def data_received(self, data: bytes) -> None:
        client, transport = self._client, self._transport
        if self._handshake is not None and not self._handshake.done():
            self._early += data
            return
        if client is None or transport is None:
            return
        try:
            for packet in self._packets.feed(data):
                self._host.receive(client, packet)
                if transport.is_closing():
                    return
                if self._packets.largest < LARGEST and self._host.has_allocation(client):
                    self._packets.largest = LARGEST
        except PacketError:
            self._malformed = True
            transport.abort()

    def send(self, packet: bytes) -> bool:
        """Send to the client; return False if it is too slow to read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() > MAX_UNSENT:
            return False
        transport.write(padded(packet))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._client is not None:
            self._host.gone(self._client, malformed=self._malformed)
            self._client = None
        if not self.closed.done():
            self.closed.set_result(None)

    def close(self) -> None:
        """Drop the connection."""
        if self._handshake is not None and not self._handshake.done():
            self._handshake.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _look(self) -> None:
        """Drop the connection if it is of no use."""
        if self._client is not None and self._host.has_allocation(self._client):
            self._timer = asyncio.get_running_loop().call_later(self._patience, self._look)
        else:
            self.close()

    async def _shake_hands(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        try:
            upgraded = await loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=TLS_TIMEOUT
            )
        except BaseException as error:
            # asyncio tells a protocol nothing of a connection that ends in its handshake.
            transport.abort()
            self.connection_lost(None)
            if not isinstance(error, OSError):  # as ssl.SSLError and TimeoutError are
                raise
        else:
            self._transport = upgraded
            self._handshake = None
            early, self._early = self._early, b""
            self.data_received(early)
