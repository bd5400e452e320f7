"""The signaling server: rooms over WebSocket, inside any asyncio program.

Each connection is one WebSocket handler that reads, and one task that writes from a bounded
queue (`Connection`). Whatever a connection does, it ends alone: malformed messages are answered
with an error and end in a close, slow readers are closed, lost sockets are noticed by pings, and
the room hears who left and why.

The embedding program can be a member of a room itself, without a socket: see `attach`.
"""

import asyncio
import logging
import secrets
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from types import TracebackType
from typing import Self, cast

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import CloseCode
from websockets.protocol import State
from websockets.typing import Origin

from signaling.admission import Admission, Tickets
from signaling.connection import Connection
from signaling.errors import MessageError, Refused, TokenError, UsageError
from signaling.gate import Gate, Visitor
from signaling.hosts import LONGEST_HOST, told_at
from signaling.limits import CLOSE_GRACE, Pace, SignalingLimits
from signaling.listening import listen_everywhere
from signaling.local import LocalMember
from signaling.messages import (
    MAX_CLIENT_MESSAGE_BYTES,
    Answer,
    Candidate,
    ClientMessage,
    Draining,
    Error,
    IceServer,
    IceServersRenewed,
    Join,
    Joined,
    Leave,
    Offer,
    PeerMessage,
    RenewIceServers,
    ServerMessage,
    decode_from_client,
    encode,
)
from signaling.parcels import Incoming
from signaling.relaying import Relaying
from signaling.rooms import Delivery, Rooms
from signaling.tokens import Claims

log = logging.getLogger("signaling")

HANDSHAKE_TIMEOUT = 5.0
"""Seconds from the TCP connection to the end of the WebSocket handshake, one round trip."""

RECEIVE_QUEUE_FRAMES = 4
"""Frames that websockets reads ahead; what a flood can occupy per connection is four messages."""

ID_BYTES = 12
"""Random bytes of a peer id: 96 bits cannot be guessed. In base64 they are 16 characters."""

IceServers = Sequence[IceServer] | Callable[[str], Sequence[IceServer]]


