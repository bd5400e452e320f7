"""The stepper: a server and its clients in one thread, by a clock that the test moves."""

import inspect
import random
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypedDict, Unpack

from netcode.core.guest import Guest
from netcode.core.host import Host
from netcode.core.player import Player
from netcode.core.server_side import ServerSide
from netcode.declarations import Input
from netcode.link.link import Link
from netcode.protocol import Protocol
from netcode.sync.budget import Budget
from netcode.sync.interest import Interest
from netcode.sync.priority import Priority
from netcode.testing.agreement import Disagreement, check_guest
from netcode.testing.lines import Weather, WeatherScript, steps_of
from netcode.testing.manual_clock import MachineClock, ManualClock
from netcode.testing.stepped_client import SteppedClient
from netcode.transports.link_model import Conditions
from netcode.transports.loopback import LoopbackTransport, LoopbackWire, loopback_pair
from netcode.voice.policies import VoicePolicy

FRAME = 1 / 60
"""Seconds between two updates of a client: a screen's frame."""

RESOLUTION = 1 / 120
"""Seconds by which the clock moves at a time."""

LONGEST_SOURCE = 160
"""Characters of a condition that are shown when it did not come true."""

Inputs: TypeAlias = Callable[[SteppedClient], Sequence[Input]]


class ServerOptions(TypedDict, total=False):
    """What `nc.Server` takes, and a `Stepper`."""

    tick_rate: float
    broadcast_rate: float
    interest: Interest | None
    priority: Priority | None
    budget: Budget | None
    max_players: int
    max_rewind: float
    grace: float
    voice: VoicePolicy | None


def _nothing(client: SteppedClient) -> Sequence[Input]:
    return ()


class Stepper:
    """A server and its clients, stepped by a manual clock.

    ``seed`` decides everything that is chance: losses, delays and `Step.random`. ``resolution`` is
    by how many seconds the clock moves at a time, and so to what a packet's time of arrival is
    rounded. The other options are those of `nc.Server`. Raises what that raises.
    """

    def __init__(
        self,
        protocol: Protocol,
        *,
        seed: int = 1,
        resolution: float = RESOLUTION,
        **options: Unpack[ServerOptions],
    ) -> None:
        self.clock = ManualClock()
        """The server's clock, by which everything runs; move it with `run`."""
        self.seed = seed
        self.host = Host(
            protocol, self.clock, seed=seed, entropy=random.Random(seed).randbytes, **options
        )
        """What is inside the server, for tests of netcode itself."""
        self.server = ServerSide(self.host)
        """Register the game's rules here, as with an `nc.Server`."""
        self.clients: list[SteppedClient] = []
        """All that have been told to join, also those that have left."""
        self._protocol = protocol
        self._resolution = resolution
        self._random = random.Random(seed)
        self._next_frame = self.clock.now
        self._parting: list[Link] = []
        self.host.on_link_closed = self._parting.append

    def __repr__(self) -> str:
        return (
            f"<Stepper of {len(self.clients)} clients at tick {self.host.tick}, seed {self.seed}>"
        )

    def join(
        self,
        name: str = "",
        weather: Weather | WeatherScript = "clean",
        *,
        protocol: Protocol | None = None,
    ) -> SteppedClient:
        """A new client on a line of its own; it joins as time passes.

        ``protocol`` is another than the server's, to see it refused. Raises `UsageError` for what
        is no weather.
        """
        clock = MachineClock(self.clock)
        guest = Guest(protocol or self._protocol, name, clock)
        guest.on_link_retired = self._parting.append
        wire, far = self._line(steps_of(weather)[0][1])

        def relink() -> LoopbackWire:
            up, down = client.wire.conditions[::-1]
            wire, far = self._line((up, down))
            guest.come_back(far)
            return wire

        client = SteppedClient(guest, clock, wire, relink, weather)
        guest.attach(far)
        self.clients.append(client)
        return client

    def _line(
        self, weather: tuple[Conditions, Conditions]
    ) -> tuple[LoopbackWire, LoopbackTransport]:
        """A line with this weather (up, down) whose one end is the host's, and the other end."""
        up, down = weather
        near, far, wire = loopback_pair(
            self.clock, forth=down, back=up, seed=self._random.getrandbits(32)
        )
        self.host.attach(near)
        return wire, far

    def player_of(self, client: SteppedClient) -> Player:
        """The server's player for this client. Raises `KeyError` if it is not in the game."""
        return self.host.guests.by_id[client.player_id]

    # -- time --------------------------------------------------------------------------------

    def run(self, seconds: float, inputs: Inputs = _nothing) -> None:
        """Let time pass. Sixty times a second every client updates with ``inputs(client)``.

        A client whose session ends just stops; its ``error`` says why. Raises whatever the game's
        own handlers raise in an update or a tick.
        """
        until = self.clock.now + seconds
        while self.clock.now < until - 1e-9:
            self.clock.advance(min(self._resolution, until - self.clock.now))
            for client in self.clients:
                client._arrive()
            self.host.advance()
            self._part()
            for client in self.clients:
                client._pump()
            if self.clock.now >= self._next_frame - 1e-9:
                self._next_frame += FRAME
                for client in self.clients:
                    if client._plays:
                        client._frame(tuple(inputs(client)))

    def run_until(
        self, condition: Callable[[], bool], *, within: float, inputs: Inputs = _nothing
    ) -> float:
        """Let time pass until ``condition()``; the seconds it took.

        Raises `AssertionError`, naming the condition, if it does not come true ``within`` seconds.
        """
        start = self.clock.now
        while not condition():
            if self.clock.now - start > within:
                what = f"did not come true within {within:g} s (seed {self.seed})"
                raise AssertionError(f"{what}: {_source(condition)}")
            self.run(FRAME, inputs)
        return self.clock.now - start

    # -- what must hold ----------------------------------------------------------------------

    def assert_agreement(self, *clients: SteppedClient) -> None:
        """Each of these clients (all that are in the game, unless told) holds what the server told
        it: of the newest broadcast that it has heard in full, everything in its view, and every
        value as it was in that tick.

        Raises `AssertionError` naming the first class, handle and field that differ, and both
        values; also if a client has heard none of the last 1.6 s (32 broadcasts) in full, and
        `KeyError` for one that is not in the game.
        """
        for client in clients or [one for one in self.clients if one.joined]:
            try:
                check_guest(self.host, client.guest, self.player_of(client))
            except Disagreement as error:
                raise AssertionError(f"{error} (seed {self.seed})") from None

    # ----------------------------------------------------------------------------------------

    def _part(self) -> None:
        """Close finished transports once what was on its way, a goodbye perhaps, has arrived."""
        for link in list(self._parting):
            if link.transport.backlog() == 0:
                link.transport.close()
                self._parting.remove(link)


def _source(condition: Callable[[], bool]) -> str:
    """The line in which a condition stands, or its name."""
    try:
        text = " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        text = getattr(condition, "__qualname__", repr(condition))
    return text if len(text) <= LONGEST_SOURCE else text[:LONGEST_SOURCE] + " …"
