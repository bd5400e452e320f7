"""The command line, and which modules may import what."""

import ast
from pathlib import Path

import pytest

import demo_game
from demo_game.__main__ import arguments, main

HOUSE = Path(demo_game.__file__).parent
PURE = ("game", "simulation", "nursery", "collisions", "brain", "shots", "camera", "questions")
WITHOUT_PYGAME = (
    *PURE,
    *("host", "bots", "processes", "local_game", "inquiry", "spectator", "__main__"),
)


def imported_by(module: str) -> set[str]:
    """The modules that a module imports when it is imported itself."""
    names = set()
    for node in ast.parse((HOUSE / f"{module}.py").read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("module", PURE)
def test_the_rules_of_the_game_know_neither_screen_nor_network(module: str) -> None:
    forbidden = {"pygame", "asyncio", "socket", "time", "threading"}
    assert not {name.split(".")[0] for name in imported_by(module)} & forbidden


@pytest.mark.parametrize("module", WITHOUT_PYGAME)
def test_server_and_bots_need_no_pygame(module: str) -> None:
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        imports = imported_by(name)
        assert "pygame" not in imports, name
        own = {n.removeprefix("demo_game.") for n in imports if n.startswith("demo_game.")}
        waiting += [n for n in own if (HOUSE / f"{n}.py").exists() and n not in seen]


def test_the_parts_have_their_own_commands() -> None:
    assert arguments(["host", "--port", "0"]).port == 0
    assert arguments(["bots", "ws://a", "-n", "3"]).n == 3
    assert arguments(["join", "ws://a", "--name", "Ada", "--conditions", "4g"]).conditions == "4g"
    headless = arguments(["--headless", "--seconds", "3", "--bots", "2"])
    assert (headless.headless, headless.seconds, headless.bots) == (True, 3.0, 2)


@pytest.mark.parametrize(
    "line", [["join"], ["bots", "ws://a", "-n", "-1"], ["--conditions", "sunny"], ["dance"]]
)
def test_nonsense_ends_with_an_explanation(
    line: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        arguments(line)
    assert "usage:" in capsys.readouterr().err


def test_without_pygame_the_window_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main([]) == 1
    assert "netcode[demo]" in capsys.readouterr().err
