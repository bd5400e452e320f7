"""Channels: the two halves of one, sending and receiving, with its numbers and its queue.

Channels belong to the session, not to the link: their sequence numbers go on when a link is
replaced. A reliable message is kept until the other end has acknowledged it, so that it can be
sent again on the next link; within a link SCTP retransmits, and nothing is sent twice.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from netcode.errors import SendQueueFull, UsageError, WireError
from netcode.link.delivery import Delivery
from netcode.link.frames import (
    PIECE_BYTES,
    UNORDERED_WINDOW,
    WHOLE_BYTES,
    Acknowledgement,
    Piece,
)

MAX_RELIABLE_BYTES = 1 << 20
"""The longest reliable message."""
MAX_UNRELIABLE_BYTES = 16 * 1024
"""The longest message that is not: with 5 % loss, more than half of these arrive whole."""
QUEUE_BYTES = 4 << 20
"""What a channel holds, waiting or not yet acknowledged, before `send` raises."""
QUEUE_MESSAGES = 4_096
PATIENCE = 0.2
"""Seconds that an unreliable message waits for its turn before it is stale."""
MAX_WAITING = 1_024
"""Messages that wait behind a gap, or for a channel to be opened."""
MAX_PARTIAL = 32
"""Messages of which only some pieces have come: more than the link keeps in flight at a time."""
MAX_PARTIAL_BYTES = 2 * MAX_RELIABLE_BYTES
MAX_BEYOND_BYTES = 2 * QUEUE_BYTES
"""Of messages that wait behind a gap. An honest peer has `QUEUE_BYTES` unacknowledged at most."""

SEQUENCES = 1 << 32


@dataclass(slots=True)
class _Queued:
    sequence: int
    payload: bytes
    stale_at: float
    next_piece: int = 0

    @property
    def pieces(self) -> int:
        return piece_count(len(self.payload))


def piece_count(size: int) -> int:
    """In how many frames a message of ``size`` bytes travels."""
    return 1 if size <= WHOLE_BYTES else -(-size // PIECE_BYTES)


class Outgoing:
    """The sending half of a channel."""

    def __init__(self, number: int, delivery: Delivery) -> None:
        self.number = number
        self.delivery = delivery
        self.dropped = 0
        """Messages given up because they had become stale while waiting."""
        self._next = 0
        self._queue: deque[_Queued] = deque()
        self._queued_bytes = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for their turn, or (if reliable) for their acknowledgement."""
        # A reliable message that waits for its turn is kept as well: it counts once.
        return max(self._queued_bytes, self._kept_bytes)

    @property
    def is_idle(self) -> bool:
        """Nothing waits to be handed over."""
        return not self._queue

    @property
    def is_settled(self) -> bool:
        """Nothing waits, and everything reliable has been acknowledged."""
        return not self._queue and not self._kept

    def has_room(self, size: int) -> bool:
        return (
            self.waiting_bytes + size <= QUEUE_BYTES
            and max(len(self._queue), len(self._kept)) < QUEUE_MESSAGES
        )

    def send(self, payload: bytes, now: float) -> None:
        """Queue a message. Raises `SendQueueFull`, or `UsageError` if it is too long."""
        limit = MAX_RELIABLE_BYTES if self.delivery.reliable else MAX_UNRELIABLE_BYTES
        if len(payload) > limit:
            raise UsageError(
                f"a message of {len(payload)} bytes is too long: a {self.delivery} channel takes "
                f"{limit}; send it in parts"
            )
        if self.delivery.sequenced:
            self.dropped += len(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
        self._drop_stale(now)
        if not self.has_room(len(payload)):
            raise SendQueueFull(
                f"{self.waiting_bytes} bytes wait on this channel already: send less, or wait"
            )
        patience = self.delivery.lifetime if self.delivery.lifetime is not None else PATIENCE
        stale_at = float("inf") if self.delivery.reliable else now + patience
        self._queue.append(_Queued(self._next, payload, stale_at))
        self._queued_bytes += len(payload)
        if self.delivery.reliable:
            self._kept[self._next] = payload
            self._kept_bytes += len(payload)
        self._next = (self._next + 1) % SEQUENCES

    def next_frame(self, now: float) -> Piece | None:
        """The next piece to hand over, or None if nothing waits."""
        self._drop_stale(now)
        if not self._queue:
            return None
        message = self._queue[0]
        index, count = message.next_piece, message.pieces
        if count == 1:
            part = message.payload
        else:
            part = message.payload[index * PIECE_BYTES : (index + 1) * PIECE_BYTES]
        message.next_piece += 1
        if message.next_piece == count:
            self._queue.popleft()
            self._queued_bytes -= len(message.payload)
        return Piece(self.number, message.sequence, index, count, part)

    def acknowledge(self, entry: Acknowledgement) -> None:
        """Forget what the other end has. Numbers that were never sent are ignored."""
        if (entry.next - 1 - self._next) % SEQUENCES < SEQUENCES // 2:
            return
        for sequence in list(self._kept):
            ahead = (sequence - entry.next) % SEQUENCES
            arrived = ahead >= SEQUENCES // 2 or (
                0 < ahead <= UNORDERED_WINDOW and bool(entry.window >> (ahead - 1) & 1)
            )
            if arrived:
                self._kept_bytes -= len(self._kept.pop(sequence))
            elif ahead > UNORDERED_WINDOW:
                break

    def relink(self) -> None:
        """The link was replaced: everything that is not acknowledged goes out again, in order."""
        if self.delivery.reliable:
            self._queue = deque(
                _Queued(sequence, payload, float("inf")) for sequence, payload in self._kept.items()
            )
        for message in self._queue:
            message.next_piece = 0
        self._queued_bytes = sum(len(message.payload) for message in self._queue)

    def _drop_stale(self, now: float) -> None:
        while self._queue and now > self._queue[0].stale_at:
            self._queued_bytes -= len(self._queue.popleft().payload)
            self.dropped += 1


