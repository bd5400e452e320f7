"""An event loop whose time is made up: what would wait is done at once, and always alike."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Instant(selectors.SelectSelector):
    """Turns the clock on instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "nothing will ever happen: the test waits for nothing"
            self.now += timeout
        return ready


class ManualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._instant = _Instant()
        super().__init__(self._instant)

    def time(self) -> float:
        return self._instant.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; no task may be left then."""
    loop = ManualLoop()
    try:
        result = loop.run_until_complete(work)
        assert asyncio.all_tasks(loop) == set()
        return result
    finally:
        loop.close()
