"""A WebSocket transport over pipes that are slow, full or shut, by a clock that is made up."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from netcode.errors import Disconnected, Unreachable, UsageError
from netcode.rungs import Rung
from netcode.transports import websocket
from netcode.transports import websocket_frames as frames
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane, TransportStats
from netcode.transports.listener import MAX_EARLY_BYTES
from netcode.transports.websocket import FRESH_IN_FLIGHT, WebSocketTransport
from tests.unit.transports.manual_loop import run

SOCKET_BUFFER = 65_536
"""Bytes that a pipe takes at once; beyond, who sends waits, as at a socket."""


class Pipe:
    """One way: so many seconds long, so many bytes a second wide."""

    def __init__(self, delay: float, rate: float) -> None:
        self.delay, self.rate = delay, rate
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.frames: list[bytes] = []
        self.take: Callable[[bytes], None] = lambda frame: None
        self.error: Exception | None = None
        self._free_at = 0.0
        self._loop = asyncio.get_running_loop()

    async def send(self, frame: bytes) -> None:
        await self.is_open.wait()
        if self.error is not None:
            raise self.error
        self.frames.append(frame)
        now = self._loop.time()
        self._free_at = max(now, self._free_at) + len(frame) / self.rate
        self._loop.call_at(self._free_at + self.delay, lambda: self.take(frame))
        waiting = (self._free_at - now) * self.rate - SOCKET_BUFFER
        if waiting > 0:
            await asyncio.sleep(waiting / self.rate)


class End:
    """A transport, the pipe away from it, and what it has heard and when."""

    def __init__(self, delay: float, rate: float) -> None:
        self.pipe = Pipe(delay, rate)
        self.transport = WebSocketTransport(self.pipe.send)
        self.heard: list[tuple[Lane, bytes]] = []
        self.times: list[float] = []
        self.reasons: list[str] = []

    def start(self) -> None:
        self.transport.start(self._receive, self.reasons.append)

    def _receive(self, lane: Lane, data: bytes) -> None:
        self.heard.append((lane, data))
        self.times.append(asyncio.get_running_loop().time())

    def on(self, lane: Lane) -> list[bytes]:
        return [data for where, data in self.heard if where is lane]


async def pair(delay: float = 0.05, rate: float = 1e9, *, start: bool = True) -> tuple[End, End]:
    a, b = End(delay, rate), End(delay, rate)
    a.pipe.take, b.pipe.take = b.transport.take, a.transport.take
    a.transport.call()
    await asyncio.gather(a.transport.wait_open(5), b.transport.wait_open(5))
    if start:
        a.start()
        b.start()
    return a, b


async def part(*ends: End) -> None:
    for end in ends:
        end.transport.close()
    for end in ends:
        await end.transport.wait_closed()


def with_pair(
    delay: float = 0.05, rate: float = 1e9, *, start: bool = True
) -> Callable[[Callable[[End, End], Coroutine[Any, Any, None]]], Callable[[], None]]:
    """Make a test of a function that gets two open ends."""

    def make(test: Callable[[End, End], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def whole() -> None:
            a, b = await pair(delay, rate, start=start)
            try:
                await test(a, b)
            finally:
                await part(a, b)

        def wrapped() -> None:
            run(whole())

        wrapped.__name__, wrapped.__doc__ = test.__name__, test.__doc__
        return wrapped

    return make


@with_pair(delay=0.1)
async def test_it_opens_and_says_what_it_is(a: End, b: End) -> None:
    assert (a.transport.kind, a.transport.rung) == ("websocket", Rung.WEBSOCKET)
    assert a.transport.rtt() == pytest.approx(0.2, abs=0.001)
    assert b.transport.rtt() is None
    assert "signaling server" in a.transport.path()


@with_pair()
async def test_reliable_lanes_arrive_complete_and_in_order(a: End, b: End) -> None:
    sent = [
        bytes([n % 256]) * size for n, size in enumerate([0, 1, 1_100, MAX_TRANSPORT_MESSAGE] * 20)
    ]
    for data in sent:
        a.transport.send(Lane.RELIABLE, data)
        b.transport.send(Lane.UNORDERED, data)
    assert await a.transport.drain(10)
    assert await b.transport.drain(10)
    assert b.on(Lane.RELIABLE) == sent
    assert a.on(Lane.UNORDERED) == sent
    assert (
        a.transport.stats
        == b.transport.stats
        == TransportStats(sum(map(len, sent)), sum(map(len, sent)), len(sent), len(sent))
    )


@with_pair(delay=0.1)
async def test_state_flows_freely_over_a_long_line(a: End, b: End) -> None:
    for _ in range(200):
        for _ in range(3):
            a.transport.send(Lane.UNRELIABLE, bytes(1_100))
        await asyncio.sleep(0.05)
    await a.transport.drain(1)
    assert len(b.heard) == 600
    assert a.transport.stats.given_up == 0


@with_pair(delay=0.05, rate=30_000)
async def test_what_is_stale_is_dropped_and_never_becomes_a_queue(a: End, b: End) -> None:
    """Twice as much state as the line carries: half of it arrives, and none of it very late."""
    loop = asyncio.get_running_loop()
    for _ in range(600):
        a.transport.send(Lane.UNRELIABLE, repr(loop.time()).encode().ljust(1_000))
        assert a.transport.backlog() <= FRESH_IN_FLIGHT
        await asyncio.sleep(1 / 60)
    ages = [now - float(data) for now, (_, data) in zip(b.times, b.heard, strict=True)]
    assert max(ages) < 0.4
    assert sorted(ages)[len(ages) // 2] < 0.25
    assert 250 < len(b.heard) < 350
    assert a.transport.stats.given_up + len(b.heard) == pytest.approx(600, abs=20)


@with_pair(delay=0.05, rate=100_000)
async def test_state_goes_on_beside_a_pile_of_reliable_messages(a: End, b: End) -> None:
    loop = asyncio.get_running_loop()
    for number in range(1_000):
        a.transport.send(Lane.RELIABLE, number.to_bytes(2, "big") * 550)
    for _ in range(200):
        a.transport.send(Lane.UNRELIABLE, repr(loop.time()).encode().ljust(400))
        await asyncio.sleep(0.05)
    assert await a.transport.drain(20)
    assert b.on(Lane.RELIABLE) == [number.to_bytes(2, "big") * 550 for number in range(1_000)]
    state = [
        (now, data)
        for now, (lane, data) in zip(b.times, b.heard, strict=True)
        if lane is Lane.UNRELIABLE
    ]
    assert len(state) > 190
    assert max(now - float(data) for now, data in state) < 0.25


@with_pair()
async def test_expiring_messages_are_given_up_when_their_time_is_over(a: End, b: End) -> None:
    a.pipe.is_open.clear()
    a.transport.send(Lane.RELIABLE, b"in the socket, which takes nothing")
    await asyncio.sleep(0)
    lanes = (
        Lane.UNRELIABLE,
        Lane.EXPIRING_100,
        Lane.EXPIRING_250,
        Lane.EXPIRING_500,
        Lane.EXPIRING_1000,
    )
    for lane in lanes:
        a.transport.send(lane, lane.name.encode())
    await asyncio.sleep(0.3)
    a.pipe.is_open.set()
    assert await a.transport.drain(1)
    assert [lane for lane, _ in b.heard] == [Lane.RELIABLE, Lane.EXPIRING_500, Lane.EXPIRING_1000]
    assert a.transport.stats.given_up == 3


@with_pair(start=False)
async def test_only_what_has_been_consumed_is_acknowledged(a: End, b: End) -> None:
    a.start()
    for _ in range(5):
        a.transport.send(Lane.RELIABLE, bytes(1_000))
    a.transport.send(Lane.UNRELIABLE, bytes(100))
    assert a.transport.backlog() == 5_100
    assert not await a.transport.drain(2)
    assert a.transport.backlog() == 5_100
    b.start()
    assert len(b.heard) == 6
    await asyncio.sleep(0.051)  # the acknowledgement waits for a message to go with, in vain
    assert a.transport.backlog() == 5_100
    assert await a.transport.drain(1)
    assert a.transport.backlog() == 0


@with_pair(start=False)
async def test_who_does_not_listen_is_not_sent_more_than_it_keeps(a: End, b: End) -> None:
    a.start()
    for _ in range(100):
        a.transport.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
    await asyncio.sleep(5)
    assert sum(map(len, a.pipe.frames)) < MAX_EARLY_BYTES
    b.start()
    assert await a.transport.drain(60)
    assert len(b.heard) == 100


@with_pair()
async def test_an_acknowledgement_goes_with_a_message_if_there_is_one(a: End, b: End) -> None:
    def answer(lane: Lane, data: bytes) -> None:
        b.transport.send(lane, data)

    b.transport._listener._on_receive = answer
    for _ in range(10):
        a.transport.send(Lane.UNRELIABLE, b"ping")
        await asyncio.sleep(0.2)
    kinds = [type(frames.decode(frame)) for frame in b.pipe.frames]
    assert kinds == [frames.Accept, *[frames.Data] * 10]


@with_pair()
async def test_a_close_says_why(a: End, b: End) -> None:
    a.transport._end("here", farewell="send queue overflow")
    await asyncio.sleep(1)
    assert b.reasons == ["the other end closed the connection: send queue overflow"]
    assert a.reasons == ["here"]
    a.transport.send(Lane.RELIABLE, b"does nothing")
    assert (a.transport.backlog(), await a.transport.drain(1)) == (0, False)


@with_pair()
async def test_a_close_comes_behind_what_was_drained(a: End, b: End) -> None:
    a.transport.send(Lane.RELIABLE, b"goodbye")
    assert await a.transport.drain(1)
    a.transport.close()
    a.transport.close()
    await asyncio.sleep(1)
    assert b.heard == [(Lane.RELIABLE, b"goodbye")]
    assert b.reasons == ["the other end closed the connection"]
    assert a.reasons == ["closed"]


@with_pair()
async def test_when_the_way_is_gone_both_hear_why(a: End, b: End) -> None:
    a.pipe.error = Disconnected("the signaling connection ended")
    a.transport.send(Lane.RELIABLE, b"x")
    b.transport.fail("the signaling connection ended")
    await asyncio.sleep(0.1)
    assert a.reasons == b.reasons == ["the signaling connection ended"]


@with_pair()
async def test_a_bug_in_sending_ends_this_transport_and_is_logged(a: End, b: End) -> None:
    a.pipe.error = KeyError("a bug")
    a.transport.send(Lane.RELIABLE, b"x")
    await asyncio.sleep(0.1)
    assert a.reasons == ["sending failed: KeyError('a bug')"]


@with_pair()
async def test_a_socket_that_takes_nothing_does_not_hold_up_closing(a: End, b: End) -> None:
    a.pipe.is_open.clear()
    a.transport.send(Lane.RELIABLE, b"x")
    await asyncio.sleep(0.1)
    a.transport.close()
    async with asyncio.timeout(websocket.CLOSE_GRACE + 0.1):
        await a.transport.wait_closed()


@with_pair()
async def test_a_sender_that_looks_at_no_backlog_is_stopped(a: End, b: End) -> None:
    a.pipe.is_open.clear()
    for _ in range(1_030):
        a.transport.send(Lane.RELIABLE, bytes(MAX_TRANSPORT_MESSAGE))
    a.pipe.is_open.set()
    await asyncio.sleep(1)
    assert a.reasons == ["send queue overflow"]
    assert b.reasons == ["the other end closed the connection: send queue overflow"]


@with_pair()
async def test_expiring_messages_have_a_bound_too(a: End, b: End) -> None:
    a.pipe.is_open.clear()
    for _ in range(100):
        a.transport.send(Lane.EXPIRING_1000, bytes(MAX_TRANSPORT_MESSAGE))
    assert a.transport.backlog() <= websocket.MAX_EXPIRING
    assert a.transport.stats.given_up == 84
    a.pipe.is_open.set()


def test_numbers_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (websocket, frames):
        monkeypatch.setattr(module, "NUMBERS", 64)

    @with_pair()
    async def whole(a: End, b: End) -> None:
        sent = [bytes([number]) * 1_000 for number in range(250)]
        for data in sent:
            a.transport.send(Lane.RELIABLE, data)
        assert await a.transport.drain(20)
        assert b.on(Lane.RELIABLE) == sent

    whole()


GARBAGE = {
    "empty": b"",
    "unknown": b"\x63hello",
    "open again": frames.Open().encode(),
    "accept": frames.Accept().encode(),
    "acknowledges too much": frames.Ack(1).encode(),
    "acknowledges the past": frames.Ack(frames.NUMBERS - 1).encode(),
    "acknowledges too much, with a message": frames.Data(Lane.RELIABLE, 0, 1, b"x").encode(),
    "too long": frames.Data(Lane.RELIABLE, 0, 0, bytes(MAX_TRANSPORT_MESSAGE + 1)).encode(),
    "no lane": b"\x17" + bytes(8),
    "no reason": b"\x04\xff",
    "a reason that breaks its line": b"\x04one\ntwo",
}


@pytest.mark.parametrize("frame", GARBAGE.values(), ids=GARBAGE)
def test_garbage_ends_it(frame: bytes) -> None:
    @with_pair()
    async def whole(a: End, b: End) -> None:
        a.transport.take(frame)
        await asyncio.sleep(1)
        assert a.reasons == ["the other end sent garbage"]
        assert b.reasons == ["the other end closed the connection: you sent garbage"]

    whole()


@with_pair()
async def test_a_gap_is_noticed(a: End, b: End) -> None:
    a.transport.send(Lane.RELIABLE, b"one")
    await asyncio.sleep(1)
    b.transport.take(frames.Data(Lane.RELIABLE, 2, 0, b"three").encode())
    await asyncio.sleep(1)
    assert b.heard == [(Lane.RELIABLE, b"one")]
    assert b.reasons == ["something that was sent is missing"]


def test_nobody_answers() -> None:
    async def whole() -> None:
        a = End(0.1, 1e9)
        a.transport.call()
        with pytest.raises(Unreachable, match=r"within 2 s: called through the signaling server"):
            await a.transport.wait_open(2)
        with pytest.raises(UsageError, match="not open yet"):
            a.transport.send(Lane.RELIABLE, b"x")
        with pytest.raises(UsageError, match="once"):
            a.transport.call()
        a.transport.take(frames.Close("not this way").encode())
        with pytest.raises(Unreachable, match="not this way"):
            await a.transport.wait_open(2)
        a.start()
        await asyncio.sleep(0)
        assert a.reasons == ["the other end closed the connection: not this way"]
        await part(a)

    run(whole())


def test_another_version_is_declined() -> None:
    async def whole() -> None:
        a = End(0.1, 1e9)
        a.transport.take(frames.Open(version=7).encode())
        with pytest.raises(Unreachable, match="version 7"):
            await a.transport.wait_open(2)
        await part(a)

    run(whole())


def test_misuse_is_refused() -> None:
    with pytest.raises(UsageError, match="coroutine"):
        WebSocketTransport(lambda frame: asyncio.sleep(0))

    @with_pair()
    async def whole(a: End, b: End) -> None:
        for data in (bytes(MAX_TRANSPORT_MESSAGE + 1), "text", bytearray(2)):
            with pytest.raises(UsageError, match=str(MAX_TRANSPORT_MESSAGE)):
                a.transport.send(Lane.RELIABLE, data)  # type: ignore[arg-type]
        with suppress(asyncio.CancelledError):
            waiting = asyncio.create_task(a.transport.wait_closed())
            await asyncio.sleep(0)
            waiting.cancel()
            await waiting
        assert a.reasons == []

    whole()
