"""Looks at each rung of the ladder to the host of a room: opens a link, measures, and leaves.

The host is not disturbed: it sees a link on which nobody says hello, as from somebody who changes
their mind, and a goodbye.
"""

import asyncio
import time
from collections.abc import AsyncIterator

from netcode.errors import Unreachable
from netcode.introductions import part
from netcode.link import frames
from netcode.reach import Room
from netcode.rungs import Rung
from netcode.tools import judge_paths as judge
from netcode.transports.base import Lane, Transport
from netcode.transports.webrtc import WebRtcTransport
from netcode.transports.websocket import WebSocketTransport

DATAGRAMS = 20
"""For one rung. One that is lost is 5 %: enough to tell a bad line, not to grade a good one."""

INTERVAL = 0.05
"""Seconds from one to the next, as state goes out."""

GOODBYE = "only looked whether there is a way"


async def look(room: Room, host: str) -> AsyncIterator[judge.Opened]:
    """Each rung, the best first."""
    for rung in Rung:
        yield await _look_at(room, host, rung)


async def _look_at(room: Room, host: str, rung: Rung) -> judge.Opened:
    await room.renew()
    began = time.perf_counter()
    try:
        transport = await room.introductions.call(host, rung)
    except Unreachable as error:
        return judge.Opened(rung, None, _without_name(rung, str(error)))
    took = time.perf_counter() - began
    transport.start(lambda lane, data: None, lambda reason: None)
    try:
        rtts, asked = await _measure(transport)
        return judge.Opened(rung, took, path=transport.path(), rtts=rtts, asked=asked)
    finally:
        transport.send(Lane.RELIABLE, frames.encode_bye(GOODBYE))
        await part(transport)


def _without_name(rung: Rung, error: str) -> str:
    """An error of a call, which begins with the rung: that stands before it anyway."""
    return error.removeprefix(rung).removeprefix(":").lstrip()


async def _measure(transport: Transport) -> tuple[tuple[float, ...], int]:
    """Round trips, and how many datagrams were sent for them; 0 where none can be lost."""
    if isinstance(transport, WebRtcTransport):
        taken = []
        for _ in range(DATAGRAMS):
            began = time.perf_counter()
            if await transport.probe():
                taken.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, INTERVAL - (time.perf_counter() - began)))
        return tuple(taken), DATAGRAMS
    assert isinstance(transport, WebSocketTransport)
    rtt = transport.rtt()
    return (() if rtt is None else (rtt,)), 0
