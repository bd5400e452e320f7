"""What people are told where no path is found: which server was asked, and why it did not help."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netcode.errors import Unreachable
from netcode.transports import gathering
from netcode.transports.webrtc import IceServer, WebRtcTransport
from signaling.tls import client_context, server_context
from tests.integration.certificates import make_certificate
from tests.integration.turn_lab import HOST, ice_server, relay
from tests.integration.webrtc_lab import Lab, introduce, open_both


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with Lab() as lab:
        yield lab


@contextmanager
def silent(kind: socket.SocketKind) -> Iterator[int]:
    """A port where somebody listens and never says anything."""
    with socket.socket(socket.AF_INET, kind) as listening:
        listening.bind((HOST, 0))
        if kind is socket.SOCK_STREAM:
            listening.listen()
        yield listening.getsockname()[1]


def free(kind: socket.SocketKind) -> int:
    """A port where nobody listens, just now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def turn(url: str, **credential: object) -> list[IceServer]:
    told = ice_server(url, **credential)  # type: ignore[arg-type]
    return [IceServer(told.urls, told.username, told.credential)]


async def why(transport: WebRtcTransport) -> str:
    """What it says when it has no address to offer."""
    with pytest.raises(Unreachable) as caught:
        await transport.offer()
    text = str(caught.value)
    assert text.startswith("there is no address to offer: tried no address here")
    return text


@pytest.mark.parametrize(
    "credential", [{"ago": 90_000.0}, {"secret": "another"}], ids=["expired", "wrong"]
)
@pytest.mark.parametrize("way", ["udp", "tcp"])
async def test_a_bad_credential(lab: Lab, credential: dict[str, object], way: str) -> None:
    async with relay() as server:
        url = f"turn:{HOST}:{server.port}?transport={way}"
        a = lab.transport(ice_servers=turn(url, **credential), relay_only=True)
        begin = time.monotonic()
        assert re.search(
            rf"TURN server {HOST}:{server.port} over {way.upper()}: "
            r"the credential is wrong or has run out \(401\)",
            await why(a),
        )
        assert time.monotonic() - begin < 1
        a.close()
        await a.wait_closed()


async def test_a_quota_that_is_used_up(lab: Lab) -> None:
    async with relay(max_allocations_per_user=1) as server:
        servers = turn(f"turn:{HOST}:{server.port}")
        first, second = (lab.transport(ice_servers=servers, relay_only=True) for _ in range(2))
        await first.offer()
        assert "as many relayed addresses as it may (486)" in await why(second)
        first.close()
        await first.wait_closed()


@pytest.mark.parametrize("way", ["udp", "tcp", "tls"])
async def test_a_relay_that_swallows_everything(
    lab: Lab, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "TIMEOUT", 0.3)
    url = {"udp": "turn:{}:{}", "tcp": "turn:{}:{}?transport=tcp", "tls": "turns:{}:{}"}[way]
    with silent(socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM) as port:
        a = lab.transport(ice_servers=turn(url.format(HOST, port)), relay_only=True)
        begin = time.monotonic()
        assert f"TURN server {HOST}:{port} over {way.upper()}: it does not answer" in await why(a)
        assert 0.3 <= time.monotonic() - begin < 1.5


@pytest.mark.parametrize("way", ["udp", "tcp"])
async def test_nobody_listens_where_the_relay_should_be(lab: Lab, way: str) -> None:
    port = free(socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM)
    servers = turn(f"turn:{HOST}:{port}?transport={way}")
    begin = time.monotonic()
    text = await why(lab.transport(ice_servers=servers, relay_only=True))
    assert f"TURN server {HOST}:{port} over {way.upper()}: nobody listens there" in text
    assert time.monotonic() - begin < 1  # the system says so at once


