"""Bits: what was written is what is read, and nothing beyond the end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.wire.bits import BitReader, BitWriter, unwrap

QUICK = settings(deadline=None, max_examples=40)

PARTS = st.lists(
    st.integers(0, 32).flatmap(
        lambda width: st.tuples(
            st.just(width), st.lists(st.integers(0, (1 << width) - 1), max_size=6)
        )
    ),
    max_size=8,
)


@given(PARTS)
@QUICK
def test_numbers_of_any_width_come_back(parts: list[tuple[int, list[int]]]) -> None:
    writer = BitWriter()
    for width, values in parts:
        writer.write(np.array(values, dtype=np.int64), width)
    data = writer.getvalue()
    assert writer.bits == sum(width * len(values) for width, values in parts)
    assert len(data) == -(-writer.bits // 8)
    reader = BitReader(data)
    for width, values in parts:
        assert reader.read(len(values), width).tolist() == values
    reader.expect_end()


@pytest.mark.parametrize("width", range(33))
def test_the_largest_and_smallest_of_each_width(width: int) -> None:
    writer = BitWriter()
    for value in (0, (1 << width) - 1, 0):
        writer.write_one(value, width)
    reader = BitReader(writer.getvalue())
    assert [reader.read_one(width) for _ in range(3)] == [0, (1 << width) - 1, 0]


@given(st.lists(st.booleans(), max_size=40))
@QUICK
def test_flags_come_back(flags: list[bool]) -> None:
    writer = BitWriter()
    writer.write_flags(np.array(flags, dtype=np.bool_))
    assert BitReader(writer.getvalue()).read_flags(len(flags)).tolist() == flags


def test_the_most_significant_bit_comes_first() -> None:
    writer = BitWriter()
    writer.write_one(0b101, 3)
    writer.write_flags(np.array([False, True]))
    writer.write_one(0x1FF, 9)
    assert writer.getvalue() == bytes([0b10101111, 0b11111100])


def test_columns_of_a_matrix_are_written_as_they_stand() -> None:
    """Views that are not contiguous: what the sender hands over."""
    matrix = np.array([[True, False], [False, False], [True, True]])
    writer = BitWriter()
    writer.write_flags(matrix[:, 0])
    writer.write(np.array([[1, 9], [2, 9], [3, 9]])[:, 0], 4)
    assert writer.getvalue() == bytes([0b10100010, 0b01000110])


@pytest.mark.parametrize("left", [0, 1, 7, 8, 9, 31])
def test_beyond_the_end_is_an_error_and_takes_nothing(left: int) -> None:
    reader = BitReader(bytes(4))
    reader.read(1, 32 - left)
    for beyond in (
        lambda: reader.read_one(left + 1),
        lambda: reader.read(left + 1, 1),
        lambda: reader.read_flags(left + 1),
        lambda: reader.read(65_535, 32),
    ):
        with pytest.raises(WireError, match="ends where"):
            beyond()
    assert reader.left == left


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
    assert BitWriter().getvalue() == b""
    BitReader(b"").expect_end()


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
