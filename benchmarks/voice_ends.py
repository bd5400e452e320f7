"""The ends of the benchmark of voice forwarding: a server of ours, aiortc's relay, and the players.

Each server is a process of its own, whose CPU time is looked at while voices flow and while none do.
The players of both are one process more, which makes as little of what it hears as it can.
"""

import asyncio
import fractions
import os
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from multiprocessing.connection import Connection
from typing import Any

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack

import netcode as nc
from netcode.voice.headers import EXTENSION, FIRST_BYTE, FLAT

FRAME = 0.02
PAYLOAD_BYTES = 70
"""Of Opus in 20 ms at 28 kbit/s."""


class Nothing(nc.Entity):
    """A game about nothing but talking."""


GAME = nc.Protocol(entities=[Nothing])


async def said(pipe: Connection) -> Any:
    """The next thing that the benchmark says."""
    return await asyncio.to_thread(pipe.recv)


# -- our server ------------------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Say the URL; then, each time that seconds are said, the CPU seconds that passed in them and
    how many packets were passed on."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    policy = nc.EveryoneVoice(slots=32)
    async with nc.Server(GAME, voice=policy, max_players=128) as server:
        pipe.send(server.url)
        with suppress(EOFError):
            while True:
                seconds = await said(pipe)
                before = time.process_time(), server.voice.stats.forwarded
                await asyncio.sleep(seconds)
                after = time.process_time(), server.voice.stats.forwarded
                pipe.send((after[0] - before[0], after[1] - before[1]))


# -- players of ours -------------------------------------------------------------------------


def play(pipe: Connection) -> None:
    """Told the URL; then told (players, of whom talk) again and again, and answers when it is so.
    Told None, it answers with what share of the packets that should have come has come, and how late
    the latest of a hundred were, against the least."""
    with suppress(EOFError):
        asyncio.run(_play(pipe))


class _Crowd:
    def __init__(self, url: str) -> None:
        self.url = url
        self.clients: list[nc.Client] = []
        self.talking = 0
        self.heard = 0
        self.sent_at: dict[bytes, float] = {}
        self.delays: list[float] = []

    async def resize(self, stack: AsyncExitStack, players: int) -> None:
        for number in range(len(self.clients), players):
            client = nc.connect(self.url, GAME, name=f"player {number}", rungs=["direct"])
            await stack.enter_async_context(client)
            client._guest.voice.listen(self._hear)
            self.clients.append(client)

    def _hear(self, packet: bytes) -> None:
        self.heard += 1
        sent = self.sent_at.get(packet[2:4] + packet[8:12])
        if sent is not None:
            self.delays.append(time.monotonic() - sent)

    async def talk(self) -> None:
        """Send a packet of each who talks every 20 ms, spread over them as microphones would."""
        sequence, due = 0, time.monotonic()
        payload = os.urandom(PAYLOAD_BYTES)
        while True:
            due += FRAME
            for turn, client in enumerate(self.clients[: self.talking]):
                number = client.player_id
                head = sequence.to_bytes(2, "big") + (960 * sequence).to_bytes(4, "big")
                source = number.to_bytes(4, "big")
                self.sent_at[head[:2] + source] = time.monotonic()
                client._guest.voice.send(
                    bytes((FIRST_BYTE, FLAT)) + head + source + EXTENSION + b"\x1e\0\0" + payload
                )
                if turn % 4 == 3:
                    await asyncio.sleep(0)
            sequence = (sequence + 1) % 65_536
            await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _play(pipe: Connection) -> None:
    crowd = _Crowd(await said(pipe))
    talking = asyncio.create_task(crowd.talk())
    try:
        async with AsyncExitStack() as stack:
            while True:
                wanted = await said(pipe)
                if wanted is None:
                    delays = np.array(crowd.delays or [0.0])
                    late = float(np.percentile(delays, 99) - delays.min())
                    pipe.send((crowd.heard, late))
                else:
                    players, talkers = wanted
                    crowd.talking = 0
                    await crowd.resize(stack, players)
                    crowd.talking = talkers
                    await asyncio.sleep(0.5)
                    pipe.send("ready")
                crowd.heard, crowd.delays = 0, []
                crowd.sent_at.clear()
    finally:
        talking.cancel()


# -- aiortc's relay --------------------------------------------------------------------------


class _Tone(AudioStreamTrack):
    """A voice as aiortc's own tracks have it: 20 ms of 48 kHz, with something in it."""

    def __init__(self) -> None:
        super().__init__()
        self._pts = 0
        self._began = 0.0
        ramp = np.arange(960) / 48_000
        self._wave = (3000 * np.sin(2 * np.pi * 300 * ramp)).astype(np.int16)[None, :]

    async def recv(self) -> av.AudioFrame:
        now = time.monotonic()
        self._began = self._began or now
        await asyncio.sleep(max(0.0, self._began + self._pts / 48_000 - now))
        frame = av.AudioFrame.from_ndarray(self._wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self._pts
        frame.time_base = fractions.Fraction(1, 48_000)
        self._pts += 960
        return frame


def relay(pipe: Connection) -> None:
    """Told an offer of the one who talks, and then one of each who listens, answers each; told
    seconds, says the CPU seconds that passed in them."""
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
                before = time.process_time()
                await asyncio.sleep(wanted)
                pipe.send(time.process_time() - before)
                continue
            connection = RTCPeerConnection()
            connections.append(connection)
            if len(connections) == 1:
                connection.on("track", lambda track: voice.set_result(track))
            await connection.setRemoteDescription(RTCSessionDescription(wanted, "offer"))
            if len(connections) > 1:
                connection.addTrack(switch.subscribe(await voice))
            await connection.setLocalDescription(await connection.createAnswer())
            pipe.send(connection.localDescription.sdp)
    finally:
        await asyncio.gather(*(each.close() for each in connections))


def attend(pipe: Connection) -> None:
    """The players of aiortc's relay. Says an offer and is told the answer, for one who talks and
    then for ``listeners``, of which it is told first; told True it ends."""
    with suppress(EOFError):
        asyncio.run(_attend(pipe))


async def _attend(pipe: Connection) -> None:
    listeners = await said(pipe)
    connections: list[RTCPeerConnection] = []
    listening: list[asyncio.Task[None]] = []
    try:
        for number in range(1 + listeners):
            connection = RTCPeerConnection()
            connections.append(connection)
            if number == 0:
                connection.addTrack(_Tone())
            else:
                connection.addTransceiver("audio", direction="recvonly")
                connection.on("track", _heed(listening))
            await connection.setLocalDescription(await connection.createOffer())
            pipe.send(connection.localDescription.sdp)
            await connection.setRemoteDescription(RTCSessionDescription(await said(pipe), "answer"))
        pipe.send("ready")
        await said(pipe)
    finally:
        for task in listening:
            task.cancel()
        await asyncio.gather(*(each.close() for each in connections))


def _heed(listening: list[asyncio.Task[None]]) -> Callable[[MediaStreamTrack], None]:
    async def hear(track: MediaStreamTrack) -> None:
        while True:
            await track.recv()

    return lambda track: listening.append(asyncio.create_task(hear(track)))
