"""Serves the laboratory's game: ``netlab_server.py ADDRESS SECRET RELAY RELAY_PORT``.

Says ``ready``, and ``joined`` and ``left`` of players. What it is told is for its conversation
with the first player (`netlab_game.Talk.take`); ``report`` counts what has been said and heard.
"""

import asyncio
import sys

from netlab_game import GAME, Big, Ship, Small, Talk, lines, tell
from netlab_words import server as server_for

import netcode as nc

address, secret, relay, relay_port = sys.argv[1:]
server = server_for(GAME, secret, relay, int(relay_port))
talks: dict[int, Talk] = {}


@server.on_join
def join(player: nc.Player) -> None:
    player.control(server.world.spawn(Ship))
    talks[player.id] = Talk(player.send)
    tell("joined", id=player.id, name=player.name)


@server.on_leave
def leave(player: nc.Player) -> None:
    for ship in player.entities:
        server.world.despawn(ship)
    tell("left", id=player.id, why=player.left_because)


@server.on(Small)
def small(player: nc.Player, message: Small) -> None:
    talks[player.id].hear(message)


@server.on(Big)
def big(player: nc.Player, message: nc.Message) -> None:
    talks[player.id].hear(message)


@server.on_tick
def talk(step: nc.Step) -> None:
    for player in server.players.values():
        talks[player.id].go_on()


async def main() -> None:
    await server.start(0, address)
    tell("ready", url=server.url)
    async for line in lines():
        first = next(iter(talks.values()))
        if line == "report":
            tell("report", **first.report(), players=list(server.players))
        else:
            first.take(line)


asyncio.run(main())
