"""Fields: value, cell and lanes, and that every way between them agrees."""

import enum
import itertools
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import netcode as nc
from netcode.errors import ProtocolError, UsageError, WireError
from netcode.fields import TAU, Field
from netcode.steps import MAX_LANE_BITS
from netcode.world.world import World

QUICK = settings(deadline=None, max_examples=50)


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"
    BLUE = "b"


class Badge(enum.Flag):
    A = 1
    B = 2


class Everything(nc.Entity):
    number = nc.Float(-3, 5, step=0.3)
    whole = nc.Int(-7, 90)
    yes = nc.Bool()
    angle = nc.Angle(bits=7)
    colour = nc.Enum(Colour)
    text = nc.Text(max_bytes=5)
    other = nc.Ref("Everything")
    flat = nc.Vec2(-3, 5, step=0.3)
    deep = nc.Vec3(-3, 5, step=0.3)
    turn = nc.Quat(bits=8)


ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
NEAR = st.floats(-10, 10)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": ANY_FLOAT | NEAR,
    "whole": st.integers() | st.integers(-10, 100),
    "yes": st.booleans(),
    "angle": ANY_FLOAT | NEAR,
    "colour": st.sampled_from(Colour),
    "text": st.text(max_size=8),
    "flat": st.tuples(*[ANY_FLOAT | NEAR] * 2),
    "deep": st.tuples(*[ANY_FLOAT | NEAR] * 3),
    "turn": st.tuples(*[ANY_FLOAT | NEAR] * 4),
}


def field_of(name: str) -> Field[Any]:
    return next(field for field in Everything.fields if field.name == name)


def bind(field: Any, name: str = "field") -> Any:
    """A field as a class would have it."""
    return type("Holder", (nc.Message,), {name: field}).fields[0]


@pytest.fixture(scope="module")
def world() -> World:
    return World([Everything])


# -- every field -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", VALUES)
@given(data=st.data())
@QUICK
def test_scalar_and_column_agree_bit_for_bit(name: str, world: World, data: st.DataObject) -> None:
    field = field_of(name)
    values = data.draw(st.lists(VALUES[name], min_size=1, max_size=4))
    column = field.column_of([field.to_cell(field.check(value), world) for value in values])
    lanes, clamped = field.quantise(column)
    assert lanes.dtype == np.int32
    assert (lanes.shape, clamped.shape) == ((len(values), len(field.lane_bits)), (len(values),))
    back = field.dequantise(lanes)
    for row, value in enumerate(values):
        scalar = field.encode(field.check(value), world)
        assert scalar == tuple(lanes[row].tolist())
        cell = back[row].tolist() if field.cell_shape else back[row].item()
        assert field.decode(scalar, world) == field.from_cell(cell, world)


@pytest.mark.parametrize("name", [name for name in VALUES if name != "text"])
@given(data=st.data())
@QUICK
def test_lanes_fit_their_bits_and_a_decoded_value_stays(
    name: str, world: World, data: st.DataObject
) -> None:
    field = field_of(name)
    lanes = field.encode(field.check(data.draw(VALUES[name])), world)
    assert all(0 <= lane < 1 << bits for lane, bits in zip(lanes, field.lane_bits, strict=True))
    value = field.decode(lanes, world)
    assert field.encode(value, world) == lanes
    assert field.decode(field.encode(value, world), world) == value


