"""What a game declares: its entities, its inputs and its messages.

All three are classes whose attributes are fields. A metaclass gathers the fields and gives every
subclass ``__slots__``, so that a misspelt attribute raises instead of being silently kept on one
machine only.
"""

from typing import Any, ClassVar, Protocol, Self, TypeVar

from netcode import fields as f
from netcode.errors import ProtocolError, StaleEntityError, UsageError
from netcode.link.delivery import RELIABLE, Delivery

E = TypeVar("E", bound="Entity")

SPAWNED = "_spawned"
"""The hidden field of predicted classes: in which tick, and as the how-manieth, it was spawned."""

MAX_SPAWNED = (1 << 30) - 1
MAX_FADE = 5.0


class _Declared(type):
    """Gathers the fields of a class, those of its bases first, and forbids other attributes."""

    fields: tuple[f.Field[Any], ...]

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> "_Declared":
        namespace.setdefault("__slots__", ())
        inherited: dict[str, f.Field[Any]] = {}
        for field in (field for base in bases for field in getattr(base, "fields", ())):
            if inherited.setdefault(field.name, field) is not field:
                raise ProtocolError(
                    f"{name} inherits both {inherited[field.name]} and {field}: rename one of them"
                )
        own = []
        for attribute, value in namespace.items():
            if attribute in inherited:
                raise ProtocolError(
                    f"{name}.{attribute} hides {inherited[attribute]}: choose another name"
                )
            if not isinstance(value, f.Field):
                continue
            if attribute.startswith("_") or any(hasattr(base, attribute) for base in bases):
                raise ProtocolError(f"{name}.{attribute}: this name is taken, choose another")
            value.bind(name, attribute)
            own.append(value)
        if options.get("predicted") and SPAWNED not in inherited:
            spawned = f.Int(0, MAX_SPAWNED, only_owner=True)
            spawned.bind(name, SPAWNED)
            own.append(spawned)
        cls = super().__new__(mcls, name, bases, namespace, **options)
        if cls.__dictoffset__:
            raise ProtocolError(
                f"{name} inherits from a class that lets any attribute be set: "
                "give that class __slots__ = ()"
            )
        cls.fields = (*inherited.values(), *own)
        return cls


class _TableOfEntity(Protocol):
    def read(self, row: int, field: f.Field[Any]) -> Any: ...
    def write(self, row: int, field: f.Field[Any], value: Any) -> None: ...
    def handle(self, row: int) -> int: ...
    def is_mine(self, row: int) -> bool: ...
    def fade_of(self, row: int) -> float: ...


class _Gone:
    """Stands in for the table of an entity that has despawned."""

    def read(self, row: int, field: f.Field[Any]) -> Any:
        raise StaleEntityError(
            f"{field} was read after its entity despawned: keep entities only while `alive`"
        )

    def write(self, row: int, field: f.Field[Any], value: Any) -> None:
        raise StaleEntityError(
            f"{field} was written after its entity despawned: keep entities only while `alive`"
        )

    def handle(self, row: int) -> int:
        return f.NO_HANDLE

    def is_mine(self, row: int) -> bool:
        return False

    def fade_of(self, row: int) -> float:
        return 0.0


GONE = _Gone()


