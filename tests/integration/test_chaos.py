"""What happens to games: processes that are stopped and killed, signaling that goes and returns."""

import asyncio
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import netcode as nc
from tests.integration.processes import Child
from tests.integration.programs.crowd_game import GAME, Ship

CROWD = str(Path(__file__).parent / "programs" / "crowd.py")
STORMS = 20
AT_ONCE = 2
"""Processes that start at the same time, on two cores."""

needs_signals = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot stop a process and let it go on"
)
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="open sockets are counted in /proc (Linux)"
)


def make_server(grace: float) -> tuple[nc.Server, list[str]]:
    server = nc.Server(GAME, grace=grace)
    news: list[str] = []

    @server.on_join
    def join(player: nc.Player) -> None:
        news.append("joined")
        player.control(server.world.spawn(Ship))

    @server.on_leave
    def leave(player: nc.Player) -> None:
        news.append("left")
        for ship in player.entities:
            server.world.despawn(ship)

    server.on_reconnecting(lambda player: news.append("reconnecting"))
    server.on_resumed(lambda player: news.append("resumed"))
    return server, news


async def until(condition: Callable[[], bool], within: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, "did not come true in time"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def crowd(url: str, count: int) -> Child:
    child = await asyncio.to_thread(Child, CROWD, url, str(count))
    await asyncio.to_thread(child.wait_for, "all in")
    return child


@needs_signals
async def test_a_player_that_stands_still_for_five_seconds_comes_back() -> None:
    server, news = make_server(grace=10.0)
    async with server:
        child = await crowd(server.url, 1)
        try:
            [player] = server.players.values()
            os.kill(child.process.pid, signal.SIGSTOP)
            noticed = await until(lambda: player.reconnecting, within=4.0)
            assert noticed < 3.2
            await asyncio.sleep(5.0 - noticed)  # this is what is tried: five seconds of standstill
            os.kill(child.process.pid, signal.SIGCONT)
            assert await until(lambda: not player.reconnecting, within=5.0) < 4.0
            [ship] = server.world[Ship]
            place = ship.x
            await until(lambda: ship.x > place + 5, within=3.0)
            assert news == ["joined", "reconnecting", "resumed"]
            assert list(server.players.values()) == [player]
        finally:
            await asyncio.to_thread(child.end)


@needs_signals
async def test_a_player_that_stands_still_for_longer_than_the_grace_period_is_told() -> None:
    server, news = make_server(grace=1.0)
    async with server:
        child = await crowd(server.url, 1)
        try:
            os.kill(child.process.pid, signal.SIGSTOP)
            await until(lambda: not server.players, within=6.0)
            assert news == ["joined", "reconnecting", "left"]
            os.kill(child.process.pid, signal.SIGCONT)
            said = await asyncio.to_thread(child.wait_for, "Disconnected", 8.0)
            assert "gone on without" in said
        finally:
            await asyncio.to_thread(child.end)


def sockets() -> int:
    """How many sockets this process has open."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(entry).startswith("socket:")
        except OSError:
            continue  # it was the directory's own
    return found


@needs_proc
async def test_twenty_storms_of_joining_leaving_and_dying_leave_nothing_behind() -> None:
    """Four players a storm: two leave, and then the process of the others is killed."""
    server, news = make_server(grace=1.0)
    async with server:
        before = asyncio.all_tasks(), threading.active_count(), sockets()

        async def storm() -> None:
            child = await crowd(server.url, 4)
            try:
                child.say("leave")
                await asyncio.to_thread(child.wait_for, "half has left")
                child.process.kill()
            finally:
                await asyncio.to_thread(child.end)

        for _ in range(STORMS // AT_ONCE):
            await asyncio.gather(*(storm() for _ in range(AT_ONCE)))
        await until(lambda: not server.players, within=10.0)
        signaling = server._signaling
        assert signaling is not None
        await until(lambda: len(signaling._members) == 1, within=15.0)  # the server itself

        def nothing_left() -> bool:
            gc.collect()
            return asyncio.all_tasks() <= before[0] and sockets() <= before[2]

        await until(nothing_left, within=20.0)
        assert len(signaling._rooms) == 1
        assert server._host.waiting == 0
        # Python keeps idle threads of its pool for `to_thread`: as many as it has ever needed.
        strangers = [t.name for t in threading.enumerate() if not t.name.startswith("asyncio_")]
        assert len(strangers) <= before[1]
        assert news.count("joined") == news.count("left") == 4 * STORMS
        assert len(server.world[Ship]) == 0


async def test_signaling_goes_and_returns_and_the_game_does_not_notice() -> None:
    server, news = make_server(grace=10.0)
    async with server:
        child = await crowd(server.url, 3)
        try:
            signaling = server._signaling
            assert signaling is not None
            port = server.port
            await signaling.stop()
            places = {ship.handle: ship.x for ship in server.world[Ship]}
            await asyncio.sleep(5.0)  # this is what is tried: five seconds without signaling
            assert news == ["joined"] * 3
            assert all(ship.x > places[ship.handle] + 30 for ship in server.world[Ship])
            await signaling.start("127.0.0.1", port)
            other = await crowd(server.url, 1)
            await asyncio.to_thread(other.end)
            assert news[:4] == ["joined"] * 4
        finally:
            await asyncio.to_thread(child.end)
