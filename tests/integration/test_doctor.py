"""The doctor at real servers: well ones, and each that something is wrong with."""

import asyncio
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import netcode as nc
from netcode.__main__ import main
from netcode.rungs import Rung
from netcode.tools.doctor import Examination
from netcode.tools.findings import Finding, Mark, Report
from signaling import Credentials, IceServer, SignalingServer, TurnSecret
from signaling.tokens import JoinSecret
from signaling.turn import TurnServer
from tests.integration.certificates import make_certificate

pytestmark = pytest.mark.filterwarnings("error")

GUIDE = Path(__file__).parents[2] / "docs" / "getting-through.md"
SECRET = "a secret that is long enough"


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)


GAME = nc.Protocol(entities=[Ship])


async def examine(url: str | None, **options: str) -> tuple[Report, dict[str, Finding]]:
    """The report, and its findings by their names. Nothing that was opened for it is left."""
    before = asyncio.all_tasks()
    report = await Examination().run(url, **options)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)
    return report, {finding.check: finding for finding in report.findings}


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[nc.Server]:
    """A game server that must not be disturbed: nobody joins, and no link is left."""
    server = nc.Server(GAME, **options)  # type: ignore[arg-type]
    joined: list[nc.Player] = []
    server.on_join(joined.append)
    async with server:
        yield server
        assert joined == []
        async with asyncio.timeout(2):  # sooner than the 5 s after which it would hang up
            while server._host.waiting or server._partings:
                await asyncio.sleep(0.01)


def names_of(findings: dict[str, Finding], mark: Mark) -> set[str]:
    return {check for check, finding in findings.items() if finding.mark is mark}


async def test_this_machine_can_play() -> None:
    report, found = await examine(None)
    assert found["webrtc"].mark is Mark.OK, found["webrtc"]
    assert found["udp"].mark is Mark.OK
    assert found["package.aiortc"].facts["known"] is True
    assert report.rung is None


async def test_at_a_game_server_every_rung_is_open_and_nobody_is_disturbed() -> None:
    async with serving(relay=nc.Relay(port=0)) as server:
        report, found = await examine(server.url)
        assert report.ok
        assert report.rung == "direct"
        assert not names_of(found, Mark.FAILED) - {"address"}
        for rung in Rung:
            facts = found[f"rung.{rung}"].facts
            assert 0 < facts["open_ms"] < 10_000  # type: ignore[operator]
            assert 0 < facts["rtt_ms"] < 450  # type: ignore[operator]
            assert facts["asked"] == (0 if rung is Rung.WEBSOCKET else 20)
            assert facts["lost"] == 0
        for way in ("udp", "tcp"):
            assert found[f"turn.{way}"].facts["echo_ms"] is not None
        assert found["stun"].facts["nat"] in ("none", "unknown")
        assert found["servers"].facts["credential_s"] == pytest.approx(86_400, abs=60)


async def test_without_a_relay_a_game_gets_through_and_it_is_said_who_will_not() -> None:
    async with serving(relay=None) as server:
        report, found = await examine(server.url)
        assert report.rung == "direct"
        assert names_of(found, Mark.FAILED) == {"servers", "rung.turn_udp"}
        assert "relay=None" in found["servers"].cause
        assert found["rung.turn_tcp"].mark is Mark.SKIPPED
        assert found["rung.websocket"].mark is Mark.OK


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # and never listens
        report, found = await examine(f"ws://127.0.0.1:{reserved.getsockname()[1]}")
    assert not report.ok
    assert found["tcp"].mark is Mark.FAILED
    assert "no server listens" in found["tcp"].cause
    assert "websocket" not in found


async def test_something_that_is_no_signaling_server() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n")
        writer.write(b"Date: Mon, 01 Jan 2024 00:00:00 GMT\r\nConnection: close\r\n\r\n")
        writer.close()

    web = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with web:
        report, found = await examine(f"ws://127.0.0.1:{web.sockets[0].getsockname()[1]}")
    assert not report.ok
    assert found["clock"].mark is Mark.FAILED
    assert found["websocket"].mark is Mark.FAILED
    assert "path" in found["websocket"].fix


async def test_signaling_without_a_game() -> None:
    async with SignalingServer() as signaling:
        report, found = await examine(f"ws://127.0.0.1:{signaling.port}", room="den")
    assert not report.ok
    assert found["room"].mark is Mark.OK
    assert found["game"].mark is Mark.FAILED
    assert "'den'" in found["game"].text
    assert not [check for check in found if check.startswith("rung.")]


async def test_a_token_that_is_missing_and_one_that_is_there() -> None:
    async with serving(relay=None, join_secret=SECRET) as server:
        report, found = await examine(server.url)
        assert not report.ok
        assert found["room"].facts["code"] == "token_missing"
        assert "--token" in found["room"].fix
        token = JoinSecret(SECRET).issue(name="Ada", room="game", lifetime=60, now=time.time())
        report, found = await examine(server.url, token=token)
        assert report.rung == "direct"


