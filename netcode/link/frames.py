"""The frames of a link: what its messages look like on a transport's lanes.

The first byte is the kind. Kinds from `FIRST_DATAGRAM` on are datagrams of the room above (state
and inputs), which the link carries without looking at them. All numbers are little-endian.
"""

import struct
import zlib
from dataclasses import dataclass

from netcode.errors import WireError
from netcode.transports.base import MAX_DATAGRAM

HEARTBEAT = 1
WHOLE = 2
PIECE = 3
BYE = 4
RESUME = 5
TICKET = 6
FIRST_DATAGRAM = 16

FIRST_MEDIA, LAST_MEDIA = 128, 191
"""Packets of RTP, which are no frames of ours (RFC 7983, section 7)."""

_HEARTBEAT = struct.Struct("<BIIHB")
_ACKNOWLEDGEMENT = struct.Struct("<III")
_WHOLE = struct.Struct("<BII")
_PIECE = struct.Struct("<BIIHH")

NOTHING_HEARD = 0xFFFFFFFF
"""In place of an echoed time: no heartbeat has arrived yet."""

WHOLE_BYTES = MAX_DATAGRAM - _WHOLE.size
"""Payload of a message that goes in one frame."""
PIECE_BYTES = MAX_DATAGRAM - _PIECE.size
"""Payload of each piece of a longer message, but for the last."""
MAX_ACKNOWLEDGEMENTS = (MAX_DATAGRAM - _HEARTBEAT.size) // _ACKNOWLEDGEMENT.size
UNORDERED_WINDOW = 32
"""Messages beyond the first missing one that an acknowledgement of an unordered channel names."""
MAX_REASON_BYTES = 200
TICKET_BYTES = 24
"""A number of 8 bytes that says whose it is, and 16 random ones."""


def channel_id(name: str, delivery: str) -> int:
    """The number under which a channel travels: CRC-32 of its name and delivery."""
    return zlib.crc32(f"{delivery}/{name}".encode())


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What has arrived on one reliable channel."""

    channel: int
    next: int
    """All messages before this one have arrived."""
    window: int
    """Bit i is set if message ``next + 1 + i`` has arrived too."""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Sent a few times a second: times for the round trip, and acknowledgements."""

    time: int
    """The sender's clock in milliseconds, modulo 2**32 - 1."""
    echo: int
    """The ``time`` of the newest heartbeat that the sender has heard, or `NOTHING_HEARD`."""
    held: int
    """Milliseconds between hearing that one and sending this one."""
    acknowledgements: tuple[Acknowledgement, ...]

    def encode(self) -> bytes:
        return _HEARTBEAT.pack(
            HEARTBEAT, self.time, self.echo, self.held, len(self.acknowledgements)
        ) + b"".join(
            _ACKNOWLEDGEMENT.pack(a.channel, a.next, a.window) for a in self.acknowledgements
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """A message, or piece ``index`` of the ``count`` pieces of one."""

    channel: int
    sequence: int
    """Number of the message on its channel, of the session and not of the link."""
    index: int
    count: int
    payload: bytes

    def encode(self) -> bytes:
        if self.count == 1:
            return _WHOLE.pack(WHOLE, self.channel, self.sequence) + self.payload
        header = _PIECE.pack(PIECE, self.channel, self.sequence, self.index, self.count)
        return header + self.payload


@dataclass(frozen=True, slots=True)
class Resume:
    """The first frame of a link that shall carry an older session on, from the end that called."""

    ticket: bytes

    def encode(self) -> bytes:
        return bytes([RESUME]) + self.ticket


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the other end may come back with, once; also the answer to a `Resume`: it was taken."""

    ticket: bytes

    def encode(self) -> bytes:
        return bytes([TICKET]) + self.ticket


def encode_bye(reason: str) -> bytes:
    """The frame that says goodbye and why."""
    cut = reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")
    return bytes([BYE]) + cut.encode()


def decode(data: bytes) -> Heartbeat | Piece | Resume | Ticket | str:
    """What a frame says: a text is the reason of a goodbye. Raises `WireError`."""
    try:
        match data[0]:
            case 1:
                return _decode_heartbeat(data)
            case 2:
                _, channel, sequence = _WHOLE.unpack_from(data)
                return Piece(channel, sequence, 0, 1, data[_WHOLE.size :])
            case 3:
                _, channel, sequence, index, count = _PIECE.unpack_from(data)
                if count < 2 or index >= count:
                    raise WireError(f"piece {index} of {count}")
                payload = data[_PIECE.size :]
                if len(payload) > PIECE_BYTES or (index < count - 1) > (
                    len(payload) == PIECE_BYTES
                ):
                    raise WireError("a piece of the wrong size")
                return Piece(channel, sequence, index, count, payload)
            case 4:
                reason = data[1 : 1 + MAX_REASON_BYTES].decode("utf-8", "replace")
                # It is shown to people and written to logs: no control characters.
                return "".join(c for c in reason if c.isprintable())
            case 5 | 6 as kind:
                if len(data) != 1 + TICKET_BYTES:
                    raise WireError("a ticket of the wrong length")
                return Resume(data[1:]) if kind == RESUME else Ticket(data[1:])
    except (struct.error, IndexError) as error:
        raise WireError("a frame is shorter than its header") from error
    raise WireError(f"there is no frame of kind {data[0]}")


def _decode_heartbeat(data: bytes) -> Heartbeat:
    _, time, echo, held, count = _HEARTBEAT.unpack_from(data)
    if len(data) != _HEARTBEAT.size + count * _ACKNOWLEDGEMENT.size:
        raise WireError("a heartbeat of the wrong length")
    entries = _ACKNOWLEDGEMENT.iter_unpack(data[_HEARTBEAT.size :])
    return Heartbeat(time, echo, held, tuple(Acknowledgement(*entry) for entry in entries))
