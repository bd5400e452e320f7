"""Meshes over real WebRTC and a real signaling server."""

import asyncio
import random

import pytest

import netcode as nc
from signaling import SignalingServer


@pytest.fixture
async def url():
    async with SignalingServer() as server:
        yield f"ws://127.0.0.1:{server.port}"


async def test_three_peers_hear_each_other(url: str) -> None:
    async with (
        nc.join_mesh(url, room="42", name="Ada") as ada,
        nc.join_mesh(url, room="42", name="Bob") as bob,
        nc.join_mesh(url, room="42", name="Cyd") as cyd,
    ):
        meshes = (ada, bob, cyd)
        async with asyncio.timeout(10):
            for mesh in meshes:
                await mesh.wait_for_peers(2)
            chats = [mesh.channel("chat", nc.RELIABLE) for mesh in meshes]
            for chat, name in zip(chats, (b"Ada", b"Bob", b"Cyd"), strict=True):
                await chat.broadcast(b"from " + name)
            for chat, mesh in zip(chats, meshes, strict=True):
                heard = {(await anext(chat)) for _ in range(2)}
                assert {data.decode() for _, data in heard} == {
                    f"from {peer.name}" for peer in mesh.peers.values()
                }


async def test_a_long_message_does_not_hold_up_a_short_one(url: str) -> None:
    seed = 5
    print("seed", seed)
    big = random.Random(seed).randbytes(400_000)
    async with nc.join_mesh(url, room="a") as here, nc.join_mesh(url, room="a") as there:
        async with asyncio.timeout(20):
            await here.wait_for_peers(1)
            await there.wait_for_peers(1)
            files, pings = here.channel("files", nc.RELIABLE), here.channel("pings", nc.RELIABLE)
            order: list[str] = []

            async def read(name: str) -> bytes:
                _, data = await anext(there.channel(name, nc.RELIABLE))
                order.append(name)
                return data

            reading = asyncio.gather(read("files"), read("pings"))
            await files.broadcast(big)
            await pings.broadcast(b"ping")
            assert await reading == [big, b"ping"]
            assert order == ["pings", "files"]


async def test_a_message_for_a_channel_not_yet_opened_waits(url: str) -> None:
    async with nc.join_mesh(url, room="a") as here, nc.join_mesh(url, room="a") as there:
        async with asyncio.timeout(10):
            await here.wait_for_peers(1)
            await here.channel("early", nc.UNORDERED).broadcast(b"first")
            await here.channel("marker", nc.RELIABLE).broadcast(b"done")
            await anext(there.channel("marker", nc.RELIABLE))
            _, data = await anext(there.channel("early", nc.UNORDERED))
            assert data == b"first"


async def test_leaving_is_told_and_ends_the_iteration(url: str) -> None:
    async with nc.join_mesh(url, room="a", name="Ada") as ada:
        gone: list[str] = []
        left = asyncio.Event()
        async with nc.join_mesh(url, room="a", name="Bob") as bob:
            async with asyncio.timeout(10):
                await ada.wait_for_peers(1)

            @ada.on_leave
            def on_leave(peer: nc.MeshPeer) -> None:
                gone.append(f"{peer.name} {peer.left_because}")
                left.set()

            chat = bob.channel("chat", nc.RELIABLE)
        assert [message async for message in chat] == []
        with pytest.raises(nc.Disconnected):
            await chat.broadcast(b"too late")
        async with asyncio.timeout(5):
            await left.wait()
        assert gone == ["Bob left"]


async def test_a_full_room_says_so(url: str) -> None:
    from signaling import SignalingLimits

    async with SignalingServer(limits=SignalingLimits(max_peers_per_room=1)) as server:
        full = f"ws://127.0.0.1:{server.port}"
        async with nc.join_mesh(full, room="a"):
            with pytest.raises(nc.Refused, match="full"):
                async with nc.join_mesh(full, room="a"):
                    pass
