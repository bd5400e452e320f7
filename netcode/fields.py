"""Fields: how one declared attribute becomes small integers, and back.

Every field knows three forms of its value:

* the **value** that a program reads and writes (``float``, ``str``, an entity …),
* the **cell**: what a numpy column stores for it (a float, an id of a text, a handle),
* the **quantised** form: one or more *lanes* of non-negative ``int32``, each with a fixed
  number of bits. Only this form is compared, remembered and sent.

Quantising rounds to the nearest step with ``floor(x + 0.5)`` and clamps what is out of range;
the caller counts the clamped cells and warns once. The scalar methods (`encode`, `decode`) and
the column methods (`quantise`, `dequantise`) agree bit for bit.
"""

import enum
import math
from collections.abc import Sequence
from typing import Any, Generic, Protocol, Self, TypeAlias, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from netcode.errors import ProtocolError, UsageError, WireError
from netcode.steps import MAX_LANE_BITS, Steps, default_in

T = TypeVar("T")
E = TypeVar("E", bound=enum.Enum)
Column: TypeAlias = NDArray[Any]
Lanes: TypeAlias = NDArray[np.int32]
Clamped: TypeAlias = NDArray[np.bool_]

MAX_TEXT_BYTES = 255
"""The length of a text goes on the wire as one byte."""

ROW_BITS = 16
GENERATIONS = (1 << 15) - 1
"""A handle is generation << 16 | row. With the generation below 2**15 - 1, handle + 1 still fits
31 bits, so that a reference is a lane like any other."""

NO_HANDLE = -1
"""The cell of a reference to nothing. On the wire a reference is its handle + 1."""

TAU = 2.0 * math.pi
_INT64_EDGE = 1 << 62
_MAX_INT = 1 << 53


class Context(Protocol):
    """What a field needs to know of the world that its column belongs to."""

    def text_id(self, text: str) -> int: ...
    def text(self, text_id: int) -> str: ...
    def encoded(self, text_id: int) -> bytes: ...
    def handle_of(self, target: Any, class_name: str) -> int: ...
    def entity_at(self, class_name: str, handle: int) -> Any: ...


class Holder(Protocol):
    """Whatever a field is declared on: it stores the values, the field only names them."""

    def _get(self, field: "Field[Any]") -> Any: ...
    def _set(self, field: "Field[Any]", value: Any) -> None: ...


