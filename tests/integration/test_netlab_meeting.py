"""Who meets whom across which routers, how soon, and by which way: with our relay and with coturn.

A row of `PAIRS` is a fact about the internet: where a direct path exists, it has to be found; where
none does, the relay has to be used, over TCP if UDP is blocked. With ``-n0 -s`` it prints what it
has measured.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.integration.netlab import RELAY_PORT, SERVER, SERVER_TOO, Internet, Nat, Udp
from tests.integration.netlab.programs import must_work
from tests.integration.netlab.relays import coturn, our_relay
from tests.integration.turn_lab import SECRET

pytestmark = pytest.mark.needs("turnserver", "coturn")

SOON, SOON_WITHOUT_UDP = 2.0, 5.0
"""Seconds from joining a room to a channel that is open, at most."""

RELAYS = {"our relay": SERVER, "coturn": SERVER_TOO}


class End(NamedTuple):
    """One end of a pair, behind a router of its own."""

    nat: Nat
    udp: Udp = Udp.OPEN


OPEN = End(Nat.NONE)
FULL_CONE = End(Nat.FULL_CONE)
CONE = End(Nat.PORT_RESTRICTED)
SYMMETRIC = End(Nat.SYMMETRIC)
RELAY_ONLY = End(Nat.PORT_RESTRICTED, Udp.RELAY_ONLY)
BLOCKED = End(Nat.PORT_RESTRICTED, Udp.BLOCKED)

PAIRS = {
    "open - cone": (OPEN, CONE, "direct"),
    "cone - cone": (CONE, CONE, "direct"),
    "full cone - symmetric": (FULL_CONE, SYMMETRIC, "direct"),
    "symmetric - full cone": (SYMMETRIC, FULL_CONE, "direct"),
    "cone - symmetric": (CONE, SYMMETRIC, "turn_udp"),
    "symmetric - cone": (SYMMETRIC, CONE, "turn_udp"),
    "symmetric - symmetric": (SYMMETRIC, SYMMETRIC, "turn_udp"),
    "relay only - cone": (RELAY_ONLY, CONE, "turn_udp"),
    "relay only - relay only": (RELAY_ONLY, RELAY_ONLY, "turn_udp"),
    "UDP blocked - cone": (BLOCKED, CONE, "turn_tcp"),
    "cone - UDP blocked": (CONE, BLOCKED, "turn_tcp"),
    "UDP blocked - UDP blocked": (BLOCKED, BLOCKED, "turn_tcp"),
}
"""Who waits, who calls, and the best rung that there is between them."""


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as built:
        yield built


@pytest.fixture(scope="module")
def urls(internet: Internet, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A signaling server for each relay, which tells of that one."""
    with must_work():
        our_relay(internet.server, SERVER)
        coturn(internet.server, SERVER_TOO, tmp_path_factory.mktemp("coturn"))
        rooms = internet.server.run("netlab_rooms.py", SECRET, str(RELAY_PORT), SERVER, SERVER_TOO)
        told = rooms.told("ready")["urls"]
    return {relay: told[address] for relay, address in RELAYS.items()}


@pytest.mark.parametrize("relay", RELAYS)
@pytest.mark.parametrize("pair", PAIRS)
def test_two_ends_meet(internet: Internet, urls: dict[str, str], pair: str, relay: str) -> None:
    waits, calls, rung = PAIRS[pair]
    soon = SOON_WITHOUT_UDP if BLOCKED in (waits, calls) else SOON
    with internet.site(*waits) as there, internet.site(*calls) as here:
        bob = there.client.run("netlab_peer.py", urls[relay], "den", "wait")
        with must_work():
            bob.told("waiting")
        ada = here.client.run("netlab_peer.py", urls[relay], "den", "call")
        met = ada.told("connected")
        row = f"{pair} | {relay} | {met['seconds']:.2f} s | {met['rung']} | {met['path']}"
        print(row)
        assert ada.told("echoed")["count"] == 100, row
        assert met["rung"] == rung, row
        assert met["seconds"] <= soon, row
