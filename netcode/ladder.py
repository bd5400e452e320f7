"""The ladder: several rungs are tried at once, each with a head start over the next.

As browsers try IPv6 and IPv4 (RFC 8305, "happy eyeballs"): what is better begins earlier, what
works first is taken, and nobody waits for a way that is blocked to time out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from netcode.errors import Unreachable, UsageError
from netcode.rungs import Rung
from netcode.transports.base import Transport

T = TypeVar("T", bound=Transport)

HEAD_START = 0.5
"""Seconds that a rung has before the next one is tried as well."""

MAX_HEAD_START = 1.5

ENTERING_TRIPS = 3
"""Round trips that entering a room takes at least: TCP, WebSocket, the room."""

HEAD_START_TRIPS = 6
"""Round trips that a rung has before the next is tried: about what opening a link takes."""

Call = Callable[[Rung], Awaitable[T]]
"""``await call(rung)`` gives an open transport, or raises `Unreachable`. Cancelling gives it up."""


def checked_rungs(rungs: Iterable[str] | None) -> tuple[Rung, ...]:
    """The rungs that somebody has chosen, the best first; all of them without a choice.

    Raises `UsageError` for what is no rung, and for none at all.
    """
    if rungs is None:
        return tuple(Rung)
    if isinstance(rungs, str):
        raise UsageError(f"rungs is a list: write [{rungs!r}]")
    names = list(rungs)
    known = ", ".join(repr(rung.value) for rung in Rung)
    for name in names:
        if name not in list(Rung):
            raise UsageError(f"a rung is one of {known}, not {name!r}")
    if not names:
        raise UsageError(f"rungs needs at least one of {known}")
    return tuple(rung for rung in Rung if rung in names)


def head_start_after(entering: float) -> float:
    """How long a head start should be where entering a room has taken so many seconds."""
    trip = entering / ENTERING_TRIPS
    return min(MAX_HEAD_START, max(HEAD_START, trip * HEAD_START_TRIPS))


async def first_open(call: Call[T], rungs: Sequence[Rung], head_start: float) -> T:
    """Try these rungs, the best first, and return the first transport that opens.

    Each begins ``head_start`` seconds after the one before it, or as soon as all before it have
    failed. The others are given up. Raises `Unreachable`, saying of each rung why it failed.
    Cancelling gives all of them up.
    """
    trying: dict[asyncio.Task[T], Rung] = {}
    waiting = list(rungs)
    failures: dict[Rung, str] = {}
    opened: T | None = None
    try:
        while waiting or trying:
            if waiting:
                rung = waiting.pop(0)
                trying[asyncio.create_task(_call(call, rung))] = rung
            done, _ = await asyncio.wait(
                trying,
                timeout=head_start if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in sorted(done, key=lambda task: rungs.index(trying[task])):
                error = task.exception()
                if error is None:
                    del trying[task]
                    opened = task.result()
                    return opened
                rung = trying.pop(task)
                if not isinstance(error, Unreachable):
                    raise error
                failures[rung] = str(error)
    finally:
        try:
            await _give_up(trying)
        except asyncio.CancelledError:
            if opened is not None:
                opened.close()
            raise
    raise Unreachable("; ".join(f"{rung}: {failures[rung]}" for rung in rungs))


async def _call(call: Call[T], rung: Rung) -> T:
    return await call(rung)


async def _give_up(trying: Iterable[asyncio.Task[T]]) -> None:
    """Cancel what is under way; what has opened in the same moment is closed again."""
    tasks = list(trying)
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and task.exception() is None:
            task.result().close()
            await task.result().wait_closed()
