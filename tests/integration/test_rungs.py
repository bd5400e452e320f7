"""A client on each rung of the ladder, from one to another, and through the end of each link."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import netcode as nc
from netcode import watch
from netcode.core.guest import Guest
from netcode.rungs import Rung
from netcode.transports.webrtc import WebRtcTransport
from signaling.tokens import JoinSecret

pytestmark = pytest.mark.filterwarnings("error")

BIG = 65_536


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)


class Steer(nc.Input):
    thrust = nc.Bool()


class Note(nc.Message):
    number = nc.Int(0, 1_000_000)
    bulk = nc.Bytes(max_bytes=BIG)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += 10 * step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Note], simulate={Ship: fly})


class Table:
    """A server and what has been said on it."""

    def __init__(self, server: nc.Server) -> None:
        self.server = server
        self.at_server: list[int] = []
        self.news: list[str] = []

        @server.on_join
        def join(player: nc.Player) -> None:
            self.news.append(f"joined {player.name}")
            player.control(server.world.spawn(Ship))

        @server.on_leave
        def leave(player: nc.Player) -> None:
            self.news.append(f"left {player.name}")

        server.on_reconnecting(lambda player: self.news.append(f"reconnecting {player.name}"))
        server.on_resumed(lambda player: self.news.append(f"resumed {player.name}"))

        @server.on(Note)
        def note(player: nc.Player, note: Note) -> None:
            self.at_server.append(note.number)


class Player:
    """A client that plays and talks: numbered messages both ways, one in fifty of 64 KiB."""

    def __init__(self, table: Table, client: nc.Client) -> None:
        self.table = table
        self.client = client
        self.received: list[int] = []
        self.sent_up = self.sent_down = 0
        client.on(Note)(lambda note: self.received.append(note.number))

    @property
    def guest(self) -> Guest:
        return self.client._guest

    @property
    def rung(self) -> str:
        return self.client.stats.rung

    @property
    def transport(self) -> WebRtcTransport:
        link = self.guest.link
        assert link is not None
        assert isinstance(link.transport, WebRtcTransport)
        return link.transport

    def talk(self) -> None:
        bulk = secrets.token_bytes(BIG if self.sent_up % 50 == 25 else 20)
        self.client.send(Note(number=self.sent_up, bulk=bulk))
        self.sent_up += 1
        [player] = self.table.server.players.values()
        if player.try_send(Note(number=self.sent_down, bulk=bulk)):
            self.sent_down += 1

    async def play(self, until: Callable[[], bool], within: float = 10.0) -> float:
        """Play and talk until something holds; the seconds it took."""
        began = time.monotonic()
        while not until():
            assert time.monotonic() - began < within, "did not come true in time"
            self.client.update(Steer(thrust=True))
            self.talk()
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def check(self) -> None:
        """All that was said has been heard, once and in order."""
        await self.play(lambda: True)
        async with asyncio.timeout(20):
            while len(self.received) < self.sent_down or len(self.table.at_server) < self.sent_up:
                self.client.update()
                await asyncio.sleep(0.02)
        assert self.received == list(range(self.sent_down))
        assert self.table.at_server == list(range(self.sent_up))

    def cut(self) -> None:
        """Let no packet of the WebRTC link in use get out or in any more, and tell nobody."""
        connection = self.transport._internals._connection  # type: ignore[union-attr]
        for protocol in connection._protocols:
            protocol.datagram_received = lambda data, addr: None
            protocol.send_stun = lambda message, addr: None
        connection.data_received = lambda data, component: None
        self.transport._internals._ice._send = _lose  # type: ignore[union-attr]


async def _lose(data: bytes) -> None:
    """A network that takes everything and brings nothing."""


@asynccontextmanager
async def playing(
    rungs: list[str] | None = None, *, token: str | None = None, **options: object
) -> AsyncIterator[tuple[Table, Player]]:
    before = asyncio.all_tasks()
    server = nc.Server(GAME, relay=nc.Relay(port=0), **options)  # type: ignore[arg-type]
    table = Table(server)
    async with server, nc.connect(server.url, GAME, name="Ada", rungs=rungs, token=token) as client:
        player = Player(table, client)
        await player.play(lambda: len(client.world[Ship]) == 1)
        yield table, player
    assert table.news[-1] == "left Ada"
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("rung", [rung.value for rung in Rung])
async def test_all_channels_work_on_each_rung(rung: str) -> None:
    async with playing([rung]) as (_, player):
        assert player.rung == rung
        began = len(player.received)
        await player.play(lambda: len(player.received) >= began + 60)
        await player.check()
        assert player.client.stats.broadcast_hz > 10


@pytest.mark.parametrize("low", ["turn_udp", "turn_tcp", "websocket"])
async def test_the_game_climbs_to_a_better_rung_and_nobody_notices(
    low: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "CLIMBS", (0.5,))
    async with playing([low]) as (table, player):
        player.client._lifeline.watch.rungs = tuple(Rung)  # the better ones work from now on
        await player.play(lambda: player.rung == "direct")
        await player.check()
        assert table.news == ["joined Ada"]
        assert not player.client.reconnecting


@pytest.mark.parametrize("rung", ["direct", "turn_udp", "turn_tcp"])
async def test_a_link_that_goes_silent_is_replaced_before_it_is_dead(rung: str) -> None:
    async with playing([rung]) as (table, player):
        before = player.guest.link
        player.cut()
        took = await player.play(lambda: player.guest.link is not before)
        assert took < 4.0
        await player.check()
        assert table.news == ["joined Ada"]


async def test_where_no_udp_gets_through_any_more_the_game_goes_on_through_signaling() -> None:
    async with playing() as (table, player):
        assert player.rung == "direct"
        player.client.conditions = nc.Conditions(loss=1.0)
        await player.play(lambda: player.rung == "websocket", within=12.0)
        await player.check()
        assert [each for each in table.news if "left" in each] == []


async def test_the_relay_dies_in_mid_session() -> None:
    async with playing(["turn_udp", "websocket"]) as (table, player):
        assert player.rung == "turn_udp"
        assert table.server._relay is not None
        await table.server._relay.stop()
        await player.play(lambda: player.rung == "websocket", within=8.0)
        await player.check()
        assert "left Ada" not in table.news


async def test_a_dropped_signaling_connection_under_the_websocket_rung_is_made_anew() -> None:
    async with playing(["websocket"]) as (table, player):
        room = player.client._reach._room
        assert room is not None
        room.member._socket.transport.abort()
        await player.play(lambda: "resumed Ada" in table.news)
        assert table.news == ["joined Ada", "reconnecting Ada", "resumed Ada"]
        await player.check()


async def test_an_expired_join_token_does_not_keep_a_player_out() -> None:
    secret = secrets.token_bytes(32)
    token = JoinSecret(secret).issue(
        name="Ada", room="game", now=time.time(), lifetime=2.0, subject="a7"
    )
    async with playing(token=token, join_secret=secret) as (table, player):
        expired = time.time() + 2.0
        await player.play(lambda: time.time() > expired)
        player.cut()
        before = player.guest.link
        await player.play(lambda: player.guest.link is not before)
        await player.check()
        [there] = table.server.players.values()
        assert there.subject == "a7"
        assert table.news == ["joined Ada"]


async def test_with_rungs_that_do_not_work_the_error_says_what_was_tried() -> None:
    server = nc.Server(GAME, relay=None)
    async with server:
        with pytest.raises(nc.Unreachable) as raised:
            async with nc.connect(server.url, GAME, rungs=["turn_udp", "turn_tcp"]):
                pass
    assert "turn_udp" in str(raised.value)
    assert "turn_tcp" in str(raised.value)


async def test_while_a_server_drains_its_players_can_still_come_back() -> None:
    async with playing(["direct"]) as (table, player):
        draining = asyncio.create_task(table.server.drain(30.0))
        await player.play(lambda: player.client.draining is not None)
        before = player.guest.link
        player.cut()
        await player.play(lambda: player.guest.link is not before)
        await player.check()
        with pytest.raises(nc.Refused) as refused:
            async with nc.connect(table.server.url, GAME, name="Bob"):
                pass
        assert refused.value.code == "draining"
        draining.cancel()
        await asyncio.wait([draining])


async def test_draining_ends_when_the_last_player_s_grace_does() -> None:
    server = nc.Server(GAME, grace=0.5)
    await server.start()
    client = nc.connect(server.url, GAME, name="Ada", rungs=["direct"])
    await client.__aenter__()
    await client._reach.close()
    client._lifeline.watch.rungs = ()
    began = time.monotonic()
    draining = asyncio.create_task(server.drain(30.0))
    Player(Table(server), client).cut()
    await draining
    assert time.monotonic() - began < 10.0
    await client.__aexit__(None, None, None)
