"""Arrays of unsigned integers of any width, packed into bits, most significant bit first."""

import numpy as np
from numpy.typing import NDArray

from netcode.errors import WireError

Ints = NDArray[np.int64]

ESCAPE = 24
"""A Rice code whose quotient is this many zeros is followed by the raw number instead."""

_LENGTH_BITS = 5
_WORD = 32


def pack(positions: Ints, values: Ints, widths: Ints, ones: Ints, bits: int) -> bytes:
    """Numbers (0 ≤ value < 2**width, width ≤ 32) at these bit positions, single ones at the
    positions ``ones``, zeros elsewhere.

    The order does not matter; no two may overlap. Whole words of 32 bits are returned.
    """
    words = np.zeros(bits // _WORD + 2, dtype=np.uint64)
    where = positions >> 5
    shift = 64 - (positions & 31)
    shift -= widths
    wide = values.view(np.uint64) << shift.view(np.uint64)
    np.add.at(words, where, wide >> np.uint64(_WORD))
    where += 1
    wide &= np.uint64(0xFFFFFFFF)
    np.add.at(words, where, wide)
    np.add.at(words, ones >> 5, _BITS.take(ones & 31))
    return words[: (bits + _WORD - 1) // _WORD].astype(">u4").tobytes()


_BITS = np.uint64(1) << np.arange(31, -1, -1, dtype=np.uint64)


def edges(*columns: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Where a row differs from the one before in any column; the first does."""
    fresh = np.empty(len(columns[0]), dtype=np.bool_)
    fresh[:1] = True
    np.not_equal(columns[0][1:], columns[0][:-1], out=fresh[1:])
    for column in columns[1:]:
        fresh[1:] |= column[1:] != column[:-1]
    return fresh


def sizes(starts: Ints, total: int) -> Ints:
    """How many rows each run has, given where runs start."""
    ends = np.empty(len(starts), dtype=np.int64)
    ends[:-1] = starts[1:]
    ends[-1:] = total
    ends -= starts
    return ends


def spread(starts: Ints, counts: Ints) -> Ints:
    """The numbers starts[i] … starts[i] + counts[i] - 1, for all i in a row."""
    ends = counts.cumsum()
    spread_out = np.arange(int(ends[-1]) if len(ends) else 0)
    spread_out += (starts - ends + counts).repeat(counts)
    return spread_out


def lengths(values: Ints) -> Ints:
    """The number of binary digits of each value below 2**31; 0 for 0."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def counted(values: Ints) -> tuple[Ints, Ints]:
    """Counts below 65,536 as items: 5 bits of length, then as many bits. Values and widths."""
    size = lengths(values)
    return size << size | values, size + _LENGTH_BITS


def rice(codes: Ints, k: Ints, raw: Ints) -> tuple[Ints, Ints, Ints]:
    """Rice codes in two streams: unary widths, then binary values and widths.

    The quotient ``code >> k`` is as many zeros and a one; the lowest k bits follow in the second
    stream. From `ESCAPE` on the quotient is `ESCAPE` zeros and a one, and the number itself
    follows in ``raw`` bits.
    """
    quotient = codes >> k
    binary = codes - (quotient << k)
    escaped = (quotient >= ESCAPE).nonzero()[0]
    widths = k
    if len(escaped):
        quotient[escaped] = ESCAPE
        binary[escaped] = codes[escaped]
        widths = k.copy()
        widths[escaped] = raw[escaped]
    quotient += 1
    return quotient, binary, widths


def rice_cost(codes: Ints, k: Ints, raw: Ints) -> Ints:
    """The bits that each code takes in both streams."""
    cost = codes >> k
    escaped = (cost >= ESCAPE).nonzero()[0]
    cost += k
    cost += 1
    if len(escaped):
        cost[escaped] = ESCAPE + 1 + raw[escaped]
    return cost


def rice_parameter(total: NDArray[np.integer], count: NDArray[np.integer]) -> Ints:
    """A good k for ``count`` codes that add up to ``total``: about log2 of 0.69 times the mean."""
    mean = 0.69 * total / np.maximum(count, 1)
    return np.asarray(np.maximum(np.frexp(mean)[1].astype(np.int64) - (mean > 0), 0))


class BitReader:
    """Reads numbers out of a packet. Raises `WireError` beyond the end."""

    def __init__(self, data: bytes) -> None:
        raw = np.frombuffer(data, dtype=np.uint8)
        self._size = 8 * len(raw)
        self._bits = np.unpackbits(raw)
        self._ones = np.flatnonzero(self._bits)
        padded = np.zeros(len(raw) + 8, dtype=np.uint64)
        padded[: len(raw)] = raw
        self._windows = np.zeros(len(raw) + 1, dtype=np.uint64)
        for byte in range(8):
            self._windows |= padded[byte : byte + len(raw) + 1] << np.uint64(56 - 8 * byte)
        self._at = 0

    @property
    def left(self) -> int:
        """Bits that have not been read."""
        return self._size - self._at

    def expect(self, bits: int) -> None:
        """Raise `WireError` unless so many bits are left: before room is made for many numbers."""
        if bits > self.left:
            raise WireError(f"the packet ends where {bits} more bits should be")

    def _skip(self, bits: int) -> int:
        """Go on by this many bits; where they begin."""
        self.expect(bits)
        at = self._at
        self._at += bits
        return at

    def read(self, count: int, width: int) -> Ints:
        """``count`` numbers of ``width`` bits each (at most 32)."""
        at = self._skip(count * width)
        return self._numbers(at + width * np.arange(count), np.full(count, width))

    def read_widths(self, widths: Ints) -> Ints:
        """Numbers of these widths (0 to 32), one behind the other."""
        ends = np.cumsum(widths)
        at = self._skip(int(ends[-1]) if len(ends) else 0)
        return self._numbers(at + ends - widths, widths)

    def _numbers(self, positions: Ints, widths: Ints) -> Ints:
        shifted = self._windows[positions >> 3] << (positions & 7).astype(np.uint64)
        # In two steps, since a shift by 64 means nothing.
        numbers = (shifted >> np.uint64(1)) >> (63 - widths).astype(np.uint64)
        return np.asarray(numbers.astype(np.int64))

    def read_unary(self, count: int) -> Ints:
        """``count`` numbers, each as many zeros and a one."""
        if count == 0:
            return np.zeros(0, dtype=np.int64)
        start = int(np.searchsorted(self._ones, self._at))
        ends = self._ones[start : start + count]
        if len(ends) < count:
            raise WireError("a unary code has no end")
        zeros = np.diff(ends, prepend=self._at - 1) - 1
        self._at = int(ends[-1]) + 1
        return np.asarray(zeros)

    def read_rice(self, k: Ints, raw: Ints) -> Ints:
        """Rice codes, one for each of ``k``; see `rice`."""
        quotient = self.read_unary(len(k))
        if len(quotient) and quotient.max() > ESCAPE:
            raise WireError(f"a Rice code of {quotient.max()} zeros")
        escaped = quotient == ESCAPE
        binary = self.read_widths(np.where(escaped, raw, k))
        return np.asarray(np.where(escaped, binary, quotient << k | binary))

    def read_flags(self, count: int) -> NDArray[np.bool_]:
        at = self._skip(count)
        return self._bits[at : at + count].view(np.bool_)

    def read_one(self, width: int) -> int:
        at = self._skip(width)
        window = int(self._windows[at >> 3]) << (at & 7) & 0xFFFFFFFFFFFFFFFF
        return window >> (64 - width) if width else 0

    def read_counted(self) -> int:
        """A count written by `counted`."""
        size = self.read_one(_LENGTH_BITS)
        if size > 16:
            raise WireError(f"a count of {size} bits")
        value = self.read_one(size)
        if value.bit_length() != size:
            raise WireError("a count with leading zeros")
        return value

    def read_bytes(self, count: int) -> bytes:
        return self.read(count, 8).astype(np.uint8).tobytes()

    def expect_end(self) -> None:
        """Raise `WireError` unless only the zero bits that pad the last byte are left."""
        if self.left >= 8 or self._bits[self._at :].any():
            raise WireError("there is more in the packet than it says")


def unwrap(low: int, near: int, bits: int = 16) -> int:
    """The number closest to ``near`` whose lowest ``bits`` bits are ``low``.

    Sequence numbers travel shortened and are made whole again beside the newest one known
    (RFC 9000 appendix A.3 does the same for packet numbers).
    """
    span = 1 << bits
    return near + ((low - near + span // 2) % span) - span // 2
