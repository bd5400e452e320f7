"""A virtual cable: two hosts of their own on one Linux machine, with bad weather between them.

Each host is a network namespace with one TAP device; a program of its own holds both devices and
passes frames from one to the other when `LinkModel` says that they arrive. Whatever runs in the
two namespaces uses the kernel's real TCP and UDP over it.

The namespaces have no name: they belong to processes that end when their input does, so nothing
is left behind however the benchmark ends. Root is not needed where the kernel lets users have
namespaces.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import shutil
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from netcode.transports.link_model import Conditions, LinkModel

ADDRESSES = ("10.77.0.1", "10.77.0.2")
"""IPv4 addresses of the two hosts."""

HARDWARE_ADDRESSES = ("02:00:00:00:77:01", "02:00:00:00:77:02")
"""Locally administered. Each host knows the other's, so that no ARP crosses the cable."""

MTU = 1_500
ETHERNET_HEADER = 14
IPV4_TYPE = b"\x08\x00"

MAX_HELD = 20_000
"""Frames on the cable at most, in both directions together: 30 MB. More are lost."""

READ_BATCH = 64
"""Frames read from one device before the other one, and what is due, get their turn."""

SETUP_TIMEOUT = 20.0
"""Seconds that the commands around the cable may take on a busy machine."""

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF = 0x400454CA  # linux/if_tun.h
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000

RESTART = "restart"
"""The only word that the cable's program understands, once it runs."""

ROOT = Path(__file__).parents[1]
PROGRAMS = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux"}
"""Programs needed, and the Debian packages that have them."""


class CableError(Exception):
    """The cable could not be laid. `unavailable` tells beforehand whether it ever can."""


@dataclass(frozen=True, slots=True)
class CableStats:
    """What the cable did, to judge whether the figures measured over it can be trusted."""

    carried: tuple[int, int]
    """Frames that arrived, forth and back."""
    lost: tuple[int, int]
    """Frames that the weather lost, forth and back."""
    late_p99_ms: float
    """How much later than planned the cable handed frames over: its own error, 99th percentile."""


# -- the side of the benchmark ---------------------------------------------------------------


def unavailable() -> str | None:
    """Return why there can be no cable on this machine, or None if there can."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    for program, package in PROGRAMS.items():
        if _find(program) is None:
            return f"the program {program} is missing (Debian package {package})"
    if not Path(TUN_DEVICE).exists():
        return f"{TUN_DEVICE} is missing (kernel module tun)"
    reason = _entry()
    return reason if isinstance(reason, str) else None


class Cable:
    """A cable between host 0 and host 1; a context manager.

    ``forth`` is the weather from host 0 to host 1, ``back`` the other way. ``seed`` decides all
    chance. Raises `CableError` on entering where `unavailable` has a reason.
    """

    def __init__(self, forth: Conditions, back: Conditions, *, seed: int) -> None:
        self._setup = {"forth": asdict(forth), "back": asdict(back), "seed": seed}
        self.stats: CableStats | None = None
        """What the cable did; known after it was closed."""
        self._program: subprocess.Popen[str] | None = None
        self._hosts: tuple[int, int] = (0, 0)

    def __enter__(self) -> Cable:
        if reason := unavailable():
            raise CableError(reason)
        self._program = subprocess.Popen(
            [*_unshare(), sys.executable, "-m", "benchmarks.cable"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._program.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._program.stdin.write(json.dumps(self._setup) + "\n")
            self._program.stdin.flush()
        answer = self._read()
        if "hosts" not in answer:
            self.close()
            raise CableError(f"the cable could not be laid: {answer.get('error', 'it ended')}")
        self._hosts = tuple(answer["hosts"])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def restart_traces(self) -> None:
        """Begin recorded traces again, so that every measurement sees the same part of them."""
        assert self._program is not None
        assert self._program.stdin is not None
        self._program.stdin.write(RESTART + "\n")
        self._program.stdin.flush()

    def command(self, host: int, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs ``argv`` on host 0 or 1."""
        _, nsenter = _needs_entry()
        return [*nsenter, f"--target={self._hosts[host]}", "--", *argv]

    def close(self) -> None:
        """Cut the cable and remove both hosts, with all their sockets. Idempotent."""
        program, self._program = self._program, None
        if program is None:
            return
        try:
            # Closes the program's input, which is its sign to end.
            output, _ = program.communicate(timeout=SETUP_TIMEOUT)
        except subprocess.TimeoutExpired:
            program.kill()
            program.communicate()
            return
        with contextlib.suppress(ValueError):  # It says nothing if it was interrupted.
            done = json.loads(output)
            self.stats = CableStats(
                tuple(done["carried"]), tuple(done["lost"]), done["late_p99_ms"]
            )

    def _read(self) -> dict[str, Any]:
        assert self._program is not None
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        return dict(json.loads(line)) if line else {}


