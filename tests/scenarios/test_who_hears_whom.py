"""Voices are passed on to those who hear them, and to nobody else: counted on the wire."""

from collections.abc import Iterator
from contextlib import suppress

import pytest

import netcode as nc
from netcode.core.player import Player
from netcode.testing import SteppedClient, Stepper
from netcode.transports.base import Lane
from netcode.voice.headers import EXTENSION, FIRST_BYTE, FLAT, is_placed
from netcode.voice.policies import (
    Audience,
    Company,
    EveryoneVoice,
    ProximityVoice,
    TeamVoice,
    VoicePolicy,
)

FRAME = 0.02


class Ship(nc.Entity):
    x = nc.Float(-5000, 5000, step=0.05)
    y = nc.Float(-5000, 5000, step=0.05)


GAME = nc.Protocol(entities=[Ship])


def packet(speaker: int, sequence: int, level: int = 30, payload: bytes = bytes(70)) -> bytes:
    """A voice packet as `netcode.voice.headers` has it."""
    return (
        bytes((FIRST_BYTE, FLAT))
        + sequence.to_bytes(2, "big")
        + (sequence * 960).to_bytes(4, "big")
        + speaker.to_bytes(4, "big")
        + EXTENSION
        + bytes((level, 0, 0))
        + payload
    )


class Room:
    """A game with voices."""

    def __init__(self, policy: VoicePolicy | None, names: str, weather: str = "lan") -> None:
        self.game = Stepper(GAME, seed=1, voice=policy)
        self.heard: dict[str, list[bytes]] = {}
        self.ships: dict[int, Ship] = {}
        self.game.server.on_join(self._join)
        self.clients = [self._enter(name, weather) for name in names.split()]
        self.game.run(1.0)
        self._sequences = {client.player_id: iter(range(65_536)) for client in self.clients}

    def _join(self, player: Player) -> None:
        ship = self.ships[player.id] = self.game.server.world.spawn(Ship)
        player.control(ship)

    def _enter(self, name: str, weather: str) -> SteppedClient:
        client = self.game.join(name, weather)
        heard = self.heard[name] = []
        client.guest.voice.listen(heard.append)
        return client

    def ship(self, client: SteppedClient) -> Ship:
        return self.ships[client.player_id]

    def talk(self, *speakers: SteppedClient, seconds: float = 1.0, level: int = 30) -> None:
        """Let them talk, and forget what was heard before."""
        for heard in self.heard.values():
            heard.clear()
        for _ in range(round(seconds / FRAME)):
            for client in speakers:
                sequences: Iterator[int] = self._sequences[client.player_id]
                client.guest.voice.send(packet(client.player_id, next(sequences), level))
            self.game.run(FRAME)
        self.game.run(0.2)

    def who_heard(self, speaker: SteppedClient) -> dict[str, int]:
        number = speaker.player_id.to_bytes(4, "big")
        counted = {
            name: sum(each[8:12] == number for each in heard) for name, heard in self.heard.items()
        }
        return {name: count for name, count in counted.items() if count}


def test_everybody_hears_everybody_and_nobody_himself() -> None:
    room = Room(EveryoneVoice(), "Ada Bob Cy")
    ada = room.clients[0]
    room.talk(ada)
    assert room.who_heard(ada) == {"Bob": 50, "Cy": 50}
    assert not any(is_placed(each) for each in room.heard["Bob"])


def test_a_voice_stops_being_sent_when_two_ships_part() -> None:
    room = Room(ProximityVoice(100, 600), "Ada Bob")
    ada, bob = room.clients
    room.ship(bob).x = 300.0
    room.talk(ada)
    assert room.who_heard(ada) == {"Bob": 50}
    assert all(is_placed(each) for each in room.heard["Bob"])
    assert bob.guest.voice.rules is not None
    assert (bob.guest.voice.rules.full, bob.guest.voice.rules.silent) == (100, 600)
    carried = room.game.player_of(bob).connection.link
    assert carried is not None
    sent = carried.transport.stats.bytes_sent
    room.talk(ada)
    talking = carried.transport.stats.bytes_sent - sent

    room.ship(bob).x = 700.0
    sent = carried.transport.stats.bytes_sent
    room.talk(ada)
    assert len(room.heard["Bob"]) <= 5  # until it was looked at again
    assert talking - (carried.transport.stats.bytes_sent - sent) > 45 * 90

    room.ship(bob).x = 620.0  # within the margin of who is heard already, not of who is not
    room.talk(ada)
    room.ship(bob).x = 100.0
    room.talk(ada)
    assert room.who_heard(ada)["Bob"] >= 45


