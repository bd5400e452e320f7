"""The sender: turns the newest frame of history into packets for every peer.

One pass over arrays of (peer, entity) pairs, for all peers and all classes at once:

1. interest says which pairs are in view; what came begins an epoch, what went ends it (`views`);
2. *due* are the pairs whose entity has changed, and those whose newest value is not known to have
   arrived;
3. their baselines are what both ends know to be shared (`baselines`); a pair without one is told
   in full, as an entry;
4. all others are predicted and coded (`coder`);
5. where a peer's budget does not reach, the most urgent go first (`priority`, `packing`);
6. everything is packed at once (`wire.state_writer`).

An entry, a change and a leave are repeated until a packet that carried them is acknowledged. So
the first packet that arrives after a loss makes right what it carries, and no order matters.

Cost: about 600 calls of numpy whatever the number of peers, some 15 more for each class, then about
1 µs for each pair that is due.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.sync.baselines import PLACES, REACH, RESTING, Acknowledged, Mask, shared
from netcode.sync.coder import LANE_BITS, Coder, Coding
from netcode.sync.entries import Entries
from netcode.sync.interest import Everything, Interest
from netcode.sync.packing import PACKET_BITS, Packing
from netcode.sync.pairs import NEVER, NONE, Pairs
from netcode.sync.peers import ENTER, LEAVE, UPDATE, Peer, Told
from netcode.sync.priority import Priority
from netcode.sync.views import Views
from netcode.wire.bits import ESCAPE, Ints, edges, sizes
from netcode.wire.packets import encode_state_header
from netcode.wire.state_reader import MAX_AGE
from netcode.wire.state_writer import EMPTY
from netcode.world.history import LENGTH, Frame, History
from netcode.world.table import Table

LOSS_PACKETS = 8
"""State packets before the newest that one acknowledgement's loss is taken over: fewer than the
shortest window speaks of."""
LOSS_SHARE = 0.1
"""Of each new figure in the smoothed loss: most of a second's worth."""

LANE_BITS_MOST = LANE_BITS + ESCAPE + 1
"""What an update of a lane may take beyond the lane itself."""
FULL_BITS = PACKET_BITS - 200
"""For the lanes of one row: the rest is the lists around it."""


