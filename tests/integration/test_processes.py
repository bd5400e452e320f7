"""A server process and player processes, joined by WebRTC; one of them is killed."""

import time

import pytest

from tests.integration.processes import ROOT, Child, children

PROGRAMS = ROOT / "tests" / "integration" / "programs"


def player(url: str, name: str, *options: str) -> Child:
    return Child(str(PROGRAMS / "arena_player.py"), url, name, *options)


@pytest.mark.parametrize("conditions", [None, "loss5"])
def test_one_moves_the_other_sees_it_and_a_killed_one_is_noticed(conditions: str | None) -> None:
    weather = [] if conditions is None else [f"conditions={conditions}"]
    with children() as started:
        server = Child(str(PROGRAMS / "arena_server.py"))
        started.append(server)
        url = server.wait_for("url").split()[1]
        ada = player(url, "Ada", "thrust", *weather)
        started.append(ada)
        bob = player(url, "Bob", *weather)
        started.append(bob)
        bob.wait_for("sees Ada 2")  # 40 to 60 units away

        ada.process.kill()
        killed = time.monotonic()
        server.wait_for("gone Ada", timeout=3)
        bob.wait_for("lost Ada", timeout=max(0.1, 3 - (time.monotonic() - killed)))
        assert bob.process.poll() is None

        server.say("")
        server.wait_for("stopped")
        bob.wait_for("Disconnected")
        assert server.wait() == 0
