"""Programs in the laboratory: children of the test that say what happens, one JSON object a line.

What a program says has a name, ``{"event": "connected", "seconds": 0.6}``; whatever else it
prints, warnings and tracebacks, is kept for the message of a test that fails.
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.processes import Child


class Program(Child):
    """A program that is running somewhere in the laboratory."""

    FOLDER = Path(__file__).parents[1] / "programs"

    def __init__(self, *command: str) -> None:
        super().__init__(*command[1:], program=command[:1])

    def told(self, event: str, timeout: float = 20.0) -> dict[str, Any]:
        """Wait until the program tells of an event, and return what it says about it."""
        line = self.wait_for(f'{{"event": "{event}"', timeout)
        return dict(json.loads(line))

    def ask(self, question: str, event: str, timeout: float = 20.0) -> dict[str, Any]:
        """Say a line to the program, and wait for an event."""
        self.say(question)
        return self.told(event, timeout)

    def events(self, event: str) -> list[dict[str, Any]]:
        """All events of this name so far."""
        start = f'{{"event": "{event}"'
        return [json.loads(line) for line in list(self.output) if line.startswith(start)]


@contextlib.contextmanager
def must_work() -> Iterator[None]:
    """Around what comes before the test proper: what fails in it is never an expected failure."""
    try:
        yield
    except AssertionError as error:
        raise RuntimeError(f"the laboratory itself has failed: {error}") from error
