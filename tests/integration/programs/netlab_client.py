"""Plays the laboratory's game: ``netlab_client.py URL``.

Says ``joined``, or ``failed``, and ``ended`` if the session is over. What it is told is for its
conversation (`netlab_game.Talk.take`); ``report`` counts what has been said and heard, and says by
which way, and in which slot; ``leave`` makes it leave, and say ``left`` when it has.
"""

import asyncio
import sys
import time

from netlab_game import GAME, Big, Small, Steer, Talk, lines, tell
from netlab_words import way_of

import netcode as nc

FRAME = 1 / 60
PATIENCE = 8.0
"""Seconds for joining; the slowest that pass take five."""


async def main(url: str) -> None:
    began = time.monotonic()
    try:
        async with nc.connect(url, GAME, name="Ada", timeout=PATIENCE) as client:
            seconds = time.monotonic() - began
            tell("joined", seconds=seconds, slot=client.player_id, **way_of(client))
            await play(client)
        tell("left")
    except nc.JoinError as error:
        tell("failed", why=str(error), seconds=time.monotonic() - began)
    except nc.Disconnected as error:
        tell("ended", why=error.reason)


async def play(client: nc.Client) -> None:
    talk = Talk(client.send)
    client.on(Small)(talk.hear)
    client.on(Big)(talk.hear)
    listening = asyncio.create_task(listen(client, talk))
    try:
        while not listening.done():
            client.update(Steer(thrust=True))
            talk.go_on()
            await asyncio.sleep(FRAME)
        listening.result()
    finally:
        listening.cancel()


async def listen(client: nc.Client, talk: Talk) -> None:
    async for line in lines():
        if line == "leave":
            return
        if line == "report":
            tell(
                "report",
                **talk.report(),
                **way_of(client),
                slot=client.player_id,
                broadcast_hz=client.stats.broadcast_hz,
            )
        else:
            talk.take(line)


asyncio.run(main(*sys.argv[1:]))
