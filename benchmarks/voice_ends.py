"""The ends of the question what forwarding costs: our server, and a crowd that listens and talks.

Server and crowd are a process each, so that the CPU time of the server's process is the server's
alone. The crowd's players have joined as any other, but what they hear they only count, before it
is decrypted, and what they say is made up: so that one core of players keeps up with one of server.
"""

import asyncio
import os
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import netcode as nc
from netcode.transports.media import FIRST_BYTE, LAST_BYTE
from netcode.transports.webrtc import WebRtcTransport
from netcode.voice.rtp import VoicePacket

FRAME = 0.02
PAYLOAD_BYTES = 70
"""Of Opus in 20 ms at 28 kbit/s."""

MAX_PLAYERS = 1_000

SETTLE = 0.5
"""Seconds after a change before anything is measured."""

READY = "ready"


class Nothing(nc.Entity):
    """A game about nothing but talking."""


GAME = nc.Protocol(entities=[Nothing])


async def said(pipe: Connection) -> Any:
    """The next thing that the benchmark says."""
    return await asyncio.to_thread(pipe.recv)


@dataclass(frozen=True, slots=True)
class Used:
    """What a server's process did for a while."""

    seconds: float
    cpu: float
    """CPU seconds."""
    forwarded: int = 0
    """Packets that were passed on."""
    waited: float = 0.0
    """Seconds in which it could have run, and did not, since other programs had the cores."""

    @property
    def share(self) -> float:
        """Of a core."""
        return self.cpu / self.seconds


def waited() -> float:
    """Seconds for which the main thread waited for a core so far; 0 where nobody says so."""
    try:
        return int(Path("/proc/self/schedstat").read_text("ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


# -- our server ------------------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Say the URL; then, each time that seconds are said, what was `Used` in them."""
    with suppress(EOFError):
        asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    async with nc.Server(GAME, voice=nc.EveryoneVoice(), max_players=MAX_PLAYERS) as server:
        pipe.send(server.url)
        while True:
            seconds = await said(pipe)
            began, cpu, queued = time.monotonic(), time.process_time(), waited()
            forwarded = server.voice.stats.forwarded
            await asyncio.sleep(seconds)
            used = time.process_time() - cpu
            passed = time.monotonic() - began
            forwarded = server.voice.stats.forwarded - forwarded
            pipe.send(Used(passed, used, forwarded, waited() - queued))


# -- players of ours -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Room:
    """What a crowd is told to be."""

    players: int
    talking: int


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a crowd noticed since it was told the last time."""

    packets: int
    late_p99: float
    """Seconds that the latest of a hundred packets took longer than the fastest."""
    cpu_share: float
    """Of a core, used by the crowd itself."""
    waited_share: float
    """Of the time, in which the crowd waited for a core."""


def play(pipe: Connection) -> None:
    """Told the URL; then told a `Room` again and again, and says `READY` when it is so, or what
    went wrong. Told None, it says what it `Noticed`."""
    with suppress(EOFError):
        asyncio.run(_play(pipe))


@dataclass
class _Crowd:
    url: str
    clients: list[nc.Client] = field(default_factory=list)
    talking: int = 0
    sent_at: dict[bytes, float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)

    async def resize(self, stack: AsyncExitStack, players: int) -> None:
        for number in range(len(self.clients), players):
            client = nc.connect(self.url, GAME, name=f"player {number}", rungs=["direct"])
            # It has no ears of netcode's, and would tell the server that it is deaf.
            client._obey = lambda rules: None  # type: ignore[method-assign]
            await stack.enter_async_context(client)
            self._tap(client)
            self.clients.append(client)

    def _tap(self, client: nc.Client) -> None:
        """Count this player's voice packets as they come from the socket."""
        link = client._guest.link
        assert link is not None
        assert isinstance(link.transport, WebRtcTransport)
        connection = link.transport._internals._connection  # type: ignore[union-attr]
        deliver = connection.data_received

        def data_received(data: bytes, component: int) -> None:
            if FIRST_BYTE <= data[0] <= LAST_BYTE:
                sent = self.sent_at.get(data[2:4] + data[8:12])
                if sent is not None:
                    self.delays.append(time.monotonic() - sent)
            else:
                deliver(data, component)

        connection.data_received = data_received

    async def talk(self) -> None:
        """Send a packet of each who talks every 20 ms, one after the other, evenly."""
        payload = os.urandom(PAYLOAD_BYTES)
        count, talking, first, sequence = 0, 0, 0, 0
        began = time.monotonic()
        while True:
            if self.talking != talking:
                # Numbers go on, or SRTP would take the packets for old ones.
                count, talking, first = 0, self.talking, sequence + 1
                began = time.monotonic()
            if talking == 0:
                await asyncio.sleep(FRAME)
                continue
            client, sequence = self.clients[count % talking], first + count // talking
            packet = VoicePacket(
                client.player_id, sequence % 65_536, sequence * 960, 30, False, payload
            ).encode()
            self.sent_at[packet[2:4] + packet[8:12]] = time.monotonic()
            client._guest.voice.send(packet)
            count += 1
            await asyncio.sleep(max(0.0, began + count * FRAME / talking - time.monotonic()))


async def _play(pipe: Connection) -> None:
    crowd = _Crowd(await said(pipe))
    talking = asyncio.create_task(crowd.talk())
    began, cpu, queued = time.monotonic(), time.process_time(), waited()
    try:
        async with AsyncExitStack() as stack:
            while True:
                wanted = await said(pipe)
                if wanted is None:
                    delays = np.array(crowd.delays or [0.0])
                    late = float(np.percentile(delays, 99) - delays.min())
                    passed = time.monotonic() - began
                    shares = (time.process_time() - cpu) / passed, (waited() - queued) / passed
                    pipe.send(Noticed(len(crowd.delays), late, *shares))
                else:
                    crowd.talking = 0
                    failed = await _tried(crowd.resize(stack, wanted.players))
                    crowd.talking = min(wanted.talking, len(crowd.clients))
                    await asyncio.sleep(SETTLE)
                    pipe.send(failed or READY)
                crowd.sent_at.clear()
                crowd.delays.clear()
                began, cpu, queued = time.monotonic(), time.process_time(), waited()
    finally:
        talking.cancel()


async def _tried(work: Awaitable[None]) -> str | None:
    """What went wrong, or None."""
    try:
        await work
    except nc.NetcodeError as error:
        return str(error)
    return None


# -- one send --------------------------------------------------------------------------------

SENDS = 200


def send(pipe: Connection) -> None:
    """Say the CPU seconds of sending one packet, encryption and socket and nothing else, in each
    of as many rounds as are said."""
    asyncio.run(_send(pipe))


async def _send(pipe: Connection) -> None:
    near, far = WebRtcTransport(), WebRtcTransport()
    try:
        await near.accept(await far.answer(await near.offer()))
        await asyncio.gather(near.wait_open(10.0), far.wait_open(10.0))
        for end in (near, far):
            end.start(lambda lane, data: None, lambda reason: None)
        taken = []
        payload = os.urandom(PAYLOAD_BYTES)
        for turn in range(await said(pipe)):
            packets = [
                VoicePacket(1, turn * SENDS + number, number * 960, 30, False, payload).encode()
                for number in range(SENDS)
            ]
            began = time.thread_time()
            for packet in packets:
                near.send_media(packet)
            taken.append((time.thread_time() - began) / SENDS)
            await asyncio.sleep(FRAME)
        pipe.send(taken)
    finally:
        for end in (near, far):
            end.close()
            await end.wait_closed()
