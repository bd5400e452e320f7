"""What tests of introductions share: members of a room that call each other, by whatever rung."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import netcode as nc
from netcode.core.guest import Guest
from netcode.introductions import Introductions, OnTransport, part
from netcode.link.delivery import Delivery
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.rungs import Rung
from netcode.transports.base import Transport
from signaling import ConnectionLost, SignalingClient

PATIENCE = 20.0
"""Seconds until a test gives up waiting; all of them are spent only where something is broken."""


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.005)


class Member:
    """A member of a room that answers, and keeps what has opened."""

    def __init__(self, client: SignalingClient, **options: Any) -> None:
        self.client = client
        self.id = client.id
        self.asked: list[str] = []
        """Who has called, at the moment of the call."""
        self.met: list[Transport] = []
        options = {"on_call": self._called, "send_to": client.send_to, **options}
        self.introductions = Introductions(client.send, **options)
        self._owned: list[Transport] = []
        self._listening = asyncio.create_task(self._listen())

    def _called(self, peer: str) -> OnTransport:
        self.asked.append(peer)
        return self.met.append

    async def _listen(self) -> None:
        try:
            async for message in self.client:
                self.introductions.take(message)
        except ConnectionLost:
            await self.introductions.hang_up()

    async def call(self, peer: "Member | str", rung: Rung | None, **more: Any) -> Transport:
        to = peer if isinstance(peer, str) else peer.id
        transport = await self.introductions.call(to, rung, **more)
        self._owned.append(transport)
        return transport

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.introductions.close()
            for transport in [*self._owned, *self.met]:
                transport.close()
                await transport.wait_closed()
            await self.introductions.hang_up()
            self._listening.cancel()
            await asyncio.wait([self._listening])
            await self.client.close()


async def member(url: str, name: str, room: str = "den", **options: Any) -> Member:
    return Member(await SignalingClient.connect(url, room=room, name=name), **options)


class End:
    """A link on a transport, kept going, and what it has heard."""

    def __init__(self, transport: Transport) -> None:
        self.session = Session()
        self.heard: list[bytes] = []
        self.datagrams: list[tuple[float, bytes]] = []
        self.reasons: list[str] = []
        self.link = Link(
            transport,
            self.session,
            time.monotonic,
            on_message=self._heard,
            on_datagram=lambda data: self.datagrams.append((time.monotonic(), data)),
            on_closed=self.reasons.append,
        )
        self.link.start()
        self._pumping = asyncio.create_task(self._pump())

    def open(self, name: str, delivery: Delivery) -> Channel:
        return self.session.open(name, delivery)[0]

    def _heard(self, channel: Channel, payload: bytes) -> None:
        self.heard.append(payload)

    async def _pump(self) -> None:
        while self.link.is_open:
            self.link.pump()
            await asyncio.sleep(max(0.001, self.link.next_timer() - time.monotonic()))

    async def stop(self) -> None:
        self._pumping.cancel()
        await asyncio.wait([self._pumping])


@contextlib.asynccontextmanager
async def playing(
    url: str, protocol: nc.Protocol, name: str, rung: Rung, **options: Any
) -> AsyncIterator[Guest]:
    """A player who has come to a server by this rung."""
    client = await SignalingClient.connect(url, room="game", name=name, **options)
    async with Member(client, on_call=None) as player:
        assert client.host is not None
        transport = await player.call(client.host, rung)
        guest = Guest(protocol, name, time.monotonic)
        guest.attach(transport)

        async def pump() -> None:
            while guest.ended is None:
                guest.pump()
                await asyncio.sleep(max(0.001, guest.next_timer() - time.monotonic()))

        pumping = asyncio.create_task(pump())
        try:
            await until(lambda: guest.joined or guest.ended is not None)
            yield guest
        finally:
            guest.close()
            pumping.cancel()
            await asyncio.wait([pumping])
            await part(transport)
