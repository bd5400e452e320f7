"""A relay over TLS with a certificate of one's own is trusted by the file that is for wss://."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

import netcode as nc
from signaling import Credentials, IceServer, TurnSecret
from signaling.tls import server_context
from signaling.turn import PeerPolicy, TurnServer
from tests.integration.certificates import make_certificate

GAME = nc.Protocol()


async def test_a_relay_over_tls_is_trusted_by_the_same_file(tmp_path: Path) -> None:
    file = make_certificate(tmp_path / "cert.pem")
    secret = TurnSecret("not to be guessed by anybody")
    relay = TurnServer(Credentials(secret), peers=PeerPolicy(allow=["0.0.0.0/0", "::/0"]))
    await relay.start(["127.0.0.1"], 0, tls_port=0, ssl=server_context(file, None))

    def only_tls(name: str) -> Sequence[IceServer]:
        credential = secret.issue(name, time.time())
        url = f"turns:127.0.0.1:{relay.tls_port}?transport=tcp"
        return [IceServer((url,), credential.username, credential.password)]

    server = nc.Server(GAME, relay=None, ice_servers=only_tls)
    await server.start(cert=file)
    try:
        async with nc.connect(server.url, GAME, rungs=["turn_tcp"], ca_file=file) as client:
            assert client.stats.rung == "turn_tcp"
            assert relay.stats.allocated == 1
    finally:
        await server.stop()
        await relay.stop()


async def test_and_not_without_it(tmp_path: Path) -> None:
    file, other = (make_certificate(tmp_path / name) for name in ("one.pem", "two.pem"))
    relay = nc.Relay(port=0, tls_port=0)
    server = nc.Server(GAME, relay=relay)
    await server.start(cert=file)
    try:
        with pytest.raises(nc.Unreachable, match="not trusted"):
            async with nc.connect(server.url, GAME, ca_file=other):
                pass
    finally:
        await server.stop()