def _find(program: str) -> str | None:
    """Find a program also where only root's PATH looks."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return shutil.which(program, path=path)


def _tool(program: str) -> str:
    return _find(program) or program


Entry = tuple[list[str], list[str]]
"""How to make a namespace (unshare …) and how to enter one (nsenter …)."""


@cache
def _entry() -> Entry | str:
    """Try out how namespaces can be had here; a text says why they cannot."""
    probe = [_tool("ip"), "tuntap", "add", "dev", "probe", "mode", "tap"]
    as_root: Entry = ([_tool("unshare"), "--net"], [_tool("nsenter"), "--net"])
    as_user: Entry = (
        [_tool("unshare"), "--user", "--map-root-user", "--net"],
        [_tool("nsenter"), "--user", "--preserve-credentials", "--net"],
    )
    complaint = ""
    for entry in (as_root, as_user) if os.geteuid() == 0 else (as_user,):
        tried = subprocess.run(
            [*entry[0], *probe], capture_output=True, text=True, timeout=SETUP_TIMEOUT
        )
        if tried.returncode == 0:
            return entry
        complaint = tried.stderr.strip()
    return f"this user may not make network namespaces with TAP devices ({complaint})"


def _needs_entry() -> Entry:
    entry = _entry()
    if isinstance(entry, str):
        raise CableError(entry)
    return entry


def _unshare() -> list[str]:
    return _needs_entry()[0]


# -- the side of the cable's own program -----------------------------------------------------


class _Host:
    """A namespace, kept by a process that ends when this one does, and its TAP device."""

    def __init__(self, index: int) -> None:
        # Writes a line once it is in its namespace, then waits for the end of its input.
        self._keeper = subprocess.Popen(
            [_tool("unshare"), "--net", "sh", "-c", "echo ready; exec cat >/dev/null"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        self._keeper.stdout.readline()
        self.pid = self._keeper.pid
        self.tap = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        name = f"cable{index}"
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TAP | IFF_NO_PI))
        # The device goes into the host's namespace, its file descriptor stays here.
        _run("ip", "link", "set", name, "netns", str(self.pid))
        other = 1 - index
        inside = f"""
            link set lo up
            link set {name} address {HARDWARE_ADDRESSES[index]} mtu {MTU} multicast off
            link set {name} addrgenmode none
            addr add {ADDRESSES[index]}/24 dev {name}
            link set {name} up
            neigh add {ADDRESSES[other]} lladdr {HARDWARE_ADDRESSES[other]} dev {name} nud permanent
        """
        for line in inside.strip().splitlines():
            _run("nsenter", "--net", f"--target={self.pid}", _tool("ip"), *line.split())

    def close(self) -> None:
        os.close(self.tap)
        self._keeper.communicate()


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run(
        [_tool(program), *arguments], capture_output=True, text=True, timeout=SETUP_TIMEOUT
    )
    if done.returncode != 0:
        raise CableError(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")


class _Pump:
    """Passes frames between two TAP devices until its input ends.

    A loop of its own instead of asyncio: ``select`` sleeps to the microsecond, where asyncio's
    ``epoll`` rounds up to the next millisecond, on each of many thousand frames.
    """

    def __init__(self, taps: tuple[int, int], models: tuple[LinkModel, LinkModel]) -> None:
        self._taps = taps
        self._models = models
        self._held: list[tuple[float, int, int, bytes]] = []
        self._number = 0
        self._lateness: deque[float] = deque(maxlen=100_000)
        self._carried = [0, 0]
        self._lost = [0, 0]

    def run(self, control: int) -> CableStats:
        """Return at the end of ``control``; whatever it says before restarts the traces."""
        while True:
            timeout = None
            if self._held:
                timeout = max(0.0, self._held[0][0] - time.monotonic())
            readable, _, _ = select.select((*self._taps, control), (), (), timeout)
            self._deliver_due()
            for direction, tap in enumerate(self._taps):
                if tap in readable:
                    self._take_in(direction, tap)
            if control in readable:
                if not os.read(control, 4_096):
                    return self._stats()
                for model in self._models:
                    model.restart_trace(time.monotonic())

    def _take_in(self, direction: int, tap: int) -> None:
        for _ in range(READ_BATCH):
            try:
                frame = os.read(tap, MTU + ETHERNET_HEADER)
            except BlockingIOError:
                return
            if frame[12:14] != IPV4_TYPE:
                continue
            now = time.monotonic()
            arrivals = self._models[direction].plan(now, len(frame) - ETHERNET_HEADER)
            if not arrivals or len(self._held) >= MAX_HELD:
                self._lost[direction] += 1
                continue
            self._carried[direction] += 1
            for arrival in arrivals:
                self._number += 1
                heapq.heappush(self._held, (arrival, self._number, 1 - direction, frame))
            # What is due at once must not wait for the rest of the batch.
            self._deliver_due()

    def _deliver_due(self) -> None:
        while self._held and self._held[0][0] <= (now := time.monotonic()):
            due, _, host, frame = heapq.heappop(self._held)
            self._lateness.append(now - due)
            # A device that its host has shut, or whose queue is full, loses the frame.
            with contextlib.suppress(OSError):
                os.write(self._taps[host], frame)

    def _stats(self) -> CableStats:
        late = sorted(self._lateness)
        p99 = late[int(len(late) * 0.99)] if late else 0.0
        return CableStats(
            (self._carried[0], self._carried[1]), (self._lost[0], self._lost[1]), p99 * 1000
        )


def _conditions(fields: dict[str, Any]) -> Conditions:
    trace = fields.pop("trace")
    return Conditions(trace=None if trace is None else tuple(trace), **fields)


def main() -> None:
    """Be the cable: read the weather, say which processes are the hosts, carry frames until the
    input ends, say what was done."""
    setup = json.loads(_first_line(sys.stdin.fileno()))
    hosts: list[_Host] = []
    try:
        try:
            for index in (0, 1):
                hosts.append(_Host(index))
        except (CableError, OSError, subprocess.TimeoutExpired) as error:
            print(json.dumps({"error": str(error)}), flush=True)
            return
        # The recorded traffic of both directions begins at the same moment.
        start = time.monotonic()
        forth, back = (
            LinkModel(_conditions(setup[way]), random.Random(f"{setup['seed']} {way}"), start=start)
            for way in ("forth", "back")
        )
        pump = _Pump((hosts[0].tap, hosts[1].tap), (forth, back))
        print(json.dumps({"hosts": [host.pid for host in hosts]}), flush=True)
        print(json.dumps(asdict(pump.run(sys.stdin.fileno()))), flush=True)
    finally:
        for host in hosts:
            host.close()


def _first_line(descriptor: int) -> bytes:
    """Read a line without a buffer, which would hide the end of the input from ``select``."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(descriptor, 65_536)
        if not piece:
            raise SystemExit("the cable was told nothing")
        line += piece
    return line


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
