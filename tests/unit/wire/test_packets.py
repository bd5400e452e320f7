"""The two datagrams: their headers, and inputs there and back."""

import enum
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netcode as nc
from netcode.errors import WireError
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.packets import (
    INPUT,
    MAX_INPUT_BITS,
    MAX_INPUTS,
    MAX_LAG,
    MAX_PACKETS,
    MAX_WINDOW_BYTES,
    NO_TICK,
    STATE,
    InputPacket,
    StateHeader,
    decode_inputs,
    decode_state_header,
    encode_inputs,
)
from netcode.world.world import World

QUICK = settings(deadline=None, max_examples=40)


class Gear(enum.Enum):
    LOW = 0
    HIGH = 1
    TOP = 2


class Ship(nc.Entity):
    pass


class Steer(nc.Input):
    turn = nc.Int(-1, 1)
    thrust = nc.Bool()
    aim = nc.Angle(bits=12)


class Aim(nc.Input):
    at = nc.Vec2(-100, 100, step=0.1)
    power = nc.Float(0, 1, step=0.01)
    gear = nc.Enum(Gear)
    target = nc.Ref("Ship")
    view = nc.Quat(bits=8)


WORLD = World([Ship])
TARGET = WORLD.spawn(Ship)
KINDS = (Steer, Aim)

FRAME = st.tuples(
    st.builds(
        Steer,
        turn=st.integers(-1, 1),
        thrust=st.booleans(),
        aim=st.floats(-10, 10),
    ),
    st.builds(
        Aim,
        at=st.tuples(st.floats(-200, 200), st.floats(-200, 200)),
        power=st.floats(-1, 2),
        gear=st.sampled_from(Gear),
        target=st.sampled_from([None, TARGET]),
        view=st.tuples(*[st.floats(-1, 1)] * 4),
    ),
)


def packet(inputs: list[Any], **changes: Any) -> InputPacket:
    values: dict[str, Any] = {
        "sequence": 1,
        "heard": True,
        "newest_state": 3,
        "window": 0,
        "newest_tick": 100,
        "lags": [640] * len(inputs),
    }
    return InputPacket(**{**values, **changes}, inputs=inputs)


def as_read(frame: Any) -> Any:
    """A tick's inputs with every value rounded to its step."""
    return tuple(
        type(part)(
            **{
                field.name: field.decode(field.encode(part._get(field), WORLD), WORLD)
                for field in part.fields
            }
        )
        for part in frame
    )


def bare(
    count: int, body: bytes, newest_tick: int = 100, window_bytes: int = 0, window: bytes = b""
) -> bytes:
    header = struct.pack("<BHBHBIB", INPUT, 1, 1, 0, window_bytes, newest_tick, count)
    return header + window + body


# -- state -----------------------------------------------------------------------------------


@given(
    st.builds(
        StateHeader,
        sequence=st.integers(0, 65_535),
        tick=st.integers(0, (1 << 32) - 1),
        index=st.integers(0, 9),
        count=st.integers(10, MAX_PACKETS),
        deferred=st.booleans(),
        client_packet=st.integers(0, 65_535),
        input_tick=st.none() | st.integers(0, NO_TICK - 1),
        earliness=st.integers(-32_768, 32_767).map(lambda ms: ms / 1000),
    ),
    st.binary(max_size=5),
)
@QUICK
def test_a_state_header_comes_back(header: StateHeader, body: bytes) -> None:
    data = header.encode() + body
    assert data[0] == STATE
    assert decode_state_header(data) == (header, body)


def test_numbers_of_a_header_are_shortened_or_clamped() -> None:
    header = StateHeader(70_000, 5, 0, 1, False, 80_000, None, -99.0)
    read, _ = decode_state_header(header.encode())
    assert (read.sequence, read.client_packet) == (70_000 & 0xFFFF, 80_000 & 0xFFFF)
    assert read.earliness == -32.768


@pytest.mark.parametrize(("index", "count"), [(0, 0), (1, 1), (255, 3), (0, 17), (200, 255)])
def test_a_packet_beyond_its_count_is_refused(index: int, count: int) -> None:
    data = StateHeader(1, 1, index, count, False, 0, None, 0.0).encode()
    with pytest.raises(WireError, match=f"packet {index} of {count}"):
        decode_state_header(data)


@pytest.mark.parametrize("size", range(18))
def test_a_header_that_is_cut_is_refused(size: int) -> None:
    data = StateHeader(1, 1, 0, 1, False, 0, None, 0.0).encode()
    with pytest.raises(WireError, match="shorter"):
        decode_state_header(data[:size])


# -- inputs ----------------------------------------------------------------------------------


@given(
    st.lists(FRAME, max_size=6),
    st.integers(0, 65_535),
    st.booleans(),
    st.integers(0, (1 << 8 * MAX_WINDOW_BYTES) - 1),
)
@QUICK
def test_inputs_come_back_rounded(
    inputs: list[Any], sequence: int, heard: bool, window: int
) -> None:
    sent = packet(inputs, sequence=sequence, heard=heard, window=window)
    read = decode_inputs(encode_inputs(sent, WORLD), KINDS, WORLD)
    assert (read.sequence, read.heard, read.newest_state) == (sequence, heard, 3)
    assert (read.window, read.newest_tick) == (window, 100)
    assert read.inputs == [as_read(frame) for frame in inputs]


