"""A client in a process of its own, that has nothing but the datagrams which it is handed.

In lock step: the benchmark hands over what arrives at one moment, the client answers with what it
acknowledges and what it now holds of that tick.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import TypeAlias

import numpy as np

from netcode.declarations import Entity
from netcode.errors import WireError
from netcode.sync.receiver import Receiver
from netcode.testing.agreement import Held
from netcode.world.history import History
from netcode.world.world import World

ANSWER_TIMEOUT = 60.0
"""Seconds that the client may take for a handful of datagrams, on a busy machine."""

Acknowledgement: TypeAlias = tuple[int, int, int]
"""(number of the client's packet, newest state packet, window)."""


@dataclass(slots=True)
class Answer:
    """What the client says after the datagrams of one moment."""

    acknowledgements: list[Acknowledgement]
    """One for each datagram: the client answers on arrival."""
    tick: int
    """Of the last datagram."""
    held: Held | None
    """The only table at that tick; None if the client keeps no frame of it."""


class RemoteReceiver:
    """The client's process; a context manager."""

    def __init__(self, kind: type[Entity], every: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, kind, every), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> RemoteReceiver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pipe.close()  # Its sign to end.
        self._process.join()

    def receive(self, datagrams: Sequence[bytes]) -> Answer:
        """Hand over what arrives at one moment.

        Raises `RuntimeError` if the client cannot read it, or has died.
        """
        self._pipe.send(list(datagrams))
        if not self._pipe.poll(ANSWER_TIMEOUT):
            self._process.kill()
            raise RuntimeError(f"the client has not answered for {ANSWER_TIMEOUT:g} s")
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the client's process has died, see above") from error
        if isinstance(answer, Answer):
            return answer
        raise RuntimeError(f"the client could not read a datagram: {answer}")


def _serve(pipe: Connection, kind: type[Entity], every: int) -> None:
    """The other process, until its pipe is closed."""
    world = World([kind])
    history = History(world.tables, every=every)
    receiver = Receiver(world.tables, history, world.texts)
    sent = 0
    while True:
        try:
            datagrams: list[bytes] = pipe.recv()
        except EOFError:
            return
        acknowledgements = []
        try:
            for data in datagrams:
                tick = receiver.receive(data)
                sent += 1
                acknowledgements.append((sent, *receiver.acknowledge(sent)))
        except WireError as error:
            pipe.send(str(error))
            return
        pipe.send(Answer(acknowledgements, tick, _held(history, tick)))


def _held(history: History, tick: int) -> Held | None:
    frame = history.at(tick)
    if frame is None:
        return None
    (table,) = frame.tables
    return Held(np.array(table.life), np.array(table.lanes), np.array(table.known))
