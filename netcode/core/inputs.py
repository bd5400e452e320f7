"""Inputs on their way from a frame of the game to a tick of the server, on both ends.

A press shorter than a frame or a packet lost must not swallow a shot, and a hitch must not fire
one twice. So every tick has exactly one input; the client repeats it until it is of no use any
more; and where it comes too late for its tick, its edges count at a later one.
"""

from collections import deque
from collections.abc import Sequence

from netcode.core.stats import ServerStats
from netcode.declarations import Input
from netcode.errors import UsageError
from netcode.fields import Context
from netcode.protocol import Protocol
from netcode.wire.packets import MAX_INPUTS, InputPacket

Inputs = tuple[Input, ...]
"""One input of every class, in the protocol's order."""

MAX_TICKS_PER_UPDATE = 15
"""Ticks that one update makes up for, after a frame that took a quarter of a second."""

REPEATED = 6
"""Ticks for which an input is sent on although the server has passed its tick: three packets, in
case the ones before were lost. A repeated input that did not change costs a bit."""

MAX_INPUT_LEAD = 120
"""Ticks that an input may be ahead of the server; what claims more is not believed."""

MAX_LATE = MAX_INPUTS
"""Ticks after which a press that comes late does not count any more."""


class InputSampler:
    """The client's end: takes in what frames say, and gives every tick its input."""

    def __init__(self, protocol: Protocol, context: Context) -> None:
        self.tick = -1
        """The newest tick that has its input."""
        self._kinds = protocol.inputs
        self._context = context
        self._pending: Inputs = tuple(kind() for kind in protocol.inputs)
        self._recent: deque[tuple[int, Inputs]] = deque(maxlen=MAX_INPUTS)

    def latch(self, inputs: Sequence[Input]) -> None:
        """Take in one frame's inputs. Raises `UsageError` for a class of another game."""
        for given in inputs:
            if type(given) not in self._kinds:
                raise UsageError(
                    f"{given!r} is not an input of this game: add its class to "
                    "Protocol(inputs=[...])"
                )
        by_kind = {type(given): given for given in inputs}
        self._pending = tuple(
            waiting.merged_with(by_kind[type(waiting)]) if type(waiting) in by_kind else waiting
            for waiting in self._pending
        )

    def sample(self, newest: int) -> list[tuple[int, Inputs]]:
        """Give every tick up to ``newest`` its input, and return those that are to be simulated.

        After a long frame several ticks are due at once. Edges belong to the newest one: the
        others have been simulated at the server by the time they get there.
        """
        if newest <= self.tick:
            return []
        before = newest - 1 if self.tick < 0 else self.tick
        fresh = tuple(as_received(part, self._context) for part in self._pending)
        held = tuple(part.held() for part in fresh)
        for tick in range(max(before + 1, newest - MAX_INPUTS + 1), newest + 1):
            self._recent.append((tick, fresh if tick == newest else held))
        self._pending = tuple(part.held() for part in self._pending)
        self.tick = newest
        first = max(before + 1, newest - MAX_TICKS_PER_UPDATE + 1)
        return [entry for entry in self._recent if entry[0] >= first]

    def to_send(self, simulated: int) -> tuple[int, list[Inputs]]:
        """The newest tick, and the inputs up to it that the server may still want.

        ``simulated`` is the newest tick that the server is known to have simulated.
        """
        wanted = [entry for entry in self._recent if entry[0] > simulated - REPEATED]
        return (wanted[-1][0] if wanted else 0), [inputs for _, inputs in wanted]


class InputBuffer:
    """The server's end: one player's inputs, consumed in the order of ticks, each exactly once."""

    def __init__(self, protocol: Protocol) -> None:
        self._waiting: dict[int, Inputs] = {}
        self._held: Inputs = tuple(kind() for kind in protocol.inputs)
        self._late: deque[Inputs] = deque(maxlen=MAX_LATE)
        """What came too late and has edges: each counts at the next tick that has none itself."""
        self._used: set[int] = set()
        """Which of the last `MAX_LATE` ticks' inputs have been used, in time or late."""
        self._has_said_anything = False
        self.consumed_tick: int | None = None
        """The tick of the newest input that the simulation has used."""

    def put(self, packet: InputPacket, tick: int, stats: ServerStats) -> None:
        """Take in a packet's inputs; ``tick`` is the last one simulated."""
        first = packet.newest_tick - len(packet.inputs) + 1
        for wanted, inputs in enumerate(packet.inputs, start=first):
            if wanted > tick + MAX_INPUT_LEAD:
                break
            if wanted > tick:
                self._waiting.setdefault(wanted, inputs)
                self._has_said_anything = True
            elif wanted > tick - MAX_LATE and wanted not in self._used:
                stats.late_inputs += 1
                self._used.add(wanted)
                if _has_edges(inputs):
                    self._late.append(inputs)

    def consume(self, tick: int, stats: ServerStats) -> Inputs:
        """The inputs for this tick; if none came in time, the last ones go on."""
        self._used.discard(tick - MAX_LATE)
        inputs = self._waiting.pop(tick, None)
        if inputs is None:
            stats.missing_inputs += self._has_said_anything
            inputs = self._held
        else:
            self._used.add(tick)
            self.consumed_tick = tick
            self._held = tuple(part.held() for part in inputs)
        if self._late and not _has_edges(inputs):
            late = self._late.popleft()
            inputs = tuple(one.merged_with(two) for one, two in zip(late, inputs, strict=True))
        return inputs


def _has_edges(inputs: Inputs) -> bool:
    return any(part != part.held() for part in inputs)


def as_received(given: Input, context: Context) -> Input:
    """An input as it reads at the other end, rounded and clamped: what is predicted with."""
    values = {
        field.name: field.decode(field.encode(given._get(field), context), context)
        for field in given.fields
    }
    return type(given)(**values)
