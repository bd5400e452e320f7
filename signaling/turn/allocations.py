"""Allocations, with their permissions and channels (RFC 8656, 5, 9 and 12).

An allocation is a relayed address, kept for a client until its time is over. Peers may send to it
once the client has permitted their IP address, for five minutes; a channel is a short name for
one peer, for ten. Nothing here knows sockets or clocks: times are monotonic seconds that the
caller passes in, and what is over counts no longer, even before it is swept away.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from signaling.limits import Pace
from signaling.turn.limits import TurnLimits
from signaling.turn.peers import PeerPolicy, Reach
from signaling.turn.stun import Address, Family

DEFAULT_LIFETIME = 600.0
LONGEST_LIFETIME = 3600.0
"""Seconds that an allocation lives unless refreshed: what is asked for, within these two."""

PERMISSION_LIFETIME = 300.0
CHANNEL_LIFETIME = 600.0
"""Seconds that a channel lives unless refreshed, and with it the permission of its peer.

The letter of the RFC gives that permission five minutes also where a channel was bound. aioice
refreshes channels after 500 s and nothing else, so its links would be deaf for the time between.
"""


class Client(NamedTuple):
    """The far end of a five-tuple; the near end is the place."""

    place: int
    """Which socket it came to: a number that the caller gave it."""
    host: str
    port: int
    scope: int = 0
    """The interface of a link-local IPv6 address."""


@dataclass(slots=True)
class Permission:
    """That an address may be sent to and heard from."""

    until: float
    reach: Reach


@dataclass(slots=True)
class Channel:
    """A number for a peer."""

    number: int
    peer: Address
    until: float


@dataclass(slots=True)
class Allocation:
    """A relayed address and all that belongs to it."""

    client: Client
    relayed: Address
    family: Family
    username: str
    name: str
    """Whose quota it counts to."""
    key: bytes
    """What its client signs with; later requests are checked with it, also when the credential
    has run out by then."""
    until: float
    transaction_id: bytes
    response: bytes
    """What was answered, for a client that asks the same again because it has not arrived."""
    to_peers: Pace
    to_client: Pace
    """Bytes in each direction."""
    requests: Pace
    """Everything that is not data."""
    permissions: dict[str, Permission] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    channel_of: dict[Address, Channel] = field(default_factory=dict)

    def permission(self, host: str, now: float) -> Permission | None:
        """Return the permission of an address, or None."""
        permission = self.permissions.get(host)
        return permission if permission is not None and permission.until > now else None

    def permit(self, host: str, reach: Reach, until: float) -> None:
        """Begin a permission or make it longer."""
        known = self.permissions.get(host)
        if known is not None:
            until = max(until, known.until)
        self.permissions[host] = Permission(until, reach)

    def channel_to(self, peer: Address, now: float) -> Channel | None:
        """Return the channel that is bound to a peer, or None."""
        channel = self.channel_of.get(peer)
        return channel if channel is not None and channel.until > now else None

    def channel(self, number: int, now: float) -> Channel | None:
        """Return the channel that has a number, or None."""
        channel = self.channels.get(number)
        return channel if channel is not None and channel.until > now else None

    def bind(self, number: int, peer: Address, until: float) -> None:
        """Bind a channel or make it longer. Neither may be bound to another."""
        channel = Channel(number, peer, until)
        self.channels[number] = channel
        self.channel_of[peer] = channel

    def sweep(self, now: float) -> None:
        """Forget the permissions and channels that are over."""
        for host in [host for host, each in self.permissions.items() if each.until <= now]:
            del self.permissions[host]
        for channel in [each for each in self.channels.values() if each.until <= now]:
            del self.channels[channel.number]
            del self.channel_of[channel.peer]


class Allocations:
    """All allocations of one relay, by client and by relayed address."""

    def __init__(self, limits: TurnLimits) -> None:
        self._limits = limits
        self._by_client: dict[Client, Allocation] = {}
        self._by_relayed: dict[Address, Allocation] = {}
        self._by_name: Counter[str] = Counter()
        self._by_host: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_client)

    def __iter__(self) -> Iterator[Allocation]:
        return iter(list(self._by_client.values()))

    def of(self, client: Client) -> Allocation | None:
        """Return the allocation of a client; it may be over, see `Allocation.until`."""
        return self._by_client.get(client)

    def at(self, relayed: Address) -> Allocation | None:
        """Return the allocation that has a relayed address."""
        return self._by_relayed.get(relayed)

    def has_host(self, host: str) -> bool:
        """Say whether any relayed address is on this IP address."""
        return host in self._by_host

    def has_room(self) -> bool:
        """Say whether there may be one more."""
        return len(self._by_client) < self._limits.max_allocations

    def has_room_for(self, name: str) -> bool:
        """Say whether this name may have one more."""
        return self._by_name[name] < self._limits.max_allocations_per_user

    def add(self, allocation: Allocation) -> None:
        """Take in an allocation whose client and relayed address are new."""
        self._by_client[allocation.client] = allocation
        self._by_relayed[allocation.relayed] = allocation
        self._by_name[allocation.name] += 1
        self._by_host[allocation.relayed[0]] += 1

    def remove(self, allocation: Allocation) -> None:
        """Take out an allocation that is in here."""
        del self._by_client[allocation.client]
        del self._by_relayed[allocation.relayed]
        for counter, key in (
            (self._by_name, allocation.name),
            (self._by_host, allocation.relayed[0]),
        ):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


class Gate:
    """Where allocations may send to: what the policy says, and other relayed addresses here.

    Two players behind the same relay reach each other, though the relay's own address is refused
    for everything else.
    """

    def __init__(self, peers: PeerPolicy, allocations: Allocations) -> None:
        self._peers = peers
        self._allocations = allocations

    def reach(self, host: str) -> Reach:
        """Say how much of an address may be reached."""
        reach = self._peers.reach(host)
        if reach is Reach.NOTHING and self._allocations.has_host(host):
            return Reach.NAMED_PORTS
        return reach

    def lets_pass(self, reach: Reach, peer: Address) -> bool:
        """Say whether a port of an address with that reach may be sent to and heard from."""
        return (
            reach is Reach.EVERYTHING
            or self._allocations.at(peer) is not None
            or (reach is Reach.NAMED_PORTS and self._peers.is_open(peer))
        )
