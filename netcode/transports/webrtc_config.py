"""How netcode sets up a peer connection of aiortc: servers, bundling, and a channel per lane."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import NamedTuple

import google_crc32c
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)

from netcode.errors import UsageError
from netcode.transports.base import EXPIRING_LIFETIMES, Lane

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server. Of all servers given, the first usable URL of each kind is asked."""

    urls: str | Sequence[str]
    """``"stun:host:port"``, ``"turn:host:port"`` (UDP), ``"turn:host:port?transport=tcp"`` or
    ``"turns:host:port"``; one or several of the same server."""
    username: str | None = None
    credential: str | None = None
    """The password for TURN."""


class IceUrl(NamedTuple):
    """Where a STUN or TURN server is (RFC 7064, RFC 7065)."""

    scheme: str
    """``stun``, ``stuns``, ``turn`` or ``turns``."""
    host: str
    """A name or an address; that of IPv6 without brackets."""
    port: int
    transport: str
    """``udp`` or ``tcp``, or what nobody here knows."""

    def __str__(self) -> str:
        bracketed = f"[{self.host}]" if ":" in self.host else self.host
        way = "TLS" if self.scheme.endswith("s") else self.transport.upper()
        return f"{bracketed}:{self.port} over {way}"


_URL = re.compile(
    r"(?P<scheme>stuns?|turns?):(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^\[\]?:]+))(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>.*))?",
    re.ASCII,
)
DEFAULT_PORT, DEFAULT_TLS_PORT = 3478, 5349


def read_url(text: str) -> IceUrl:
    """Take the url of a server apart. Raises `UsageError` if it is none."""
    found = _URL.fullmatch(text)
    if found is None:
        raise UsageError(f"an ICE server's URL cannot be read: {text!r:.200}")
    scheme, v6 = found["scheme"], found["v6"]
    if v6 is not None:
        try:
            v6 = str(IPv6Address(v6))
        except ValueError as error:
            raise UsageError(f"an ICE server's URL cannot be read: {error}") from None
    is_tls = scheme.endswith("s")
    port = int(found["port"] or (DEFAULT_TLS_PORT if is_tls else DEFAULT_PORT))
    if not 1 <= port <= 65_535 or (scheme.startswith("stun") and found["transport"] is not None):
        raise UsageError(f"an ICE server's URL cannot be read: {text!r:.200}")
    transport = found["transport"] or ("tcp" if is_tls else "udp")
    return IceUrl(scheme, v6 or found["host"], port, transport)


class Chosen(NamedTuple):
    """The servers that one connection asks: the first usable one of each kind."""

    stun: IceUrl | None
    turn: IceUrl | None
    username: str | None
    password: str | None
    """For TURN."""


def choose(servers: Sequence[IceServer]) -> Chosen:
    """Pick the servers to ask. Raises `UsageError` if a url cannot be read."""
    stun = turn = username = password = None
    for server in servers:
        for text in [server.urls] if isinstance(server.urls, str) else server.urls:
            url = read_url(text)
            # aioice asks a STUN server from addresses of IPv4 only.
            if url.scheme == "stun" and ":" not in url.host:
                stun = stun or url
            elif turn is None and _can_relay(url):
                turn, username, password = url, server.username, server.credential
    return Chosen(stun, turn, username, password)


def _can_relay(url: IceUrl) -> bool:
    ways = {"turn": ("udp", "tcp"), "turns": ("tcp",)}
    return url.transport in ways.get(url.scheme, ())


def create_connection(
    servers: Sequence[IceServer], *, relay_only: bool = False
) -> tuple[RTCPeerConnection, tuple[RTCDataChannel, ...]]:
    """A peer connection with its lanes as channels, in the order of their numbers.

    With ``relay_only`` it opens no address of this machine and names none. Raises `UsageError`
    if a server's URL cannot be read.
    """
    _warn_of_slow_checksums()
    configuration = RTCConfiguration(
        # A list, if an empty one: None would mean somebody's public STUN server.
        iceServers=[
            RTCIceServer(
                urls=_known_to_aiortc(server.urls),
                username=server.username,
                credential=server.credential,
            )
            for server in servers
        ],
        bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
        iceTransportPolicy=(
            RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
        ),
    )
    pc = RTCPeerConnection(configuration)
    return pc, tuple(_create_channel(pc, lane) for lane in Lane)


def _known_to_aiortc(urls: str | Sequence[str]) -> list[str]:
    """The urls without addresses of IPv6, which aiortc cannot read. Raises `UsageError`."""
    every = [urls] if isinstance(urls, str) else urls
    return [url for url in every if ":" not in read_url(url).host]


def _create_channel(pc: RTCPeerConnection, lane: Lane) -> RTCDataChannel:
    return pc.createDataChannel(
        lane.name.lower(),
        negotiated=True,
        id=lane.value,
        ordered=lane is Lane.RELIABLE,
        maxRetransmits=0 if lane is Lane.UNRELIABLE else None,
        # Never 0, which aiortc takes for "for ever".
        maxPacketLifeTime=EXPIRING_LIFETIMES.get(lane),
    )


_checksums_checked = False


def _warn_of_slow_checksums() -> None:
    global _checksums_checked
    if not _checksums_checked:
        _checksums_checked = True
        if google_crc32c.implementation != "c":
            logger.warning(
                "google-crc32c has no compiled part here, so each packet costs much more CPU:"
                " install a Python version for which it has a wheel"
            )
