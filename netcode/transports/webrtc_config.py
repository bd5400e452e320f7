"""How netcode sets up a peer connection of aiortc: servers, bundling, and a channel per lane."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

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


def create_connection(
    servers: Sequence[IceServer], *, relay_only: bool = False
) -> tuple[RTCPeerConnection, tuple[RTCDataChannel, ...]]:
    """A peer connection with its lanes as channels, in the order of their numbers.

    With ``relay_only`` it opens no address of this machine and names none. Raises `UsageError`
    if a server's URL cannot be read.
    """
    _warn_of_slow_checksums()
    configuration = RTCConfiguration(
        # An empty list, because None would mean somebody's public STUN server.
        iceServers=[
            RTCIceServer(
                urls=server.urls if isinstance(server.urls, str) else list(server.urls),
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
    try:
        return pc, tuple(_create_channel(pc, lane) for lane in Lane)
    except ValueError as error:
        raise UsageError(f"an ICE server's URL cannot be read: {error}") from error


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
