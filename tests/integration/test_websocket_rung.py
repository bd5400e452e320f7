"""Playing through the signaling server: every message exact, and state that flows beside."""

import asyncio
import contextlib
import random
import time

import netcode as nc
from netcode.core.client_side import ClientSide
from netcode.errors import SendQueueFull
from netcode.link.delivery import RELIABLE
from netcode.link.frames import FIRST_DATAGRAM
from netcode.rungs import Rung
from signaling import JoinSecret, SignalingLimits
from tests.integration.introductions_lab import End, member, playing, until
from tests.integration.signaling_lab import running, url
from tests.scenarios.small_game import GAME, Chat, Rock, Ship, Steer, set_up

SIZES = (1, 40, 900, 5_000, 65_536)


async def test_300_messages_are_exact_while_state_flows() -> None:
    source = random.Random(7)
    sent = [source.randbytes(SIZES[number % len(SIZES)]) for number in range(300)]
    # The quota of one connection is for players; this test is in a hurry.
    limits = SignalingLimits(
        parcel_byte_rate=50e6, parcel_byte_burst=50_000_000, parcel_rate=50_000,
        parcel_total_rate=100e6,
    )  # fmt: skip
    async with (
        running(limits=limits) as server,
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        near = End(await bob.call(ada, Rung.WEBSOCKET))
        await until(lambda: bool(ada.met))
        far = End(ada.met[0])
        channel = near.open("files", RELIABLE)
        far.open("files", RELIABLE)
        states = 0

        async def state() -> None:
            nonlocal states
            while True:
                stamp = repr(time.monotonic()).encode().ljust(1_000)
                states += near.link.send_datagram(bytes((FIRST_DATAGRAM,)) + stamp)
                await asyncio.sleep(0.05)

        flowing = asyncio.create_task(state())
        async with asyncio.timeout(60):
            for data in sent:
                while True:
                    with contextlib.suppress(SendQueueFull):
                        near.link.send(channel, data)
                        break
                    await asyncio.sleep(0.005)
            while len(far.heard) < len(sent):
                await asyncio.sleep(0.01)
        flowing.cancel()
        await asyncio.wait([flowing])
        assert far.heard == sent
        ages = sorted(at - float(data[1:]) for at, data in far.datagrams)
        print(f"{len(ages)} of {states} states, median age {ages[len(ages) // 2] * 1000:.1f} ms")
        assert len(ages) > 0.8 * states > 0
        for end in (near, far):
            end.link.close("done")
            await end.stop()


async def test_a_quota_slows_what_is_reliable_and_drops_what_would_be_late() -> None:
    limits = SignalingLimits(parcel_byte_burst=20_000, parcel_byte_rate=40_000)
    async with (
        running(limits=limits) as server,
        await member(url(server), "Ada") as ada,
        await member(url(server), "Bob") as bob,
    ):
        near = End(await bob.call(ada, Rung.WEBSOCKET))
        await until(lambda: bool(ada.met))
        far = End(ada.met[0])
        channel = near.open("files", RELIABLE)
        far.open("files", RELIABLE)
        sent = [bytes([number]) * 6_000 for number in range(12)]
        for data in sent:
            near.link.send(channel, data)
        async with asyncio.timeout(30):
            while len(far.heard) < len(sent):
                stamp = repr(time.monotonic()).encode().ljust(1_000)
                near.link.send_datagram(bytes((FIRST_DATAGRAM,)) + stamp)
                await asyncio.sleep(0.01)
        assert far.heard == sent
        assert near.link.transport.stats.given_up + near.link.stats.datagrams_held_back > 0
        # 100 kB/s of state on 40 kB/s: it never becomes a queue of seconds.
        assert max(at - float(data[1:]) for at, data in far.datagrams) < 1.0
        for end in (near, far):
            end.link.close("done")
            await end.stop()


async def test_a_server_is_played_on_through_signaling_alone() -> None:
    server = nc.Server(GAME, seed=1)
    set_up(server)
    texts: list[str] = []

    @server.on(Chat)
    def chat(player: nc.Player, message: Chat) -> None:
        texts.append(message.text)
        player.send(message)

    sent = [f"{number} " + "x" * (number % 190) for number in range(300)]
    echoed: list[str] = []
    async with server:
        for number in range(20):
            server.world.spawn(Rock, x=number, y=0, size=number)
        async with playing(server.url, GAME, "Ada", Rung.WEBSOCKET) as guest:
            assert guest.ended is None
            ClientSide(guest).on(Chat)(lambda message: echoed.append(message.text))
            [player] = server.players.values()
            assert player.name == "Ada"
            to_send = list(sent)
            ticks: set[int] = set()
            begin = time.monotonic()
            async with asyncio.timeout(30):
                while len(echoed) < len(sent) or time.monotonic() - begin < 2.0:
                    with contextlib.suppress(SendQueueFull):
                        if to_send:
                            guest.send(Chat(text=to_send[0]))
                            to_send.pop(0)
                    guest.update(Steer(thrust=1, aim=0.5))
                    ticks.add(guest.authoritative_tick)
                    await asyncio.sleep(0.005)
            took = time.monotonic() - begin
            assert texts == echoed == sent
            # State came 20 times a second all the time.
            assert len(ticks) > 15 * took
            ship = guest.own(Ship)
            assert ship is not None
            assert ship.x > 20
            assert len(list(guest.world[Rock])) == 20
        await until(lambda: not server.players)


async def test_who_a_player_is_is_known_at_the_moment_of_its_call() -> None:
    secret = "a secret that the back end knows"
    server = nc.Server(GAME, seed=1, join_secret=secret)
    set_up(server)
    token = JoinSecret(secret).issue(
        name="Grace", room="game", subject="account 7", lifetime=60, now=time.time()
    )
    async with (
        server,
        playing(server.url, GAME, "an impostor", Rung.WEBSOCKET, token=token) as guest,
    ):
        assert guest.ended is None
        [player] = server.players.values()
        assert (player.name, player.subject) == ("Grace", "account 7")


async def test_a_server_that_stops_says_goodbye_through_signaling() -> None:
    server = nc.Server(GAME, seed=1)
    set_up(server)
    await server.start()
    async with playing(server.url, GAME, "Ada", Rung.WEBSOCKET) as guest:
        assert guest.ended is None
        begin = time.monotonic()
        await server.stop("the round is over")
        assert time.monotonic() - begin < 2.5
        await until(lambda: guest.ended is not None)
        assert "the round is over" in str(guest.ended)
