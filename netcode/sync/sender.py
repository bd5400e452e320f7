"""The sender: turns the newest frame of history into packets for every peer.

For each peer and row it remembers what was sent last, since which packet that has been so (the
*floor*), and the newest packet holding it that the peer acknowledged. A value is settled once a
packet at or above its floor has been acknowledged; until then every broadcast repeats it. So the
first packet that arrives after a loss makes right what it carries, and no order matters.

Presence (which generation, and whether the peer controls it) is column 0 of the same scheme: an
entity that enters brings all its fields until its entry is acknowledged, one that leaves is
repeated until its leaving is.

Cost: what is due is found for all peers at once, in about thirty numpy calls a table over
(peers, rows) arrays; packing costs about thirty a packet and table. No loop over entities.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Text
from netcode.sync.interest import Interest, Viewers, positions
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.bits import BitWriter
from netcode.wire.packets import STATE_HEADER_BYTES, WINDOW, StateHeader
from netcode.world.history import ABSENT, Frame, TableFrame
from netcode.world.table import Table

MAX_PACKETS = 16
"""State packets for one peer in one broadcast (17 kB): what does not fit waits its turn. Entities
of more than half a packet leave gaps, so that there may be twice as many; the bytes stay."""

SECTION_BITS = 8 + 16
ROW_BITS = 16
LIFE_BITS = 15
PACKET_BITS = (MAX_DATAGRAM - STATE_HEADER_BYTES - 1) * 8
"""Bits for sections in one packet; a byte is kept for the padding and the closing section."""

SENT_KEPT = 4 * WINDOW * MAX_PACKETS
"""Sent packets remembered for their acknowledgement; older ones count as lost."""

END = 255
"""The class number that closes a packet."""


class _Pairs:
    """All peers' pairs with the rows of one table: arrays of shape (slots, rows, …).

    Column 0 is presence, then come the fields.
    """

    def __init__(self, table: Table[Any]) -> None:
        columns = 1 + len(table.fields)
        self.life = np.full((0, 0), ABSENT, dtype=np.int32)
        """Presence as last sent: generation << 1 | controlled, or `ABSENT`."""
        self.lanes = np.zeros((0, 0, table.lane_count), dtype=np.int32)
        """Lanes as last sent."""
        self.floor = np.zeros((0, 0, columns), dtype=np.int64)
        """Per column, the first packet since which the sent value has been the same."""
        self.acknowledged = np.zeros((0, 0, columns), dtype=np.int64)
        """Per column, the newest acknowledged packet that held it."""
        self.sent_tick = np.zeros((0, 0), dtype=np.int64)
        """When the row was last sent."""
        self.doubtful = np.zeros((0, 0), dtype=np.bool_)
        """Whether the peer may hold the row otherwise than its entry was last sent."""

    def fit(self, slots: int, rows: int) -> None:
        """Make room for this many peers and rows; new pairs are absent and settled."""
        have_slots, have_rows = self.life.shape
        if slots <= have_slots and rows <= have_rows:
            return
        shape = (
            have_slots if slots <= have_slots else max(slots, 2 * have_slots),
            have_rows if rows <= have_rows else max(rows, 2 * have_rows),
        )
        for name, empty in _EMPTY.items():
            old = getattr(self, name)
            new = np.full((*shape, *old.shape[2:]), empty, dtype=old.dtype)
            new[:have_slots, :have_rows] = old
            setattr(self, name, new)

    def forget(self, slot: int) -> None:
        """The peer of this slot has gone; the next one begins with nothing."""
        if slot < len(self.life):
            for name, empty in _EMPTY.items():
                getattr(self, name)[slot] = empty


_EMPTY = {
    "life": ABSENT,
    "lanes": 0,
    "floor": 0,
    "acknowledged": 0,
    "sent_tick": 0,
    "doubtful": False,
}


@dataclass(slots=True)
class _Batch:
    """Rows of one table that need telling, and what of them."""

    table: int
    rows: NDArray[np.intp]
    columns: NDArray[np.bool_]
    """Which columns go out: shape (rows, 1 + fields)."""
    life: NDArray[np.int32]
    lanes: NDArray[np.int32]
    bits: NDArray[np.int64]
    sent_tick: NDArray[np.int64]

    def part(self, chosen: Any) -> "_Batch":
        return _Batch(
            self.table,
            self.rows[chosen],
            self.columns[chosen],
            self.life[chosen],
            self.lanes[chosen],
            self.bits[chosen],
            self.sent_tick[chosen],
        )


@dataclass(slots=True)
class Peer:
    """What the sender knows of one peer; the fields of the header are set by the caller."""

    player: int
    """The number that marks the rows this peer controls."""
    slot: int
    """Where this peer's pairs stand in the arrays."""
    viewpoint: tuple[float, ...] | None = None
    """Where the player looks from; None follows the first entity that the player controls."""
    rtt_ticks: int = 12
    """Round trip in ticks: an entry is not repeated before its acknowledgement can be here."""
    client_packet: int = 0
    input_tick: int | None = None
    earliness: float = 0.0
    sequence: int = 0
    """Of the newest packet sent."""
    sent: dict[int, list[tuple[int, NDArray[np.intp], NDArray[np.bool_]]]] = field(
        default_factory=dict
    )
    deferred: int = 0
    """Rows that had to wait in the last broadcast."""
    unsure: bool = False
    """Whether rows go unmentioned of which the peer may hold something else than was sent."""


