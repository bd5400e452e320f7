"""aioice's client of a TURN server, with bounds on time and with words for what goes wrong.

It reaches past aioice's public names, so `aiortc_private` uses it on known releases only. The
protocols are subclasses, and so concern nothing but the connections that are made with them.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

from aioice import stun, turn

from netcode.transports.webrtc_config import IceUrl

FAREWELL = 1.0
"""Seconds that a TURN server has to confirm that an address is given back; aioice would ask a
server that is gone for half a minute, and closing would wait for it."""

ALLOCATION_LIFETIME = turn.DEFAULT_ALLOCATION_LIFETIME
CHANNEL_REFRESH = turn.DEFAULT_CHANNEL_REFRESH_TIME

MEANINGS = {
    400: "it does not understand the request",
    401: "the credential is wrong or has run out",
    403: "it forbids that",
    437: "it does not know this allocation",
    438: "the credential is out of date",
    440: "it has no address of this family",
    441: "the credential is another one's",
    442: "it does not relay over UDP",
    443: "that address is of another family than the relayed one",
    486: "this credential has as many relayed addresses as it may",
    508: "it has no relayed address left",
}
"""What codes of STUN mean to somebody who has to do something about it."""

logger = logging.getLogger(__name__)

OnRefused = Callable[[str], None]


class TurnServer(NamedTuple):
    """Which TURN server to ask, and with which credential."""

    url: IceUrl
    username: str | None
    password: str | None
    tls: ssl.SSLContext | None
    """Whom to trust, for TLS; None asks the system."""


class _Careful(turn.TurnClientMixin):
    """What is different from aioice, over UDP and over a stream alike."""

    on_refused: OnRefused
    transport: Any

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception:
            logger.debug("a packet of a TURN server makes no sense", exc_info=True)

    async def channel_bind(self, channel_number: int, addr: tuple[str, int]) -> None:
        try:
            await super().channel_bind(channel_number, addr)
        except stun.TransactionFailed as error:
            self.on_refused(f"relaying to {addr[0]}: {reason(error)}")
            raise

    async def delete(self) -> None:
        try:
            async with asyncio.timeout(FAREWELL):
                await super().delete()
        except (TimeoutError, OSError):
            logger.debug("a TURN server does not confirm that an address is given back")
        finally:
            self.transport.abort()  # what a dead server does not read would wait for ever


class _OverUdp(_Careful, turn.TurnClientUdpProtocol):
    unreachable: asyncio.Future[None]

    def error_received(self, exc: Exception) -> None:
        """The system says that nobody listens there, which aioice would find out by waiting."""
        if not self.unreachable.done():
            self.unreachable.set_exception(exc)


class _OverStream(_Careful, turn.TurnClientTcpProtocol):
    unreachable: asyncio.Future[None]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.unreachable.done():
            self.unreachable.set_exception(
                exc or ConnectionResetError("it has closed the connection")
            )


async def allocate(
    server: TurnServer, receiver: asyncio.DatagramProtocol, on_refused: OnRefused
) -> None:
    """Ask for a relayed address, and give ``receiver`` the transport with that address.

    ``on_refused`` is called with a text for each peer that the server does not relay to. Raises
    what `reason` has words for. Cancelling it leaves nothing behind.
    """
    loop = asyncio.get_running_loop()
    unreachable: asyncio.Future[None] = loop.create_future()
    url = server.url
    over_udp = url.transport == "udp"

    def protocol() -> Any:
        kind: Any = _OverUdp if over_udp else _OverStream
        made = kind(
            (url.host, url.port),
            username=server.username,
            password=server.password,
            lifetime=ALLOCATION_LIFETIME,
            channel_refresh_time=CHANNEL_REFRESH,
        )
        made.on_refused, made.unreachable = on_refused, unreachable
        return made

    transport: Any
    if over_udp:
        transport, client = await loop.create_datagram_endpoint(
            protocol, remote_addr=(url.host, url.port)
        )
    else:
        tls = (server.tls or ssl.create_default_context()) if url.scheme == "turns" else None
        transport, client = await loop.create_connection(protocol, url.host, url.port, ssl=tls)
    asking = loop.create_task(turn.TurnTransport(client)._connect(receiver))
    try:
        await asyncio.wait({asking, unreachable}, return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            unreachable.result()
        asking.result()
    except BaseException:
        asking.cancel()
        await asyncio.wait({asking})
        if not asking.cancelled():
            asking.exception()  # read, so that asyncio does not report it
        if client.refresh_task is not None:
            client.refresh_task.cancel()
        transport.abort()
        raise
    finally:
        if unreachable.done():
            unreachable.exception()  # read, so that asyncio does not report it
        else:
            unreachable.cancel()


def reason(error: BaseException) -> str:
    """Why a server could not be used, for people."""
    match error:
        case stun.TransactionFailed():
            code = error.response.error_code
            return f"{MEANINGS.get(code or 0, 'it refuses')} ({code})"
        case stun.TransactionTimeout() | TimeoutError():
            return "it does not answer"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted ({error.verify_message})"
        case ssl.SSLError():
            return f"TLS fails ({error.reason})"
        case ConnectionRefusedError():
            return "nobody listens there"
        case socket.gaierror():
            return "its name is not known"
        case OSError():
            return error.strerror or str(error) or type(error).__name__
        case _:
            return f"its answer makes no sense ({type(error).__name__})"
