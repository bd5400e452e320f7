"""``python -m signaling turn`` as people run it."""

import asyncio
import contextlib
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.turn.program import main
from tests.integration.certificates import make_certificate
from tests.integration.turn_lab import HOST, SECRET, Caller, close, exchange, ice_server


@contextlib.asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[tuple[Process, list[str]]]:
    """Run it; yield it and what it has said until it listened."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "signaling", "turn", *arguments,
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(20):
            while not (said and said[-1].startswith("turn on port")):
                line = await process.stdout.readline()
                assert line, (said, (await process.communicate())[1].decode())
                said.append(line.decode().rstrip())
        yield process, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def meet(port: str, secret: str) -> None:
    """Let two callers talk by this relay."""
    url = f"turn:{HOST}:{port}"
    ada, bob = (Caller(ice_server(url, secret=secret, name=name)) for name in ("ada", "bob"))
    await ada.pc.setRemoteDescription(await bob.answer(await ada.offer()))
    await exchange(ada, bob, [b"hello"])
    await close(ada, bob)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_two_callers_meet_through_it_and_it_ends_cleanly(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    certificate = str(make_certificate(tmp_path / "certificate.pem"))
    async with program(
        "--host", HOST, "--port", "0", "--secret-file", str(tmp_path / "secret"),
        "--cert", certificate, "--tls-port", "0",
    ) as (process, said):  # fmt: skip
        match = re.fullmatch(
            r"turn on port (\d+) \(UDP, TCP\), TLS port \d+, on 127\.0\.0\.1 \(Ctrl-C ends it\)",
            said[0],
        )
        assert match, said
        await meet(match[1], SECRET)
        process.send_signal(number)
        async with asyncio.timeout(10):
            _, complaints = await process.communicate()
        assert (process.returncode, complaints.decode()) == (0, "")


async def test_without_a_secret_one_is_made_up_and_shown() -> None:
    async with program("--host", HOST, "--port", "0") as (_, said):
        secret = said[0].removeprefix("secret for this run: ")
        await meet(said[1].split()[3], secret)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--secret", "a", "--secret-file", "b"], "not both"),
        (["--secret-file", "/no/such/file"], "No such file"),
        (["--user", "nobody"], "NAME:PASSWORD"),
        (["--key", "k", "--secret", "s"], "--cert"),
        (["--allow-peer", "home", "--secret", "s"], "'home'"),
        (["--host", "localhost", "--secret", "s"], "no IP address"),
        (["--min-port", "9", "--max-port", "5", "--secret", "s"], "ports"),
        (["--max-allocations", "0", "--secret", "s"], "max_allocations"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_not_a_traceback(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("cannot relay: ")
    assert complaint in said
    assert said.count("\n") == 1
