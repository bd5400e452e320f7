"""The signaling server: rooms over WebSocket, inside any asyncio program.

Each connection is one WebSocket handler that reads, and one task that writes from a bounded
queue (`Connection`). Whatever a connection does, it ends alone: malformed messages are answered
with an error and end in a close, slow readers are closed, lost sockets are noticed by pings, and
the room hears who left and why.

The embedding program can be a member of a room itself, without a socket: see `attach`.
"""

import asyncio
import errno
import logging
import secrets
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from http import HTTPStatus
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.typing import Origin

from signaling.connection import Connection
from signaling.errors import MessageError, Refused, UsageError
from signaling.limits import CLOSE_GRACE, SignalingLimits
from signaling.messages import (
    MAX_CLIENT_MESSAGE_BYTES,
    ClientMessage,
    Error,
    IceServer,
    Join,
    Joined,
    Leave,
    PeerInfo,
    PeerMessage,
    ServerMessage,
    decode_from_client,
    encode,
)
from signaling.rooms import Delivery, Rooms

log = logging.getLogger("signaling")

HANDSHAKE_TIMEOUT = 5.0
"""Seconds from the TCP connection to the end of the WebSocket handshake, one round trip."""

HANDSHAKE_MARGIN = 64
"""Sockets beyond ``max_connections`` that get as far as being told that the server is full."""

RECEIVE_QUEUE_FRAMES = 4
"""Frames that websockets reads ahead; what a flood can occupy per connection is four messages."""

ID_BYTES = 12
"""Random bytes of a peer id: 96 bits cannot be guessed. In base64 they are 16 characters."""

MAX_UNSENT_BYTES = 2_097_152
"""Bytes in a socket's buffer, beyond which it is dropped.

We put one message there at a time, 1 MiB at most; but websockets answers every ping into it,
also to those who send pings and never read the answers.
"""

IceServers = Sequence[IceServer] | Callable[[str], Sequence[IceServer]]


class LocalMember:
    """A member of a room that lives in the server's own process; made by `attach`.

    Its methods belong to the thread of the server's event loop.
    """

    def __init__(
        self, server: "SignalingServer", joined: Joined, deliver: Callable[[ServerMessage], None]
    ) -> None:
        self._server = server
        self._deliver = deliver
        self.id = joined.id
        """This member's id in the room."""
        self.room = joined.room
        self.peers: tuple[PeerInfo, ...] = joined.peers
        """Who was in the room already when this member was attached."""
        self.ice_servers = joined.ice_servers
        """The STUN and TURN servers to use."""

    def send(self, message: PeerMessage) -> None:
        """Send to a peer of the room. If there is none of that id, an `Error` is delivered.

        Raises:
            UsageError: if the message breaks a bound, or this member has left.
        """
        if not isinstance(message, PeerMessage):
            raise UsageError(
                f"send() takes Offer, Answer or Candidate, not {type(message).__name__}"
            )
        encode(message)
        self._server._send_from(self, message)

    def leave(self) -> None:
        """Leave the room and end its reservation. Who is in it stays and hears it. Idempotent."""
        self._server._detach(self)


