"""Rooms in which somebody talks, and what to make of the samples that others hear."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

import netcode as nc
from benchmarks.voice_marks import Ear
from netcode.transports.media import FIRST_BYTE, LAST_BYTE
from netcode.transports.webrtc import WebRtcTransport
from netcode.voice.jitter_buffer import VoiceStats
from netcode.voice.opus import RATE
from netcode.voice.sources import Silence, Source

Samples = NDArray[np.float32]

WINDOW = round(0.005 * RATE)
"""Samples of the pieces whose loudness is looked at."""


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    y = nc.Float(-2000, 2000, step=0.05)
    pilot = nc.Int(0, 10_000)


class Steer(nc.Input):
    thrust = nc.Bool()


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    """Ships stand where they are put."""


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], simulate={Ship: fly})


def make_server(policy: nc.VoicePolicy | None = None, **options: object) -> nc.Server:
    server = nc.Server(GAME, voice=policy or nc.EveryoneVoice(), **options)  # type: ignore[arg-type]

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship, pilot=player.id))

    @server.on_leave
    def leave(player: nc.Player) -> None:
        for ship in player.entities:
            server.world.despawn(ship)

    return server


class Pair:
    """Ada talks and Bob hears her."""

    def __init__(self, server: nc.Server, ada: nc.Client, bob: nc.Client, ear: Ear) -> None:
        self.server, self.ada, self.bob, self.ear = server, ada, bob, ear

    @property
    def stats(self) -> VoiceStats:
        return self.bob.voice.stats(self.ada.player_id)

    async def play(self, seconds: float) -> None:
        await play(seconds, self.ada, self.bob)

    async def until(self, condition: Callable[[], bool], within: float = 10.0) -> None:
        await until(condition, self.ada, self.bob, within=within)

    def last(self, seconds: float) -> Samples:
        """What Bob heard lately, the mean of both sides."""
        return self.ear.heard().samples[-round(seconds * RATE) :]


@asynccontextmanager
async def talking(
    source: Source,
    *,
    rungs: Sequence[str] | None = None,
    policy: nc.VoicePolicy | None = None,
    **options: object,
) -> AsyncIterator[Pair]:
    """A server, Ada who holds her key, and Bob by these rungs, as soon as he hears something."""
    ear = Ear()
    async with (
        make_server(policy, **options) as server,
        nc.connect(
            server.url, GAME, name="Bob", rungs=rungs, voice=nc.Voice(source=Silence(), sink=ear)
        ) as bob,
        nc.connect(server.url, GAME, name="Ada", voice=nc.Voice(source=source, sink=Ear())) as ada,
    ):
        ada.voice.pressed = True
        await until(lambda: ada.player_id in bob.voice.speaking, ada, bob)
        yield Pair(server, ada, bob, ear)


async def play(seconds: float, *clients: nc.Client) -> None:
    """Play frames for so long."""
    end = time.monotonic() + seconds
    await until(lambda: time.monotonic() >= end, *clients, within=seconds + 10.0)


async def until(condition: Callable[[], bool], *clients: nc.Client, within: float = 10.0) -> None:
    """Play frames until something holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        for client in clients:
            client.update()
        await asyncio.sleep(1 / 60)


def locate(client: nc.Client) -> Callable[[int], tuple[float, float] | None]:
    """Where a client sees the players."""

    def where(player: int) -> tuple[float, float] | None:
        ships = (ship for ship in client.world[Ship] if ship.pilot == player)
        return next(((ship.x, ship.y) for ship in ships), None)

    return where


class Tap:
    """Counts the voice packets that reach a client's socket, and their bytes."""

    def __init__(self, client: nc.Client) -> None:
        self.packets = self.bytes = 0
        link = client._guest.link
        assert link is not None
        assert isinstance(link.transport, WebRtcTransport)
        connection = link.transport._internals._connection  # type: ignore[union-attr]
        deliver = connection.data_received

        def data_received(data: bytes, component: int) -> None:
            if FIRST_BYTE <= data[0] <= LAST_BYTE:
                self.packets += 1
                self.bytes += len(data)
            deliver(data, component)

        connection.data_received = data_received


# -- what samples say ------------------------------------------------------------------------


def level(samples: NDArray[np.floating]) -> float:
    """dBFS of its power."""
    return float(10.0 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def pitch(samples: Samples) -> float:
    """Hz of the strongest sine."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 19))
    return float(np.argmax(spectrum)) * RATE / (1 << 19)


def tone_to_noise(samples: Samples, hz: float) -> float:
    """dB of a sine of this pitch to all else, the median of pieces of 50 ms: where a piece was
    shortened or lengthened, the phase jumps, and that is no noise."""
    count = round(0.05 * RATE)
    at = 2.0 * np.pi * hz * np.arange(count) / RATE
    basis = np.stack((np.sin(at), np.cos(at)), axis=1)
    ratios = []
    for begin in range(0, len(samples) - count + 1, count):
        piece = samples[begin : begin + count].astype(np.float64)
        found = basis @ np.linalg.lstsq(basis, piece, rcond=None)[0]
        ratios.append(level(found) - level(piece - found))
    return float(np.median(ratios))


def likeness(heard: Samples, said: Samples) -> float:
    """dB of what was said to all else in what is heard, the median of the pieces of 100 ms in which
    somebody speaks, each laid where it fits best."""
    count, loud = round(0.1 * RATE), level(said) - 10.0
    lag = _lag(heard, said)
    ratios = []
    for begin in range(0, len(said) - count, count):
        piece = said[begin : begin + count].astype(np.float64)
        first = begin + lag - round(0.06 * RATE)
        there = heard[max(0, first) : begin + lag + count + round(0.06 * RATE)].astype(np.float64)
        if level(piece) < loud or first < 0 or len(there) < 2 * count:
            continue
        products = np.correlate(there, piece, "valid")
        best = int(np.argmax(products))
        found = there[best : best + count]
        share = products[best] ** 2 / (found @ found * (piece @ piece) + 1e-12)
        ratios.append(10.0 * np.log10(share / max(1e-6, 1.0 - share)))
    return float(np.median(ratios))


def _lag(heard: Samples, said: Samples) -> int:
    """By how many samples it is heard later than it is said."""
    size = 1 << (len(heard) + len(said)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(said, size)), size)
    return int(np.argmax(product[: len(heard)]))


def longest_silence(samples: Samples, below: float) -> float:
    """Seconds of the longest piece whose loudness stays below this, in dBFS."""
    pieces = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    powers = np.mean(np.square(pieces, dtype=np.float64), axis=1)
    quiet = 10.0 * np.log10(powers + 1e-12) < below
    longest = run = 0
    for each in quiet.tolist():
        run = run + 1 if each else 0
        longest = max(longest, run)
    return longest * WINDOW / RATE


def jump(samples: Samples) -> float:
    """The largest step from one sample to the next but what the slope before would have made."""
    return float(np.abs(np.diff(samples, 2)).max())
