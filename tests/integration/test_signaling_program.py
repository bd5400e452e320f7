"""``python -m signaling`` as people run it."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from signaling import ConnectionLost, Draining, Refused, SignalingClient, SignalingServer
from signaling.tls import client_context
from tests.integration.certificates import make_certificate

NO_SIGNALS = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows has no signals to send to a process"
)


async def started(*arguments: str) -> tuple[Process, str]:
    """Run the program; return it and the url that it says it listens on."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "signaling", *arguments, stdout=PIPE, stderr=PIPE
    )
    assert program.stdout is not None
    async with asyncio.timeout(20):
        line = (await program.stdout.readline()).decode()
    match = re.match(r"signaling on (wss?://\S+:\d+)", line)
    assert match, line + (await program.communicate())[1].decode()
    return program, match[1]


async def ran(*arguments: str) -> tuple[int | None, str, str]:
    """Run the program to its end; return its status and what it wrote to stdout and stderr."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "signaling", *arguments, stdout=PIPE, stderr=PIPE
    )
    async with asyncio.timeout(20):
        said, complaints = await program.communicate()
    return program.returncode, said.decode(), complaints.decode()


async def ended(program: Process) -> None:
    """Make sure that nothing is left of it."""
    if program.returncode is None:
        program.kill()
        await program.communicate()


async def finished(program: Process) -> tuple[int | None, str]:
    """Return the exit status and what it wrote to stderr."""
    async with asyncio.timeout(10):
        _, complaints = await program.communicate()
    return program.returncode, complaints.decode()


@NO_SIGNALS
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_two_clients_meet_through_it_and_it_ends_cleanly(number: signal.Signals) -> None:
    program, url = await started(
        "--host", "127.0.0.1", "--port", "0", "--max-peers", "2", "--drain-seconds", "0.2"
    )
    try:
        async with (
            await SignalingClient.connect(url, room="den", name="Ada") as ada,
            await SignalingClient.connect(url, room="den", name="Bob") as bob,
        ):
            assert bob.peers == {ada.id: "Ada"}
            with pytest.raises(Refused, match="full"):
                await SignalingClient.connect(url, room="den", name="Cyd")
            program.send_signal(number)
            assert await finished(program) == (0, "")
    finally:
        await ended(program)


@NO_SIGNALS
async def test_sigterm_drains_and_a_second_signal_ends_it_at_once() -> None:
    program, url = await started("--host", "127.0.0.1", "--port", "0", "--drain-seconds", "600")
    try:
        async with await SignalingClient.connect(url, room="den", name="Ada") as ada:
            program.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                assert await anext(ada) == Draining(600.0)
            with pytest.raises(Refused) as caught:
                await SignalingClient.connect(url, room="den", name="Bob")
            assert caught.value.code == "draining"
            program.send_signal(signal.SIGTERM)
            assert await finished(program) == (0, "")
            with pytest.raises(ConnectionLost, match="the server is stopping"):
                await anext(ada)
    finally:
        await ended(program)


@NO_SIGNALS
async def test_a_drained_program_ends_when_the_last_has_left() -> None:
    program, url = await started("--host", "127.0.0.1", "--port", "0", "--drain-seconds", "600")
    try:
        ada = await SignalingClient.connect(url, room="den", name="Ada")
        program.send_signal(signal.SIGTERM)
        async with asyncio.timeout(5):
            assert await anext(ada) == Draining(600.0)
        await ada.close()
        assert await finished(program) == (0, "")
    finally:
        await ended(program)


async def test_a_token_made_by_the_command_opens_its_room_over_tls(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret that the back end knows\n")
    cert = make_certificate(tmp_path / "cert.pem", key=tmp_path / "key.pem")
    options = ["--join-secret-file", secret, "--cert", cert, "--key", tmp_path / "key.pem"]
    program, url = await started("--host", "127.0.0.1", "--port", "0", *map(str, options))
    try:
        assert url.startswith("wss://")
        status, token, complaints = await ran(
            "token", "--secret-file", str(secret), "--room", "den", "--name", "Ada"
        )
        assert (status, complaints) == (0, "")
        trusting = client_context(cert)
        async with await SignalingClient.connect(
            url, room="den", name="x", token=token.strip(), ssl=trusting
        ):
            pass
        with pytest.raises(Refused) as caught:
            await SignalingClient.connect(url, room="den", name="Bob", ssl=trusting)
        assert caught.value.code == "token_missing"
    finally:
        await ended(program)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--key", "key.pem"], "--key belongs to a --cert"),
        (["--cert", "missing.pem"], "the certificate missing.pem cannot be used"),
        (["--join-secret-file", "missing"], "the secret in missing cannot be read"),
        (["--trust-proxy", "example.org"], "'example.org' is no address of a proxy"),
        (["--drain-seconds", "-1"], "--drain-seconds is 0 to 86400"),
        (["--drain-seconds", "nan"], "--drain-seconds is 0 to 86400"),
        (["token", "--secret-file", "missing", "--room", "r", "--name", "n"], "the secret in"),
    ],
    ids=str,
)
async def test_a_wrong_option_is_one_line_and_not_a_traceback(
    arguments: list[str], says: str
) -> None:
    status, _, complaints = await ran(*arguments)
    assert status == 1
    assert says in complaints
    assert complaints.count("\n") == 1


async def test_a_port_that_is_taken_is_one_line_and_not_a_traceback() -> None:
    async with SignalingServer() as server:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signaling", "--port", str(server.port), stdout=PIPE, stderr=PIPE
        )
        status, complaints = await finished(program)
        assert status == 1
        assert complaints.startswith(f"cannot serve on port {server.port}: ")
        assert complaints.count("\n") == 1
