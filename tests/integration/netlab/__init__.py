"""A little internet on one Linux machine, for tests: network namespaces with real NATs between.

    with Internet() as internet:
        with internet.site(nat=Nat.SYMMETRIC) as home, internet.site(udp=Udp.BLOCKED) as office:
            server = internet.server.run("serve.py", SERVER)
            player = home.client.run("play.py")
            home.rebind()                       # the router forgets, and has another address

Everything happens in namespaces of its own (`namespaces`): an `Internet` has a backbone and a
server on it, a `Site` is one household, a router and one machine behind it. Programs run in them
as children of the test and speak JSON lines (`programs`). Nothing of the machine's own network is
touched, several laboratories may stand side by side, and all is gone at the end, also after a
failure or Ctrl-C; what a killed run has left behind, the next one removes.

`needed` skips a test, and says why, where it cannot be built.
"""

from tests.integration.netlab.internet import RELAY_PORT, SERVER, SERVER_TOO, Internet
from tests.integration.netlab.namespaces import needed
from tests.integration.netlab.programs import Program
from tests.integration.netlab.site import Line, Nat, Site, Udp

__all__ = [
    "RELAY_PORT",
    "SERVER",
    "SERVER_TOO",
    "Internet",
    "Line",
    "Nat",
    "Program",
    "Site",
    "Udp",
    "needed",
]
