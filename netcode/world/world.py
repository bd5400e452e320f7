"""The world: one table per entity class, and what fields need to know of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.fields import Text
from netcode.steps import MAX_LANE_BITS
from netcode.world.table import Table

E = TypeVar("E", bound=Entity)

LAST_NUMBER = (1 << MAX_LANE_BITS) - 1
"""The number of a text is a lane, like everything that is remembered in history."""


class World:
    """The game's state: ``world.spawn(Ship, x=0)``, ``for ship in world[Ship]``.

    On a server it is the truth. On a client it is what is displayed: own entities predicted,
    others interpolated; writing to it there changes the picture until the next update only.
    """

    def __init__(self, kinds: Sequence[type[Entity]], texts: "TextPool | None" = None) -> None:
        self.texts = TextPool() if texts is None else texts
        self.texts.users.append(self._texts_in_use)
        self.tables: tuple[Table[Any], ...] = tuple(Table(kind, self) for kind in kinds)
        self._by_kind: dict[type[Entity], Table[Any]] = {table.kind: table for table in self.tables}
        self._by_name = {table.kind.__name__: table for table in self.tables}

    def spawn(self, kind: type[E], /, **values: Any) -> E:
        """A new entity. Fields that are not named take their defaults.

        Raises `UsageError` for an unknown class or field, or a value of the wrong type.
        """
        entity: E = self.table(kind).spawn(**values)
        return entity

    def despawn(self, entity: Entity) -> None:
        """Take an entity out of the world. Doing so twice is harmless.

        Raises `UsageError` for an entity of another world.
        """
        if not entity.alive:
            return
        table = self.table(type(entity))
        if entity._table is not table:
            raise UsageError(f"{entity!r} lives in another world: despawn it there")
        table.despawn(entity._row)

    def table(self, kind: type[E]) -> Table[E]:
        """The table of a class, for those who work on whole columns at once."""
        table = self._by_kind.get(kind)
        if table is None:
            raise UsageError(
                f"{getattr(kind, '__name__', kind)} is not part of this game: "
                "add it to Protocol(entities=[...])"
            )
        return table

    def __getitem__(self, kind: type[E]) -> Table[E]:
        """All entities of a class: iterate over it, or take its ``len``."""
        return self.table(kind)

    def __iter__(self) -> Iterator[Entity]:
        for table in self.tables:
            yield from table

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables)

    # -- what fields ask for -----------------------------------------------------------------

    def text_id(self, text: str) -> int:
        return self.texts.number(text)

    def text(self, text_id: int) -> str:
        return self.texts.text(text_id)

    def encoded(self, text_id: int) -> bytes:
        """The text of a number, in UTF-8."""
        return self.texts.encoded(text_id)

    def handle_of(self, target: Any, class_name: str) -> int:
        handle: int = target.handle
        return handle

    def entity_at(self, class_name: str, handle: int) -> Entity | None:
        table = self._by_name.get(class_name)
        return None if table is None else table.by_handle(handle)

    def _texts_in_use(self) -> Iterator[NDArray[np.integer]]:
        for table in self.tables:
            for field in table.fields:
                if isinstance(field, Text):
                    yield table[field.name]


class TextPool:
    """Each distinct text once, under a small number. Number 0 is the empty text.

    What nothing uses any more is forgotten when the pool has doubled since the last sweep, so a
    game that shows a new text every tick does not grow without end. A number stays with its text
    for `REST` sweeps at least, so that the ring of history can still be read, and is never given
    to another text before two thousand million others: whoever has kept it reads the empty text,
    not a wrong one.
    """

    FIRST_SWEEP = 1_024
    BETWEEN_SWEEPS = 512
    """New texts at least between two sweeps: more than one packet holds, so that none of a
    packet's own texts can be swept while it is read."""
    REST = 2

    def __init__(self) -> None:
        self.users: list[Callable[[], Iterable[NDArray[np.integer]]]] = []
        """Whoever keeps numbers of texts: functions that give all those in use."""
        self._texts: dict[int, str] = {0: ""}
        self._numbers: dict[str, int] = {"": 0}
        self._encoded: dict[int, bytes] = {}
        self._unused_for: dict[int, int] = {}
        self._last = 0
        self._sweep_at = self.FIRST_SWEEP

    def __len__(self) -> int:
        return len(self._texts)

    def number(self, text: str) -> int:
        """The number of a text, a new one if need be."""
        number = self._numbers.get(text)
        if number is None:
            if len(self._texts) >= self._sweep_at:
                self._sweep()
            number = self._fresh_number()
            self._numbers[text] = number
            self._texts[number] = text
        self._unused_for.pop(number, None)
        return number

    def _fresh_number(self) -> int:
        while True:
            self._last = self._last % LAST_NUMBER + 1
            if self._last not in self._texts:
                return self._last

    def text(self, number: int) -> str:
        """The text of a number; the empty text for one that has been forgotten."""
        return self._texts.get(number, "")

    def encoded(self, number: int) -> bytes:
        """The text of a number in UTF-8."""
        data = self._encoded.get(number)
        if data is None:
            text = self._texts.get(number)
            if text is None:
                return b""
            data = self._encoded[number] = text.encode("utf-8")
        return data

    def _sweep(self) -> None:
        """Forget the texts that nobody has used for a while."""
        used = {0}
        for user in self.users:
            for numbers in user():
                used.update(np.unique(numbers).tolist())
        for number in list(self._texts):
            if number in used:
                self._unused_for.pop(number, None)
                continue
            idle = self._unused_for.get(number, 0) + 1
            self._unused_for[number] = idle
            if idle > self.REST:
                del self._unused_for[number]
                self._encoded.pop(number, None)
                del self._numbers[self._texts.pop(number)]
        self._sweep_at = max(
            self.FIRST_SWEEP, 2 * len(used), len(self._texts) + self.BETWEEN_SWEEPS
        )
