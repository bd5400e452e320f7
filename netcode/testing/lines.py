"""What a test does to a client's line: weather that changes, and losses chosen one by one."""

from collections.abc import Sequence
from typing import TypeAlias

from netcode.errors import UsageError
from netcode.link.delivery import Delivery
from netcode.link.frames import FIRST_DATAGRAM
from netcode.transports.base import Lane
from netcode.transports.link_model import Conditions, conditions

Weather: TypeAlias = str | Conditions | tuple[str | Conditions, str | Conditions]
"""A preset's name such as ``"4g"``, `nc.Conditions`, or a pair of them: (up, down), from the client
and to it."""

WeatherScript: TypeAlias = Sequence[tuple[float, Weather]]
"""Steps of (seconds, weather), one after the other; the last weather stays."""


def both_ways(weather: Weather) -> tuple[Conditions, Conditions]:
    """The conditions (up, down). Raises `UsageError` for what is no weather."""
    if isinstance(weather, tuple):
        if len(weather) != 2:
            raise UsageError(f"a pair of weathers is (up, down), not {weather!r}")
        return conditions(weather[0]), conditions(weather[1])
    return (conditions(weather),) * 2


def steps_of(weather: Weather | WeatherScript) -> list[tuple[float, tuple[Conditions, Conditions]]]:
    """A weather or a script, as steps. Raises `UsageError` for what is neither."""
    if isinstance(weather, (str, Conditions)) or _is_pair(weather):
        return [(0.0, both_ways(weather))]  # type: ignore[arg-type]  # _is_pair has looked
    steps = []
    for step in weather:
        if not (isinstance(step, tuple) and len(step) == 2 and isinstance(step[0], (int, float))):
            raise UsageError(f"a script of weather has steps like (2.5, '4g'), not {step!r}")
        if not step[0] >= 0:
            raise UsageError(f"a step of weather lasts 0 seconds or more, not {step[0]!r}")
        steps.append((float(step[0]), both_ways(step[1])))
    if not steps:
        raise UsageError("a script of weather has at least one step")
    return steps


def _is_pair(weather: object) -> bool:
    return isinstance(weather, tuple) and all(isinstance(w, (str, Conditions)) for w in weather)


class LossPattern:
    """Loses chosen packets: ``LossPattern("..x")`` loses every third one.

    ``x`` is lost, any other character arrives; then it begins again, or with ``repeat=False`` all
    that follow arrive. It counts packets of state and inputs. With a ``delivery`` it counts the
    frames of messages that travel so instead, retransmissions included, and the heartbeats of the
    link where that is ``UNRELIABLE``. Hand it to `SteppedClient.lose`. Raises `UsageError` for an
    empty pattern.
    """

    def __init__(
        self, pattern: str, delivery: Delivery | None = None, *, repeat: bool = True
    ) -> None:
        if not pattern:
            raise UsageError("a loss pattern needs at least one character")
        self._lost = [character == "x" for character in pattern]
        self._lane = Lane.UNRELIABLE if delivery is None else delivery.lane
        self._of_messages = delivery is not None
        self._repeat = repeat
        self._count = 0

    def loses(self, lane: Lane, frame: bytes) -> bool:
        """Whether this frame, the next one on its lane, is lost. For the stepper."""
        is_message = frame[:1] < bytes([FIRST_DATAGRAM])
        if lane is not self._lane or is_message is not self._of_messages:
            return False
        place = self._count
        self._count += 1
        if place >= len(self._lost) and not self._repeat:
            return False
        return self._lost[place % len(self._lost)]
