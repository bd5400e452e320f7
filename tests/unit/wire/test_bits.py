"""Bits: what was written is what is read, and nothing beyond the end."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.wire.bits import (
    ESCAPE,
    BitReader,
    Ints,
    counted,
    lengths,
    pack,
    rice,
    rice_cost,
    rice_parameter,
    unwrap,
)
from tests.unit.wire.independent_body import Bits

QUICK = settings(deadline=None, max_examples=40)

NUMBERS = st.lists(
    st.integers(0, 32).flatmap(
        lambda width: st.tuples(st.just(width), st.integers(0, (1 << width) - 1))
    ),
    max_size=40,
)


def ints(values: Sequence[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def packed(values: Sequence[int], widths: Sequence[int]) -> bytes:
    """Numbers one behind the other, zero bits up to the next whole byte."""
    wide, ends = ints(widths), np.cumsum(ints(widths))
    total = int(ends[-1]) if len(ends) else 0
    data = pack(ends - wide, ints(values), wide, ints([]), total)
    assert len(data) == (total + 31) // 32 * 4
    return data[: (total + 7) // 8]


def from_text(bits: str) -> bytes:
    bits = bits.replace(" ", "")
    padded = bits + "0" * (-len(bits) % 8)
    return bytes(int(padded[at : at + 8], 2) for at in range(0, len(padded), 8))


# -- plain numbers ---------------------------------------------------------------------------


@given(NUMBERS)
@QUICK
def test_numbers_of_any_width_come_back(numbers: list[tuple[int, int]]) -> None:
    widths, values = [width for width, _ in numbers], [value for _, value in numbers]
    data = packed(values, widths)
    assert BitReader(data).read_widths(ints(widths)).tolist() == values
    one_by_one = BitReader(data)
    assert [one_by_one.read_one(width) for width in widths] == values
    one_by_one.expect_end()


@pytest.mark.parametrize("width", range(33))
def test_the_largest_and_smallest_of_each_width(width: int) -> None:
    values = [0, (1 << width) - 1, 0, (1 << width) - 1]
    assert BitReader(packed(values, [width] * 4)).read(4, width).tolist() == values


@given(st.permutations(range(12)))
@QUICK
def test_the_order_in_which_numbers_are_handed_over_does_not_matter(order: list[int]) -> None:
    widths = ints([1, 32, 7, 31, 2, 32, 32, 9, 16, 3, 30, 1])
    values = (np.int64(1) << widths) - 1 - np.arange(12) % 2
    positions = np.cumsum(widths) - widths + 5  # zeros before, and no word begins where one does
    bits = int(widths.sum()) + 5
    ones = ints([0, 3])
    assert pack(positions[order], values[order], widths[order], ones[::-1], bits) == pack(
        positions, values, widths, ones, bits
    )


def test_the_most_significant_bit_comes_first() -> None:
    assert packed([0b101, 0, 1, 0x1FF], [3, 1, 1, 9]) == bytes([0b10101111, 0b11111100])
    assert pack(ints([]), ints([]), ints([]), ints([]), 0) == b""


@given(st.sets(st.integers(0, 200)))
@QUICK
def test_single_ones_stand_where_they_are_put(places: set[int]) -> None:
    data = pack(ints([]), ints([]), ints([]), ints(sorted(places)), 201)
    assert BitReader(data).read_flags(201).tolist() == [place in places for place in range(201)]


@given(st.lists(st.booleans(), max_size=40))
@QUICK
def test_flags_come_back(flags: list[bool]) -> None:
    data = packed([int(flag) for flag in flags], [1] * len(flags))
    assert BitReader(data).read_flags(len(flags)).tolist() == flags


def test_bytes_are_read_from_wherever_they_begin() -> None:
    reader = BitReader(from_text("101" + "".join(f"{byte:08b}" for byte in b"netcode")))
    reader.read_one(3)
    assert reader.read_bytes(7) == b"netcode"
    reader.expect_end()


@given(st.lists(st.integers(0, (1 << 31) - 1), max_size=30))
@QUICK
def test_lengths_are_binary_digits(values: list[int]) -> None:
    assert lengths(ints(values)).tolist() == [value.bit_length() for value in values]


# -- counts ----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=20))
@QUICK
def test_counts_come_back(values: list[int]) -> None:
    items, widths = counted(ints(values))
    data = packed(items.tolist(), widths.tolist())
    reader, other = BitReader(data), Bits(data)
    assert [reader.read_counted() for _ in values] == values
    assert [other.counted() for _ in values] == values
    reader.expect_end()


@pytest.mark.parametrize(
    ("bits", "why"),
    [
        ("10001" + "1" * 17, "17 bits"),
        ("11111" + "1" * 31, "31 bits"),
        ("00010 01", "leading zeros"),
        ("00001 0", "leading zeros"),
        ("01000 111", "ends where"),
        ("", "ends where"),
    ],
)
def test_a_malformed_count_is_refused(bits: str, why: str) -> None:
    with pytest.raises(WireError, match=why):
        BitReader(from_text(bits)).read_counted()


# -- Rice codes ------------------------------------------------------------------------------

RAW = 31
CODES = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 40), st.integers(0, (1 << RAW) - 1)),
        st.integers(0, 30),
    ),
    max_size=30,
)


def rice_block(codes: Sequence[int], k: Sequence[int], raw: int = RAW) -> tuple[bytes, int]:
    unary, binary, widths = rice(ints(codes), ints(k), np.full(len(codes), raw))
    values = [*[1] * len(codes), *binary.tolist()]
    all_widths = [*unary.tolist(), *widths.tolist()]
    return packed(values, all_widths), sum(all_widths)


@given(CODES)
@QUICK
def test_rice_codes_come_back(pairs: list[tuple[int, int]]) -> None:
    codes, k = [code for code, _ in pairs], [parameter for _, parameter in pairs]
    data, bits = rice_block(codes, k)
    reader = BitReader(data)
    assert reader.read_rice(ints(k), np.full(len(k), RAW)).tolist() == codes
    assert reader.left == 8 * len(data) - bits
    assert Bits(data).block([(parameter, RAW) for parameter in k]) == codes
    assert rice_cost(ints(codes), ints(k), np.full(len(k), RAW)).sum() == bits


@pytest.mark.parametrize("k", range(31))
def test_the_escape_begins_at_a_quotient_of_24(k: int) -> None:
    last = min((ESCAPE << k) - 1, (1 << RAW) - 1)
    for code in {0, 1, last, min(last + 1, (1 << RAW) - 1), (1 << RAW) - 1}:
        data, bits = rice_block([code], [k])
        assert BitReader(data).read_rice(ints([k]), ints([RAW])).tolist() == [code]
        quotient = code >> k
        assert bits == (ESCAPE + 1 + RAW if quotient >= ESCAPE else quotient + 1 + k)


def test_unary_parts_come_before_binary_parts() -> None:
    data, _ = rice_block([5, 0, 9], [1, 2, 3])
    assert data == from_text("001 1 01   1 00 001")


def test_a_rice_code_of_more_zeros_than_the_escape_is_refused() -> None:
    with pytest.raises(WireError, match="25 zeros"):
        BitReader(from_text("0" * (ESCAPE + 1) + "1" + "1" * 40)).read_rice(ints([0]), ints([31]))


@pytest.mark.parametrize("bits", ["", "0" * 8, "0001" + "0" * 12])
def test_a_unary_part_without_an_end_is_refused(bits: str) -> None:
    with pytest.raises(WireError, match="no end"):
        BitReader(from_text(bits)).read_unary(2)


@pytest.mark.parametrize(("unary", "k"), [("1", 9), ("0" * ESCAPE + "1", 3)])
def test_a_rice_code_without_its_binary_part_is_refused(unary: str, k: int) -> None:
    with pytest.raises(WireError, match="ends where"):
        BitReader(from_text(unary)).read_rice(ints([k]), ints([16]))


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=200))
@QUICK
def test_the_parameter_is_nearly_the_best(codes: list[int]) -> None:
    def cost(k: int) -> int:
        count = len(codes)
        return int(rice_cost(ints(codes), np.full(count, k), np.full(count, 31)).sum())

    chosen = int(rice_parameter(ints([sum(codes)]), ints([len(codes)]))[0])
    assert chosen >= 0
    assert cost(chosen) <= 1.5 * min(cost(k) for k in range(16)) + len(codes)


# -- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9, 31])
def test_beyond_the_end_is_an_error_and_takes_nothing(left: int) -> None:
    reader = BitReader(bytes(4))
    reader.read(1, 32 - left)
    for beyond in (
        lambda: reader.read_one(left + 1),
        lambda: reader.read(left + 1, 1),
        lambda: reader.read_widths(ints([left, 1])),
        lambda: reader.read_flags(left + 1),
        lambda: reader.read_bytes(left // 8 + 1),
        lambda: reader.read(65_535, 32),
    ):
        with pytest.raises(WireError, match="ends where"):
            beyond()
    with pytest.raises(WireError, match="no end"):
        reader.read_unary(1)
    assert reader.left == left


def test_nothing_is_read_of_nothing() -> None:
    reader = BitReader(b"\xff")
    assert len(reader.read(0, 32)) == len(reader.read_unary(0)) == len(reader.read_flags(0)) == 0
    assert len(reader.read_widths(ints([]))) == len(reader.read_rice(ints([]), ints([]))) == 0
    assert (reader.read_one(0), reader.read_bytes(0), reader.left) == (0, b"", 8)


def test_only_padding_may_follow() -> None:
    reader = BitReader(b"\x80")
    reader.read_one(1)
    reader.expect_end()
    for data, taken in ((b"\x81", 1), (b"\x80\x00", 1), (b"\x00", 0)):
        reader = BitReader(data)
        reader.read_one(taken)
        with pytest.raises(WireError, match="more in the packet"):
            reader.expect_end()


def test_nothing_at_all_is_an_end() -> None:
    BitReader(b"").expect_end()


# -- shortened numbers -----------------------------------------------------------------------


@given(st.integers(-(1 << 40), 1 << 40), st.integers(-32_768, 32_767))
@QUICK
def test_a_shortened_number_is_made_whole_beside_a_near_one(near: int, apart: int) -> None:
    assert unwrap((near + apart) & 0xFFFF, near) == near + apart


@pytest.mark.parametrize(
    ("low", "near", "whole"),
    [
        (0, 65_535, 65_536),
        (65_535, 65_536, 65_535),
        (1, 0, 1),
        (65_535, 0, -1),
        (5, 70_000, 65_541),
    ],
)
def test_numbers_wrap_at_sixteen_bits(low: int, near: int, whole: int) -> None:
    assert unwrap(low, near) == whole
