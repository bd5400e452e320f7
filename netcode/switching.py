"""How soon Python lets a waiting thread in, while a client has a thread of its own.

A thread that comes back from a system call waits for the one that runs Python now, and after the
*switch interval* asks it to step aside: 5 ms unless somebody sets another. A packet that arrives
while a frame is worked on pays that once on arrival, and again wherever the network's thread lets
go of the interpreter for a moment: to decrypt, to send, in some calls of numpy.
``python -m benchmarks busy_game`` measures what that costs.
"""

import sys
import threading

SWITCH_INTERVAL = 0.001 if sys.platform == "win32" else 0.0002
"""Seconds. Half of it gains nothing: what is left is that both threads share one interpreter.
Windows counts whole milliseconds here, and would not wait at all for less than one."""


class PromptSwitching:
    """A context manager that may be entered from any thread and any number of times: while anybody
    is inside, the process's switch interval is at most `SWITCH_INTERVAL`.

    It never raises the interval. What the program sets in the meantime stands, now and at the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 0.0
        self._ours = 0.0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            self._before = sys.getswitchinterval()
            if self._before > SWITCH_INTERVAL:
                sys.setswitchinterval(SWITCH_INTERVAL)
            self._ours = sys.getswitchinterval()  # in whole microseconds

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and sys.getswitchinterval() == self._ours:
                # Python cuts off what is below a microsecond, and would lose a whole one here.
                sys.setswitchinterval(self._before + 0.5e-6)


prompt_switching = PromptSwitching()
"""The interval belongs to the process, so there is one of this for all clients."""