class Field(Generic[T]):
    """One declared attribute. ``Ship.hull`` is the field, ``ship.hull`` its value."""

    dtype: Any = np.float64
    """Of the column's cells."""
    cell_shape: tuple[int, ...] = ()
    """``()`` for one number per row, ``(2,)`` for a Vec2 and so on."""
    lane_bits: tuple[int, ...] = ()
    """Bits of each quantised lane."""
    blends: bool = False
    """Whether a value between two snapshots may be shown between its two ends."""
    rounds: bool = False
    """Whether simulated values are rounded and clamped at broadcasts: both ends go on from what
    can be told."""

    def __init__(self, *, default: T, only_owner: bool = False) -> None:
        self.name = ""
        self.owner_name = ""
        self.default = default
        self.only_owner = only_owner

    def bind(self, owner_name: str, name: str) -> None:
        """Take the name of the class and of the attribute; the declaring metaclass calls this.

        Not ``__set_name__``: Python 3.11 wraps what that raises into a RuntimeError.
        """
        if self.name:
            raise ProtocolError(
                f"{owner_name}.{name} shares its field object with {self}: "
                "make a new field for every attribute"
            )
        self.name = name
        self.owner_name = owner_name
        try:
            self.default = self.check(self.default)
        except UsageError as error:
            raise ProtocolError(f"the default does not fit: {error}") from error
        if not self.is_in_range(self.default):
            raise ProtocolError(f"{self}: the default {self.default!r} is out of range")

    def __repr__(self) -> str:
        return f"{self.owner_name}.{self.name}" if self.name else type(self).__name__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Holder, owner: type) -> T: ...
    def __get__(self, instance: Holder | None, owner: type) -> Self | T:
        if instance is None:
            return self
        return cast(T, instance._get(self))

    def __set__(self, instance: Holder, value: T) -> None:
        instance._set(self, value)

    # -- one value ---------------------------------------------------------------------------

    def check(self, value: Any) -> T:
        """The value in its proper type. Raises `UsageError` for a value of the wrong kind."""
        raise NotImplementedError

    def is_in_range(self, value: T) -> bool:
        """Whether a checked value needs no clamping."""
        return True

    def to_cell(self, value: Any, context: Context) -> Any:
        """What the column stores for ``value``. Raises `UsageError` for a wrong type."""
        return self.check(value)

    def from_cell(self, cell: Any, context: Context) -> T:
        """The value that a stored cell stands for."""
        return cast(T, cell)

    def encode(self, value: T, context: Context) -> tuple[int, ...]:
        """The lanes of one value, clamped into range."""
        lanes, _ = self.quantise(self.column_of([self.to_cell(value, context)]))
        return tuple(int(lane) for lane in lanes[0])

    def decode(self, lanes: Sequence[int], context: Context) -> T:
        """The value of one set of lanes."""
        column = self.dequantise(np.array([lanes], dtype=np.int32))
        cell = column[0]
        return self.from_cell(cell.tolist() if self.cell_shape else cell.item(), context)

    # -- columns -----------------------------------------------------------------------------

    def column_of(self, cells: Sequence[Any]) -> Column:
        return np.array(cells, dtype=self.dtype).reshape(len(cells), *self.cell_shape)

    def new_column(self, rows: int) -> Column:
        """A column of zeros for ``rows`` rows."""
        return np.zeros((rows, *self.cell_shape), dtype=self.dtype)

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        """The lanes, int32 of shape (rows, lanes), and which rows had to be clamped."""
        raise NotImplementedError

    def dequantise(self, lanes: Lanes) -> Column:
        """The column that these lanes stand for. Takes any int32 of shape (rows, lanes)."""
        raise NotImplementedError

    def blend(self, before: Column, after: Column, share: NDArray[np.float64]) -> Column:
        """Between two columns: ``share`` 0 is before, 1 is after; discrete fields keep before."""
        return before

    def describe(self) -> dict[str, Any]:
        """What both ends must agree on, as plain JSON values."""
        return {
            "kind": type(self).__name__,
            "lane_bits": list(self.lane_bits),
            "only_owner": self.only_owner,
            "edge": getattr(self, "edge", False),
        }


def number(field: Field[Any], value: Any) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    raise UsageError(f"{field} takes a number, not {value!r}")


def teleport_of(told: float | None) -> float | None:
    """From which change on a number teleports, if that was told. Raises `ProtocolError`."""
    if told is None:
        return None
    if isinstance(told, bool) or not isinstance(told, (int, float)) or not told > 0:
        raise ProtocolError(f"teleport takes a distance above 0, not {told!r}")
    return float(told)


class Float(Field[float]):
    """A number in ``low..high``, kept to the nearest ``step`` when it is sent.

    A change from one broadcast to the next by more than ``teleport`` is not glided over but shown
    when its tick comes. Unless told, that is a 64th of the range for a field called x, y or z, and
    no change of any other.
    """

    blends = rounds = True

    def __init__(
        self,
        low: float,
        high: float,
        *,
        step: float,
        default: float | None = None,
        teleport: float | None = None,
        edge: bool = False,
        only_owner: bool = False,
    ) -> None:
        self.steps = Steps(low, high, step)
        self.teleport = teleport_of(teleport)
        super().__init__(
            default=default_in(low, high) if default is None else default,
            only_owner=only_owner,
        )
        self.edge = edge
        self.lane_bits = (self.steps.bits,)

    def check(self, value: Any) -> float:
        return number(self, value)

    def is_in_range(self, value: float) -> bool:
        return self.steps.takes(value)

    def encode(self, value: float, context: Context) -> tuple[int, ...]:
        return (self.steps.encode(value),)

    def decode(self, lanes: Sequence[int], context: Context) -> float:
        return self.steps.decode(lanes[0])

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        lanes, clamped = self.steps.quantise(column)
        return lanes[:, None], clamped

    def dequantise(self, lanes: Lanes) -> Column:
        return self.steps.dequantise(lanes[:, 0])

    def blend(self, before: Column, after: Column, share: NDArray[np.float64]) -> Column:
        return np.asarray(before + (after - before) * share)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), **self.steps.describe()}


