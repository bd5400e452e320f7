"""A line that takes its time: what comes out of one network interface goes into another.

``netlab_line.py NAME NAME DELAY JITTER LOSS SEED`` makes two TAP devices, says ``ready``, and
passes frames on after DELAY seconds (one way, normally distributed with deviation JITTER), except
for a share LOSS of them. Nothing overtakes: what is behind a late frame is late as well.
"""

import asyncio
import fcntl
import json
import os
import random
import struct
import sys
from collections import deque

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x4004_54CA, 0x0002, 0x1000
FRAME = 2_048
MAX_HELD = 20_000
"""Frames on their way; beyond that the line drops them, as a full queue does."""


def open_tap(name: str) -> int:
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


class Direction:
    """One way through the line. One timer for all frames keeps them in order."""

    def __init__(
        self, source: int, target: int, delay: float, jitter: float, loss: float, seed: str
    ) -> None:
        self._source, self._target = source, target
        self._delay, self._jitter, self._loss = delay, jitter, loss
        self._random = random.Random(seed)
        self._held: deque[tuple[float, bytes]] = deque()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(source, self._read)

    def _read(self) -> None:
        now = self._loop.time()
        while True:
            try:
                frame = os.read(self._source, FRAME)
            except BlockingIOError:
                return
            except OSError:  # the interface is down: not up yet, or gone with its namespace
                return
            if self._random.random() < self._loss or len(self._held) >= MAX_HELD:
                continue
            due = now + max(0.0, self._random.gauss(self._delay, self._jitter))
            if not self._held:
                self._loop.call_at(due, self._write)
            else:
                due = max(due, self._held[-1][0])
            self._held.append((due, frame))

    def _write(self) -> None:
        now = self._loop.time()
        while self._held and self._held[0][0] <= now:
            _, frame = self._held.popleft()
            try:
                os.write(self._target, frame)
            except OSError:  # as above: a line into nowhere loses what it carries
                continue
        if self._held:
            self._loop.call_at(self._held[0][0], self._write)


async def main(here: str, there: str, *rest: str) -> None:
    delay, jitter, loss = map(float, rest[:3])
    taps = open_tap(here), open_tap(there)
    Direction(*taps, delay, jitter, loss, f"{rest[3]} there")
    Direction(*reversed(taps), delay, jitter, loss, f"{rest[3]} back")
    print(json.dumps({"event": "ready"}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
