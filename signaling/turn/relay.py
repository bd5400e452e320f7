"""A relay without sockets: what comes in, and what has to go out for it (RFC 8656).

    receive            ┬ ChannelData       12.6  channel → permission → peer
                       ├ Send indication   11.2  permission → peer
                       └ request                 see `requests`
    receive_from_peer                      11.3, 12.7  permission → client

Packets come with the time at which they came; whatever has to happen is asked of an `Outside`.
Data without permission is dropped without a word. This module is pure.
"""

from collections.abc import Callable

from signaling.credentials import Credentials
from signaling.errors import PacketError
from signaling.turn import stun
from signaling.turn.allocations import Allocation, Allocations, Client, Gate
from signaling.turn.framing import channel_data, is_channel_data, read_channel_data
from signaling.turn.limits import TurnLimits
from signaling.turn.outside import Outside, TurnStats
from signaling.turn.peers import PeerPolicy
from signaling.turn.requests import Requests
from signaling.turn.strangers import Nonces, Strangers
from signaling.turn.stun import Address, Class, Message, Method

SEND_INDICATION = bytes([0x00, 0x16])
"""What a Send indication begins with."""

LEAST_CHARGE = 400
"""Bytes that the smallest packet counts as: a packet costs the relay more than its bytes do.

With the default limit that is 2,500 packets a second for an allocation; a game sends a hundred.
"""


class Relay:
    """Everything that a relay decides.

    Args:
        outside: does what has to be done.
        realm: the domain that credentials belong to.
        nonce_key: random bytes that nobody else knows.
        wall_clock: returns seconds of the Unix epoch, to see whether credentials have run out.
        now: monotonic seconds, as in all methods.
    """

    def __init__(
        self,
        outside: Outside,
        *,
        realm: str,
        credentials: Credentials,
        peers: PeerPolicy,
        limits: TurnLimits,
        nonce_key: bytes,
        wall_clock: Callable[[], float],
        now: float,
    ) -> None:
        self.stats = TurnStats()
        self.allocations = Allocations(limits)
        self.strangers = Strangers(limits, now)
        self._outside = outside
        self._gate = Gate(peers, self.allocations)
        self._requests = Requests(
            outside=outside,
            allocations=self.allocations,
            gate=self._gate,
            strangers=self.strangers,
            stats=self.stats,
            limits=limits,
            credentials=credentials,
            realm=realm,
            nonces=Nonces(nonce_key),
            wall_clock=wall_clock,
        )

    def receive(self, client: Client, packet: bytes, now: float) -> None:
        """Take in a packet of a client: a datagram, or one packet of its stream."""
        allocation = self._living(client, now)
        if not self._may_come(client, allocation, packet, now):
            return
        if is_channel_data(packet):
            self._take_channel_data(allocation, packet, now)
            return
        try:
            message = stun.parse(packet)
        except PacketError:
            self.stats.malformed += 1
            return
        if message.kind is Class.REQUEST:
            answer = self._requests.answer(client, allocation, message, now)
            if answer is not None:
                self._outside.send_to_client(client, answer)
        elif message.kind is Class.INDICATION and message.method is Method.SEND:
            self._take_indication(allocation, message, now)

    def receive_from_peer(self, relayed: Address, peer: Address, data: bytes, now: float) -> None:
        """Take in what a peer has sent to a relayed address."""
        allocation = self.allocations.at(relayed)
        if allocation is None or allocation.until <= now:
            return
        if not self._may_talk(allocation, peer, now):
            self.stats.not_permitted += 1
            return
        if not allocation.to_client.spare(max(len(data), LEAST_CHARGE), now):
            self.stats.over_bandwidth += 1
            return
        self.stats.to_clients += 1
        self.stats.to_clients_bytes += len(data)
        channel = allocation.channel_to(peer, now)
        if channel is not None:
            packet = channel_data(channel.number, data)
        else:
            packet = stun.data_indication(peer, data)
        self._outside.send_to_client(allocation.client, packet)

    def has_allocation(self, client: Client, now: float) -> bool:
        """Say whether a client has an allocation that is not over."""
        return self._living(client, now) is not None

    def sweep(self, now: float) -> None:
        """Close what is over. Call about once a second."""
        for allocation in self.allocations:
            if allocation.until <= now:
                self._close(allocation)
            else:
                allocation.sweep(now)

    def forget(self, client: Client) -> None:
        """Close the allocation of a client whose connection has ended, if it has one."""
        allocation = self.allocations.of(client)
        if allocation is not None:
            self._close(allocation)

    def close(self) -> None:
        """Close every allocation."""
        for allocation in self.allocations:
            self._close(allocation)

    def _may_come(
        self, client: Client, allocation: Allocation | None, packet: bytes, now: float
    ) -> bool:
        """Count a packet before anything is spent on it; False if there are too many."""
        is_channel = is_channel_data(packet)
        if allocation is None:
            # Data without an allocation costs nothing, and must not use up what its sender needs
            # to get one again.
            if is_channel or self.strangers.may_ask(client.host, now):
                return True
        elif is_channel or packet.startswith(SEND_INDICATION):
            if allocation.to_peers.spare(max(len(packet), LEAST_CHARGE), now):
                return True
            self.stats.over_bandwidth += 1
            return False
        elif allocation.requests.spare(1, now):
            return True
        self.stats.unanswered += 1
        return False

    def _take_channel_data(self, allocation: Allocation | None, packet: bytes, now: float) -> None:
        try:
            number, data = read_channel_data(packet)
        except PacketError:
            self.stats.malformed += 1
            return
        if allocation is not None:
            channel = allocation.channel(number, now)
            if channel is not None:
                self._pass_on(allocation, channel.peer, data, now)
                return
        self.stats.not_permitted += 1

    def _take_indication(self, allocation: Allocation | None, message: Message, now: float) -> None:
        if message.unknown or message.data is None or len(message.peers) != 1:
            self.stats.malformed += 1
        elif allocation is None:
            self.stats.not_permitted += 1
        else:
            self._pass_on(allocation, message.peers[0], message.data, now)

    def _pass_on(self, allocation: Allocation, peer: Address, data: bytes, now: float) -> None:
        if not self._may_talk(allocation, peer, now):
            self.stats.not_permitted += 1
            return
        self.stats.to_peers += 1
        self.stats.to_peers_bytes += len(data)
        if self.allocations.at(peer) is not None:
            # Both are relayed here: no router need know the way out and back to the same machine.
            self.receive_from_peer(peer, allocation.relayed, data, now)
        else:
            self._outside.send_to_peer(allocation.relayed, peer, data)

    def _may_talk(self, allocation: Allocation, peer: Address, now: float) -> bool:
        permission = allocation.permission(peer[0], now)
        return permission is not None and self._gate.lets_pass(permission.reach, peer)

    def _living(self, client: Client, now: float) -> Allocation | None:
        """Return a client's allocation; close it if its time is over."""
        allocation = self.allocations.of(client)
        if allocation is not None and allocation.until <= now:
            self._close(allocation)
            return None
        return allocation

    def _close(self, allocation: Allocation) -> None:
        self.allocations.remove(allocation)
        self._outside.close_relayed(allocation.relayed)
