"""Under which host somebody has reached this server, and ICE servers that are told by that name.

A relay on the same machine is reached where the server is, and who has reached the server knows
where that is: by the name or the address that stands in its request's ``Host`` header. So urls may
say ``{host}`` instead of a name that the operator would have to know.

The header is written by the other end. It is only ever told to that same end, and only if it is a
name or an address and nothing else. This module is pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv6Address

from signaling.messages import IceServer

PLACE = "{host}"
"""What stands in a url for the host by which its reader has reached this server."""

LONGEST_HOST = "h" * 253
"""As long as a name in DNS may be (RFC 1035); no address is longer."""

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", re.ASCII)
"""One label of a name, or one number of an IPv4 address."""

_PORT = re.compile(r"(?::[0-9]{0,5})?", re.ASCII)


def host_of(headers: Sequence[str]) -> str | None:
    """Return the host that a request's ``Host`` headers name, IPv6 in brackets, or None.

    It may be used in a url as it is. None is for what is absent, there twice, or no host.
    """
    if len(headers) != 1 or len(headers[0]) > len(LONGEST_HOST) + len(":65535"):
        return None
    header = headers[0]
    if header.startswith("["):
        address, bracket, port = header[1:].partition("]")
        if not bracket or not _PORT.fullmatch(port) or "%" in address:
            return None
        try:
            return f"[{IPv6Address(address)}]"
        except ValueError:
            return None
    name, colon, port = header.partition(":")
    if not _PORT.fullmatch(colon + port) or len(name) > len(LONGEST_HOST):
        return None
    # A name may end in a dot, which certificates do not know of.
    name = name.removesuffix(".")
    return name if all(_NAME.fullmatch(label) for label in name.split(".")) else None


def told_at(servers: Iterable[IceServer], host: str | None) -> tuple[IceServer, ...]:
    """Return the servers as somebody is told them who has reached this one by ``host``.

    Without a host, urls that want one are left out, and so are servers that have no other.
    """
    told = []
    for server in servers:
        urls = tuple(
            url if host is None else url.replace(PLACE, host)
            for url in server.urls
            if host is not None or PLACE not in url
        )
        if urls:
            told.append(replace(server, urls=urls))
    return tuple(told)
