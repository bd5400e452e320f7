"""What tests of signaling share: a server, its members, and WebSockets that say what they like."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from signaling import ServerMessage, SignalingClient, SignalingServer


@contextlib.asynccontextmanager
async def running(**settings: Any) -> AsyncIterator[SignalingServer]:
    """A started server that is stopped, and has left no task behind, at the end."""
    before = asyncio.all_tasks()
    server = SignalingServer(**settings)
    await server.start("127.0.0.1", 0)
    try:
        yield server
    finally:
        async with asyncio.timeout(5):
            await server.stop()
    assert server._connections == set()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert left == set()


def url(server: SignalingServer) -> str:
    return f"ws://127.0.0.1:{server.port}"


async def join(
    server: SignalingServer, name: str, room: str = "den", **more: Any
) -> SignalingClient:
    return await SignalingClient.connect(url(server), room=room, name=name, **more)


async def heard(client: SignalingClient) -> ServerMessage:
    """The next message for a client."""
    async with asyncio.timeout(5):
        return await anext(client)


@contextlib.asynccontextmanager
async def raw(
    server: SignalingServer, forwarded_for: str | None = None
) -> AsyncIterator[ClientConnection]:
    """A WebSocket that says what it likes, perhaps by way of a proxy on this machine."""
    headers = {} if forwarded_for is None else {"X-Forwarded-For": forwarded_for}
    async with connect(
        url(server), compression=None, proxy=None, additional_headers=headers
    ) as websocket:
        yield websocket


async def answer(websocket: ClientConnection) -> dict[str, Any]:
    async with asyncio.timeout(5):
        wire = json.loads(await websocket.recv())
    assert isinstance(wire, dict)
    return wire


async def raw_join(websocket: ClientConnection, name: str, room: str = "den", **more: Any) -> str:
    await websocket.send(
        json.dumps({"type": "join", "room": room, "name": name, "role": "peer", **more})
    )
    joined = await answer(websocket)
    assert joined["type"] == "joined", joined
    return str(joined["id"])


async def closed(websocket: ClientConnection) -> tuple[int, str]:
    """The code and reason with which the server closes; what it still says is read over."""
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await websocket.recv()
    assert websocket.close_code is not None
    assert websocket.close_reason is not None
    return websocket.close_code, websocket.close_reason


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def get(server: SignalingServer, path: str, **headers: str) -> tuple[int, str, str]:
    """A plain HTTP request's status, headers and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{k}: {v}" for k, v in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(5):
        text = (await reader.read()).decode()
    writer.close()
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), head, body
