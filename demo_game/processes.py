"""Child processes that tell what happens in JSON lines, and never outlive the one that made them.

A child is *managed*: it ends when its standard input does, which the system closes however the
parent ends, and it leaves Ctrl-C to the parent. Nothing here imports pygame.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any

END_SECONDS = 6.0
"""A child that was told to end has this long to say goodbye to its peers."""


def say(fact: dict[str, Any]) -> None:
    """Tell the parent something: one JSON object on one line of standard output."""
    with contextlib.suppress(BrokenPipeError):  # the parent is gone; standard input says so too
        print(json.dumps(fact), flush=True)


class Manager:
    """A managed process's view of its parent. Needs a running event loop."""

    def __init__(self, managed: bool) -> None:
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        if managed:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            threading.Thread(target=self._watch, args=(loop,), daemon=True).start()
        for number in (signal.SIGTERM,) if managed else (signal.SIGTERM, signal.SIGINT):
            # Windows' event loops take no signal handlers; Ctrl-C raises KeyboardInterrupt there.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, self._ended.set)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 64):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has closed already
            loop.call_soon_threadsafe(self._ended.set)

    @property
    def ended(self) -> bool:
        """Whether this process shall end."""
        return self._ended.is_set()

    async def ended_within(self, seconds: float) -> bool:
        """Wait at most so long; True as soon as this process shall end."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
        return self._ended.is_set()


class Child:
    """A part of the game in a process of its own: ``Child("host", "--port", "0")``."""

    def __init__(self, *arguments: str) -> None:
        self.name = arguments[0]
        self._told: dict[str, Any] = {}
        self._silent = False
        self._news = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "demo_game", *arguments, "--managed"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def latest(self, key: str) -> Any:
        """The newest value that the child told under this key, None if there is none."""
        with self._news:
            return self._told.get(key)

    def wait_for(self, key: str, timeout: float) -> Any:
        """Wait until the child has told this. None if it ends first, or takes too long."""
        with self._news:
            self._news.wait_for(lambda: key in self._told or self._silent, timeout)
            return self._told.get(key)

    def hang_up(self) -> None:
        """Tell the process to end, and do not wait for it."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def end(self) -> int:
        """End the process, kindly at first. Returns its exit code. Idempotent."""
        self.hang_up()
        for insist in (self._process.terminate, self._process.kill):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._process.wait(END_SECONDS)
            insist()
        return self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            try:
                fact = json.loads(line)
            except ValueError:
                sys.stderr.write(f"{self.name}: {line}")  # words for people
                continue
            if isinstance(fact, dict):
                with self._news:
                    self._told.update(fact)
                    self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()