async def test_a_relay_with_another_secret() -> None:
    async with TurnServer(Credentials(TurnSecret("this is what the relay knows"))) as turn:
        wrong = TurnSecret("this is what the game knows").issue("ada", time.time())
        given = [turn.ice_server("127.0.0.1", wrong)]
        async with serving(relay=None, ice_servers=given) as server:
            report, found = await examine(server.url)
    assert report.rung == "direct"
    for way in ("udp", "tcp"):
        assert found[f"turn.{way}"].mark is Mark.FAILED
        assert "401" in found[f"turn.{way}"].text
        assert "secret" in found[f"turn.{way}"].cause
    assert found["rung.turn_udp"].mark is Mark.FAILED
    assert "(401)" in found["rung.turn_udp"].text
    assert found["stun"].mark is Mark.OK  # for that no credential is needed


async def test_a_credential_that_has_run_out() -> None:
    secret = TurnSecret("this is what both know")
    async with TurnServer(Credentials(secret)) as turn:
        old = secret.issue("ada", time.time() - 200_000)
        given = [turn.ice_server("127.0.0.1", old)]
        async with serving(relay=None, ice_servers=given) as server:
            _, found = await examine(server.url)
    assert found["servers"].mark is Mark.FAILED
    assert "clock" in found["servers"].cause


async def test_a_relay_that_is_not_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        given = [IceServer((f"turn:127.0.0.1:{deaf.getsockname()[1]}",), "ada", "password")]
        async with serving(relay=None, ice_servers=given) as server:
            report, found = await examine(server.url)
    assert report.rung == "direct"
    assert found["stun"].mark is Mark.FAILED
    assert found["turn.udp"].mark is Mark.FAILED
    assert "lets no UDP out" in found["turn.udp"].cause


async def test_a_certificate_of_ones_own_has_to_be_trusted(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "certificate.pem")
    server = nc.Server(GAME, relay=nc.Relay(port=0))
    await server.start(cert=certificate)
    async with server:
        report, found = await examine(server.url)
        assert not report.ok
        assert found["tls"].mark is Mark.FAILED
        assert "signed its certificate itself" in found["tls"].cause
        report, found = await examine(server.url, ca_file=str(certificate))
        assert report.rung == "direct"
        assert found["tls"].mark is Mark.OK
        assert "127.0.0.1" in found["tls"].facts["names"]  # type: ignore[operator]
        _, found = await examine(
            server.url.replace("127.0.0.1", "localhost"), ca_file=str(certificate)
        )
        assert "not for localhost" in found["tls"].cause


@pytest.mark.parametrize("url", ["localhost:8080", "http://localhost", "ws://", "ws://a:99999"])
async def test_what_is_no_url_is_said_at_once(url: str) -> None:
    with pytest.raises(nc.UsageError, match="looks like ws://localhost:8080"):
        await Examination().run(url)


def test_the_command_line_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "doctor" in capsys.readouterr().out
    assert main(["surgeon"]) == 2
    assert "no tool 'surgeon'" in capsys.readouterr().err
    assert main(["doctor", "localhost"]) == 2
    assert "ws://localhost:8080" in capsys.readouterr().err


async def test_the_program_prints_a_page_or_json_and_ends_with_the_verdict() -> None:
    async def run(*arguments: str) -> tuple[int | None, str]:
        program = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "netcode", "doctor", *arguments),
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(GUIDE.parents[1]), "PYTHONIOENCODING": "ascii"},
        )
        out, _ = await program.communicate()
        return program.returncode, out.decode("ascii")

    async with serving(relay=None) as server:
        code, page = await run(server.url)
        assert code == 0
        assert page.endswith("ok a game gets through, by direct\n")
        assert re.search(r"^  NO turn_udp +\S", page, re.M)
        code, told = await run(server.url, "--json", "--room", "elsewhere")
    report = json.loads(told)
    assert code == 1
    assert (report["version"], report["ok"], report["rung"]) == (1, False, None)
    assert report["url"] == server_url_of(report)


def server_url_of(report: dict[str, object]) -> str:
    """The url once more, from what was found of it."""
    findings = {f["check"]: f for f in report["findings"]}  # type: ignore[attr-defined]
    return f"ws://{findings['name']['facts']['host']}:{findings['tcp']['facts']['port']}"


async def test_the_guide_names_every_check() -> None:
    guide = GUIDE.read_text("utf-8")
    async with serving(relay=nc.Relay(port=0)) as server:
        report, _ = await examine(server.url)
    for finding in report.findings:
        assert f"`{finding.check}`" in guide, finding.check
