"""The ends of the question how long a voice is under way: who talks and who hears, each a process.

Ours are players of a server, which is a third process; aiortc's are two peer connections with its
own tracks, encoder and jitter buffer, and no server between them.
"""

import asyncio
import fractions
import time
from contextlib import suppress
from multiprocessing.connection import Connection

import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

import netcode as nc
from benchmarks.voice_ends import GAME, said
from benchmarks.voice_marks import STEP, Ear, MarkedVoice
from netcode.voice.opus import FRAME, RATE
from netcode.voice.sources import Silence

FRAME_RATE = 60.0
"""Of the game that the players play."""

SEED = 1


# -- ours ------------------------------------------------------------------------------------


def talk(pipe: Connection) -> None:
    """Told (URL, seconds), talks for so long and says when each mark was captured."""
    url, seconds = pipe.recv()
    source = MarkedVoice(seconds, SEED)
    with nc.connect(url, GAME, name="Ada", voice=nc.Voice(source=source, sink=Ear())) as client:
        client.voice.pressed = True
        _play(client, seconds)
    pipe.send(source.captured())


def hear(pipe: Connection) -> None:
    """Told (URL, seconds), says when it is there, listens for so long, and says what was heard and
    how long frames waited in the jitter buffer."""
    url, seconds = pipe.recv()
    ear = Ear()
    with nc.connect(url, GAME, name="Bob", voice=nc.Voice(source=Silence(), sink=ear)) as client:
        pipe.send("ready")
        _play(client, seconds)
        waits = [client.voice.stats(player).delay for player in client.voice._heard]
    pipe.send((ear.heard(), max(waits, default=0.0)))


def _play(client: nc.Client, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        client.update()
        time.sleep(1 / FRAME_RATE)


# -- aiortc's --------------------------------------------------------------------------------


class _Track(MediaStreamTrack):
    """A marked voice, 50 frames a second, as aiortc's own `AudioStreamTrack` paces them."""

    kind = "audio"

    def __init__(self, source: MarkedVoice) -> None:
        super().__init__()
        self._source = source
        self._frames = 0
        self._began = 0.0

    async def recv(self) -> av.AudioFrame:
        now = time.monotonic()
        self._began = self._began or now
        await asyncio.sleep(max(0.0, self._began + self._frames * STEP - now))
        pcm = np.rint(self._source.next() * 32_767.0).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, self._frames * FRAME
        frame.time_base = fractions.Fraction(1, RATE)
        self._frames += 1
        return frame


def raw_talk(pipe: Connection) -> None:
    """Says an offer, is told (answer, seconds), talks for so long, says when each mark was
    captured."""
    asyncio.run(_raw_talk(pipe))


async def _raw_talk(pipe: Connection) -> None:
    connection = RTCPeerConnection()
    try:
        source = MarkedVoice(60.0, SEED)
        connection.addTrack(_Track(source))
        await connection.setLocalDescription(await connection.createOffer())
        pipe.send(connection.localDescription.sdp)
        answer, seconds = await said(pipe)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await asyncio.sleep(seconds)
        pipe.send(source.captured())
    finally:
        await connection.close()


def raw_hear(pipe: Connection) -> None:
    """Told (offer, seconds), says an answer, listens for so long and says what was heard."""
    asyncio.run(_raw_hear(pipe))


async def _raw_hear(pipe: Connection) -> None:
    connection = RTCPeerConnection()
    try:
        offer, seconds = await said(pipe)
        ear, listening = Ear(), []

        async def listen(track: MediaStreamTrack) -> None:
            with suppress(MediaStreamError):
                while True:
                    frame = await track.recv()
                    pcm = frame.to_ndarray().reshape(FRAME, -1)
                    ear.take(pcm.astype(np.float32) / 32_768.0)

        connection.on("track", lambda track: listening.append(asyncio.create_task(listen(track))))
        await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        pipe.send(connection.localDescription.sdp)
        await asyncio.sleep(seconds)
        pipe.send(ear.heard())
    finally:
        for task in listening:
            task.cancel()
        await connection.close()
