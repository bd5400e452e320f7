"""Child processes for integration tests: started, listened to line by line, always ended."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 30.0


class Child:
    """A program, Python unless told otherwise, whose output is read as it comes."""

    def __init__(
        self,
        *arguments: str,
        program: Sequence[str] = (sys.executable, "-u"),
        cwd: Path | None = None,
        **environment: str,
    ) -> None:
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=cwd,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PYTHONWARNINGS": "error::ResourceWarning",
                **environment,
            },
        )
        self.output: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, timeout: float = START_TIMEOUT) -> str:
        """The next line of output that holds ``text``."""
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no {text!r} in the output:\n" + "\n".join(self.output))
            if text in line:
                return line

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def wait(self, timeout: float = START_TIMEOUT) -> int:
        return self.process.wait(timeout)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


@contextlib.contextmanager
def children() -> Iterator[list[Child]]:
    """A list for children; all of them have ended when the block is left."""
    started: list[Child] = []
    try:
        yield started
    finally:
        for child in reversed(started):
            child.end()
