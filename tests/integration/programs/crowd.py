"""Players in one process: ``crowd.py URL COUNT``. Says when all are in, then plays until killed.

With a line on its input every other one leaves properly, which it says as well.
"""

import asyncio
import sys

import netcode as nc
from tests.integration.programs.crowd_game import GAME, Steer


async def play(client: nc.Client) -> None:
    try:
        while True:
            client.update(Steer(thrust=True))
            await asyncio.sleep(1 / 30)
    except nc.Disconnected as error:
        print("Disconnected:", error, flush=True)


async def main(url: str, count: int) -> None:
    clients = [nc.connect(url, GAME, name=f"player {number}") for number in range(count)]
    await asyncio.gather(*(client.__aenter__() for client in clients))
    playing = [asyncio.create_task(play(client)) for client in clients]
    print("all in", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients[::2]))
    print("half has left", flush=True)
    await asyncio.gather(*playing)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
