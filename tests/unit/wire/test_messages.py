"""Typed messages there and back, and what is not one."""

import contextlib
import enum
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netcode as nc
from netcode.errors import WireError
from netcode.wire.messages import MAX_REQUEST, MAX_TICK, decode_message, encode_message, unpack
from netcode.world.world import World

QUICK = settings(deadline=None, max_examples=40)


class Team(enum.Enum):
    RED = "r"
    BLUE = "b"


class Ship(nc.Entity):
    pass


class Empty(nc.Message):
    pass


class Bang(nc.Message, timed=True):
    loud = nc.Bool()


class Full(nc.Message):
    number = nc.Float(-5, 5, step=0.5)
    whole = nc.Int(-10, 1000)
    yes = nc.Bool()
    angle = nc.Angle(bits=8)
    team = nc.Enum(Team)
    text = nc.Text(max_bytes=12)
    ship = nc.Ref("Ship")
    flat = nc.Vec2(-5, 5, step=0.5)
    deep = nc.Vec3(-5, 5, step=0.5)
    turn = nc.Quat(bits=6)


KINDS = (Empty, Full)
WORLD = World([Ship])
SHIP = WORLD.spawn(Ship)

HALVES = st.integers(-10, 10).map(lambda n: n / 2)
FULL = st.builds(
    Full,
    number=HALVES,
    whole=st.integers(-10, 1000),
    yes=st.booleans(),
    angle=st.just(0.0),
    team=st.sampled_from(Team),
    text=st.text(max_size=4),
    ship=st.sampled_from([None, SHIP]),
    flat=st.tuples(HALVES, HALVES),
    deep=st.tuples(HALVES, HALVES, HALVES),
    turn=st.just((0.0, 0.0, 0.0, 1.0)),
)


@given(FULL, st.integers(0, MAX_REQUEST), st.booleans())
@QUICK
def test_every_kind_of_field_comes_back(message: Full, request: int, reply: bool) -> None:
    reply = reply and request > 0
    data = encode_message(1, message, WORLD, request=request, reply=reply)
    assert decode_message(data, KINDS, WORLD) == (message, request, reply, None)


def test_a_message_without_fields_is_four_bytes() -> None:
    data = encode_message(0, Empty(), WORLD)
    assert len(data) == 4
    assert decode_message(data, KINDS, WORLD) == (Empty(), 0, False, None)


def test_values_are_rounded_and_clamped_on_the_way() -> None:
    message = Full(number=99, whole=-99, flat=(0.3, -99))
    read, *_ = decode_message(encode_message(1, message, WORLD), KINDS, WORLD)
    assert isinstance(read, Full)
    assert (read.number, read.whole, read.flat) == (5.0, -10, (0.5, -5.0))


@given(st.integers(0, MAX_TICK))
@QUICK
def test_a_timed_message_brings_its_tick(tick: int) -> None:
    data = encode_message(0, Bang(loud=True), WORLD, tick=tick)
    assert decode_message(data, [Bang], WORLD) == (Bang(loud=True), 0, False, tick)
    untold = encode_message(0, Bang(), WORLD)
    assert decode_message(untold, [Bang], WORLD) == (Bang(), 0, False, None)


@pytest.mark.parametrize("tick", [-1, MAX_TICK + 1, 1.5, None, "1", [1]])
def test_what_is_no_tick_is_refused(tick: Any) -> None:
    with pytest.raises(WireError):
        decode_message(msgpack.packb([0, 0, [1], tick]), [Bang], WORLD)


def test_a_message_that_is_not_timed_has_no_tick() -> None:
    with pytest.raises(WireError):
        decode_message(msgpack.packb([0, 0, [], 5]), KINDS, WORLD)


GOOD = msgpack.unpackb(encode_message(1, Full(text="hi"), WORLD))
ODD: list[Any] = [
    None, -1, 1 << 31, 1 << 40, 1.5, True, "x", b"x", [], [1], [1, 2], {}, {"a": 1}, "x" * 13,
    [True, 1, 1, 1], [[1], 2],
]  # fmt: skip


@pytest.mark.parametrize("place", range(10))
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_value_of_another_shape_is_refused(place: int, odd: Any) -> None:
    values = list(GOOD[2])
    fits = (place == 5 and isinstance(odd, str) and len(odd) < 13) or (place == 7 and odd == [1, 2])
    values[place] = odd
    data = msgpack.packb([1, 0, values])
    if fits:
        decode_message(data, KINDS, WORLD)
        return
    with pytest.raises(WireError):
        decode_message(data, KINDS, WORLD)


@pytest.mark.parametrize(
    "value",
    [
        None, 5, "text", [], [0], [0, 0], [0, 0, [], 0], {}, {0: 0},
        [2, 0, []], [-1, 0, []], ["0", 0, []], [0.0, 0, []], [None, 0, []],
        [0, None, []], [0, 0.5, []], [0, MAX_REQUEST + 1, []], [0, -MAX_REQUEST - 1, []],
        [0, 0, None], [0, 0, {}], [0, 0, [1]], [1, 0, []], [1, 0, GOOD[2][:-1]],
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_message_of_the_game_is_refused(value: Any) -> None:
    with pytest.raises(WireError):
        decode_message(msgpack.packb(value), KINDS, WORLD)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        msgpack.packb([0, 0, []]) + b"\x00",
        msgpack.packb([0, 0, []])[:-1],
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffx",
        b"\xc6\xff\xff\xff\xff",
        b"\xd4\x05\x00",
        b"\xd6\xff\x00\x00\x00\x00",
        b"\xa2\xed\xa0",
        b"\xa3\xed\xa0\x80",
        b"\x81\x90\x00",
        b"\x81\x01\x00",
        b"\x91" * 100_000,
        b"\x91" * 100_000 + b"\xc0",
    ],
)  # fmt: skip
def test_what_is_not_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_message(data, KINDS, WORLD)


@given(st.binary(max_size=60))
@QUICK
def test_random_bytes_are_a_value_or_a_wire_error(data: bytes) -> None:
    with contextlib.suppress(WireError):
        unpack(data)
