"""What was true when: everything that one player was to be shown at every broadcast, kept in full,
and compared with what the player's end holds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Ref, Text
from netcode.sync.receiver import Receiver
from netcode.world.history import ABSENT, Frame, History
from netcode.world.layout import PartKind
from netcode.world.table import Table
from netcode.world.world import World

Lanes = NDArray[np.int64]
NEVER = -1


class Texts:
    """Each end numbers texts in its own way: the same number for the same text here."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def lanes(self, table: Table[Any], lanes: NDArray[np.int32]) -> Lanes:
        """Lanes (…, lane_count) with texts numbered alike for all ends."""
        alike = lanes.astype(np.int64)
        for described in table.fields:
            if isinstance(described, Text):
                lane = table.lanes_of(described).start
                ids, places = np.unique(alike[..., lane], return_inverse=True)
                texts = [table.context.text(number) for number in ids.tolist()]
                numbers = [self._numbers.setdefault(t, len(self._numbers)) for t in texts]
                alike[..., lane] = np.array(numbers, dtype=np.int64)[
                    places.reshape(alike.shape[:-1])
                ]
        return alike

    def defaults(self, table: Table[Any]) -> Lanes:
        lanes: list[int] = []
        for described in table.fields:
            if isinstance(described, Text):
                lanes.append(self._numbers.setdefault(described.default, len(self._numbers)))
            else:
                lanes += described.encode(described.default, table.context)
        return np.array(lanes, dtype=np.int64)


class _TableLedger:
    """One class: by broadcast and row its life (`ABSENT` if not shown), control and lanes."""

    def __init__(self, table: Table[Any], defaults: Lanes) -> None:
        self.life = np.full((64, 16), ABSENT, dtype=np.int64)
        self.mine = np.zeros((64, 16), dtype=np.bool_)
        self.lanes = np.zeros((64, 16, table.lane_count), dtype=np.int64)
        self.defaults = defaults
        self.public = np.ones(table.lane_count, dtype=np.bool_)
        self.private = np.zeros(table.lane_count, dtype=np.bool_)
        for described in table.fields:
            hidden = described.only_owner or isinstance(described, Ref)
            self.public[table.lanes_of(described)] = not hidden
            self.private[table.lanes_of(described)] = described.only_owner

    def fit(self, numbers: int, rows: int) -> None:
        have_numbers, have_rows = self.life.shape
        if numbers <= have_numbers and rows <= have_rows:
            return
        shape = max(numbers, 2 * have_numbers), max(rows, have_rows)
        for name, empty in (("life", ABSENT), ("mine", False), ("lanes", 0)):
            old = getattr(self, name)
            grown = np.full((*shape, *old.shape[2:]), empty, dtype=old.dtype)
            grown[:have_numbers, :have_rows] = old
            setattr(self, name, grown)


