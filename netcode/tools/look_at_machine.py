"""Looks at this machine alone: addresses, packages, UDP, and WebRTC between two ends in here."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from importlib.metadata import version

import google_crc32c
from aioice.ice import get_host_addresses

from netcode.errors import NetcodeError
from netcode.tools import judge_machine as judge
from netcode.tools.findings import Finding
from netcode.transports.aiortc_private import KNOWN_RELEASES
from netcode.transports.webrtc import WebRtcTransport

KNOWN = {**KNOWN_RELEASES, "numpy": "2.", "websockets": "17."}
"""What the releases begin with that netcode was tested with."""

UDP_TIMEOUT = 1.0
WEBRTC_TIMEOUT = 10.0


async def look() -> AsyncIterator[Finding]:
    """Each finding as soon as it is there."""
    for finding in judge.on_addresses(get_host_addresses(use_ipv4=True, use_ipv6=True)):
        yield finding
    for finding in judge.on_releases({name: version(name) for name in KNOWN}, KNOWN):
        yield finding
    yield judge.on_checksums(google_crc32c.implementation)
    yield judge.on_udp(await _udp_error())
    yield await _webrtc()


async def _udp_error() -> str | None:
    """Send a datagram from one socket to another; say why it did not arrive."""
    loop = asyncio.get_running_loop()
    try:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        ):
            for each in (here, there):
                each.setblocking(False)
                each.bind(("127.0.0.1", 0))
            await loop.sock_sendto(here, b"netcode", there.getsockname())
            async with asyncio.timeout(UDP_TIMEOUT):
                await loop.sock_recv(there, 64)
    except TimeoutError:
        return "nothing came"
    except OSError as error:
        return error.strerror or str(error)
    return None


async def _webrtc() -> Finding:
    caller, called = WebRtcTransport(), WebRtcTransport()
    began = time.perf_counter()
    try:
        await caller.accept(await called.answer(await caller.offer()))
        await asyncio.gather(caller.wait_open(WEBRTC_TIMEOUT), called.wait_open(WEBRTC_TIMEOUT))
        return judge.on_webrtc(time.perf_counter() - began)
    except NetcodeError as error:
        return judge.on_webrtc(None, str(error))
    finally:
        for end in (caller, called):
            end.close()
        for end in (caller, called):
            await end.wait_closed()
