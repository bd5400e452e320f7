"""One end of the latency question, as a process of its own on its own host.

``python -m benchmarks.latency_end sender|receiver CASE SECONDS`` speaks lines of JSON with the
process that started it: ``{"tell": text}`` for the other end, ``{"note": text}`` for people,
``{"ready": true}``, at last ``{"sent": true}`` or the receiver's ``{"arrivals": …}``, or at any
time ``{"failed": reason}``. It is told ``{"hear": text}`` and ``{"start": time}``, and ends with
its input.
"""

import asyncio
import contextlib
import json
import random
import struct
import sys
import time
from typing import Any

from benchmarks.latency_cases import CONNECT_TIMEOUT, Case, RawUnreliable, WebSocket
from benchmarks.latency_ours import OursReliable, OursUnreliable

CASES: dict[str, type[Case]] = {
    "raw_unreliable": RawUnreliable,
    "websocket": WebSocket,
    "ours_unreliable": OursUnreliable,
    "ours_reliable": OursReliable,
}
"""What is compared, by the name that the rows call it."""

SEND_RATE = 20
"""States sent per second."""

STATE_BYTES = 200
"""Size of one state: a few dozen entities, well compressed."""

STATE_HEADER = struct.Struct("!Id")
"""Sequence number and time of sending, which all processes of one Linux machine share."""

WARM_UP = 2.0
"""Seconds of sending before the first state that counts: congestion windows have opened."""

LINGER = 2.0
"""Seconds that the receiver still waits for states after the last was sent."""

FRAME_RATE = 59.94
"""Frames per second of a usual display. Not 60, or every third frame would fall on the same
moment between two states for as long as both clocks agree."""

LINE_LIMIT = 16 * 1024 * 1024
"""Bytes of the longest line: an SDP or the arrivals of an hour."""


class Parent:
    """The pipes to the process that started this one: commands, and the other end's words."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def tell(self, text: str) -> None:
        self.say(tell=text)

    async def hear(self) -> str:
        return str(await self.next("hear"))

    def note(self, text: str) -> None:
        self.say(note=text)

    def say(self, **line: Any) -> None:
        print(json.dumps(line), flush=True)

    async def next(self, key: str) -> Any:
        line = await self._reader.readline()
        if not line:
            raise SystemExit("the benchmark has ended")
        return json.loads(line)[key]

    async def wait_end(self) -> None:
        while await self._reader.readline():
            pass


class Receiver:
    """Notes when each state arrives, and when a game that draws frames would see it."""

    def __init__(self) -> None:
        self.arrivals: dict[int, tuple[float, float]] = {}
        """Sequence number -> (sent, arrived)."""
        self.frame_waits: list[float] = []
        """Seconds from an arrival to the next frame."""
        self._unseen: list[float] = []

    def receive(self, data: bytes) -> None:
        now = time.monotonic()
        sequence, sent = STATE_HEADER.unpack_from(data)
        if sequence not in self.arrivals:
            self.arrivals[sequence] = (sent, now)
            self._unseen.append(now)

    async def draw_frames(self, start: float, end: float) -> None:
        """Look for new states once per frame, from ``start`` until ``end``."""
        await sleep_until(start)
        self._unseen.clear()
        frames = 0
        while (due := start + frames / FRAME_RATE) < end:
            await sleep_until(due)
            now = time.monotonic()
            self.frame_waits += [now - arrived for arrived in self._unseen]
            self._unseen.clear()
            # A frame that comes late is late; those that it has missed are not made up for.
            frames = int((now - start) * FRAME_RATE) + 1


async def sleep_until(due: float) -> None:
    await asyncio.sleep(max(0.0, due - time.monotonic()))


async def send_states(case: Case, start: float, seconds: float) -> None:
    """Send a state at each 20th of a second, and leave out those whose time has passed."""
    filling = random.Random(0).randbytes(STATE_BYTES - STATE_HEADER.size)
    for sequence in range(round(seconds * SEND_RATE)):
        due = start + sequence / SEND_RATE
        if time.monotonic() > due + 1 / SEND_RATE:
            continue
        await sleep_until(due)
        await case.send(STATE_HEADER.pack(sequence, time.monotonic()) + filling)


async def run(role: str, name: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    parent = Parent(reader)
    receiver = Receiver()
    case = CASES[name](receiver.receive)
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            connect = case.connect_sender if role == "sender" else case.connect_receiver
            await connect(parent)
        parent.say(ready=True)
        start = float(await parent.next("start"))
        begin, end = start + WARM_UP, start + WARM_UP + seconds
        if role == "sender":
            await send_states(case, start, WARM_UP + seconds)
            parent.say(sent=True)
        else:
            await receiver.draw_frames(begin, end)
            await sleep_until(end + LINGER)
            arrivals = [(n, *times) for n, times in sorted(receiver.arrivals.items())]
            parent.say(arrivals=arrivals, frame_waits=receiver.frame_waits, begin=begin, end=end)
        await parent.wait_end()
    except ConnectionError as error:
        parent.say(failed=str(error))
        await parent.wait_end()
    finally:
        await case.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3])))
