"""What a relay asks of the world around it, and what it counts.

`TurnServer` is one such world, made of sockets; tests have one made of lists.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from signaling.turn.allocations import Client
from signaling.turn.stun import Address, Family


class NoRelayedAddress(Exception):
    """There is none of that family at all (440), or just now (508)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Outside(Protocol):
    """What a relay does to the world. None of it waits, calls back, or raises unless it says so."""

    def open_relayed(self, client: Client, family: Family, even: bool) -> Address:
        """Open a port, an even one if asked, and return the address that peers shall use.

        Raises:
            NoRelayedAddress: if there is none.
        """

    def close_relayed(self, relayed: Address) -> None:
        """Close what `open_relayed` has opened."""

    def send_to_client(self, client: Client, packet: bytes) -> None:
        """Send a packet to a client, or drop it."""

    def send_to_peer(self, relayed: Address, peer: Address, data: bytes) -> None:
        """Send data from a relayed address to a peer, or drop it."""


@dataclass(slots=True)
class TurnStats:
    """What has happened since the start. Numbers only grow."""

    allocated: int = 0
    """Allocations that were made."""
    refused: Counter[int] = field(default_factory=Counter)
    """Requests that were refused, by code; 401 is also the first answer to everybody."""
    malformed: int = 0
    """Packets that made no sense."""
    unanswered: int = 0
    """Packets and connections of strangers that were dropped because there were too many."""
    to_peers: int = 0
    """Packets from clients to peers."""
    to_peers_bytes: int = 0
    to_clients: int = 0
    """Packets from peers to clients."""
    to_clients_bytes: int = 0
    not_permitted: int = 0
    """Data dropped for want of a permission or a channel."""
    over_bandwidth: int = 0
    """Data dropped because its allocation relays too much."""
    unsendable: int = 0
    """Packets that the system did not take, or that a client was too slow to read."""
