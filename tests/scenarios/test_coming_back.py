"""A link fails, and its player comes back: same place, nothing reliable lost or doubled."""

import random
from collections.abc import Callable

import pytest

import netcode as nc
from netcode.core.player import Player
from netcode.testing import SteppedClient, Stepper
from netcode.transports.base import Lane
from netcode.transports.loopback import loopback_pair


class Note(nc.Message):
    number = nc.Int(0, 1_000_000)
    bulk = nc.Bytes(max_bytes=65_536)


class Move(nc.Input):
    x = nc.Float(-1, 1, step=0.01)


class Ship(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)


def simulate(ship: Ship, move: Move, step: nc.Step) -> None:
    ship.x += move.x * 60 * step.dt


GAME = nc.Protocol(entities=[Ship], inputs=[Move], messages=[Note], simulate={Ship: simulate})


class Table:
    """A game, and all that its handlers have heard."""

    def __init__(self, seed: int, **options: float) -> None:
        self.game = Stepper(GAME, seed=seed, **options)  # type: ignore[arg-type]
        self.news: list[str] = []
        self.at_server: list[int] = []
        self.at_client: list[int] = []
        self.sent_up = 0
        self.sent_down = 0
        self.rng = random.Random(seed)
        server = self.game.server

        @server.on_join
        def _join(player: Player) -> None:
            player.control(server.world.spawn(Ship))

        @server.on_leave
        def _leave(player: Player) -> None:
            self.news.append(f"left: {player.left_because}")

        server.on_reconnecting(lambda player: self.news.append("server: reconnecting"))
        server.on_resumed(lambda player: self.news.append("server: resumed"))

        @server.on(Note)
        def _note(player: Player, note: Note) -> None:
            self.at_server.append(note.number)

    def enter(self, weather: str | nc.Conditions = "4g") -> SteppedClient:
        client = self.game.join("Ada", weather)
        client.on_reconnecting(lambda: self.news.append("client: reconnecting"))
        client.on_resumed(lambda: self.news.append("client: resumed"))
        client.on_lost(lambda reason: self.news.append(f"client: {reason}"))
        client.on(Note)(lambda note: self.at_client.append(note.number))
        self.game.run_until(lambda: client.own(Ship) is not None, within=5.0)
        return client

    def talk(self, client: SteppedClient, seconds: float) -> None:
        """Fifty numbered messages a second each way, one in fifty of them of 64 KiB."""
        for _ in range(round(seconds * 50)):
            size = 65_536 if self.rng.random() < 0.02 else self.rng.randrange(40)
            if client.error is None:
                client.send(Note(number=self.sent_up, bulk=self.rng.randbytes(size)))
                self.sent_up += 1
            if client.player_id in self.game.server.players:
                note = Note(number=self.sent_down, bulk=self.rng.randbytes(size))
                self.game.player_of(client).send(note)
                self.sent_down += 1
            self.game.run(0.02, flying)

    def check(self, client: SteppedClient) -> None:
        self.game.run_until(
            lambda: len(self.at_server) >= self.sent_up and len(self.at_client) >= self.sent_down,
            within=60.0,
        )
        self.game.run(1.0)
        assert client.error is None
        assert self.at_server == list(range(self.sent_up))
        assert self.at_client == list(range(self.sent_down))
        self.game.assert_agreement(client)


def flying(client: SteppedClient) -> list[nc.Input]:
    return [Move(x=0.25)]


