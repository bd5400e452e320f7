"""A real signaling server and real WebSockets, on this machine."""

import asyncio
import contextlib
import errno
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from signaling import (
    Answer,
    AnswerFrom,
    Candidate,
    CandidateFrom,
    ConnectionLost,
    Error,
    IceServer,
    Offer,
    OfferFrom,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    Refused,
    ServerMessage,
    SignalingClient,
    SignalingLimits,
    SignalingServer,
    Unreachable,
    UsageError,
)
from tests.integration.signaling_lab import (
    answer,
    closed,
    eventually,
    heard,
    join,
    raw,
    raw_join,
    running,
    url,
)

pytestmark = pytest.mark.usefixtures("nothing_logged")


@pytest.fixture
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Any:
    """Whatever the others do, the server has nothing to complain about in the log."""
    yield
    assert [
        record.getMessage() for record in caplog.get_records("call") if record.levelno > 20
    ] == []


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    async with running() as server:
        yield server


# --- meeting -------------------------------------------------------------------------------------


async def test_two_clients_meet_and_introduce_themselves(server: SignalingServer) -> None:
    async with await join(server, "Ada", role="host") as ada, await join(server, "Bob") as bob:
        assert (ada.host, ada.peers) == (ada.id, {})
        assert (bob.host, bob.peers) == (ada.id, {ada.id: "Ada"})
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        assert ada.peers == {bob.id: "Bob"}

        await bob.send(Offer(ada.id, "v=0 offer"))
        await bob.send(Candidate(ada.id, "candidate:1", "0", 0))
        await bob.send(Candidate(ada.id, None))
        assert await heard(ada) == OfferFrom(bob.id, "v=0 offer")
        assert await heard(ada) == CandidateFrom(bob.id, "candidate:1", "0", 0)
        assert await heard(ada) == CandidateFrom(bob.id, None)
        await ada.send(Answer(bob.id, "v=0 answer"))
        assert await heard(bob) == AnswerFrom(ada.id, "v=0 answer")


