"""A member of a mesh: ``netlab_peer.py URL ROOM wait`` or ``netlab_peer.py URL ROOM call``.

Who waits says ``waiting``, and sends back whatever it hears. Who calls says ``connected``, how many
seconds that took and by which way, then ``echoed``, how many messages have come back in order, or
``failed``.
"""

import asyncio
import json
import sys
import time

from netlab_words import way_to

import netcode as nc

PATIENCE = 7.0
"""Seconds for a connection; the slowest that pass take five."""

ECHOES = 100


def tell(event: str, **what: object) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


async def wait(url: str, room: str) -> None:
    async with nc.join_mesh(url, room=room, name="Bob") as mesh:
        echo = mesh.channel("echo", nc.RELIABLE)
        tell("waiting")
        async for peer, data in echo:
            await echo.send(peer, data)


async def call(url: str, room: str) -> None:
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE) as patience, nc.join_mesh(url, room=room) as mesh:
            await mesh.wait_for_peers(1)
            (peer,) = mesh.peers.values()
            tell("connected", seconds=time.monotonic() - began, **way_to(peer))
            patience.reschedule(None)
            await exchange(mesh.channel("echo", nc.RELIABLE))
    except (TimeoutError, nc.NetcodeError) as error:
        tell("failed", why=repr(error), seconds=time.monotonic() - began)


async def exchange(echo: nc.MeshChannel) -> None:
    """Send messages, and count those that come back in order until one is missing."""
    began = time.monotonic()
    sent = [f"message {number}".encode() for number in range(ECHOES)]
    count = 0
    try:
        async with asyncio.timeout(PATIENCE):
            for message in sent:
                await echo.broadcast(message)
            async for _, data in echo:
                if data != sent[count]:
                    break
                count += 1
                if count == len(sent):
                    break
    finally:
        tell("echoed", count=count, seconds=time.monotonic() - began)


async def main(url: str, room: str, role: str) -> None:
    await (wait if role == "wait" else call)(url, room)


asyncio.run(main(*sys.argv[1:]))