class Ledger:
    """Of one player, at whose end stand ``world``, ``history`` and ``receiver``."""

    def __init__(
        self, player: int, world: World, history: History, receiver: Receiver, texts: Texts
    ) -> None:
        self.player = player
        self.world = world
        self.history = history
        self.receiver = receiver
        self._texts = texts
        self._tables = [_TableLedger(table, texts.defaults(table)) for table in world.tables]

    def write(
        self, tables: tuple[Table[Any], ...], frame: Frame, named: dict[str, set[int] | None]
    ) -> None:
        """What the player is to be shown of this frame; ``named`` are the rows that interest
        names for this player, by class, or None for all."""
        shown = []
        for table, kept in zip(tables, frame.tables, strict=True):
            of_class = named.get(table.kind.__name__)
            seen = np.full(kept.size, of_class is None, dtype=np.bool_)
            if of_class is not None:
                seen[sorted(of_class)] = True
            seen |= table.owner == self.player
            shown.append(np.flatnonzero(seen & (kept.life != ABSENT)))
        handles = {
            table.kind.__name__: kept.life[rows].astype(np.int64) << 16 | rows
            for table, kept, rows in zip(tables, frame.tables, shown, strict=True)
        }
        for table, kept, rows, ledger in zip(
            tables, frame.tables, shown, self._tables, strict=True
        ):
            ledger.fit(frame.number + 1, kept.size)
            mine = table.owner[rows] == self.player
            lanes = self._texts.lanes(table, kept.lanes[rows])
            lanes[:, ledger.private] = np.where(
                mine[:, None], lanes[:, ledger.private], ledger.defaults[ledger.private]
            )
            for described in table.fields:
                if isinstance(described, Ref):
                    lane = table.lanes_of(described).start
                    there = np.isin(lanes[:, lane] - 1, handles[described.target])
                    lanes[:, lane] = np.where(there, lanes[:, lane], 0)
            ledger.life[frame.number, rows] = kept.life[rows]
            ledger.mine[frame.number, rows] = mine
            ledger.lanes[frame.number, rows] = lanes

    # -- comparing ---------------------------------------------------------------------------

    def check_newest(self) -> None:
        """Every single thing that the player's end holds was true when it was said."""
        receiver, samples, layout = self.receiver, self.receiver.samples, self.history.layout
        held = [
            self._texts.lanes(table, known.lanes)
            for table, known in zip(self.world.tables, receiver.known, strict=True)
        ]
        for part in layout.parts:
            ledger, size = self._tables[part.table], self.history.sizes[part.table]
            first = int(layout.first[part.number])
            lanes = held[part.table][:, part.lanes]
            here = slice(first, first + size)
            life, said_at = samples.life[here], samples._said_at[here]
            absent = life == ABSENT
            if part.kind is not PartKind.PUBLIC:
                # What is still held of a row's former tenant is not shown for the present one.
                tenant = receiver.known[part.table].life
                absent |= (life != tenant) & (tenant != ABSENT)
            if part.kind is not PartKind.PUBLIC:
                rest = lanes[absent] == ledger.defaults[part.lanes]
                assert rest.all(), f"{part}: rows {np.flatnonzero(absent)[~rest.all(axis=1)]}"
            rows = np.flatnonzero((life != ABSENT) & (life == receiver.known[part.table].life))
            said_at = said_at[rows]
            assert (said_at >= 0).all()
            assert (ledger.life[said_at, rows] == life[rows]).all(), part
            same = lanes[rows] == ledger.lanes[said_at[:, None], rows[:, None], part.lanes]
            assert same.all(), f"{part}: rows {rows[~same.all(axis=1)]}"
            if part.kind is not PartKind.REFERENCE:
                assert (ledger.mine[said_at, rows] == samples.controlled[here][rows]).all(), part

    def check_history(self) -> None:
        """Known rows are as the server had them. In the newest tick, if it is complete, also what
        is told to few, unless it is not here yet and reads as the default."""
        history, layout = self.history, self.history.layout
        places = np.flatnonzero(history.numbers >= 0)
        numbers = history.numbers[places]
        newest = history.newest
        whole = newest.number if newest is not None and newest.complete else NEVER
        for index, (table, ledger) in enumerate(zip(self.world.tables, self._tables, strict=True)):
            size, count = history.sizes[index], layout.lane_counts[index]
            row, cell = layout.row_starts[index], layout.cell_starts[index]
            life = history.life[places, row : row + size]
            known = history.known[places, row : row + size]
            lanes = history.lanes[places, cell : cell + size * count]
            lanes = lanes.reshape(len(places), size, count)
            frame, rows = np.nonzero(known & (life != ABSENT))
            at = numbers[frame]
            assert (ledger.life[at, rows] == life[frame, rows]).all(), table.kind
            held = self._texts.lanes(table, lanes[frame, rows])
            same = held == ledger.lanes[at, rows]
            hidden = ~ledger.public
            same[:, hidden] |= held[:, hidden] == ledger.defaults[hidden]
            same[np.ix_(at != whole, hidden)] = True
            assert same.all(), _where(table, at, rows, same)

    def check_equal(self, number: int) -> None:
        """The player's end holds exactly what it is to be shown now, and knows it."""
        self.check_newest()
        self.check_history()
        for index, (table, ledger) in enumerate(zip(self.world.tables, self._tables, strict=True)):
            known, size = self.receiver.known[index], self.history.sizes[index]
            shown = ledger.life[number]
            assert (known.life == shown[:size]).all(), table.kind
            assert (shown[size:] == ABSENT).all(), table.kind
            rows = np.flatnonzero(known.life != ABSENT)
            assert (known.controlled[rows] == ledger.mine[number, rows]).all(), table.kind
            held = self._texts.lanes(table, known.lanes[rows])
            assert (held == ledger.lanes[number, rows]).all(), table.kind
        newest = self.history.newest
        assert newest is not None
        assert (newest.number, newest.complete) == (number, True)


def _where(table: Table[Any], numbers: Lanes, rows: Lanes, same: NDArray[np.bool_]) -> str:
    """Where something is not the same: broadcast, row and fields."""
    wrong = []
    for number, row, row_same in zip(numbers.tolist(), rows.tolist(), same, strict=True):
        names = [f.name for f in table.fields if not row_same[table.lanes_of(f)].all()]
        if names:
            wrong.append(f"broadcast {number} row {row}: {', '.join(names)}")
    return f"{table.kind.__name__}: {'; '.join(wrong)}"
