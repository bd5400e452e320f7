"""The receiver: turns state packets into history, whatever order they come in.

Mirror of the sender. It keeps the acknowledgements, and the frames: which packets of a broadcast
have arrived, and whether all of its rows are known. What the packets say goes into `samples`.
Sizes are bounded by what the wire can name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.errors import WireError
from netcode.sync.baselines import REACH, RESTING, WINDOW
from netcode.sync.samples import Known, Samples
from netcode.wire.bits import unwrap
from netcode.wire.packets import MAX_PACKETS, NO_TICK, StateHeader, decode_state_header
from netcode.wire.state_reader import read_body
from netcode.world.history import LENGTH, History
from netcode.world.table import Table
from netcode.world.world import TextPool

MAX_AHEAD = 1 << 20
"""A packet whose tick is farther from the newest known one than this cannot be true."""

LATEST = LENGTH - RESTING - 1
"""Broadcasts by which a packet may be late: its baselines are still in the ring."""

SENT_KEPT = 256
"""Client packets whose acknowledgements are remembered: 8 s of them."""


@dataclass(slots=True)
class ReceiverStats:
    """Counts of what arrived."""

    packets: int = 0
    doubled: int = 0
    late: int = 0
    """Packets of a tick older than the newest."""
    too_late: int = 0
    """Those of them that could not be used any more."""
    stray: int = 0
    """Rows that were said to change but are not in view."""


class Receiver:
    """Understands what a `Sender` says. One for each client."""

    def __init__(self, tables: Sequence[Table[Any]], history: History, texts: TextPool) -> None:
        self.history = history
        self._texts = texts
        texts.users.append(self._texts_in_use)
        self.samples = Samples(tables, history)
        self.known = [Known(self.samples, table) for table in range(len(tables))]
        """For each table, what the client holds now."""

        self.tick = -1
        """The newest tick of which anything arrived."""
        self.newest_packet = 0
        self.window = 0
        """Bit i: whether packet newest - 1 - i arrived."""
        self.input_tick: int | None = None
        self.earliness = 0.0
        self.stats = ReceiverStats()
        self._sent: dict[int, tuple[int, int]] = {}
        self._heard_then: dict[int, int] = {}
        """The newest broadcast of which anything had arrived, by client packet."""
        self._forgotten = -1
        """The same for the newest client packet that is not kept any more."""
        self._newest_sent = 0
        self._first_packet = np.zeros(LENGTH, dtype=np.int64)
        self._packets_of = np.zeros(LENGTH, dtype=np.int64)
        self._arrived = np.zeros(LENGTH, dtype=np.int64)
        self._deferred = np.zeros(LENGTH, dtype=np.bool_)

    @property
    def heard(self) -> bool:
        """Whether any packet has arrived."""
        return self.tick >= 0

    def acknowledge(self, client_packet: int) -> tuple[int, int]:
        """What the client packet of this number (ascending, from 1) is to acknowledge: the newest
        packet that arrived, and which of those before it, as far as baselines reach."""
        newest = self.history.newest_number
        reach = [n % LENGTH for n in range(max(newest - REACH + 1, 0), newest + 1)]
        first = min(
            (int(self._first_packet[at]) for at in reach if self._packets_of[at]),
            default=self.newest_packet,
        )
        bits = max(0, min(WINDOW, self.newest_packet - first))
        self._sent[client_packet] = self.newest_packet, self.window & ((1 << bits) - 1)
        self._newest_sent = client_packet
        self._heard_then[client_packet] = newest
        if self._sent.pop(client_packet - SENT_KEPT, None) is not None:
            self._forgotten = self._heard_then.pop(client_packet - SENT_KEPT)
        return self._sent[client_packet]

    def receive(self, data: bytes) -> int:
        """Take in one packet and return its tick. Raises `WireError`, having changed nothing."""
        header, body = decode_state_header(data)
        number, rest = divmod(header.tick, self.history.every)
        if rest or (self.heard and abs(header.tick - self.tick) > MAX_AHEAD):
            raise WireError(f"tick {header.tick} is no broadcast near {self.tick}")
        if header.tick > NO_TICK - MAX_AHEAD:
            raise WireError(f"tick {header.tick} is the last but few that can be told")
        header.sequence = unwrap(header.sequence, self.newest_packet)
        sizes = [self.history.sizes[part.table] for part in self.history.layout.parts]
        sections = read_body(body, self.samples.lane_kinds, sizes)
        named = unwrap(header.client_packet, self._newest_sent)
        acknowledged = self._acknowledged(named, number)
        self.stats.packets += 1
        newest = self.history.newest_number
        # What it shared is forgotten: its baselines cannot be known.
        lost = named and named not in self._sent and number - REACH <= self._forgotten
        late = number <= newest and (
            number < newest - LATEST or self.history.at(header.tick) is None
        )
        if lost or late:
            self.stats.too_late += 1
            return header.tick
        if not self._note_packet(header.sequence):
            self.stats.doubled += 1
            return header.tick
        if header.tick > self.tick:
            self.tick = header.tick
            self.input_tick, self.earliness = header.input_tick, header.earliness
            self._begin_frames(number)
        elif header.tick < self.tick:
            self.stats.late += 1
        self.samples.make_room(sections)
        for section in sections:
            texts = [self._texts.number(text) for text in section.texts]
            self.samples.take(section, number, header.index, acknowledged, texts)
        self.stats.stray = self.samples.strays
        self._note_arrival(header, number)
        return header.tick

    def _texts_in_use(self) -> Iterator[NDArray[np.int32]]:
        for number, part in enumerate(self.history.layout.parts):
            for lane, kind in enumerate(self.samples.lane_kinds[number]):
                if kind.text is not None:
                    yield self.known[part.table].lanes[:, part.lanes[lane]]

    # -- acknowledgements --------------------------------------------------------------------

    def _note_packet(self, sequence: int) -> bool:
        """Note that a packet arrived; False if it had arrived before or is too old to tell."""
        ahead = sequence - self.newest_packet
        mask = (1 << WINDOW) - 1
        if self.newest_packet == 0:
            self.newest_packet, self.window = sequence, 0
            return True
        if ahead > 0:
            self.window = (
                ((self.window << 1 | 1) << (ahead - 1)) & mask if ahead <= WINDOW + 1 else 0
            )
            self.newest_packet = sequence
            return True
        if ahead == 0 or -ahead > WINDOW:
            return False
        bit = 1 << (-ahead - 1)
        fresh = not self.window & bit
        self.window |= bit
        return fresh

    def _acknowledged(self, named: int, number: int) -> NDArray[np.uint16]:
        """By age before broadcast ``number``, and packet: whether client packet ``named``
        acknowledges it."""
        table = np.zeros((REACH, 1, MAX_PACKETS + 1), dtype=np.uint16)
        if named == 0:
            return table
        if named > self._newest_sent:
            raise WireError(f"client packet {named} has not been sent yet")
        newest, window = self._sent.get(named, (0, 0))
        if newest == 0:
            return table
        for age in range(1, REACH + 1):
            place = (number - age) % LENGTH
            if self.history.numbers[place] != number - age:
                continue
            first = int(self._first_packet[place])
            for index in range(int(self._packets_of[place])):
                behind = newest - (first + index)
                if behind == 0 or (behind > 0 and window >> (behind - 1) & 1):
                    table[age - 1, 0, 1 + index] = 1
        return table

    # -- frames ------------------------------------------------------------------------------

    def _begin_frames(self, number: int) -> None:
        """Begin this frame, and those of broadcasts that were lost before it."""
        history = self.history
        start = number if history.newest_number < 0 else history.newest_number + 1
        for begun in range(max(start, number - LENGTH + 1), number + 1):
            history.begin(begun * history.every)
            place = begun % LENGTH
            self.samples.begin(place)
            for table, known in enumerate(self.known):
                row = history.layout.row_starts[table]
                history.life[place, row : row + history.sizes[table]] = known.life
            history.known[place] = False
            self._packets_of[place] = self._arrived[place] = 0
            self._deferred[place] = False

    def _note_arrival(self, header: StateHeader, number: int) -> None:
        """With every packet of a tick here and nothing deferred, all rows are known that are told
        at every broadcast, or were due at this one."""
        place = number % LENGTH
        self._first_packet[place] = header.sequence - header.index
        self._packets_of[place] = header.count
        self._arrived[place] |= 1 << header.index
        self._deferred[place] |= header.deferred
        if self._arrived[place] != (1 << header.count) - 1 or self._deferred[place]:
            return
        frame = self.history.at(header.tick)
        assert frame is not None
        frame.complete = True
        for table, kept in enumerate(frame.tables):
            kept.known[:] |= self.samples.due(table, number)
        self.samples.doubt_strays(place)
