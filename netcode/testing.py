"""Test a game without a network, a clock or a sleep.

A `Stepper` runs one host and any number of guests in one thread, over lines whose weather is
seeded, by a clock that moves only when it is told to:

    def test_the_ship_moves():
        game = nc.testing.Stepper(GAME)
        ada = game.join("Ada")
        game.run(1.0)
        game.run(1.0, lambda guest: [Steer(thrust=True)])
        assert ada.world[Ship]...
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from netcode.core.guest import Guest
from netcode.core.host import Host
from netcode.core.player import Player
from netcode.declarations import Input
from netcode.errors import NetcodeError, UsageError
from netcode.link.link import Link
from netcode.protocol import Protocol
from netcode.transports.base import Lane
from netcode.transports.link_model import Conditions, conditions
from netcode.transports.loopback import LoopbackWire, loopback_pair

FRAME = 1 / 60
"""Seconds between two updates of a guest: a screen's frame."""

RESOLUTION = 1 / 120
"""Seconds by which the clock moves at a time."""


class ManualClock:
    """Monotonic seconds that pass only when told to. Call it to read it."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises `UsageError` if it were to run backwards."""
        if not seconds >= 0:
            raise UsageError(f"time does not run backwards: {seconds} s")
        self.now += seconds


class LossPattern:
    """Loses chosen state packets on their way to one guest: ``"..x"`` loses every third one.

    The pattern repeats; ``x`` is lost, any other character arrives. With ``lane`` it counts
    another lane's messages. Hand it to `SteppedGuest.lose`.
    """

    def __init__(self, pattern: str, lane: Lane = Lane.UNRELIABLE) -> None:
        if not pattern:
            raise UsageError("a loss pattern needs at least one character")
        self._lost = [character == "x" for character in pattern]
        self._lane = lane
        self._count = 0

    def loses_next(self, lane: Lane) -> bool:
        """Whether the next message on this lane is lost."""
        if lane is not self._lane:
            return False
        self._count += 1
        return self._lost[(self._count - 1) % len(self._lost)]


class SteppedGuest(Guest):
    """A guest of a `Stepper`: all a client has, and the line it hangs on."""

    wire: LoopbackWire
    host_link: Link
    """The host's end of the line."""
    stalled: bool
    """True while the game does not call ``update`` (it loads a level, say)."""
    over: bool
    """True once ``update`` has raised that the session is over."""

    def lose(self, pattern: LossPattern | None) -> None:
        """Lose messages on their way to this guest by a pattern; None ends it."""
        if pattern is None:
            self.wire.drop(None)
            return
        host_end = self.wire.ends[0]
        self.wire.drop(lambda sender, lane, _: sender is host_end and pattern.loses_next(lane))


class Stepper:
    """One host and its guests, stepped by a manual clock. ``seed`` decides every loss."""

    def __init__(
        self,
        protocol: Protocol,
        *,
        seed: int = 1,
        resolution: float = RESOLUTION,
        **options: Any,
    ) -> None:
        self.clock = ManualClock()
        self._resolution = resolution
        self._parting: list[Link] = []
        self.host = Host(protocol, self.clock, **options)
        self.host.on_link_closed = self._parting.append
        self.guests: list[SteppedGuest] = []
        self._protocol = protocol
        self._random = random.Random(seed)
        self._next_frame = self.clock.now

    def join(
        self,
        name: str = "",
        weather: str | Conditions | tuple[Conditions, Conditions] = "clean",
        *,
        protocol: Protocol | None = None,
    ) -> SteppedGuest:
        """A new guest on a line of its own; it joins as time passes."""
        guest = SteppedGuest(protocol or self._protocol, name, self.clock)
        guest.stalled = guest.over = False
        up, down = weather if isinstance(weather, tuple) else (conditions(weather),) * 2
        near, far, wire = loopback_pair(
            self.clock, forth=down, back=up, seed=self._random.getrandbits(32)
        )
        guest.wire = wire
        guest.host_link = self.host.attach(near)
        guest.attach(far)
        self.guests.append(guest)
        return guest

    def player_of(self, guest: Guest) -> Player:
        """The host's player for this guest. Raises `KeyError` if it is not in the game."""
        return self.host.guests.by_id[guest.player_id]

    def run(
        self,
        seconds: float,
        inputs: Callable[[SteppedGuest], Sequence[Input]] = lambda guest: (),
    ) -> None:
        """Let time pass. Each frame every guest updates with ``inputs(guest)``.

        A guest whose session ends just stops; its ``ended`` says why.
        """
        until = self.clock.now + seconds
        while self.clock.now < until - 1e-9:
            self.clock.advance(min(self._resolution, until - self.clock.now))
            for guest in self.guests:
                guest.wire.advance(self.clock.now)
            self.host.advance()
            self._part()
            for guest in self.guests:
                guest.pump()
            if self.clock.now >= self._next_frame - 1e-9:
                self._next_frame += FRAME
                self._frame(inputs)

    def run_until(
        self,
        condition: Callable[[], bool],
        *,
        within: float,
        inputs: Callable[[SteppedGuest], Sequence[Input]] = lambda guest: (),
    ) -> float:
        """Let time pass until ``condition()``; the seconds it took.

        Raises `AssertionError` if it does not come true ``within`` seconds.
        """
        start = self.clock.now
        while not condition():
            if self.clock.now - start > within:
                raise AssertionError(f"did not come true within {within} s")
            self.run(FRAME, inputs)
        return self.clock.now - start

    def _part(self) -> None:
        """Close the host's finished transports once their goodbye has been heard."""
        for link in list(self._parting):
            if link.transport.backlog() == 0:
                link.transport.close()
                self._parting.remove(link)

    def _frame(self, inputs: Callable[[SteppedGuest], Sequence[Input]]) -> None:
        for guest in self.guests:
            if guest.over or guest.stalled:
                continue
            try:
                guest.update(*inputs(guest))
            except NetcodeError as error:
                if error is not guest.ended:
                    raise
                guest.over = True
