"""The relay in a game server: who is relayed to the game, and to what nobody is."""

import asyncio
import json
import logging
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aioice.turn
import pytest

import netcode as nc
import signaling
from netcode.relay import GameRelay
from netcode.transports.webrtc import IceServer, WebRtcTransport
from signaling import AnswerFrom, Offer, SignalingClient
from signaling.tls import client_context
from signaling.turn.ports import local_address_towards
from signaling.turn.stun import Family
from tests.integration.certificates import make_certificate
from tests.integration.test_play import GAME, Ship, make_server, until
from tests.integration.turn_lab import Echo, has_ipv6, nothing_left
from tests.integration.webrtc_lab import PATIENCE, Lab

LOOPBACK = "127.0.0.1"


def relay_of(server: nc.Server) -> GameRelay:
    assert server._relay is not None
    return server._relay


def opened(server: nc.Server) -> set[tuple[str, int]]:
    """What the relay lets packets to, of this machine."""
    return relay_of(server)._turn.peers._open


def own_address() -> str:
    """An address of this machine that others may reach, or loopback if it has none."""
    return local_address_towards("192.0.2.1", Family.IPV4) or LOOPBACK


@asynccontextmanager
async def everywhere(server: nc.Server) -> AsyncIterator[None]:
    """Run a server that listens on every address."""
    await server.start(host="")
    async with server:
        yield


@asynccontextmanager
async def member_of(server: nc.Server, host: str = LOOPBACK) -> AsyncIterator[SignalingClient]:
    url = f"ws://{host}:{server.port}"
    async with await SignalingClient.connect(url, room="game", name="Ada") as member:
        yield member


def told(member: SignalingClient) -> list[str]:
    return [url for server in member.ice_servers for url in server.urls]


def only(way: str, member: SignalingClient) -> list[IceServer]:
    """The relay that a member is told, by one of the ways to it."""
    pattern = {"udp": "turn:.*udp", "tcp": "turn:.*tcp", "tls": "turns:"}[way]
    return [
        IceServer(url, server.username, server.credential)
        for server in member.ice_servers
        for url in server.urls
        if re.match(pattern, url)
    ]


async def reach(
    member: SignalingClient, lab: Lab, servers: Sequence[IceServer], patience: float = PATIENCE
) -> WebRtcTransport:
    """A transport to the server of the game that uses nothing but the relay."""
    transport = lab.transport(ice_servers=servers, relay_only=True)
    assert member.host is not None
    await member.send(Offer(member.host, await transport.offer()))
    async with asyncio.timeout(PATIENCE):
        async for message in member:
            if isinstance(message, AnswerFrom):
                await transport.accept(message.sdp)
                break
    await transport.wait_open(patience)
    return transport


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


# --- who is relayed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "listen",
    [
        LOOPBACK,
        "",
        pytest.param("::1", marks=pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")),
    ],
)
async def test_a_whole_game_by_nothing_but_the_relay(listen: str) -> None:
    server = make_server()
    async with nothing_left():
        await server.start(host=listen)
        host = {LOOPBACK: LOOPBACK, "": own_address(), "::1": "[::1]"}[listen]
        async with nc.connect(
            f"ws://{host}:{server.port}", GAME, name="Ada", rungs=["turn_udp"]
        ) as ada:
            await until(
                lambda: (ship := ada.own(Ship)) is not None and ship.x > 30, ada, thrust=True
            )
            assert relay_of(server).allocations == 1
            assert opened(server)
            health = await health_of(server, listen or LOOPBACK)
            assert (health["players"], health["allocations"]) == (1, 1)
        await eventually(lambda: not opened(server) and not relay_of(server).allocations)
        await server.stop()


