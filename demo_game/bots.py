"""Bots: clients like any other, flown by a `brain.Brain`. Needs no pygame.

``python -m demo_game bots ws://localhost:8080 -n 5`` puts five of them into an arena, all in one
process and on one event loop.
"""

import asyncio
import os
import random
import time

import netcode as nc
from demo_game.brain import Brain
from demo_game.game import GAME, Enter, Ship
from demo_game.humming import Humming
from demo_game.processes import Manager, say
from netcode.voice.sinks import NullSink
from netcode.voice.sources import Hum

FRAME = 1 / 20
"""Seconds between two updates: bots have no screen to keep smooth."""
NETWORK_SHARE = 0.5
"""Share of the time that the bots of a process leave to their links. On a machine that is too busy
they look less often; else packets would wait, the round trip would grow, with it what prediction
has to play again, and so the time for each look."""
JOIN_ATTEMPTS = 2
"""A machine that has just started a server and many bots may be too busy for the first."""
NAMES = (
    "Vega",
    "Rigel",
    "Altair",
    "Mira",
    "Deneb",
    "Sirius",
    "Atlas",
    "Capella",
    "Polaris",
    "Antares",
    "Bellatrix",
    "Castor",
    "Electra",
    "Maia",
    "Naos",
    "Spica",
)


async def fly_bot(
    url: str,
    name: str,
    seed: int,
    manager: Manager,
    conditions: str | None,
    joined: list[str],
    crowd: int,
    hum: bool,
) -> None:
    """Join, tell so, and play until the parent process ends it, or the server is gone.

    A bot that loses its connection comes back. ``crowd`` is how many bots share this process.
    With ``hum`` it can be heard now and then; it listens to nobody. Raises `netcode.JoinError` if
    the arena cannot be entered.
    """
    brain, humming = Brain(random.Random(seed)), Humming(random.Random(seed))
    has_played = False
    attempts = JOIN_ATTEMPTS
    while not manager.ended:
        try:
            voice = nc.Voice(source=Hum(seed), sink=NullSink()) if hum else None
            async with nc.connect(
                url, GAME, name=name, conditions=conditions, voice=voice
            ) as client:
                has_played = True
                if hum:
                    client.voice.deafened = True
                client.send(Enter())
                joined.append(name)
                fact = {"name": name, "pid": os.getpid(), "transport": client.stats.transport}
                say({"joined": fact, "count": len(joined)})
                while not manager.ended:
                    start, own = time.monotonic(), client.own(Ship)
                    client.update(brain.decide(client.world, own, start))
                    if hum:
                        client.voice.pressed = humming.pressed(start)
                    took = time.monotonic() - start
                    await asyncio.sleep(max(FRAME, crowd * took / NETWORK_SHARE))
        except nc.Disconnected as end:
            say({"ended": {"name": name, "reason": end.reason}})
            attempts = JOIN_ATTEMPTS
        except nc.JoinError as error:
            attempts -= 1
            if has_played and not attempts:
                return  # the server has ended, and so does the game
            if not attempts or not isinstance(error, nc.Unreachable):
                raise


async def run_bots(
    url: str,
    count: int,
    *,
    first: int,
    seed: int,
    conditions: str | None,
    hum: bool,
    managed: bool,
) -> None:
    """All bots of this process. ``first`` is where in the list of names they begin."""
    manager = Manager(managed)
    joined: list[str] = []
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            lap, place = divmod(number, len(NAMES))
            name = NAMES[place] + (f" {lap + 1}" if lap else "")
            group.create_task(
                fly_bot(url, name, seed + number, manager, conditions, joined, count, hum),
                name=name,
            )


def main(
    url: str,
    count: int,
    *,
    first: int,
    seed: int,
    conditions: str | None,
    hum: bool,
    managed: bool,
) -> int:
    """The ``bots`` command."""
    try:
        asyncio.run(
            run_bots(
                url,
                count,
                first=first,
                seed=seed,
                conditions=conditions,
                hum=hum,
                managed=managed,
            )
        )
    except KeyboardInterrupt:
        return 0
    except ExceptionGroup as errors:
        refusals, others = errors.split(nc.JoinError)
        if others is not None or refusals is None:
            raise
        print(f"The bots cannot join: {refusals.exceptions[0]}", flush=True)
        return 1
    return 0
