"""What is spent on those who have not shown a credential (RFC 8656, 21.1; RFC 8489, 9.2).

Anybody may send a packet, from any address that they like to write on it. So a question costs
little and leaves nothing behind: the nonce of a challenge is signed instead of stored, and how
much an address has asked is kept for a bounded number of addresses. This module is pure.
"""

import hmac
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from signaling.limits import Pace
from signaling.turn.limits import TurnLimits

NONCE_LIFETIME = 600.0
"""Seconds that a nonce is good for."""

MAX_REMEMBERED = 4_096
"""Addresses whose pace is remembered; then that of the one who has been silent longest is
forgotten. What all of them together may cost is bounded anyway."""

_TIME_DIGITS = 8
_SEAL_DIGITS = 24


class Nonces:
    """Nonces that say by themselves when, and for whom, they were made.

    ``key`` are random bytes that nobody else knows, and that end with the process.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, host: str, port: int, now: float) -> bytes:
        """Return a nonce for a client's address. ``now`` is in monotonic seconds."""
        made = f"{int(now) & 0xFFFF_FFFF:0{_TIME_DIGITS}x}"
        return (made + self._seal(made, host, port)).encode()

    def is_good(self, nonce: bytes, host: str, port: int, now: float) -> bool:
        """Say whether this is a nonce of ours, for this client, and not too old."""
        if len(nonce) != _TIME_DIGITS + _SEAL_DIGITS or not nonce.isalnum():
            return False
        made = nonce[:_TIME_DIGITS].decode()
        if not hmac.compare_digest(nonce[_TIME_DIGITS:], self._seal(made, host, port).encode()):
            return False
        return (int(now) - int(made, 16)) & 0xFFFF_FFFF <= NONCE_LIFETIME

    def _seal(self, made: str, host: str, port: int) -> str:
        text = f"{made} {port} {host}".encode()
        return hmac.digest(self._key, text, "sha256").hex()[:_SEAL_DIGITS]


class Strangers:
    """How much each address, and all together, may ask before they are known."""

    def __init__(self, limits: TurnLimits, now: float) -> None:
        self._limits = limits
        self._paces: OrderedDict[object, Pace] = OrderedDict()
        self._answers = Pace(limits.challenge_rate, limits.challenge_rate, now)

    def __len__(self) -> int:
        """Return how many addresses are remembered."""
        return len(self._paces)

    def may_ask(self, host: str, now: float) -> bool:
        """Count one packet or connection of an address; False if it has to be dropped."""
        source = _source(host)
        pace = self._paces.get(source)
        if pace is None:
            if len(self._paces) >= MAX_REMEMBERED:
                self._paces.popitem(last=False)
            pace = Pace(self._limits.stranger_burst, self._limits.stranger_rate, now)
            self._paces[source] = pace
        else:
            self._paces.move_to_end(source)
        return pace.spare(1, now)

    def may_be_answered(self, now: float) -> bool:
        """Count one answer to a stranger; False if there were too many of late."""
        return self._answers.spare(1, now)


def _source(host: str) -> object:
    """Return what one stranger can change least: an IPv4 address, or the /64 of an IPv6 one."""
    if ":" not in host:
        return host
    address = ip_address(host.partition("%")[0])
    assert isinstance(address, IPv6Address)  # there is a colon in it; for the type checker
    return int(address) >> 64