class SignalingServer:
    """Rooms over WebSocket.

    Args:
        limits: what it spends on others at most.
        ice_servers: the STUN and TURN servers that every newcomer is told, or a function that is
            given the newcomer's id and returns them, for credentials of its own. If it raises,
            that is logged, and that newcomer alone is turned away.
        origins: if given, browsers are let in only from pages of these origins, such as
            ``"https://example.org"``. Programs, which send none, always are.

    Usable as an async context manager, after or instead of `start`: leaving it stops the server.
    All methods belong to the thread of the event loop.

    Raises:
        UsageError: if an ICE server breaks a bound.
    """

    def __init__(
        self,
        *,
        limits: SignalingLimits | None = None,
        ice_servers: IceServers = (),
        origins: Sequence[str] | None = None,
    ) -> None:
        self._limits = limits or SignalingLimits()
        self._ice_servers = ice_servers
        self._rooms = Rooms(
            self._limits,
            new_id=lambda: secrets.token_urlsafe(ID_BYTES),
            ice_servers=self._ice_servers_for,
        )
        if not callable(ice_servers):
            self._ice_servers_for("nobody")
        self._origins: list[Origin | None] | None = None
        if origins is not None:
            self._origins = [*(Origin(origin) for origin in origins), None]
        self._members: dict[str, Connection | LocalMember] = {}
        self._connections: set[Connection] = set()
        self._sockets: set[ServerConnection] = set()
        self._server: Server | None = None
        self._port: int | None = None

    @property
    def port(self) -> int:
        """The TCP port it listens on. Raises `UsageError` before `start` and after `stop`."""
        if self._port is None:
            raise UsageError("the server has no port while it is not started: await start() first")
        return self._port

    async def start(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        """Listen, and serve in the background until `stop`.

        Args:
            host: the address to listen on; None means every address of this machine.
            port: the TCP port; 0 takes a free one, which `port` tells.
            ssl: serve ``wss://`` with this context instead of ``ws://``.

        Cancelling it leaves the server stopped.

        Raises:
            UsageError: if it is started already, or the port is no port.
            OSError: if it cannot listen there, mostly because another program does.
        """
        if self._server is not None:
            raise UsageError("this server is started already: stop() it first, or make another")
        if not 0 <= port <= 65_535:
            raise UsageError(f"a port is between 0 and 65535, not {port}")
        quiet = logging.getLogger("signaling.websockets")
        if quiet.level == logging.NOTSET:
            # websockets logs, with tracebacks, handshakes that go wrong in ways it did not expect:
            # others could fill our log. Our own failures are logged by `_handle`.
            quiet.setLevel(logging.CRITICAL)
        everywhere = _listen_everywhere(port) if host is None else None
        serving = serve(
            self._handle,
            host,
            None if everywhere else port,
            sock=everywhere,
            ssl=ssl,
            origins=self._origins,
            process_request=self._turn_away,
            create_connection=_tracked_by(
                self._sockets, self._limits.max_connections + HANDSHAKE_MARGIN
            ),
            # SDP is small, and a compression context costs more memory than all else together.
            compression=None,
            open_timeout=HANDSHAKE_TIMEOUT,
            ping_interval=self._limits.ping_interval,
            ping_timeout=self._limits.ping_timeout,
            close_timeout=CLOSE_GRACE,
            max_size=MAX_CLIENT_MESSAGE_BYTES,
            max_queue=RECEIVE_QUEUE_FRAMES,
            server_header=None,
            logger=quiet,
        )
        try:
            self._server = await serving
        except BaseException:
            if everywhere is not None:
                everywhere.close()
            raise
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close every connection with code 1001, and return when all are gone. Idempotent.

        Members without a socket stay in their rooms, so that the server can be started again.
        It takes at most about two seconds. Cancelling it does not keep the server alive: the
        closing goes on in the background.
        """
        server, self._server, self._port = self._server, None, None
        if server is None:
            return
        reason = "the server is stopping"
        for connection in self._connections:
            connection.end(CloseCode.GOING_AWAY, reason)
        for connecting in self._sockets:
            if connecting.state is State.CONNECTING:
                connecting.transport.abort()
        server.close(code=CloseCode.GOING_AWAY, reason=reason)
        await server.wait_closed()

    async def __aenter__(self) -> Self:
        if self._server is None:
            await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def attach(self, room: str, name: str, deliver: Callable[[ServerMessage], None]) -> LocalMember:
        """Reserve a room and make the caller its host, without a socket; also before `start`.

        ``deliver`` is called on the event loop's thread with every message for this member, in
        order, sometimes from within `LocalMember.send`. If it raises, that is logged and nobody
        else is disturbed. Until the member leaves, nobody else can be host of this room.

        Raises:
            UsageError: if the room or the name is not allowed.
            Refused: if the room has a host or is full, or the server has too many rooms.
        """
        join = Join(room, name, "host")
        encode(join)
        self._rooms.reserve(room)
        try:
            peer_id, deliveries = self._rooms.join(join, reserved=True)
        except BaseException:
            self._rooms.release(room)
            raise
        (_, joined), *announcements = deliveries
        assert isinstance(joined, Joined)  # what Rooms.join promises; for the type checker
        member = LocalMember(self, joined, deliver)
        self._members[peer_id] = member
        self._deliver(announcements)
        return member

    # --- one connection ---

    def _ice_servers_for(self, peer_id: str) -> Sequence[IceServer]:
        """Return what a newcomer is told. Raises `UsageError` if that could not be sent."""
        given = self._ice_servers
        servers = tuple(given(peer_id) if callable(given) else given)
        encode(Joined(peer_id, "any", None, (), servers))
        return servers

    def _turn_away(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer with HTTP 503 when there are too many connections."""
        if len(self._sockets) > self._limits.max_connections:
            return connection.respond(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "This signaling server has too many connections: try again later.\n",
            )
        return None

    async def _handle(self, socket: ServerConnection) -> None:
        """Serve one connection until it ends; return when its socket is gone."""
        connection = Connection(socket, self._limits)
        self._connections.add(connection)
        sender = asyncio.create_task(connection.send_queued())
        try:
            await self._converse(connection)
        except Exception:
            log.exception("a signaling connection failed; the others are not concerned")
            connection.end(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            self._leave(connection, "left" if connection.said_goodbye else "lost")
            connection.end(CloseCode.NORMAL_CLOSURE, "")
            await asyncio.wait([sender])
            self._connections.discard(connection)
            if not sender.cancelled() and (failure := sender.exception()) is not None:
                log.error("sending to a signaling connection failed", exc_info=failure)

    async def _converse(self, connection: Connection) -> None:
        """Do what a connection's messages ask for."""
        bad_messages = 0
        try:
            async with (
                asyncio.timeout(self._limits.join_timeout) as until_joined,
                aclosing(connection.texts()) as texts,
            ):
                async for text in texts:
                    try:
                        self._obey(connection, decode_from_client(text))
                    except MessageError as error:
                        connection.send(encode(Error(error.code, str(error))))
                        bad_messages += 1
                    except Refused as error:
                        connection.send(encode(Error(error.code, str(error))))
                        if connection.peer_id is None:
                            connection.end(CloseCode.POLICY_VIOLATION, error.code)
                    if bad_messages >= self._limits.max_bad_messages:
                        self._leave(connection, "broke the rules")
                        connection.end(CloseCode.POLICY_VIOLATION, "too many malformed messages")
                    if connection.ending:
                        return
                    if connection.peer_id is not None:
                        until_joined.reschedule(None)
        except TimeoutError:
            connection.end(
                CloseCode.POLICY_VIOLATION,
                f"no join within {self._limits.join_timeout:g} seconds",
            )

    def _obey(self, connection: Connection, message: ClientMessage) -> None:
        match message:
            case Join():
                if connection.peer_id is not None:
                    raise MessageError("already_joined", "this connection is in a room already")
                connection.peer_id, deliveries = self._rooms.join(message)
                self._members[connection.peer_id] = connection
                self._deliver(deliveries)
            case Leave():
                self._leave(connection, "left")
                connection.end(CloseCode.NORMAL_CLOSURE, "left")
            case _:
                if connection.peer_id is None:
                    raise MessageError("not_joined", "the first message must be a join")
                self._deliver(self._rooms.relay(connection.peer_id, message))

    # --- members ---

    def _leave(self, member: Connection, reason: str) -> None:
        if member.peer_id is not None and self._members.pop(member.peer_id, None) is not None:
            self._deliver(self._rooms.leave(member.peer_id, reason))

    def _send_from(self, member: LocalMember, message: PeerMessage) -> None:
        if self._members.get(member.id) is not member:
            raise UsageError("this member has left its room: attach() another")
        try:
            self._deliver(self._rooms.relay(member.id, message))
        except Refused as error:
            self._deliver([(member.id, Error(error.code, str(error)))])

    def _detach(self, member: LocalMember) -> None:
        if self._members.pop(member.id, None) is not None:
            self._rooms.release(member.room)
            self._deliver(self._rooms.leave(member.id, "left"))

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Hand messages to their receivers, in order; a receiver too slow for it leaves."""
        waiting = deque(deliveries)
        encoded: ServerMessage | None = None
        text = ""
        while waiting:
            peer_id, message = waiting.popleft()
            member = self._members.get(peer_id)
            if isinstance(member, LocalMember):
                try:
                    member._deliver(message)
                except Exception:
                    log.exception("the deliver callback of room %r failed", member.room)
            elif member is not None:
                # An announcement is one message for the whole room: encode it once.
                if message is not encoded:
                    text, encoded = encode(message), message
                if not member.send(text):
                    del self._members[peer_id]
                    waiting.extend(self._rooms.leave(peer_id, "too slow"))


def _listen_everywhere(port: int) -> socket.socket:
    """Return one socket that listens on every address of this machine, IPv4 and IPv6.

    With one socket for each, port 0 would become two different ports; without IPv6, "localhost"
    would be slow to reach where it is tried over IPv6 first.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            # IPv6 is compiled in, but switched off.
    return socket.create_server(("", port))


def _tracked_by(sockets: set[ServerConnection], most: int) -> type[ServerConnection]:
    """Return a kind of connection that keeps itself in a set while its socket is open.

    websockets itself knows only connections whose handshake is over; a bound must also count
    those who never begin one. Beyond ``most`` they are dropped without a word.
    """

    class Tracked(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            sockets.add(self)
            if len(sockets) > most:
                self.transport.abort()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            sockets.discard(self)
            super().connection_lost(exc)

    return Tracked
