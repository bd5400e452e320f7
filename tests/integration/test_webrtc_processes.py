"""WebRTC transports in processes of their own, with and without a network."""

import asyncio
import json
import subprocess
import sys
import textwrap
from typing import Any

import pytest

PATIENCE = 10.0
"""Seconds for a process to start, connect and end."""

PEER = """
    import asyncio, json, sys
    from netcode.transports.base import Lane
    from netcode.transports.webrtc import WebRtcTransport

    def tell(**message):
        print(json.dumps(message), flush=True)

    async def hear():
        return json.loads(await asyncio.to_thread(sys.stdin.readline))

    async def main(role):
        transport = WebRtcTransport()
        received, closed, all_here = [], asyncio.Event(), asyncio.Event()

        def on_receive(lane, data):
            received.append([int(lane), data.decode()])
            if len(received) == len(Lane):
                all_here.set()

        if role == "offer":
            tell(sdp=await transport.offer())
            await transport.accept((await hear())["sdp"])
        else:
            tell(sdp=await transport.answer((await hear())["sdp"]))
        await transport.wait_open(5)
        transport.start(on_receive, lambda reason: (tell(closed=reason), closed.set()))
        for lane in Lane:
            transport.send(lane, f"{role} on {lane.name}".encode())
        await asyncio.wait_for(all_here.wait(), 5)
        await transport.drain(5)
        tell(received=sorted(received), path=transport.path())
        if role == "offer":
            await hear()
            transport.close()
        await asyncio.wait_for(closed.wait(), 5)
        transport.close()
        await transport.wait_closed()

    asyncio.run(main(sys.argv[1]))
"""

WITHOUT_NETWORK = """
    import asyncio, fcntl, socket, struct
    from netcode.transports.base import Lane
    from netcode.transports.webrtc import WebRtcTransport

    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))

    async def main():
        a, b = WebRtcTransport(), WebRtcTransport()
        await a.accept(await b.answer(await a.offer()))
        await asyncio.gather(a.wait_open(5), b.wait_open(5))
        received = asyncio.Future()
        b.start(lambda lane, data: received.set_result(data), lambda reason: None)
        a.send(Lane.RELIABLE, b"hello")
        assert await asyncio.wait_for(received, 5) == b"hello"
        print(a.path())
        for transport in (a, b):
            transport.close()
            await transport.wait_closed()

    asyncio.run(main())
"""


class Peer:
    """A child process that speaks JSON lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, role: str) -> "Peer":
        arguments = ["-W", "error", "-c", textwrap.dedent(PEER), role]
        pipe = asyncio.subprocess.PIPE
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, limit=1 << 20
            )
        )

    def tell(self, **message: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            _, complaints = await self.process.communicate()
            pytest.fail(f"the child ended: {complaints.decode()}")
        return dict(json.loads(line))

    async def end(self) -> tuple[int | None, str]:
        _, complaints = await self.process.communicate()
        return self.process.returncode, complaints.decode()


async def test_two_processes_meet_by_text_alone() -> None:
    async with asyncio.timeout(PATIENCE):
        a, b = await asyncio.gather(Peer.start("offer"), Peer.start("answer"))
        try:
            b.tell(sdp=(await a.hear())["sdp"])
            a.tell(sdp=(await b.hear())["sdp"])
            at_a, at_b = await a.hear(), await b.hear()
            assert len(at_a["received"]) == len(at_b["received"]) == 7
            assert at_a["received"][0] == [0, "answer on RELIABLE"]
            assert at_b["received"][6] == [6, "offer on EXPIRING_1000"]
            assert at_a["path"].startswith("host-")
            a.tell(please="close")
            assert (await a.hear())["closed"] == "closed"
            assert (await b.hear())["closed"] == "the other end closed the connection"
            assert await a.end() == (0, "")
            assert await b.end() == (0, "")
        finally:
            for peer in (a, b):
                if peer.process.returncode is None:
                    peer.process.kill()
                    await peer.process.wait()


@pytest.mark.needs("unshare", "util-linux")
def test_two_transports_meet_on_a_machine_without_network() -> None:
    """In a network namespace of its own, where nothing but ``lo`` exists."""
    namespace = ["unshare", "--user", "--map-root-user", "--net"]
    trial = subprocess.run([*namespace, "true"], capture_output=True, text=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"no network namespace can be made here: {trial.stderr.strip()}")
    child = subprocess.run(
        [*namespace, sys.executable, "-W", "error", "-c", textwrap.dedent(WITHOUT_NETWORK)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (child.returncode, child.stderr) == (0, "")
    assert child.stdout.strip() in ("host-host udp 127.0.0.1", "host-host udp ::1")
