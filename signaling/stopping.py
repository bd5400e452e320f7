"""How a server's process is told to end: at once, or when those who are there have finished."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self


class Signals:
    """Hears signals for the running event loop: ``with Signals() as told: await told.stop.wait()``.

    SIGTERM, which service managers send, sets ``drain``. SIGINT (Ctrl-C), and whatever comes after
    the first SIGTERM, sets ``stop``. Off the main thread, where Python hears none, nothing happens.
    """

    def __init__(self) -> None:
        self.drain = asyncio.Event()
        """Set: let nobody in any more, and end when those who are there have finished."""
        self.stop = asyncio.Event()
        """Set: end at once."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.getsignal(number)
            try:
                loop.add_signal_handler(number, self._heard, number)
            except NotImplementedError:  # Windows
                signal.signal(
                    number, lambda number, _: loop.call_soon_threadsafe(self._heard, number)
                )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for number, before in self._before.items():
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            if before is not None:  # one that Python does not know
                signal.signal(number, before)

    def _heard(self, number: int) -> None:
        if number == signal.SIGTERM and not self.drain.is_set():
            self.drain.set()
        else:
            self.stop.set()


async def first_of(*work: Coroutine[Any, Any, object]) -> None:
    """Return when the first of these is over; the others have then been cancelled, and have ended.

    Raises what the first one raised. Cancelling it cancels all of them.
    """
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
