"""Meshes that talk: numbered messages both ways between all of them, and links that are cut."""

import asyncio
import secrets
import time
from collections.abc import Callable

import netcode as nc
from netcode.transports.webrtc import WebRtcTransport

BIG = 65_536
PACE = 0.02
"""Seconds between messages: 50 a second, one in fifty of 64 KiB."""


class Talker:
    """One end of a mesh, what has happened to it, and what it has said and heard."""

    def __init__(self, mesh: nc.Mesh) -> None:
        self.mesh = mesh
        self.news: list[str] = []
        self.said: dict[str, int] = {}
        """By peer, how many."""
        self.heard: dict[str, list[int]] = {}
        self._talk = mesh.channel("talk", nc.RELIABLE)
        self._reading = asyncio.create_task(self._read())
        mesh.on_join(lambda peer: self.news.append(f"joined {peer.name}"))
        mesh.on_leave(lambda peer: self.news.append(f"left {peer.name}"))
        mesh.on_reconnecting(lambda peer: self.news.append(f"reconnecting {peer.name}"))
        mesh.on_resumed(lambda peer: self.news.append(f"resumed {peer.name}"))

    def peer(self, other: "Talker") -> nc.MeshPeer:
        return self.mesh.peers[other.mesh.id]

    async def say(self, peer: nc.MeshPeer) -> None:
        number = self.said.get(peer.id, 0)
        self.said[peer.id] = number + 1
        bulk = secrets.token_bytes(BIG) if number % 50 == 25 else b""
        await self._talk.send(peer, number.to_bytes(4, "big") + bulk)

    async def _read(self) -> None:
        async for peer, data in self._talk:
            self.heard.setdefault(peer.id, []).append(int.from_bytes(data[:4], "big"))

    async def stop(self) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])


async def talk(
    talkers: list[Talker], until: Callable[[], bool] = lambda: False, within: float = 10.0
) -> float:
    """All say something to all, until something holds; the seconds that it took."""
    began = time.monotonic()
    while not until():
        assert time.monotonic() - began < within, (
            f"did not come true in {within} s: {[talker.news for talker in talkers]}"
        )
        for talker in talkers:
            for peer in list(talker.mesh.peers.values()):
                await talker.say(peer)
        await asyncio.sleep(PACE)
    return time.monotonic() - began


async def talk_for(talkers: list[Talker], seconds: float) -> None:
    until = time.monotonic() + seconds
    await talk(talkers, lambda: time.monotonic() > until, within=seconds + 10)


async def check(talkers: list[Talker]) -> None:
    """All that has been said has been heard, once and in order."""
    by_id = {talker.mesh.id: talker for talker in talkers}
    said = [
        (by_id[to].heard.setdefault(talker.mesh.id, []), count)
        for talker in talkers
        for to, count in talker.said.items()
    ]
    async with asyncio.timeout(20):
        while any(len(heard) < count for heard, count in said):
            await asyncio.sleep(0.02)
    for heard, count in said:
        assert heard == list(range(count))


def transport_to(talker: Talker, other: Talker) -> WebRtcTransport:
    link = talker.peer(other)._connection.link
    assert link is not None
    assert isinstance(link.transport, WebRtcTransport)
    return link.transport


def cut(talker: Talker, other: Talker) -> None:
    """Let no packet of the link between two get out or in any more, at one end, and tell nobody."""
    transport = transport_to(talker, other)
    connection = transport._internals._connection  # type: ignore[union-attr]
    for protocol in connection._protocols:
        protocol.datagram_received = lambda data, addr: None
        protocol.send_stun = lambda message, addr: None
    connection.data_received = lambda data, component: None
    transport._internals._ice._send = _lose  # type: ignore[union-attr]


async def _lose(data: bytes) -> None:
    """A network that takes everything and brings nothing."""
