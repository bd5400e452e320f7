"""What a game is written against is the same for real and in a test."""

import inspect
from typing import Any

import pytest

import netcode as nc
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.small_game import GAME, Answer, Ask, Chat, Rock, Ship, begin, enter, ship_of


def public(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize(("side", "real"), [(nc.ServerSide, nc.Server), (nc.ClientSide, nc.Client)])
def test_a_real_end_is_a_side_and_takes_the_same_arguments(side: type, real: type) -> None:
    assert issubclass(real, side)
    for name, value in public(side).items():
        there = inspect.getattr_static(real, name)
        assert inspect.getdoc(getattr(real, name)), name
        if inspect.isfunction(value):
            assert inspect.signature(there) == inspect.signature(value), name


def test_a_stepper_gives_the_sides() -> None:
    game = Stepper(GAME)
    assert type(game.server) is nc.ServerSide
    assert isinstance(game.join("Ada"), SteppedClient)
    assert issubclass(SteppedClient, nc.ClientSide)


def test_rules_see_players_come_speak_and_go() -> None:
    game = begin()
    server = game.server
    seen: list[str] = []
    server.on_join(lambda player: seen.append(f"{player.name} came"))
    server.on_leave(lambda player: seen.append(f"{player.name} {player.left_because}"))

    @server.on(Ask)
    def answer(player: nc.Player, ask: Ask) -> Answer:
        return Answer(number=ask.number * 2)

    ada = enter(game, "Ada")
    assert list(server.players) == [ada.player_id]
    assert server.tick == game.host.tick > 0
    assert server.stats.broadcasts > 0
    reply = ada.request(Ask(number=4))
    game.run_until(reply.done, within=0.5)
    assert reply.result(0) == Answer(number=8)
    player, ship = game.player_of(ada), ship_of(game, ada)
    assert server.explain(player, ship).verdict
    assert server.state_stats(player).budget > 0
    with server.rewind(player) as past:
        assert len(past[Ship]) == 1
    ada.close()
    ada.close()
    game.run(0.5)
    assert seen == ["Ada came", "Ada left"]
    assert (ada.joined, str(ada.error)) == (False, "left")


def test_a_client_hears_and_sees() -> None:
    game = begin()
    ada = enter(game, "Ada")
    events: list[object] = []
    ada.on(Chat)(lambda said: events.append(said.text))
    ada.on_enter(Rock)(lambda rock: events.append("enter"))
    ada.on_change(Rock.size)(lambda rock, old, new: events.append((old, new)))
    ada.on_leave(Rock)(lambda rock: events.append("leave"))
    game.server.broadcast(Chat(text="hi"))
    rock = game.server.world.spawn(Rock, size=1)
    game.run(0.5)
    rock.size = 2
    game.run(0.5)
    game.server.world.despawn(rock)
    game.run(0.5)
    assert events == ["hi", "enter", (1, 2), "leave"] or events == ["enter", "hi", (1, 2), "leave"]
    assert ada.stats.transport == "loopback"
    assert 0 < ada.display_tick < ada.tick
    assert ada.authoritative is not ada.world
    assert ada.prediction
    ada.prediction = ada.interpolation = False
    assert not ada.guest.prediction
    assert not ada.guest.interpolation


def test_listening_to_what_is_not_there_raises_at_once() -> None:
    class Alien(nc.Entity):
        pass

    class Noise(nc.Message):
        pass

    game = begin()
    ada = game.join("Ada")
    mistakes: list[Any] = [
        lambda: ada.on_enter(Alien),
        lambda: ada.on_leave(Alien),
        lambda: ada.on_change("hull"),  # type: ignore[arg-type]
        lambda: ada.on(Noise),
        lambda: game.server.on(Noise),
    ]
    for mistake in mistakes:
        with pytest.raises(nc.UsageError):
            mistake()


@pytest.mark.parametrize("make", [Stepper, nc.Server])
@pytest.mark.parametrize(
    "options", [{"interest": 600}, {"budget": 3}, {"priority": 4}, {"broadcast_rate": 25}], ids=str
)
def test_a_stepper_refuses_what_a_server_refuses(make: Any, options: dict[str, Any]) -> None:
    with pytest.raises(nc.UsageError, match=next(iter(options))):
        make(GAME, **options)
