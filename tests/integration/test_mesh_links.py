"""A mesh on each rung of the ladder, and through the end of links and of the signaling server."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import netcode as nc
from netcode import watch
from netcode.rungs import Rung
from signaling import SignalingServer, TurnSecret
from signaling.tokens import JoinSecret
from tests.integration.mesh_lab import Talker, check, cut, talk, talk_for
from tests.integration.processes import Child, children
from tests.integration.turn_lab import SECRET, nothing_left, relay

pytestmark = pytest.mark.filterwarnings("error")

PROGRAM = str(Path(__file__).parent / "programs" / "mesh_member.py")


@asynccontextmanager
async def signaling(**options: Any) -> AsyncIterator[str]:
    async with SignalingServer(**options) as server:
        yield f"ws://127.0.0.1:{server.port}"


@asynccontextmanager
async def talkers(url: str, *names: str, **options: Any) -> AsyncIterator[list[Talker]]:
    """Members of a room who have all met."""
    async with AsyncExitStack() as stack:
        met: list[Talker] = []
        for name in names:
            mesh = nc.join_mesh(url, room="42", name=name, **options)
            talker = Talker(await stack.enter_async_context(mesh))
            stack.push_async_callback(talker.stop)
            met.append(talker)
        async with asyncio.timeout(10):
            for talker in met:
                await talker.mesh.wait_for_peers(len(names) - 1)
        for talker in met:
            talker.news.clear()
        yield met


async def until(condition: Callable[[], bool], within: float = 10.0) -> float:
    began = time.monotonic()
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
    return time.monotonic() - began


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("rung", [rung.value for rung in Rung])
async def test_two_talk_on_each_rung(rung: str) -> None:
    async with relay() as turn:
        credential = TurnSecret(SECRET).issue("ada", time.time())
        servers = [turn.ice_server("127.0.0.1", credential)]
        async with (
            signaling(ice_servers=servers) as url,
            talkers(url, "Ada", "Bob", rungs=[rung]) as (ada, bob),
        ):
            assert (ada.peer(bob).rung, bob.peer(ada).rung) == (rung, rung)
            await talk_for([ada, bob], 1.5)
            await check([ada, bob])


async def test_a_link_that_is_cut_silently_is_replaced() -> None:
    async with signaling() as url, talkers(url, "Ada", "Bob") as (ada, bob):
        await talk_for([ada, bob], 0.5)
        before = bob.peer(ada)._connection.link
        cut(ada, bob)
        took = await talk(
            [ada, bob],
            lambda: (
                bob.peer(ada)._connection.link is not before
                and not bob.peer(ada).reconnecting
                and not ada.peer(bob).reconnecting
            ),
        )
        print(f"took {took:.2f} s")
        assert took < 4.0
        await check([ada, bob])
        assert [news for news in ada.news + bob.news if "left" in news or "join" in news] == []


async def test_a_mesh_climbs_to_a_better_rung_and_nobody_notices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "CLIMBS", (0.5,))
    no_udp = nc.Conditions(loss=1.0)
    async with (
        signaling() as url,
        talkers(url, "Ada", "Bob", conditions=no_udp) as (ada, bob),
    ):
        assert (ada.peer(bob).rung, bob.peer(ada).rung) == ("websocket", "websocket")
        await talk_for([ada, bob], 0.5)
        for talker in (ada, bob):
            assert talker.mesh._conditioner is not None
            talker.mesh._conditioner.conditions = None
        await talk([ada, bob], lambda: ada.peer(bob).rung == bob.peer(ada).rung == "direct", 15.0)
        await check([ada, bob])
        assert ada.news + bob.news == []


async def test_where_no_udp_gets_through_any_more_two_go_on_through_signaling() -> None:
    async with (
        signaling() as url,
        talkers(url, "Ada", "Bob", conditions="lan") as (ada, bob),
    ):
        assert ada.peer(bob).rung == "direct"
        assert ada.mesh._conditioner is not None
        ada.mesh._conditioner.conditions = nc.Conditions(loss=1.0)
        await talk([ada, bob], lambda: ada.peer(bob).rung == "websocket", within=12.0)
        await check([ada, bob])
        assert [news for news in ada.news + bob.news if "left" in news] == []


async def test_a_cut_between_two_does_not_disturb_the_others() -> None:
    async with signaling() as url, talkers(url, "Ada", "Bob", "Cyd") as (ada, bob, cyd):
        links = [cyd.peer(other)._connection.link for other in (ada, bob)]
        before = bob.peer(ada)._connection.link
        cut(bob, ada)
        await talk([ada, bob, cyd], lambda: bob.peer(ada)._connection.link is not before)
        await check([ada, bob, cyd])
        assert [cyd.peer(other)._connection.link for other in (ada, bob)] == links
        assert cyd.news == []


async def test_the_signaling_server_dies_and_comes_back_and_the_mesh_does_not_notice() -> None:
    port = free_port()
    arguments = ["-m", "signaling", "--host", "127.0.0.1", "--port", str(port)]
    url = f"ws://127.0.0.1:{port}"
    with children() as started:
        started.append(Child(*arguments))
        started[-1].wait_for(str(port))
        async with talkers(url, "Ada", "Bob", "Cyd") as met:
            started[-1].process.kill()
            await talk_for(met, 5.0)
            started.append(Child(*arguments))
            await talk(met, lambda: all(talker.mesh._presence.in_room for talker in met), 15.0)
            await talk_for(met, 1.5)
            assert [talker.news for talker in met] == [[], [], []]
            async with nc.join_mesh(url, room="42", name="Dan") as mesh:
                dan = Talker(mesh)
                await talk([*met, dan], lambda: len(mesh.peers) == 3)
                await talk_for([*met, dan], 1.5)
                await check([*met, dan])
                assert [talker.news for talker in met] == [["joined Dan"]] * 3
                assert sorted(peer.name for peer in mesh.peers.values()) == ["Ada", "Bob", "Cyd"]
                await dan.stop()


async def test_through_signaling_alone_two_come_back_when_it_does() -> None:
    """Both links and both ids are gone at once, and neither can tell the other its new one."""
    async with SignalingServer() as server:
        port = server.port
        url = f"ws://127.0.0.1:{port}"
        async with talkers(url, "Ada", "Bob", rungs=["websocket"]) as (ada, bob):
            await talk_for([ada, bob], 0.5)
            await server.stop()
            await talk(
                [ada, bob], lambda: ada.peer(bob).reconnecting and bob.peer(ada).reconnecting
            )
            await server.start(port=port)
            await talk([ada, bob], lambda: len(ada.news) == len(bob.news) == 2)
            assert ada.news == ["reconnecting Bob", "resumed Bob"]
            assert bob.news == ["reconnecting Ada", "resumed Ada"]
            await check([ada, bob])


async def test_a_dropped_connection_to_signaling_is_made_anew_and_nobody_notices() -> None:
    async with signaling() as url, talkers(url, "Ada", "Bob", "Cyd") as met:
        for talker in met:
            membership = talker.mesh._presence.membership
            assert membership is not None
            membership.member._socket.transport.abort()
        await talk(met, lambda: all(not talker.mesh._presence.in_room for talker in met))
        await talk(met, lambda: all(talker.mesh._presence.in_room for talker in met))
        await talk_for(met, 1.5)
        await check(met)
        assert [talker.news for talker in met] == [[], [], []]
        assert all(
            talker.mesh.id != talker.mesh._presence.membership.member.id  # type: ignore[union-attr]
            for talker in met
        )


async def test_a_signaling_server_that_has_fallen_silent_is_noticed_by_asking_it() -> None:
    """As when this machine has moved to another network: the connection still looks alive."""
    async with signaling() as url, talkers(url, "Ada", "Bob") as met:
        presence = met[0].mesh._presence
        before = presence.membership
        assert before is not None

        async def lose_the_question() -> None:
            pass

        before.member.renew_ice_servers = lose_the_question  # type: ignore[method-assign]

        def has_moved() -> bool:
            presence.probe()
            return presence.membership is not before and presence.in_room

        await talk(met, has_moved)
        await talk_for(met, 0.5)
        await check(met)
        assert [talker.news for talker in met] == [[], []]


async def test_a_killed_peer_is_reconnecting_and_then_gone() -> None:
    async with signaling() as url, talkers(url, "Ada", "Bob", grace=2.0) as (ada, bob):
        with children() as started:
            started.append(Child(PROGRAM, url, "Cyd"))
            await asyncio.to_thread(started[-1].wait_for, "met 2")
            await until(lambda: len(ada.mesh.peers) == len(bob.mesh.peers) == 2)
            [cyd] = [peer for peer in ada.mesh.peers.values() if peer.name == "Cyd"]
            started[-1].process.kill()
            assert await until(lambda: "reconnecting Cyd" in ada.news) < 3.0
            assert cyd.reconnecting
            await until(lambda: "left Cyd" in ada.news, within=4.0)
            assert (cyd.left_because or "").startswith("lost: ")
            await until(lambda: "left Cyd" in bob.news, within=4.0)
            await talk_for([ada, bob], 0.5)
            await check([ada, bob])


async def test_a_broadcast_waits_for_a_lost_peer_with_a_full_queue_but_not_for_ever() -> None:
    async with signaling() as url, talkers(url, "Ada", "Bob", "Cyd", grace=3.0) as met:
        ada, bob, cyd = met
        bulk = ada.mesh.channel("bulk", nc.RELIABLE)
        heard = bob.mesh.channel("bulk", nc.RELIABLE)
        cyd.mesh.channel("bulk", nc.RELIABLE)
        for task in list(cyd.mesh._tasks):
            task.cancel()  # it does nothing any more, as if it were stopped
        cyd.mesh._circle.pump = lambda: None  # type: ignore[method-assign]
        cut(cyd, ada)
        await until(lambda: "reconnecting Cyd" in ada.news)
        began = time.monotonic()
        for _ in range(4):  # there is room for these
            await bulk.broadcast(bytes(1_000_000))
        assert time.monotonic() - began < 1.5
        waiting = asyncio.create_task(bulk.broadcast(bytes(1_000_000)))
        for _ in range(5):  # the other one has got all, while this one waits
            await asyncio.wait_for(anext(heard), 10)
        assert not waiting.done() or "left Cyd" in ada.news
        await asyncio.wait_for(waiting, 5)
        assert "left Cyd" in ada.news


async def test_when_the_join_token_has_expired_who_is_connected_stays_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = secrets.token_bytes(32)
    # 30 s of clock difference are allowed for, and are over already.
    now = time.time() - 30.0

    def token(name: str) -> str:
        return JoinSecret(secret).issue(name=name, room="42", now=now, lifetime=3.0, subject=name)

    async with signaling(join_secret=secret) as url, AsyncExitStack() as stack:
        met = [
            Talker(
                await stack.enter_async_context(
                    nc.join_mesh(url, room="42", token=token(name), grace=1.0)
                )
            )
            for name in ("Ada", "Bob")
        ]
        for talker in met:
            stack.push_async_callback(talker.stop)
        ada, bob = met
        await until(lambda: len(ada.mesh.peers) == len(bob.mesh.peers) == 1)
        expired = now + 35.0  # tokens count whole seconds
        await talk(met, lambda: time.time() > expired)
        membership = ada.mesh._presence.membership
        assert membership is not None
        membership.member._socket.transport.abort()
        await talk(met, lambda: "does not let this end in again" in caplog.text)
        await talk_for(met, 1.0)
        await check(met)
        assert (ada.news, bob.news) == (["joined Bob"], [])


async def test_who_shares_a_token_does_not_fight_over_the_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = secrets.token_bytes(32)
    token = JoinSecret(secret).issue(name="Ada", room="42", now=time.time(), lifetime=60.0)
    async with (
        signaling(join_secret=secret) as url,
        nc.join_mesh(url, room="42", token=token) as one,
        nc.join_mesh(url, room="42", token=token) as other,
    ):
        await until(lambda: "somebody has its join token" in caplog.text)
        assert not one._presence.in_room
        assert other._presence.in_room


async def test_without_direct_nobody_is_told_an_address_of_this_machine() -> None:
    async with (
        signaling() as url,
        nc.join_mesh(url, room="42", name="Ada", rungs=["websocket"]) as ada,
        nc.join_mesh(url, room="42", name="Bob") as bob,  # which would call directly
    ):
        await until(lambda: len(ada.peers) == len(bob.peers) == 1)
        [peer] = bob.peers.values()
        assert peer.rung == "websocket"


async def test_what_cannot_be_a_rung_or_a_grace_is_refused_at_once() -> None:
    for wrong in ({"rungs": ["dirct"]}, {"rungs": []}, {"grace": -1.0}, {"grace": 1e9}):
        with pytest.raises(nc.UsageError):
            nc.join_mesh("ws://localhost:1", room="42", **wrong)  # type: ignore[arg-type]


async def test_storms_of_coming_leaving_and_dying_leave_nothing_behind() -> None:
    async with (
        nothing_left(),
        signaling() as url,
        talkers(url, "Ada", "Bob", grace=0.5) as (ada, bob),
    ):
        links = [ada.peer(bob)._connection.link, bob.peer(ada)._connection.link]
        for number in range(20):
            await storm(url, number, ada)
            await ada.say(ada.peer(bob))
        assert [ada.peer(bob)._connection.link, bob.peer(ada)._connection.link] == links
        await until(lambda: len(ada.mesh.peers) == len(bob.mesh.peers) == 1)
        await check([ada, bob])


async def storm(url: str, number: int, witness: Talker) -> None:
    """One comes and leaves, one is interrupted while it does so, one dies without a word."""

    def somebody(what: str) -> nc.Mesh:
        return nc.join_mesh(url, room="42", name=f"{what} {number}", grace=0.5)

    async def join_and_leave(mesh: nc.Mesh) -> None:
        async with mesh:
            await mesh.wait_for_peers(2)

    to_interrupt = somebody("interrupted")
    interrupted = asyncio.create_task(join_and_leave(to_interrupt))
    leaving = asyncio.create_task(join_and_leave(somebody("leaving")))
    async with somebody("dying") as mesh:
        dying = Talker(mesh)
        with suppress(KeyError):
            cut(dying, witness)
        assert mesh._presence.membership is not None
        mesh._presence.membership.member._socket.transport.abort()
        interrupted.cancel()
        await asyncio.wait([interrupted])
        await to_interrupt.leave()
        await dying.stop()
    await leaving