class SignalingServer:
    """Rooms over WebSocket.

    Args:
        limits: what it spends on others at most.
        join_secret: what the game's back end signs join tokens with, at least 16 bytes (see
            `signaling.tokens`). Whoever joins then needs a token for the room, and is called as
            the token says. Without it anybody may join any room.
        tickets: asked first what a token says, where one is needed; returns None if it is none of
            its own, which is then checked with ``join_secret``. With this the embedding program
            lets back in whom it knows already. Its claims must name the room; their ``expires`` is
            not looked at. If it raises, that is logged, and the token is checked as usual.
        ice_servers: the STUN and TURN servers that whoever has joined is told, or a function that
            returns them, with credentials for the one whose name it is given: the token's subject,
            or the peer's id where there is none. It is called for each member when it joins and
            when it asks again, and for nobody who is refused. If it raises, that is logged, and
            that newcomer alone is turned away. ``{host}`` in a url, as in ``turn:{host}:3478``,
            becomes the host by which the member has reached this server (the ``Host`` of its
            request, IPv6 in brackets). Who named none, and members without a socket, are not told
            such urls. A reverse proxy has to pass the header on.
        origins: if given, browsers are let in only from pages of these origins, such as
            ``"https://example.org"``. Programs, which send none, always are.
        trust_proxies: addresses or networks of reverse proxies, such as ``"10.0.0.5"``, whose
            ``X-Forwarded-For`` is believed when connections of one address are counted. They must
            write that header themselves.
        counts: more numbers that ``/healthz`` shall tell everybody; called for each request.

    Usable as an async context manager, after or instead of `start`: leaving it stops the server.
    All methods belong to the thread of the event loop.

    Raises:
        UsageError: if an ICE server breaks a bound, a proxy has no address, or the secret is short.
    """

    def __init__(
        self,
        *,
        limits: SignalingLimits | None = None,
        join_secret: bytes | str | None = None,
        tickets: Tickets | None = None,
        ice_servers: IceServers = (),
        origins: Sequence[str] | None = None,
        trust_proxies: Iterable[str] = (),
        counts: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._limits = limits or SignalingLimits()
        self._admission = Admission(join_secret, tickets)
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
        self._gate = Gate(
            self._limits,
            trust_proxies,
            lambda: {"rooms": len(self._rooms), "members": len(self._members), **counts()},
            lets_back=tickets is not None,
        )
        self._members: dict[str, Connection | LocalMember] = {}
        self._seats: dict[str, Connection] = {}
        """Who came in with which token, by the token's id."""
        self._relaying = Relaying(
            self._limits,
            self._rooms,
            self._members,
            tell=lambda peer_id, message: self._deliver([(peer_id, message)]),
            hand_over=self._hand_over,
        )
        self._all_parcels = Pace(
            self._limits.parcel_total_burst, self._limits.parcel_total_rate, now=0.0
        )
        self._connections: set[Connection] = set()
        self._somebody_went = asyncio.Event()
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
        self._gate.draining = None
        everywhere = listen_everywhere(port) if host is None else None
        serving = serve(
            self._handle,
            host,
            None if everywhere else port,
            sock=everywhere,
            ssl=ssl,
            origins=self._origins,
            process_request=self._gate.answer,
            create_connection=cast(type[ServerConnection], self._gate.make_connection),
            # SDP is small, and a compression context costs more memory than all else together.
            compression=None,
            open_timeout=HANDSHAKE_TIMEOUT,
            ssl_handshake_timeout=HANDSHAKE_TIMEOUT if ssl else None,
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

    def begin_draining(self, seconds: float) -> None:
        """Let nobody in any more, and tell everybody who is in a room. See `drain`.

        Nobody is sent away by this: ``seconds`` is only what members are told, and what others are
        told to wait before they try again. It holds until the next `start`.

        Raises:
            UsageError: unless ``seconds`` is 0 to 86,400.
        """
        news = Draining(seconds)
        encode(news)
        self._gate.draining = seconds
        self._deliver([(peer_id, news) for peer_id in self._members])

    async def drain(self, seconds: float) -> None:
        """Stop without cutting anybody off: nobody new, everybody told, wait, then `stop`.

        From now on new connections get HTTP 503 with a ``Retry-After`` (unless there are
        ``tickets``, whose holders are let in), joins are refused with the code ``draining``, and
        every member gets a `Draining` message. It waits until all who came by a socket have left,
        but not longer than ``seconds`` (0 to 86,400), and closes the rest with code 1001.
        Cancelling it leaves the server running, still letting nobody in.

        Raises:
            UsageError: unless ``seconds`` is 0 to 86,400.
        """
        self.begin_draining(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(isinstance(member, Connection) for member in self._members.values()):
                    self._somebody_went.clear()
                    await self._somebody_went.wait()
        await self.stop("the server is going away")

    async def stop(self, reason: str = "the server is stopping") -> None:
        """Close every connection with code 1001, and return when all are gone. Idempotent.

        ``reason`` is told to everybody, 123 bytes at most.

        Members without a socket stay in their rooms, so that the server can be started again.
        It takes at most about two seconds. Cancelling it does not keep the server alive: the
        closing goes on in the background.
        """
        server, self._server, self._port = self._server, None, None
        if server is None:
            return
        for connection in self._connections:
            connection.end(CloseCode.GOING_AWAY, reason)
        for connecting in self._gate.sockets:
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

    def attach(self, room: str, name: str, deliver: Callable[[Incoming], None]) -> LocalMember:
        """Reserve a room and make the caller its host, without a socket; also before `start`.

        ``deliver`` is called on the event loop's thread with every message and parcel for this
        member, in order, sometimes from within `LocalMember.send`. If it raises, that is logged and
        nobody else is disturbed. Until the member leaves, nobody else can be host of this room.

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
        joined = replace(joined, ice_servers=told_at(joined.ice_servers, None))
        member = LocalMember(self, joined, deliver)
        self._members[peer_id] = member
        self._deliver(announcements)
        return member

    def claims_of(self, peer_id: str) -> Claims | None:
        """Return what the join token of a member says; None if it had none, or is no member."""
        member = self._members.get(peer_id)
        return member.claims if isinstance(member, Connection) else None

    # --- one connection ---

    def _ice_servers_for(self, subject: str) -> Sequence[IceServer]:
        """Return what a member is told, by whichever host.

        Raises `UsageError` if that could not be sent.
        """
        given = self._ice_servers
        servers = tuple(given(subject) if callable(given) else given)
        encode(IceServersRenewed(told_at(servers, LONGEST_HOST)))
        return servers

    async def _handle(self, socket: ServerConnection) -> None:
        """Serve one connection until it ends; return when its socket is gone."""
        assert isinstance(socket, Visitor)  # what the gate makes
        connection = Connection(socket, self._limits, self._all_parcels)
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
                aclosing(connection.frames()) as frames,
            ):
                async for frame in frames:
                    try:
                        if isinstance(frame, bytes):
                            self._relaying.take(connection.peer_id, frame)
                        else:
                            self._obey(connection, decode_from_client(frame))
                    except MessageError as error:
                        connection.send(encode(Error(error.code, str(error))))
                        bad_messages += 1
                    except Refused as error:
                        if isinstance(error, TokenError):
                            await connection.pause(self._gate.penalty(connection.socket))
                        connection.send(encode(Error(error.code, str(error), error.peer)))
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
                self._join(connection, message)
            case RenewIceServers() if connection.peer_id is not None:
                self._renew(connection, connection.peer_id)
            case Leave():
                self._leave(connection, "left")
                connection.end(CloseCode.NORMAL_CLOSURE, "left")
            case Offer() | Answer() | Candidate() if connection.peer_id is not None:
                self._deliver(self._rooms.relay(connection.peer_id, message))
            case _:
                raise MessageError("not_joined", "the first message must be a join")

    # --- members ---

    def _join(self, connection: Connection, join: Join) -> None:
        if connection.peer_id is not None:
            raise MessageError("already_joined", "this connection is in a room already")
        if self._gate.draining is not None and not self._admission.knows(join):
            raise Refused("draining", "this server is going away: try again later")
        claims = self._admission.check(join, time.time())
        if claims is not None:
            join = replace(join, name=claims.name)
            if (before := self._seats.get(claims.id)) is not None:
                self._leave(before, "displaced")
                before.end(CloseCode.POLICY_VIOLATION, "displaced: its token was used again")
        subject = None if claims is None else claims.subject
        connection.peer_id, deliveries = self._rooms.join(join, subject=subject)
        (peer_id, joined), *announcements = deliveries
        assert isinstance(joined, Joined)  # what Rooms.join promises; for the type checker
        servers = told_at(joined.ice_servers, connection.socket.host)
        deliveries = [(peer_id, replace(joined, ice_servers=servers)), *announcements]
        connection.claims = claims
        if claims is not None:
            self._seats[claims.id] = connection
        self._members[connection.peer_id] = connection
        self._deliver(deliveries)

    def _renew(self, connection: Connection, peer_id: str) -> None:
        try:
            servers = self._ice_servers_for(connection.subject or peer_id)
        except Exception:
            log.exception("the ice_servers function failed; the member keeps what it has")
            raise Refused("no_ice_servers", "there are no new credentials: try later") from None
        servers = told_at(servers, connection.socket.host)
        self._deliver([(peer_id, IceServersRenewed(servers))])

    def _leave(self, member: Connection, reason: str) -> None:
        if member.peer_id is not None and self._members.pop(member.peer_id, None) is not None:
            self._gone(member, member.peer_id)
            self._deliver(self._rooms.leave(member.peer_id, reason))

    def _gone(self, member: Connection, peer_id: str) -> None:
        """Forget what belongs to somebody who is no member any more."""
        self._relaying.forget(peer_id)
        if member.claims is not None:
            del self._seats[member.claims.id]
        self._somebody_went.set()

    def _send_from(self, member: LocalMember, message: PeerMessage) -> None:
        self._for_member(member, lambda: self._deliver(self._rooms.relay(member.id, message)))

    def _send_parcel_from(self, member: LocalMember, to: str, data: bytes) -> None:
        self._for_member(member, lambda: self._relaying.send(member.id, to, data))

    def _for_member(self, member: LocalMember, do: Callable[[], None]) -> None:
        if self._members.get(member.id) is not member:
            raise UsageError("this member has left its room: attach() another")
        try:
            do()
        except Refused as error:
            self._hand_over(member, Error(error.code, str(error), error.peer))

    def _detach(self, member: LocalMember) -> None:
        if self._members.pop(member.id, None) is not None:
            self._relaying.forget(member.id)
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
                self._hand_over(member, message)
            elif member is not None:
                # An announcement is one message for the whole room: encode it once.
                if message is not encoded:
                    text, encoded = encode(message), message
                if not member.send(text):
                    del self._members[peer_id]
                    self._gone(member, peer_id)
                    waiting.extend(self._rooms.leave(peer_id, "too slow"))

    def _hand_over(self, member: LocalMember, what: Incoming) -> None:
        try:
            member._deliver(what)
        except Exception:
            log.exception("the deliver callback of room %r failed", member.room)
