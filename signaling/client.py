"""The client's end of signaling: join a room, talk to its peers, hear who comes and goes."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)

from signaling.errors import ConnectionLost, MessageError, Refused, Unreachable, UsageError
from signaling.limits import CLOSE_GRACE, SignalingLimits
from signaling.messages import (
    CODE_HEADER,
    MAX_SERVER_MESSAGE_BYTES,
    Error,
    IceServersRenewed,
    Join,
    Joined,
    PeerJoined,
    PeerLeft,
    PeerMessage,
    RenewIceServers,
    Role,
    decode_from_server,
    encode,
)
from signaling.parcels import Incoming, Parcel, decode_parcel, encode_parcel

HTTP_TOO_MANY_REQUESTS = 429
HTTP_SERVICE_UNAVAILABLE = 503


class SignalingClient:
    """A member of a room on a signaling server; made by `connect`.

    Iterating over it yields what the server sends, and the parcels of peers. `peers` and `host` are
    as of the last message read, so they stay up to date only while somebody iterates. Unread
    messages wait, bounded, in the socket; a client that stops reading for long is closed by the
    server as too slow.

    Usable as an async context manager: leaving it closes the client.
    """

    def __init__(self, url: str, socket: ClientConnection, joined: Joined) -> None:
        self.url = url
        self.id = joined.id
        """This client's id, given by the server."""
        self.room = joined.room
        self.host = joined.host
        """The id of the room's host (perhaps one's own), or None while there is none."""
        self.peers = {peer.id: peer.name for peer in joined.peers}
        """The names of the others in the room by their ids, the host included."""
        self.ice_servers = joined.ice_servers
        """The STUN and TURN servers that the server says to use, as of the last message read."""
        self.malformed = 0
        """How many messages of the server made no sense (or not yet, to this version)."""
        self._socket = socket
        self._closing = False
        self._ended: set[str] = set()
        """To whom relaying has ended, and has not begun anew."""

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        room: str,
        name: str,
        role: Role = "peer",
        token: str | None = None,
        timeout: float = 10.0,
        ssl: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect to a signaling server and join a room.

        Args:
            url: where the server is: ``"ws://host:port"``, or ``"wss://…"`` for TLS.
            room: which room; 1 to 64 bytes of printable characters.
            name: what others call this peer; at most 64 bytes.
            role: ``"host"`` to be the one whom the others of the room connect to.
            token: the join token that the game's back end made for this player, where the server
                asks for one; its name then counts instead of ``name``. At most 1,024 bytes.
            timeout: seconds for all of it.
            ssl: for ``wss://``, a context other than the system's usual one, such as that of
                `signaling.tls.client_context`, which trusts a private authority.

        Cancelling it drops the connection at once; the server announces that as ``"lost"`` if
        the join had got through.

        Raises:
            UsageError: if the url, the room or the name is not allowed.
            Unreachable: if no signaling server answers there in time.
            Refused: if the server does not let this peer in: room full, a bad token, draining, ….
                Its ``code`` tells programs which.
        """
        _check_url(url)
        if ssl is not None and not url.lower().startswith("wss:"):
            raise UsageError("ssl is for wss:// urls only: leave it out, or use wss://")
        join = encode(Join(room, name, role, token))
        try:
            async with asyncio.timeout(timeout):
                socket = await _open(url, ssl)
                try:
                    joined = await _join(url, socket, join)
                except BaseException:
                    socket.transport.abort()
                    raise
        except TimeoutError:
            raise Unreachable(
                f"no answer from {url} within {timeout:g} s: is the address right, and does "
                "a firewall let it through?"
            ) from None
        return cls(url, socket, joined)

    async def send(self, message: PeerMessage) -> None:
        """Send an offer, an answer or a candidate to a peer of the room.

        Waits while the socket is full. Cancelling it may or may not have sent the message, but
        never half of it. If that peer has left meanwhile, an `Error` with the code
        ``unknown_peer`` arrives.

        Raises:
            UsageError: if the message breaks a bound; nothing is sent.
            ConnectionLost: if the connection has ended.
        """
        if not isinstance(message, PeerMessage):
            raise UsageError(
                f"send() takes Offer, Answer or Candidate, not {type(message).__name__}; "
                "close() leaves the room"
            )
        text = encode(message)
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise self._lost(closed) from None

    async def send_to(self, peer: str, data: bytes) -> None:
        """Send a parcel (see `signaling.parcels`) to a peer of the room, through the server.

        Waits while the socket is full; parcels arrive in the order of the calls. Cancelling it may
        or may not have sent the parcel, but never half of it. If that peer has left meanwhile, an
        `Error` with the code ``unknown_peer`` arrives, and if it reads too slowly, one with
        ``relaying_ended``: then this parcel or one before was lost, and all that were sent until
        that error was read. The next one begins anew.

        Raises:
            UsageError: if the parcel is empty or breaks a bound; nothing is sent.
            ConnectionLost: if the connection has ended.
        """
        frame = encode_parcel(peer, data)
        if not data:
            raise UsageError("an empty parcel is for the server alone: send at least a byte")
        try:
            if peer in self._ended:
                self._ended.discard(peer)
                await self._socket.send(encode_parcel(peer, b""))
            await self._socket.send(frame)
        except ConnectionClosed as closed:
            raise self._lost(closed) from None

    async def renew_ice_servers(self) -> None:
        """Ask for the STUN and TURN servers again, with new credentials.

        The answer comes to whoever iterates, as `IceServersRenewed`; `ice_servers` is then new. If
        there are none, an `Error` with the code ``no_ice_servers`` comes. Cancelling it may or may
        not have asked.

        Raises:
            ConnectionLost: if the connection has ended.
        """
        try:
            await self._socket.send(encode(RenewIceServers()))
        except ConnectionClosed as closed:
            raise self._lost(closed) from None

    def __aiter__(self) -> AsyncIterator[Incoming]:
        return self

    async def __anext__(self) -> Incoming:
        """Return the server's next message or a peer's next parcel. It ends after `close`.

        Only one task may iterate. Cancelling it loses no message.

        Raises:
            ConnectionLost: if the connection ended and this end did not ask for it.
        """
        while True:
            try:
                frame = await self._socket.recv()
                if isinstance(frame, bytes):
                    return Parcel(*decode_parcel(frame))
                message = decode_from_server(frame)
            except MessageError:
                self.malformed += 1
                continue
            except ConnectionClosed as closed:
                if self._closing:
                    raise StopAsyncIteration from None
                raise self._lost(closed) from None
            match message:
                case PeerJoined():
                    self.peers[message.id] = message.name
                    if message.role == "host":
                        self.host = message.id
                case PeerLeft():
                    self.peers.pop(message.id, None)
                    if self.host == message.id:
                        self.host = None
                    self._ended.discard(message.id)
                case Error(code="relaying_ended", peer=str(peer)) if peer in self.peers:
                    self._ended.add(peer)
                case IceServersRenewed():
                    self.ice_servers = message.ice_servers
                case _:
                    pass
            return message

    async def close(self) -> None:
        """Leave the room and close the connection; the others hear ``"left"``. Idempotent.

        What was not read yet is discarded. Takes at most about two seconds. Cancelling it drops
        the connection at once.
        """
        self._closing = True
        # The server's answer to the close comes behind all that is unread, which the socket does
        # not take in while nobody reads.
        discarding = asyncio.create_task(self._discard_unread())
        try:
            # websockets bounds the closing handshake, but not the wait for a full socket.
            async with asyncio.timeout(CLOSE_GRACE):
                await self._socket.close()
        except TimeoutError:
            pass
        finally:
            self._socket.transport.abort()
            discarding.cancel()
        await self._socket.wait_closed()
        await asyncio.wait([discarding])

    async def _discard_unread(self) -> None:
        # A ConcurrencyError means that another task iterates: then it reads, and hears the end.
        with suppress(ConnectionClosed, ConcurrencyError):
            while True:
                await self._socket.recv()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _lost(self, closed: ConnectionClosed) -> ConnectionLost:
        if self._closing:
            return ConnectionLost("this client was closed")
        return ConnectionLost(_why(self.url, closed))


def _check_url(url: str) -> None:
    """Raise `UsageError`, naming the fix, unless this is the url of a WebSocket."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise UsageError(f"a signaling url starts with ws:// or wss://: write 'ws://{url}'")
    if scheme.lower() not in ("ws", "wss"):
        better = "wss" if scheme.lower() == "https" else "ws"
        raise UsageError(
            f"a signaling url starts with ws:// or wss://, not {scheme}://: "
            f"write '{better}://{rest}'"
        )
    try:
        parts = urlsplit(url)
        usable = bool(parts.hostname) and parts.port != 0 and not parts.fragment
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"{url!r} is no usable url: write it like 'ws://example.org:8080'")