class Sender:
    """Tells every peer what it may see. One for each server."""

    def __init__(self, tables: Sequence[Table[Any]], interest: Interest) -> None:
        self._tables = tables
        self._interest = interest
        self.peers: dict[int, Peer] = {}
        self._pairs = [_Pairs(table) for table in tables]

    def add(self, player: int) -> Peer:
        """Begin to tell this player; nothing is known at the other end yet."""
        taken = {peer.slot for peer in self.peers.values()}
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self.peers[player] = Peer(player, slot)
        return self.peers[player]

    def remove(self, player: int) -> None:
        peer = self.peers.pop(player, None)
        if peer is not None:
            for pairs in self._pairs:
                pairs.forget(peer.slot)

    def acknowledge(self, peer: Peer, newest: int, window: int) -> None:
        """The peer has packet ``newest`` and, for bit i of ``window``, packet newest - 1 - i.

        Numbers of packets that were never sent, or are long settled, are ignored.
        """
        for sequence in (newest, *(newest - 1 - i for i in range(WINDOW) if window >> i & 1)):
            record = peer.sent.pop(sequence, None)
            if record is None:
                continue
            for table, rows, columns in record:
                known = self._pairs[table].acknowledged[peer.slot]
                known[rows] = np.maximum(known[rows], columns * np.int64(sequence))

    def broadcast(self, frame: Frame) -> dict[int, list[bytes]]:
        """The packets of this frame for every peer, at least one each.

        Every packet carries a header, so that also a player in an empty view hears of the tick
        and of the inputs consumed.
        """
        peers = list(self.peers.values())
        if not peers:
            return {}
        batches: dict[int, list[_Batch]] = {peer.slot: [] for peer in peers}
        for peer in peers:
            peer.unsure = False
        viewpoints = self._viewpoints(peers)
        for index, kept in enumerate(frame.tables):
            if kept.size:
                for slot, batch in self._due(index, kept, peers, viewpoints, frame.tick):
                    batches[slot].append(batch)
        return {peer.player: self._packets(peer, frame.tick, batches[peer.slot]) for peer in peers}

    # -- interest ----------------------------------------------------------------------------

    def _viewpoints(self, peers: Sequence[Peer]) -> NDArray[np.float64]:
        """Where the peer of each slot looks from: (slots, 3), NaN for nowhere."""
        viewpoints = np.full((1 + max(peer.slot for peer in peers), 3), np.nan)
        for peer in peers:
            point = peer.viewpoint or self._follow(peer)
            if point is not None:
                viewpoints[peer.slot] = (*point, 0.0)[:3]
        return viewpoints

    def _visible(
        self,
        index: int,
        peers: Sequence[Peer],
        viewpoints: NDArray[np.float64],
        mine: NDArray[np.bool_],
    ) -> NDArray[np.bool_]:
        """Which rows each peer is told about: bool (slots, rows)."""
        table = self._tables[index]
        seen = self._pairs[index].life[: len(mine), : table.size] != ABSENT
        visible = self._interest.visible(table, Viewers(viewpoints, seen))
        active = np.zeros((len(mine), 1), dtype=np.bool_)
        active[[peer.slot for peer in peers]] = True
        return np.asarray((visible | mine) & table.alive & active)

    def _follow(self, peer: Peer) -> tuple[float, ...] | None:
        for table in self._tables:
            own = np.flatnonzero(table.owner == peer.player)
            if len(own):
                here = positions(table)
                if here is not None:
                    return tuple(here[own[0]].tolist())
        return None

    # -- what is due -------------------------------------------------------------------------

    def _due(
        self,
        index: int,
        frame: TableFrame,
        peers: Sequence[Peer],
        viewpoints: NDArray[np.float64],
        tick: int,
    ) -> Iterator[tuple[int, _Batch]]:
        """For each slot with anything to tell, the rows of this table and what of them."""
        table, pairs, size = self._tables[index], self._pairs[index], frame.size
        slots = len(viewpoints)
        pairs.fit(slots, size)
        players = np.full((slots, 1), -1, dtype=np.int64)
        rtt_ticks = np.zeros((slots, 1), dtype=np.int64)
        for peer in peers:
            players[peer.slot], rtt_ticks[peer.slot] = peer.player, peer.rtt_ticks
        mine = table.owner == players
        visible = self._visible(index, peers, viewpoints, mine)
        life = np.where(visible, frame.life << 1 | mine, ABSENT).astype(np.int32)
        present = life != ABSENT

        due = np.empty((slots, size, 1 + len(table.fields)), dtype=np.bool_)
        due[:, :, 0] = life != pairs.life[:slots, :size]
        moved = frame.lanes != pairs.lanes[:slots, :size]
        for column, described in enumerate(table.fields, start=1):
            due[:, :, column] = moved[:, :, table.lanes_of(described)].any(axis=2)
        due[:, :, 1:] &= present[:, :, None]
        may_see = present & mine
        for column, described in enumerate(table.fields, start=1):
            if described.only_owner:
                due[:, :, column] &= may_see
        changed_now = due.any(axis=2)
        unsettled = pairs.acknowledged[:slots, :size] < pairs.floor[:slots, :size]
        entering = (unsettled[:, :, 0] | due[:, :, 0]) & present
        due |= unsettled
        due[:, :, 1:] |= entering[:, :, None]
        due[:, :, 1:] &= present[:, :, None]
        for column, described in enumerate(table.fields, start=1):
            if described.only_owner:
                due[:, :, column] &= may_see

        # An entry whose row rests is repeated only when its acknowledgement is overdue: this is
        # what keeps the burst at joining from being sent once per broadcast.
        waiting = entering & ~changed_now & (pairs.sent_tick[:slots, :size] + rtt_ticks > tick)
        unsure = (waiting & pairs.doubtful[:slots, :size]).any(axis=1)
        for peer in peers:
            peer.unsure |= bool(unsure[peer.slot])
        slot_of, rows = np.nonzero(due.any(axis=2) & ~waiting)
        if len(rows) == 0:
            return
        columns, told, lanes = due[slot_of, rows], life[slot_of, rows], frame.lanes[rows]
        everyone = _Batch(
            table=index,
            rows=rows,
            columns=columns,
            life=told,
            lanes=lanes,
            bits=self._bits(table, columns, told, lanes),
            sent_tick=pairs.sent_tick[slot_of, rows],
        )
        for slot in np.unique(slot_of).tolist():
            start, stop = np.searchsorted(slot_of, (slot, slot + 1))
            yield slot, everyone.part(slice(start, stop))

    def _bits(
        self,
        table: Table[Any],
        columns: NDArray[np.bool_],
        life: NDArray[np.int32],
        lanes: NDArray[np.int32],
    ) -> NDArray[np.int64]:
        """The bits that each row takes in a packet."""
        present = life != ABSENT
        bits = ROW_BITS + 1 + columns[:, 0] * (1 + present * (LIFE_BITS + 1)).astype(np.int64)
        bits += present * len(table.fields)
        for column, described in enumerate(table.fields, start=1):
            if isinstance(described, Text):
                numbers = lanes[:, table.lanes_of(described).start]
                text_bits = np.zeros(len(numbers), dtype=np.int64)
                for place in np.flatnonzero(columns[:, column]).tolist():
                    text_bits[place] = 8 + 8 * len(self._encoded(table, int(numbers[place])))
                bits += text_bits
            else:
                bits += columns[:, column] * sum(described.lane_bits)
        return np.asarray(bits)

    # -- packets -----------------------------------------------------------------------------

    def _packets(self, peer: Peer, tick: int, batches: list[_Batch]) -> list[bytes]:
        batches, peer.deferred = _within(batches, MAX_PACKETS * (PACKET_BITS - 1024))
        cuts = list(_cut(batches)) or [[]]
        packets = []
        for index, sections in enumerate(cuts):
            peer.sequence += 1
            header = StateHeader(
                sequence=peer.sequence,
                tick=tick,
                index=index,
                count=len(cuts),
                deferred=peer.deferred > 0 or peer.unsure,
                client_packet=peer.client_packet,
                input_tick=peer.input_tick,
                earliness=peer.earliness,
            )
            body = BitWriter()
            for batch in sections:
                self._write(body, batch)
                self._remember(peer, batch, tick)
            body.write_one(END, 8)
            peer.sent[peer.sequence] = [(b.table, b.rows, b.columns) for b in sections]
            packets.append(header.encode() + body.getvalue())
        while len(peer.sent) > SENT_KEPT:
            del peer.sent[next(iter(peer.sent))]
        return packets

    def _write(self, body: BitWriter, batch: _Batch) -> None:
        table = self._tables[batch.table]
        told = batch.columns[:, 0]
        present = batch.life != ABSENT
        body.write_one(batch.table, 8)
        body.write_one(len(batch.rows), 16)
        body.write(batch.rows, ROW_BITS)
        body.write_flags(told)
        body.write_flags(present[told])
        entering = batch.life[told & present]
        body.write(entering >> 1, LIFE_BITS)
        body.write_flags((entering & 1).astype(np.bool_))
        columns, lanes = batch.columns[present], batch.lanes[present]
        for column in range(1, columns.shape[1]):
            body.write_flags(np.ascontiguousarray(columns[:, column]))
        for column, described in enumerate(table.fields, start=1):
            told_lanes = lanes[columns[:, column], table.lanes_of(described)]
            if isinstance(described, Text):
                for number in told_lanes[:, 0].tolist():
                    data = self._encoded(table, number)
                    body.write_one(len(data), 8)
                    body.write(data, 8)
            else:
                for lane, width in enumerate(described.lane_bits):
                    body.write(told_lanes[:, lane], width)

    def _remember(self, peer: Peer, batch: _Batch, tick: int) -> None:
        pairs, rows, slot = self._pairs[batch.table], batch.rows, peer.slot
        table = self._tables[batch.table]
        pairs.sent_tick[slot, rows] = tick
        floor, before = pairs.floor[slot, rows], pairs.lanes[slot, rows]
        life, settled = pairs.life[slot, rows], pairs.acknowledged[slot, rows, 0] >= floor[:, 0]
        fresh = batch.life != life
        doubtful = np.where(fresh, (life != ABSENT) | ~settled, pairs.doubtful[slot, rows])
        moved = batch.lanes != before
        for column, described in enumerate(table.fields, start=1):
            where = table.lanes_of(described)
            said = batch.columns[:, column]
            changed = said & moved[:, where].any(axis=1)
            floor[changed, column] = peer.sequence
            doubtful |= changed & ~fresh
            # What a peer may not see must not look sent: it counts as changed when it may.
            batch.lanes[:, where] = np.where(said[:, None], batch.lanes[:, where], before[:, where])
        floor[fresh] = peer.sequence
        pairs.doubtful[slot, rows] = doubtful
        # Nothing of an absent row is due but its absence.
        floor[batch.life == ABSENT, 1:] = 0
        pairs.floor[slot, rows] = floor
        pairs.lanes[slot, rows] = batch.lanes
        pairs.life[slot, rows] = batch.life

    def _encoded(self, table: Table[Any], number: int) -> NDArray[np.uint8]:
        return np.frombuffer(table.context.text(number).encode("utf-8"), dtype=np.uint8)


