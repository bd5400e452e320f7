"""Server and clients in one event loop, over real WebRTC: the façades as a program uses them."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable

import pytest

import netcode as nc


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    name = nc.Text(max_bytes=24)


class Steer(nc.Input):
    thrust = nc.Bool()


class Chat(nc.Message):
    text = nc.Text(max_bytes=200)


class Spark(nc.Message, delivery=nc.UNRELIABLE):
    x = nc.Float(0, 10, step=0.5)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 100 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Chat, Spark], simulate={Ship: fly})


def make_server(**options: object) -> nc.Server:
    server = nc.Server(GAME, **options)  # type: ignore[arg-type]

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship, name=player.name))

    @server.on_leave
    def leave(player: nc.Player) -> None:
        for ship in player.entities:
            server.world.despawn(ship)

    @server.on(Chat)
    def chat(player: nc.Player, message: Chat) -> Chat:
        server.broadcast(Chat(text=f"{player.name}: {message.text}"))
        return Chat(text=message.text.upper())

    return server


async def until(
    condition: Callable[[], bool], *clients: nc.Client, thrust: bool = False, within: float = 10
) -> None:
    """Play frames until the condition holds."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        for client in clients:
            client.update(Steer(thrust=thrust))
        await asyncio.sleep(1 / 60)


async def test_one_moves_and_the_other_sees_it() -> None:
    async with make_server() as server:
        async with (
            nc.connect(server.url, GAME, name="Ada") as ada,
            nc.connect(server.url, GAME, name="Bob") as bob,
        ):
            await until(lambda: len(bob.world[Ship]) == 2 == len(ada.world[Ship]), ada, bob)
            await until(
                lambda: (ship := ada.own(Ship)) is not None and ship.x > 30, ada, thrust=True
            )
            await until(lambda: any(s.x > 30 and s.name == "Ada" for s in bob.world[Ship]), bob)
            assert ada.stats.transport == "webrtc"
            assert ada.stats.path
        await until(lambda: not server.players and not len(server.world[Ship]))


async def test_messages_requests_and_their_replies() -> None:
    async with make_server() as server, nc.connect(server.url, GAME, name="Ada") as ada:
        heard: list[str] = []
        sparks: list[float] = []
        ada.on(Chat)(lambda message: heard.append(message.text))
        ada.on(Spark)(lambda message: sparks.append(message.x))
        ada.send(Chat(text="hello"))
        reply = ada.request(Chat(text="loud"))
        assert (await asyncio.wait_for(_awaited(reply), 5)) == Chat(text="LOUD")
        await until(lambda: heard == ["Ada: hello", "Ada: loud"], ada)
        server.broadcast(Spark(x=2.5))
        await until(lambda: sparks == [2.5], ada)


async def _awaited(reply: nc.Reply[nc.Message]) -> nc.Message:
    return await reply


async def test_a_kicked_player_is_told_why() -> None:
    async with make_server() as server, nc.connect(server.url, GAME, name="Ada") as ada:
        await until(lambda: len(server.players) == 1, ada)
        reply = ada.request(Chat(text="never answered"))
        next(iter(server.players.values())).kick("spamming")
        with pytest.raises(nc.Disconnected, match="kicked: spamming"):
            await until(lambda: False, ada)
        with pytest.raises(nc.Disconnected):
            ada.send(Chat(text="still here?"))
        assert reply.done()


async def test_a_stopping_server_says_goodbye() -> None:
    server = make_server()
    await server.start()
    async with nc.connect(server.url, GAME, name="Ada") as ada:
        await server.stop()
        with pytest.raises(nc.Disconnected, match="the server has stopped"):
            await until(lambda: False, ada)


async def test_a_full_game_says_so() -> None:
    async with make_server(max_players=1) as server, nc.connect(server.url, GAME, name="Ada"):
        with pytest.raises(nc.Refused, match=r"full \(1 players\)"):
            async with nc.connect(server.url, GAME, name="Bob"):
                pass


async def test_a_different_declaration_is_named() -> None:
    class Ship(nc.Entity):
        x = nc.Float(-2000, 2000, step=0.1)
        name = nc.Text(max_bytes=24)

    other = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Chat, Spark])
    async with make_server() as server:
        with pytest.raises(nc.ProtocolMismatch, match=r"Ship\.x"):
            async with nc.connect(server.url, other):
                pass


async def test_nobody_there() -> None:
    server = make_server()
    await server.start()
    url = server.url
    await server.stop()
    with pytest.raises(nc.Unreachable, match="running"):
        async with nc.connect(url, GAME):
            pass


async def test_a_signaling_server_without_a_game_is_told_apart() -> None:
    from signaling import SignalingServer

    async with SignalingServer() as signaling:
        with pytest.raises(nc.Unreachable, match="no game"):
            async with nc.connect(f"ws://127.0.0.1:{signaling.port}", GAME):
                pass


def test_misuse_raises_at_once() -> None:
    with pytest.raises(nc.UsageError, match="ws://localhost:8080"):
        nc.connect("localhost:8080", GAME)
    with pytest.raises(nc.UsageError, match="clean"):
        nc.connect("ws://localhost:1", GAME, conditions="awful")
    with pytest.raises(nc.UsageError, match="broadcast_rate"):
        nc.Server(GAME, tick_rate=60, broadcast_rate=25)


async def test_a_tick_handler_that_raises_ends_the_server() -> None:
    server = make_server()

    @server.on_tick
    def rules(step: nc.Step) -> None:
        raise ZeroDivisionError("a bug in the game")

    await server.start()
    with pytest.raises(ZeroDivisionError):
        await server.wait_stopped()
    with pytest.raises(ZeroDivisionError):
        await server.stop()


async def test_coming_and_going_leaves_nothing_behind() -> None:
    async with make_server() as server:
        for round_trip in range(3):
            async with nc.connect(server.url, GAME, name=f"guest {round_trip}") as guest:
                await until(lambda: len(server.players) == 1, guest)
            await until(lambda: not server.players)
    gc.collect()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert left == []


def test_a_plain_while_loop_on_a_thread_of_its_own() -> None:
    """The server runs on another thread here; the client as a synchronous game would use it."""
    ready = threading.Event()
    done = threading.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with make_server() as server:
            urls.append(server.url)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        with nc.connect(urls[0], GAME, name="Ada") as ada:
            deadline = time.monotonic() + 10
            while (ship := ada.own(Ship)) is None or ship.x < 20:
                assert time.monotonic() < deadline
                ada.update(Steer(thrust=True))
                time.sleep(1 / 60)
            assert ada.request(Chat(text="x")).result(5) == Chat(text="X")
        with pytest.raises(nc.Disconnected):
            ada.update()
        assert not any(thread.name == "netcode client" for thread in threading.enumerate())
    finally:
        done.set()
        thread.join()


async def test_cancelling_a_join_leaves_nothing_behind() -> None:
    async with make_server() as server:

        async def join() -> None:
            async with nc.connect(server.url, GAME):
                pass

        joining = asyncio.create_task(join())
        await asyncio.sleep(0)
        joining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await joining
        await until(lambda: not server.players)
