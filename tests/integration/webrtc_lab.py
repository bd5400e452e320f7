"""Makes WebRTC transports for tests, and looks after each test for what they left behind."""

import asyncio
import gc
import random
import threading
from collections.abc import Callable
from typing import Any, Self

from netcode.transports.base import Lane
from netcode.transports.webrtc import DatagramFilters, WebRtcTransport

PATIENCE = 5.0
"""Seconds until a test gives up waiting for what should have happened."""

Forward = Callable[[bytes], None]


class Weather:
    """Datagram filters that a test turns on once the link is open."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self.loss = 0.0
        self.drop_next = 0
        self.lost = 0
        self.hold = False
        self.held: list[tuple[Forward, bytes]] = []
        self.both_held = asyncio.Event()

    def outgoing(self, data: bytes, forward: Forward) -> None:
        if self.drop_next > 0 or self.rng.random() < self.loss:
            self.drop_next -= self.drop_next > 0
            self.lost += 1
        elif self.hold:
            self._keep(data, forward)
        else:
            forward(data)

    def incoming(self, data: bytes, forward: Forward) -> None:
        if self.hold:
            self._keep(data, forward)
        elif self.rng.random() >= self.loss:
            forward(data)

    def _keep(self, data: bytes, forward: Forward) -> None:
        self.held.append((forward, data))
        if len({each for each, _ in self.held}) == 2:
            self.both_held.set()


class End:
    """A transport with what it has delivered."""

    def __init__(self, transport: WebRtcTransport) -> None:
        self.transport = transport
        self.received: list[tuple[Lane, bytes]] = []
        self.reasons: list[str] = []
        self._changed = asyncio.Event()

    def start(self) -> None:
        self.transport.start(self.on_receive, self.on_closed)

    def on_receive(self, lane: Lane, data: bytes) -> None:
        self.received.append((lane, data))
        self._changed.set()

    def on_closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self._changed.set()

    def on(self, lane: Lane) -> list[bytes]:
        return [data for where, data in self.received if where is lane]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Lab:
    """Makes transports, and closes them all at the end of the test.

    After that no task, no thread and no error inside the event loop may be left.
    """

    def __init__(self) -> None:
        self.transports: list[WebRtcTransport] = []
        self._complaints: list[dict[str, Any]] = []
        self._tasks = asyncio.all_tasks()
        self._threads = set(threading.enumerate())

    async def __aenter__(self) -> Self:
        handler = lambda _, context: self._complaints.append(context)  # noqa: E731
        asyncio.get_running_loop().set_exception_handler(handler)
        return self

    async def __aexit__(self, *_: object) -> None:
        for transport in self.transports:
            transport.close()
        async with asyncio.timeout(PATIENCE):
            for transport in self.transports:
                await transport.wait_closed()
        left_running = asyncio.all_tasks() - self._tasks - {asyncio.current_task()}
        gc.collect()
        assert left_running == set()
        assert self._complaints == []
        # Names are looked up on the event loop's own executor, which ends with the loop.
        threads = {thread.name for thread in set(threading.enumerate()) - self._threads}
        assert {name for name in threads if not name.startswith("asyncio_")} == set()

    def transport(self, **options: Any) -> WebRtcTransport:
        transport = WebRtcTransport(**options)
        self.transports.append(transport)
        return transport

    async def pair(
        self, a: DatagramFilters | None = None, b: DatagramFilters | None = None
    ) -> tuple[End, End]:
        ends = End(self.transport(filters=a)), End(self.transport(filters=b))
        await introduce(ends[0].transport, ends[1].transport)
        await open_both(ends[0].transport, ends[1].transport)
        for end in ends:
            end.start()
        return ends


async def introduce(a: WebRtcTransport, b: WebRtcTransport) -> None:
    await a.accept(await b.answer(await a.offer()))


async def open_both(a: WebRtcTransport, b: WebRtcTransport) -> None:
    await asyncio.gather(a.wait_open(PATIENCE), b.wait_open(PATIENCE))