@dataclass(slots=True)
class _Partial:
    count: int
    pieces: dict[int, bytes] = field(default_factory=dict)


class Incoming:
    """The receiving half of a channel: reassembles, orders, and drops what came before."""

    def __init__(self, number: int, delivery: Delivery) -> None:
        self.number = number
        self.delivery = delivery
        self.next = 0
        """Reliable: the first message that has not arrived. Sequenced: newest delivered + 1."""
        self.dropped = 0
        """Messages that arrived twice, too late, or only in part."""
        self._beyond: dict[int, bytes | None] = {}
        self._beyond_bytes = 0
        self._partial: OrderedDict[int, _Partial] = OrderedDict()
        self._partial_bytes = 0

    def receive(self, piece: Piece) -> Iterator[bytes]:
        """The messages that may be delivered now that this piece is here.

        Raises `WireError` for what an honest peer never sends; the link then has to end.
        """
        if self.delivery.reliable and self._has(piece.sequence):
            self.dropped += 1
            return
        payload = piece.payload if piece.count == 1 else self._reassemble(piece)
        if payload is None:
            return
        if not self.delivery.reliable:
            yield from self._receive_unreliable(piece.sequence, payload)
        elif self.delivery.ordered:
            yield from self._receive_ordered(piece.sequence, payload)
        else:
            yield from self._receive_unordered(piece.sequence, payload)

    def acknowledgement(self) -> Acknowledgement:
        """What has arrived, to be told to the other end (reliable channels only)."""
        window = 0
        for sequence in self._beyond:
            ahead = (sequence - self.next) % SEQUENCES
            if 0 < ahead <= UNORDERED_WINDOW:
                window |= 1 << (ahead - 1)
        return Acknowledgement(self.number, self.next, window)

    @property
    def held_bytes(self) -> int:
        """Bytes that wait here for a missing piece, or behind a missing message."""
        return self._partial_bytes + self._beyond_bytes

    # ----------------------------------------------------------------------------------------

    def _has(self, sequence: int) -> bool:
        ahead = (sequence - self.next) % SEQUENCES
        if ahead >= SEQUENCES // 2:
            return True
        if ahead > 2 * QUEUE_MESSAGES:
            raise WireError(f"message {sequence} is far beyond {self.next}")
        return sequence in self._beyond

    def _receive_ordered(self, sequence: int, payload: bytes) -> Iterator[bytes]:
        self._beyond[sequence] = payload
        self._beyond_bytes += len(payload)
        self._check_waiting()
        while (waiting := self._beyond.pop(self.next, None)) is not None:
            self._beyond_bytes -= len(waiting)
            self.next = (self.next + 1) % SEQUENCES
            yield waiting

    def _receive_unordered(self, sequence: int, payload: bytes) -> Iterator[bytes]:
        self._beyond[sequence] = None
        self._check_waiting()
        while self.next in self._beyond:
            del self._beyond[self.next]
            self.next = (self.next + 1) % SEQUENCES
        yield payload

    def _receive_unreliable(self, sequence: int, payload: bytes) -> Iterator[bytes]:
        if self.delivery.sequenced:
            if (sequence - self.next) % SEQUENCES >= SEQUENCES // 2:
                self.dropped += 1
                return
            self.next = (sequence + 1) % SEQUENCES
        yield payload

    def _check_waiting(self) -> None:
        if len(self._beyond) > 2 * QUEUE_MESSAGES or self._beyond_bytes > MAX_BEYOND_BYTES:
            raise WireError("too many messages wait behind a gap")

    def _reassemble(self, piece: Piece) -> bytes | None:
        limit = MAX_RELIABLE_BYTES if self.delivery.reliable else MAX_UNRELIABLE_BYTES
        if piece.count > piece_count(limit):
            raise WireError(f"a message in {piece.count} pieces is too long")
        partial = self._partial.setdefault(piece.sequence, _Partial(piece.count))
        if partial.count != piece.count:
            raise WireError("the pieces of a message disagree about their count")
        if piece.index in partial.pieces:
            return None
        partial.pieces[piece.index] = piece.payload
        self._partial_bytes += len(piece.payload)
        if len(partial.pieces) == partial.count:
            self._forget(piece.sequence)
            return b"".join(partial.pieces[index] for index in range(partial.count))
        if len(self._partial) > MAX_PARTIAL or self._partial_bytes > MAX_PARTIAL_BYTES:
            if self.delivery.reliable:
                raise WireError("too many half messages")
            self._forget(next(iter(self._partial)))
            self.dropped += 1
        return None

    def _forget(self, sequence: int) -> None:
        partial = self._partial.pop(sequence)
        self._partial_bytes -= sum(map(len, partial.pieces.values()))