async def test_leaving_is_announced_and_iteration_ends(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada:
        bob = await join(server, "Bob", role="host")
        assert await heard(ada) == PeerJoined(bob.id, "Bob", "host")
        assert ada.host == bob.id
        await bob.close()
        await bob.close()
        assert [message async for message in bob] == []
        assert await heard(ada) == PeerLeft(bob.id, "left")
        assert [ada.host, ada.peers] == [None, {}]
        with pytest.raises(ConnectionLost, match="was closed"):
            await bob.send(Offer(ada.id, "v=0"))


async def test_a_leave_message_is_announced_and_closes(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        bob = await raw_join(websocket, "Bob")
        await heard(ada)
        await websocket.send('{"type": "leave"}')
        assert await closed(websocket) == (1000, "left")
        assert await heard(ada) == PeerLeft(bob, "left")


async def test_a_lost_socket_is_announced(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada:
        bob = await join(server, "Bob")
        await heard(ada)
        bob._socket.transport.abort()
        assert await heard(ada) == PeerLeft(bob.id, "lost")
        with pytest.raises(ConnectionLost, match="was lost"):
            await heard(bob)


async def test_a_silent_socket_is_noticed_by_pings() -> None:
    async with (
        running(limits=SignalingLimits(ping_interval=0.1, ping_timeout=0.1)) as server,
        await join(server, "Ada") as ada,
        raw(server) as websocket,
    ):
        bob = await raw_join(websocket, "Bob")
        await heard(ada)
        # From now on nothing is read or answered, as if the cable had been pulled.
        websocket.transport.pause_reading()
        assert await heard(ada) == PeerLeft(bob, "lost")
        websocket.transport.abort()


async def test_a_full_socket_that_nobody_reads_is_noticed_without_a_ping() -> None:
    limits = SignalingLimits(
        ping_interval=0.2,
        ping_timeout=0.2,
        send_queue_messages=10_000,
        send_queue_bytes=1_000_000_000,
        byte_burst=1_000_000_000,
    )
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        raw(server) as websocket,
    ):
        bob = await raw_join(websocket, "Bob")
        await heard(ada)
        websocket.transport.pause_reading()
        for _ in range(150):  # 9 MB: more than the system takes for a socket
            await ada.send(Offer(bob, "s" * 60_000))
        while isinstance(message := await heard(ada), Error):
            assert message.code == "unknown_peer"
        assert message == PeerLeft(bob, "lost")
        websocket.transport.abort()


async def test_pings_whose_answers_nobody_reads_end_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signaling.gate.MAX_UNSENT_BYTES", 65_536)
    async with (
        running() as server,
        await join(server, "Ada") as ada,
        raw(server) as websocket,
    ):
        eve = await raw_join(websocket, "Eve")
        await heard(ada)
        websocket.transport.pause_reading()
        ping = b"\x89\xfd" + bytes(4) + bytes(125)  # masked with zeros, the longest there is
        left = asyncio.create_task(heard(ada))
        while not left.done():
            websocket.transport.write(ping * 500)
            await asyncio.sleep(0)
        assert await left == PeerLeft(eve, "lost")


async def test_ice_servers_are_told_with_credentials_for_each() -> None:
    def servers(peer_id: str) -> list[IceServer]:
        return [IceServer(("stun:a.example",)), IceServer(("turn:a.example",), peer_id, "secret")]

    async with running(ice_servers=servers) as server, await join(server, "Ada") as ada:
        assert ada.ice_servers == tuple(servers(ada.id))


async def test_ice_servers_that_could_not_be_told_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match="ice_servers"):
        SignalingServer(ice_servers=[IceServer(("",))])
    with pytest.raises(UsageError, match="ice_servers"):
        SignalingServer(ice_servers=[IceServer(("stun:a",))] * 33)


async def test_ids_are_long_and_all_different(server: SignalingServer) -> None:
    async with contextlib.AsyncExitStack() as stack:
        ids = {(await stack.enter_async_context(await join(server, "n"))).id for _ in range(20)}
    assert len(ids) == 20
    assert all(len(peer_id) == 16 for peer_id in ids)


# --- what is refused -----------------------------------------------------------------------------


async def test_a_forged_sender_is_overwritten(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        eve = await raw_join(websocket, "Eve")
        await heard(ada)
        forged = {"type": "offer", "to": ada.id, "from": ada.id, "sender": ada.id, "sdp": "v=0"}
        await websocket.send(json.dumps(forged))
        assert await heard(ada) == OfferFrom(eve, "v=0")


async def test_another_room_cannot_be_reached_and_hears_nothing(server: SignalingServer) -> None:
    async with (
        await join(server, "Ada", "den") as ada,
        await join(server, "Bob", "den") as bob,
        await join(server, "Eve", "attic") as eve,
    ):
        assert eve.peers == {}
        await eve.send(Offer(ada.id, "v=0"))
        assert await heard(eve) == Error(
            "unknown_peer", "there is no such other peer in your room: it may have left", ada.id
        )
        await bob.send(Offer(ada.id, "from a friend"))
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        assert await heard(ada) == OfferFrom(bob.id, "from a friend")
        # Sending to nobody is no offence, however often: the other may just have left.
        for _ in range(20):
            await eve.send(Offer(ada.id, "v=0"))
            assert isinstance(await heard(eve), Error)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", "not_json"),
        ("[]", "not_an_object"),
        (b"\x00\x01", "bad_parcel"),
        ('{"type": "dance"}', "unknown_type"),
        ('{"type": "join", "room": "den"}', "missing_field"),
        ('{"type": "join", "room": "", "name": "", "role": "peer"}', "bad_field"),
        ('{"type": "offer", "to": "x", "sdp": "v=0"}', "not_joined"),
        ("[" * 50_000, "not_json"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_bad_input_is_explained_and_the_connection_goes_on(
    server: SignalingServer, text: str | bytes, code: str
) -> None:
    async with raw(server) as websocket:
        await websocket.send(text)
        error = await answer(websocket)
        assert (error["type"], error["code"]) == ("error", code)
        await raw_join(websocket, "Ada")


async def test_a_second_join_is_refused(server: SignalingServer) -> None:
    async with raw(server) as websocket:
        await raw_join(websocket, "Ada")
        await websocket.send('{"type": "join", "room": "attic", "name": "", "role": "peer"}')
        assert (await answer(websocket))["code"] == "already_joined"


async def test_too_much_bad_input_ends_the_connection_and_no_other(
    server: SignalingServer,
) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        eve = await raw_join(websocket, "Eve")
        await heard(ada)
        for _ in range(5):
            await websocket.send("nonsense")
        assert [(await answer(websocket))["code"] for _ in range(5)] == ["not_json"] * 5
        assert await closed(websocket) == (1008, "too many malformed messages")
        assert await heard(ada) == PeerLeft(eve, "broke the rules")
        async with await join(server, "Bob") as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob")


async def test_an_oversized_message_ends_the_connection(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, raw(server) as websocket:
        eve = await raw_join(websocket, "Eve")
        await heard(ada)
        await websocket.send("x" * 65_537)
        assert (await closed(websocket))[0] == 1009
        assert await heard(ada) == PeerLeft(eve, "lost")


async def test_the_largest_message_passes(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada, await join(server, "Bob") as bob:
        await heard(ada)
        await bob.send(Offer(ada.id, "é" * (61_440 // 2)))
        assert await heard(ada) == OfferFrom(bob.id, "é" * (61_440 // 2))


async def test_who_does_not_join_is_closed() -> None:
    limits = SignalingLimits(join_timeout=0.05)
    async with running(limits=limits) as server, raw(server) as websocket:
        assert await closed(websocket) == (1008, "no join within 0.05 seconds")


async def test_who_has_joined_may_stay_longer_than_joining_may_take() -> None:
    async with (
        running(limits=SignalingLimits(join_timeout=0.2)) as server,
        await join(server, "Ada") as ada,
        raw(server) as late,
    ):
        assert (await closed(late))[0] == 1008  # connected after Ada, so her time is over too
        async with await join(server, "Bob") as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob")


async def test_a_slow_reader_is_closed_while_others_go_on() -> None:
    # The system's own buffers swallow some megabytes before anything waits in the server's queue.
    limits = SignalingLimits(
        send_queue_messages=20,
        send_queue_bytes=1_000_000_000,
        message_burst=100_000,
        byte_burst=1_000_000_000,
    )
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        await join(server, "Bob") as bob,
        connect(url(server), compression=None, proxy=None, max_queue=1) as websocket,
    ):
        slow = await raw_join(websocket, "Slow")
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
        assert await heard(ada) == PeerJoined(slow, "Slow")
        assert await heard(bob) == PeerJoined(slow, "Slow")
        left = asyncio.create_task(heard(bob))
        async with asyncio.timeout(20):
            while not left.done():
                await ada.send(Offer(slow, "s" * 60_000))
        assert await left == PeerLeft(slow, "too slow")
        code, reason = await closed(websocket)
        assert code == 1013
        assert reason == "too slow: 20 messages waited to be read"
        assert await heard(ada) == PeerLeft(slow, "too slow")
        await bob.send(Offer(ada.id, "still here"))
        while isinstance(message := await heard(ada), Error):
            assert message.code == "unknown_peer"  # what was on its way to the slow one
        assert message == OfferFrom(bob.id, "still here")


async def test_a_flood_is_slowed_down_and_not_lost() -> None:
    # 20 messages at once, and then 100 a second: 60 take at least 0.4 s.
    limits = SignalingLimits(message_burst=20, message_rate=100)
    loop = asyncio.get_running_loop()
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        await join(server, "Bob") as bob,
    ):
        await heard(ada)
        started = loop.time()
        for number in range(60):
            await bob.send(Candidate(ada.id, str(number)))
        for number in range(60):
            assert await heard(ada) == CandidateFrom(bob.id, str(number))
        # The join before was one of the burst.
        assert loop.time() - started >= 0.4


async def test_a_full_room_and_a_second_host_are_refused() -> None:
    async with (
        running(limits=SignalingLimits(max_peers_per_room=1)) as server,
        await join(server, "Ada", role="host"),
    ):
        with pytest.raises(Refused, match="is full") as full:
            await join(server, "Bob")
        assert full.value.code == "room_full"
    async with running() as server, await join(server, "Ada", role="host") as ada:
        with pytest.raises(Refused, match="already has a host: join it as a peer") as second:
            await join(server, "Eve", role="host")
        assert second.value.code == "room_has_host"
        async with await join(server, "Bob") as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob")


async def test_the_number_of_rooms_is_bounded() -> None:
    async with (
        running(limits=SignalingLimits(max_rooms=1)) as server,
        await join(server, "Ada", "den"),
    ):
        with pytest.raises(Refused) as caught:
            await join(server, "Bob", "attic")
        assert caught.value.code == "too_many_rooms"


async def test_the_number_of_connections_is_bounded() -> None:
    async with running(limits=SignalingLimits(max_connections=1)) as server:
        ada = await join(server, "Ada")
        with pytest.raises(Refused, match="try again later") as caught:
            await join(server, "Bob")
        assert caught.value.code == "server_full"
        await ada.close()
        await eventually(lambda: not server._gate.sockets)
        await (await join(server, "Bob")).close()


async def test_sockets_that_never_shake_hands_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signaling.gate.HANDSHAKE_MARGIN", 1)
    async with (
        running(limits=SignalingLimits(max_connections=1)) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
        async with asyncio.timeout(2):  # before the handshake's own timeout
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        assert len(server._gate.sockets) == 2


async def test_browsers_are_let_in_from_allowed_origins_only() -> None:
    async with running(origins=["https://game.example"]) as server:
        async with connect(
            url(server), origin=Origin("https://game.example"), proxy=None
        ) as websocket:
            await raw_join(websocket, "Ada")
        with pytest.raises(InvalidStatus):
            await connect(url(server), origin=Origin("https://evil.example"), proxy=None)
        await (await join(server, "Bob")).close()


async def test_strangers_on_the_port_are_survived_in_silence(server: SignalingServer) -> None:
    for greeting in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 20_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(greeting)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                await reader.read()
        writer.close()
    async with await join(server, "Ada") as ada:
        assert ada.peers == {}


# --- the embedding program -----------------------------------------------------------------------


async def test_the_program_itself_is_host_of_its_room(server: SignalingServer) -> None:
    delivered: list[ServerMessage] = []
    game = server.attach("den", "the game", delivered.append)
    with pytest.raises(Refused, match="the host of room 'den' is this server") as caught:
        await join(server, "Eve", role="host")
    assert caught.value.code == "room_reserved"
    async with await join(server, "Ada") as ada:
        assert (ada.host, ada.peers) == (game.id, {game.id: "the game"})
        await ada.send(Offer(game.id, "v=0"))
        await eventually(lambda: len(delivered) == 2)
        assert delivered == [PeerJoined(ada.id, "Ada"), OfferFrom(ada.id, "v=0")]
        game.send(Answer(ada.id, "v=0 yes"))
        assert await heard(ada) == AnswerFrom(game.id, "v=0 yes")
    await eventually(lambda: delivered[-1] == PeerLeft(ada.id, "left"))
    game.send(Answer(ada.id, "too late"))
    assert isinstance(delivered[-1], Error)
    assert delivered[-1].code == "unknown_peer"


async def test_a_room_is_attached_before_the_server_starts() -> None:
    server = SignalingServer()
    game = server.attach("den", "the game", lambda message: None)
    async with (
        server,
        await SignalingClient.connect(
            f"ws://127.0.0.1:{server.port}", room="den", name="Ada"
        ) as ada,
    ):
        assert ada.host == game.id


async def test_detaching_is_announced_and_frees_the_room(server: SignalingServer) -> None:
    async with await join(server, "Ada") as ada:
        game = server.attach("den", "the game", lambda message: None)
        assert game.peers == (PeerInfo(ada.id, "Ada"),)
        assert await heard(ada) == PeerJoined(game.id, "the game", "host")
        game.leave()
        game.leave()
        assert await heard(ada) == PeerLeft(game.id, "left")
        with pytest.raises(UsageError, match="attach"):
            game.send(Offer(ada.id, "v=0"))
        async with await join(server, "Bob", role="host") as bob:
            assert await heard(ada) == PeerJoined(bob.id, "Bob", "host")
            with pytest.raises(Refused):
                server.attach("den", "the game", lambda message: None)


async def test_a_callback_that_fails_is_logged_and_disturbs_nobody(
    server: SignalingServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(message: ServerMessage) -> None:
        raise RuntimeError("a bug in the game")

    server.attach("den", "the game", fail)
    async with await join(server, "Ada") as ada, await join(server, "Bob") as bob:
        assert await heard(ada) == PeerJoined(bob.id, "Bob")
    await eventually(lambda: len(caplog.records) == 4)  # two came, two left
    assert {record.getMessage() for record in caplog.records} == {
        "the deliver callback of room 'den' failed"
    }
    caplog.clear()


async def test_a_failure_inside_ends_one_connection(caplog: pytest.LogCaptureFixture) -> None:
    def credentials(peer_id: str) -> list[IceServer]:
        if len(asked := [*seen, peer_id]) == 2:
            seen.append(peer_id)
            raise RuntimeError("a bug in the program")
        seen[:] = asked
        return []

    seen: list[str] = []
    async with running(ice_servers=credentials) as server, await join(server, "Ada") as ada:
        with pytest.raises(Refused, match="internal error"):
            await join(server, "Bob")
        async with await join(server, "Cyd") as cyd:
            assert await heard(ada) == PeerJoined(cyd.id, "Cyd")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    caplog.clear()


# --- starting and stopping -----------------------------------------------------------------------


async def test_stopping_tells_everyone_and_ends_everything() -> None:
    async with running() as server:
        ada = await join(server, "Ada")
        address = url(server)
        # Someone who connected and never says a word must not hold the stop up.
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        await eventually(lambda: len(server._gate.sockets) == 2)
        async with asyncio.timeout(3):  # before the handshake's own timeout
            await server.stop()
        with pytest.raises(ConnectionLost, match="the server is stopping"):
            await heard(ada)
        with pytest.raises(Unreachable):
            await SignalingClient.connect(address, room="den", name="Bob")
        with pytest.raises(UsageError, match="start"):
            _ = server.port
        writer.close()
        await ada.close()


async def test_a_reader_that_is_stuck_does_not_hold_up_stopping() -> None:
    limits = SignalingLimits(
        byte_burst=1_000_000_000, send_queue_messages=10_000, send_queue_bytes=1_000_000_000
    )
    async with (
        running(limits=limits) as server,
        await join(server, "Ada") as ada,
        raw(server) as websocket,
    ):
        stuck = await raw_join(websocket, "Stuck")
        websocket.transport.pause_reading()
        for _ in range(150):  # 9 MB: more than the system takes for a socket
            await ada.send(Offer(stuck, "s" * 60_000))
        await eventually(lambda: any(socket.paused for socket in server._gate.sockets))
        async with asyncio.timeout(2.5):  # the grace is 1.5 s; a ping would end it after 4 s
            await server.stop()
        websocket.transport.abort()


async def test_a_server_can_be_started_again() -> None:
    server = SignalingServer()
    for _ in range(2):
        async with server:
            with pytest.raises(UsageError, match="started already"):
                await server.start("127.0.0.1", 0)
            await (await join(server, "Ada")).close()
    await server.stop()


async def test_every_address_means_ipv4_and_ipv6_on_one_port() -> None:
    async with SignalingServer() as server:
        await (await join(server, "Ada")).close()
        if socket.has_dualstack_ipv6():
            ipv6 = f"ws://[::1]:{server.port}"
            await (await SignalingClient.connect(ipv6, room="den", name="Bob")).close()


def in_use() -> pytest.RaisesExc[OSError]:
    return pytest.raises(OSError, check=lambda error: error.errno == errno.EADDRINUSE)


async def test_a_port_that_is_taken_is_an_os_error(server: SignalingServer) -> None:
    with in_use():
        await SignalingServer().start("127.0.0.1", server.port)
    async with SignalingServer() as everywhere:
        with in_use():
            await SignalingServer().start(None, everywhere.port)
    with pytest.raises(UsageError, match="65535"):
        await SignalingServer().start("127.0.0.1", 70_000)