class Int(Field[int]):
    """A whole number in ``low..high``."""

    dtype = np.int64
    rounds = True

    def __init__(
        self,
        low: int,
        high: int,
        *,
        default: int | None = None,
        edge: bool = False,
        only_owner: bool = False,
    ) -> None:
        if not (isinstance(low, int) and isinstance(high, int) and low < high):
            raise ProtocolError(f"the range {low}..{high} must be whole numbers, low < high")
        if max(-low, high) > _MAX_INT:
            raise ProtocolError(f"{low}..{high} reaches beyond 2**53, JavaScript's last integer")
        if (high - low).bit_length() > MAX_LANE_BITS:
            raise ProtocolError(f"{low}..{high} needs more than {MAX_LANE_BITS} bits")
        super().__init__(
            default=int(default_in(low, high)) if default is None else default,
            only_owner=only_owner,
        )
        self.low, self.high, self.edge = low, high, edge
        self.lane_bits = ((high - low).bit_length(),)

    def check(self, value: Any) -> int:
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            return int(value)
        raise UsageError(f"{self} takes a whole number, not {value!r}")

    def is_in_range(self, value: int) -> bool:
        return self.low <= value <= self.high

    def to_cell(self, value: Any, context: Context) -> int:
        # Python's integers have no end, the column's have.
        return max(-_INT64_EDGE, min(_INT64_EDGE, self.check(value)))

    def encode(self, value: int, context: Context) -> tuple[int, ...]:
        return (max(self.low, min(self.high, value)) - self.low,)

    def decode(self, lanes: Sequence[int], context: Context) -> int:
        return min(lanes[0], self.high - self.low) + self.low

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        inside = np.clip(column, self.low, self.high)
        return (inside - self.low).astype(np.int32)[:, None], inside != column

    def dequantise(self, lanes: Lanes) -> Column:
        return np.minimum(lanes[:, 0].astype(np.int64), self.high - self.low) + self.low

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "low": self.low, "high": self.high}


class Bool(Field[bool]):
    """True or false. As an input with ``edge=True`` a press counts however short it was."""

    dtype = np.bool_
    lane_bits = (1,)

    def __init__(
        self, *, default: bool = False, edge: bool = False, only_owner: bool = False
    ) -> None:
        super().__init__(default=default, only_owner=only_owner)
        self.edge = edge

    def check(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_, int)):
            return bool(value)
        raise UsageError(f"{self} takes True or False, not {value!r}")

    def encode(self, value: bool, context: Context) -> tuple[int, ...]:
        return (int(value),)

    def decode(self, lanes: Sequence[int], context: Context) -> bool:
        return lanes[0] != 0

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        return column.astype(np.int32)[:, None], np.zeros(len(column), dtype=np.bool_)

    def dequantise(self, lanes: Lanes) -> Column:
        return np.asarray(lanes[:, 0] != 0)


class Angle(Field[float]):
    """A direction in radians that wraps around; 2**bits directions are told apart.

    What was sent reads back in 0..2π. It is never out of range, except when it is not finite.
    """

    blends = rounds = True

    def __init__(self, *, bits: int = 10, default: float = 0.0, only_owner: bool = False) -> None:
        if not 2 <= bits <= 24:
            raise ProtocolError(f"an angle takes 2 to 24 bits, not {bits}")
        super().__init__(default=default, only_owner=only_owner)
        self.bits = bits
        self.lane_bits = (bits,)

    def check(self, value: Any) -> float:
        return number(self, value)

    def is_in_range(self, value: float) -> bool:
        return math.isfinite(value)

    def encode(self, value: float, context: Context) -> tuple[int, ...]:
        turns = value / TAU if math.isfinite(value) else 0.0
        turns -= math.floor(turns)
        return (math.floor(turns * (1 << self.bits) + 0.5) % (1 << self.bits),)

    def decode(self, lanes: Sequence[int], context: Context) -> float:
        return lanes[0] * (TAU / (1 << self.bits))

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        finite = np.isfinite(column)
        turns = np.where(finite, column, 0.0) / TAU
        turns = turns - np.floor(turns)
        lanes = np.floor(turns * (1 << self.bits) + 0.5).astype(np.int32) % (1 << self.bits)
        return lanes[:, None], ~finite

    def dequantise(self, lanes: Lanes) -> Column:
        return lanes[:, 0] * (TAU / (1 << self.bits))

    def blend(self, before: Column, after: Column, share: NDArray[np.float64]) -> Column:
        turn = (after - before + math.pi) % TAU - math.pi
        return np.asarray((before + turn * share) % TAU)


