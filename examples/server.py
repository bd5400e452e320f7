# server.py
from game import GAME, Chat, Ship

import netcode as nc

server = nc.Server(GAME, tick_rate=60, broadcast_rate=20, interest=nc.Radius(600))


@server.on_join
def join(player: nc.Player) -> None:
    player.control(server.world.spawn(Ship, x=0, y=0, name=player.name, ammo=20))
    server.broadcast(Chat(text=f"{player.name} is here"))


@server.on_leave
def leave(player: nc.Player) -> None:
    for ship in player.entities:
        server.world.despawn(ship)


@server.on(Chat)
def chat(player: nc.Player, message: Chat) -> None:
    server.broadcast(Chat(text=f"{player.name}: {message.text}"))


server.run(port=8080)  # signaling, the relay and the game, in one process
