"""Pairs: what the sender remembers of each (peer, entity) pair in view.

A slab of parallel arrays. A pair keeps its place from entering to the acknowledged leave; `where`
finds it by peer and entity. Time and memory grow with the pairs in view; `where` alone is an int32
for every peer and entity, never walked as a whole. What leaves the view before it was told is
forgotten, with the time that it has waited.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.sync.baselines import PLACES
from netcode.wire.bits import Ints

NONE = -1
NEVER = -(1 << 30)
"""Long before the first broadcast."""
_FIRST = 64


class Pairs:
    """Arrays of one value a pair; a place that holds no pair has entity `NONE`."""

    def __init__(self) -> None:
        self.used = 0
        """Places below this one have been used."""
        self._free: list[Ints] = []
        self._columns: dict[str, NDArray[Any]] = {
            "slot": np.zeros(_FIRST, dtype=np.int64),
            "entity": np.zeros(_FIRST, dtype=np.int64),
            "present": np.zeros(_FIRST, dtype=np.bool_),
            "entered": np.zeros(_FIRST, dtype=np.bool_),
            "pending": np.zeros(_FIRST, dtype=np.bool_),
            "doubtful": np.zeros(_FIRST, dtype=np.bool_),
            "attributes": np.zeros(_FIRST, dtype=np.int32),
            "since": np.zeros(_FIRST, dtype=np.int32),
            "settled": np.zeros(_FIRST, dtype=np.int32),
            "sent": np.zeros(_FIRST, dtype=np.int32),
            "due_since": np.zeros(_FIRST, dtype=np.int32),
            "stamp": np.zeros(_FIRST, dtype=np.int32),
            "said": np.zeros(_FIRST, dtype=np.uint32),
        }
        self._bind()
        self.mention = np.zeros((PLACES, _FIRST), dtype=np.uint8)
        """By place of a broadcast: 1 + index of the packet that mentioned the pair, or 0."""
        self.where = np.full((0, 0), NONE, dtype=np.int32)
        """By slot and entity: the pair's place, or `NONE`."""

    def _bind(self) -> None:
        columns = self._columns
        self.slot: Ints = columns["slot"]
        self.entity: Ints = columns["entity"]
        self.present: NDArray[np.bool_] = columns["present"]
        """False while the peer is told that the entity leaves."""
        self.entered: NDArray[np.bool_] = columns["entered"]
        """Whether the peer has acknowledged anything of this epoch."""
        self.pending: NDArray[np.bool_] = columns["pending"]
        """Whether the newest value is not known to be acknowledged."""
        self.doubtful: NDArray[np.bool_] = columns["doubtful"]
        """Whether the peer may hold something else than the epoch's first value."""
        self.attributes: NDArray[np.int32] = columns["attributes"]
        """What an entry says: generation, interval and control."""
        self.since: NDArray[np.int32] = columns["since"]
        """The broadcast in which the epoch began."""
        self.settled: NDArray[np.int32] = columns["settled"]
        """The last broadcast at which the newest value was known to be acknowledged."""
        self.sent: NDArray[np.int32] = columns["sent"]
        self.due_since: NDArray[np.int32] = columns["due_since"]
        """Last sent, or first changed after it had been settled: what priority counts from."""
        self.stamp: NDArray[np.int32] = columns["stamp"]
        """The last broadcast in which interest named the pair."""
        self.said: NDArray[np.uint32] = columns["said"]
        """Bit i: mentioned i broadcasts ago."""

    @property
    def capacity(self) -> int:
        return len(self.slot)

    @property
    def bytes_each(self) -> int:
        """Memory of one pair, `where` apart."""
        return sum(column.itemsize for column in self._columns.values()) + PLACES

    def __len__(self) -> int:
        return int(np.count_nonzero(self.entity[: self.used] != NONE))

    def interval(self, places: Ints) -> NDArray[np.uint8]:
        """Broadcasts from one update of these pairs to the next."""
        return np.asarray(1 << (self.attributes[places] >> 1 & 3), dtype=np.uint8)

    # -- room --------------------------------------------------------------------------------

    def fit(self, slots: int, entities: int) -> None:
        have_slots, have_entities = self.where.shape
        if slots <= have_slots and entities <= have_entities:
            return
        shape = (
            have_slots if slots <= have_slots else max(slots, 2 * have_slots),
            max(entities, have_entities),
        )
        where = np.full(shape, NONE, dtype=np.int32)
        where[:have_slots, :have_entities] = self.where
        self.where = where

    def move(self, new_number: Ints, entities: int) -> None:
        """Entities have new numbers: ``new_number[old]``."""
        places = np.flatnonzero(self.entity[: self.used] != NONE)
        self.entity[places] = new_number[self.entity[places]]
        self.where = np.full((len(self.where), entities), NONE, dtype=np.int32)
        self.where[self.slot[places], self.entity[places]] = places

    def take(self, slots: Ints, entities: Ints) -> Ints:
        """Places for new pairs, their columns not yet meaningful."""
        count = len(slots)
        places = self._spare(count)
        self.slot[places] = slots
        self.entity[places] = entities
        self.where[slots, entities] = places
        return places

    def _spare(self, count: int) -> Ints:
        taken = []
        while count and self._free:
            free = self._free.pop()
            if len(free) > count:
                self._free.append(free[count:])
                free = free[:count]
            taken.append(free)
            count -= len(free)
        if count:
            need = self.used + count
            if need > self.capacity:
                more = max(need, 2 * self.capacity) - self.capacity
                for name, column in self._columns.items():
                    grown = np.zeros(len(column) + more, dtype=column.dtype)
                    grown[: len(column)] = column
                    self._columns[name] = grown
                self._bind()
                self.mention = np.concatenate(
                    [self.mention, np.zeros((PLACES, more), dtype=np.uint8)], axis=1
                )
            taken.append(np.arange(self.used, need))
            self.entity[self.used : need] = NONE
            self.used = need
        return np.concatenate(taken) if taken else np.zeros(0, dtype=np.int64)

    def drop(self, places: Ints) -> None:
        """Forget these pairs."""
        if len(places) == 0:
            return
        self.where[self.slot[places], self.entity[places]] = NONE
        self.entity[places] = NONE
        self.pending[places] = self.present[places] = False
        self.stamp[places] = NEVER
        self._free.append(places)

    def forget(self, slot: int) -> None:
        """The peer of this slot has gone; the next one begins with nothing."""
        if slot < len(self.where):
            used = self.entity[: self.used] != NONE
            self.drop(np.flatnonzero(used & (self.slot[: self.used] == slot)))

    # -- epochs ------------------------------------------------------------------------------

    def begin(self, places: Ints, attributes: NDArray[np.int32], number: int) -> None:
        """A new epoch: nothing that was acknowledged before counts."""
        self.present[places] = True
        self.attributes[places] = attributes
        self.since[places] = number
        # Whoever waits already keeps the place in the order.
        waits = self.pending[places]
        self.due_since[places] = np.where(waits, self.due_since[places], number)
        self.entered[places] = False
        self.pending[places] = True
        self.settled[places] = self.sent[places] = NEVER
        self._unsay(places)

    def renew(self, places: Ints, number: int) -> None:
        """A new epoch of pairs that are told in full anyway: they keep their place in the order."""
        self.since[places] = number
        self.entered[places] = False
        self.doubtful[places] = True
        self._unsay(places)

    def end(self, places: Ints, number: int) -> None:
        """These pairs have left the view, of which the peer must hear; unless it never heard."""
        unheard = self.sent[places] == NEVER
        unheard &= ~self.doubtful[places]
        self.drop(places[unheard])
        places = places[~unheard]
        self.present[places] = self.entered[places] = False
        waits = self.pending[places]
        self.due_since[places] = np.where(waits, self.due_since[places], number)
        self.pending[places] = True
        self._unsay(places)

    def _unsay(self, places: Ints) -> None:
        self.said[places] = 0
        self.mention[:, places] = 0
