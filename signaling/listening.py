"""The socket that listens when no address is named: every address of this machine.

And the one thing that asyncio has to be told of sockets that it did not make itself, see `as_tcp`.
"""

import errno
import socket


def listen_everywhere(port: int) -> socket.socket:
    """Return one socket that listens on every address of this machine, IPv4 and IPv6.

    With one socket for each, port 0 would become two different ports; without IPv6, "localhost"
    would be slow to reach where it is tried over IPv6 first.
    """
    if socket.has_dualstack_ipv6():
        try:
            return as_tcp(
                socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            # IPv6 is compiled in, but switched off.
    return as_tcp(socket.create_server(("", port)))


def as_tcp(listening: socket.socket) -> socket.socket:
    """Return the same socket, saying that its protocol is TCP. The one given is not to be used.

    asyncio switches Nagle's algorithm off only for sockets that say so, which those of
    ``socket.socket`` and ``create_server`` do not, and what is accepted says what its listener
    does. With that algorithm each small packet may wait for the acknowledgement of the one before,
    which the other end holds back for 40 ms.
    """
    return socket.socket(
        listening.family, listening.type, socket.IPPROTO_TCP, fileno=listening.detach()
    )
