"""The two ends of the connect question, each a process of its own: a server and a player.

The server's process serves a game, and beside it a room of a signaling server in which bare aiortc
answers. The player's process is told what to do, once for each figure, and answers with seconds.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Literal

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

import netcode as nc
from signaling import SignalingClient, SignalingServer
from signaling import messages as m

RAW_ROOM = "raw"

RAW = "raw_aiortc"
"""The floor: bare aiortc, introduced through the same signaling, to an open data channel."""

PATIENCE = 20.0
"""Seconds for one try; then it has failed."""

MAX_PAUSE = 0.1
"""Seconds before a try at most, a random time: or each would meet the server's ticks alike, for the
one before it ended with a broadcast."""

LOOK = 0.001
"""Seconds between two looks at the world: a game looks once a frame."""


@dataclass(frozen=True, slots=True)
class Try:
    """One figure to measure."""

    what: Literal["connect", "resume"]
    case: str

    def __str__(self) -> str:
        return self.case if self.what == "connect" else f"{self.what}/{self.case}"


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)


class Steer(nc.Input):
    thrust = nc.Bool()


class Ping(nc.Message):
    pass


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 10 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Ping], simulate={Ship: fly})


class Failed(Exception):
    """One try has not done what it was to measure."""


# -- the server's process --------------------------------------------------------------------


def serve(pipe: Connection) -> None:
    """Say the URLs of the game and of the bare room, and serve until the pipe is closed."""
    asyncio.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    server = nc.Server(GAME, relay=nc.Relay(port=0))

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship))

    @server.on_leave
    def leave(player: nc.Player) -> None:
        for ship in player.entities:
            server.world.despawn(ship)

    @server.on(Ping)
    def ping(player: nc.Player, ping: Ping) -> Ping:
        return ping

    async with server, SignalingServer() as bare:
        answering = _RawAnswers(bare)
        pipe.send((server.url, f"ws://127.0.0.1:{bare.port}"))
        with suppress(EOFError):
            await asyncio.to_thread(pipe.recv)
        await answering.close()


def _raw_connection() -> RTCPeerConnection:
    return RTCPeerConnection(
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )


class _RawAnswers:
    """Answers each offer in the bare room with a connection of stock aiortc."""

    def __init__(self, server: SignalingServer) -> None:
        self._connections: dict[str, RTCPeerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._member = server.attach(RAW_ROOM, "server", self._heard)

    def _heard(self, message: Any) -> None:
        match message:
            case m.OfferFrom():
                self._keep(self._answer(message))
            case m.PeerLeft() if message.id in self._connections:
                self._keep(self._connections.pop(message.id).close())

    async def _answer(self, offer: m.OfferFrom) -> None:
        connection = self._connections[offer.sender] = _raw_connection()
        connection.createDataChannel("state", negotiated=True, id=0)
        await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await connection.setLocalDescription()
        self._member.send(m.Answer(offer.sender, connection.localDescription.sdp, offer.call))

    def _keep(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        for connection in self._connections.values():
            await connection.close()


# -- the player's process --------------------------------------------------------------------


def play(pipe: Connection) -> None:
    """Told the URLs; then again and again a `Try`, and answers with the seconds that it took, or
    with a text that says why it failed."""
    pauses = random.Random(1)
    with suppress(EOFError):
        game_url, raw_url = pipe.recv()
        while True:
            each: Try = pipe.recv()
            time.sleep(pauses.uniform(0.0, MAX_PAUSE))
            try:
                answer: float | str = _measure(each, game_url, raw_url)
            except (Failed, nc.NetcodeError, TimeoutError) as error:
                answer = str(error) or f"it took longer than {PATIENCE:g} s"
            pipe.send(answer)


def _measure(each: Try, game_url: str, raw_url: str) -> float:
    if each.what == "resume":
        return resume(game_url, each.case)
    if each.case == RAW:
        return asyncio.run(connect_raw(raw_url))
    return connect(game_url, each.case)


def connect(url: str, rung: str) -> float:
    """Seconds from `nc.connect` to the first state in the world, on this rung and no other.

    Raises `Failed` if it is on another one.
    """
    began = time.perf_counter()
    with nc.connect(url, GAME, name="Ada", rungs=[rung]) as client:
        _until_state(client)
        took = time.perf_counter() - began
        _check(client, rung)
    return took


def resume(url: str, rung: str) -> float:
    """Seconds from a link that dies silently to the answer to what was said in that moment.

    Raises `Failed` if the player was not on this rung.
    """
    with nc.connect(url, GAME, name="Ada", rungs=[rung]) as client:
        _until_state(client)
        _check(client, rung)
        client.request(Ping()).result(PATIENCE)  # a ticket has come before this answer
        cut(client)
        began = time.perf_counter()
        reply = client.request(Ping())
        _until(client, reply.done)
        took = time.perf_counter() - began
        reply.result(0)
    return took


async def connect_raw(url: str) -> float:
    """Seconds from nothing to an open data channel, by signaling and bare aiortc."""
    began = time.perf_counter()
    opened = asyncio.Event()
    async with asyncio.timeout(PATIENCE):
        member = await SignalingClient.connect(url, room=RAW_ROOM, name="Ada")
        connection = _raw_connection()
        try:
            connection.createDataChannel("state", negotiated=True, id=0).on("open", opened.set)
            await connection.setLocalDescription()
            assert member.host is not None
            await member.send(m.Offer(member.host, connection.localDescription.sdp))
            async for message in member:
                if isinstance(message, m.AnswerFrom):
                    break
            await connection.setRemoteDescription(RTCSessionDescription(message.sdp, "answer"))
            await opened.wait()
            took = time.perf_counter() - began
        finally:
            await connection.close()
            await member.close()
    return took


def cut(client: nc.Client) -> None:
    """Let no packet of the WebRTC link in use get out or in any more, and tell nobody.

    It reaches past public names, since nothing public does that to one link and spares the next.
    """
    link: Any = client._guest.link
    connection = link.transport._internals._connection

    def lose(*args: Any) -> None:
        """A network that takes everything and brings nothing."""

    async def lose_later(data: bytes) -> None:
        """The same."""

    for protocol in connection._protocols:
        protocol.datagram_received = protocol.send_stun = lose
    connection.data_received = lose
    link.transport._internals._ice._send = lose_later


def _until_state(client: nc.Client) -> None:
    _until(client, lambda: len(client.world[Ship]) > 0)


def _until(client: nc.Client, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"it did not come true within {PATIENCE:g} s")
        client.update()
        if not condition():
            time.sleep(LOOK)


def _check(client: nc.Client, rung: str) -> None:
    if client.stats.rung != rung:
        raise Failed(f"connected by {client.stats.rung}, not by {rung}")
