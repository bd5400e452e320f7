"""Packing: what of all that is due goes out, cut into packets of at most 1,100 bytes.

Mostly all of it fits into one packet a peer, which is told by a rough estimate upwards. Otherwise
each pair is counted; if that is more than the peer's budget, the most urgent are taken; and the
rows are cut into packets, each complete in itself.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.sync.coder import LANE_BITS
from netcode.sync.entries import Entries
from netcode.sync.pairs import Pairs
from netcode.sync.peers import ENTER, LEAVE, UPDATE, Peer, Told
from netcode.sync.priority import MAX_WEIGHT, Priority
from netcode.sync.views import Views
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.bits import Ints, counted, edges, lengths, sizes
from netcode.wire.packets import MAX_PACKETS, STATE_HEADER_BYTES
from netcode.wire.state_writer import StateWriter
from netcode.world.history import History
from netcode.world.table import Table

PACKET_BITS = (MAX_DATAGRAM - STATE_HEADER_BYTES - 1) * 8
"""Bits for sections in one packet; a byte is kept for the part number that closes it."""

LEAST_SHRINK = 0.1
"""An estimate is never so far off."""

_SECTION_BITS = 80
"""About what a section takes besides its rows and lanes."""


class Packing:
    """Chooses, cuts and writes."""

    def __init__(
        self,
        tables: Sequence[Table[Any]],
        history: History,
        pairs: Pairs,
        views: Views,
        entries: Entries,
        priority: Priority,
    ) -> None:
        self._tables = tables
        self._history = history
        self._pairs = pairs
        self._views = views
        self._entries = entries
        self._priority = priority

    def pack(
        self, told: Told, places: Ints, peers: Sequence[Peer]
    ) -> tuple[Ints, Ints, list[bytes]]:
        """Which of the pairs that are due are sent (by their place in ``told``), the packet of
        each, counted from 0 for each peer, and the bodies of all packets in the order of slots.

        Sets ``told.chosen`` and ``told.urgency`` if not all are sent.
        """
        slot, entity = told.slot, told.entity
        room = min(PACKET_BITS, *(_room(peer) for peer in peers))
        if self._at_most(told) <= room:
            packet = np.zeros(len(slot), dtype=np.int64)
            index = np.arange(len(slot))
            bodies = self._write(told, index, packet)
            if max(map(len, bodies)) <= room // 8 + 1:
                return index, packet, bodies
        bits, overhead = self._bits(told)
        limit = self._limits(peers)
        shrink = 1.0
        while True:
            told.chosen, told.urgency = self._within(told.number, places, bits, overhead, limit)
            index = told.chosen.nonzero()[0]
            packet = self._cut(slot[index], entity[index], bits[index], overhead[index], shrink)
            if packet.max() >= MAX_PACKETS:  # long entities have left gaps
                limit[slot[index[packet >= MAX_PACKETS]]] *= 0.9
                continue
            bodies = self._write(told, index, packet)
            if max(map(len, bodies)) > MAX_DATAGRAM - STATE_HEADER_BYTES:
                if shrink < LEAST_SHRINK:
                    raise AssertionError("one entity does not fit into a packet")
                shrink *= 0.9  # the estimate of the lists of rows was too low
            elif not self._lower(limit, peers, slot[index], packet, bodies):
                return index, packet, bodies

    def _lower(
        self,
        limit: NDArray[np.float64],
        peers: Sequence[Peer],
        slot: Ints,
        packet: Ints,
        bodies: Sequence[bytes],
    ) -> bool:
        """Lower the limits of slots whose packets have come out larger than their budget; whether
        there are any. One pair always goes."""
        of = slot[edges(slot, packet)]
        size = np.array([STATE_HEADER_BYTES + len(body) for body in bodies])
        spent = np.bincount(of, weights=size, minlength=len(limit))
        pairs = np.bincount(slot, minlength=len(limit))
        lowered = False
        for peer in peers:
            budget = peer.budget
            if budget is not None and spent[peer.slot] > budget and pairs[peer.slot] > 1:
                limit[peer.slot] *= min(0.98, max(0.5, budget / float(spent[peer.slot])))
                lowered = True
        return lowered

    def _at_most(self, told: Told) -> int:
        """About what the peer is told who is told most, in bits, roughly upwards."""
        assert told.coding is not None
        count = np.bincount(told.slot)
        slots = len(count)
        # A list of n of S rows takes about log2(S / n) + 3 bits a row, cut into parts even less.
        gap = np.log2(np.maximum(sum(self._history.sizes) / np.maximum(count, 1), 1.0))
        most = count * (gap + 4.0)
        coding = told.coding
        most += np.bincount(coding.group_slot, minlength=slots) * _SECTION_BITS
        with_lanes = coding.group_slot[coding.group_lanes > 0]
        most += np.bincount(with_lanes, weights=coding.group_bits, minlength=slots)
        entering = (told.what != UPDATE).nonzero()[0]
        if len(entering):
            part = self._history.layout.part_of[told.entity[entering]]
            each = self._entries.most_bits[part] + _SECTION_BITS
            most += np.bincount(told.slot[entering], weights=each, minlength=slots)
        return int(most.max())

    def _bits(self, told: Told) -> tuple[Ints, Ints]:
        """About what each pair takes, and what its section takes if it is the first of one."""
        layout = self._history.layout
        slot, entity, coding = told.slot, told.entity, told.coding
        assert coding is not None
        part, row = layout.part_of[entity], layout.row_of[entity]
        first = edges(slot, part)
        gap = row.copy()
        gap[1:] -= np.where(first[1:], 0, row[:-1] + 1)
        bits = np.where(gap == 0, 0, 4 + 2 * lengths(gap))
        bits[told.update] += coding.pair_bits()
        entering = (told.what == ENTER).nonzero()[0]
        if len(entering):
            bits[entering] += self._entries.bits(told.number, entity[entering])
        return bits, _SECTION_BITS + LANE_BITS * layout.lanes_of_part[part]

    def _limits(self, peers: Sequence[Peer]) -> NDArray[np.float64]:
        """Bits for sections that each slot may be sent."""
        limit = np.zeros(len(self._pairs.where))
        for peer in peers:
            limit[peer.slot] = _room(peer)
        # Cutting leaves gaps at the end of each packet.
        return np.where(limit > PACKET_BITS, limit * 0.9, limit)

    def _within(
        self, number: int, places: Ints, bits: Ints, overhead: Ints, limit: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Which pairs are sent: all, or of a peer whose limit is exceeded the most urgent."""
        pairs = self._pairs
        slot = pairs.slot[places]
        chosen = np.ones(len(places), dtype=np.bool_)
        urgency = np.zeros(len(places))
        part = self._history.layout.part_of[pairs.entity[places]]
        first = edges(slot, part)
        cost = bits.copy()
        cost[first] += overhead[first]
        total = np.bincount(slot, weights=cost, minlength=len(limit))
        over = total > limit
        if not over.any():
            return chosen, urgency
        some = np.flatnonzero(over[slot])
        age = number - pairs.due_since[places[some]] + 1
        urgency[some] = age * self._weights(places[some])
        order = np.lexsort((-urgency[some], slot[some]))
        ordered = some[order]
        edge = edges(slot[ordered]).nonzero()[0]
        size = sizes(edge, len(ordered))
        # A section is counted for the pair that opens it, wherever that stands in the order.
        spent = np.cumsum(cost[ordered])
        spent -= np.repeat((spent - cost[ordered])[edge], size)
        fits = spent <= limit[slot[ordered]]
        fits[edge] = True  # the most urgent goes, however small the budget
        chosen[ordered] = fits
        return chosen, urgency

    def _weights(self, places: Ints) -> NDArray[np.float64]:
        pairs, layout = self._pairs, self._history.layout
        slot, entity = pairs.slot[places], pairs.entity[places]
        weights = np.full(len(places), MAX_WEIGHT)  # a leave is small and ends a ghost
        table = layout.table_of_part[layout.part_of[entity]]
        for index in np.unique(table).tolist():
            here = np.flatnonzero((table == index) & pairs.present[places])
            if len(here):
                points = self._views.viewpoint_of_slot[slot[here]]
                weights[here] = self._priority.weights(
                    self._tables[index], layout.row_of[entity[here]], points
                )
        return weights

    def _cut(self, slot: Ints, entity: Ints, bits: Ints, overhead: Ints, shrink: float) -> Ints:
        """The packet of each pair, counted from 0 for each slot."""
        packet = np.zeros(len(slot), dtype=np.int64)
        room = int(PACKET_BITS * shrink)
        edge = edges(slot).nonzero()[0]
        size = sizes(edge, len(slot))
        part_edge = edges(slot, self._history.layout.part_of[entity])
        cost = bits + np.where(part_edge, overhead, 0)
        total = np.add.reduceat(cost, edge)
        for begin, count in zip(
            edge[total > room].tolist(), size[total > room].tolist(), strict=True
        ):
            ends = np.cumsum(cost[begin : begin + count])
            at = index = 0
            while at < count:
                before = int(ends[at - 1]) if at else 0
                again = 0 if part_edge[begin + at] else int(overhead[begin + at])
                stop = int(np.searchsorted(ends, before + room - again, side="right"))
                stop = max(stop, at + 1)
                packet[begin + at : begin + stop] = index
                at, index = stop, index + 1
        return packet

    def _write(self, told: Told, index: Ints, packet: Ints) -> list[bytes]:
        """The bodies of all packets, in the order of slots and packets."""
        layout = self._history.layout
        assert told.coding is not None
        whole = len(index) == len(told.slot)
        slot, entity, kind = told.slot, told.entity, told.what
        if not whole:
            slot, entity, kind = slot[index], entity[index], kind[index]
        part = layout.part_of.take(entity)
        new_packet = edges(slot, packet)
        new_section = edges(part)
        new_section |= new_packet
        section = new_section.cumsum()
        section -= 1
        packet_of_section = new_packet.cumsum()[new_section] - 1
        sections = int(section[-1]) + 1
        counts = np.bincount(section * 3 + kind, minlength=3 * sections).reshape(sections, 3)

        writer = StateWriter(sections)
        heads = np.empty((sections, 4), dtype=np.int64)
        heads[:, 0] = part[new_section]
        widths = np.empty((sections, 4), dtype=np.int64)
        widths[:, 0] = 8
        values, bits = counted(counts.reshape(-1))
        heads[:, 1:], widths[:, 1:] = values.reshape(sections, 3), bits.reshape(sections, 3)
        writer.put(np.repeat(np.arange(sections), 4), heads.reshape(-1), widths.reshape(-1))

        said = (kind == UPDATE).nonzero()[0]
        if whole:
            told.coding.write(writer, section[said], np.arange(len(said)))
        else:
            told.coding.write(writer, section[said], told.update.searchsorted(index[said]))
        if len(said) < len(kind):
            said = (kind == ENTER).nonzero()[0]
            if len(said):
                at = section[said], entity[said], slot[said]
                self._entries.write(writer, told.number, *at)
            said = (kind == LEAVE).nonzero()[0]
            writer.put_rows(section[said], layout.row_of[entity[said]])
        return writer.bodies(packet_of_section)


def _room(peer: Peer) -> int:
    """Bits for sections that a peer may be sent in one broadcast."""
    most = MAX_PACKETS * PACKET_BITS
    if peer.budget is None:
        return most
    return min(most, 8 * (peer.budget - STATE_HEADER_BYTES - 1))
