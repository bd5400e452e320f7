"""Where a relay may send to (RFC 8656, 21.2 and 21.3).

A relay is a door into the network it stands in: what it sends comes from inside. So every address
that is not plainly of the public internet is refused, and so are the machine's own. An IPv6
address that carries an IPv4 address in it is refused whatever that is: the kernel, a tunnel or a
translator on the way would take it out, and it would be judged by nobody. This module is pure.

What may be reached nevertheless has a name: a network that the operator allows, or one UDP port
of an address, as the program in which the relay runs opens them for its own game.
"""

from collections import Counter
from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from signaling.errors import UsageError
from signaling.turn.stun import Address

_INSIDE_V4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; Linux takes 0.0.0.0 for the machine itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a provider; clouds keep services there
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; clouds answer with secrets at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation, used in laboratories
        "192.88.99.0/24",  # routers of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks, used in laboratories
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)

_PUBLIC_V6 = IPv6Network("2000::/3")
"""All of IPv6 that is public so far. Outside are loopback, link-local, unique-local, multicast,
and the forms ``::a.b.c.d``, ``::ffff:a.b.c.d``, ``64:ff9b::/96`` and ``64:ff9b:1::/48``."""

_INSIDE_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo (2001::/32) among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)

_ISATAP = 0x0000_5EFE
_ISATAP_MASK = 0xFCFF_FFFF
"""An interface id of ISATAP is this and an IPv4 address; two bits in it may differ (RFC 5214)."""


class Reach(Enum):
    """How much of an address may be reached."""

    NOTHING = 0
    NAMED_PORTS = 1
    EVERYTHING = 2


class PeerPolicy:
    """Decides for each peer.

    Args:
        allow: networks or addresses, such as ``"10.0.0.0/8"`` or ``"192.168.1.5"``, that may be
            reached although they are inside.

    Raises:
        UsageError: if one of them is no network.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        try:
            self._allowed = tuple(ip_network(text) for text in allow)
        except ValueError as error:
            raise UsageError(f"{error}: write an address, or a network as 10.0.0.0/8") from None
        self._own_addresses: frozenset[str] = frozenset()
        self._own_networks: tuple[IPv6Network, ...] = ()
        self._open: set[Address] = set()
        self._open_on: Counter[str] = Counter()

    def set_own(self, addresses: Iterable[str], networks: Iterable[str] = ()) -> None:
        """Say which addresses this machine has, and which IPv6 networks it stands in.

        Both are refused. Public IPv6 addresses of the same link are behind the same firewall as
        the relay, as those of a household are; public IPv4 addresses are not.
        """
        self._own_addresses = frozenset(str(ip_address(text)) for text in addresses)
        self._own_networks = tuple(IPv6Network(text, strict=False) for text in networks)

    def open(self, address: str, port: int) -> None:
        """Let one UDP port of an inside address be reached, until `close`.

        For a game server in the same program: each local candidate of its connections.
        """
        peer = str(ip_address(address)), port
        if peer not in self._open:
            self._open.add(peer)
            self._open_on[peer[0]] += 1

    def close(self, address: str, port: int) -> None:
        """Take `open` back. Idempotent."""
        peer = str(ip_address(address)), port
        if peer in self._open:
            self._open.remove(peer)
            self._open_on[peer[0]] -= 1
            if not self._open_on[peer[0]]:
                del self._open_on[peer[0]]

    def is_open(self, peer: Address) -> bool:
        """Say whether just this port was opened."""
        return peer in self._open

    def reach(self, host: str) -> Reach:
        """Say how much of an address may be reached. The text must be an IP address."""
        address = ip_address(host)
        if any(address in network for network in self._allowed):
            return Reach.EVERYTHING
        if host in self._open_on:
            return Reach.NAMED_PORTS
        if is_inside(host) or host in self._own_addresses:
            return Reach.NOTHING
        if isinstance(address, IPv6Address) and any(
            address in network for network in self._own_networks
        ):
            return Reach.NOTHING
        return Reach.EVERYTHING


@lru_cache(maxsize=4096)
def is_inside(host: str) -> bool:
    """Say whether an address is anything but plainly public, or carries another one in it."""
    address = ip_address(host)
    if isinstance(address, IPv4Address):
        return any(address in network for network in _INSIDE_V4)
    if address not in _PUBLIC_V6 or any(address in network for network in _INSIDE_V6):
        return True
    return (int(address) >> 32) & _ISATAP_MASK == _ISATAP
