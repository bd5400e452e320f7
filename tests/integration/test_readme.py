"""The README's programs, as they are printed: they run, and they pass ``mypy --strict``."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import ROOT, Child, children

README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = {
    match[2]: match[1]
    for match in re.finditer(r"```python\n(# (\w+\.py).*?)```", README, re.DOTALL)
}

PLAY_FOR_A_WHILE = """
import runpy, sys, threading
import pygame
quit_event = pygame.event.Event(pygame.QUIT)
timer = threading.Timer(4.0, lambda: pygame.event.post(quit_event))
timer.daemon = True
timer.start()
set_caption = pygame.display.set_caption
pygame.display.set_caption = lambda text: (print("caption", text, flush=True), set_caption(text))
flip = pygame.display.flip
frames = 0
def counted_flip():
    global frames
    frames += 1
    flip()
pygame.display.flip = counted_flip
runpy.run_path("client.py", run_name="__main__")
print("frames", frames, flush=True)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The README's programs as files; only the ports differ, so that tests can share a machine."""
    game_port, mesh_port = free_port(), free_port()
    for name, text in PROGRAMS.items():
        text = text.replace("8080", str(game_port)).replace("9000", str(mesh_port))
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "mesh_port").write_text(str(mesh_port))
    return tmp_path


def test_the_four_programs_are_there_and_equal_the_examples() -> None:
    assert set(PROGRAMS) == {"game.py", "server.py", "client.py", "mesh.py"}
    for name, text in PROGRAMS.items():
        assert (ROOT / "examples" / name).read_text(encoding="utf-8") == text


def test_they_pass_strict_type_checking(programs: Path) -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *PROGRAMS],
        cwd=programs,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_game_runs_with_two_players(programs: Path) -> None:
    pytest.importorskip("pygame", reason="needs the extra demo: pip install 'netcode[demo]'")
    with children() as started:
        server = Child("server.py", cwd=programs)
        started.append(server)
        server.wait_for("serving")
        players = [
            Child("-c", PLAY_FOR_A_WHILE, cwd=programs, SDL_VIDEODRIVER="dummy") for _ in range(2)
        ]
        started.extend(players)
        for player in players:
            player.wait_for("caption Ada: hello")
            frames = int(player.wait_for("frames").split()[1])
            assert frames > 60
            assert player.wait() == 0


def test_the_stepped_game_of_the_readme_holds(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stepped,) = re.findall(r"```python\n(game = nc\.testing.*?)```", README, re.DOTALL)
    monkeypatch.syspath_prepend(str(programs))
    names: dict[str, object] = {}
    exec((programs / "game.py").read_text(encoding="utf-8"), names)
    # The server's part of the game, in one line.
    joining = "game.server.on_join(lambda p: p.control(game.server.world.spawn(Ship)))\n"
    first, rest = stepped.split("\n", 1)
    exec(f"{first}\n{joining}{rest}", names)


def test_the_mesh_says_hello(programs: Path) -> None:
    with children() as started:
        port = (programs / "mesh_port").read_text()
        signaling = Child("-m", "signaling", "--port", port, "--host", "127.0.0.1", cwd=programs)
        started.append(signaling)
        signaling.wait_for(port)
        peers = [Child("mesh.py", cwd=programs) for _ in range(2)]
        started.extend(peers)
        for peer in peers:
            peer.wait_for("Ada says hello")
            assert peer.wait() == 0
