"""What a person is told when joining does not work, and what cancelling does."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from websockets.asyncio.server import ServerConnection, serve

from signaling import (
    Candidate,
    ConnectionLost,
    Offer,
    PeerJoined,
    PeerLeft,
    Refused,
    SignalingClient,
    SignalingServer,
    Unreachable,
    UsageError,
)


@contextlib.asynccontextmanager
async def answering(reply: bytes | None) -> AsyncIterator[str]:
    """The url of something on TCP that answers with some bytes, or, with None, not at all."""
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if reply is None:
            await over.wait()
        else:
            writer.write(reply)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        over.set()


@contextlib.asynccontextmanager
async def websocket_server(
    handle: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[str]:
    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def connect(url: str, timeout: float = 5) -> SignalingClient:
    return await SignalingClient.connect(url, room="den", name="Ada", timeout=timeout)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8080", "write 'ws://localhost:8080'"),
        ("http://example.org/x", "write 'ws://example.org/x'"),
        ("https://example.org", "write 'wss://example.org'"),
        ("ws://", "no usable url"),
        ("ws://:8080", "no usable url"),
        ("ws://example.org:port", "no usable url"),
        ("ws://example.org:70000", "no usable url"),
        ("ws://example.org/#room", "no usable url"),
        ("ws://[::1", "no usable url"),
        ("", "ws://"),
    ],
)
async def test_a_wrong_url_names_the_fix(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await connect(url)


@pytest.mark.parametrize(("room", "name"), [("", "Ada"), ("den", "n" * 65)])
async def test_a_wrong_room_or_name_is_refused_before_anything_is_opened(
    room: str, name: str
) -> None:
    with pytest.raises(UsageError, match="must have"):
        await SignalingClient.connect("ws://127.0.0.1:1", room=room, name=name)


async def test_nobody_there() -> None:
    async with answering(b"") as url:
        pass  # closed again: nobody listens on that port now
    with pytest.raises(Unreachable, match=rf"no server answers at {url}: is it running"):
        await connect(url)


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(
        Unreachable, match=r"host name in ws://no-such-host\.invalid:1 is not known"
    ):
        await connect("ws://no-such-host.invalid:1")


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", r"web server .*HTTP 404"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", r"web server .*HTTP 200"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no WebSocket server: is the port right"),
        (b"", "no WebSocket server: is the port right"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "no WebSocket server"),
    ],
)
async def test_something_else_on_the_port(reply: bytes, says: str) -> None:
    async with answering(reply) as url:
        with pytest.raises(Unreachable, match=says):
            await connect(url)


async def test_a_server_that_does_not_speak_tls() -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        with pytest.raises(Unreachable, match=r"TLS with wss://.* use ws:// instead"):
            await connect(url.replace("ws:", "wss:"))


async def test_silence_ends_with_the_timeout() -> None:
    async with answering(None) as url:
        with pytest.raises(Unreachable, match=r"no answer from .* within 0.1 s"):
            await connect(url, timeout=0.1)


@pytest.mark.parametrize(
    "says", ["welcome to the chat", '{"type": "peer_left", "id": "x", "reason": ""}']
)
async def test_a_websocket_server_that_is_no_signaling_server(says: str) -> None:
    async def greet(websocket: ServerConnection) -> None:
        await websocket.send(says)
        await websocket.wait_closed()

    async with websocket_server(greet) as url:
        with pytest.raises(Unreachable, match="no signaling server"):
            await connect(url)


async def test_a_websocket_server_that_closes_at_once_says_why() -> None:
    async def refuse(websocket: ServerConnection) -> None:
        await websocket.close(1008, "members only")

    async with websocket_server(refuse) as url:
        with pytest.raises(Refused, match="closed the connection: members only"):
            await connect(url)


async def test_nonsense_from_the_server_is_counted_and_passed_over() -> None:
    async def talk(websocket: ServerConnection) -> None:
        await websocket.recv()
        await websocket.send(
            '{"type": "joined", "id": "a", "room": "den", "host": null, "peers": [],'
            ' "ice_servers": []}'
        )
        for text in (b"\x00", "what?", '{"type": "from_the_future"}'):
            await websocket.send(text)
        await websocket.send('{"type": "peer_joined", "id": "b", "name": "Bob", "role": "peer"}')
        await websocket.close(1011, "out of order")

    async with websocket_server(talk) as url:
        client = await connect(url)
        assert await anext(client) == PeerJoined("b", "Bob")
        assert client.malformed == 3
        with pytest.raises(ConnectionLost, match="out of order") as caught:
            await anext(client)
        assert url in caught.value.reason
        await client.close()


async def test_cancelling_connect_leaves_nothing_behind() -> None:
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def ignore(websocket: ServerConnection) -> None:
        await websocket.recv()
        asked.set()
        await websocket.wait_closed()
        gone.set()

    async with asyncio.timeout(5), websocket_server(ignore) as url:
        task = asyncio.create_task(connect(url))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await gone.wait()


async def test_cancelling_the_iteration_loses_no_message() -> None:
    async with SignalingServer() as server:
        url = f"ws://127.0.0.1:{server.port}"
        async with await connect(url) as ada:
            waiting = asyncio.create_task(anext(ada))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            async with await connect(url) as bob:
                async with asyncio.timeout(5):
                    assert await anext(ada) == PeerJoined(bob.id, "Ada")
            async with asyncio.timeout(5):
                assert await anext(ada) == PeerLeft(bob.id, "left")


async def test_closing_with_unread_messages_does_not_hang() -> None:
    async with SignalingServer() as server:
        url = f"ws://127.0.0.1:{server.port}"
        async with asyncio.timeout(5), await connect(url) as ada, await connect(url) as bob:
            # More than the client reads ahead, so that the answer to its close waits behind.
            for number in range(100):
                await bob.send(Candidate(ada.id, str(number)))
            while ada._socket.transport.is_reading():
                await asyncio.sleep(0.005)
            async with asyncio.timeout(1):  # less than the grace for a server that is gone
                await ada.close()


async def test_misuse_of_send_raises_and_sends_nothing() -> None:
    async with SignalingServer() as server:
        url = f"ws://127.0.0.1:{server.port}"
        async with await connect(url) as ada, await connect(url) as bob:
            with pytest.raises(UsageError, match="sdp"):
                await bob.send(Offer(ada.id, "s" * 61_441))
            with pytest.raises(UsageError, match="close\\(\\) leaves"):
                await bob.send("leave")  # type: ignore[arg-type]
            await bob.send(Offer(ada.id, "v=0"))
            async with asyncio.timeout(5):
                assert isinstance(await anext(ada), PeerJoined)
                assert (await anext(ada)).sdp == "v=0"  # type: ignore[union-attr]
