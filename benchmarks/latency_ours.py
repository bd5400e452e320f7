"""The latency question's own candidates: a channel of netcode, over netcode's WebRTC transport."""

import asyncio
import contextlib
import time

from benchmarks.latency_cases import CONNECT_TIMEOUT, OnReceive, Signaling
from netcode.link.delivery import RELIABLE, UNRELIABLE, Delivery
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.transports.webrtc import WebRtcTransport

PATIENCE = 30.0
"""Seconds of silence that the link bears here: the recorded line stalls for four seconds, after
which a game's link would have been given up. The question is what arrives, not when to give up."""


class _Ours:
    """A session with one channel, its link, and the task that keeps the link's time."""

    delivery: Delivery

    def __init__(self, on_receive: OnReceive) -> None:
        self._on_receive = on_receive
        self._transport = WebRtcTransport()
        self._session = Session()
        self._channel, _ = self._session.open("state", self.delivery)
        self._link: Link | None = None
        self._pumping: asyncio.Task[None] | None = None

    async def connect_sender(self, signaling: Signaling) -> None:
        await signaling.tell(await self._transport.offer())
        await self._transport.accept(await signaling.hear())
        await self._start_link()

    async def connect_receiver(self, signaling: Signaling) -> None:
        await signaling.tell(await self._transport.answer(await signaling.hear()))
        await self._start_link()

    async def send(self, data: bytes) -> None:
        assert self._link is not None
        if not self._link.is_open:
            raise ConnectionError(f"the link has closed: {self._link.closed_because}")
        self._link.send(self._channel, data)

    async def close(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._pumping
        self._transport.close()
        await self._transport.wait_closed()

    async def _start_link(self) -> None:
        await self._transport.wait_open(CONNECT_TIMEOUT)
        self._link = Link(
            self._transport,
            self._session,
            time.monotonic,
            on_message=self._received,
            on_datagram=lambda data: None,
            on_closed=lambda reason: None,
        )
        self._link.liveness.silence_limit = PATIENCE
        self._link.start()
        self._pumping = asyncio.create_task(self._pump(self._link))

    async def _pump(self, link: Link) -> None:
        while link.is_open:
            link.pump()
            await asyncio.sleep(max(0.0, link.next_timer() - time.monotonic()))

    def _received(self, channel: Channel, payload: bytes) -> None:
        self._on_receive(payload)


class OursUnreliable(_Ours):
    """A channel declared `UNRELIABLE`."""

    delivery = UNRELIABLE


class OursReliable(_Ours):
    """A channel declared `RELIABLE`: every state, in order."""

    delivery = RELIABLE
