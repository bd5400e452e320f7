"""Serves the arena, and says what happens on standard output. ``arena_server.py [PORT]``"""

import asyncio
import sys

from arena import GAME, Ship

import netcode as nc

server = nc.Server(GAME, grace=0.0)


@server.on_join
def join(player: nc.Player) -> None:
    player.control(server.world.spawn(Ship, name=player.name))
    print("joined", player.name, flush=True)


@server.on_leave
def leave(player: nc.Player) -> None:
    for ship in player.entities:
        server.world.despawn(ship)
    print("gone", player.name, player.left_because, flush=True)


async def main() -> None:
    await server.start(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print("url", server.url, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await server.stop()
    print("stopped", flush=True)


asyncio.run(main())