@pytest.mark.parametrize("name", [name for name in VALUES if name != "text"])
@given(data=st.data())
@QUICK
def test_whatever_lanes_arrive_they_decode_to_a_proper_value(
    name: str, world: World, data: st.DataObject
) -> None:
    field = field_of(name)
    lanes = data.draw(st.tuples(*[st.integers(0, (1 << bits) - 1) for bits in field.lane_bits]))
    value = field.decode(lanes, world)
    assert field.check(value) == value
    assert field.is_in_range(value)
    column = field.dequantise(np.array([lanes], dtype=np.int32))
    assert not field.quantise(column)[1].any()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("number", "1"), ("number", None), ("number", True), ("number", 1j),
        ("whole", 1.0), ("whole", True), ("whole", "1"),
        ("yes", "yes"), ("yes", None), ("yes", 0.5),
        ("angle", "north"), ("angle", False),
        ("colour", "RED"), ("colour", 1), ("colour", None),
        ("text", b"bytes"), ("text", None), ("text", 5),
        ("other", 5), ("other", "Everything"),
        ("flat", (1,)), ("flat", (1, 2, 3)), ("flat", 5), ("flat", ("1", 2)), ("flat", None),
        ("deep", (1, 2)), ("deep", [1, 2, None]),
        ("turn", (0, 0, 1)), ("turn", 1.0), ("turn", "0001"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_raises_and_names_the_field(name: str, wrong: Any) -> None:
    entity = World([Everything]).spawn(Everything)
    with pytest.raises(UsageError, match=rf"Everything\.{name}"):
        setattr(entity, name, wrong)
    with pytest.raises(UsageError, match=rf"Everything\.{name}"):
        World([Everything]).spawn(Everything, **{name: wrong})


def test_numpys_numbers_are_numbers() -> None:
    entity = World([Everything]).spawn(Everything)
    entity.number = np.float32(1.5)
    entity.whole = np.int64(3)  # type: ignore[assignment]
    entity.yes = np.bool_(True)  # type: ignore[assignment]
    entity.flat = np.array([1.0, 2.0])  # type: ignore[assignment]
    assert (entity.number, entity.whole, entity.yes, entity.flat) == (1.5, 3, True, (1.0, 2.0))


# -- declarations that cannot work -----------------------------------------------------------


@pytest.mark.parametrize(
    "declare",
    [
        lambda: nc.Float(1, 1, step=0.1),
        lambda: nc.Float(2, 1, step=0.1),
        lambda: nc.Float(0, math.inf, step=0.1),
        lambda: nc.Float(math.nan, 1, step=0.1),
        lambda: nc.Float(-1e308, 1e308, step=1e300),
        lambda: nc.Float(0, 1, step=0),
        lambda: nc.Float(0, 1, step=-0.1),
        lambda: nc.Float(0, 1, step=math.nan),
        lambda: nc.Float(0, 1, step=3),
        lambda: nc.Float(0, 1, step=1e-12),
        lambda: nc.Float(0, 1, step=1e-320),
        lambda: nc.Float(1e15, 1e15 + 1, step=0.001),
        lambda: nc.Float("0", None, step=1),  # type: ignore[arg-type]
        lambda: nc.Float(0, 1, step=0.1, default=2),
        lambda: nc.Float(0, 1, step=0.1, default=math.nan),
        lambda: nc.Float(0, 1, step=0.1, default="x"),  # type: ignore[arg-type]
        lambda: nc.Vec2(0, 1, step=0.1, default=(1, 2)),
        lambda: nc.Vec2(0, 1, step=0.1, default=(1, 1, 1)),
        lambda: nc.Int(3, 3),
        lambda: nc.Int(0, 1 << 31),
        lambda: nc.Int(1 << 60, (1 << 60) + 5),
        lambda: nc.Int(0.0, 10.0),  # type: ignore[arg-type]
        lambda: nc.Int(0, 10, default=11),
        lambda: nc.Int(0, 10, default=1.5),  # type: ignore[arg-type]
        lambda: nc.Angle(bits=1),
        lambda: nc.Angle(bits=25),
        lambda: nc.Angle(default=math.inf),
        lambda: nc.Quat(bits=3),
        lambda: nc.Quat(bits=21),
        lambda: nc.Quat(default=(0, 0, 0, 0)),
        lambda: nc.Quat(default=(0, 0, 1)),
        lambda: nc.Enum(int),  # type: ignore[type-var]
        lambda: nc.Enum(enum.Enum("Empty", [])),
        lambda: nc.Enum(Colour, default="r"),  # type: ignore[type-var]
        lambda: nc.Text(max_bytes=0),
        lambda: nc.Text(max_bytes=256),
        lambda: nc.Text(max_bytes=5, default=5),  # type: ignore[arg-type]
        lambda: nc.Bool(default="no"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_a_declaration_that_cannot_work_is_refused(declare: Any) -> None:
    with pytest.raises(ProtocolError):
        bind(declare())


# -- Float, Vec2, Vec3 -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "lane"),
    [
        (0.0, 0), (0.49, 0), (0.5, 1), (1.49, 1), (1.5, 2), (2.5, 3),  # not to the even
        (9.49, 9), (9.5, 10), (10.0, 10),
        (-0.5, 0), (-0.51, 0), (-1e300, 0), (10.5, 10), (1e300, 10),
        (math.inf, 10), (-math.inf, 0), (math.nan, 0),
    ],
)  # fmt: skip
def test_numbers_round_half_up_and_clamp(value: float, lane: int) -> None:
    field = bind(nc.Float(0, 10, step=1))
    assert field.encode(value, World([])) == (lane,)


@pytest.mark.parametrize(
    ("value", "clamped"),
    [
        (-0.5, False),
        (-0.51, True),
        (10.49, False),
        (10.5, True),
        (math.nan, True),
        (math.inf, True),
    ],
)
def test_what_is_out_of_range_is_marked(value: float, clamped: bool) -> None:
    field = bind(nc.Float(0, 10, step=1))
    assert field.quantise(np.array([value]))[1].tolist() == [clamped]
    vector = bind(nc.Vec2(0, 10, step=1))
    assert vector.quantise(np.array([[5.0, value]]))[1].tolist() == [clamped]


def test_values_too_large_for_their_step_make_no_noise() -> None:
    field = bind(nc.Float(0, 1, step=1e-5))
    assert field.quantise(np.array([1e308, -1e308]))[0].tolist() == [[field.steps.top], [0]]


@pytest.mark.parametrize(("low", "high", "step"), [(0, 1, 0.4), (0, 0.3, 0.1), (-7.3, 11.9, 0.037)])
def test_the_last_step_does_not_leave_the_range(low: float, high: float, step: float) -> None:
    field = bind(nc.Float(low, high, step=step))
    assert field.decode(field.encode(high, World([])), World([])) <= high
    assert field.decode((field.steps.top,), World([])) <= high


@given(st.floats(-1e9, 1e9), st.floats(1e-3, 1e6), st.integers(1, 2**31 - 1), st.floats(0, 1))
@QUICK
def test_any_range_keeps_half_a_step_and_its_lanes(
    low: float, step: float, steps: int, share: float
) -> None:
    high = low + step * steps
    assume(high > low)
    try:
        field = bind(nc.Float(low, high, step=step))
    except ProtocolError:
        assume(False)
    value = low + (high - low) * share
    (lane,) = field.encode(value, World([]))
    decoded = field.decode((lane,), World([]))
    assert abs(decoded - value) <= step * 0.5000001 + abs(value) * 1e-15
    assert low <= decoded <= high
    assert field.encode(decoded, World([])) == (lane,)
    assert lane.bit_length() <= field.lane_bits[0] <= MAX_LANE_BITS


def test_the_widest_lane_has_31_bits() -> None:
    field = bind(nc.Int(-(1 << 30), (1 << 30) - 1))
    assert field.lane_bits == (31,)
    for value in (field.low, -1, 0, field.high):
        assert field.decode(field.encode(value, World([])), World([])) == value
    column = field.dequantise(field.quantise(np.array([field.low, field.high]))[0])
    assert column.tolist() == [field.low, field.high]


@pytest.mark.parametrize("value", [10**30, -(10**30)])
def test_integers_without_end_are_clamped(value: int) -> None:
    world = World([Everything])
    entity = world.spawn(Everything, whole=value)
    lanes = world.table(Everything).quantise()[
        0, world.table(Everything).lanes_of(Everything.whole)
    ]
    assert lanes.tolist() == [97 if value > 0 else 0]
    assert entity.alive


def test_clamping_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    world = World([Everything])
    table = world.table(Everything)
    entities = [world.spawn(Everything, number=100.0, deep=(0, 0, -99)) for _ in range(3)]
    world.despawn(entities[2])  # the dead do not count
    with caplog.at_level(logging.WARNING, logger="netcode.world"):
        table.quantise()
        table.quantise()
    assert table.clamped == {"number": 4, "deep": 4}
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "Everything.number" in said[0]
    assert "100" in said[0]


# -- Angle -----------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e6))
@QUICK
def test_an_angle_wraps_and_keeps_half_a_step(value: float) -> None:
    field = bind(nc.Angle(bits=10))
    decoded = field.decode(field.encode(value, World([])), World([]))
    assert 0 <= decoded < TAU
    apart = abs((decoded - value + math.pi) % TAU - math.pi)
    assert apart <= TAU / 2048 + 1e-9


@pytest.mark.parametrize("value", [TAU, -TAU, -1e-20, TAU - 1e-9, 1e300, math.nan, math.inf])
def test_an_angle_at_the_seam_is_zero(value: float) -> None:
    field = bind(nc.Angle(bits=8))
    assert 0 <= field.encode(value, World([]))[0] < 256
    if abs(value) < 10:
        assert field.encode(value, World([])) == (0,)
    assert field.quantise(np.array([value]))[1].tolist() == [not math.isfinite(value)]


@given(st.floats(0, TAU), st.floats(0, TAU), st.floats(0, 1))
@QUICK
def test_angles_blend_the_short_way(before: float, after: float, share: float) -> None:
    field = bind(nc.Angle())
    blended = field.blend(np.array([before]), np.array([after]), np.array([share]))[0]
    apart = abs((after - before + math.pi) % TAU - math.pi)
    turned = abs((blended - before + math.pi) % TAU - math.pi)
    assert turned == pytest.approx(apart * share, abs=1e-9)


def test_numbers_blend_in_a_line_and_choices_keep_the_earlier() -> None:
    share = np.array([0.25])
    assert field_of("number").blend(np.array([0.0]), np.array([4.0]), share).tolist() == [1.0]
    assert field_of("flat").blend(
        np.array([[0.0, 4.0]]), np.array([[4.0, 0.0]]), share
    ).tolist() == [[1.0, 3.0]]
    for name in ("whole", "yes", "colour", "text", "other"):
        field = field_of(name)
        assert field.blend(np.array([0]), np.array([1]), share).tolist() == [0]


# -- Quat ------------------------------------------------------------------------------------

UNIT = (
    st.tuples(*[st.floats(-1, 1)] * 4)
    .filter(lambda q: sum(part * part for part in q) > 1e-3)
    .map(lambda q: np.array(q) / math.sqrt(sum(part * part for part in q)))
)


def angle_between(a: Any, b: Any) -> float:
    """The angle of the rotation from one to the other, in radians."""
    return 2 * math.acos(min(1.0, abs(float(np.dot(a, b)))))


@given(UNIT, st.integers(5, 20))
@QUICK
def test_a_rotation_is_kept_to_a_few_steps(quaternion: Any, bits: int) -> None:
    field = bind(nc.Quat(bits=bits))
    decoded = field.decode(field.encode(tuple(quaternion), World([])), World([]))
    assert math.sqrt(sum(part * part for part in decoded)) == pytest.approx(1.0, abs=1e-9)
    # Three components, each off by at most half a step (a whole one where two are nearly as large
    # as each other), and the fourth, which is at least a half: err·√(1 + 3), twice for the angle.
    step = math.sqrt(2) / field.top
    assert angle_between(quaternion, decoded) <= 2 * 2 * math.sqrt(3) * step * 1.01 + 1e-6


@given(UNIT)
@QUICK
def test_both_signs_of_a_quaternion_are_one_rotation(quaternion: Any) -> None:
    field = bind(nc.Quat(bits=12))
    one = field.decode(field.encode(tuple(quaternion), World([])), World([]))
    other = field.decode(field.encode(tuple(-quaternion), World([])), World([]))
    assert angle_between(one, other) < 0.003


@pytest.mark.parametrize("bits", range(4, 21))
def test_rotations_by_right_and_third_turns_do_not_waver(bits: int) -> None:
    """Their components are as large as each other: which one is left out must not change."""
    field = bind(nc.Quat(bits=bits))
    corners = np.array([q for q in itertools.product((-1.0, 0.0, 1.0), repeat=4) if any(q)])
    lanes, _ = field.quantise(corners)
    again, _ = field.quantise(field.dequantise(lanes))
    assert again.tolist() == lanes.tolist()


@pytest.mark.parametrize(
    "exact",
    [(0, 0, 0, 1), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, math.sqrt(0.5), math.sqrt(0.5))],
)
def test_the_simple_rotations_are_exact(exact: tuple[float, ...]) -> None:
    field = bind(nc.Quat())
    decoded = field.decode(field.encode(exact, World([])), World([]))
    assert decoded == pytest.approx(exact, abs=1e-15)


def test_a_quaternion_is_normalised() -> None:
    field = bind(nc.Quat())
    assert field.encode((0, 0, 30, 40), World([])) == field.encode((0, 0, 0.6, 0.8), World([]))


@pytest.mark.parametrize("bad", [(0, 0, 0, 0), (math.nan, 0, 0, 1), (math.inf, 0, 0, 0)])
def test_a_quaternion_without_direction_is_no_rotation(bad: tuple[float, ...]) -> None:
    field = bind(nc.Quat())
    lanes, clamped = field.quantise(np.array([bad]))
    assert clamped.tolist() == [True]
    assert tuple(field.dequantise(lanes)[0]) == (0, 0, 0, 1)


@given(UNIT, UNIT, st.floats(0, 1))
@QUICK
def test_rotations_blend_the_short_way_and_stay_rotations(a: Any, b: Any, share: float) -> None:
    assume(abs(float(np.dot(a, b))) > 0.01)
    mixed = field_of("turn").blend(a[None], b[None], np.array([share]))[0]
    assert math.sqrt(float(mixed @ mixed)) == pytest.approx(1.0, abs=1e-6)
    assert angle_between(a, mixed) <= angle_between(a, b) + 1e-6


# -- Enum, Text, Ref -------------------------------------------------------------------------


def test_members_are_numbered_as_declared() -> None:
    field = bind(nc.Enum(Colour))
    assert [field.encode(colour, World([])) for colour in Colour] == [(0,), (1,), (2,)]
    assert (field.lane_bits, field.default) == ((2,), Colour.RED)
    assert field.decode((3,), World([])) is Colour.BLUE


def test_an_enum_of_one_still_has_a_lane() -> None:
    field = bind(nc.Enum(enum.Enum("Only", ["ONE"])))
    assert field.lane_bits == (1,)


def test_a_union_of_flags_is_not_a_member() -> None:
    field = bind(nc.Enum(Badge))
    assert field.check(Badge.A) is Badge.A
    with pytest.raises(UsageError, match="member of Badge"):
        field.check(Badge.A | Badge.B)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""), ("abcde", "abcde"), ("abcdef", "abcde"),
        ("éé", "éé"), ("ééé", "éé"), ("aéé", "aéé"), ("abcdé", "abcd"),
        ("😀", "😀"), ("a😀", "a😀"), ("ab😀", "ab"), ("\ud800x", "?x"),
    ],
)  # fmt: skip
def test_a_text_is_cut_between_characters(text: str, kept: str) -> None:
    world = World([Everything])
    entity = world.spawn(Everything, text=text)
    assert entity.text == kept
    assert len(entity.text.encode()) <= 5


