"""What tests of the relay share: a relay on loopback, a coturn, echoes, WebRTC by relay only."""

import asyncio
import contextlib
import gc
import os
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransportPolicy,
    RTCPeerConnection,
)

from signaling.credentials import Credentials, TurnSecret
from signaling.messages import IceServer
from signaling.turn import PeerPolicy, TurnLimits, TurnServer

SECRET = "a secret of many bytes"
HOST = "127.0.0.1"
PATIENCE = 20.0
"""Seconds until a test gives up waiting; all of them are spent only where something is broken."""


@contextlib.asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """See that a block leaves no task, thread, descriptor or complaint of the event loop behind."""
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    tasks, threads, files = asyncio.all_tasks(), set(threading.enumerate()), _descriptors()
    yield
    gc.collect()
    assert asyncio.all_tasks() - tasks == set()
    left = {thread.name for thread in set(threading.enumerate()) - threads}
    # Names are looked up on the event loop's own executor, which ends with the loop.
    assert {name for name in left if not name.startswith("asyncio_")} == set()
    assert complaints == []
    assert _descriptors() == files


def _descriptors() -> set[str]:
    """The open sockets of this process, where the system lets us look."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/self/fd/{number}")
                if target.startswith("socket:"):
                    found.add(target)
    return found


@contextlib.asynccontextmanager
async def relay(
    *,
    allow: Sequence[str] = (),
    hosts: Sequence[str] = (HOST,),
    tls: Any = None,
    secret: str = SECRET,
    users: dict[str, str] | None = None,
    **limits: Any,
) -> AsyncIterator[TurnServer]:
    """A relay on loopback that leaves nothing behind."""
    async with nothing_left():
        server = TurnServer(
            Credentials(TurnSecret(secret), users),
            peers=PeerPolicy(allow),
            limits=TurnLimits(**limits),
        )
        await server.start(hosts, 0, tls_port=0, ssl=tls)
        try:
            yield server
        finally:
            await server.stop()


class Echo(asyncio.DatagramProtocol):
    """A peer that sends back whatever comes."""

    def __init__(self) -> None:
        self.received = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received += 1
        self.transport.sendto(data, addr)


@contextlib.asynccontextmanager
async def echoes(host: str = HOST) -> AsyncIterator[int]:
    """Two echoing peers on a port and the one after it, as coturn's client wants them."""
    loop = asyncio.get_running_loop()
    opened = []
    while True:
        first, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, 0))
        port = first.get_extra_info("sockname")[1]
        try:
            second, _ = await loop.create_datagram_endpoint(Echo, local_addr=(host, port + 1))
        except OSError:
            first.close()
            continue
        opened = [first, second]
        break
    try:
        yield port
    finally:
        for transport in opened:
            transport.close()
        await asyncio.sleep(0)


async def run(*command: str) -> tuple[int, str]:
    """Run a program to its end; return its status and all that it wrote."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


def coturn_configuration(port: int, folder: Path, secret: str, host: str = HOST) -> str:
    """What docs/deploy.md says, on a port of one address and without its certificate."""
    page = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text("utf-8")
    (printed,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    changed = {
        "static-auth-secret": secret, "listening-port": port, "listening-ip": host,
        "relay-ip": host, "log-file": "stdout", "pidfile": folder / "pid", "userdb": folder / "db",
    }  # fmt: skip
    left_out = {"cert", "pkey", *changed}
    lines = [line for line in printed.splitlines() if line.split("=")[0] not in left_out]
    lines += [f"{name}={value}" for name, value in changed.items()]
    lines += ["no-tls", "no-dtls", "allow-loopback-peers", f"allowed-peer-ip={host}"]
    return "\n".join(lines) + "\n"


@contextlib.asynccontextmanager
async def coturn(folder: Path, secret: str = SECRET) -> AsyncIterator[int]:
    """A real coturn on loopback, configured as docs/deploy.md says; yields its port."""
    port, log, file = free_port(), folder / "log", folder / "turnserver.conf"
    file.write_text(coturn_configuration(port, folder, secret))
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "turnserver", "-c", str(file), stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(PATIENCE):
            while not await answers(port):
                assert process.returncode is None, f"coturn ended:\n{log.read_text()}"
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def answers(port: int, host: str = HOST) -> bool:
    """Ask a STUN server for an answer, and give it a tenth of a second."""
    loop = asyncio.get_running_loop()
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((host, port))
        try:
            await loop.sock_sendall(asking, bytes.fromhex("000100002112a442") + bytes(12))
            async with asyncio.timeout(0.1):
                return bool(await loop.sock_recv(asking, 2_000))
        except TimeoutError:
            return False
        except ConnectionRefusedError:
            # Nobody listens yet, and the system says so at once.
            await asyncio.sleep(0.02)
            return False


def has_ipv6() -> bool:
    """Whether there is a loopback address of IPv6."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def free_port() -> int:
    """A port that is free for UDP and TCP just now: coturn does not choose one itself."""
    while True:
        with socket.socket(type=socket.SOCK_DGRAM) as datagrams, socket.socket() as stream:
            datagrams.bind((HOST, 0))
            port = int(datagrams.getsockname()[1])
            with contextlib.suppress(OSError):
                stream.bind((HOST, port))
                return port


def ice_server(url: str, *, secret: str = SECRET, name: str = "ada", ago: float = 0) -> IceServer:
    """What a client is told, with a credential of a day that was issued ``ago`` seconds ago."""
    credential = TurnSecret(secret).issue(name, time.time() - ago)
    return IceServer((url,), credential.username, credential.password)


class Caller:
    """One end of a WebRTC connection with a data channel, by relay only unless told otherwise."""

    def __init__(self, server: IceServer | None) -> None:
        servers = []
        if server is not None:
            servers = [RTCIceServer(list(server.urls), server.username, server.credential)]
        self.pc = RTCPeerConnection(
            RTCConfiguration(
                servers,
                iceTransportPolicy=RTCIceTransportPolicy.RELAY
                if server
                else RTCIceTransportPolicy.ALL,
            )
        )
        self.channel: RTCDataChannel = self.pc.createDataChannel("game", negotiated=True, id=0)
        self.opened = asyncio.Event()
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()
        self.channel.on("open", lambda: self.opened.set())
        self.channel.on("message", self.messages.put_nowait)

    async def offer(self) -> Any:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        return self.pc.localDescription

    async def answer(self, offer: Any) -> Any:
        await self.pc.setRemoteDescription(offer)
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        return self.pc.localDescription

    def candidates(self) -> list[tuple[str, str, int]]:
        """Type, address and port of what this end can be reached at."""
        assert self.pc.sctp is not None
        gathered = self.pc.sctp.transport.transport.iceGatherer.getLocalCandidates()
        return [(each.type, each.ip, each.port) for each in gathered]


async def exchange(a: Caller, b: Caller, texts: Sequence[bytes]) -> None:
    """Wait until the channel is open, and see every text come back."""
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(a.opened.wait(), b.opened.wait())
        for text in texts:
            a.channel.send(text)
            b.channel.send(await b.messages.get())
            assert await a.messages.get() == text


async def close(*callers: Caller) -> None:
    await asyncio.gather(*(caller.pc.close() for caller in callers))
