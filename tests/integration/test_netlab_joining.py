"""Players join a server from behind routers of every kind: how soon, and by which way."""

from collections.abc import Iterator

import pytest

from tests.integration.netlab import Internet, Nat, Udp
from tests.integration.netlab.game import Game, game_on

SOON, SOON_WITHOUT_UDP = 2.0, 5.0
"""Seconds from `connect` to being in the game, at most."""

PLACES = {
    "open": (Nat.NONE, Udp.OPEN, {"direct"}),
    "full cone": (Nat.FULL_CONE, Udp.OPEN, {"direct"}),
    "cone": (Nat.PORT_RESTRICTED, Udp.OPEN, {"direct"}),
    "symmetric": (Nat.SYMMETRIC, Udp.OPEN, {"direct"}),
    "relay only": (Nat.PORT_RESTRICTED, Udp.RELAY_ONLY, {"turn_udp"}),
    "UDP blocked": (Nat.PORT_RESTRICTED, Udp.BLOCKED, {"turn_tcp", "websocket"}),
}
"""What a router does, and the rungs that are good enough there."""


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as built:
        yield built


@pytest.fixture(scope="module")
def game(internet: Internet) -> Iterator[Game]:
    with game_on(internet) as running:
        yield running


@pytest.mark.parametrize("place", PLACES)
def test_a_player_joins(internet: Internet, game: Game, place: str) -> None:
    nat, udp, rungs = PLACES[place]
    with internet.site(nat, udp) as site:
        player = game.join(site)
        joined = player.told("joined")
        row = f"{place} | {joined['seconds']:.2f} s | {joined['rung']} | {joined['path']}"
        print(row)
        assert joined["rung"] in rungs, row
        assert joined["seconds"] <= (SOON_WITHOUT_UDP if udp is Udp.BLOCKED else SOON), row
