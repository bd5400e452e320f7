"""The programs in the guides run as they are printed."""

import re
from pathlib import Path

import pytest

import netcode as nc

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_python_blocks_of_a_guide_run_one_after_the_other(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    for value in names.values():
        if isinstance(value, nc.Server):
            assert value.world is not None
