"""The relay with real sockets and real clients: aioice alone, and WebRTC that has no other way."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aioice.ice
import pytest
from aioice import stun, turn

from signaling.credentials import Credential, Credentials, TurnSecret
from signaling.errors import UsageError
from signaling.messages import IceServer
from signaling.tls import server_context
from signaling.turn import PeerPolicy, TurnServer
from tests.integration.certificates import make_certificate
from tests.integration.turn_lab import (
    HOST,
    PATIENCE,
    SECRET,
    Caller,
    close,
    echoes,
    exchange,
    has_ipv6,
    ice_server,
    nothing_left,
    relay,
)


class Received(asyncio.DatagramProtocol):
    """The client's end of a relayed address."""

    def __init__(self) -> None:
        self.data: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()
        self.failed: asyncio.Queue[Exception] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.data.put_nowait((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.failed.put_nowait(exc)


@contextlib.asynccontextmanager
async def client(
    server: TurnServer, transport: str = "udp", credential: Credential | None = None
) -> AsyncIterator[tuple[turn.TurnTransport, Received]]:
    """A relayed address, as aioice has it; given back at the end."""
    credential = credential or TurnSecret(SECRET).issue("ada", time.time())
    opened, protocol = await turn.create_turn_endpoint(
        Received,
        (HOST, server.tls_port if transport == "tls" else server.port),
        credential.username,
        credential.password,
        transport="udp" if transport == "udp" else "tcp",
        ssl=transport == "tls",
    )
    try:
        yield opened, protocol
    finally:
        inner = opened._TurnTransport__inner_protocol
        opened.close()
        await opened._TurnTransport__close_task
        await gone(inner.transport)


async def gone(transport: asyncio.BaseTransport) -> None:
    """Wait until a transport that is closing has let go of its socket."""
    async with asyncio.timeout(PATIENCE):
        while (bound := transport.get_extra_info("socket")) is not None and bound.fileno() != -1:
            await asyncio.sleep(0)


def refusal(code: int) -> pytest.RaisesExc[stun.TransactionFailed]:
    return pytest.raises(
        stun.TransactionFailed, check=lambda error: error.response.error_code == code
    )


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate that this process trusts: aioice uses the system's list."""
    file = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.fixture
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aioice offer the loopback address, and no other."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: [HOST])


# --- relaying ---


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_data_travels_there_and_back(transport: str, certificate: Path) -> None:
    tls = server_context(certificate)
    async with relay(allow=[HOST], tls=tls) as server, echoes() as port:
        async with client(server, transport) as (opened, received):
            for number in range(50):
                opened.sendto(b"%d" % number * 100, (HOST, port))
                async with asyncio.timeout(PATIENCE):
                    assert await received.data.get() == (b"%d" % number * 100, (HOST, port))
            assert server.allocations == 1
        assert server.allocations == 0
        assert server.stats.to_peers == server.stats.to_clients == 50


@pytest.mark.parametrize(
    "url", ["turn:{}:{}?transport=udp", "turn:{}:{}?transport=tcp", "turns:{}:{}?transport=tcp"]
)
async def test_a_data_channel_opens_by_relay_only(url: str, certificate: Path) -> None:
    async with relay(tls=server_context(certificate)) as server:
        port = server.tls_port if url.startswith("turns") else server.port
        ada, bob = (Caller(ice_server(url.format(HOST, port), name=name)) for name in "ab")
        await ada.pc.setRemoteDescription(await bob.answer(await ada.offer()))
        await exchange(ada, bob, [b"hello", bytes(10_000), b"bye"])
        assert {kind for kind, _, _ in ada.candidates() + bob.candidates()} == {"relay"}
        await close(ada, bob)
        assert server.stats.allocated == 2
        assert server.stats.to_peers > 20
        assert server.allocations == 0
        assert server.stats.refused.keys() == {401}


async def test_one_end_by_udp_and_the_other_by_tls(certificate: Path) -> None:
    async with relay(tls=server_context(certificate)) as server:
        ada = Caller(ice_server(f"turn:{HOST}:{server.port}?transport=udp"))
        bob = Caller(ice_server(f"turns:{HOST}:{server.tls_port}?transport=tcp"))
        await ada.pc.setRemoteDescription(await bob.answer(await ada.offer()))
        await exchange(ada, bob, [b"hello"])
        await close(ada, bob)


@pytest.mark.usefixtures("only_loopback")
async def test_a_relayed_player_reaches_the_game_server_on_the_same_machine() -> None:
    async with relay() as server:
        game = Caller(None)
        player = Caller(ice_server(f"turn:{HOST}:{server.port}"))
        offer = await game.offer()
        for _, address, port in game.candidates():
            server.peers.open(address, port)
        await game.pc.setRemoteDescription(await player.answer(offer))
        await exchange(game, player, [b"hello"])
        await close(game, player)


@pytest.mark.usefixtures("only_loopback")
async def test_nothing_else_on_the_same_machine_is_reached() -> None:
    async with relay() as server, echoes() as port, client(server) as (opened, received):
        inner = opened._TurnTransport__inner_protocol
        with refusal(403):
            await inner.channel_bind(0x4000, (HOST, port))
        server.peers.open(HOST, port)
        await inner.channel_bind(0x4000, (HOST, port))
        inner._send(b"\x40\x00\x00\x04game")
        # The permission is for the address; the port beside the game's stays shut all the same.
        attributes = {"XOR-PEER-ADDRESS": (HOST, port + 1), "DATA": b"other"}
        inner._send(bytes(stun.Message(stun.Method.SEND, stun.Class.INDICATION, None, attributes)))
        inner.channel_to_peer[0x4000] = HOST, port
        async with asyncio.timeout(PATIENCE):
            assert await received.data.get() == (b"game", (HOST, port))
        assert server.stats.not_permitted == 1


# --- refusals ---


@pytest.mark.parametrize(
    "peer", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.2", "0.0.0.0", "224.0.0.1"]
)
async def test_peers_inside_are_forbidden(peer: str) -> None:
    async with relay() as server, client(server) as (opened, _):
        with refusal(403):
            await opened._TurnTransport__inner_protocol.channel_bind(0x4000, (peer, 80))


@pytest.mark.parametrize(
    "credential",
    [
        TurnSecret("another secret").issue("ada", time.time()),
        TurnSecret(SECRET).issue("ada", time.time() - 100, lifetime=50),
        Credential("guest", "wrong"),
    ],
    ids=["secret", "expired", "password"],
)
async def test_wrong_credentials_are_refused(credential: Credential) -> None:
    async with relay(users={"guest": "password"}) as server:
        with refusal(401):
            async with client(server, credential=credential):
                pass
        assert server.allocations == 0
        await drained()


async def drained() -> None:
    """Let what aioice has closed on its own be closed."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_quotas_are_kept() -> None:
    async with relay(max_allocations_per_user=1, max_allocations=2) as server:
        issue = TurnSecret(SECRET).issue
        async with client(server):
            with refusal(486):
                async with client(server, credential=issue("ada", time.time() + 1)):
                    pass
            async with client(server, credential=issue("bob", time.time())):
                with refusal(508):
                    async with client(server, credential=issue("cyd", time.time())):
                        pass
        await drained()


async def test_no_port_left_in_the_range_is_said() -> None:
    async with nothing_left():
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.bind((HOST, 0))
            port = taken.getsockname()[1]
            server = TurnServer(Credentials(TurnSecret(SECRET)), ports=range(port, port + 1))
            await server.start([HOST], 0)
            with refusal(508):
                async with client(server):
                    pass
            await server.stop()
            await drained()


async def test_ports_are_taken_from_the_range_and_the_external_address_is_told() -> None:
    async with nothing_left():
        with socket.socket(type=socket.SOCK_DGRAM) as taken:
            taken.bind((HOST, 0))
            port = taken.getsockname()[1]
        server = TurnServer(
            Credentials(TurnSecret(SECRET)),
            ports=range(port, port + 1),
            external_ips=["198.41.0.4"],
        )
        await server.start([HOST], 0)
        async with client(server) as (opened, _):
            assert opened.get_extra_info("sockname") == ("198.41.0.4", port)
        await server.stop()


async def test_a_family_that_is_not_there_is_refused() -> None:
    async with relay() as server, client(server) as (opened, _):
        inner = opened._TurnTransport__inner_protocol
        with refusal(443):
            await inner.channel_bind(0x4000, ("2606:4700::1", 80))


# --- life ---


async def test_a_lost_connection_frees_its_allocation(certificate: Path) -> None:
    async with relay(tls=server_context(certificate)) as server:
        for transport in ("tcp", "tls"):
            async with client(server, transport) as (opened, _):
                inner = opened._TurnTransport__inner_protocol
                assert server.allocations == 1
                inner.refresh_task.cancel()
                inner.transport.abort()
                async with asyncio.timeout(PATIENCE):
                    while server.allocations:
                        await asyncio.sleep(0)


async def test_stopping_ends_everything_in_mid_session(certificate: Path) -> None:
    async with contextlib.AsyncExitStack() as stack, nothing_left():
        server = TurnServer(Credentials(TurnSecret(SECRET)), peers=PeerPolicy([HOST]))
        await server.start([HOST], 0, tls_port=0, ssl=server_context(certificate))
        inners = []
        for transport in ("udp", "tcp", "tls"):
            opened, _ = await stack.enter_async_context(client(server, transport))
            inners.append(opened._TurnTransport__inner_protocol)
        assert server.allocations == 3
        await server.stop()
        await server.stop()
        assert server.allocations == 0
        with pytest.raises(UsageError, match="start"):
            _ = server.port
        for inner in inners:
            inner.refresh_task.cancel()
            inner.transport.abort()
            await gone(inner.transport)
        await drained()


async def test_stopping_in_the_midst_of_a_tls_handshake(tmp_path: Path) -> None:
    async with relay(tls=server_context(make_certificate(tmp_path / "certificate.pem"))) as server:
        _, writer = await asyncio.open_connection(HOST, server.tls_port)
        async with asyncio.timeout(PATIENCE):
            while not server._sockets._connections:
                await asyncio.sleep(0)
        await server.stop()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        await drained()


async def test_a_server_starts_again() -> None:
    server = TurnServer(Credentials(TurnSecret(SECRET)))
    for _ in range(2):
        await server.start([HOST], 0)
        async with client(server):
            assert server.allocations == 1
        await server.stop()


async def test_on_every_address_by_default() -> None:
    async with nothing_left():
        server = TurnServer(Credentials(TurnSecret(SECRET)))
        await server.start(port=0)
        async with client(server) as (opened, _):
            assert server.allocations == 1
            # Whichever address that is: it is one of this machine's.
            with socket.socket(type=socket.SOCK_DGRAM) as probe:
                probe.bind((opened.get_extra_info("sockname")[0], 0))
        await server.stop()


async def test_the_address_of_everywhere_is_told_to_nobody() -> None:
    async with nothing_left():
        server = TurnServer(Credentials(TurnSecret(SECRET)))
        await server.start(["0.0.0.0"], 0)
        async with client(server) as (opened, _):
            assert opened.get_extra_info("sockname")[0] != "0.0.0.0"
        await server.stop()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_a_client_by_the_loopback_of_ipv6_gets_the_ipv4_that_it_asks_for() -> None:
    async with relay(hosts=["::1"]) as server:
        credential = TurnSecret(SECRET).issue("ada", time.time())
        opened, _ = await turn.create_turn_endpoint(
            Received, ("::1", server.port), credential.username, credential.password
        )
        assert opened.get_extra_info("sockname")[0] == HOST
        opened.close()
        await opened._TurnTransport__close_task


async def test_tcp_is_left_to_the_program_around() -> None:
    async with nothing_left():
        server = TurnServer(Credentials(TurnSecret(SECRET)))
        with socket.create_server((HOST, 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=r"in use|Only one usage"):
                await server.start([HOST], port)
            await server.start([HOST], port, tcp=False)
            assert server.port == port
            (url,) = server.ice_server("{host}", Credential("u", "p")).urls
            assert url == f"turn:{{host}}:{port}?transport=udp"
            async with client(server):
                assert server.allocations == 1
        await server.stop()


async def test_what_a_client_is_told() -> None:
    async with relay() as server:
        told = server.ice_server("example.org", Credential("u", "p"))
        port = server.port
        urls = f"turn:example.org:{port}?transport=udp", f"turn:example.org:{port}?transport=tcp"
        assert told == IceServer(urls, "u", "p")
        assert server.ice_server("::1", Credential("u", "p")).urls[0].startswith("turn:[::1]:")


async def test_misuse_is_refused_at_once() -> None:
    credentials = Credentials(TurnSecret(SECRET))
    for wrong in ({"realm": ""}, {"ports": range(0, 10)}, {"external_ips": ["example.org"]}):
        with pytest.raises(UsageError):
            TurnServer(credentials, **wrong)  # type: ignore[arg-type]
    async with relay() as server:
        with pytest.raises(UsageError, match="runs already"):
            await server.start([HOST], 0)
        other = TurnServer(credentials)
        with pytest.raises(OSError, match=r"in use|Only one usage"):
            await other.start([HOST], server.port)
        with pytest.raises(UsageError, match="no IP address"):
            await other.start(["localhost"], 0)


# --- strangers on streams ---


async def test_a_stream_of_nonsense_is_closed(certificate: Path) -> None:
    async with relay(tls=server_context(certificate)) as server:
        for port in (server.port, server.tls_port):
            reader, writer = await asyncio.open_connection(HOST, port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n" + b"\xff" * 100)
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await drained()


async def test_who_connects_and_says_nothing_is_dropped(certificate: Path) -> None:
    tls = server_context(certificate)
    async with relay(tls=tls, connect_timeout=0.05) as server:
        for port in (server.port, server.tls_port):
            reader, writer = await asyncio.open_connection(HOST, port)
            async with asyncio.timeout(PATIENCE):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await drained()


async def test_connections_are_bounded() -> None:
    async with relay(max_connections=2) as server:
        opened = [await asyncio.open_connection(HOST, server.port) for _ in range(3)]
        reader, _ = opened[2]
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        assert server.stats.unanswered == 1
        for _, writer in opened:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        await drained()


async def test_a_reader_that_does_not_read_costs_bounded_memory() -> None:
    async with relay(allow=[HOST], bytes_per_second=1e9, burst_bytes=1e9) as server:
        with socket.socket(type=socket.SOCK_DGRAM) as peer:
            peer.bind((HOST, 0))
            peer.setblocking(False)
            async with client(server, "tcp") as (opened, _):
                inner = opened._TurnTransport__inner_protocol
                await inner.channel_bind(0x4000, peer.getsockname())
                inner.transport.pause_reading()
                relayed = opened.get_extra_info("sockname")
                async with asyncio.timeout(PATIENCE):
                    while server.stats.unsendable < 100:
                        with contextlib.suppress(BlockingIOError):
                            peer.sendto(bytes(1_000), relayed)
                        await asyncio.sleep(0)
                (connection,) = server._sockets._connections.values()
                assert connection._transport.get_write_buffer_size() < 70_000
                inner.transport.resume_reading()


async def test_an_error_of_one_peer_disturbs_nobody() -> None:
    async with (
        relay(allow=["240.0.0.0/4", HOST]) as server,
        echoes() as port,
        client(server) as (opened, received),
    ):
        for peer in (("255.255.255.255", 9), ("240.0.0.1", 9), (HOST, 0)):
            opened.sendto(b"lost", peer)
        opened.sendto(b"fine", (HOST, port))
        async with asyncio.timeout(PATIENCE):
            assert await received.data.get() == (b"fine", (HOST, port))
            while server.stats.to_peers < 4:
                await asyncio.sleep(0)
        assert server.stats.unsendable >= 1
        assert received.failed.empty()