@pytest.mark.parametrize("size", range(MAX_WINDOW_BYTES + 1))
def test_a_window_takes_the_bytes_up_to_its_highest_bit(size: int) -> None:
    frames = [(Steer(turn=1),)]
    bare_size = len(encode_inputs(packet(frames), WORLD))
    for bit in range(8 * (size - 1), 8 * size) if size else [None]:
        window = 0 if bit is None else 1 << bit | 1
        data = encode_inputs(packet(frames, window=window), WORLD)
        assert len(data) == bare_size + size
        assert data[6] == size
        assert bit is None or data[12 + bit // 8] >> (bit % 8) & 1
        read = decode_inputs(data, [Steer], WORLD)
        assert (read.window, read.newest_tick, read.newest_state) == (window, 100, 3)
        assert read.inputs == frames


def test_a_window_may_end_in_zeros() -> None:
    data = bare(0, b"", window_bytes=4, window=b"\x05\x01\x00\x00")
    assert decode_inputs(data, [Steer], WORLD).window == 0x105


@given(FRAME)
@QUICK
def test_what_has_been_rounded_once_stays(frame: Any) -> None:
    rounded = as_read(frame)
    data = encode_inputs(packet([frame]), WORLD)
    assert decode_inputs(data, KINDS, WORLD).inputs == [rounded]
    assert encode_inputs(packet([rounded]), WORLD) == data


def test_an_input_like_the_one_before_costs_a_bit_and_an_even_lag_four() -> None:
    still = (Steer(turn=1),)
    one = encode_inputs(packet([still]), WORLD)
    many = encode_inputs(packet([still] * MAX_INPUTS), WORLD)
    assert (8 * len(many) - 8 * len(one)) - 5 * (MAX_INPUTS - 1) in range(-7, 8)


@given(st.lists(st.integers(0, MAX_LAG) | st.integers(600, 680), max_size=MAX_INPUTS))
@QUICK
def test_lags_come_back_however_they_change(lags: list[int]) -> None:
    sent = packet([(Steer(),)] * len(lags), lags=lags)
    data = encode_inputs(sent, WORLD)
    assert decode_inputs(data, [Steer], WORLD).lags == lags


@pytest.mark.parametrize("lags", [[0, 65_535] * 16, [65_535, 0] * 16])
def test_lags_that_leap_take_no_more_room_than_is_kept_for_them(lags: list[int]) -> None:
    data = encode_inputs(packet([(Steer(),)] * MAX_INPUTS, lags=lags), WORLD)
    assert 8 * (len(data) - 13) <= (32 + 1) * MAX_INPUTS + 3
    assert decode_inputs(data, [Steer], WORLD).lags == lags


@pytest.mark.parametrize(("first", "code"), [(0, "0001"), (0, "10101"), (65_535, "0010")])
def test_a_lag_out_of_range_is_refused(first: int, code: str) -> None:
    """A change of -1 or -7 below 0, or of +1 above the top."""
    bits = f"{first:016b}" + "0" + "0" * 15 + code + "1"
    bits += "0" * (-len(bits) % 8)
    body = int(bits, 2).to_bytes(len(bits) // 8, "big")
    assert sum(sum(field.lane_bits) for field in Steer.fields) == 15
    with pytest.raises(WireError, match="lag"):
        decode_inputs(bare(2, body), [Steer], WORLD)


def test_the_largest_packet_of_inputs_fits_into_a_datagram() -> None:
    fields = {f"f{index}": nc.Int(0, (1 << 31) - 1) for index in range(MAX_INPUT_BITS // 31)}
    rest = {f"b{index}": nc.Bool() for index in range(MAX_INPUT_BITS % 31)}
    wide: Any = type("Wide", (nc.Input,), {**fields, **rest})
    nc.Protocol(inputs=[wide])
    frames = [(wide(f0=index),) for index in range(MAX_INPUTS)]
    lags = [0, 65_535] * (MAX_INPUTS // 2)
    window = (1 << 8 * MAX_WINDOW_BYTES) - 1
    data = encode_inputs(packet(frames, window=window, lags=lags), WORLD)
    assert MAX_DATAGRAM - MAX_INPUTS < len(data) <= MAX_DATAGRAM
    assert decode_inputs(data, [wide], WORLD).inputs == frames


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("cut header", bare(0, b"")[:-1]),
        ("nothing", b""),
        ("too many", bare(MAX_INPUTS + 1, b"\xff" * 60)),
        ("first repeats", bare(1, b"\x00\x00\x80")),
        ("cut body", bare(1, b"")),
        ("cut in the middle", bare(2, b"\x00\x00\x00\x00\x00")),
        ("bytes behind", bare(0, b"\x00")),
        ("bits behind", bare(1, b"\x00\x00\x00\x00\x01")),
        ("cut window", bare(0, b"", window_bytes=3, window=b"\x01\x02")),
        ("window too long", bare(0, b"", window_bytes=33, window=bytes(33))),
        ("window of all there is", bare(0, b"", window_bytes=255)),
        ("inputs within the window", bare(1, b"", window_bytes=4, window=b"\x00\x00\x20\x00")),
        ("before tick 0", bare(2, b"\x00" * 11, newest_tick=0)),
        ("no tick", bare(1, b"\x00\x00\x00\x00", newest_tick=NO_TICK)),
    ],
)
def test_malformed_inputs_are_refused(what: str, data: bytes) -> None:
    with pytest.raises(WireError):
        decode_inputs(data, [Steer], WORLD)


def test_the_first_tick_of_all_may_have_an_input() -> None:
    data = encode_inputs(packet([(Steer(),)], newest_tick=0), WORLD)
    assert decode_inputs(data, [Steer], WORLD).newest_tick == 0


def test_numbers_beyond_a_range_are_read_as_its_end() -> None:
    data = bare(1, bytes([0, 0, 0b01100000, 0]))  # turn lane 3 of 0..2, which no honest end sends
    (frame,) = decode_inputs(data, [Steer], WORLD).inputs
    assert frame == (Steer(turn=1),)
