"""What a TURN server answers to requests (RFC 8656, 5 to 12; RFC 8489, 9.2.4).

    Binding            RFC 8489, 12  anybody may ask what its address looks like from here
    Allocate           7.2           signed with a credential that has not run out
    Refresh            8.2           ┐
    CreatePermission   10.2          ├ signed by who made the allocation
    ChannelBind        12.2          ┘

The answers 401 and 438 are a challenge: they carry realm and nonce and are not signed. All others
that follow a good signature are signed. This module is pure.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from signaling.credentials import Credentials, long_term_key
from signaling.limits import Pace
from signaling.turn import stun
from signaling.turn.allocations import (
    CHANNEL_LIFETIME,
    DEFAULT_LIFETIME,
    LONGEST_LIFETIME,
    PERMISSION_LIFETIME,
    Allocation,
    Allocations,
    Client,
    Gate,
)
from signaling.turn.framing import CHANNELS
from signaling.turn.limits import TurnLimits
from signaling.turn.outside import NoRelayedAddress, Outside, TurnStats
from signaling.turn.peers import Reach
from signaling.turn.strangers import Nonces, Strangers
from signaling.turn.stun import UDP, Address, Family, Message, Method

CHALLENGES = (401, 438)


class Signer(NamedTuple):
    """Who has signed a request."""

    username: str
    name: str
    key: bytes


class _Refused(Exception):
    """A request gets an error response."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Requests:
    """Answers requests, and changes the allocations as they ask."""

    def __init__(
        self,
        *,
        outside: Outside,
        allocations: Allocations,
        gate: Gate,
        strangers: Strangers,
        stats: TurnStats,
        limits: TurnLimits,
        credentials: Credentials,
        realm: str,
        nonces: Nonces,
        wall_clock: Callable[[], float],
    ) -> None:
        self._outside = outside
        self._allocations = allocations
        self._gate = gate
        self._strangers = strangers
        self._stats = stats
        self._limits = limits
        self._credentials = credentials
        self._realm = realm
        self._nonces = nonces
        self._wall_clock = wall_clock

    def answer(
        self, client: Client, allocation: Allocation | None, request: Message, now: float
    ) -> bytes | None:
        """Return the response to a request, or None if strangers ask too much.

        ``allocation`` is the one that the client has, if it is not over.
        """
        signer: Signer | None = None
        try:
            if request.method is Method.BINDING:
                if request.unknown:
                    raise _Refused(420)
                answer = stun.success(request, {"XOR-MAPPED-ADDRESS": (client.host, client.port)})
            else:
                signer = self._authenticate(client, allocation, request, now)
                answer = self._obey(client, allocation, request, signer, now)
        except _Refused as refused:
            self._stats.refused[refused.code] += 1
            attributes: dict[str, Any] = {}
            if refused.code in CHALLENGES:
                attributes["REALM"] = self._realm
                attributes["NONCE"] = self._nonces.make(client.host, client.port, now)
            answer = stun.refusal(request, refused.code, attributes, signer and signer.key)
        if signer is None and not self._strangers.may_be_answered(now):
            self._stats.unanswered += 1
            return None
        return answer

    def _authenticate(
        self, client: Client, allocation: Allocation | None, request: Message, now: float
    ) -> Signer:
        """Return who has signed a request."""
        if not request.signed:
            raise _Refused(401)
        if request.username is None or request.realm is None or request.nonce is None:
            raise _Refused(400)
        if not self._nonces.is_good(request.nonce, client.host, client.port, now):
            raise _Refused(438)
        if allocation is not None and request.username == allocation.username:
            signer = Signer(allocation.username, allocation.name, allocation.key)
        else:
            account = self._credentials.account(request.username, self._wall_clock())
            if account is None:
                raise _Refused(401)
            key = long_term_key(request.username, self._realm, account.password)
            signer = Signer(request.username, account.name, key)
        if request.realm != self._realm or not request.is_signed_with(signer.key):
            raise _Refused(401)
        return signer

    def _obey(
        self,
        client: Client,
        allocation: Allocation | None,
        request: Message,
        signer: Signer,
        now: float,
    ) -> bytes:
        if request.unknown:
            raise _Refused(420)
        if request.method is Method.ALLOCATE:
            if allocation is None:
                return self._allocate(client, request, signer, now)
            if allocation.transaction_id == request.transaction_id:
                return allocation.response
            raise _Refused(437)
        if allocation is None:
            raise _Refused(437)
        if signer.username != allocation.username:
            raise _Refused(441)
        match request.method:
            case Method.REFRESH:
                return self._refresh(allocation, request, now)
            case Method.CREATE_PERMISSION:
                return self._create_permission(allocation, request, now)
            case Method.CHANNEL_BIND:
                return self._bind_channel(allocation, request, now)
            case _:
                raise _Refused(400)

    def _allocate(self, client: Client, request: Message, signer: Signer, now: float) -> bytes:
        if request.transport is None or (
            request.has_token and (request.wants_even_port or request.family is not None)
        ):
            raise _Refused(400)
        if request.transport != UDP:
            raise _Refused(442)
        if request.wants_next_port or request.has_token:
            # Ports in pairs are for RTP beside RTCP, which nobody sends any more: none is kept.
            raise _Refused(508)
        if request.family not in (None, *Family):
            raise _Refused(440)
        if not self._allocations.has_room_for(signer.name):
            raise _Refused(486)
        if not self._allocations.has_room():
            raise _Refused(508)
        family = Family(request.family or Family.IPV4)
        try:
            relayed = self._outside.open_relayed(client, family, request.wants_even_port)
        except NoRelayedAddress as error:
            raise _Refused(error.code) from None

        lifetime = _lifetime(request)
        response = stun.success(
            request,
            {
                "XOR-RELAYED-ADDRESS": relayed,
                "LIFETIME": int(lifetime),
                "XOR-MAPPED-ADDRESS": (client.host, client.port),
            },
            signer.key,
        )
        limits = self._limits
        self._allocations.add(
            Allocation(
                client=client,
                relayed=relayed,
                family=family,
                username=signer.username,
                name=signer.name,
                key=signer.key,
                until=now + lifetime,
                transaction_id=request.transaction_id,
                response=response,
                to_peers=Pace(limits.burst_bytes, limits.bytes_per_second, now),
                to_client=Pace(limits.burst_bytes, limits.bytes_per_second, now),
                requests=Pace(limits.request_burst, limits.request_rate, now),
            )
        )
        self._stats.allocated += 1
        return response

    def _refresh(self, allocation: Allocation, request: Message, now: float) -> bytes:
        if request.family not in (None, allocation.family):
            raise _Refused(443)
        if request.lifetime == 0:
            self._allocations.remove(allocation)
            self._outside.close_relayed(allocation.relayed)
            lifetime = 0.0
        else:
            lifetime = _lifetime(request)
            allocation.until = now + lifetime
        return stun.success(request, {"LIFETIME": int(lifetime)}, allocation.key)

    def _create_permission(self, allocation: Allocation, request: Message, now: float) -> bytes:
        if not request.peers:
            raise _Refused(400)
        reaches = {host: self._check(allocation, (host, 0)) for host, _ in request.peers}
        allocation.sweep(now)
        new = reaches.keys() - allocation.permissions.keys()
        if len(allocation.permissions) + len(new) > self._limits.max_permissions:
            raise _Refused(508)
        for host, reach in reaches.items():
            allocation.permit(host, reach, now + PERMISSION_LIFETIME)
        return stun.success(request, {}, allocation.key)

    def _bind_channel(self, allocation: Allocation, request: Message, now: float) -> bytes:
        number = request.channel
        if len(request.peers) != 1 or number is None or number not in CHANNELS:
            raise _Refused(400)
        peer = request.peers[0]
        reach = self._check(allocation, peer)
        if not self._gate.lets_pass(reach, peer):
            raise _Refused(403)
        allocation.sweep(now)
        by_number, by_peer = allocation.channel(number, now), allocation.channel_to(peer, now)
        if by_number is not by_peer:
            # The number belongs to another peer, or the peer has another number.
            raise _Refused(400)
        if by_number is None and len(allocation.channels) >= self._limits.max_channels:
            raise _Refused(508)
        permissions = allocation.permissions
        if peer[0] not in permissions and len(permissions) >= self._limits.max_permissions:
            raise _Refused(508)
        allocation.bind(number, peer, now + CHANNEL_LIFETIME)
        allocation.permit(peer[0], reach, now + CHANNEL_LIFETIME)
        return stun.success(request, {}, allocation.key)

    def _check(self, allocation: Allocation, peer: Address) -> Reach:
        """Return how much of a peer's address may be reached; refuse if it is nothing."""
        if (":" in peer[0]) != (allocation.family is Family.IPV6):
            raise _Refused(443)
        reach = self._gate.reach(peer[0])
        if reach is Reach.NOTHING:
            raise _Refused(403)
        return reach


def _lifetime(request: Message) -> float:
    """Return the seconds that an allocation is given."""
    return min(max(request.lifetime or 0.0, DEFAULT_LIFETIME), LONGEST_LIFETIME)
