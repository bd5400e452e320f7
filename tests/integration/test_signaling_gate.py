"""Before a connection is a WebSocket: limits for each address, and how the server is."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from signaling import Refused, SignalingClient, SignalingLimits, SignalingServer, gate
from signaling.addresses import ADDRESS_MARGIN
from tests.integration.signaling_lab import eventually, get, join, raw, raw_join, running, url

ONE, OTHER = "203.0.113.9", "2001:db8:1:2::3"


@pytest.fixture
async def server() -> AsyncIterator[SignalingServer]:
    limits = SignalingLimits(max_connections_per_address=2, address_burst=4, address_rate=0.001)
    async with running(limits=limits, trust_proxies=["127.0.0.1"]) as server:
        yield server


async def turned_away(server: SignalingServer, address: str) -> InvalidStatus:
    with pytest.raises(InvalidStatus) as caught:
        async with raw(server, address):
            pass
    assert caught.value.response.status_code == 429
    return caught.value


async def test_connections_at_a_time_from_one_address_are_bounded(
    server: SignalingServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw(server, ONE) as first, raw(server, ONE), raw(server, OTHER):
        refusal = await turned_away(server, ONE)
        assert refusal.response.headers["X-Signaling-Code"] == "too_many_connections"
        assert int(refusal.response.headers["Retry-After"]) > 0
        assert b"2 connections are open" in (refusal.response.body or b"")
        await raw_join(first, "Ada")
        await first.close()
        await eventually(lambda: len(server._gate.sockets) == 2)
        async with raw(server, ONE) as again:
            await raw_join(again, "Ada")
    # Once in the log, however often it happens, with what to do if it is a mistake.
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert ONE in record.getMessage()
    assert "trust_proxies" in record.getMessage()


async def test_new_connections_of_one_address_are_a_burst_and_then_a_rate(
    server: SignalingServer,
) -> None:
    for _ in range(4):
        async with raw(server, ONE):
            pass
        await eventually(lambda: not server._gate.sockets)
    assert b"too fast" in ((await turned_away(server, ONE)).response.body or b"")
    async with raw(server, OTHER):
        pass


async def test_all_of_one_household_is_one_address(server: SignalingServer) -> None:
    async with raw(server, "2001:db8:1:2::3"), raw(server, "2001:db8:1:2:ffff::9"):
        await turned_away(server, "2001:db8:1:2:abcd::1")
        async with raw(server, "2001:db8:1:3::1"):
            pass


async def test_what_a_client_writes_into_the_header_itself_does_not_count(
    server: SignalingServer,
) -> None:
    async with raw(server, f"198.51.100.1, {ONE}"), raw(server, f"127.0.0.1, {ONE}"):
        await turned_away(server, f"198.51.100.77, {ONE}")


async def test_without_a_trusted_proxy_the_header_is_not_looked_at() -> None:
    limits = SignalingLimits(max_connections_per_address=1)
    async with running(limits=limits) as server, contextlib.AsyncExitStack() as stack:
        for _ in range(5):
            await stack.enter_async_context(raw(server, ONE))
        assert list(server._gate._addresses._open) == [""]


async def test_nothing_is_left_of_those_who_have_gone(server: SignalingServer) -> None:
    sockets: list[ClientConnection] = []
    async with raw(server, ONE) as first, raw(server, OTHER) as second:
        sockets += [first, second]
        assert len(server._gate._addresses) == 2
    await eventually(lambda: not server._gate.sockets)
    assert len(server._gate._addresses) == 0


async def test_far_beyond_its_limit_an_address_is_dropped_before_it_speaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "address_of", lambda ip: ONE)
    limits = SignalingLimits(max_connections_per_address=1)
    async with running(limits=limits) as server, contextlib.AsyncExitStack() as stack:
        streams = []
        for _ in range(2 + ADDRESS_MARGIN):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            stack.callback(writer.close)
            streams.append(reader)
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(4):  # before the handshake's own timeout
                assert await streams[-1].read() == b""
        assert len(server._gate.sockets) == 1 + ADDRESS_MARGIN


async def test_a_client_is_told_in_words(
    server: SignalingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "address_of", lambda ip: ONE)
    async with await join(server, "Ada"), await join(server, "Bob"):
        with pytest.raises(Refused, match="too many connections from this address") as caught:
            await join(server, "Cyd")
    assert caught.value.code == "too_many_connections"


# --- how the server is ---------------------------------------------------------------------------


async def test_health_is_a_short_answer_without_secrets() -> None:
    async with running(
        join_secret="a secret of many bytes", counts=lambda: {"players": 3}
    ) as server:
        game = server.attach("game", "the game", lambda message: None)
        status, head, body = await get(server, "/healthz")
        assert (status, json.loads(body)) == (
            200,
            {"status": "ok", "connections": 0, "rooms": 1, "members": 1, "players": 3},
        )
        assert "Content-Type: application/json\r\n" in head
        assert len(head + body) < 400
        assert game.id not in head + body
        assert (await get(server, "/healthz?verbose=1"))[0] == 200


async def test_health_says_that_a_server_is_draining() -> None:
    async with running() as server:
        server.begin_draining(5.0)
        status, _, body = await get(server, "/healthz")
        assert (status, json.loads(body)["status"]) == (503, "draining")


async def test_health_is_told_while_the_server_is_full() -> None:
    limits = SignalingLimits(max_connections=1)
    async with running(limits=limits) as server, await join(server, "Ada"):
        status, _, body = await get(server, "/healthz")
        assert (status, json.loads(body)["connections"]) == (200, 1)
        assert (await get(server, "/"))[0] == 503


async def test_health_counts_among_what_one_address_may_ask(server: SignalingServer) -> None:
    answers = [(await get(server, "/healthz", **{"X-Forwarded-For": ONE}))[0] for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]


async def test_other_paths_lead_to_the_rooms_or_to_nothing(server: SignalingServer) -> None:
    status, _, body = await get(server, "/metrics")
    assert status == 426
    assert "WebSocket" in body
    async with connect(f"{url(server)}/any/path", proxy=None) as websocket:
        await raw_join(websocket, "Ada")


async def test_an_origin_that_is_not_allowed_is_told_in_words() -> None:
    async with running(origins=["https://game.example"]) as server:
        async with await SignalingClient.connect(url(server), room="den", name="Ada"):
            pass
        with pytest.raises(InvalidStatus) as caught:
            await connect(url(server), origin="https://evil.example", proxy=None)  # type: ignore[arg-type]
        assert caught.value.response.status_code == 403