async def _open(url: str, tls: ssl.SSLContext | None) -> ClientConnection:
    """Open the WebSocket, or raise the error that tells a person what to check."""
    limits = SignalingLimits()
    # websockets takes None for "no TLS", and the argument's absence for "the usual context".
    extra: dict[str, Any] = {} if tls is None else {"ssl": tls}
    try:
        return await open_websocket(
            url,
            **extra,
            proxy=None if is_this_machine(url) else True,
            compression=None,
            open_timeout=None,
            ping_interval=limits.ping_interval,
            ping_timeout=limits.ping_timeout,
            close_timeout=CLOSE_GRACE,
            max_size=MAX_SERVER_MESSAGE_BYTES,
        )
    except InvalidURI as error:
        raise UsageError(f"{url!r} is no usable url: {error}") from None
    except InvalidStatus as error:
        refusal = _refusal(url, error)
        if refusal is not None:
            raise refusal from None
        raise Unreachable(
            f"a web server answers at {url} (HTTP {error.response.status_code}), but it is no "
            "signaling server: are port and path right?"
        ) from None
    except (ProxyError, InvalidProxy, ImportError) as error:
        raise Unreachable(
            f"the proxy set for this machine does not lead to {url}: {error}"
        ) from error
    except (InvalidHandshake, ConnectionClosed, EOFError):
        other = "ws" if url.lower().startswith("wss") else "wss"
        raise Unreachable(
            f"something answers at {url}, but it is no WebSocket server: is the port right? "
            f"Or is it {other}://?"
        ) from None
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(
            f"the certificate of {url} is not trusted ({error.verify_message or error}): if it is "
            "of your own making, tell this client to trust its file (ca_file, or an ssl context); "
            "otherwise somebody else may be answering"
        ) from error
    except ssl.SSLError as error:
        raise Unreachable(
            f"TLS with {url} failed ({error.reason or error}): if the server has no certificate, "
            "use ws:// instead of wss://"
        ) from error
    except socket.gaierror:
        raise Unreachable(
            f"the host name in {url} is not known: is it spelled right, is this machine online?"
        ) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise Unreachable(
            f"no server answers at {url}: is it running, is the port right? "
            f"({error.strerror or error})"
        ) from error


