"""Finds out what a NAT does, in the manner of RFC 5780.

``netlab_probe.py serve ADDRESS ADDRESS`` has sockets on two ports of two addresses. Each answers
with the address that it has seen; asked to, another one answers before it.
``netlab_probe.py ask ADDRESS ADDRESS PORT PORT`` asks them and says what follows.
``netlab_probe.py hold ADDRESS PORT`` keeps one socket, and asks for each line that it is told; a
number in that line is how often.
"""

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

PATIENCE = 1.0
"""Seconds for an answer that may never come; what comes takes a millisecond."""


def tell(event: str, **what: object) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


class Reflector(asyncio.DatagramProtocol):
    """One of the four sockets. ``also`` are those that may be asked to answer first."""

    def __init__(self) -> None:
        self.also: dict[bytes, Reflector] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data in self.also:
            self.also[data].transport.sendto(b"stranger", addr)
        self.transport.sendto(f"{addr[0]} {addr[1]}".encode(), addr)


async def serve(*addresses: str) -> None:
    loop = asyncio.get_running_loop()
    ports: list[int] = [0, 0]
    rows: list[list[Reflector]] = []
    for address in addresses:
        rows.append([])
        for column in (0, 1):
            transport, reflector = await loop.create_datagram_endpoint(
                Reflector, local_addr=(address, ports[column])
            )
            ports[column] = transport.get_extra_info("sockname")[1]
            rows[-1].append(reflector)
    rows[0][0].also = {b"another port": rows[0][1], b"another address": rows[1][1]}
    tell("ready", ports=ports)
    await asyncio.Event().wait()


@contextlib.contextmanager
def fresh() -> Iterator[socket.socket]:
    with socket.socket(type=socket.SOCK_DGRAM) as opened:
        opened.bind(("", 0))
        opened.settimeout(PATIENCE)
        yield opened


def seen(asking: socket.socket, server: tuple[str, int]) -> tuple[str, int] | None:
    """What a server sees us as; None if it does not answer."""
    asking.sendto(b"who am I", server)
    try:
        host, port = asking.recv(100).split()
    except TimeoutError:
        return None
    return host.decode(), int(port)


def lets_in(server: tuple[str, int], whom: bytes) -> bool:
    """Whether somebody's packet comes through to a socket that has asked only this server."""
    with fresh() as asking:
        asking.sendto(whom, server)
        return asking.recv(100) == b"stranger"


def ask(first: str, second: str, *ports: str) -> None:
    servers = [(host, int(port)) for host in (first, second) for port in ports]
    with fresh() as asking:
        if seen(asking, servers[0]) is None:
            tell("found", seen=None)
            return
        tell(
            "found",
            seen=[seen(asking, server) for server in servers],
            own_port=asking.getsockname()[1],
            port_lets_in=lets_in(servers[0], b"another port"),
            address_lets_in=lets_in(servers[0], b"another address"),
        )


def hold(host: str, port: str) -> None:
    server = host, int(port)
    with fresh() as asking:
        tell("ready")
        for line in sys.stdin:
            began = time.monotonic()
            answers = 0
            for _ in range(int(line) - 1):
                asking.sendto(b"and who now", server)
                time.sleep(0.001)  # no faster than any queue
                answers += waiting(asking)
            last = seen(asking, server)
            took = time.monotonic() - began
            answers += last is not None
            with contextlib.suppress(TimeoutError):
                while answers < int(line):
                    asking.recv(100)
                    answers += 1
            tell("seen", address=last, seconds=took, answers=answers)


def waiting(asking: socket.socket) -> int:
    """How many answers are there already; they are read."""
    count = 0
    asking.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            asking.recv(100)
            count += 1
    asking.settimeout(PATIENCE)
    return count


match sys.argv[1]:
    case "serve":
        asyncio.run(serve(*sys.argv[2:]))
    case "ask":
        ask(*sys.argv[2:])
    case "hold":
        hold(*sys.argv[2:])
