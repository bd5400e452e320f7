"""What does relaying cost? Packets of 1,000 bytes through our relay, and through coturn.

Each relay is a process of its own on loopback. A client binds a channel to a peer and sends to it;
both are in this process, which takes turns between the relays, so that whatever else the machine
does befalls all of them. Needs Linux, which says how much processor time a process has used; coturn
(Debian package ``coturn``) is left out where it is not installed.

- packets per second: with 32 packets on their way at any time, so that none is lost. The sender
  and the receiver cost something, too; the case "none" has no relay between them.
- processor time per packet: of the relay's process alone, at 2,000 packets a second, a server for
  a hundred players.

| case | what it is |
|---|---|
| none | from socket to socket |
| ours | ``python -m signaling turn`` |
| coturn | ``turnserver`` |
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

from aioice import stun

from benchmarks.report import Row
from signaling.credentials import Credential, TurnSecret, long_term_key

HOST = "127.0.0.1"
SECRET = "benchmark"
PACKET = b"\x40\x00" + (1_000).to_bytes(2, "big") + bytes(1_000)
ON_THEIR_WAY = 32
STEADY_RATE = 2_000
TURNS = 5
"""Each relay is measured so often; the median counts."""

UDP = 17 << 24
PATIENCE = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this question needs."""
    parser.add_argument("--seconds", type=float, help="of each measurement (2, quick: 0.3)")


def run(args: argparse.Namespace) -> list[Row]:
    """Measure, and return the rows."""
    seconds = args.seconds or (0.3 if args.quick else 2.0)
    with ExitStack() as stack:
        lines = {"none": _Line(stack, None)}
        commands = {"ours": _ours, "coturn": _coturn}
        if shutil.which("turnserver") is None:
            del commands["coturn"]
            print("coturn is not installed: apt-get install coturn", file=sys.stderr)
        for case, command in commands.items():
            lines[case] = _Line(stack, _started(stack, command))
        rates: dict[str, list[float]] = {case: [] for case in lines}
        costs: dict[str, list[float]] = {case: [] for case in commands}
        for _ in range(TURNS):
            for case, line in lines.items():
                rates[case].append(line.rate(seconds))
                if case in costs:
                    costs[case].append(line.cost(seconds))
    rows = [Row(case, "packets_per_second", median(got), "/s") for case, got in rates.items()]
    rows += [Row(case, "cpu_per_packet_us", median(got), "µs") for case, got in costs.items()]
    if "coturn" in commands:
        ratio = median(costs["ours"]) / median(costs["coturn"])
        rows.append(Row("ours/coturn", "cpu_per_packet", ratio, "x"))
    return rows


class _Line:
    """A client and a peer, with a relay between them if there is one."""

    def __init__(self, stack: ExitStack, relay: tuple[int, int] | None) -> None:
        self._process = relay and relay[0]
        self._peer, self._client = (
            stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)
        )
        for end in (self._peer, self._client):
            end.bind((HOST, 0))
            end.settimeout(PATIENCE)
        peer = self._peer.getsockname()
        if relay is None:
            self._client.connect(peer)
        else:
            self._client.connect((HOST, relay[1]))
            _bind_channel(self._client, TurnSecret(SECRET).issue("bench", time.time()), peer)

    def rate(self, seconds: float) -> float:
        """Return how many packets pass in a second."""
        for _ in range(ON_THEIR_WAY):
            self._client.send(PACKET)
        passed, began = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            self._peer.recv(2_000)
            self._client.send(PACKET)
            passed += 1
        for _ in range(ON_THEIR_WAY):
            self._peer.recv(2_000)
        return passed / elapsed

    def cost(self, seconds: float) -> float:
        """Return the microseconds of the relay's processor time for one packet."""
        assert self._process is not None  # it is asked of relays only
        before, passed, began = _processor_time(self._process), 0, time.perf_counter()
        while (elapsed := time.perf_counter() - began) < seconds:
            if passed > elapsed * STEADY_RATE:
                time.sleep(0.0005)
                continue
            self._client.send(PACKET)
            self._peer.recv(2_000)
            passed += 1
        return (_processor_time(self._process) - before) / passed * 1e6


def _ours(port: int, folder: str) -> list[str]:
    return [
        sys.executable, "-m", "signaling", "turn", "--host", HOST, "--port", str(port),
        "--secret", SECRET, "--allow-peer", HOST, "--bytes-per-second", "1e12",
    ]  # fmt: skip


def _coturn(port: int, folder: str) -> list[str]:
    return [
        "turnserver", "-n", "--no-cli", f"--listening-ip={HOST}", f"--listening-port={port}",
        f"--relay-ip={HOST}", "--use-auth-secret", f"--static-auth-secret={SECRET}",
        "--realm=example.org", "--allow-loopback-peers", "--no-tls", "--no-dtls",
        "--log-file=stdout", f"--pidfile={folder}/pid", f"--userdb={folder}/db",
    ]  # fmt: skip


def _started(stack: ExitStack, command: Callable[[int, str], Sequence[str]]) -> tuple[int, int]:
    """Start a relay; return the number of its process, and its port, once it answers."""
    with socket.socket(type=socket.SOCK_DGRAM) as free:
        free.bind((HOST, 0))
        port = int(free.getsockname()[1])
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    process = subprocess.Popen(
        command(port, folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    with socket.socket(type=socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        asking.connect((HOST, port))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and process.poll() is None:
            with suppress(TimeoutError, ConnectionRefusedError):
                _ask(asking, stun.Message(stun.Method.BINDING, stun.Class.REQUEST))
                return process.pid, port
            time.sleep(0.02)
    raise RuntimeError(f"this relay does not answer: {' '.join(command(port, folder))}")


def _bind_channel(client: socket.socket, who: Credential, peer: tuple[str, int]) -> None:
    """Get a relayed address, and bind channel 0x4000 to the peer."""
    allocate = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
    allocate.attributes["REQUESTED-TRANSPORT"] = UDP
    told = _ask(client, allocate).attributes
    key = long_term_key(who.username, told["REALM"], who.password)
    bind = stun.Message(stun.Method.CHANNEL_BIND, stun.Class.REQUEST)
    bind.attributes = {"CHANNEL-NUMBER": 0x4000, "XOR-PEER-ADDRESS": peer}
    for request in (stun.Message(allocate.message_method, allocate.message_class), bind):
        if request.message_method is stun.Method.ALLOCATE:
            request.attributes["REQUESTED-TRANSPORT"] = UDP
        request.attributes |= {
            "USERNAME": who.username, "REALM": told["REALM"], "NONCE": told["NONCE"],
        }  # fmt: skip
        request.add_message_integrity(key)
        answer = _ask(client, request)
        if answer.message_class is not stun.Class.RESPONSE:
            raise RuntimeError(f"the relay refuses: {answer}")


def _ask(client: socket.socket, request: stun.Message) -> stun.Message:
    client.send(bytes(request))
    return stun.parse_message(client.recv(2_000))


def _processor_time(process: int) -> float:
    """Return the seconds that all threads of a process have used, in user and in kernel mode."""
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
