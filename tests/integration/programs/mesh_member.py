"""A member of a mesh that says who it has met, until it is killed."""

import asyncio
import sys

import netcode as nc


async def main(url: str, name: str) -> None:
    async with nc.join_mesh(url, room="42", name=name) as mesh:
        print("met", len(mesh.peers))
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