class Enum(Field[E]):
    """One member of an `enum.Enum` class. Members are numbered in the order of declaration."""

    dtype = np.int32

    def __init__(self, kind: type[E], *, default: E | None = None, only_owner: bool = False):
        if not (isinstance(kind, type) and issubclass(kind, enum.Enum)):
            raise ProtocolError(f"nc.Enum takes a class of enum.Enum, not {kind!r}")
        self.members = list(kind)
        if len(self.members) < 1:
            raise ProtocolError(f"{kind.__name__} has no members")
        super().__init__(
            default=self.members[0] if default is None else default, only_owner=only_owner
        )
        self.kind = kind
        self.numbers = {member: number for number, member in enumerate(self.members)}
        self.lane_bits = (max(1, (len(self.members) - 1).bit_length()),)

    def check(self, value: Any) -> E:
        if isinstance(value, self.kind) and value in self.numbers:  # not so: A | B of a Flag
            return value
        raise UsageError(f"{self} takes a member of {self.kind.__name__}, not {value!r}")

    def to_cell(self, value: Any, context: Context) -> int:
        return self.numbers[self.check(value)]

    def from_cell(self, cell: Any, context: Context) -> E:
        return cast(E, self.members[cell])

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        inside = np.clip(column, 0, len(self.members) - 1)
        return inside.astype(np.int32)[:, None], inside != column

    def dequantise(self, lanes: Lanes) -> Column:
        return np.minimum(lanes[:, 0], len(self.members) - 1)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "members": [member.name for member in self.members]}


class Text(Field[str]):
    """A short text of at most ``max_bytes`` bytes of UTF-8; a longer one is cut."""

    dtype = np.int32
    lane_bits = (MAX_LANE_BITS,)

    def __init__(self, *, max_bytes: int, default: str = "", only_owner: bool = False) -> None:
        if not 1 <= max_bytes <= MAX_TEXT_BYTES:
            raise ProtocolError(f"max_bytes must be 1 to {MAX_TEXT_BYTES}, not {max_bytes}")
        super().__init__(default=default, only_owner=only_owner)
        self.max_bytes = max_bytes

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise UsageError(f"{self} takes a text, not {value!r}")
        data = value.encode("utf-8", "replace")
        if len(data) > self.max_bytes:
            data = data[: self.max_bytes]
        return data.decode("utf-8", "ignore")

    def to_cell(self, value: Any, context: Context) -> int:
        return context.text_id(self.check(value))

    def from_cell(self, cell: Any, context: Context) -> str:
        return context.text(cell)

    def from_wire(self, data: bytes) -> str:
        """The text in these bytes. Raises `WireError` if they are too long or not UTF-8."""
        if len(data) > self.max_bytes:
            raise WireError(f"{self}: {len(data)} bytes of text, at most {self.max_bytes}")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise WireError(f"{self}: not UTF-8") from error

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        return column.astype(np.int32)[:, None], np.zeros(len(column), dtype=np.bool_)

    def dequantise(self, lanes: Lanes) -> Column:
        return lanes[:, 0]

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "max_bytes": self.max_bytes}


class Ref(Field[T | None]):
    """A reference to an entity, or None: also None while the target is out of view."""

    dtype = np.int32
    lane_bits = (MAX_LANE_BITS,)

    @overload
    def __init__(self: "Ref[Any]", target: str, *, only_owner: bool = False) -> None: ...
    @overload
    def __init__(self, target: type[T], *, only_owner: bool = False) -> None: ...
    def __init__(self, target: type[T] | str, *, only_owner: bool = False) -> None:
        super().__init__(default=None, only_owner=only_owner)
        self.target = target if isinstance(target, str) else target.__name__

    def check(self, value: Any) -> T | None:
        if value is None or type(value).__name__ == self.target:
            return cast("T | None", value)
        raise UsageError(f"{self} takes a {self.target} or None, not {value!r}")

    def to_cell(self, value: Any, context: Context) -> int:
        self.check(value)
        return NO_HANDLE if value is None else context.handle_of(value, self.target)

    def from_cell(self, cell: Any, context: Context) -> T | None:
        return None if cell < 0 else cast("T | None", context.entity_at(self.target, cell))

    def quantise(self, column: Column) -> tuple[Lanes, Clamped]:
        return (column + 1).astype(np.int32)[:, None], np.zeros(len(column), dtype=np.bool_)

    def dequantise(self, lanes: Lanes) -> Column:
        return lanes[:, 0] - 1

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "target": self.target}
