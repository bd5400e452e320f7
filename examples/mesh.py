# mesh.py: no server at all, everyone connected to everyone
import asyncio

import netcode as nc


async def main() -> None:
    async with nc.join_mesh("ws://localhost:9000", room="42", name="Ada") as mesh:
        chat = mesh.channel("chat", nc.RELIABLE)
        await mesh.wait_for_peers(1)
        await chat.broadcast(b"hello")
        async for peer, data in chat:
            print(f"{peer.name} says {data.decode()}")
            break


asyncio.run(main())