async def health_of(server: nc.Server, host: str = LOOPBACK) -> dict[str, Any]:
    reader, writer = await asyncio.open_connection(host, server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return dict(json.loads(answer.partition(b"\r\n\r\n")[2]))


@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("listen", [LOOPBACK, ""])
async def test_every_way_to_the_relay_leads_to_the_game(
    way: str, listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert = make_certificate(tmp_path / "certificate.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))  # aioice asks the system whom to trust
    server = make_server(relay=nc.Relay(port=0, tls_port=0))
    async with nothing_left(), Lab() as lab:
        await server.start(host=listen, cert=cert)
        url = f"wss://{LOOPBACK}:{server.port}"
        tls = client_context(cert)
        async with await SignalingClient.connect(url, room="game", name="A", ssl=tls) as member:
            assert [url.partition(":")[0] for url in told(member)] == [
                "stun",
                *["turn"] * 2,
                "turns",
            ]
            transport = await reach(member, lab, only(way, member))
            assert transport.rung == ("turn_udp" if way == "udp" else "turn_tcp")
            assert relay_of(server).allocations == 1
        await server.stop()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_members_are_told_the_address_by_which_they_came() -> None:
    server = make_server()
    async with everywhere(server):
        for host in (LOOPBACK, "localhost", "[::1]"):
            async with member_of(server, host) as member:
                assert told(member) == [
                    f"stun:{host}:{server.port}",
                    f"turn:{host}:{server.port}?transport=udp",
                ]


async def test_a_named_host_is_told_to_everybody_and_to_ourselves_nothing() -> None:
    theirs = signaling.IceServer(("turn:theirs.example", "stun:{host}:9"), "ada", "secret")
    server = make_server(relay=nc.Relay(host="2001:db8::7"), ice_servers=[theirs])
    async with server, member_of(server) as member:
        assert told(member) == [
            "turn:theirs.example",
            f"stun:{LOOPBACK}:9",
            f"stun:[2001:db8::7]:{server.port}",
            f"turn:[2001:db8::7]:{server.port}?transport=udp",
        ]
        assert [url for each in server._own_ice_servers() for url in each.urls] == [
            "turn:theirs.example"
        ]


async def test_every_member_has_a_credential_of_its_own() -> None:
    async with make_server() as server, member_of(server) as ada, member_of(server) as bob:
        names = [server.username for each in (ada, bob) for server in each.ice_servers[1:]]
        assert [name and name.partition(":")[2] for name in names] == [ada.id, bob.id]
        before = ada.ice_servers
        await ada.renew_ice_servers()
        await anext(aiter(ada))
        assert [each.urls for each in ada.ice_servers] == [each.urls for each in before]


# --- what is not reached -------------------------------------------------------------------------


async def test_without_a_good_credential_there_is_no_relaying() -> None:
    async with Lab() as lab, make_server() as server, member_of(server) as member:
        (relay,) = only("udp", member)
        wrong = IceServer(relay.urls, relay.username, "a wrong password")
        with pytest.raises(nc.Unreachable):
            await reach(member, lab, [wrong])
        assert relay_of(server).allocations == 0


async def test_nothing_else_of_this_machine_is_reached() -> None:
    loop = asyncio.get_running_loop()
    other, echo = await loop.create_datagram_endpoint(Echo, local_addr=(own_address(), 0))
    server = make_server()
    async with Lab() as lab, everywhere(server), member_of(server) as member:
        transport = await reach(member, lab, only("udp", member))
        (relay,) = only("udp", member)
        alien, _ = await aioice.turn.create_turn_endpoint(
            asyncio.DatagramProtocol, (LOOPBACK, server.port), relay.username, relay.credential
        )
        inner = alien._TurnTransport__inner_protocol
        # The address is known by now, and another port of it is not.
        for peer in (other.get_extra_info("sockname"), (LOOPBACK, server.port)):
            with pytest.raises(aioice.stun.TransactionFailed) as caught:
                await inner.channel_bind(0x4000, peer)
            assert caught.value.response.error_code == 403
        request = aioice.stun.Message(aioice.stun.Method.SEND, aioice.stun.Class.INDICATION)
        request.attributes["XOR-PEER-ADDRESS"] = other.get_extra_info("sockname")
        request.attributes["DATA"] = b"who is there?"
        refused = relay_of(server)._turn.stats.not_permitted
        inner.send_stun(request, inner.server)
        await eventually(lambda: relay_of(server)._turn.stats.not_permitted > refused)
        assert echo.received == 0
        assert transport.rung == "turn_udp"
        alien.close()
        await alien._TurnTransport__close_task
    other.close()


async def test_who_has_left_leaves_no_door_open() -> None:
    async with make_server() as server:

        async def visit(name: str) -> None:
            async with nc.connect(
                server.url, GAME, name=name, rungs=["turn_udp"], timeout=20
            ) as player:
                assert player.joined
                assert opened(server)

        await asyncio.gather(*(visit(f"player {number}") for number in range(20)))
        await eventually(lambda: not opened(server) and not relay_of(server).allocations)
        assert relay_of(server)._turn.stats.allocated == 20


# --- life ----------------------------------------------------------------------------------------


async def test_the_relay_starts_and_stops_with_the_server() -> None:
    server = make_server()
    async with nothing_left():
        for _ in range(2):
            await server.start()
            async with member_of(server) as member:
                assert len(told(member)) == 2
            await server.stop()
        assert relay_of(server).ice_servers("nobody") == ()


async def test_no_relay_if_none_is_wanted() -> None:
    async with make_server(relay=None) as server, member_of(server) as member:
        assert told(member) == []
        assert "allocations" not in await health_of(server)


async def test_a_taken_port_costs_the_relay_and_not_the_game(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = make_server()
    with taken() as port, caplog.at_level(logging.WARNING):
        await server.start(port)
        async with server, member_of(server) as member:
            assert told(member) == []
            assert f"UDP port {port} cannot be listened to" in caplog.text
            assert "Relay(port=3478)" in caplog.text
            async with nc.connect(server.url, GAME, name="Ada") as ada:
                assert ada.joined


async def test_a_port_that_was_asked_for_must_be_there() -> None:
    async with nothing_left():
        with taken() as port:
            server = make_server(relay=nc.Relay(port=port))
            with pytest.raises(
                OSError, match=rf"relay cannot listen on port {port} for UDP and TCP"
            ):
                await server.start()
            with pytest.raises(nc.UsageError, match="does not run"):
                _ = server.port
        await server.start()
        await server.stop()


def taken() -> Any:
    """A UDP port of loopback that another program uses; its number is free for TCP."""

    class Taken:
        def __enter__(self) -> int:
            while True:
                self.socket = socket.socket(type=socket.SOCK_DGRAM)
                self.socket.bind((LOOPBACK, 0))
                port = int(self.socket.getsockname()[1])
                try:
                    socket.create_server((LOOPBACK, port)).close()
                except OSError:
                    self.socket.close()
                    continue
                return port

        def __exit__(self, *_: object) -> None:
            self.socket.close()

    return Taken()


async def test_tls_wants_a_certificate() -> None:
    server = make_server(relay=nc.Relay(tls_port=0))
    async with nothing_left():
        with pytest.raises(nc.UsageError, match="cert="):
            await server.start()


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"tls_port": 65_536},
        {"host": ""},
        {"host": "example.org:80"},
        {"host": "turn:example.org"},
        {"external_ips": "203.0.113.7"},
        {"external_ips": ["example.org"]},
        {"ports": range(0, 9)},
        {"secret": ""},
    ],
    ids=str,
)
def test_settings_that_could_not_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(nc.UsageError):
        nc.Relay(**wrong)
