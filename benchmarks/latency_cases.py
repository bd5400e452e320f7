"""What the latency question compares: ways to send a state from one program to another."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.cable import ADDRESSES

CONNECT_TIMEOUT = 60.0
"""Seconds: stock WebRTC waits up to 3 s for each lost packet of its handshakes."""

OnReceive = Callable[[bytes], None]


class Signaling(Protocol):
    """Carries the introduction between the two ends, not over the cable."""

    async def tell(self, text: str) -> None:
        """Send a text to the other end."""

    async def hear(self) -> str:
        """Wait for a text from the other end."""

    def note(self, text: str) -> None:
        """Tell the person who reads the figures."""


class Case(Protocol):
    """One end of one way to send states. Host 0 sends, host 1 receives."""

    def __init__(self, on_receive: OnReceive) -> None: ...

    async def connect_sender(self, signaling: Signaling) -> None:
        """Open the sending end; return when it can send."""

    async def connect_receiver(self, signaling: Signaling) -> None:
        """Open the receiving end."""

    async def send(self, data: bytes) -> None:
        """Send one state, as somebody would who wants the newest one to be there soon."""

    async def close(self) -> None:
        """Close this end. The other may have gone."""


class RawUnreliable:
    """The floor: aiortc with nothing around it, its stock settings, one unreliable channel."""

    def __init__(self, on_receive: OnReceive) -> None:
        self._on_receive = on_receive
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._channel: RTCDataChannel = self._connection.createDataChannel(
            "state", negotiated=True, id=0, ordered=False, maxRetransmits=0
        )
        self._channel.on("message", self._received)
        self._open = asyncio.Event()
        self._channel.on("open", self._open.set)

    async def connect_sender(self, signaling: Signaling) -> None:
        await self._connection.setLocalDescription()
        await signaling.tell(self._connection.localDescription.sdp)
        answer = await signaling.hear()
        await self._connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await self._open.wait()

    async def connect_receiver(self, signaling: Signaling) -> None:
        offer = await signaling.hear()
        await self._connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self._connection.setLocalDescription()
        await signaling.tell(self._connection.localDescription.sdp)
        await self._open.wait()

    async def send(self, data: bytes) -> None:
        self._channel.send(data)

    async def close(self) -> None:
        await self._connection.close()

    def _received(self, data: Any) -> None:
        self._on_receive(data)


class WebSocket:
    """What one would have written otherwise: the websockets library over the kernel's TCP.

    TCP_NODELAY is on, as asyncio sets it; compression is off, as it would only cost here.
    """

    def __init__(self, on_receive: OnReceive) -> None:
        self._on_receive = on_receive
        self._connection: Connection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._close_server: Callable[[], Awaitable[None]] | None = None

    async def connect_sender(self, signaling: Signaling) -> None:
        joined: asyncio.Future[ServerConnection] = asyncio.get_running_loop().create_future()

        async def serve_one(connection: ServerConnection) -> None:
            joined.set_result(connection)
            await connection.wait_closed()

        server = await serve(serve_one, ADDRESSES[0], 0, compression=None)
        (port,) = {s.getsockname()[1] for s in server.sockets}

        async def close_server() -> None:
            server.close()
            await server.wait_closed()

        self._close_server = close_server
        await signaling.tell(f"ws://{ADDRESSES[0]}:{port}")
        self._connection = await joined
        sock = self._connection.transport.get_extra_info("socket")
        control = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        signaling.note(f"TCP congestion control: {control.rstrip(bytes(1)).decode()}")

    async def connect_receiver(self, signaling: Signaling) -> None:
        url = await signaling.hear()
        self._connection = await connect(
            url, compression=None, proxy=None, open_timeout=CONNECT_TIMEOUT
        )
        self._reading = asyncio.create_task(self._read(self._connection))

    async def send(self, data: bytes) -> None:
        assert self._connection is not None
        await self._connection.send(data)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._reading is not None:
            await self._reading
        if self._close_server is not None:
            await self._close_server()

    async def _read(self, connection: Connection) -> None:
        async for message in connection:
            assert isinstance(message, bytes)
            self._on_receive(message)