def test_a_team_hears_its_own() -> None:
    room = Room(TeamVoice(), "Ada Bob Cy Di")
    ada, bob, cy, di = room.clients
    for client, team in ((ada, 1), (bob, 1), (cy, 2), (di, 2)):
        room.game.player_of(client).join_group(team)
    room.talk(ada, di)
    assert room.who_heard(ada) == {"Bob": 50}
    assert room.who_heard(di) == {"Cy": 50}


def test_a_team_is_heard_from_afar_and_others_from_near() -> None:
    room = Room(TeamVoice() | ProximityVoice(100, 600), "Ada Bob Cy Di")
    ada, bob, cy, _ = room.clients
    for client in (ada, bob):
        room.game.player_of(client).join_group(1)
    room.ship(bob).x = 3000.0
    room.ship(cy).x = 50.0
    room.ship(room.clients[3]).x = 4000.0
    room.talk(ada)
    assert room.who_heard(ada) == {"Bob": 50, "Cy": 50}
    assert not any(is_placed(each) for each in room.heard["Bob"])
    assert all(is_placed(each) for each in room.heard["Cy"])


def test_a_spectator_only_listens_and_who_is_deafened_is_sent_nothing() -> None:
    room = Room(EveryoneVoice(), "Ada Bob Cy")
    ada, bob, cy = room.clients
    room.game.player_of(ada).may_speak = False
    cy.guest.voice.want(False)
    room.game.run(0.5)
    room.talk(ada, bob)
    assert room.who_heard(ada) == {}
    assert room.who_heard(bob) == {"Ada": 50}
    cy.guest.voice.want(True)
    room.game.run(0.5)
    room.talk(bob)
    assert room.who_heard(bob) == {"Ada": 50, "Cy": 50}


def test_where_many_talk_the_loudest_are_sent() -> None:
    room = Room(EveryoneVoice(slots=2), "Ada Bob Cy Di Ed")
    listener, *others = room.clients
    for _ in range(3):  # at the same time: whoever has a slot keeps it until somebody is louder
        room.talk(*others[:2], level=60, seconds=0.3)
        room.talk(*others[2:], level=10, seconds=0.3)
    room.talk(*others, level=60, seconds=0.2)
    loud = {client.player_id for client in others[2:]}
    for _ in range(50):
        for client in others:
            level = 10 if client.player_id in loud else 70
            sequence = next(room._sequences[client.player_id])
            client.guest.voice.send(packet(client.player_id, sequence, level))
        room.game.run(FRAME)
    sources = {int.from_bytes(each[8:12], "big") for each in room.heard["Ada"][-40:]}
    assert sources == loud
    assert listener.joined


def test_a_voice_in_another_s_name_and_floods_are_dropped() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, bob = room.clients
    stats = room.game.host.voice
    assert stats is not None
    for number in range(100):
        ada.guest.voice.send(packet(bob.player_id, number))
        ada.guest.voice.send(b"\x90" + bytes(40))
        ada.guest.voice.send(packet(ada.player_id, number, payload=bytes(900)))
        room.game.run(FRAME)
    assert room.heard["Bob"] == []
    assert stats.forwarding.stats.dropped == 300
    for number in range(1_000):
        ada.guest.voice.send(packet(ada.player_id, number))
    room.game.run(0.5)
    assert 20 <= len(room.heard["Bob"]) <= 30
    assert bob.joined
    assert ada.joined


def test_who_leaves_is_not_sent_anything_and_who_comes_hears_at_once() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, bob = room.clients
    room.talk(ada)
    bob.close()
    room.game.run(0.5)
    room.talk(ada)
    assert room.who_heard(ada) == {}
    room.clients.append(room._enter("Cy", "lan"))
    room.game.run(1.0)
    room.talk(ada)
    assert room.who_heard(ada) == {"Cy": 50}


def test_voice_goes_on_on_another_link() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, bob = room.clients
    bob.relink()
    ada.relink()
    room.game.run(1.0)
    room.talk(ada)
    assert room.who_heard(ada) == {"Bob": 50}


