"""Looks at the way to a server's door, one layer after the other, until one does not carry."""

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from cryptography import x509
from websockets.proxy import get_proxy
from websockets.uri import parse_uri

import signaling
from netcode.doors import Enter
from netcode.errors import JoinError, Refused
from netcode.tools import judge_door as judge
from netcode.tools.findings import Finding, Mark
from signaling.client import is_this_machine

TIMEOUT = 5.0
"""Seconds for each step."""

ENTER_TIMEOUT = 10.0

HEALTH = "GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"
MAX_HEADER_BYTES = 16_384

NAME = "netcode doctor"
"""What others in the room may see."""


@dataclass
class Door:
    """A server's door, and what was found of it. ``tls`` is the context for ``wss://``."""

    url: str
    room: str
    enter: Enter
    tls: ssl.SSLContext | None
    own_authority: bool = False
    member: signaling.SignalingClient | None = field(default=None, init=False)
    """This machine in the room, once it is in; whoever looked leaves it."""

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or (80 if self.tls is None else 443)

    def proxy(self) -> str:
        """Host and port of the proxy that a game would use for this URL; "" for none."""
        chosen = None if is_this_machine(self.url) else get_proxy(parse_uri(self.url))
        if chosen is None:
            return ""
        parts = urlsplit(chosen)  # never shown as a whole: it may hold a password
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


async def look(door: Door) -> AsyncIterator[Finding]:
    """Each finding as soon as it is there. Afterwards `Door.member` is in the room, or None."""
    proxy = door.proxy()
    addresses, error = await _resolve(door)
    name = judge.on_name(door.host, addresses, error)
    if addresses or not proxy:
        yield name
    if not addresses and not proxy:
        return
    reached: list[tuple[str, float]] = []
    failed: list[tuple[str, str]] = []
    for address in addresses:
        try:
            reached.append((address, await _connect(address, door.port)))
        except OSError as problem:
            failed.append((address, _why(problem)))
    tcp = judge.on_tcp(door.port, reached, failed, proxy)
    yield tcp
    if tcp.mark is Mark.FAILED:
        return
    if reached and door.tls is not None:
        yield await _look_at_tls(door, reached[0][0])
    if reached:
        yield judge.on_clock(await _clock_ahead(door, reached[0][0]))
    error, code = "", ""
    try:
        door.member = await door.enter(name=NAME, timeout=ENTER_TIMEOUT)
    except Refused as refused:
        error, code = str(refused), refused.code or "closed"
    except JoinError as problem:
        error = str(problem)
    for finding in judge.on_entering(error, code, proxy=proxy, room=door.room):
        yield finding


async def _resolve(door: Door) -> tuple[list[str], str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(TIMEOUT):
            found = await loop.getaddrinfo(door.host, door.port, type=socket.SOCK_STREAM)
    except TimeoutError:
        return [], "DNS does not answer"
    except OSError as error:
        return [], error.strerror or str(error)
    return list(dict.fromkeys(str(address[0]) for *_, address in found)), ""


async def _connect(address: str, port: int) -> float:
    began = time.perf_counter()
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(address, port)
    took = time.perf_counter() - began
    writer.transport.abort()
    return took


async def _look_at_tls(door: Door, address: str) -> Finding:
    refused = ""
    certificate = None
    try:
        certificate = await _certificate(door, address, door.tls)
    except ssl.SSLCertVerificationError as error:
        refused = f"the certificate is not trusted: {error.verify_message}"
        with suppress(OSError, ValueError):
            certificate = await _certificate(door, address, _believing_all())
    except ssl.SSLError as error:
        refused = f"TLS fails: {error.reason or error}"
    except (OSError, ValueError) as error:
        refused = f"TLS fails: {_why(error)}"
    return judge.on_tls(
        door.host,
        certificate,
        refused,
        judge.utc(time.time()),
        own_authority=door.own_authority,
    )


def _believing_all() -> ssl.SSLContext:
    """For looking at a certificate that is not trusted. Nothing is said on such a connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _certificate(
    door: Door, address: str, context: ssl.SSLContext | None
) -> judge.Certificate | None:
    async with asyncio.timeout(TIMEOUT):
        _, writer = await asyncio.open_connection(
            address, door.port, ssl=context, server_hostname=door.host
        )
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return None if shown is None else _read(x509.load_der_x509_certificate(shown))


def _read(certificate: x509.Certificate) -> judge.Certificate:
    names: list[str] = []
    with suppress(x509.ExtensionNotFound):
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names += others.get_values_for_type(x509.DNSName)
        names += [str(address) for address in others.get_values_for_type(x509.IPAddress)]
    common = certificate.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    organisation = certificate.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    issuer = next((str(each.value) for each in [*organisation, *common]), "nobody")
    return judge.Certificate(
        tuple(names),
        issuer,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.issuer == certificate.subject,
    )


async def _clock_ahead(door: Door, address: str) -> float | None:
    """By how much this clock is ahead of the server's, from the date in an answer of HTTP."""
    host = f"[{door.host}]" if ":" in door.host else door.host
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(
                address,
                door.port,
                ssl=door.tls,
                server_hostname=None if door.tls is None else door.host,
                limit=MAX_HEADER_BYTES,
            )
            try:
                writer.write(HEALTH.format(host).encode())
                head = await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.transport.abort()
        for line in head.decode("latin-1").split("\r\n"):
            header, _, value = line.partition(":")
            if header.lower() == "date":
                return time.time() - parsedate_to_datetime(value.strip()).timestamp()
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
        pass
    return None


def _why(error: Exception) -> str:
    match error:
        case TimeoutError():
            return "no answer"
        case ConnectionRefusedError():
            return "refused"
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
            return "no route"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case _:
            return str(error)
