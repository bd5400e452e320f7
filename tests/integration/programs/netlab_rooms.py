"""Rooms for the laboratory: ``netlab_rooms.py SECRET RELAY_PORT ADDRESS...``.

At each address there is a relay, and will be a signaling server that tells everybody of it. Says
``ready`` with their urls when all the relays answer.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from functools import partial

from netlab_words import ice_servers

from signaling import SignalingServer
from tests.integration.turn_lab import answers


async def main(secret: str, relay_port: str, *addresses: str) -> None:
    port = int(relay_port)
    async with AsyncExitStack() as running:
        urls = {}
        for address in addresses:
            server = SignalingServer(ice_servers=partial(ice_servers, secret, address, port))
            await server.start(address, 0)
            running.push_async_callback(server.stop)
            urls[address] = f"ws://{address}:{server.port}"
            while not await answers(port, address):
                pass  # it has waited a little
        print(json.dumps({"event": "ready", "urls": urls}), flush=True)
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
