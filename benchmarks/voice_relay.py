"""What our forwarding is compared with: aiortc's `MediaRelay`, which decodes and encodes.

Three of them: the process that relays, the process of those who talk and listen, and the tone that
is said. The tone can be silent, so that what the links cost by themselves is measured, too.
"""

import asyncio
import fractions
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from benchmarks.voice_ends import FRAME, READY, SETTLE, Used, said

RATE = 48_000
SAMPLES = 960


def relay(pipe: Connection) -> None:
    """Told an offer of the one who talks, and then one of each who listens, answers each; told
    seconds, says what was `Used` in them."""
    with suppress(EOFError):
        asyncio.run(_relay(pipe))


async def _relay(pipe: Connection) -> None:
    switch = MediaRelay()
    voice: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
    connections: list[RTCPeerConnection] = []
    try:
        while True:
            wanted = await said(pipe)
            if isinstance(wanted, float):
                before = await _sent(connections)
                began, cpu = time.monotonic(), time.process_time()
                await asyncio.sleep(wanted)
                used, passed = time.process_time() - cpu, time.monotonic() - began
                pipe.send(Used(passed, used, await _sent(connections) - before))
                continue
            connection = RTCPeerConnection()
            connections.append(connection)
            if len(connections) == 1:
                connection.on("track", voice.set_result)
            await connection.setRemoteDescription(RTCSessionDescription(wanted, "offer"))
            if len(connections) > 1:
                connection.addTrack(switch.subscribe(await voice))
            await connection.setLocalDescription(await connection.createAnswer())
            pipe.send(connection.localDescription.sdp)
    finally:
        await asyncio.gather(*(each.close() for each in connections))


async def _sent(connections: Sequence[RTCPeerConnection]) -> int:
    """How many packets of sound went out so far."""
    reports = [await sender.getStats() for each in connections for sender in each.getSenders()]
    return sum(
        stats.packetsSent
        for report in reports
        for stats in report.values()
        if stats.type == "outbound-rtp"
    )


def attend(pipe: Connection) -> None:
    """Told how many listen, says an offer and is told the answer for one who talks and then for
    each of them, and says `READY`. Told whether to talk, it does so, and says `READY` again."""
    with suppress(EOFError):
        asyncio.run(_attend(pipe))


async def _attend(pipe: Connection) -> None:
    listeners = await said(pipe)
    connections: list[RTCPeerConnection] = []
    crowd = _Listeners()
    tone = _Tone()
    try:
        for number in range(1 + listeners):
            connection = RTCPeerConnection()
            connections.append(connection)
            if number == 0:
                connection.addTrack(tone)
            else:
                connection.addTransceiver("audio", direction="recvonly")
                connection.on("track", crowd.add)
            await connection.setLocalDescription(await connection.createOffer())
            pipe.send(connection.localDescription.sdp)
            await connection.setRemoteDescription(RTCSessionDescription(await said(pipe), "answer"))
        pipe.send(READY)
        while True:
            if await said(pipe):
                tone.talks.set()
            else:
                tone.talks.clear()
            await asyncio.sleep(SETTLE)
            pipe.send(READY)
    finally:
        tone.talks.set()
        for task in crowd.tasks:
            task.cancel()
        await asyncio.gather(*(each.close() for each in connections))


class _Listeners:
    """Take the frames of all tracks, which would pile up otherwise."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    def add(self, track: MediaStreamTrack) -> None:
        self.tasks.append(asyncio.create_task(self._listen(track)))

    async def _listen(self, track: MediaStreamTrack) -> None:
        with suppress(MediaStreamError):
            while True:
                await track.recv()


class _Tone(MediaStreamTrack):
    """A voice as aiortc's own tracks have it: 20 ms of 48 kHz, with something in it."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.talks = asyncio.Event()
        self._pts = 0
        self._due = 0.0
        ramp = np.arange(SAMPLES) / RATE
        self._wave = (3000 * np.sin(2 * np.pi * 300 * ramp)).astype(np.int16)[None, :]

    async def recv(self) -> av.AudioFrame:
        await self.talks.wait()
        now = time.monotonic()
        self._due = max(self._due + FRAME, now - FRAME)
        await asyncio.sleep(self._due - now)
        frame = av.AudioFrame.from_ndarray(self._wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._pts
        frame.time_base = fractions.Fraction(1, RATE)
        self._pts += SAMPLES
        return frame
