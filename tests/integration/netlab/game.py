"""A game in the laboratory: a server in the middle of the internet, a relay, and a player.

Both ends say fifty numbered reliable messages a second, each fiftieth of 64 KiB
(tests/integration/programs/netlab_game.py). `Play.check` holds what was heard against that.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.integration.netlab.internet import RELAY_PORT, SERVER, SERVER_TOO, Internet
from tests.integration.netlab.programs import Program, must_work
from tests.integration.netlab.relays import our_relay
from tests.integration.netlab.site import Site
from tests.integration.turn_lab import SECRET

LONGEST_SILENCE = 4.0
"""Seconds that a change of the network may cost."""

BEFORE = 100
"""Messages that have come before anything happens: two seconds' worth, among them long ones."""

AFTERWARDS = 250
"""Messages that have to come after it: five seconds' worth, more than the longest silence."""

PATIENCE = 12.0
"""Seconds for `AFTERWARDS`, the silence included, on a machine that has other things to do."""


@dataclass
class Game:
    """A server at `SERVER`, and a relay at `SERVER_TOO`."""

    relay: Program
    server: Program
    url: str

    def join(self, site: Site) -> Program:
        """Let a player join from a site; it says ``joined`` or ``failed``."""
        return site.client.run("netlab_client.py", self.url)


@contextlib.contextmanager
def game_on(internet: Internet) -> Iterator[Game]:
    """Serve a game; one at a time on an internet."""
    with must_work(), contextlib.ExitStack() as running:
        relay = our_relay(internet.server, SERVER_TOO, allow=SERVER)
        running.callback(relay.end)
        server = internet.server.run(
            "netlab_server.py", SERVER, SECRET, SERVER_TOO, str(RELAY_PORT)
        )
        running.callback(server.end)
        game = Game(relay, server, server.told("ready")["url"])
        stopping = running.pop_all()
    with stopping:
        yield game


class Play:
    """A player who has joined a game in which nobody has been yet, and has played for a while."""

    def __init__(self, game: Game, site: Site) -> None:
        with must_work():
            self._game, self._player = game, game.join(site)
            # The player comes first: if it gives up, nobody has to wait for the server.
            self._ends = (self._player, game.server)
            self._joined = self._player.told("joined")
            self.rung: str = self._joined["rung"]
            """The rung of the player's link, when it was looked at last."""
            self._hear(BEFORE)

    def disturb(self) -> None:
        """Say that the network is about to change."""
        with must_work():
            for end in self._ends:
                end.ask("mark", "marked")

    def check(self) -> None:
        """Play on, stop talking, and see that nothing is missing and that the player is the same.

        Raises `AssertionError`, also if an end does not go on.
        """
        self._hear(AFTERWARDS)
        said = [end.ask("stop", "stopped")["sent"] for end in self._ends]
        for end, other in zip(self._ends, reversed(said), strict=True):
            end.ask(f"until {other}", "reached", PATIENCE)
        player, server = (end.ask("report", "report") for end in self._ends)
        print(server, player, sep="\n")
        self.rung = player["rung"]
        assert (server["wrong"], player["wrong"]) == ([], [])
        assert (server["received"], player["received"]) == (player["sent"], server["sent"])
        self._check_that_it_is_the_same(server["players"], player["slot"])
        assert player["broadcast_hz"] > 15  # the state comes again as well
        assert server["longest_silence"] <= LONGEST_SILENCE
        assert player["longest_silence"] <= LONGEST_SILENCE

    def leave(self, within: float) -> None:
        """Let the player leave. Raises `AssertionError` if that takes longer, in seconds."""
        self._player.ask("leave", "left", within)

    def _check_that_it_is_the_same(self, players: list[int], slot: Any) -> None:
        assert slot == self._joined["slot"]
        assert players == [slot]
        assert len(self._game.server.events("joined")) == 1
        assert self._game.server.events("left") == []

    def _hear(self, count: int) -> None:
        for end in self._ends:
            end.say(f"more {count}")
        for end in self._ends:
            end.told("reached", PATIENCE)
