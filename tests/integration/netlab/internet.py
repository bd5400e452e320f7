"""The internet of the laboratory: a backbone to which everything is attached, and a server on it.

The addresses are of the public internet, as a relay wants them that refuses all others; within
namespaces nobody else hears of it. The backbone passes on what is for a public address behind a
router, and swallows what is for a private one, as the real one does: without a word.
"""

import contextlib
import itertools
from types import TracebackType
from typing import Self

from tests.integration.netlab.namespaces import (
    Namespace,
    namespace,
    needed,
    needed_for_lines,
    remove_leftovers,
)
from tests.integration.netlab.site import Line, Nat, Site, Udp

SERVER = "5.5.0.1"
SERVER_TOO = "5.5.0.2"
"""The server has two addresses, as whoever finds out about NATs needs them."""

RELAY_PORT = 3478
"""Where relays listen, and what `Udp.RELAY_ONLY` lets through."""

BACKBONE = "5.5.255.254"


class Internet:
    """A backbone with a server. A context manager; skips the test where it cannot be built."""

    server: Namespace
    """Its addresses are `SERVER` and `SERVER_TOO`."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._built = contextlib.ExitStack()

    def site(
        self, nat: Nat = Nat.PORT_RESTRICTED, udp: Udp = Udp.OPEN, line: Line | None = None
    ) -> Site:
        """A household on this internet; enter it to have it built, leave it to have it removed."""
        if line is not None:
            needed_for_lines()
        return Site(self.backbone, next(self._numbers), nat, udp, line, gateway=BACKBONE)

    def __enter__(self) -> Self:
        needed()
        with contextlib.ExitStack() as built:
            remove_leftovers()
            self.backbone = built.enter_context(namespace())
            self.server = built.enter_context(namespace())
            # All is attached to one bridge, so the backbone sends back to where things came from:
            # it must not tell anybody of shorter ways.
            self.backbone.set(
                net__ipv4__ip_forward=1,
                net__ipv4__conf__all__send_redirects=0,
                net__ipv4__conf__default__send_redirects=0,
            )
            self.backbone.ip(
                # With an address of its own: else it changes with what is attached.
                "link add br0 address 02:00:00:00:00:01 type bridge",
                f"address add {BACKBONE}/16 dev br0",
                "link set br0 up",
                "route add blackhole default",
            )
            self.server.ip(
                f"link add eth0 type veth peer name server netns {self.backbone.name}",
                f"address add {SERVER}/16 dev eth0",
                f"address add {SERVER_TOO}/16 dev eth0",
                "link set eth0 up",
                f"route add default via {BACKBONE}",
            )
            self.backbone.ip("link set server master br0", "link set server up")
            self._built = built.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._built.close()