@pytest.mark.parametrize("weather", ["lan", "4g", "loss5", "terrible"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_cut_line_is_replaced_and_nothing_is_lost(weather: str, seed: int) -> None:
    table = Table(seed)
    client = table.enter(weather)
    player = table.game.player_of(client)
    table.talk(client, 2.0)
    client.cut()
    table.talk(client, 3.5)
    assert table.news == ["server: reconnecting", "client: reconnecting"] or table.news == [
        "client: reconnecting",
        "server: reconnecting",
    ]
    assert (client.reconnecting, player.reconnecting) == (True, True)
    client.relink()
    table.talk(client, 3.0)
    assert sorted(table.news[2:]) == ["client: resumed", "server: resumed"]
    assert table.game.server.players == {player.id: player}
    assert (client.reconnecting, player.reconnecting) == (False, False)
    table.check(client)


@pytest.mark.parametrize("seed", range(4))
def test_a_line_is_replaced_while_it_works(seed: int) -> None:
    """As when a better way has been found. Nobody notices."""
    table = Table(seed)
    client = table.enter("4g")
    player = table.game.player_of(client)
    table.talk(client, 2.0)
    for _ in range(4):
        client.relink()
        table.talk(client, 1.0)
    assert table.news == []
    assert player.connected
    table.check(client)


def test_prediction_goes_on_without_a_link_and_the_server_has_the_ship_at_rest() -> None:
    table = Table(1)
    client = table.enter("lan")
    table.game.run(2.0, flying)
    ship = client.own(Ship)
    [real] = table.game.player_of(client).entities
    assert ship is not None
    assert isinstance(real, Ship)
    client.cut()
    table.game.run(3.0, flying)
    at_rest, before = real.x, ship.x
    table.game.run(2.0, flying)
    assert ship.x == pytest.approx(before + 2.0 * 15, abs=2.0)
    assert real.x == at_rest
    client.relink()
    table.game.run(2.0)
    assert ship.x == pytest.approx(real.x, abs=1.0)  # ahead by the lead
    assert table.game.server.stats.missing_inputs < 2.6 * 60  # until it was noticed


def test_who_does_not_come_back_is_gone_after_the_grace_period() -> None:
    table = Table(1, grace=4.0)
    client = table.enter("lan")
    player = table.game.player_of(client)
    client.cut()
    table.game.run(6.0)
    assert player.reconnecting
    table.game.run(1.0)
    assert table.news[-2:] == [f"left: {player.left_because}", f"client: {client.error}"] or (
        table.news[-2:] == [f"client: {client.error}", f"left: {player.left_because}"]
    )
    assert (player.left_because or "").startswith("lost: nothing heard")
    assert table.game.server.players == {}
    with pytest.raises(nc.UsageError):
        client.relink()


def test_without_grace_a_failed_link_is_the_end() -> None:
    table = Table(1, grace=0.0)
    client = table.enter("lan")
    client.cut()
    table.game.run(3.0)
    assert isinstance(client.error, nc.Disconnected)
    assert len(table.news) == 2


@pytest.mark.parametrize("end", ["kick", "leave", "close"])
def test_a_goodbye_is_no_failure(end: str) -> None:
    table = Table(1)
    client = table.enter("4g")
    table.game.run(1.0)
    if end == "kick":
        table.game.player_of(client).kick("spamming")
    elif end == "leave":
        client.close()
    else:
        table.game.host.close("the server has stopped")
    table.game.run(1.0)
    assert table.game.server.players == {}
    assert client.error is not None
    assert not any("reconnecting" in news for news in table.news)


def test_a_player_that_was_kicked_while_away_does_not_come_back() -> None:
    table = Table(1)
    client = table.enter("lan")
    client.cut()
    table.game.run(3.5)
    table.game.player_of(client).kick("spamming")
    assert table.news[-1] == "left: kicked: spamming"
    client.relink()
    table.game.run(1.0)
    assert isinstance(client.error, nc.Disconnected)
    assert "gone on without" in client.error.reason


def lose_answers(client: SteppedClient, until: Callable[[], bool]) -> None:
    """Nothing of the server's gets to the client on the newest line until then."""
    host_end = client.wire.ends[0]
    client.wire.drop(lambda sender, lane, frame: sender is host_end and not until())


def test_an_answer_that_is_lost_with_its_link_does_not_spoil_the_ticket() -> None:
    table = Table(1)
    client = table.enter("lan")
    table.talk(client, 1.0)
    client.cut()
    table.talk(client, 3.0)
    for _ in range(3):  # the server agrees each time, and each time nobody hears it
        client.relink()
        lose_answers(client, lambda: False)
        table.talk(client, 1.0)
        client.cut()
    client.relink()
    table.talk(client, 1.0)
    table.check(client)


def test_a_used_ticket_is_void() -> None:
    table = Table(1)
    client = table.enter("lan")
    stolen = client.guest.connection.ticket
    client.relink()
    table.game.run(1.0, flying)
    assert client.guest.connection.ticket != stolen
    client.guest.connection.ticket = stolen
    client.cut()
    table.game.run(3.5)
    client.relink()
    table.game.run(1.0)
    assert client.error is not None
    assert table.news[-1].startswith("client: the game has gone on")


def test_it_is_delivered_but_not_acknowledged_when_the_line_is_cut() -> None:
    """What has arrived comes once more, and is known by its number."""
    table = Table(1)
    client = table.enter("lan")
    table.game.run(1.0)
    # From now on heartbeats, which acknowledge, get lost, and nothing else.
    client.wire.drop(lambda sender, lane, frame: lane is Lane.UNRELIABLE and frame[0] == 1)
    table.talk(client, 0.5)
    table.game.run(0.3)
    assert table.at_server == list(range(table.sent_up))
    client.cut()
    table.game.run(3.0)
    client.relink()
    table.talk(client, 1.0)
    table.check(client)


def test_a_full_queue_says_so_while_there_is_no_link() -> None:
    table = Table(1)
    client = table.enter("lan")
    client.cut()
    table.game.run(3.0)
    for number in range(65):
        client.send(Note(number=number, bulk=bytes(64_000)))
    with pytest.raises(nc.SendQueueFull):
        client.send(Note(number=65, bulk=bytes(64_000)))
    client.relink()
    table.game.run(20.0)
    assert table.at_server == list(range(65))
    client.send(Note(number=65))


def test_requests_are_answered_across_a_change_of_links() -> None:
    table = Table(1)
    game = table.game
    client = table.enter("lan")
    client.cut()
    game.run(3.0)
    reply = client.request(Note(number=7))
    client.relink()
    game.run(2.0)
    assert reply.done()
    assert table.at_server == [7]


def test_a_laptop_that_slept_for_longer_than_the_silence_limit_comes_back() -> None:
    table = Table(1, grace=30.0)
    client = table.enter("4g")
    table.talk(client, 1.0)
    client.asleep = True
    table.game.run(12.0)
    client.asleep = False
    table.game.run(0.5)
    client.relink()
    table.talk(client, 2.0)
    table.check(client)


def test_a_hundred_kilobytes_are_on_their_way_when_the_line_is_cut() -> None:
    table = Table(1)
    client = table.enter("4g")
    player = table.game.player_of(client)
    table.talk(client, 1.0)
    for _ in range(2):
        client.send(Note(number=table.sent_up, bulk=bytes(65_536)))
        table.sent_up += 1
        player.send(Note(number=table.sent_down, bulk=bytes(65_536)))
        table.sent_down += 1
    table.game.run(0.2)
    for connection in (client.guest.connection, player.connection):
        channels = connection.session.channels.values()
        assert sum(channel.outgoing.waiting_bytes for channel in channels) > 100_000
    client.cut()
    table.game.run(3.0)
    client.relink()
    table.check(client)


def test_a_refusal_that_comes_late_on_a_link_that_was_given_up_means_nothing() -> None:
    table = Table(1)
    client = table.enter("lan")
    table.game.run(1.0)
    guest = client.guest
    guest.on_link_retired = lambda link: None  # a real client's linger for a second
    near, far, wire = loopback_pair(
        table.game.clock, forth=nc.Conditions(), back=nc.Conditions(delay=1.0), seed=3
    )
    table.game.host.attach(near)
    client._wires.append(wire)
    guest.come_back(far)  # this request is on its way for a second
    table.game.run(0.2)
    guest.give_up_waiting()
    client.relink()  # and this one is answered at once
    table.game.run(2.0)
    assert client.error is None
    table.talk(client, 0.5)
    table.check(client)


def test_packets_that_nobody_could_be_sent_have_no_numbers() -> None:
    """Numbers travel in 16 bits: after a long outage a client would take new ones for old."""
    table = Table(1, grace=3000.0)
    client = table.enter("lan")
    table.game.run(1.0)
    player = table.game.player_of(client)
    client.cut()
    table.game.run(4.0)
    before = player.peer.sequence
    table.game.run(20.0)
    assert player.peer.sequence == before
    client.relink()
    table.game.run(1.0)
    table.game.assert_agreement(client)


def test_nobody_takes_up_the_room_for_all_newcomers() -> None:
    table = Table(1)
    silent = []
    for number in range(400):  # twenty callers with twenty links each, which say nothing
        near, far, wire = loopback_pair(table.game.clock, seed=number)
        far.start(lambda lane, data: None, lambda reason: None)
        table.game.host.attach(near, None, f"caller {number % 20}")
        silent.append(wire)
    assert table.game.host.waiting <= 40
    client = table.game.join("Ada", "lan")
    table.game.run(1.0)
    assert client.joined
