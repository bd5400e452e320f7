"""Views: which pairs are in view, kept up to date from one broadcast to the next.

Interest names the pairs; what is new enters, what is not named any more leaves. Policies that let
everybody see everything are not asked for pairs: there, only entities that come or go and players
who join are looked at, so that ten thousand idle entities cost nothing.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netcode.fields import NO_HANDLE, ROW_BITS, Ref
from netcode.sync.interest import ALL, Interest, Viewers, positions
from netcode.sync.pairs import NONE, Pairs
from netcode.wire.bits import Ints
from netcode.world.history import ABSENT, Frame, History
from netcode.world.layout import Part, PartKind, renumbered
from netcode.world.table import MAX_ROWS, NOBODY, Table

INTERVALS = (1, 2, 4, 8)
"""Broadcasts from one update of a pair to the next, by the number that an entry carries."""
_CODE = np.zeros(9, dtype=np.int32)
_CODE[list(INTERVALS)] = range(len(INTERVALS))


class Watcher(Protocol):
    """A peer, as far as its view goes."""

    @property
    def player(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def viewpoint(self) -> tuple[float, ...] | None: ...
    @property
    def groups(self) -> frozenset[int]: ...


class Views:
    """Decides, at each broadcast, which pairs begin and which end."""

    def __init__(
        self, tables: Sequence[Table[Any]], history: History, interest: Interest, pairs: Pairs
    ) -> None:
        self._tables = tables
        self._history = history
        self._interest = interest
        self._pairs = pairs
        entities = history.layout.entities
        self._first = history.layout.first
        self.life = np.full(entities, ABSENT, dtype=np.int32)
        """Each entity's generation, or `ABSENT`."""
        self.owner = np.zeros(entities, dtype=np.int32)
        self.changed = np.zeros(entities, dtype=np.bool_)
        """Whether any lane changed in this broadcast."""
        self.changed_at = np.zeros(entities, dtype=np.int32)
        """The last broadcast in which any lane changed."""
        self._everybody: set[int] = set()
        """Public parts that everybody saw in the last broadcast."""
        self._referring: set[int] = set()
        """References of which any pair was in view."""
        self._watching: set[int] = set()
        """Players of the last broadcast."""
        self._was_selective = False
        self.any_slower = False
        """Whether any pair may be told less often than at every broadcast."""
        self._player_of = np.zeros(0, dtype=np.int64)
        self.viewpoint_of_slot = np.zeros((0, 3))
        """Where each slot's player looks from; NaN for nowhere."""
        parts = history.layout.parts
        public = {tables[p.table].kind.__name__: p for p in parts if p.kind is PartKind.PUBLIC}
        self._is_reference = np.array(
            [part.kind is PartKind.REFERENCE for part in parts], dtype=np.bool_
        )
        self._references = [
            (part, public[described.target])
            for part in parts
            for described in part.fields
            if isinstance(described, Ref)
        ]

    def update(self, frame: Frame, watchers: Sequence[Watcher]) -> None:
        """Begin and end pairs, and find out which entities have changed."""
        self._fit()
        pairs, number = self._pairs, frame.number
        renewed = self._compare(frame)
        slots = np.array([watcher.slot for watcher in watchers], dtype=np.int64)
        pairs.fit(int(slots.max(initial=-1)) + 1, self._history.layout.entities)
        newcomers = np.array(
            [w.slot for w in watchers if w.player not in self._watching], dtype=np.int64
        )
        self._watching = {watcher.player for watcher in watchers}
        if len(renewed):
            self._renew(renewed, number)
        named: list[Ints] = []
        intervals: list[NDArray[np.uint8] | None] = []
        viewpoints = self._viewpoints(watchers)
        everybody: set[int] = set()
        selective = False
        for part in self._history.layout.parts:
            if part.kind is PartKind.PUBLIC and self._tables[part.table].size:
                answer = self._ask(part, watchers, slots, viewpoints)
                if answer is None:
                    everybody.add(part.number)
                    self._enter_all(part, slots, newcomers, renewed, number)
                else:
                    selective = True
                    named.append(answer[0])
                    intervals.append(answer[1])
        self._everybody = everybody
        owned = self._owned(watchers)
        if len(owned):
            named.append(owned)
            intervals.append(None)
        if named:
            self._name(np.concatenate(named), _together(named, intervals), number)
        self._leave(number, selective, renewed)
        for part, target in self._references:
            self._refer(part, target, number)

    def forget(self, player: int) -> None:
        """This player has gone; whoever comes under the number begins with nothing."""
        self._watching.discard(player)

    # -- entities ----------------------------------------------------------------------------

    def _fit(self) -> None:
        layout = self._history.layout
        if layout.entities == len(self.life):
            return
        new_number = renumbered(len(self.life), self._first, layout.first)
        for name, empty in (("life", ABSENT), ("owner", 0), ("changed", False), ("changed_at", 0)):
            old = getattr(self, name)
            moved = np.full(layout.entities, empty, dtype=old.dtype)
            moved[new_number] = old
            setattr(self, name, moved)
        self._first = layout.first
        self._pairs.move(new_number, layout.entities)

    def _compare(self, frame: Frame) -> Ints:
        """Find what changed since the last broadcast; entities whose life or owner did."""
        layout, history = self._history.layout, self._history
        number = frame.number
        place, before = number % len(history.lanes), (number - 1) % len(history.lanes)
        self.changed[:] = False
        if history.numbers[before] == number - 1:
            cells = np.flatnonzero(history.lanes[place] != history.lanes[before])
            entities = layout.entity_of_cell[cells]
            self.changed[entities] = True
            self.changed_at[entities] = number
        else:
            self.changed[:] = True
            self.changed_at[:] = number
        life, owner = self.life.copy(), self.owner.copy()
        for part in layout.parts:
            table = self._tables[part.table]
            if table.size:
                here = slice(layout.first[part.number], layout.first[part.number] + table.size)
                self.life[here] = frame.tables[part.table].life
                self.owner[here] = table.owner
        return np.flatnonzero((life != self.life) | (owner != self.owner))

    def _attributes(
        self, slots: Ints, entities: Ints, intervals: NDArray[np.uint8]
    ) -> NDArray[np.int32]:
        mine = self.owner[entities] == self._player_of[slots]
        code = np.where(mine, 0, _CODE[intervals])
        return np.asarray(self.life[entities] << 3 | code << 1 | mine, dtype=np.int32)

    def _renew(self, entities: Ints, number: int) -> None:
        """Another tenant or owner: where such an entity stays in view, a new epoch begins."""
        pairs = self._pairs
        places = pairs.where[:, entities]
        places = places[places != NONE].astype(np.int64)
        held = pairs.entity[places]
        places = places[pairs.present[places] & (self.life[held] != ABSENT)]
        if len(places) == 0:
            return
        slots, held = pairs.slot[places], pairs.entity[places]
        intervals = pairs.interval(places)
        attributes = self._attributes(slots, held, intervals)
        other = attributes != pairs.attributes[places]
        self._again(places[other], attributes[other], number)

    def _again(self, places: Ints, attributes: NDArray[np.int32], number: int) -> None:
        """A new epoch of pairs that the peer may hold in the old one."""
        pairs = self._pairs
        heard = (pairs.sent[places] > -1) | pairs.doubtful[places]
        pairs.begin(places, attributes, number)
        pairs.doubtful[places] = heard

    # -- who sees what -----------------------------------------------------------------------

    def _viewpoints(self, watchers: Sequence[Watcher]) -> NDArray[np.float64]:
        """Where each watcher looks from: (watchers, 3), NaN for nowhere."""
        highest = max((watcher.slot for watcher in watchers), default=-1)
        self._player_of = np.full(highest + 1, -1, dtype=np.int64)
        nowhere = (np.nan, np.nan, np.nan)
        followed: dict[int, tuple[float, ...]] | None = None
        points: list[tuple[float, ...]] = []
        for watcher in watchers:
            point = watcher.viewpoint
            if point is None:
                if followed is None:
                    followed = self._followed()
                point = followed.get(watcher.player, nowhere)
            points.append(point if len(point) == 3 else (*point, 0.0))
        viewpoints = np.array(points, dtype=np.float64).reshape(-1, 3)
        slots = [watcher.slot for watcher in watchers]
        self._player_of[slots] = [watcher.player for watcher in watchers]
        self.viewpoint_of_slot = np.full((highest + 1, 3), np.nan)
        self.viewpoint_of_slot[slots] = viewpoints
        return viewpoints

    def _followed(self) -> dict[int, tuple[float, ...]]:
        """Where the first controlled entity of each player is."""
        found: dict[int, tuple[float, ...]] = {}
        for table in reversed(self._tables):
            rows = np.flatnonzero(table.owner != NOBODY)[::-1]
            here = positions(table) if len(rows) else None
            if here is not None:
                found.update(
                    zip(table.owner[rows].tolist(), map(tuple, here[rows].tolist()), strict=True)
                )
        return found

    def _ask(
        self,
        part: Part,
        watchers: Sequence[Watcher],
        slots: Ints,
        viewpoints: NDArray[np.float64],
    ) -> tuple[Ints, NDArray[np.uint8] | None] | None:
        """The pairs (as `_key`) that interest names for a class, and their intervals."""
        table, pairs = self._tables[part.table], self._pairs
        first = int(self._history.layout.first[part.number])
        rows = table.size

        def told(keys: Ints) -> NDArray[np.uint8]:
            viewer = keys // rows
            row = keys - viewer * rows
            places = pairs.where[slots[viewer], first + row]
            seen = (places != NONE) & pairs.present[places]
            return np.where(seen, pairs.interval(places), np.uint8(0))

        viewers = Viewers(
            self._player_of[slots], viewpoints, [w.groups for w in watchers], rows, told
        )
        keys = self._interest.pairs(table, viewers)
        if keys is None or keys is ALL:
            return None
        intervals = self._interest.intervals(table, viewers, keys)
        viewer = keys // rows
        row = keys - viewer * rows
        return self._key(slots[viewer], first + row), intervals

    def _key(self, slots: Ints, entities: Ints) -> Ints:
        return slots * self._pairs.where.shape[1] + entities

    def _owned(self, watchers: Sequence[Watcher]) -> Ints:
        """The pairs of players with what they control: the public and the private parts."""
        owned = np.flatnonzero(self.owner)
        if len(owned) == 0:
            return owned
        players = np.array([watcher.player for watcher in watchers], dtype=np.int64)
        slots = np.array([watcher.slot for watcher in watchers], dtype=np.int64)
        order = np.argsort(players)
        at = np.searchsorted(players[order], self.owner[owned])
        at = order[np.minimum(at, len(order) - 1)]
        chosen = (players[at] == self.owner[owned]) & (self.life[owned] != ABSENT)
        chosen &= ~self._is_reference[self._history.layout.part_of[owned]]
        return self._key(slots[at[chosen]], owned[chosen])

    # -- coming and going --------------------------------------------------------------------

    def _enter_all(
        self, part: Part, slots: Ints, newcomers: Ints, renewed: Ints, number: int
    ) -> None:
        """Everybody sees this class: what has come, and all of it for those who have joined."""
        first = int(self._history.layout.first[part.number])
        size = self._tables[part.table].size
        if part.number not in self._everybody:
            rows, who = np.arange(first, first + size), slots
            self._enter(*_product(who, rows[self.life[rows] != ABSENT]), number)
            return
        come = renewed[(renewed >= first) & (renewed < first + size)]
        if len(come):
            self._enter(*_product(slots, come[self.life[come] != ABSENT]), number)
        if len(newcomers):
            rows = np.arange(first, first + size)
            self._enter(*_product(newcomers, rows[self.life[rows] != ABSENT]), number)

    def _enter(
        self,
        slots: Ints,
        entities: Ints,
        number: int,
        intervals: NDArray[np.uint8] | None = None,
    ) -> None:
        """These are in view: begin pairs that are not, and those that were leaving."""
        pairs = self._pairs
        places = pairs.where[slots, entities].astype(np.int64)
        if intervals is None:
            intervals = np.ones(len(slots), dtype=np.uint8)
        fresh = places == NONE
        if fresh.any():
            new = pairs.take(slots[fresh], entities[fresh])
            pairs.begin(
                new, self._attributes(slots[fresh], entities[fresh], intervals[fresh]), number
            )
            pairs.doubtful[new] = False
        old = places[~fresh]
        attributes = self._attributes(slots[~fresh], entities[~fresh], intervals[~fresh])
        other = ~pairs.present[old] | (pairs.attributes[old] != attributes)
        if other.any():
            self._again(old[other], attributes[other], number)

    def _name(self, keys: Ints, intervals: NDArray[np.uint8] | None, number: int) -> None:
        """Interest has named these pairs; ``intervals`` is None if all are told every time."""
        pairs = self._pairs
        places = pairs.where.reshape(-1).take(keys)
        wanted = ~pairs.present[places]
        wanted |= places == NONE
        pairs.stamp[places[~wanted]] = number
        if intervals is not None or self.any_slower:
            asked = 0 if intervals is None else _CODE[intervals]
            said = pairs.attributes[places]
            wanted |= ((said >> 1 & 3) != asked) & (said & 1 == 0)
            self.any_slower = intervals is not None
        if wanted.any():
            new, first = np.unique(keys[wanted], return_index=True)
            slots = new // pairs.where.shape[1]
            entities = new - slots * pairs.where.shape[1]
            every = None if intervals is None else intervals[wanted][first]
            self._enter(slots, entities, number, every)
            pairs.stamp[pairs.where[slots, entities]] = number

    def _leave(self, number: int, selective: bool, renewed: Ints) -> None:
        """End the pairs that are not named any more, and those of entities that have gone."""
        pairs = self._pairs
        if not (selective or self._was_selective or len(renewed)):
            return
        self._was_selective = selective
        layout, used = self._history.layout, pairs.used
        stays = self._is_reference.copy()
        stays[list(self._everybody)] = True
        entities = pairs.entity[:used]
        named = stays[layout.part_of[entities]] | (pairs.stamp[:used] == number)
        named &= self.life[entities] != ABSENT
        pairs.end(np.flatnonzero(pairs.present[:used] & ~named), number)

    # -- references --------------------------------------------------------------------------

    def _refer(self, part: Part, target: Part, number: int) -> None:
        """A reference is told to those who see both the entity and its target."""
        pairs, layout = self._pairs, self._history.layout
        described, size = part.fields[0], self._tables[part.table].size
        first, public = int(layout.first[part.number]), int(layout.first[part.public])
        entities = np.arange(first, first + size)
        place = number % len(self._history.lanes)
        handles = self._history.lanes[place, layout.cell_of[entities] + part.lanes[0]] - 1
        sources = np.flatnonzero((handles != NO_HANDLE) & (self.life[entities] != ABSENT))
        if pairs.used == 0 or (len(sources) == 0 and part.number not in self._referring):
            return
        start, rows = int(layout.first[target.number]), handles[sources] & (MAX_ROWS - 1)
        alive = rows < self._tables[target.table].size
        targets = start + np.where(alive, rows, 0)
        alive &= self.life[targets] == handles[sources] >> ROW_BITS
        sources, targets = sources[alive], targets[alive]
        pointing = np.full(size, -1, dtype=np.int64)
        pointing[sources] = targets
        # From the pairs in view, since most entities are in nobody's view.
        used = pairs.used
        held = pairs.entity[:used]
        present = pairs.present[:used]
        told = (present & (held >= public) & (held < public + size)).nonzero()[0]
        if described.only_owner:
            told = told[pairs.attributes[told] & 1 == 1]
        source = held[told] - public
        told, source = told[pointing[source] >= 0], source[pointing[source] >= 0]
        slots = pairs.slot[told]
        seen = pairs.where[slots, pointing[source]]
        visible = (seen != NONE) & pairs.present[seen]
        slots, source = slots[visible], source[visible]
        self._enter(slots, first + source, number)
        pairs.stamp[pairs.where[slots, first + source]] = number
        used = pairs.used
        held = pairs.entity[:used]
        mine = pairs.present[:used] & (held >= first) & (held < first + size)
        pairs.end((mine & (pairs.stamp[:used] != number)).nonzero()[0], number)
        if len(slots):
            self._referring.add(part.number)
        else:
            self._referring.discard(part.number)


def _together(
    named: Sequence[Ints], intervals: Sequence[NDArray[np.uint8] | None]
) -> NDArray[np.uint8] | None:
    """The intervals of all named pairs; None if there are none but 1."""
    if all(every is None for every in intervals):
        return None
    return np.concatenate(
        [
            np.ones(len(keys), dtype=np.uint8) if every is None else every
            for keys, every in zip(named, intervals, strict=True)
        ]
    )


def _product(slots: Ints, entities: Ints) -> tuple[Ints, Ints]:
    return np.repeat(slots, len(entities)), np.tile(entities, len(slots))
