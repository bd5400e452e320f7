"""RTP packets on a WebRTC connection without tracks: authentic, bounded, past the lanes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from netcode.transports.base import Lane
from netcode.transports.conditioner import Conditioner
from netcode.transports.link_model import Conditions
from netcode.transports.media import MAX_SOURCES_OF_CALLERS
from netcode.transports.webrtc import WebRtcTransport

pytestmark = pytest.mark.filterwarnings("error")


def rtp(sequence: int, source: int = 7, payload: bytes = b"voice") -> bytes:
    head = bytes((0x80, 111)) + sequence.to_bytes(2, "big")
    return head + (960 * sequence).to_bytes(4, "big") + source.to_bytes(4, "big") + payload


class End:
    def __init__(self, transport: WebRtcTransport) -> None:
        self.transport = transport
        self.heard: list[tuple[Lane, bytes]] = []
        transport.start(lambda lane, data: self.heard.append((lane, data)), lambda reason: None)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)


@asynccontextmanager
async def pair(filters: Conditioner | None = None) -> AsyncIterator[tuple[End, End]]:
    near, far = WebRtcTransport(filters=filters), WebRtcTransport()
    try:
        await near.accept(await far.answer(await near.offer()))
        await asyncio.gather(near.wait_open(5), far.wait_open(5))
        yield End(near), End(far)
    finally:
        for transport in (near, far):
            transport.close()
            await transport.wait_closed()


async def test_packets_arrive_as_they_were_both_ways() -> None:
    async with pair() as (near, far):
        for sequence in range(50):
            near.transport.send_media(rtp(sequence))
            far.transport.send_media(rtp(sequence, source=9))
            await asyncio.sleep(0)
        await near.until(lambda: len(near.heard) == len(far.heard) == 50)
        assert far.heard == [(Lane.UNRELIABLE, rtp(sequence)) for sequence in range(50)]
        assert near.transport.stats.messages_sent == 50


async def test_they_do_not_wait_for_what_is_on_the_lanes() -> None:
    async with pair() as (near, far):
        for _ in range(60):
            near.transport.send(Lane.RELIABLE, bytes(16_000))
        near.transport.send_media(rtp(1))
        await far.until(lambda: bool(far.heard))
        before = sum(lane is Lane.RELIABLE for lane, _ in far.heard)
        await far.until(lambda: (Lane.UNRELIABLE, rtp(1)) in far.heard)
        assert before < 60


async def test_only_what_is_authentic_gets_through() -> None:
    async with pair() as (near, far):
        connection = near.transport._internals._connection  # type: ignore[union-attr]
        socket = connection._nominated[1]
        for garbage in (rtp(1), bytes((0x80, 200)) + bytes(40), bytes((0x80,)), rtp(1)[:11]):
            socket.protocol.transport.sendto(garbage, socket.remote_addr)
        near.transport.send_media(rtp(2))
        await far.until(lambda: bool(far.heard))
        assert far.heard == [(Lane.UNRELIABLE, rtp(2))]
        near.transport.send(Lane.RELIABLE, b"still here")
        await far.until(lambda: len(far.heard) == 2)


async def test_a_packet_that_is_sent_again_by_somebody_else_is_dropped() -> None:
    seen: list[bytes] = []

    class Tap(Conditioner):
        def outgoing(self, data: bytes, forward: Callable[[bytes], None]) -> None:
            if data[0] == 0x80:
                seen.append(data)
                forward(data)  # and once more below
            forward(data)

    async with pair(Tap(seed=1)) as (near, far):
        near.transport.send_media(rtp(1))
        near.transport.send_media(rtp(2))
        await far.until(lambda: len(far.heard) == 2)
        near.transport.send(Lane.RELIABLE, b"end")
        await far.until(lambda: len(far.heard) == 3)
        assert [data for _, data in far.heard] == [rtp(1), rtp(2), b"end"]
        assert rtp(1)[12:] not in b"".join(seen)  # encrypted


async def test_the_sources_of_a_peer_are_bounded() -> None:
    async with pair() as (near, far):
        for source in range(3 * MAX_SOURCES_OF_CALLERS):
            near.transport.send_media(rtp(1, source))
            await asyncio.sleep(0)
        near.transport.send(Lane.RELIABLE, b"end")
        await far.until(lambda: (Lane.RELIABLE, b"end") in far.heard)
        assert len(far.heard) == 1 + MAX_SOURCES_OF_CALLERS
        assert far.transport.stats.dropped == 2 * MAX_SOURCES_OF_CALLERS


async def test_bad_weather_is_for_voices_too() -> None:
    async with pair(Conditioner(Conditions(loss=0.1), seed=2)) as (near, far):
        for sequence in range(200):
            near.transport.send_media(rtp(sequence))
            await asyncio.sleep(0.001)
        await far.until(lambda: len(far.heard) > 50)
        near.transport.send(Lane.RELIABLE, b"end")
        await far.until(lambda: (Lane.RELIABLE, b"end") in far.heard)
        assert 120 < len(far.heard) < 195


async def test_before_and_after_a_connection_nothing_happens() -> None:
    transport = WebRtcTransport()
    transport.send_media(rtp(1))
    transport.close()
    transport.send_media(rtp(1))
    await transport.wait_closed()
    assert transport.stats.messages_sent == 0


async def test_what_strangers_send_takes_no_source_away() -> None:
    async with pair() as (near, far):
        internals = near.transport._internals
        assert internals is not None
        socket = internals._connection._nominated[1]
        for source in range(3 * MAX_SOURCES_OF_CALLERS):
            socket.protocol.transport.sendto(rtp(1, 1000 + source), socket.remote_addr)
        near.transport.send(Lane.RELIABLE, b"end")
        await far.until(lambda: (Lane.RELIABLE, b"end") in far.heard)
        near.transport.send_media(rtp(1))
        await far.until(lambda: (Lane.UNRELIABLE, rtp(1)) in far.heard)