def _refusal(url: str, error: InvalidStatus) -> Refused | None:
    """Return what a signaling server means by its HTTP status; None if it is not one's."""
    status = error.response.status_code
    if status == HTTP_TOO_MANY_REQUESTS:
        return Refused(
            "too_many_connections",
            f"the server at {url} has too many connections from this address: try again later",
        )
    if status != HTTP_SERVICE_UNAVAILABLE:
        return None
    if "draining" in error.response.headers.get_all(CODE_HEADER):
        return Refused(
            "draining",
            f"the server at {url} is going away and lets nobody in any more: try another one, or "
            "later",
        )
    return Refused("server_full", f"the server at {url} is full or stopping: try again later")


async def _join(url: str, socket: ClientConnection, join: str) -> Joined:
    """Send the join and return the server's answer."""
    try:
        await socket.send(join)
        answer = decode_from_server(await socket.recv())
    except MessageError as error:
        raise Unreachable(
            f"a WebSocket server answers at {url}, but it is no signaling server: {error}"
        ) from None
    except ConnectionClosed as closed:
        why = _why(url, closed)
        raise (Refused("closed", why) if closed.rcvd else Unreachable(why)) from None
    match answer:
        case Joined():
            return answer
        case Error():
            with suppress(ConnectionClosed):
                await socket.close()
            raise Refused(answer.code, f"{url} does not let this peer in: {answer.message}")
        case _:
            raise Unreachable(
                f"a WebSocket server answers at {url}, but it is no signaling server: it sent "
                f"{type(answer).__name__} before it let us in"
            )


def _why(url: str, closed: ConnectionClosed) -> str:
    """Return for people why a connection ended."""
    if closed.rcvd is not None:
        said = closed.rcvd.reason or f"code {closed.rcvd.code}"
        return f"the signaling server at {url} closed the connection: {said}"
    return f"the connection to the signaling server at {url} was lost"


def is_this_machine(url: str) -> bool:
    """Whether the url leads to this machine, where no proxy may take it."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
