"""A client in a test: all that a real one has, and a hand on its line and its machine."""

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from netcode.core.client_side import ClientSide
from netcode.core.guest import Guest
from netcode.declarations import Entity, Input
from netcode.errors import NetcodeError, UsageError
from netcode.testing.lines import LossPattern, Weather, WeatherScript, steps_of
from netcode.testing.manual_clock import MachineClock
from netcode.transports.base import Lane
from netcode.transports.link_model import Conditions
from netcode.transports.loopback import LoopbackTransport, LoopbackWire

E = TypeVar("E", bound=Entity)

MAX_DRIFT = 100_000.0
"""Parts per million: a clock that is off by a tenth is broken, and so is what tests it."""


class SteppedClient(ClientSide):
    """A client of a `Stepper`; `Stepper.join` makes it.

    ``stalled`` and ``asleep`` may be set at any time. While a client is *stalled* its game does
    not call ``update`` (it loads a level, say), but its network goes on. While it is *asleep*
    neither game nor network nor its clock run, as on a laptop that has been closed, and packets to
    it are lost.
    """

    def __init__(
        self,
        guest: Guest,
        clock: MachineClock,
        wire: LoopbackWire,
        relink: Callable[[], LoopbackWire],
        weather: Weather | WeatherScript,
    ) -> None:
        super().__init__(guest)
        self.clock = clock
        """The clock of this client's machine: call it to read it."""
        self.stalled = False
        """Whether the game stands still while the network goes on."""
        self.guest = guest
        """What is inside, for tests of netcode itself."""
        self.wire = wire
        """Likewise, the line of its newest link; the server's end is the first."""
        self._relink = relink
        self._wires = [wire]
        self._asleep = False
        self._drift_ppm = 0.0
        self._steps: deque[tuple[float, tuple[Conditions, Conditions]]] = deque()
        self._until = 0.0
        self._over = False
        self._weather = weather
        self.weather = weather

    @property
    def over(self) -> bool:
        """Whether the session has ended and the game has been told; ``error`` says why."""
        return self._over

    def find(self, entity: E) -> E | None:
        """What this client shows for one of the server's entities; None if it is not in view."""
        return self.world.table(type(entity)).by_handle(entity.handle)

    # -- the line ----------------------------------------------------------------------------

    @property
    def weather(self) -> Weather | WeatherScript:
        """The weather on the line from now on: a preset's name, `nc.Conditions`, a pair of them
        (up, down), or a script of steps such as ``[(2.0, "4g"), (1.0, nc.Conditions(loss=1))]``,
        of which the last stays. Packets on their way arrive as planned. Setting raises
        `UsageError` for what is no weather."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather | WeatherScript) -> None:
        self._steps = deque(steps_of(weather))
        self._weather = weather
        self._until = self.wire.clock()
        self._change_weather()

    def lose(
        self, *, down: LossPattern | str | None = None, up: LossPattern | str | None = None
    ) -> None:
        """Lose exactly these packets, besides what the weather loses: ``down`` of those on their
        way to the client, ``up`` of those from it. ``lose(down="..x")`` loses every third packet of
        state; see `LossPattern`. Each call replaces the one before: ``lose()`` ends it."""
        host_end = self.wire.ends[0]
        ways = {True: _pattern(down), False: _pattern(up)}

        def is_lost(sender: LoopbackTransport, lane: Lane, frame: bytes) -> bool:
            pattern = ways[sender is host_end]
            return pattern is not None and pattern.loses(lane, frame)

        self.wire.drop(is_lost)

    def cut(self) -> None:
        """Cut the line for good, and tell nobody: as when the client is killed, or its network is
        gone. Both ends notice after 2.5 s of silence; `relink` gives the client another line."""
        self.wire.cut()

    def relink(self) -> None:
        """Another line to the server, beside the one before: the client goes on there as soon as
        the server agrees, as a real one does when its network has changed or has failed.

        The weather is that of the line before; what `lose` was told, and `cut`, are not. Raises
        `UsageError` for a client that is not in the game, or has just joined.
        """
        if not self.joined or self._guest.connection.ticket is None:
            raise UsageError("only a client that is in the game can come back: run() for a moment")
        self.wire = self._relink()
        self._wires.append(self.wire)
        self.wire.ends[1].is_off = self._asleep

    # -- the machine -------------------------------------------------------------------------

    @property
    def asleep(self) -> bool:
        """Whether the machine sleeps; may be set."""
        return self._asleep

    @asleep.setter
    def asleep(self, asleep: bool) -> None:
        self._asleep = asleep
        for wire in self._wires:
            wire.ends[1].is_off = asleep
        self._set_clock()

    @property
    def drift_ppm(self) -> float:
        """By how much this machine's clock is fast (or slow, below 0), in parts per million of the
        server's; may be set. Cheap clocks are off by up to 200. Raises `UsageError` above a tenth.
        """
        return self._drift_ppm

    @drift_ppm.setter
    def drift_ppm(self, drift: float) -> None:
        if not abs(drift) <= MAX_DRIFT:
            raise UsageError(f"drift_ppm is -100000 to 100000, not {drift!r}")
        self._drift_ppm = drift
        self._set_clock()

    def _set_clock(self) -> None:
        self.clock.run_at(0.0 if self._asleep else 1.0 + self._drift_ppm * 1e-6)

    # -- for the stepper ---------------------------------------------------------------------

    def _arrive(self) -> None:
        """Take in what has arrived, in the weather of this moment."""
        self._change_weather()
        for wire in self._wires:
            wire.advance(wire.clock())

    def _change_weather(self) -> None:
        now = self.wire.clock()
        while self._steps and now >= self._until - 1e-9:
            seconds, (up, down) = self._steps.popleft()
            self._until += seconds
            if (down, up) != self.wire.conditions:  # setting them again would draw another chance
                self.wire.set_conditions(forth=down, back=up)

    def _pump(self) -> None:
        if not self._asleep:
            self._guest.pump()

    def _frame(self, inputs: tuple[Input, ...]) -> None:
        try:
            self.update(*inputs)
        except NetcodeError as error:
            if error is not self._guest.ended:
                raise
            self._over = True

    @property
    def _plays(self) -> bool:
        return not (self._over or self.stalled or self._asleep)


def _pattern(given: LossPattern | str | None) -> LossPattern | None:
    return LossPattern(given) if isinstance(given, str) else given