def _within(batches: list[_Batch], limit: int) -> tuple[list[_Batch], int]:
    """The rows that fit into ``limit`` bits, those first that have waited longest; and the rest.

    Every row that is sent moves to the end of the order, so a row waits for at most (bits due /
    limit, rounded up) broadcasts.
    """
    if sum(int(batch.bits.sum()) for batch in batches) <= limit:
        return batches, 0
    waited = np.concatenate([batch.sent_tick for batch in batches])
    bits = np.concatenate([batch.bits for batch in batches])
    order = np.argsort(waited, kind="stable")
    fits = np.zeros(len(bits), dtype=np.bool_)
    fits[order] = np.cumsum(bits[order]) <= limit
    kept, start = [], 0
    for batch in batches:
        chosen = fits[start : start + len(batch.rows)]
        start += len(batch.rows)
        if chosen.any():
            kept.append(batch.part(chosen))
    return kept, int(np.count_nonzero(~fits))


def _cut(batches: list[_Batch]) -> Iterator[list[_Batch]]:
    """Cut into packets of at most `PACKET_BITS`, a section being part of one table's rows."""
    sections: list[_Batch] = []
    room = PACKET_BITS
    for batch in batches:
        ends = np.cumsum(batch.bits)
        start = 0
        while start < len(ends):
            spent = int(ends[start - 1]) if start else 0
            stop = int(np.searchsorted(ends, spent + room - SECTION_BITS, side="right"))
            if stop <= start:
                yield sections
                sections, room = [], PACKET_BITS
                continue
            sections.append(batch.part(slice(start, stop)))
            room -= SECTION_BITS + int(ends[stop - 1]) - spent
            start = stop
    if sections:
        yield sections
