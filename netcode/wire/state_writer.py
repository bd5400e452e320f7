"""The state writer: the bodies of many state packets at once.

A body is a row of sections, one for each part of a class that the packet speaks of; a section is a
row of streams (see WIRE_FORMAT.md). The writer is handed one stream after the other, each for all
sections of all packets, works out where every number stands, and packs them in one go.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netcode.wire.bits import Ints, counted, edges, pack, rice, rice_parameter, sizes

END = 255
"""The part number that closes a body."""
_END_BITS = 8
EMPTY = bytes([END])
"""A body without a section."""

K_BITS = 4
"""Of the Rice parameters of a list of rows."""
ROW_BITS = 16


class StateWriter:
    """Gathers the streams of ``sections`` sections, in the order in which they follow."""

    def __init__(self, sections: int) -> None:
        self._edges = np.arange(sections + 1)
        self._streams: list[tuple[Ints | None, Ints, Ints, Ints, Ints]] = []
        self._totals: list[Ints] = []

    def put(self, section: Ints, values: Ints, widths: Ints) -> None:
        """The next stream: numbers (below 2**width ≤ 2**32) of ascending sections."""
        if len(section):
            self._put(section, values, widths)

    def put_unary(self, section: Ints, widths: Ints) -> None:
        """The next stream: numbers of ascending sections, each as width - 1 zeros and a one."""
        if len(section):
            self._put(section, None, widths)

    def _put(self, section: Ints, values: Ints | None, widths: Ints) -> None:
        ends = widths.cumsum()
        bounds = section.searchsorted(self._edges)
        before = np.where(bounds > 0, ends[bounds - 1], 0)
        self._streams.append((values, widths, ends, before[:-1], bounds[1:] - bounds[:-1]))
        self._totals.append(before[1:] - before[:-1])

    def put_rows(self, section: Ints, rows: Ints) -> None:
        """A list of rows: ascending within each section."""
        if len(rows) == 0:
            return
        fresh = edges(section)
        inside = ~fresh
        fresh[1:] |= rows[1:] != rows[:-1] + 1
        starts = fresh.nonzero()[0]
        runs = sizes(starts, len(rows)) - 1
        owner = section[starts]
        gaps = rows[starts]
        gaps[1:] -= np.where(inside[starts[1:]], rows[starts[1:] - 1] + 2, 0)
        first = edges(owner).nonzero()[0]
        count = sizes(first, len(starts))
        own = owner[first]
        k_gap = np.minimum(rice_parameter(np.add.reduceat(gaps, first), count), 15)
        k_run = np.minimum(rice_parameter(np.add.reduceat(runs, first), count), 15)
        values, widths = counted(count)
        values <<= 2 * K_BITS
        self.put(own, values | k_gap << K_BITS | k_run, widths + 2 * K_BITS)
        raw = np.full(len(starts), ROW_BITS)
        gap_unary, gap_binary, gap_widths = rice(gaps, k_gap.repeat(count), raw)
        run_unary, run_binary, run_widths = rice(runs, k_run.repeat(count), raw)
        self.put_unary(owner, gap_unary)
        self.put_unary(owner, run_unary)
        self.put(owner, gap_binary, gap_widths)
        if k_run.any() or run_widths.any():
            self.put(owner, run_binary, run_widths)

    def put_rice(self, section: Ints, codes: Ints, k: Ints, raw: Ints) -> None:
        """A block of Rice codes: their unary parts, then their binary parts."""
        unary, binary, widths = rice(codes, k, raw)
        self.put_unary(section, unary)
        self.put(section, binary, widths)

    def bodies(self, packet: Ints) -> list[bytes]:
        """The body of each packet, given the ascending packet number of every section."""
        totals = np.array(self._totals)
        size = totals.sum(axis=0)
        first = edges(packet).nonzero()[0]
        bits = np.add.reduceat(size, first) + _END_BITS
        room = (bits + 31) // 32 * 32
        packet_start = room.cumsum()
        all_bits = int(packet_start[-1])
        packet_start -= room
        start = size.cumsum() - size
        start += (packet_start - start[first]).repeat(sizes(first, len(packet)))
        positions, values, widths, ones = [], [], [], []
        for total, (value, width, ends, before, count) in zip(totals, self._streams, strict=True):
            ends += (start - before).repeat(count)  # where each number ends in the whole
            if value is None:
                ends -= 1
                ones.append(ends)
            else:
                ends -= width
                positions.append(ends)
                values.append(value)
                widths.append(width)
            start += total
        positions.append(packet_start + bits - _END_BITS)
        values.append(np.full(len(first), END))
        widths.append(np.full(len(first), _END_BITS))
        data = pack(
            np.concatenate(positions),
            np.concatenate(values),
            np.concatenate(widths),
            np.concatenate(ones) if ones else _ZERO[:0],
            all_bits,
        )
        begins = packet_start // 8
        return [
            data[begin:end]
            for begin, end in zip(begins.tolist(), (begins + (bits + 7) // 8).tolist(), strict=True)
        ]


_ZERO: NDArray[np.int64] = np.zeros(1, dtype=np.int64)


def text_stream(section: Ints, texts: Sequence[bytes]) -> tuple[Ints, Ints, Ints]:
    """The bytes of texts, as sections, values and widths."""
    size = np.array([len(text) for text in texts], dtype=np.int64)
    data = np.frombuffer(b"".join(texts), dtype=np.uint8).astype(np.int64)
    return np.repeat(section, size), data, np.full(len(data), 8)
