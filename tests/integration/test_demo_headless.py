"""The demo for real: server, bots and player in processes of their own, joined by WebRTC."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TIMEOUT = 90.0
"""Seconds for anything here: processes start slowly on a busy machine."""
WITHOUT_PYGAME = (
    "import sys; sys.modules['pygame'] = None; "
    "from demo_game.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: reads /proc")
KEEP = """
import sys, time
from demo_game.local_game import LocalGame
local = LocalGame(bots=2, bot_processes=2)
local.invite_bots()
while len(local.bots) < 2 or not all(bot.latest("joined") for bot in local.bots):
    time.sleep(0.05)
print(local.host.pid, *(bot.pid for bot in local.bots), flush=True)
time.sleep(600)
"""


def demo(*line: str, timeout: float = TIMEOUT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "demo_game", *line],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
    )


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"  # ended, and nobody has asked how


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


@contextlib.contextmanager
def running(command: list[str], **options: object) -> Iterator["subprocess.Popen[str]"]:
    process: subprocess.Popen[str] = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, **options
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def fact(process: "subprocess.Popen[str]", key: str) -> object:
    """The next value that a managed process tells under this key."""
    assert process.stdout is not None
    for line in process.stdout:
        told = json.loads(line)
        if key in told:
            return told[key]
    raise AssertionError(f"the process ended without telling {key!r}")


def test_a_whole_game_without_a_screen(tmp_path: Path) -> None:
    pygame = pytest.importorskip("pygame", reason="needs pygame: pip install 'netcode[demo]'")
    picture, report = tmp_path / "picture.png", tmp_path / "report.json"
    result = demo(
        *("--headless", "--seconds", "5", "--bots", "2", "--conditions", "lan"),
        *("--screenshot", str(picture), "--report", str(report)),
    )
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(report.read_text())
    assert told["players"] == 3
    assert 150 < told["ticks"] < 400
    assert 10 < told["broadcast_hz"] < 25
    assert 200 < told["bytes_per_second_per_client"] < 20_000
    assert told["entities"] > 200
    assert 1 <= told["rtt_ms_p50"] < 500
    voice = told["voice"]
    assert voice["packets_in"] > 50, "everybody has hummed"
    assert 0 <= voice["heard"] <= 2
    assert bool(voice["heard"]) == (voice["loudest_db"] > -60), "and what was said to be heard was"
    clients = told["clients"]
    assert [client["name"] for client in clients] == ["Ada", "Vega", "Rigel"]
    assert {client["transport"] for client in clients} == {"webrtc"}
    pids = {told["server"]["pid"], *(client["pid"] for client in clients)}
    assert len(pids) == 4, "every part is a process of its own"
    if sys.platform == "linux":
        assert not any(is_running(pid) for pid in pids)

    image = pygame.image.load(picture)
    assert image.get_size() == (1280, 720)
    colours = {tuple(image.get_at((x, y))) for x in range(0, 1280, 8) for y in range(0, 720, 8)}
    assert len(colours) > 500, "a picture of something"


def test_server_and_bots_play_without_pygame() -> None:
    pipes = {"stdin": subprocess.PIPE}
    start = [sys.executable, "-c", WITHOUT_PYGAME]
    serve = [*start, "host", "--port", "0", "--address", "127.0.0.1", "--managed"]
    with running(serve, **pipes) as host:
        url = str(fact(host, "url"))
        with running([*start, "bots", url, "-n", "2", "--managed"], **pipes) as bots:
            joined = [fact(bots, "joined") for _ in range(2)]
            assert {one["name"] for one in joined} == {"Vega", "Rigel"}
            assert {one["pid"] for one in joined} == {bots.pid}
            until(lambda: fact(host, "status")["players"] == 2, "the server counts both")
            for process in (bots, host):
                process.stdin.close()
                assert process.wait(TIMEOUT) == 0


def test_the_window_says_what_to_install_where_pygame_is_missing() -> None:
    code = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda n: None if n == 'pygame' else find(n); " + WITHOUT_PYGAME
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT
    )
    assert result.returncode == 1
    assert 'pip install "netcode[demo]"' in result.stderr


def test_bots_say_why_they_cannot_join() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and not listening
        result = demo("bots", f"ws://127.0.0.1:{closed.getsockname()[1]}", "-n", "2")
    assert result.returncode == 1
    assert "cannot join" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_server_says_that_its_port_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = demo("host", "--address", "127.0.0.1", "--port", str(port))
    assert result.returncode == 1
    assert "cannot open" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


@LINUX
def test_a_killed_parent_leaves_nothing_behind() -> None:
    with running([sys.executable, "-c", KEEP]) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(is_running(pid) for pid in pids)
        parent.kill()
        until(lambda: not any(is_running(pid) for pid in pids), "server and bots have ended")


@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_the_terminal_ends_everything(number: signal.Signals) -> None:
    pytest.importorskip("pygame", reason="needs pygame: pip install 'netcode[demo]'")
    environment = {**os.environ, "SDL_VIDEODRIVER": "dummy"}
    command = [sys.executable, "-m", "demo_game", "--bots", "1"]
    with running(command, env=environment, start_new_session=True) as window:
        listing = Path(f"/proc/{window.pid}/task/{window.pid}/children")
        children: list[int] = []

        def both_started() -> bool:
            found = [int(word) for word in listing.read_text().split()] if listing.exists() else []
            children[:] = {*children, *found}
            return len(children) >= 2

        until(both_started, "server and bots have started")
        os.killpg(window.pid, number)
        code = window.wait(TIMEOUT)
        assert code == (0 if number == signal.SIGINT else 128 + number)
        until(lambda: not any(is_running(pid) for pid in children), "server and bots have ended")
