"""The socket that listens when no address is named: every address of this machine."""

import errno
import socket


def listen_everywhere(port: int) -> socket.socket:
    """Return one socket that listens on every address of this machine, IPv4 and IPv6.

    With one socket for each, port 0 would become two different ports; without IPv6, "localhost"
    would be slow to reach where it is tried over IPv6 first.
    """
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            # IPv6 is compiled in, but switched off.
    return socket.create_server(("", port))
