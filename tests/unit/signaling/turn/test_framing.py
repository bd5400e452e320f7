"""ChannelData, and streams cut into packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import PacketError
from signaling.turn.framing import (
    LARGEST,
    LARGEST_OF_STRANGER,
    StreamPackets,
    channel_data,
    padded,
    read_channel_data,
)

STUN = b"\x00\x01\x00\x04" + bytes(16) + b"abcd"


@given(number=st.integers(0x4000, 0x7FFF), data=st.binary(max_size=100))
def test_channel_data_comes_back(number: int, data: bytes) -> None:
    packet = channel_data(number, data)
    assert read_channel_data(packet) == (number, data)
    assert read_channel_data(padded(packet)) == (number, data)
    assert len(padded(packet)) % 4 == 0


@pytest.mark.parametrize(
    "packet", [b"", b"\x40\x00\x00", b"\x40\x00\x00\x01", b"\x3f\xff\x00\x00", b"\x80\x00\x00\x00"]
)
def test_what_is_no_channel_data_is_refused(packet: bytes) -> None:
    with pytest.raises(PacketError):
        read_channel_data(packet)


@given(
    packets=st.lists(
        st.one_of(
            st.just(STUN), st.binary(max_size=30).map(lambda data: channel_data(0x4001, data))
        )
    ),
    cuts=st.lists(st.integers(1, 40)),
)
def test_a_stream_is_cut_into_the_same_packets_wherever_it_was_split(
    packets: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(map(padded, packets))
    reader = StreamPackets()
    got: list[bytes] = []
    while stream:
        cut = cuts.pop() if cuts else len(stream)
        got += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert got == packets


@pytest.mark.parametrize("first", [0x80, 0x90, 0xFF])
def test_what_can_be_no_packet_ends_the_stream(first: int) -> None:
    with pytest.raises(PacketError):
        list(StreamPackets().feed(bytes([first, 0, 0, 0])))


def test_a_packet_too_long_is_refused_before_it_has_come() -> None:
    reader = StreamPackets()
    with pytest.raises(PacketError, match="2048 are allowed"):
        list(reader.feed(b"\x40\x00" + (LARGEST_OF_STRANGER - 3).to_bytes(2, "big")))
    reader = StreamPackets(largest=LARGEST)
    assert list(reader.feed(b"\x40\x00\xff\xff")) == []
    assert list(reader.feed(bytes(65_535))) == []  # the padding has still to come
    assert list(reader.feed(bytes(1))) == [channel_data(0x4000, bytes(65_535))]