async def test_a_certificate_that_is_not_trusted(lab: Lab, tmp_path: Path) -> None:
    cert = make_certificate(tmp_path / "certificate.pem")
    async with relay(tls=server_context(cert)) as server:
        servers = turn(f"turns:{HOST}:{server.tls_port}")
        text = await why(lab.transport(ice_servers=servers, relay_only=True))
        assert "over TLS: its certificate is not trusted (self-signed certificate)" in text.replace(
            "self signed", "self-signed"
        )
        trusting = lab.transport(ice_servers=servers, relay_only=True, tls=client_context(cert))
        assert "typ relay" in await trusting.offer()
        trusting.close()
        await trusting.wait_closed()
        refusing = lab.transport(
            ice_servers=servers, relay_only=True, tls=ssl.create_default_context()
        )
        assert "not trusted" in await why(refusing)


async def test_a_name_that_leads_nowhere(lab: Lab) -> None:
    servers = turn("turn:no-such-host.invalid:3478")
    text = await why(lab.transport(ice_servers=servers, relay_only=True))
    assert "TURN server no-such-host.invalid:3478 over UDP: its name is not known" in text


async def test_a_server_that_answers_nonsense(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "TIMEOUT", 0.3)
    loop = asyncio.get_running_loop()

    class Nonsense(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            for answer in (
                b"",
                b"\x00",
                b"\x01\x13" + data[2:20],  # an error, without saying which
                b"\x01\x13\x00\x04" + data[4:20] + b"\x00\x09\x00\x00",
                b"\x40\x00\xff\xff",
            ):
                self.transport.sendto(answer, addr)  # type: ignore[attr-defined]

    opened, _ = await loop.create_datagram_endpoint(Nonsense, local_addr=(HOST, 0))
    port = opened.get_extra_info("sockname")[1]
    a = lab.transport(ice_servers=turn(f"turn:{HOST}:{port}"), relay_only=True)
    assert f"TURN server {HOST}:{port} over UDP: it" in await why(a)
    opened.close()


async def test_no_relay_was_named(lab: Lab) -> None:
    a = lab.transport(relay_only=True, ice_servers=[IceServer("stun:192.0.2.1")])
    assert "; no TURN server was named" in await why(a)


async def test_an_answer_that_never_works_says_which_servers_were_of_no_use(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "STUN_TIMEOUT", 0.2)
    with silent(socket.SOCK_DGRAM) as port:
        dead = free(socket.SOCK_STREAM)
        servers = [
            IceServer(f"stun:{HOST}:{port}"),
            *turn(f"turn:{HOST}:{dead}?transport=tcp"),
        ]
        a, b = lab.transport(ice_servers=servers), lab.transport()
        answer = await b.answer(await a.offer())
        b.close()
        await b.wait_closed()
        await a.accept(answer)
        with pytest.raises(Unreachable) as caught:
            await a.wait_open(0.3)
        text = str(caught.value)
        assert "no pair of them has answered (ICE checking, DTLS new, SCTP new)" in text
        assert f"; STUN server {HOST}:{port} over UDP: it does not answer" in text
        assert f"; TURN server {HOST}:{dead} over TCP: nobody listens there" in text


async def test_a_relay_that_may_not_send_there_says_so(lab: Lab) -> None:
    async with relay() as server:  # which sends nowhere inside
        a = lab.transport(ice_servers=turn(f"turn:{HOST}:{server.port}"), relay_only=True)
        b = lab.transport()
        await introduce(a, b)
        with pytest.raises(Unreachable) as caught:
            await a.wait_open(0.5)
        assert re.search(r"relaying to \S+: it forbids that \(403\)", str(caught.value))
        for each in (a, b):
            each.close()
            await each.wait_closed()


async def test_a_working_stun_server_is_not_waited_for_where_it_cannot_be_reached(
    lab: Lab,
) -> None:
    """One address answered is enough to know it; and what is known already is not named twice."""
    async with relay(hosts=[]) as server:
        servers = [IceServer(f"stun:{HOST}:{server.port}")]
        a, b = lab.transport(ice_servers=servers), lab.transport()
        begin = time.monotonic()
        offer = await a.offer()
        assert time.monotonic() - begin < gathering.STUN_TIMEOUT
        assert "typ srflx" not in offer
        await a.accept(await b.answer(offer))
        await open_both(a, b)
        assert a.rung == "direct"
        for each in (a, b):
            each.close()
            await each.wait_closed()
