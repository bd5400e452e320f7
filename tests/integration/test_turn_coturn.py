"""Our relay and coturn, each with the other's clients: what we call TURN is what others call so."""

import asyncio
import re
from pathlib import Path

import pytest

from signaling.credentials import TurnSecret
from signaling.tls import server_context
from tests.integration.certificates import make_certificate
from tests.integration.turn_lab import (
    HOST,
    SECRET,
    Caller,
    close,
    coturn,
    echoes,
    exchange,
    has_ipv6,
    ice_server,
    nothing_left,
    relay,
    run,
)

pytestmark = pytest.mark.needs("turnutils_uclient", "coturn")

CLIENTS, MESSAGES = 4, 50
MODES = {"channels": ["-c"], "indications": ["-s", "-c"], "client to client": ["-y", "-c"]}
TRANSPORTS = {"udp": [], "tcp": ["-t"], "tls": ["-t", "-S"]}


async def uclient(
    *options: str, port: int, host: str = HOST, peer: int = 3480, secret: str = SECRET
) -> tuple[int, str]:
    """Run coturn's client to its end: four clients of fifty messages each."""
    return await run(
        "turnutils_uclient", *options, "-e", host, "-r", str(peer), "-n", str(MESSAGES),
        "-m", str(CLIENTS), "-p", str(port), "-u", "ada", "-W", secret, host,
    )  # fmt: skip


def lossless(status: int, output: str) -> bool:
    """Whether all messages were sent, and came back."""
    *_, totals = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", output) or [None]
    return (
        status == 0
        and totals == (str(CLIENTS * MESSAGES),) * 2
        and "Total lost packets 0 (0.000000%)" in output
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_coturns_clients_lose_nothing(transport: str, tmp_path: Path) -> None:
    tls = server_context(make_certificate(tmp_path / "certificate.pem"))
    async with relay(allow=[HOST], tls=tls) as server, echoes() as peer:
        port = (server.tls_port if transport == "tls" else None) or server.port
        runs = [
            uclient(*mode, *TRANSPORTS[transport], port=port, peer=peer) for mode in MODES.values()
        ]
        for mode, (status, output) in zip(MODES, await asyncio.gather(*runs), strict=True):
            assert lossless(status, output), f"{mode}:\n{output}"
        assert server.stats.to_peers == len(MODES) * CLIENTS * MESSAGES
        assert set(server.stats.refused) == {401}
        print(server.stats)


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6, not even on loopback")
async def test_coturns_clients_lose_nothing_over_ipv6() -> None:
    async with relay(allow=["::1"], hosts=["::1"]) as server, echoes("::1") as peer:
        status, output = await uclient("-x", "-c", port=server.port, host="::1", peer=peer)
        assert lossless(status, output), output


@pytest.mark.parametrize(
    ("code", "peer", "secret", "quota"),
    [(401, HOST, "another", 9), (403, "10.0.0.1", SECRET, 9), (486, HOST, SECRET, 1)],
    ids=["wrong secret", "peer inside", "quota"],
)
async def test_coturns_client_is_told_what_is_wrong(
    code: int, peer: str, secret: str, quota: int
) -> None:
    async with relay(allow=[HOST], max_allocations_per_user=quota) as server:
        status, _ = await run(
            "turnutils_uclient", "-c", "-e", peer, "-p", str(server.port), "-u", "ada",
            "-W", secret, HOST,
        )  # fmt: skip
        assert status != 0
        assert server.stats.refused[code] > 0


@pytest.mark.needs("turnserver", "coturn")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_our_credentials_open_a_real_coturn(transport: str, tmp_path: Path) -> None:
    async with nothing_left(), coturn(tmp_path) as port:
        url = f"turn:{HOST}:{port}?transport={transport}"
        ada, bob = (Caller(ice_server(url, name=name)) for name in ("ada", "bob"))
        await ada.pc.setRemoteDescription(await bob.answer(await ada.offer()))
        await exchange(ada, bob, [b"hello", bytes(10_000)])
        assert {kind for kind, _, _ in ada.candidates() + bob.candidates()} == {"relay"}
        await close(ada, bob)


@pytest.mark.needs("turnserver", "coturn")
async def test_a_real_coturn_refuses_wrong_credentials_as_we_do(tmp_path: Path) -> None:
    async with nothing_left(), coturn(tmp_path) as port:
        url = f"turn:{HOST}:{port}"
        for server in (ice_server(url, ago=2 * 86_400), ice_server(url, secret="another")):
            caller = Caller(server)
            await caller.offer()
            assert caller.candidates() == []
            await close(caller)


@pytest.mark.needs("turnserver", "coturn")
async def test_a_real_coturn_configured_as_we_say_refuses_peers_inside(tmp_path: Path) -> None:
    async with coturn(tmp_path) as port:
        asked = [
            run(
                "turnutils_uclient",
                "-c",
                "-e",
                peer,
                "-p",
                str(port),
                "-u",
                "ada",
                "-W",
                SECRET,
                HOST,
            )
            for peer in ("10.0.0.1", "169.254.169.254", "192.168.0.1", "127.0.0.2")
        ]
        for status, output in await asyncio.gather(*asked):
            assert status != 0
            assert "403" in output


@pytest.mark.needs("turnserver", "coturn")
async def test_a_secret_is_the_same_for_both(tmp_path: Path) -> None:
    """coturn's client makes credentials as ours does: each is let in by the other's server."""
    secret = TurnSecret(SECRET)
    async with relay(allow=[HOST]) as server, echoes() as peer, coturn(tmp_path) as theirs:
        for port in (server.port, theirs):
            status, output = await uclient("-c", port=port, peer=peer)
            assert lossless(status, output), output
    assert secret.account("9999999999:ada", 0.0) is not None
