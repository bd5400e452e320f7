"""Draining: nobody new, everybody told, a wait, and an end that says why."""

import asyncio

import pytest

from signaling import (
    ConnectionLost,
    Draining,
    Refused,
    SignalingServer,
    UsageError,
)
from tests.integration.signaling_lab import (
    answer,
    closed,
    eventually,
    get,
    heard,
    join,
    raw,
    running,
)


async def test_everybody_is_told_and_it_ends_when_the_last_has_left() -> None:
    async with running() as server:
        delivered: list[object] = []
        server.attach("den", "the game", delivered.append)
        ada, bob = await join(server, "Ada"), await join(server, "Bob", room="attic")
        draining = asyncio.create_task(server.drain(60))
        assert await heard(ada) == Draining(60)
        assert await heard(bob) == Draining(60)
        assert delivered[-1] == Draining(60)
        await ada.close()
        await eventually(lambda: len(server._connections) == 1)
        assert not draining.done()
        await bob.close()
        async with asyncio.timeout(5):
            await draining
        with pytest.raises(UsageError, match="start"):
            _ = server.port


async def test_nobody_new_gets_in_neither_by_a_new_connection_nor_by_an_open_one() -> None:
    async with running() as server, await join(server, "Ada") as ada, raw(server) as waiting:
        server.begin_draining(30)
        assert await heard(ada) == Draining(30)
        await waiting.send('{"type": "join", "room": "den", "name": "Bob", "role": "peer"}')
        assert (await answer(waiting))["code"] == "draining"
        assert await closed(waiting) == (1008, "draining")
        with pytest.raises(Refused, match="try another one") as caught:
            await join(server, "Cyd")
        assert caught.value.code == "draining"
        status, head, _ = await get(server, "/")
        assert status == 503
        assert "Retry-After: 30" in head.splitlines()


async def test_who_stays_is_closed_with_a_reason_when_the_time_is_over() -> None:
    async with running() as server, await join(server, "Ada") as ada, raw(server) as silent:
        async with asyncio.timeout(5):
            await server.drain(0.05)
        assert await heard(ada) == Draining(0.05)
        with pytest.raises(ConnectionLost, match="the server is going away"):
            await heard(ada)
        assert ada._socket.close_code == 1001
        assert await closed(silent) == (1001, "the server is going away")


async def test_stopping_in_the_meantime_ends_the_drain() -> None:
    async with running() as server, await join(server, "Ada") as ada:
        draining = asyncio.create_task(server.drain(60))
        assert await heard(ada) == Draining(60)
        async with asyncio.timeout(5):
            await server.stop()
            await draining
        with pytest.raises(ConnectionLost, match="the server is stopping"):
            await heard(ada)


async def test_cancelling_leaves_the_server_running_and_closed_to_newcomers() -> None:
    async with running() as server, await join(server, "Ada") as ada:
        draining = asyncio.create_task(server.drain(60))
        await heard(ada)
        draining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draining
        with pytest.raises(Refused):
            await join(server, "Bob")
        assert ada._socket.close_code is None


async def test_a_drained_server_can_be_started_again() -> None:
    server = SignalingServer()
    await server.start("127.0.0.1", 0)
    await server.drain(0)
    async with server:
        await (await join(server, "Ada")).close()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), 90_000, True])
async def test_a_time_that_makes_no_sense_is_refused_and_changes_nothing(seconds: float) -> None:
    async with running() as server:
        with pytest.raises(UsageError, match="seconds"):
            await server.drain(seconds)
        await (await join(server, "Ada")).close()
