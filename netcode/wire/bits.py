"""Arrays of unsigned integers of any width, packed into bits, most significant bit first."""

import numpy as np
from numpy.typing import NDArray

from netcode.errors import WireError

_SHIFTS = [np.arange(width - 1, -1, -1, dtype=np.int64) for width in range(33)]
_WEIGHTS = [np.int64(1) << shifts for shifts in _SHIFTS]


class BitWriter:
    """Gathers numbers; `getvalue` is their bits in order, padded with zeros to whole bytes."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.uint8]] = []
        self.bits = 0
        """How many bits have been written."""

    def write(self, values: NDArray[np.integer], width: int) -> None:
        """Each of ``values`` (0 ≤ value < 2**width, width ≤ 32) in ``width`` bits."""
        if len(values) == 0 or width == 0:
            return
        wide = values.astype(np.int64)[:, None]
        self._parts.append(((wide >> _SHIFTS[width]) & 1).astype(np.uint8).ravel())
        self.bits += len(values) * width

    def write_flags(self, flags: NDArray[np.bool_]) -> None:
        """One bit for each of ``flags``."""
        if len(flags):
            self._parts.append(flags.view(np.uint8))
            self.bits += len(flags)

    def write_one(self, value: int, width: int) -> None:
        self.write(np.array([value]), width)

    def getvalue(self) -> bytes:
        if not self._parts:
            return b""
        return np.packbits(np.concatenate(self._parts)).tobytes()


class BitReader:
    """Reads what `BitWriter` wrote. Raises `WireError` beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
        self._at = 0

    @property
    def left(self) -> int:
        """Bits that have not been read."""
        return len(self._bits) - self._at

    def _take(self, count: int) -> NDArray[np.uint8]:
        if count > self.left:
            raise WireError(f"the packet ends where {count} more bits should be")
        taken = self._bits[self._at : self._at + count]
        self._at += count
        return taken

    def read(self, count: int, width: int) -> NDArray[np.int64]:
        """``count`` numbers of ``width`` bits each."""
        if width == 0:
            return np.zeros(count, dtype=np.int64)
        table = self._take(count * width).reshape(count, width)
        return np.asarray(table @ _WEIGHTS[width])

    def read_flags(self, count: int) -> NDArray[np.bool_]:
        return self._take(count).view(np.bool_)

    def read_one(self, width: int) -> int:
        return int(self._take(width) @ _WEIGHTS[width]) if width else 0

    def expect_end(self) -> None:
        """Raise `WireError` unless only the zero bits that pad the last byte are left."""
        if self.left >= 8 or self._take(self.left).any():
            raise WireError("there is more in the packet than it says")


def unwrap(low: int, near: int, bits: int = 16) -> int:
    """The number closest to ``near`` whose lowest ``bits`` bits are ``low``.

    Sequence numbers travel shortened and are made whole again beside the newest one known
    (RFC 9000 appendix A.3 does the same for packet numbers).
    """
    span = 1 << bits
    return near + ((low - near + span // 2) % span) - span // 2
