"""The network changes in the middle of a game, and nobody loses anything by it.

Whatever happens, what is heard is what was said, in order; the player keeps its slot; and nobody is
silent for longer than four seconds (`netlab.game.Play.check`).
"""

from collections.abc import Iterator

import pytest

from tests.integration.netlab import Internet, Line, Nat, Udp
from tests.integration.netlab.game import Game, Play, game_on

LEAVING = 3.0
"""Seconds; one of them is for what was said last."""


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as built:
        yield built


@pytest.fixture
def game(internet: Internet) -> Iterator[Game]:
    """One for each test: who came and went is counted, and some break it."""
    with game_on(internet) as running:
        yield running


def test_a_long_and_lossy_line_loses_nothing(internet: Internet, game: Game) -> None:
    with internet.site(line=Line(delay=0.05, jitter=0.005, loss=0.01)) as site:
        play = Play(game, site)
        play.disturb()
        play.check()


@pytest.mark.parametrize("nat", [Nat.FULL_CONE, Nat.PORT_RESTRICTED, Nat.SYMMETRIC], ids=str)
def test_a_rebinding_on_a_direct_path(internet: Internet, game: Game, nat: Nat) -> None:
    with internet.site(nat) as site:
        play = Play(game, site)
        assert play.rung == "direct"
        play.disturb()
        site.rebind()
        play.check()
        assert play.rung == "direct"


def test_a_rebinding_on_a_relayed_path(internet: Internet, game: Game) -> None:
    with internet.site(udp=Udp.RELAY_ONLY) as site:
        play = Play(game, site)
        assert play.rung == "turn_udp"
        play.disturb()
        site.rebind()
        play.check()


def test_the_relay_dies(internet: Internet, game: Game) -> None:
    with internet.site(udp=Udp.RELAY_ONLY) as site:
        play = Play(game, site)
        assert play.rung == "turn_udp"
        play.disturb()
        game.relay.end()
        play.check()
        assert play.rung == "websocket"


@pytest.mark.parametrize("udp", [Udp.OPEN, Udp.RELAY_ONLY], ids=str)
def test_the_address_changes(internet: Internet, game: Game, udp: Udp) -> None:
    with internet.site(udp=udp) as site:
        play = Play(game, site)
        play.disturb()
        site.change_address()
        play.check()


def test_udp_is_blocked_in_the_middle_of_a_game(internet: Internet, game: Game) -> None:
    with internet.site() as site:
        play = Play(game, site)
        play.disturb()
        site.udp = Udp.BLOCKED
        play.check()
        assert play.rung in {"turn_tcp", "websocket"}


def test_leaving_does_not_wait_for_a_relay_that_is_gone(internet: Internet, game: Game) -> None:
    with internet.site(udp=Udp.RELAY_ONLY) as site:
        play = Play(game, site)
        game.relay.end()
        play.leave(within=LEAVING)
