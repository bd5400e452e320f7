"""A TURN server inside any asyncio program (RFC 8656).

    secret = TurnSecret("…")
    async with TurnServer(Credentials(secret)) as turn:
        tell(turn.ice_server("example.org", secret.issue("ada", time.time())))

UDP and TCP share a port, TLS has another; TCP and TLS can be left out. It all runs on one event
loop, without threads.
"""

import asyncio
import secrets
import ssl
import time
from collections.abc import Sequence
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from aioice.ice import get_host_addresses

from signaling.credentials import Credential, Credentials
from signaling.errors import UsageError
from signaling.messages import IceServer
from signaling.turn.limits import TurnLimits
from signaling.turn.outside import TurnStats
from signaling.turn.peers import PeerPolicy
from signaling.turn.ports import RelayPorts
from signaling.turn.relay import Relay
from signaling.turn.sockets import Sockets

PORT = 3478
TLS_PORT = 5349
"""The ports of TURN, and of TURN over TLS (RFC 8656, 3.1)."""

SWEEP_INTERVAL = 1.0
"""Seconds between looks for allocations that are over."""

SWEEPS_PER_LOOK = 30
"""Sweeps between looks at which addresses this machine has: they change while it runs."""

REALM_BYTES = 128


class TurnServer:
    """A relay.

    Args:
        credentials: whom to let in.
        realm: the domain of the credentials; clients take it from the relay.
        peers: what may be reached besides the public internet. Without one, only other clients
            of this relay, and ports that the program opens by ``turn.peers.open(…)``.
        limits: the bounds.
        external_ips: the public addresses, one for each family, where a router in front of this
            machine translates them one to one, as in most clouds.
        ports: the UDP ports that peers send to; any free ones without it.

    Raises:
        UsageError: if one of these makes no sense.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        realm: str = "signaling",
        peers: PeerPolicy | None = None,
        limits: TurnLimits | None = None,
        external_ips: Sequence[str] = (),
        ports: range | None = None,
    ) -> None:
        if not (0 < len(realm.encode()) <= REALM_BYTES and realm.isprintable()):
            raise UsageError(f"realm must be 1 to {REALM_BYTES} printable bytes")
        if ports is not None and not (0 < ports.start < ports.stop <= 65_536 and ports.step == 1):
            raise UsageError(f"ports must be a range within 1 to 65535, not {ports}")
        self.peers = peers if peers is not None else PeerPolicy()
        """Where the relay may send to; may be changed while it runs."""
        self._credentials = credentials
        self._realm = realm
        self._limits = limits or TurnLimits()
        self._external_ips = [_address(host) for host in external_ips]
        self._relay_ports = ports
        self._relay: Relay | None = None
        self._sockets: Sockets | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sweeps = 0
        self._port = self._tls_port = 0
        self._has_tcp = True

    async def start(
        self,
        hosts: Sequence[str] = (),
        port: int = PORT,
        *,
        tcp: bool = True,
        tls_port: int = TLS_PORT,
        ssl: ssl.SSLContext | None = None,
    ) -> None:
        """Listen for clients, on TLS as well if there is a context for it.

        Args:
            hosts: IP addresses of this machine; without any, all of them. Relayed addresses are
                on the first of each family; without any (``"0.0.0.0"`` and ``"::"`` are none), on
                the one that faces the client.
            port: for UDP and TCP; 0 takes a free one.
            tcp: False to listen for UDP only on that port, as where TCP on it is taken by the
                program around.
            tls_port: for TLS; 0 takes a free one.

        Raises:
            UsageError: if it runs already, or a host is no IP address.
            OSError: if it cannot listen there.
        """
        if self._sockets is not None:
            raise UsageError("this server runs already")
        hosts = [_address(host) for host in hosts]
        loop = asyncio.get_running_loop()
        ports = RelayPorts(
            [host for host in hosts if not ip_address(host).is_unspecified],
            self._external_ips,
            self._relay_ports,
            lambda relayed, peer, data: relay.receive_from_peer(relayed, peer, data, loop.time()),
        )
        self._has_tcp = tcp
        self._sockets = sockets = Sockets(self._limits, ports)
        self._relay = sockets.relay = relay = Relay(
            sockets,
            realm=self._realm,
            credentials=self._credentials,
            peers=self.peers,
            limits=self._limits,
            nonce_key=secrets.token_bytes(32),
            wall_clock=time.time,
            now=loop.time(),
        )
        try:
            self._sweep()
            self._port = await sockets.listen(hosts, port, tcp=tcp)
            if ssl is not None:
                self._tls_port = await sockets.listen_tls(hosts, tls_port, ssl)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close everything, and return when it is gone. Idempotent.

        Clients are not told: TURN has no word for it. Cancelling does not keep the relay alive.
        """
        sockets, self._sockets = self._sockets, None
        if sockets is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._port = self._tls_port = 0
        sockets.relay.close()
        await sockets.close()

    async def __aenter__(self) -> Self:
        if self._sockets is None:
            await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port for UDP, and for TCP unless that is left out.

        Raises `UsageError` while it does not run.
        """
        if not self._port:
            raise UsageError("this server does not listen: start() it first")
        return self._port

    @property
    def tls_port(self) -> int | None:
        """The port for TLS, if there is one."""
        return self._tls_port or None

    @property
    def stats(self) -> TurnStats:
        """What has happened since the last start; of a server that has stopped, until then."""
        return self._relay.stats if self._relay is not None else TurnStats()

    @property
    def allocations(self) -> int:
        """How many relayed addresses there are now."""
        return len(self._relay.allocations) if self._relay is not None else 0

    def ice_server(self, host: str, credential: Credential) -> IceServer:
        """Return what a client needs to know to use this relay.

        ``host`` is the name or the address by which clients reach it; for TLS it must be one that
        the certificate is for. `SignalingServer` puts the right one for each client in the place
        of ``"{host}"``. The first url is the best: clients take the first that they can.
        """
        bracketed = f"[{host}]" if ":" in host else host
        ways = ("udp", "tcp") if self._has_tcp else ("udp",)
        urls = [f"turn:{bracketed}:{self.port}?transport={each}" for each in ways]
        if self.tls_port is not None:
            urls.append(f"turns:{bracketed}:{self.tls_port}?transport=tcp")
        return IceServer(tuple(urls), credential.username, credential.password)

    def _sweep(self) -> None:
        """Close what is over, and look from time to time which addresses are our own."""
        assert self._relay is not None  # there is one since start()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(SWEEP_INTERVAL, self._sweep)
        if self._sweeps % SWEEPS_PER_LOOK == 0:
            own = get_host_addresses(use_ipv4=True, use_ipv6=True)
            links = [f"{address}/64" for address in own if ":" in address]
            self.peers.set_own([*own, *self._external_ips], links)
        self._sweeps += 1
        self._relay.sweep(loop.time())


def _address(host: str) -> str:
    """Return an IP address in its shortest text."""
    try:
        return str(ip_address(host))
    except ValueError:
        raise UsageError(f"{host!r:.80} is no IP address: names are not looked up here") from None
