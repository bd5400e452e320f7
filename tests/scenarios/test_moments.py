"""A timed message is handled when the display reaches its tick; others at once."""

import pytest

import netcode as nc
from netcode.core.guest import MAX_MOMENT
from netcode.testing import SteppedClient, Stepper
from tests.scenarios.duel_game import Balloon, Bang, Boom, News, begin, enter


def listen(game: Stepper, guest: SteppedClient) -> list[tuple[str, int, float]]:
    """What is handled: its class, its number, and the display tick at that moment."""
    heard: list[tuple[str, int, float]] = []

    def note(message: Bang | Boom | News) -> None:
        heard.append((type(message).__name__, message.number, guest.display_tick))

    for kind in (Bang, Boom, News):
        guest.on(kind)(note)
    return heard


@pytest.mark.parametrize("weather", ["lan", "4g", "loss5"])
def test_the_bang_and_what_bursts_agree(weather: str) -> None:
    game = begin(seed=2)
    ada = enter(game, "Ada", weather)
    heard = listen(game, ada)
    game.run(2.0)
    gone: dict[int, float] = {}
    ada.on_leave(Balloon)(lambda balloon: gone.setdefault(round(balloon.x), ada.display_tick))
    balloons = [game.host.world.spawn(Balloon, x=float(n)) for n in range(20)]
    game.run(1.0)
    said: dict[int, int] = {}
    for number, balloon in enumerate(balloons):
        # Between two ticks the host's tick is that of the broadcast in which the balloon is gone.
        game.run_until(lambda: game.host.tick % 3 == 2, within=1.0)
        game.host.world.despawn(balloon)
        game.host.broadcast(Bang(number=number))
        said[number] = game.host.tick
        game.run(0.1)
    game.run(1.0)
    bangs = {number: tick for _, number, tick in heard}
    assert len(bangs) > 15  # they may be lost
    for number, tick in bangs.items():
        assert 0 <= tick - said[number] < 2.5
    agree = [abs(bangs[number] - gone[number]) <= 3 for number in bangs]
    assert sum(agree) >= 0.9 * len(agree)


def test_what_is_not_timed_does_not_wait() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    heard = listen(game, ada)
    game.run(2.0)
    game.host.broadcast(Boom(number=1))
    game.host.broadcast(News(number=2))
    game.run(1.0)
    assert [name for name, _, _ in heard] == ["News", "Boom"]


def test_timed_messages_are_handled_in_the_order_of_their_ticks() -> None:
    game = begin()
    ada = enter(game, "Ada", "terrible")
    heard = listen(game, ada)
    game.run(2.0)
    for number in range(30):
        game.host.broadcast(Boom(number=number))
        game.run(1 / 60)
    game.run(3.0)
    assert [number for _, number, _ in heard] == list(range(30))
    ticks = [tick for _, _, tick in heard]
    assert ticks == sorted(ticks)


def test_what_comes_after_its_moment_is_handled_at_once() -> None:
    game = begin()
    ada = enter(game, "Ada", "loss5")
    heard = listen(game, ada)
    game.run(2.0)
    ada.stalled = True
    game.host.broadcast(Boom(number=5))
    game.run(2.0)
    ada.stalled = False
    game.run(2 / 60)
    assert [number for _, number, _ in heard] == [5]


def test_a_moment_that_cannot_be_true_does_not_wait_for_ever() -> None:
    game = begin()
    ada = enter(game, "Ada", "lan")
    heard = listen(game, ada)
    game.run(1.0)
    player = game.player_of(ada)
    real = game.host.tick
    player._tick = lambda: real + round(MAX_MOMENT * 60) + 1_000
    player.send(Boom(number=1))
    game.run(0.2)
    assert [number for _, number, _ in heard] == [1]


def test_what_waits_is_handled_before_the_end() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    heard = listen(game, ada)
    game.run(1.0)
    game.host.broadcast(Boom(number=1))
    game.host.broadcast(Boom(number=2))
    game.player_of(ada).kick("enough")
    game.run(1.0)
    assert isinstance(ada.error, nc.Disconnected)
    assert [number for _, number, _ in heard] == [1, 2]


def test_a_client_may_send_a_timed_class_too_and_it_is_handled_at_once() -> None:
    game = begin()
    ada = enter(game, "Ada")
    said: list[int] = []
    game.server.on(Boom)(lambda player, message: said.append(message.number))
    ada.send(Boom(number=9))
    game.run(0.2)
    assert said == [9]