class Entity(metaclass=_Declared):
    """One thing in the world. Subclass it and declare its fields.

    An entity is a view of one row of its class's table: reading and writing an attribute reads
    and writes one cell. Make entities with ``world.spawn(Ship, x=0)``, never by calling the
    class. Assigning an undeclared attribute raises `AttributeError`.

    ``class Bullet(nc.Entity, predicted=True)``: what a simulate function spawns of this class
    appears on the player's own machine at once, and becomes the server's when that arrives. The
    player controls it.

    ``class Rock(nc.Entity, fade=0.3)``: on a client its `fade` rises from 0 to 1 in these seconds
    after it has come into view; when it leaves, it stays in the world for as long, while `fade`
    falls. At most 5 s. What the player controls comes and goes at once.
    """

    __slots__ = ("__weakref__", "_row", "_table")
    fields: ClassVar[tuple[f.Field[Any], ...]] = ()
    _predicted: ClassVar[bool] = False
    _fade: ClassVar[float] = 0.0
    _table: _TableOfEntity
    _row: int

    def __init_subclass__(
        cls, *, predicted: bool | None = None, fade: float | None = None, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        if predicted is not None:
            if not predicted and cls._predicted:
                raise ProtocolError(f"{cls.__name__} inherits from a predicted class and is one")
            cls._predicted = bool(predicted)
        if fade is not None:
            if isinstance(fade, bool) or not isinstance(fade, (int, float)):
                raise ProtocolError(f"{cls.__name__}: fade takes seconds, not {fade!r}")
            if not 0 <= fade <= MAX_FADE:
                raise ProtocolError(
                    f"{cls.__name__}: fade takes 0 to {MAX_FADE:g} seconds, not {fade!r}"
                )
            cls._fade = float(fade)

    def __init__(self) -> None:
        raise UsageError(
            f"entities live in a world: use world.spawn({type(self).__name__}, ...) instead"
        )

    def _get(self, field: f.Field[Any]) -> Any:
        return self._table.read(self._row, field)

    def _set(self, field: f.Field[Any], value: Any) -> None:
        self._table.write(self._row, field, value)

    @property
    def alive(self) -> bool:
        """Whether the entity is still in its world (on a client: in view)."""
        return self._table is not GONE

    @property
    def mine(self) -> bool:
        """On a client: whether this player controls the entity. On a server: always False."""
        return self._table.is_mine(self._row)

    @property
    def handle(self) -> int:
        """The entity's number within its class, the same on every machine.

        -1 once it is gone, and while only the client that predicts it knows of it.
        """
        return self._table.handle(self._row)

    @property
    def fade(self) -> float:
        """On a client: how much of it is in view, from 0 to 1; see `Entity`. Otherwise 1."""
        return self._table.fade_of(self._row)

    def __repr__(self) -> str:
        if not self.alive:
            return f"<{type(self).__name__} (despawned)>"
        values = ", ".join(
            f"{field.name}={_brief(self._get(field))}"
            for field in self.fields
            if field.name != SPAWNED
        )
        return f"<{type(self).__name__} {values}>"


def view_of(kind: type[E], table: _TableOfEntity, row: int) -> E:
    """An entity that reads and writes this row of a table, or of what stands in for one."""
    view = kind.__new__(kind)
    view._table, view._row = table, row
    return view


def _brief(value: Any) -> str:
    """A value within an entity's text. Entities may refer to each other in circles."""
    return f"<{type(value).__name__} {value.handle}>" if isinstance(value, Entity) else repr(value)


class _Record(metaclass=_Declared):
    """A value of its own: what Input and Message have in common."""

    __slots__ = ("_values",)
    fields: ClassVar[tuple[f.Field[Any], ...]] = ()
    _values: dict[str, Any]

    def __init__(self, /, **values: Any) -> None:
        self._values = {field.name: field.default for field in self.fields}
        for name, value in values.items():
            if name not in self._values:
                raise UsageError(unknown_field(type(self), name))
            setattr(self, name, value)

    def _get(self, field: f.Field[Any]) -> Any:
        return self._values[field.name]

    def _set(self, field: f.Field[Any], value: Any) -> None:
        self._values[field.name] = field.check(value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._values == getattr(other, "_values", None)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._values.items())
        return f"{type(self).__name__}({values})"


class Input(_Record):
    """What a player wants during one tick: subclass it and declare its fields.

    Held inputs (a stick, a pressed key) keep their latest value until the next tick. Fields with
    ``edge=True`` accumulate: a Bool is true if it was true in any frame since the last tick, a
    number is the sum.
    """

    def merged_with(self, later: Self) -> Self:
        """This not yet consumed input with a later frame's on top: edges accumulate."""
        merged = type(self)(**later._values)
        for field in self.fields:
            if not getattr(field, "edge", False):
                continue
            before, after = self._values[field.name], later._values[field.name]
            both = (before or after) if isinstance(field, f.Bool) else before + after
            merged._values[field.name] = both
        return merged

    def held(self) -> Self:
        """This input as it goes on when nothing new is said: edges are back at rest."""
        rest = type(self)(**self._values)
        for field in self.fields:
            if getattr(field, "edge", False):
                rest._values[field.name] = field.default
        return rest


class Message(_Record):
    """Something said once, from one end to the other: subclass it and declare its fields.

    Reliable and ordered unless the class says otherwise:
    ``class Spark(nc.Message, delivery=nc.UNRELIABLE)``.

    ``class Blast(nc.Message, timed=True)``: what a server sends of this class carries its tick, and
    the client's handler is called when the display reaches that tick, so that an explosion and the
    ship that explodes agree.
    """

    delivery: ClassVar[Delivery] = RELIABLE
    timed: ClassVar[bool] = False

    def __init_subclass__(
        cls, *, delivery: Delivery | None = None, timed: bool | None = None, **options: Any
    ) -> None:
        super().__init_subclass__(**options)
        if timed is not None:
            cls.timed = bool(timed)
        if delivery is None:
            return
        if not isinstance(delivery, Delivery):
            raise ProtocolError(
                f"{cls.__name__}: delivery must be nc.RELIABLE, nc.UNORDERED, nc.UNRELIABLE, "
                f"nc.SEQUENCED or nc.EXPIRING(…), not {delivery!r}"
            )
        cls.delivery = delivery


def unknown_field(cls: type[Entity] | type[_Record], name: str) -> str:
    """The sentence that tells a programmer that ``cls`` has no such field."""
    known = ", ".join(field.name for field in cls.fields if field.name != SPAWNED) or "none"
    return f"{cls.__name__} has no field {name!r}; its fields are: {known}"
