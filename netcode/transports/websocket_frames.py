"""What two ends of a WebSocket transport say to each other: five kinds of frame, one parser.

    OPEN     1, version                                   the caller begins
    ACCEPT   2                                            the other end has taken it
    ACK      3, consumed u32                              how many DATA frames have been consumed
    CLOSE    4, reason in UTF-8                           the end; nothing follows
    DATA    16 + lane, number u32, consumed u32, message  one message of a lane

Numbers are big-endian, and begin anew after 2³² - 1. DATA frames are numbered from 0 on, those of
all lanes in one row, so that a gap is noticed; ``consumed`` acknowledges those of the other end.
Pure.
"""

import struct
from dataclasses import dataclass

from netcode.errors import WireError
from netcode.transports.base import MAX_TRANSPORT_MESSAGE, Lane

VERSION = 1
"""Both ends must speak the same one."""

MAX_REASON = 200
"""Bytes of the reason in a CLOSE."""

NUMBERS = 1 << 32
"""How many numbers there are before they begin anew."""

_OPEN, _ACCEPT, _ACK, _CLOSE, _DATA = 1, 2, 3, 4, 16
_ACK_FRAME = struct.Struct(">BI")
_DATA_HEADER = struct.Struct(">BII")

MAX_FRAME = _DATA_HEADER.size + MAX_TRANSPORT_MESSAGE
"""Bytes of the longest frame."""


@dataclass(frozen=True, slots=True)
class Open:
    """The caller begins."""

    version: int = VERSION

    def encode(self) -> bytes:
        return bytes((_OPEN, self.version))


@dataclass(frozen=True, slots=True)
class Accept:
    """The answer to `Open`."""

    def encode(self) -> bytes:
        return bytes((_ACCEPT,))


@dataclass(frozen=True, slots=True)
class Ack:
    """How many DATA frames of the other end have been consumed so far, modulo `NUMBERS`."""

    consumed: int

    def encode(self) -> bytes:
        return _ACK_FRAME.pack(_ACK, self.consumed)


@dataclass(frozen=True, slots=True)
class Close:
    """The end, with a reason for people; an empty one is the usual end."""

    reason: str = ""

    def encode(self) -> bytes:
        cut = self.reason.encode("utf-8", "replace")[:MAX_REASON]
        return bytes((_CLOSE,)) + cut.decode("utf-8", "ignore").encode()


@dataclass(frozen=True, slots=True)
class Data:
    """One message."""

    lane: Lane
    number: int
    consumed: int
    """As in `Ack`."""
    message: bytes

    def encode(self) -> bytes:
        return _DATA_HEADER.pack(_DATA + self.lane, self.number, self.consumed) + self.message


Frame = Open | Accept | Ack | Close | Data


def decode(frame: bytes) -> Frame:
    """Return what a frame says. Raises only `WireError`."""
    if not frame or len(frame) > MAX_FRAME:
        raise WireError(f"a frame of {len(frame)} bytes")
    kind, size = frame[0], len(frame)
    if kind == _OPEN and size == 2:
        return Open(frame[1])
    if kind == _ACCEPT and size == 1:
        return Accept()
    if kind == _ACK and size == _ACK_FRAME.size:
        return Ack(_ACK_FRAME.unpack(frame)[1])
    if kind == _CLOSE and size <= 1 + MAX_REASON:
        return Close(_reason(frame[1:]))
    if _DATA <= kind < _DATA + len(Lane) and size >= _DATA_HEADER.size:
        _, number, consumed = _DATA_HEADER.unpack_from(frame)
        return Data(Lane(kind - _DATA), number, consumed, frame[_DATA_HEADER.size :])
    raise WireError(f"no frame of kind {kind} has {size} bytes")


def _reason(text: bytes) -> str:
    try:
        reason = text.decode()
    except UnicodeDecodeError:
        raise WireError("the reason of a CLOSE is not UTF-8") from None
    if not reason.isprintable():
        raise WireError("the reason of a CLOSE is not printable")
    return reason
