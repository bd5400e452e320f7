"""Looks at the STUN and TURN servers that a room tells its members."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from aioice import stun

from netcode.errors import UsageError
from netcode.tools import judge_paths as judge
from netcode.tools.findings import Finding, Mark
from netcode.transports.aiortc_private import unknown_releases
from netcode.transports.turn_client import TurnServer, allocate, reason
from netcode.transports.webrtc_config import IceUrl, read_url
from signaling import IceServer

STUN_TIMEOUT = 1.5
STUN_INTERVAL = 0.5
"""Seconds after which a server that has not answered is asked again."""

ALLOCATE_TIMEOUT = 3.0
"""What a game gives a relay, too."""

ECHO_TIMEOUT = 2.0
ECHO_PATIENCE = 0.5
"""Seconds for one packet, before another one is sent."""

MAX_SERVERS = 8
"""Urls that are asked; more are told by nobody in his right mind."""


async def look(servers: Sequence[IceServer]) -> AsyncIterator[Finding]:
    """Each finding as soon as it is there."""
    urls = [url for server in servers for url in server.urls]
    yield judge.on_told(urls, _expires(servers), time.time())
    every = [(url, server) for server in servers for url in server.urls][:MAX_SERVERS]
    known = [(read, url, server) for url, server in every if (read := _read(url)) is not None]
    yield await _look_at_nat([url for url, *_ in known])
    for read, url, server in known:
        if not read.scheme.startswith("turn"):
            continue
        if unknown_releases():
            text = "not looked at: it needs a known release of aioice"
            yield Finding(f"turn.{_way(read)}", Mark.SKIPPED, text)
            continue
        yield judge.on_relay(await _ask_relay(read, url, server))


def _read(url: str) -> IceUrl | None:
    try:
        return read_url(url)
    except UsageError:
        return None


def _way(url: IceUrl) -> str:
    return "tls" if url.scheme == "turns" else url.transport


def _expires(servers: Sequence[IceServer]) -> float | None:
    """When the first credential runs out; its name begins with that, if it is of this kind."""
    for server in servers:
        until = (server.username or "").partition(":")[0]
        if until.isascii() and until.isdigit() and len(until) <= 12:
            return float(until)
    return None


# -- STUN ------------------------------------------------------------------------------------


class _Asking(asyncio.DatagramProtocol):
    """Asks several STUN servers from one socket, since a NAT shows itself in how these differ."""

    def __init__(self) -> None:
        self.seen: dict[bytes, judge.Place] = {}
        self.told = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        try:
            answer = stun.parse_message(data)
            host, port = answer.attributes["XOR-MAPPED-ADDRESS"]
        except Exception:
            return  # aioice's codec raises whatever it likes at what is no answer
        self.seen[answer.transaction_id] = (str(host), int(port))
        self.told.set()

    def error_received(self, exc: Exception) -> None:
        """The system says that nobody listens somewhere; silence says the same."""


async def _look_at_nat(urls: Sequence[IceUrl]) -> Finding:
    """Ask all that speak UDP; every TURN server answers STUN, too."""
    loop = asyncio.get_running_loop()
    places: dict[judge.Place, str] = {}
    failed: list[judge.Mapped] = []
    for url in urls:
        if url.transport != "udp":
            continue
        try:
            found = await loop.getaddrinfo(
                url.host, url.port, family=socket.AF_INET, type=socket.SOCK_DGRAM
            )
        except OSError as error:
            failed.append(judge.Mapped(str(url), None, reason(error)))
            continue
        host, port = found[0][4][:2]
        places.setdefault((str(host), int(port)), str(url))
    if not places:
        return judge.on_nat(("", 0), failed)
    local = _local_address(next(iter(places)))
    try:
        transport, asking = await loop.create_datagram_endpoint(_Asking, local_addr=(local, 0))
    except OSError as error:
        nobody = [judge.Mapped(name, None, reason(error)) for name in places.values()]
        return judge.on_nat((local, 0), nobody)
    try:
        port = transport.get_extra_info("sockname")[1]
        questions = {
            place: stun.Message(stun.Method.BINDING, stun.Class.REQUEST) for place in places
        }
        await _ask_all(transport, asking, questions)
    finally:
        transport.close()
    answers = [
        judge.Mapped(places[place], asking.seen.get(question.transaction_id), "it does not answer")
        for place, question in questions.items()
    ]
    return judge.on_nat((local, port), answers + failed)


async def _ask_all(
    transport: asyncio.DatagramTransport,
    asking: _Asking,
    questions: dict[judge.Place, stun.Message],
) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + STUN_TIMEOUT
    while len(asking.seen) < len(questions) and loop.time() < end:
        asking.told.clear()
        for place, question in questions.items():
            if question.transaction_id not in asking.seen:
                transport.sendto(bytes(question), place)
        again = min(end, loop.time() + STUN_INTERVAL)
        while len(asking.seen) < len(questions) and loop.time() < again:
            try:
                async with asyncio.timeout(again - loop.time()):
                    await asking.told.wait()
                asking.told.clear()
            except TimeoutError:
                break


def _local_address(place: judge.Place) -> str:
    """The address of this machine at which the way there begins. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(place)
        except OSError:
            return "0.0.0.0"
        return str(probe.getsockname()[0])


