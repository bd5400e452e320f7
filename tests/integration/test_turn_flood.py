"""A flood of those without credentials: memory stays bounded, and relayed players do not notice.

For a long run set NETCODE_FLOOD_SECONDS=30.
"""

import asyncio
import os
import random
import re
import socket
import sys
import time
from pathlib import Path

from signaling.turn.strangers import MAX_REMEMBERED
from tests.integration.test_turn import client
from tests.integration.turn_lab import HOST, PATIENCE, answers, echoes, relay

SECONDS = float(os.environ.get("NETCODE_FLOOD_SECONDS", "3"))
PER_SECOND = 4_000
EVERY = 0.02
"""Seconds between echoes of the player."""


def resident_kilobytes() -> int:
    """What this process has in memory now; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


async def test_a_flood_leaves_memory_bounded_and_players_undisturbed() -> None:
    async with (
        relay(allow=[HOST]) as server,
        echoes() as port,
        client(server) as (opened, received),
    ):
        opened.sendto(b"first", (HOST, port))
        await received.data.get()
        before = resident_kilobytes()
        program = Path(__file__).parent / "programs" / "flood.py"
        flood = await asyncio.create_subprocess_exec(
            sys.executable, str(program), str(server.port), str(SECONDS), str(PER_SECOND),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert flood.stdout is not None
        try:
            async with asyncio.timeout(PATIENCE):
                assert await flood.stdout.readline() == b"flooding\n"
            ended = asyncio.create_task(flood.stdout.read())
            delays, number = [], 0
            while not ended.done():
                sent = time.perf_counter()
                opened.sendto(b"%d" % number, (HOST, port))
                async with asyncio.timeout(PATIENCE):
                    data, _ = await received.data.get()
                assert data == b"%d" % number
                delays.append(time.perf_counter() - sent)
                number += 1
                await asyncio.wait([ended], timeout=EVERY)
            said = (await ended).decode().split()
        finally:
            if flood.returncode is None:
                flood.kill()
            await flood.wait()
        stats = server.stats
        grown = resident_kilobytes() - before
        delays.sort()
        print(
            f"\n{said[1]} packets in {SECONDS:g} s; memory grew by {grown} KiB; {number} echoes, "
            f"delay p50 {delays[number // 2] * 1000:.1f} ms, "
            f"p99 {delays[number * 99 // 100] * 1000:.1f} ms; {stats}"
        )
        assert int(said[1]) > PER_SECOND * SECONDS / 4
        assert len(server._relay.strangers) <= MAX_REMEMBERED
        assert server.allocations == 1
        assert grown < 8_192
        assert delays[number // 2] < 0.05


async def test_random_datagrams_do_not_take_it_down() -> None:
    rng = random.Random(7)
    async with relay(stranger_burst=1e6, challenge_rate=1e6) as server:
        for _ in range(2_000):
            await asyncio.sleep(0)
            with socket.socket(type=socket.SOCK_DGRAM) as stranger:
                stranger.setblocking(False)
                first = rng.choice([b"", b"\x00\x01", b"\x00\x03", b"\x40\x00", b"\x00\x16"])
                stranger.sendto(first + rng.randbytes(rng.randrange(200)), (HOST, server.port))
        for _ in range(50):
            _, writer = await asyncio.open_connection(HOST, server.port)
            writer.write(rng.choice([b"", b"\x40\x00\x00"]) + rng.randbytes(rng.randrange(200)))
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(PATIENCE):
            while not await answers(server.port):
                pass
