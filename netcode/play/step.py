"""What a simulate function is given: the step."""

import random
from collections.abc import Callable
from typing import Any, TypeVar

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.world.world import World

E = TypeVar("E", bound=Entity)

TICK = 0
"""The salt of what is drawn for no entity in particular."""

Spawn = Callable[..., Any]


class Step:
    """One tick of the simulation, the same on a server and on the client that predicts it."""

    __slots__ = ("_random", "_salt", "_seed", "_spawn", "dt", "replaying", "tick", "world")

    def __init__(
        self,
        *,
        tick: int,
        dt: float,
        world: World,
        seed: int,
        replaying: bool = False,
        spawn: Spawn | None = None,
    ) -> None:
        self.tick = tick
        """Number of the tick."""
        self.dt = dt
        """Its length in seconds."""
        self.world = world
        """The world; a simulate function reads what it likes and writes its own entity only."""
        self.replaying = replaying
        """True on a client that simulates a tick again, or ahead of time: play no sounds, show no
        sparks. Each tick is simulated exactly once without this."""
        self._seed = seed
        self._salt = TICK
        self._random: random.Random | None = None
        self._spawn = spawn

    @property
    def random(self) -> random.Random:
        """Seeded by the tick and the entity that is simulated: both ends draw the same numbers.

        Outside a simulate function (in ``on_tick``) it is the tick's own.
        """
        if self._random is None:
            self._random = random.Random(f"{self._seed} {self.tick} {self._salt}")
        return self._random

    def _draw_for(self, salt: int) -> None:
        """Chance is now that of one entity. A server simulates everybody's, a client only its
        own: each must draw the same whoever came before it."""
        self._salt = salt
        self._random = None

    def spawn(self, kind: type[E], /, **values: Any) -> E | None:
        """A new entity.

        In a simulate function a class with ``predicted=True`` is spawned at both ends: the client
        has it at once, and the player controls it. Another class is spawned on the server only,
        and this is None on a client, where a snapshot brings it. It is None, too, where a client
        looks ahead within a tick. Raises `UsageError` for an unknown class or field.
        """
        if not (isinstance(kind, type) and issubclass(kind, Entity)):
            raise UsageError(f"spawn takes an entity class, not {kind!r}")
        if self._spawn is None:
            return None
        spawned: E | None = self._spawn(kind, **values)
        return spawned
