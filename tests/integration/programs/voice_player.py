"""A player who talks and hears by devices: ``voice_player.py URL NAME MICROPHONE SPEAKER``.

Holds the key to talk until its input ends; says ``talking`` when its voice goes out.
"""

import asyncio
import sys

import netcode as nc

GAME = nc.Protocol()


async def main(url: str, name: str, microphone: str, speaker: str) -> None:
    voice = nc.Voice(microphone=microphone, speaker=speaker)
    async with nc.connect(url, GAME, name=name, voice=voice) as client:
        client.voice.pressed = True
        ended = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        was_talking = False
        while not ended.done():
            client.update()
            if client.voice.problem is not None:
                print("problem", client.voice.problem, flush=True)
                break
            if client.voice.talking and not was_talking:
                was_talking = True
                print("talking", flush=True)
            await asyncio.sleep(1 / 30)
    print("left", flush=True)


asyncio.run(main(*sys.argv[1:]))
