"""A killed peer is noticed within three seconds, and gone if its place is not kept."""

from netcode.core.player import Player
from netcode.errors import Disconnected
from netcode.testing import ManualClock
from netcode.transports.loopback import loopback_pair
from tests.scenarios.small_game import Ship, begin, enter, seen


def test_a_dead_guest_and_its_ship_go() -> None:
    game = begin(grace=0.0)
    left: list[Player] = []
    game.host.on_leave.append(left.append)
    ada, bob = enter(game, "Ada", "4g"), enter(game, "Bob", "4g")
    game.run(1.0)
    assert seen(bob, ada) is not None
    player = game.player_of(ada)

    ada.wire.cut()
    game.run(2.0)
    assert player.left_because is None
    took = 2.0 + game.run_until(lambda: seen(bob, ada) is None, within=1.2)
    assert took <= 3.1  # three seconds, and the time until the news is on Bob's screen
    assert left == [player]
    assert "nothing heard" in (player.left_because or "")
    assert len(game.host.world[Ship]) == 1
    assert bob.error is None


def test_a_dead_server_is_noticed_by_its_guests() -> None:
    game = begin(grace=0.0)
    guests = [enter(game, "Ada"), enter(game, "Bob")]
    game.run(1.0)
    for guest in guests:
        guest.wire.cut()
    game.run(3.0)
    for guest in guests:
        assert isinstance(guest.error, Disconnected)
        assert "nothing heard" in guest.error.reason


def test_the_same_holds_at_one_tick_a_second() -> None:
    """A board game's server ticks seldom; its heart must not beat as seldom."""
    game = begin(tick_rate=1, broadcast_rate=1, grace=0.0)
    ada, bob = game.join("Ada"), game.join("Bob")
    game.run(5.0)
    assert ada.joined
    assert bob.joined
    ada.wire.cut()
    game.run(3.0)
    assert [player.name for player in game.host.guests] == ["Bob"]


def test_a_link_that_never_says_hello_is_closed() -> None:
    game = begin()
    clock = ManualClock(game.clock.now)
    near, far, wire = loopback_pair(clock, seed=1)
    closed: list[str] = []
    far.start(lambda lane, data: None, closed.append)
    game.host.attach(near)
    for _ in range(700):
        game.run(0.01)
        clock.now = game.clock.now
        wire.advance(clock.now)
    assert closed
    assert game.host.waiting == 0
