"""The laboratory does what its words say: each NAT translates and filters as it is called."""

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.netlab import (
    RELAY_PORT,
    SERVER,
    SERVER_TOO,
    Internet,
    Line,
    Nat,
    Program,
    Site,
    Udp,
)
from tests.integration.netlab.namespaces import names, needed, remove_leftovers
from tests.integration.processes import Child, children

LABORATORY = """
import time
from tests.integration.netlab import SERVER, SERVER_TOO, Internet

with Internet() as internet, internet.site():
    internet.server.run("netlab_probe.py", "serve", SERVER, SERVER_TOO).told("ready")
    print("built", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def internet() -> Iterator[Internet]:
    with Internet() as built:
        yield built


@pytest.fixture(scope="module")
def ports(internet: Internet) -> list[str]:
    """Ports on which both of the server's addresses say whom they see."""
    told = internet.server.run("netlab_probe.py", "serve", SERVER, SERVER_TOO).told("ready")
    return [str(port) for port in told["ports"]]


def hold(site: Site, port: str) -> Program:
    """One socket at a site, that asks as often as it is told."""
    probe = site.client.run("netlab_probe.py", "hold", SERVER, port)
    probe.told("ready")
    return probe


def knock(internet: Internet, address: list[Any]) -> None:
    """Let the server send something to an address, from a port that nobody has sent to."""
    knocking = (
        "import socket; knocking = socket.socket(type=socket.SOCK_DGRAM);"
        f"knocking.sendto(b'knock 0', {tuple(address)})"
    )
    internet.server.do(sys.executable, "-c", knocking)


@pytest.mark.parametrize(
    ("nat", "independent", "open_to_all"),
    [
        (Nat.NONE, True, True),
        (Nat.FULL_CONE, True, True),
        (Nat.PORT_RESTRICTED, True, False),
        (Nat.SYMMETRIC, False, False),
    ],
    ids=str,
)
def test_a_nat_behaves_as_it_is_called(
    internet: Internet, ports: list[str], nat: Nat, independent: bool, open_to_all: bool
) -> None:
    with internet.site(nat) as site:
        probe = site.client.run("netlab_probe.py", "ask", SERVER, SERVER_TOO, *ports)
        found = probe.told("found")
        seen = {tuple(address) for address in found["seen"]}
        address = site.client_address if nat is Nat.NONE else site.external_address
        assert {host for host, _ in seen} == {address}
        if independent:
            assert seen == {(address, found["own_port"])}
        else:
            assert len(seen) == len(found["seen"])
        assert (found["port_lets_in"], found["address_lets_in"]) == (open_to_all, open_to_all)


def test_blocked_is_blocked_and_can_be_opened(internet: Internet, ports: list[str]) -> None:
    with internet.site(udp=Udp.BLOCKED) as site:
        probe = hold(site, ports[0])
        assert probe.ask("1", "seen")["address"] is None
        site.udp = Udp.OPEN
        assert probe.ask("1", "seen")["address"][0] == site.external_address
        site.udp = Udp.BLOCKED
        assert probe.ask("1", "seen")["address"] is None


def test_a_relay_alone_can_be_reached(internet: Internet, ports: list[str]) -> None:
    with internet.site(udp=Udp.RELAY_ONLY) as site, children() as started:
        assert hold(site, ports[0]).ask("1", "seen")["address"] is None
        echo = (
            "import socket; s = socket.socket(type=socket.SOCK_DGRAM);"
            f"s.bind(('{SERVER}', {RELAY_PORT})); print('bound', flush=True);"
            "_, client = s.recvfrom(9); s.sendto(f'{client[0]} {client[1]}'.encode(), client)"
        )
        started.append(internet.server.start(sys.executable, "-u", "-c", echo))
        started[0].wait_for("bound")
        probe = hold(site, str(RELAY_PORT))
        assert probe.ask("1", "seen")["address"][0] == site.external_address


@pytest.mark.parametrize("nat", [Nat.FULL_CONE, Nat.PORT_RESTRICTED, Nat.SYMMETRIC], ids=str)
def test_a_rebinding_gives_an_open_socket_another_address(
    internet: Internet, ports: list[str], nat: Nat
) -> None:
    with internet.site(nat) as site:
        probe = hold(site, ports[0])
        seen = [probe.ask("1", "seen")["address"]]
        for _ in range(2):
            site.rebind()
            knock(internet, seen[-1])  # would be taken for the answer
            seen.append(probe.ask("1", "seen")["address"])
            assert seen[-1][0] == site.external_address
        assert len({host for host, _ in seen}) == 3


@pytest.mark.parametrize("nat", Nat, ids=str)
def test_a_changed_address_takes_the_old_one_away(
    internet: Internet, ports: list[str], nat: Nat
) -> None:
    with internet.site(nat) as site:
        before = site.client_address
        site.change_address()
        assert site.client_address != before
        listed = site.client.do("ip", "-4", "-o", "address", "show", "eth0")
        assert site.client_address in listed
        assert before not in listed
        probe = site.client.run("netlab_probe.py", "ask", SERVER, SERVER_TOO, *ports)
        found = probe.told("found")
        assert found["seen"] is not None
        assert found["address_lets_in"] == (nat in (Nat.NONE, Nat.FULL_CONE))


def test_losses_are_as_many_as_asked_for(internet: Internet, ports: list[str]) -> None:
    with internet.site() as site:
        probe = hold(site, ports[0])
        assert probe.ask("400", "seen")["answers"] == 400
        site.loss = 0.2
        answers = probe.ask("400", "seen")["answers"]
        # Two ways: 256 are expected, and six standard deviations are 58.
        assert 198 <= answers <= 314, answers


def test_a_line_takes_its_time_both_ways(internet: Internet, ports: list[str]) -> None:
    with internet.site(line=Line(delay=0.05)) as site:
        probe = hold(site, ports[0])
        probe.ask("1", "seen")  # the first one asks for addresses on the way as well
        took = min(probe.ask("1", "seen")["seconds"] for _ in range(5))
        assert 0.1 <= took < 0.15, took
        site.rebind()
        assert probe.ask("1", "seen")["address"][0] == site.external_address


def test_two_laboratories_stand_side_by_side(internet: Internet, ports: list[str]) -> None:
    with Internet() as other, other.site() as elsewhere, internet.site() as here:
        assert hold(here, ports[0]).ask("1", "seen")["address"] is not None
        assert hold(elsewhere, ports[0]).ask("1", "seen")["address"] is None


def of(child: Child) -> list[str]:
    return [name for name, maker in names() if maker == child.process.pid]


def test_nothing_is_left_after_ctrl_c() -> None:
    needed()
    with children() as started:
        started.append(Child("-c", LABORATORY))
        started[0].wait_for("built")
        assert len(of(started[0])) == 4
        os.kill(started[0].process.pid, signal.SIGINT)
        started[0].wait()
        assert of(started[0]) == []


def test_what_a_killed_run_has_left_is_removed_by_the_next_one() -> None:
    needed()
    with children() as started:
        started.append(Child("-c", LABORATORY))
        started[0].wait_for("built")
        started[0].end()
        assert len(of(started[0])) == 4
        remove_leftovers()
        assert of(started[0]) == []
