"""``python -m signaling`` as people run it."""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from signaling import Refused, SignalingClient, SignalingServer


async def started(*arguments: str) -> tuple[Process, str]:
    """Run the program; return it and the url that it says it listens on."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-m", "signaling", *arguments, stdout=PIPE, stderr=PIPE
    )
    assert program.stdout is not None
    async with asyncio.timeout(20):
        line = (await program.stdout.readline()).decode()
    match = re.match(r"signaling on (ws://\S+:\d+)", line)
    assert match, line + (await program.communicate())[1].decode()
    return program, match[1]


async def finished(program: Process) -> tuple[int | None, str]:
    """Return the exit status and what it wrote to stderr."""
    async with asyncio.timeout(10):
        _, complaints = await program.communicate()
    return program.returncode, complaints.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_two_clients_meet_through_it_and_it_ends_cleanly(number: signal.Signals) -> None:
    program, url = await started("--host", "127.0.0.1", "--port", "0", "--max-peers", "2")
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
        if program.returncode is None:
            program.kill()
            await program.communicate()


async def test_a_port_that_is_taken_is_one_line_and_not_a_traceback() -> None:
    async with SignalingServer() as server:
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "signaling", "--port", str(server.port), stdout=PIPE, stderr=PIPE
        )
        status, complaints = await finished(program)
        assert status == 1
        assert complaints.startswith(f"cannot serve on port {server.port}: ")
        assert complaints.count("\n") == 1
