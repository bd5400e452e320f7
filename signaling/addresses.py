"""Where connections come from, and what one address may take of the server.

An address is an IPv4 address or the upper 64 bits of an IPv6 address, which is what one household
or one machine is given. This machine's own (loopback, Unix sockets) are not limited: from there
come a reverse proxy, or the one who tries things out.

Pure: the caller passes the time. All that is kept is bounded.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Sequence

from signaling.errors import Refused, UsageError
from signaling.limits import Pace, SignalingLimits

THIS_MACHINE = ""
"""The address of all that is not limited."""

MAX_REMEMBERED = 10_000
"""Addresses whose pace is remembered. Beyond it the one that has been quiet longest is forgotten,
so who has that many addresses gets no more than these allow."""

ADDRESS_MARGIN = 8
"""Sockets of one address beyond its limit that get as far as being told that it is reached."""

MAX_PENALTY = 5.0
"""Seconds that an answer waits at most: shorter than clients wait for it."""


def address_of(ip: str) -> str:
    """Return what counts as one address, for an IP address as a socket or a header has it."""
    try:
        parsed = ipaddress.ip_address(ip)
    except ValueError:
        return THIS_MACHINE  # a Unix socket
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        if mapped is None:
            if parsed.is_loopback:
                return THIS_MACHINE
            return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
        parsed = mapped
    return THIS_MACHINE if parsed.is_loopback else str(parsed)


class Proxies:
    """The reverse proxies whose word is taken for where a connection comes from.

    Args:
        trusted: IP addresses or networks, such as ``"10.0.0.5"`` or ``"10.0.0.0/8"``.

    Raises:
        UsageError: if one of them is neither.
    """

    def __init__(self, trusted: Iterable[str]) -> None:
        if isinstance(trusted, str):
            raise UsageError(f"trusted proxies are a list of addresses: write [{trusted!r}]")
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for text in trusted:
            try:
                self._networks.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise UsageError(
                    f"{text!r} is no address of a proxy: write it like '10.0.0.5' or '10.0.0.0/8'"
                ) from None

    def trusts(self, ip: str) -> bool:
        """Return whether this is the IP address of a trusted proxy."""
        try:
            parsed = ipaddress.ip_address(ip)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def origin(self, ip: str, forwarded: Sequence[str]) -> str:
        """Return the IP address at which a connection began.

        Args:
            ip: the other end of the socket.
            forwarded: the values of the request's ``X-Forwarded-For`` headers, in order.

        Each proxy appends the address that it was called from, so the list is read from its end,
        and only as far as trusted proxies have written it: whatever comes before may be invented.
        """
        if not self.trusts(ip):
            return ip
        for entry in reversed(",".join(forwarded).split(",")):
            try:
                ip = str(ipaddress.ip_address(entry.strip()))
            except ValueError:
                return ip
            if not self.trusts(ip):
                return ip
        return ip


class Addresses:
    """What each address takes at the moment, and has taken lately."""

    def __init__(self, limits: SignalingLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._arrivals = _Paces(limits.address_burst, limits.address_rate)
        self._bad_tokens = _Paces(limits.bad_token_burst, limits.bad_token_rate)

    def __len__(self) -> int:
        """Return how many addresses have a socket open."""
        return len(self._open)

    def opened(self, address: str) -> bool:
        """Count a socket; return False if this address has so many that it should be dropped."""
        self._open[address] += 1
        most = self._limits.max_connections_per_address + ADDRESS_MARGIN
        return address == THIS_MACHINE or self._open[address] <= most

    def closed(self, address: str) -> None:
        """Count no longer what `opened` had counted."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def arrived(self, address: str, now: float) -> None:
        """Let a connection in whose socket is counted already.

        Raises:
            Refused: ``too_many_connections``, at one time or in a short time.
        """
        if address == THIS_MACHINE:
            return
        most = self._limits.max_connections_per_address
        if self._open[address] > most:
            raise Refused(
                "too_many_connections",
                f"{most} connections are open from your address already: close one, or try later",
            )
        if self._arrivals.of(address, now).try_take(1, now) > 0:
            raise Refused(
                "too_many_connections",
                "connections come too fast from your address: try again in a minute",
            )

    def penalty(self, address: str, now: float) -> float:
        """Return how many seconds the answer to a bad token has to wait."""
        if address == THIS_MACHINE:
            return 0.0
        return self._bad_tokens.of(address, now).take(1, now, most=MAX_PENALTY)


class _Paces:
    """One pace for each address, as far as they are remembered."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._paces: dict[str, Pace] = {}

    def of(self, address: str, now: float) -> Pace:
        pace = self._paces.pop(address, None) or Pace(self._burst, self._rate, now)
        self._paces[address] = pace  # at the end: the first is the one quiet longest
        if len(self._paces) > MAX_REMEMBERED:
            del self._paces[next(iter(self._paces))]
        return pace
