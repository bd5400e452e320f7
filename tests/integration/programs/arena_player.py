"""Plays the arena. ``arena_player.py URL NAME [thrust] [conditions=NAME]``; says whom it sees."""

import sys
import time

from arena import GAME, Ship, Steer

import netcode as nc

url, name, *options = sys.argv[1:]
conditions = next((o.removeprefix("conditions=") for o in options if "=" in o), None)
thrust = "thrust" in options
seen: dict[str, int] = {}

with nc.connect(url, GAME, name=name, conditions=conditions) as client:
    print("in", client.player_id, flush=True)

    @client.on_leave(Ship)
    def on_leave(ship: Ship) -> None:
        print("lost", ship.name, flush=True)

    while True:
        client.update(Steer(thrust=thrust))
        for ship in client.world[Ship]:
            far = int(ship.x // 20)
            if seen.get(ship.name) != far:
                seen[ship.name] = far
                print("sees", ship.name, far, flush=True)
        time.sleep(1 / 60)
