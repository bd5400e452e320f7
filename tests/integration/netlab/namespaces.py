"""Network namespaces: made, set up with ``ip`` and ``nft``, and removed whatever happens.

A namespace is called ``netlab-PID-N`` after the process that has made it, so that laboratories of
several processes do not meet, and one can tell what a killed process has left behind.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.integration.netlab.programs import Program

PROGRAMS = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack"}
"""What the laboratory is built with, and the Debian packages that have it."""

NAME = re.compile(r"netlab-(\d+)-\d+")
TUN = "/dev/net/tun"
_numbers = itertools.count(1)


def run(*command: str, told: str | None = None) -> str:
    """Run a command, which is told something on its standard input; return what it says.

    Raises `RuntimeError` with its complaint if it fails.
    """
    done = subprocess.run(command, input=told, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{told or ''}")
    return done.stdout


class Namespace:
    """One machine of the laboratory: its interfaces, and the programs that run on it."""

    def __init__(self) -> None:
        self.name = f"netlab-{os.getpid()}-{next(_numbers)}"
        self._programs: list[Program] = []

    def run(self, script: str, *arguments: str) -> Program:
        """Start a Python program of tests/integration/programs here; it ends with the namespace."""
        return self.start(sys.executable, "-u", str(Program.FOLDER / script), *arguments)

    def start(self, *command: str) -> Program:
        """Start any program here."""
        program = Program(*self._inside(command))
        self._programs.append(program)
        return program

    def do(self, *command: str, told: str | None = None) -> str:
        """Run a command here to its end. Raises `RuntimeError` if it fails."""
        return run(*self._inside(command), told=told)

    def ip(self, *lines: str) -> None:
        """Set up interfaces, addresses and routes: each line as behind the command ``ip``."""
        run("ip", "-n", self.name, "-batch", "-", told="\n".join(lines) + "\n")

    def nft(self, rules: str) -> None:
        """Put rules in place, all at once."""
        self.do("nft", "-f", "-", told=rules)

    def set(self, **settings: int) -> None:
        """Set what the kernel lets one set: ``net__ipv4__ip_forward=1``."""
        for name, value in settings.items():
            path = Path("/proc/sys", *name.split("__"))
            self.do("tee", str(path), told=f"{value}\n")

    def end(self) -> None:
        """End the programs, and remove the namespace with all that is in it."""
        try:
            for program in reversed(self._programs):
                program.end()
        finally:
            _remove(self.name)

    def _inside(self, command: tuple[str, ...]) -> list[str]:
        # `ip netns exec` becomes the command: its process id is the program's.
        return ["ip", "netns", "exec", self.name, *command]


@contextlib.contextmanager
def namespace() -> Iterator[Namespace]:
    """A namespace with nothing but ``lo``; gone at the end, and what runs in it as well."""
    made = Namespace()
    try:
        run("ip", "netns", "add", made.name)
        made.ip("link set lo up")
        yield made
    finally:
        made.end()


def names() -> list[tuple[str, int]]:
    """Every laboratory's namespaces on this machine, with the process that has made each."""
    lines = run("ip", "netns", "list").splitlines()
    found = [NAME.fullmatch(line.split()[0]) for line in lines if line]
    return [(match[0], int(match[1])) for match in found if match is not None]


def remove_leftovers() -> None:
    """Remove what laboratories of processes that have been killed left behind."""
    for name, maker in names():
        if Path("/proc", str(maker)).exists():
            continue
        with contextlib.suppress(RuntimeError):  # another run may be just as tidy
            for inhabitant in run("ip", "netns", "pids", name).split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(inhabitant), signal.SIGKILL)
            run("ip", "netns", "del", name)


def needed() -> None:
    """Skip the test, saying what is missing, where no laboratory can be built."""
    reason = _missing()
    if reason is not None:
        pytest.skip(reason)


def needed_for_lines() -> None:
    """Skip the test where there is nothing that lines with a delay are made of."""
    if not os.access(TUN, os.R_OK | os.W_OK):
        pytest.skip(f"lines with a delay need {TUN}: load the kernel module tun")


@cache
def _missing() -> str | None:
    if sys.platform != "linux":
        return "the network laboratory needs Linux: it is made of network namespaces"
    if os.geteuid() != 0:  # first: others often do not have the programs in their PATH
        return f"the network laboratory needs root, and {', '.join(PROGRAMS.values())}: run as root"
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"needs {program}: install the Debian package {package}"
    try:
        with namespace() as trial:
            trial.nft(
                "table ip trial {\n chain c {\n type nat hook postrouting priority srcnat;\n"
                " masquerade fully-random\n }\n}\n"
            )
    except RuntimeError as error:
        return f"the network laboratory cannot be built here: {error}"
    return None


def _remove(name: str) -> None:
    if Path("/run/netns", name).exists():
        run("ip", "netns", "del", name)
