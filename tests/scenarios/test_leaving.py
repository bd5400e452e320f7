"""Leaving, being kicked, and a server that stops: everybody learns why."""

import pytest

from netcode.core.player import Player
from netcode.errors import Disconnected
from tests.scenarios.small_game import Chat, Ship, begin, enter, seen


def test_a_player_who_leaves_is_gone_at_once_and_takes_the_ship_along() -> None:
    game = begin()
    ada, bob = enter(game, "Ada", "wifi"), enter(game, "Bob", "wifi")
    game.run(0.5)
    player = game.player_of(ada)
    ada.close()
    assert game.run_until(lambda: seen(bob, ada) is None, within=2.0) < 1.0
    assert player.left_because == "left"
    assert isinstance(ada.error, Disconnected)
    assert ada.error.reason == "left"
    assert [p.name for p in game.host.guests] == ["Bob"]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("weather", ["clean", "terrible"])
def test_a_kicked_player_is_told_the_reason(weather: str, seed: int) -> None:
    game = begin(seed=seed)
    ada = enter(game, "Ada", weather)
    player = game.player_of(ada)
    player.kick("spamming")
    assert game.host.guests.by_id == {}
    assert len(game.host.world[Ship]) == 0
    game.run(3.0)
    assert isinstance(ada.error, Disconnected)
    assert ada.error.reason == "kicked: spamming"
    assert player.left_because == "kicked: spamming"


def test_what_was_said_before_the_kick_is_still_heard() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    heard: list[str] = []
    ada.on(Chat)(lambda message: heard.append(message.text))
    game.player_of(ada).send(Chat(text="You are out"))
    game.player_of(ada).kick("cheating")
    game.run(2.0)
    assert heard == ["You are out"]
    with pytest.raises(Disconnected, match="kicked: cheating"):
        ada.update()


def test_a_player_kicked_while_joining_never_was_there_for_later_handlers() -> None:
    game = begin()
    game.host.on_join.insert(0, lambda player: player.kick("banned"))
    ada = game.join("Ada")
    game.run(1.0)
    assert isinstance(ada.error, Disconnected)
    assert "banned" in ada.error.reason
    assert len(game.host.world[Ship]) == 0


def test_a_server_that_stops_says_so_to_everybody() -> None:
    game = begin()
    guests = [enter(game, "Ada", "4g"), enter(game, "Bob")]
    game.host.close("maintenance")
    game.run(1.0)
    for guest in guests:
        assert isinstance(guest.error, Disconnected)
        assert guest.error.reason == "maintenance"


def test_on_leave_can_still_look_at_the_players_entities() -> None:
    game = begin()
    found: list[str] = []

    def look(player: Player) -> None:
        found.extend(entity.name for entity in player.entities if isinstance(entity, Ship))

    game.host.on_leave.insert(0, look)
    ada = enter(game, "Ada")
    ada.close()
    game.run(0.5)
    assert found == ["Ada"]


def test_ids_are_never_used_twice() -> None:
    game = begin()
    numbers = []
    for name in ("Ada", "Bob", "Cyd"):
        guest = enter(game, name)
        numbers.append(guest.player_id)
        guest.close()
        game.run(0.5)
    assert len(set(numbers)) == 3


def test_after_the_end_sending_raises_the_reason() -> None:
    game = begin()
    ada = enter(game, "Ada")
    game.player_of(ada).kick("bye")
    game.run(0.5)
    with pytest.raises(Disconnected, match="bye"):
        ada.send(Chat(text="but"))
    with pytest.raises(Disconnected, match="bye"):
        ada.request(Chat(text="but"))
