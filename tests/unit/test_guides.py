"""The programs in the guides run as they are printed, and so do the tests in them."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import netcode as nc

DOCS = Path(__file__).parents[2] / "docs"
TESTING = DOCS / "testing-your-game.md"


def blocks(page: Path) -> list[str]:
    """The programs of a page, each behind so many empty lines that its own have their numbers."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"```python\n(.*?)```", text, re.DOTALL)
    return ["\n" * text.count("\n", 0, one.start(1)) + one[1] for one in found]


@cache
def names_of(page: Path) -> dict[str, object]:
    """What the blocks of a page define when they run one after the other."""
    names: dict[str, object] = {}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), names)
    return names


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_python_blocks_of_a_guide_run_one_after_the_other(page: Path) -> None:
    for value in names_of(page).values():
        if isinstance(value, nc.Server):
            assert value.world is not None


@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", "\n".join(blocks(TESTING)), re.M))
def test_a_test_of_the_guide_passes(name: str) -> None:
    test = names_of(TESTING)[name]
    assert isinstance(test, Callable)  # type: ignore[arg-type]
    test()


def test_the_guides_tests_pass_strict_type_checking(tmp_path: Path) -> None:
    program = tmp_path / "test_game.py"
    program.write_text("\n".join(blocks(TESTING)), encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(DOCS.parent)},
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
