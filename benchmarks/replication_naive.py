"""The server that one would have written otherwise: objects, a grid of cells, msgpack.

Written as one would who knows Python well and cares: objects with slots; cells of half the view
distance in a dictionary, filled once a tick; each object's record made once a tick, by
`operator.attrgetter`; local names in the inner loop; msgpack packing whole lists. What changes is
known without looking (games set a flag when they write). It sends whole records, as messages
that must not get lost, and leaves it to the transport that they do not.
"""

from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgpack  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from benchmarks.replication_worlds import ENTER, LEAVE, Scene
from netcode.fields import NO_HANDLE, Ref, Text
from netcode.world.table import NOBODY, Table

CELL = ENTER / 2

Seen = set[int]


class NaiveClass:
    """One entity class as plain Python, and its objects that stand for a table's rows."""

    def __init__(self, number: int, table: Table[Any]) -> None:
        self.number = number
        self.table = table
        names = [field.name for field in table.fields]
        public = ["id", *(field.name for field in table.fields if not field.only_owner)]
        private = ["id", *(field.name for field in table.fields if field.only_owner)]
        self.record = attrgetter(*public)
        self.private = attrgetter(*private) if len(private) > 1 else None
        self.place = attrgetter("position") if "position" in names else attrgetter("x", "y")
        self._object = type(table.kind.__name__, (), {"__slots__": ("id", "owner", *names)})
        self.objects: dict[int, Any] = {}
        """By row."""

    def follow(self, rows: NDArray[np.intp]) -> None:
        """Set the objects of these rows to what the table's columns say: the game's own work."""
        table, ids = self.table, []
        for row, generation in zip(rows.tolist(), table.generation[rows].tolist(), strict=True):
            ids.append(id_of(self.number, row, generation))
            if row not in self.objects or self.objects[row].id != ids[-1]:
                self.objects[row] = self._object()
                self.objects[row].id = ids[-1]
        objects = [self.objects[row] for row in rows.tolist()]
        for thing, owner in zip(objects, table.owner[rows].tolist(), strict=True):
            thing.owner = owner
        for field in table.fields:
            values = table[field.name][rows].tolist()
            if isinstance(field, Text):
                values = [table.context.text(number) for number in values]
            elif isinstance(field, Ref):
                values = [None if handle == NO_HANDLE else handle for handle in values]
            for thing, value in zip(objects, values, strict=True):
                setattr(thing, field.name, value)

    def forget(self) -> None:
        """Drop the objects whose entities have left."""
        alive = self.table.alive
        for row in [row for row in self.objects if not alive[row]]:
            del self.objects[row]


class NaiveServer:
    """Packs what every player of a scene sees."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.classes = [NaiveClass(n, table) for n, table in enumerate(scene.world.tables)]
        self.seen: list[Seen] = [set() for _ in range(scene.peers)]
        """The ids that each player was last told of."""
        self._viewpoints: list[list[float]] | None = None
        self._changed: list[tuple[NaiveClass, list[Any]]] = []
        for table in self.classes:
            table.follow(table.table.rows())

    def follow(self) -> None:
        """Take over what has moved: the game's own work, which nobody counts."""
        dirty = self._scene.dirty()
        self._changed = []
        for index, kind in enumerate(self.classes):
            rows = kind.table.rows() if dirty is None else dirty[index]
            kind.forget()
            kind.follow(rows)
            self._changed.append((kind, [kind.objects[row] for row in rows.tolist()]))
        viewpoints = self._scene.viewpoints()
        self._viewpoints = None if viewpoints is None else viewpoints.tolist()

    def shown(self, player: int) -> Seen:
        """The ids that a player (from 1) has been told of."""
        if self._viewpoints is not None:
            return set(self.seen[player - 1])
        return {thing.id for kind in self.classes for thing in kind.objects.values()}

    def in_view(self) -> float:
        """Entities that a player sees, in the mean."""
        if self._viewpoints is None:
            return float(len(self._scene.world))
        return sum(map(len, self.seen)) / len(self.seen)

    def tick(self, tick: int) -> list[bytes]:
        """One message for each player."""
        if self._viewpoints is None:
            return self._tell_all(tick)
        return self._tell_near(tick, self._viewpoints)

    def _tell_all(self, tick: int) -> list[bytes]:
        """Everybody sees everything: one list for all, of what changed."""
        records = [(kind.number, kind.record(t)) for kind, things in self._changed for t in things]
        return [msgpack.packb((tick, records)) for _ in self.seen]

    def _tell_near(self, tick: int, viewpoints: Sequence[Sequence[float]]) -> list[bytes]:
        grid: defaultdict[tuple[int, int], list[Any]] = defaultdict(list)
        owned: defaultdict[int, list[Any]] = defaultdict(list)
        for kind, things in self._changed:
            private, place = kind.private, kind.place
            for thing in things:
                x, y = place(thing)
                grid[int(x // CELL), int(y // CELL)].append((x, y, kind, thing))
                if private is not None and thing.owner != NOBODY:
                    owned[thing.owner].append(private(thing))

        # Records are made once for all players, of the cells that any of them looks into.
        cells: dict[tuple[int, int], list[Any]] = {}
        packed = []
        enter, leave = ENTER * ENTER, LEAVE * LEAVE
        for player, (here_x, here_y) in enumerate(viewpoints):
            before = self.seen[player]
            now: Seen = set()
            records = []
            columns = range(int((here_x - LEAVE) // CELL), int((here_x + LEAVE) // CELL) + 1)
            rows = range(int((here_y - LEAVE) // CELL), int((here_y + LEAVE) // CELL) + 1)
            for column in columns:
                for row in rows:
                    cell = cells.get((column, row))
                    if cell is None:
                        cell = cells[column, row] = [
                            (x, y, thing.id, (kind.number, kind.record(thing)))
                            for x, y, kind, thing in grid.get((column, row), ())
                        ]
                    for x, y, key, record in cell:
                        dx, dy = here_x - x, here_y - y
                        apart = dx * dx + dy * dy
                        if apart <= enter or (apart <= leave and key in before):
                            now.add(key)
                            records.append(record)
            left = list(before - now)
            packed.append(msgpack.packb((tick, records, left, owned.get(player + 1))))
            self.seen[player] = now
        return packed


def id_of(table: int, row: int, generation: int) -> int:
    """The number by which the naive server calls an entity."""
    return (generation << 20 | row) * 16 + table