@pytest.mark.parametrize("data", [b"\xff", b"\xc3", b"123456", b"\xed\xa0\x80"])
def test_bytes_that_are_no_such_text_are_refused(data: bytes) -> None:
    with pytest.raises(WireError, match=r"Everything\.text"):
        field_of("text").from_wire(data)  # type: ignore[attr-defined]


def test_a_reference_follows_its_entity_only() -> None:
    world = World([Everything])
    target, entity = world.spawn(Everything), world.spawn(Everything)
    assert entity.other is None
    entity.other = target
    assert entity.other is target
    entity.other = entity
    assert entity.other is entity
    entity.other = target
    world.despawn(target)
    assert entity.other is None
    tenant = world.spawn(Everything)
    assert tenant._row == 0
    assert entity.other is None
    entity.other = tenant
    assert entity.other is tenant
    entity.other = None
    assert entity.other is None


def test_a_reference_to_what_is_gone_is_none() -> None:
    world = World([Everything])
    target, entity = world.spawn(Everything), world.spawn(Everything)
    world.despawn(target)
    entity.other = target
    assert entity.other is None


def test_the_last_handle_of_all_fits_its_lane() -> None:
    world = World([Everything])
    entity = world.table(Everything).place(65_535, 32_766)
    (lane,) = field_of("other").encode(entity, world)
    assert lane.bit_length() <= MAX_LANE_BITS
    assert field_of("other").decode((lane,), world) is entity


@given(st.integers(0, (1 << 31) - 1))
@QUICK
def test_any_reference_from_the_wire_is_an_entity_or_none(lane: int) -> None:
    world = World([Everything])
    entity = world.spawn(Everything)
    assert field_of("other").decode((lane,), world) in (None, entity)
