"""Serves an empty game until it is told to end: ``draining_server.py SECONDS``."""

import sys

from arena import GAME

import netcode as nc

server = nc.Server(GAME)


@server.on_drain
def drain(seconds: float) -> None:
    print("draining", seconds, flush=True)


@server.on_join
def join(player: nc.Player) -> None:
    print("joined", player.name, flush=True)


@server.on_leave
def leave(player: nc.Player) -> None:
    print("gone", player.name, player.left_because, flush=True)


server.run(0, "127.0.0.1", drain=float(sys.argv[1]))
print("ended", flush=True)