def test_everybody_is_told_of_a_recording_also_who_comes_later() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    room.clients[0].guest.voice.tell_recording(True)
    room.game.run(0.5)
    room.clients.append(room._enter("Cy", "lan"))
    room.game.run(1.0)
    for client in room.clients:
        assert client.guest.voice.rules is not None
        assert client.guest.voice.rules.recording
    room.clients[0].close()
    room.game.run(1.0)
    rules = room.clients[1].guest.voice.rules
    assert rules is not None
    assert not rules.recording


def test_without_voice_nothing_is_passed_on() -> None:
    room = Room(None, "Ada Bob")
    room.talk(room.clients[0])
    assert room.heard["Bob"] == []
    assert room.clients[0].guest.voice.rules is None


@pytest.mark.parametrize("wrong", [(100, 50), (-1, 10), (5, float("inf"))])
def test_distances_that_make_no_sense_raise(wrong: tuple[float, float]) -> None:
    with pytest.raises(nc.UsageError):
        ProximityVoice(*wrong)


def test_who_reads_nothing_cannot_be_made_to_stop_the_server() -> None:
    """A player changes its mind thousands of times, and another one acknowledges nothing."""
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, bob = room.clients
    bob.wire.drop(lambda sender, lane, frame: lane is Lane.UNRELIABLE and frame[0] == 1)
    for number in range(5_000):
        with suppress(nc.SendQueueFull):
            ada.guest.voice.tell_recording(number % 2 == 0)
        if number % 10 == 0:
            room.game.run(1 / 60)
    ada.close()
    room.game.run(1.0)
    assert list(room.game.server.players) == [bob.player_id]
    rules = bob.guest.voice.rules
    assert rules is not None
    assert not rules.recording


def numbers(packets: list[bytes]) -> list[int]:
    return [int.from_bytes(each[2:4], "big") for each in packets]


def test_who_was_not_sent_a_voice_for_long_hears_it_again_at_once() -> None:
    """Numbers have 16 bits, and what is far ahead or behind is taken for a replay."""
    room = Room(ProximityVoice(100, 600), "Ada Bob")
    ada, bob = room.clients
    room.talk(ada, seconds=0.4)
    first = numbers(room.heard["Bob"])
    room.ship(bob).x = 3000.0
    forwarding = room.game.host.voice
    assert forwarding is not None
    for _ in range(500):  # ten minutes of talk that Bob is not sent, in large steps
        ada.guest.voice.send(packet(ada.player_id, next(room._sequences[ada.player_id])))
        for _ in range(80):
            next(room._sequences[ada.player_id])
        room.game.run(1 / 50)
    room.ship(bob).x = 0.0
    room._sequences[ada.player_id] = iter(range(40_600, 65_536))
    room.talk(ada, seconds=0.4)
    again = numbers(room.heard["Bob"])
    assert len(again) >= 10
    assert again == list(range(first[-1] + 1, first[-1] + 1 + len(again)))
    assert room.heard["Bob"][0][1] & 0x80  # it begins anew


def test_a_packet_is_passed_on_once_and_losses_stay_losses() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, _ = room.clients
    for sequence in [0, 1, 1, 2, 5, 4, 4, 6, 0, 7]:
        ada.guest.voice.send(packet(ada.player_id, sequence))
        room.game.run(FRAME)
    room.game.run(0.2)
    assert numbers(room.heard["Bob"]) == [0, 1, 2, 5, 4, 6, 7]


def test_who_sends_too_fast_is_passed_on_as_fast_as_everybody() -> None:
    room = Room(EveryoneVoice(), "Ada Bob")
    ada, _ = room.clients
    sequences = iter(range(65_536))
    for _ in range(300):
        for _ in range(20):  # a thousand a second
            ada.guest.voice.send(packet(ada.player_id, next(sequences)))
        room.game.run(FRAME)
    assert len(room.heard["Bob"]) <= 6 * 55 + 30


def test_a_policy_that_raises_costs_nobody_the_link(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(VoicePolicy):
        def audience(self, company: Company) -> Audience:
            raise ZeroDivisionError

    room = Room(Broken(), "Ada Bob")
    room.talk(*room.clients)
    assert all(client.joined for client in room.clients)
    assert room.heard["Bob"] == []
    assert sum("voice policy" in record.message for record in caplog.records) == 1