class Sender:
    """Tells every peer what it may see. One for each server."""

    def __init__(
        self,
        tables: Sequence[Table[Any]],
        history: History,
        interest: Interest | None = None,
        priority: Priority | None = None,
    ) -> None:
        self.tables = tables
        self.history = history
        self.interest = interest or Everything()
        self.peers: dict[int, Peer] = {}
        self.pairs = Pairs()
        self.views = Views(tables, history, self.interest, self.pairs)
        self.entries = Entries(tables, history, self.pairs)
        self._packing = Packing(
            tables, history, self.pairs, self.views, self.entries, priority or Priority()
        )
        self._acknowledged = Acknowledged()
        self._coder = Coder(history, self.entries.encoded)
        self._ages = np.zeros(0, dtype=np.int64)
        """How old each slot's newest acknowledged broadcast is; 0 for none in reach."""
        self.number = -1
        """The last broadcast."""
        self.spent_on_lanes = np.zeros((0, len(history.layout.traits.bits)), dtype=np.int64)
        """Bits so far, by slot and lane of all parts."""
        self.spent_on_entries = np.zeros((0, len(history.layout.parts)), dtype=np.int64)
        """Bits so far, by slot and part."""
        self.told = Told()
        _widen_the_heap()

    def add(self, player: int) -> Peer:
        """Begin to tell this player; nothing is known at the other end yet."""
        taken = {peer.slot for peer in self.peers.values()}
        slot = next(slot for slot in range(len(taken) + 1) if slot not in taken)
        self.peers[player] = Peer(player, slot)
        self._acknowledged.fit(slot + 1)
        for name in ("spent_on_lanes", "spent_on_entries"):
            spent = getattr(self, name)
            if slot >= len(spent):
                more = np.zeros((max(slot + 1, 2 * len(spent)) - len(spent), spent.shape[1]))
                setattr(self, name, np.concatenate([spent, more.astype(np.int64)]))
            getattr(self, name)[slot] = 0
        return self.peers[player]

    def remove(self, player: int) -> None:
        """This player has gone."""
        peer = self.peers.pop(player, None)
        if peer is not None:
            self.pairs.forget(peer.slot)
            self.views.forget(player)
            self._acknowledged.forget(peer.slot)

    def acknowledge(self, peer: Peer, client_packet: int, newest: int, window: int) -> None:
        """The peer's packet ``client_packet`` says that it has state packet ``newest`` and, for
        bit i of ``window``, packet newest - 1 - i.

        Only a client packet newer than the last counts, and only numbers that were sent.
        """
        if client_packet > peer.client_packet and 0 < newest <= peer.sequence:
            peer.client_packet = client_packet
            if newest > LOSS_PACKETS:
                missing = LOSS_PACKETS - (window & ((1 << LOSS_PACKETS) - 1)).bit_count()
                peer.loss += (missing / LOSS_PACKETS - peer.loss) * LOSS_SHARE
            self._acknowledged.heard(peer.slot, newest, window)

    def memory(self) -> dict[str, int]:
        """Bytes that the state of pairs and entities takes, and how many of each there are."""
        history, pairs = self.history, self.pairs
        rows = sum(history.sizes)
        ring = history.lanes.nbytes + history.life.nbytes + history.known.nbytes
        return {
            "pairs": len(pairs),
            "pair_bytes": pairs.bytes_each,
            "where_bytes": pairs.where.nbytes,
            "entities": rows,
            "entity_bytes": ring // max(history.layout.rows, 1),
            "history_bytes": ring,
        }

    # -- a broadcast -------------------------------------------------------------------------

    def broadcast(self, frame: Frame) -> dict[int, list[bytes]]:
        """The packets of this frame for every peer that is not away, at least one each.

        Every packet carries a header, so that also a player in an empty view hears of the tick
        and of the inputs consumed.
        """
        number, peers = frame.number, list(self.peers.values())
        self._begin(number)
        if not peers:
            return {}
        self._acknowledged.work_out()
        self.views.update(frame, peers)
        bodies = self._tell(number, peers, *self._due(number))
        return self._packets(frame, peers, bodies)

    def _begin(self, number: int) -> None:
        """Make place for what this broadcast says."""
        pairs = self.pairs
        for skipped in range(max(self.number + 1, number - REACH), number + 1):
            pairs.mention[skipped % PLACES, : pairs.used] = 0
            self._acknowledged.skip(skipped)
        said = pairs.said[: pairs.used]
        said <<= np.uint32(min(number - self.number, 31))
        self.number = number

    def _due(self, number: int) -> tuple[Ints, Mask, Ints]:
        """Pairs of which something is to be said, ordered by peer, part and row; the values that
        each shares with its peer, and what is to be said."""
        pairs, views = self.pairs, self.views
        places = self._candidates()
        fresh = places[~pairs.pending[places]]
        pairs.due_since[fresh] = number
        resting = np.setdiff1d(self._own_of_deferring(), places)
        if len(resting):
            places, fresh = np.concatenate([places, resting]), np.concatenate([fresh, resting])
        pairs.pending[fresh] = True
        pairs.settled[fresh] = number - 1
        entity, slot = pairs.entity[places], pairs.slot[places]
        key = slot * pairs.where.shape[1] + entity
        if (key[1:] < key[:-1]).any():
            order = key.argsort()
            places, entity, slot = places[order], entity[order], slot[order]

        masks = self._shared(number, places, slot)
        heard = masks != 0
        present = pairs.present[places]
        changed_at = views.changed_at[entity]
        patterns = self._coder.patterns
        rows = patterns.rows(masks)  # before their arrays are read: it may make them grow
        settled = heard & (number - patterns.newest[rows] >= changed_at)
        what = np.zeros(len(places), dtype=np.int64)
        if not present.all():
            settled |= heard & ~present
            pairs.drop(places[heard & ~present])
            what[~present] = LEAVE
        pairs.entered[places[heard]] = True
        if settled.any():
            done = places[settled]
            pairs.pending[done] = False
            pairs.settled[done] = number
        said = ~settled
        if len(resting):
            said |= np.isin(places, resting) & heard & present

        unheard = (present & ~heard).nonzero()[0]
        if len(unheard):
            entering, waits = self._entering(
                number, places[unheard], slot[unheard], changed_at[unheard] == number
            )
            what[unheard[entering]] = ENTER
            said[unheard[waits]] = False
        if views.any_slower:
            row = self.history.layout.row_of[entity]
            turn = (number + row) % pairs.interval(places) == 0
            said &= turn | (what != UPDATE)
        if said.all():
            return places, masks, what
        return places[said], masks[said], what[said]

    def _entering(
        self, number: int, places: Ints, slot: Ints, now: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of pairs without a shared value: which have no baseline at all and are told in full, and
        which of those wait. ``now`` says which entities have just changed."""
        pairs = self.pairs
        entered = pairs.entered[places]
        entering = ~entered
        if self.history.numbers[(number - RESTING) % LENGTH] == number - RESTING:
            entering |= pairs.settled[places] < number - RESTING
        else:
            entering[:] = True
        # An entry tells the age of its epoch in six bits: older ones begin anew.
        old = places[entering & (number - pairs.since[places] > MAX_AGE)]
        pairs.renew(old, number)
        sent = pairs.sent[places]
        # The peer may hold an older value of this epoch: it must not take silence for rest.
        pairs.doubtful[places[entering & now & (sent > NEVER)]] = True
        rtt = np.zeros(len(pairs.where))
        for peer in self.peers.values():
            rtt[peer.slot] = peer.rtt
        certain = ~pairs.doubtful[places] & ~entered
        return entering, entering & certain & (sent + rtt[slot] > number)

    def _candidates(self) -> Ints:
        """Places of pairs that are pending, or whose entity has just changed."""
        pairs, changed = self.pairs, self.views.changed
        used = pairs.used
        pending = pairs.pending[:used]
        moved = np.flatnonzero(changed)
        slots = len(pairs.where)
        if len(moved) * slots * 4 < used:
            places = pairs.where[:, moved].reshape(-1)
            places = places[places != NONE]
            places = places[~pending[places] & pairs.present[places]]
            return np.concatenate([np.flatnonzero(pending), places])
        due = changed.take(pairs.entity[:used])
        due &= pairs.present[:used]
        due |= pending
        return np.flatnonzero(due)

    def _own_of_deferring(self) -> Ints:
        """Places of what a player controls and would not hear of: where something had to wait, not
        to be mentioned does not mean to rest, and what is never said is never corrected."""
        found = [np.zeros(0, dtype=np.int64)]
        for peer in self.peers.values():
            if peer.deferred:
                own = np.flatnonzero(self.views.owner == peer.player)
                found.append(self.pairs.where[peer.slot, own])
        places = np.concatenate(found)
        places = places[places != NONE]
        return np.asarray(places[self.pairs.present[places] & ~self.pairs.pending[places]])

    def _shared(self, number: int, places: Ints, slot: Ints) -> Mask:
        """Which of each pair's last values its peer is known to have."""
        pairs = self.pairs
        whole, partly = self._acknowledged.by_slot(number)
        newest = (whole | partly).astype(np.int32)
        self._ages = np.frexp(newest & -newest)[1].astype(np.int64)
        said = (pairs.said[places] >> np.uint32(1)).astype(np.uint16)
        masks = said & whole[slot]
        if partly.any():
            some = np.flatnonzero(said & partly[slot])
            if len(some):
                by_age = (number - np.arange(1, REACH + 1)) % PLACES
                mention = pairs.mention[by_age[:, None], places[some]]
                masks[some] = shared(mention, self._acknowledged.table[by_age], slot[some])
        return masks

    # -- choosing and packing ----------------------------------------------------------------

    def _tell(
        self, number: int, peers: Sequence[Peer], places: Ints, masks: Mask, what: Ints
    ) -> dict[int, list[bytes]]:
        """Bodies of the packets for every slot that is told anything."""
        for peer in peers:
            peer.deferred = 0
        if len(places) == 0:
            self.told = Told(number)
            return {}
        pairs = self.pairs
        slot, entity = pairs.slot[places], pairs.entity[places]
        update = np.flatnonzero(what == UPDATE)
        coding = self._code(number, slot[update], entity[update], masks[update])
        while len(heavy := self._too_heavy(coding, update)):  # the codes of others may change
            what[heavy] = ENTER
            old = places[heavy]
            pairs.renew(old[number - pairs.since[old] > MAX_AGE], number)
            update = (what == UPDATE).nonzero()[0]
            coding = self._code(number, slot[update], entity[update], masks[update])
        self.told = told = Told(number, slot, entity, what, update, coding)
        index, packet, bodies = self._packing.pack(told, places, peers)
        if len(index) < len(slot):
            assert told.chosen is not None
            left = np.bincount(slot[~told.chosen], minlength=len(pairs.where))
            for peer in peers:
                peer.deferred = int(left[peer.slot])
        return self._note(number, places[index], slot[index], packet, bodies)

    def _code(self, number: int, slot: Ints, entity: Ints, masks: Mask) -> Coding:
        return self._coder.code(number, self._ages[slot], slot, entity, masks)

    def _too_heavy(self, coding: Coding, update: Ints) -> Ints:
        """Updates that would not fit into a packet: many lanes whose residuals are all large. As
        entries they fit, which a `Protocol` makes sure of."""
        lanes = self.history.layout.lanes_of_part
        most = self.entries.most_bits + LANE_BITS_MOST * lanes
        if most.max(initial=0) <= FULL_BITS or len(update) == 0:
            return update[:0]
        bits = coding.pair_bits() + LANE_BITS * lanes[coding.group_part].repeat(coding.group_count)
        return update[bits > FULL_BITS]

    def _note(
        self, number: int, places: Ints, slot: Ints, packet: Ints, bodies: list[bytes]
    ) -> dict[int, list[bytes]]:
        """Remember what was said in which packet."""
        pairs = self.pairs
        self._account()
        pairs.mention[number % PLACES, places] = packet + 1
        pairs.said[places] |= np.uint32(1)
        pairs.sent[places] = number
        pairs.due_since[places] = number + 1  # what had to wait goes before what was just sent
        edge = edges(slot).nonzero()[0]
        last = edge + sizes(edge, len(slot)) - 1
        told: dict[int, list[bytes]] = {}
        at = 0
        for of, count in zip(slot[edge].tolist(), (packet[last] + 1).tolist(), strict=True):
            told[of] = bodies[at : at + count]
            at += count
        return told

    def _account(self) -> None:
        """Add up what has been spent on what."""
        told = self.told
        if told.coding is not None:
            chosen = None if told.chosen is None else told.chosen[told.update]
            where, bits = told.coding.spent(chosen)
            np.add.at(self.spent_on_lanes, where, bits)
        entering = told.what == ENTER
        if told.chosen is not None:
            entering &= told.chosen
        if entering.any():
            entity = told.entity[entering]
            where = told.slot[entering], self.history.layout.part_of[entity]
            np.add.at(self.spent_on_entries, where, self.entries.bits(told.number, entity))

    def _packets(
        self, frame: Frame, peers: Sequence[Peer], bodies: dict[int, list[bytes]]
    ) -> dict[int, list[bytes]]:
        packets: dict[int, list[bytes]] = {}
        tick, number = frame.tick, frame.number
        for peer in peers:
            if peer.away:
                continue
            own = bodies.get(peer.slot, _NOTHING)
            count, sequence = len(own), peer.sequence
            self._acknowledged.sent(peer.slot, number, sequence + 1, count)
            peer.sequence += count
            packets[peer.player] = [
                encode_state_header(
                    sequence + 1 + index,
                    tick,
                    index,
                    count,
                    peer.deferred > 0,
                    peer.client_packet,
                    peer.input_tick,
                    peer.earliness,
                )
                + body
                for index, body in enumerate(own)
            ]
        return packets


_NOTHING = [EMPTY]


def _widen_the_heap() -> None:
    """Make glibc keep freed arrays for reuse instead of giving them back to the system.

    Its threshold for that starts at 128 kB and rises to the largest block ever freed (mallopt(3),
    M_MMAP_THRESHOLD). Below it, every temporary array of a broadcast costs page faults: 7 ms
    become 10 with 100 peers. Elsewhere this does nothing.
    """
    np.empty(16 << 20, dtype=np.uint8)