# -- TURN ------------------------------------------------------------------------------------


class _Relayed(asyncio.DatagramProtocol):
    """One relayed address of ours, and what comes there."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.arrived = asyncio.Event()
        self.gone = asyncio.Event()
        self.refusals: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone.set()

    @property
    def address(self) -> judge.Place:
        host, port = self.transport.get_extra_info("sockname")
        return str(host), int(port)

    async def close(self) -> None:
        """Give the address back."""
        if self.transport is not None:
            self.transport.close()
            try:
                async with asyncio.timeout(ECHO_TIMEOUT):
                    await self.gone.wait()
            except TimeoutError:
                pass


async def _ask_relay(read: IceUrl, url: str, server: IceServer) -> judge.Relayed:
    """Ask for two addresses, and send from one to the other: that needs all that a game needs."""
    known = TurnServer(read, server.username, server.credential, None)
    ends = (_Relayed(), _Relayed())
    way = _way(read)
    began = time.perf_counter()
    try:
        try:
            async with asyncio.timeout(ALLOCATE_TIMEOUT):
                await allocate(known, ends[0], ends[0].refusals.append)
        except Exception as error:
            return judge.Relayed(url, way, None, why=reason(error))
        took = time.perf_counter() - began
        echo, why = await _echo(known, ends)
        return judge.Relayed(url, way, ends[0].address, took, echo=echo, echo_why=why)
    finally:
        for end in ends:
            await end.close()


async def _echo(known: TurnServer, ends: tuple[_Relayed, _Relayed]) -> tuple[float | None, str]:
    """Seconds from one relayed address to the other, or why it is not known."""
    here, there = ends
    try:
        async with asyncio.timeout(ALLOCATE_TIMEOUT):
            await allocate(known, there, there.refusals.append)
    except Exception as error:
        return None, f"no second address: {reason(error)}"
    loop = asyncio.get_running_loop()
    end = loop.time() + ECHO_TIMEOUT
    has_passed = False
    while loop.time() < end and not (here.refusals or there.refusals):
        # Each lets the other's packets in by sending there.
        there.transport.sendto(b"netcode", here.address)
        there.arrived.clear()
        began = time.perf_counter()
        here.transport.sendto(b"netcode", there.address)
        try:
            async with asyncio.timeout(min(ECHO_PATIENCE, end - loop.time())):
                await there.arrived.wait()
        except TimeoutError:
            continue
        if has_passed:
            return time.perf_counter() - began, ""
        has_passed = True  # and had to wait for its channel: the next one is measured
    return None, "; ".join([*here.refusals, *there.refusals])
