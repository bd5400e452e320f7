"""What both ends of the laboratory's game do: talk without a pause, and check what they hear.

Fifty reliable messages a second, numbered, each fiftieth of 64 KiB: a second's worth fills a line,
and whatever is lost, repeated or out of order shows at the next one.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import netcode as nc

RATE = 50
BIG_EVERY = 50
BIG_BYTES = 65_536


class Ship(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)


class Steer(nc.Input):
    thrust = nc.Bool()


class Small(nc.Message):
    number = nc.Int(0, (1 << 30) - 1)


class Big(nc.Message):
    number = nc.Int(0, (1 << 30) - 1)
    bulk = nc.Bytes(max_bytes=BIG_BYTES)


def fly(ship: Ship, steer: Steer, step: nc.Step) -> None:
    ship.x += step.dt * steer.thrust


GAME = nc.Protocol(entities=[Ship], inputs=[Steer], messages=[Small, Big], simulate={Ship: fly})


def tell(event: str, **what: object) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


def message(number: int) -> nc.Message:
    """The message of this number: both ends know what has to be in it."""
    if number % BIG_EVERY:
        return Small(number=number)
    return Big(number=number, bulk=f"{number:08}".encode() * (BIG_BYTES // 8))


class Talk:
    """One end of the conversation: what it has sent, and what has arrived."""

    def __init__(self, send: Callable[[nc.Message], None]) -> None:
        self._send = send
        self._next = time.monotonic()
        self._heard_at = time.monotonic()
        self._goal = 0
        self.talks = True
        self.sent = 0
        self.received = 0
        self.wrong: list[str] = []
        self.longest_silence = 0.0
        """Seconds between two messages, since `mark`."""

    def go_on(self) -> None:
        """Say what is due. Call it many times a second."""
        now = time.monotonic()
        while self.talks and self._next <= now:
            try:
                self._send(message(self.sent))
            except nc.SendQueueFull:
                return
            self.sent += 1
            self._next += 1 / RATE

    def hear(self, heard: Any) -> None:
        """Check a message. A wrong one counts as the one that had to come, so that one mistake is
        one mistake."""
        if heard != message(self.received):
            self.wrong.append(f"message {heard.number} instead of {self.received}")
        now = time.monotonic()
        self.longest_silence = max(self.longest_silence, now - self._heard_at)
        self._heard_at = now
        self.received += 1
        self._say_if_reached()

    def take(self, line: str) -> None:
        """Do what the test says: ``mark``, ``stop``, ``more N`` or ``until N``."""
        word, _, number = line.partition(" ")
        match word:
            case "mark":
                self.longest_silence, self._heard_at = 0.0, time.monotonic()
                tell("marked")
            case "stop":
                self.talks = False
                tell("stopped", sent=self.sent)
            case "more":
                self._goal = self.received + int(number)
            case "until":
                self._goal = int(number)
                self._say_if_reached()
            case _:
                raise ValueError(line)

    def report(self) -> dict[str, Any]:
        return {
            "sent": self.sent,
            "received": self.received,
            "wrong": self.wrong[:10],
            "longest_silence": self.longest_silence,
        }

    def _say_if_reached(self) -> None:
        if self._goal and self.received >= self._goal:
            self._goal = 0
            tell("reached", received=self.received)


async def lines() -> AsyncIterator[str]:
    """What the test says to this program, line by line."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode().strip()
