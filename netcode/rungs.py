"""The rungs of the connection ladder: the ways by which two ends can reach each other.

The best is tried first, the last one works wherever the signaling server can be reached. This
module is pure, and nothing in it runs at import but definitions.
"""

import dataclasses
import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signaling.messages import IceServer


class Rung(enum.StrEnum):
    """How packets get from one end to the other; in the order of the class, the best first."""

    DIRECT = "direct"
    """From machine to machine, by UDP, through whatever NATs let it pass."""
    TURN_UDP = "turn_udp"
    """By way of a relay, to which this end speaks by UDP: a detour, and the same meaning."""
    TURN_TCP = "turn_tcp"
    """By way of a relay, to which this end speaks by TCP or TLS, where no UDP gets out: a packet
    that is lost holds up those behind it."""
    WEBSOCKET = "websocket"
    """Through the signaling server, on the connection that found the peer: for networks from which
    nothing else gets out. Not encrypted from end to end, and slow when the line is full."""


def servers_for(rung: Rung, servers: Iterable["IceServer"]) -> list[tuple["IceServer", ...]]:
    """Return the STUN and TURN servers to use on a rung.

    Each item of the list is one attempt, in the order in which to make them, since of several
    TURN URLs in one attempt only the first is used. Credentials stay with their server; URLs that
    are for other rungs, or unknown, are left out. An empty list: there is no way to this rung.

    - ``DIRECT``: one attempt with the STUN servers. Where there is none, the first TURN server by
      UDP stands in, for every TURN server answers STUN. Perhaps there is no server at all: two
      ends in one network do not need any.
    - ``TURN_UDP``: one attempt with the TURN servers by UDP.
    - ``TURN_TCP``: one attempt with those by TCP, one with those by TLS.
    - ``WEBSOCKET``: one attempt, without servers.
    """
    given = [_as_list(server) for server in servers]
    match rung:
        case Rung.DIRECT:
            return [_only(given, "stun") or _stand_in(given)]
        case Rung.TURN_UDP:
            attempts = [_only(given, "turn udp")]
        case Rung.TURN_TCP:
            attempts = [_only(given, "turn tcp"), _only(given, "turn tls")]
        case Rung.WEBSOCKET:
            return [()]
    return [attempt for attempt in attempts if attempt]


def _as_list(server: "IceServer") -> "IceServer":
    urls: str | Iterable[str] = server.urls
    return dataclasses.replace(server, urls=(urls,) if isinstance(urls, str) else tuple(urls))


def _only(servers: Iterable["IceServer"], kind: str) -> tuple["IceServer", ...]:
    """Return the servers that have URLs of this kind, with these URLs alone."""
    chosen = []
    for server in servers:
        urls = tuple(url for url in server.urls if _kind(url) == kind)
        if urls:
            chosen.append(dataclasses.replace(server, urls=urls))
    return tuple(chosen)


def _stand_in(servers: Iterable["IceServer"]) -> tuple["IceServer", ...]:
    """Return the first TURN server by UDP as a STUN server."""
    for server in _only(servers, "turn udp")[:1]:
        where = server.urls[0].partition(":")[2].partition("?")[0]
        return (
            dataclasses.replace(server, urls=(f"stun:{where}",), username=None, credential=None),
        )
    return ()


def _kind(url: str) -> str:
    """Return ``"stun"``, or ``"turn"`` with how it is spoken to; ``""`` for a URL of neither."""
    scheme, colon, rest = url.partition(":")
    transport = "tcp" if "transport=tcp" in rest.partition("?")[2].lower() else "udp"
    match scheme.lower() if colon else "":
        case "stun" | "stuns":
            return "stun"
        case "turn":
            return f"turn {transport}"
        case "turns":
            # By TLS; over UDP it would be DTLS, which nobody here speaks.
            return "" if "transport=udp" in rest.lower() else "turn tls"
        case _:
            return ""
