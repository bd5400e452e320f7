"""Sockets that listen: what they accept must not hold small packets back."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from signaling.listening import listen_everywhere
from signaling.turn.ports import bind


@pytest.mark.parametrize(
    "listen",
    [
        lambda: listen_everywhere(0),
        lambda: bind(socket.SOCK_STREAM, "127.0.0.1", 0),
    ],
    ids=["signaling", "relay"],
)
async def test_what_is_accepted_sends_at_once(listen: Callable[[], socket.socket]) -> None:
    """With Nagle's algorithm, a small packet waits 40 ms for the acknowledgement of the last."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            there = transport.get_extra_info("socket")
            accepted.set_result(there.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    listening = listen()
    server = await asyncio.get_running_loop().create_server(Accepting, sock=listening)
    async with server:
        with socket.create_connection(("127.0.0.1", listening.getsockname()[1])):
            assert await asyncio.wait_for(accepted, 5)
