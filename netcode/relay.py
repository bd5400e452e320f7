"""The relay of a game server, for players who find no direct path to it.

It is `signaling.turn` on the server's own event loop. Players are told of it when they join, by the
host under which they have reached the server and with a credential of their own; so whoever reaches
the server can be relayed, and nobody has to know the server's name beforehand. Towards the inside,
it lets packets pass to the UDP ports of this server's own links while these live, and to nothing
else: neither to other programs of the machine nor to other machines of its network.
"""

import asyncio
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from netcode.doors import as_ours
from netcode.errors import UsageError
from netcode.transports.webrtc import WebRtcTransport
from signaling import Credentials, IceServer, TurnSecret
from signaling.hosts import PLACE, host_of
from signaling.turn import TurnLimits, TurnServer

log = logging.getLogger("netcode")

SECRET_BYTES = 32
"""Random bytes of a secret that is made up."""


@dataclass(frozen=True, slots=True)
class Relay:
    """How a server relays for its players; `Server` has one like this unless told otherwise.

    Without settings it listens for UDP on the port number on which the game listens for TCP, so
    that publishing one number for both is all it takes. That serves players whose routers or whose
    server's routers let no direct path through. For players without UDP, give it a ``port`` of its
    own, where it listens for UDP and TCP, and a ``tls_port``.

    Raises `UsageError` for settings that could not work.
    """

    port: int | None = None
    """UDP and TCP port; None means UDP only, on the game's port number. 0 takes a free one."""
    tls_port: int | None = None
    """TCP port for TLS, with the server's own certificate; None means no TLS, 0 a free port."""
    host: str | None = None
    """The name or address by which players reach the relay, where that is not the one by which
    they reach the server: behind a reverse proxy, which passes on no UDP."""
    external_ips: Sequence[str] = ()
    """The public addresses, one for each family, where a router translates them one to one to this
    machine's, as in most clouds."""
    ports: range | None = None
    """UDP ports for the side towards peers, one for each relayed player; None means any free one.
    Players who are relayed to this server need none of them open in a firewall."""
    limits: TurnLimits = field(default_factory=TurnLimits)
    """What it spends at most."""
    secret: str | None = field(default=None, repr=False)
    """What credentials are made from, where another program makes some, too; None makes one up.
    Not part of the repr, so that it stays out of logs."""

    def __post_init__(self) -> None:
        for name, port in (("port", self.port), ("tls_port", self.tls_port)):
            if port is not None and not 0 <= port <= 65_535:
                raise UsageError(f"Relay: {name} is between 0 and 65535, not {port}")
        if self.host is not None and _in_url(self.host) is None:
            raise UsageError(
                f"Relay: host is a name or an address, without a port: not {self.host!r:.80}"
            )
        if isinstance(self.external_ips, str):
            raise UsageError(f"Relay: external_ips are a list: write [{self.external_ips!r}]")
        with as_ours():
            self.server(TurnSecret("of nobody" if self.secret is None else self.secret))

    def server(self, secret: TurnSecret) -> TurnServer:
        """A TURN server with these settings, not started."""
        return TurnServer(
            Credentials(secret),
            realm="netcode",
            limits=self.limits,
            external_ips=self.external_ips,
            ports=self.ports,
        )


DEFAULT_RELAY = Relay()
"""UDP on the game's port number."""


class GameRelay:
    """The relay of one server. It starts and stops with the server, any number of times."""

    def __init__(self, settings: Relay) -> None:
        self._settings = settings
        self._secret = TurnSecret(settings.secret or secrets.token_urlsafe(SECRET_BYTES))
        self._turn = settings.server(self._secret)
        self._is_running = False
        self._watching: set[asyncio.Task[None]] = set()

    async def start(self, host: str, game_port: int, tls: ssl.SSLContext | None) -> None:
        """Listen where the game does: on ``host``, or everywhere if that is "".

        Only a relay whose ports nobody has chosen is done without if it cannot listen; that is
        logged. Raises `OSError`, and `UsageError` if there is no certificate for TLS.
        """
        settings = self._settings
        if settings.tls_port is not None and tls is None:
            raise UsageError(
                "Relay(tls_port=...) needs the server's certificate: start it with cert=..."
            )
        try:
            await self._turn.start(
                await _addresses(host),
                game_port if settings.port is None else settings.port,
                tcp=settings.port is not None,
                tls_port=settings.tls_port or 0,
                ssl=tls if settings.tls_port is not None else None,
            )
        except OSError as error:
            if settings.port is None and settings.tls_port is None:
                log.warning(
                    "there is no relay, so players who find no direct path cannot join: UDP port "
                    "%d cannot be listened to (%s). Stop what uses it, or give the relay a port of "
                    "its own: Server(..., relay=Relay(port=3478)). relay=None says that there "
                    "shall be none",
                    game_port,
                    error.strerror,
                )
                return
            raise OSError(
                error.errno,
                f"the relay cannot listen on {self._named_ports(game_port)} ({error.strerror}): "
                "does another program use it? Stop that, or choose another port for Relay",
            ) from None
        self._is_running = True

    async def stop(self) -> None:
        """Close everything, and return when it is gone. Harmless if it does not run."""
        self._is_running = False
        await self._turn.stop()
        for task in self._watching:
            task.cancel()
        if self._watching:
            await asyncio.wait(self._watching)

    @property
    def allocations(self) -> int:
        """How many players are relayed now."""
        return self._turn.allocations if self._is_running else 0

    def ice_servers(self, name: str) -> tuple[IceServer, ...]:
        """What a member is told, with a credential for ``name``; nothing while there is no relay.

        The host is left to `signaling.SignalingServer` to fill in, unless the settings name one.
        """
        if not self._is_running:
            return ()
        host = PLACE if self._settings.host is None else self._settings.host
        credential = self._secret.issue(name, time.time())
        return (
            IceServer((f"stun:{_in_url(host) or host}:{self._turn.port}",)),
            self._turn.ice_server(host, credential),
        )

    def let_through_to(self, transport: WebRtcTransport) -> None:
        """Let relayed packets pass to the addresses that a transport has opened, until it closes.

        Call it before the other end is told of them.
        """
        opened = transport.local_addresses()
        for address, port in opened:
            self._turn.peers.open(address, port)
        task = asyncio.create_task(self._watch(transport, opened), name="netcode relay")
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)

    async def _watch(self, transport: WebRtcTransport, opened: list[tuple[str, int]]) -> None:
        try:
            await transport.wait_closed()
        finally:
            for address, port in opened:
                self._turn.peers.close(address, port)

    def _named_ports(self, game_port: int) -> str:
        settings = self._settings
        if settings.port is None:
            named = f"UDP port {game_port}"
        else:
            named = f"port {settings.port} for UDP and TCP"
        return named if settings.tls_port is None else f"{named}, or {settings.tls_port} for TLS"


def _in_url(host: str) -> str | None:
    """A host as it stands in a url, or None if it is none."""
    return host_of([f"[{host}]" if ":" in host else host])


async def _addresses(host: str) -> list[str]:
    """The IP addresses of a host to listen on; none for "", which means all."""
    if not host:
        return []
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
