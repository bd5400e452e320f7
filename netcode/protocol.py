"""The protocol: what both ends of a game must agree on, and its hash.

Build one `Protocol` in a module that client and server import. Its hash is compared when a
player joins; if it differs, `difference` names the class and the field.
"""

import hashlib
import inspect
import json
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

from netcode.binary import Bytes
from netcode.declarations import SPAWNED, Entity, Input, Message
from netcode.errors import ProtocolError
from netcode.fields import Field, Ref, Text
from netcode.wire.packets import MAX_INPUT_BITS, MAX_INPUTS

WIRE_VERSION = 3
"""Raised whenever WIRE_FORMAT.md changes."""

MAX_KINDS = 255
"""Parts of entity classes are numbered in one byte, in which 255 closes a packet."""

MAX_ROW_BITS = 1_000 * 8
"""An entity travels whole in one packet of 1,100 bytes; the rest is headers."""

Simulate = Callable[[Any, Any, Any], None]


class Protocol:
    """What client and server must agree on.

    ``entities``, ``inputs`` and ``messages`` are the declared classes; their order matters.
    ``simulate`` maps an entity class to ``function(entity, input, step)``, the code that moves
    a controlled entity by one tick, the same on both ends.

    Raises `ProtocolError` for anything that could not work, naming the fix.
    """

    def __init__(
        self,
        *,
        entities: Sequence[type[Entity]] = (),
        inputs: Sequence[type[Input]] = (),
        messages: Sequence[type[Message]] = (),
        simulate: Mapping[type[Any], Simulate] | None = None,
    ) -> None:
        self.entities = _distinct(entities, Entity, "entities")
        self.inputs = _distinct(inputs, Input, "inputs")
        self.messages = _distinct(messages, Message, "messages")
        if not isinstance(simulate, Mapping | None):
            raise ProtocolError(f"simulate takes a dict such as {{Ship: fly}}, not {simulate!r}")
        self.simulate = dict(simulate or {})
        self.simulate_input = {
            kind: self._input_of(kind, function) for kind, function in self.simulate.items()
        }
        self.entity_index = {kind: index for index, kind in enumerate(self.entities)}
        self.spawned = {
            kind: field for kind in self.entities for field in kind.fields if field.name == SPAWNED
        }
        """The hidden field of each predicted class."""
        self._check_fields()
        self.message_index = {kind: index for index, kind in enumerate(self.messages)}
        self.description = self._describe()
        self.hash = hashlib.sha256(
            json.dumps(self.description, sort_keys=True).encode()
        ).hexdigest()[:16]

    def _input_of(self, kind: type[Entity], function: Simulate) -> type[Input]:
        """Which input class a simulate function takes: its annotation, or the only one."""
        if kind not in self.entities:
            raise ProtocolError(
                f"simulate names {kind.__name__}, which is not among the entities: add it there"
            )
        if not callable(function):
            raise ProtocolError(f"simulate[{kind.__name__}] must be a function, not {function!r}")
        try:
            inspect.signature(function).bind(None, None, None)
        except (TypeError, ValueError):
            raise ProtocolError(
                f"simulate[{kind.__name__}]: {getattr(function, '__name__', function)} must take "
                "three arguments: the entity, the input and the step"
            ) from None
        try:
            hints = [hint for name, hint in get_type_hints(function).items() if name != "return"]
        except Exception:  # annotations that only a type checker can read say nothing here
            hints = []
        named = [hint for hint in hints if isinstance(hint, type) and issubclass(hint, Input)]
        if named and named[0] in self.inputs:
            return named[0]
        if not named and len(self.inputs) == 1:
            return self.inputs[0]
        raise ProtocolError(
            f"simulate[{kind.__name__}]: annotate the second argument of {function.__name__} "
            "with one of the classes in Protocol(inputs=[...])"
        )

    def _check_fields(self) -> None:
        names = {kind.__name__ for kind in self.entities}
        for kind in self.spawned:
            if kind not in self.simulate:
                raise ProtocolError(
                    f"{kind.__name__} is predicted=True, but simulate has no function that moves "
                    "it: add one, if it does nothing else than `pass`"
                )
        for kind in (*self.entities, *self.inputs, *self.messages):
            for field in kind.fields:
                if isinstance(field, Ref) and field.target not in names:
                    raise ProtocolError(
                        f"{field} refers to {field.target}, which is not among the entities"
                    )
                if isinstance(field, Text) and kind in self.inputs:
                    raise ProtocolError(
                        f"{field}: an input is sent every tick and holds no text; use a message"
                    )
                if isinstance(field, Bytes) and kind not in self.messages:
                    raise ProtocolError(f"{field}: only a message can hold bytes; send one")
                if field.only_owner and kind not in self.entities:
                    raise ProtocolError(f"{field}: only an entity's fields can be only_owner")
        bits = sum(sum(field.lane_bits) for kind in self.inputs for field in kind.fields)
        if bits > MAX_INPUT_BITS:
            raise ProtocolError(
                f"the inputs of a tick take {bits} bits, more than the {MAX_INPUT_BITS} of which "
                f"{MAX_INPUTS} fit into one packet: take coarser steps or fewer fields"
            )
        parts = sum(
            1
            + any(field.only_owner and not isinstance(field, Ref) for field in kind.fields)
            + sum(isinstance(field, Ref) for field in kind.fields)
            for kind in self.entities
        )
        if parts > MAX_KINDS:
            raise ProtocolError(
                f"classes, classes with fields for the owner only, and references are {parts}, "
                f"more than {MAX_KINDS}: merge some classes"
            )
        for kind in self.entities:
            largest = sum(
                1 + (8 + 8 * field.max_bytes if isinstance(field, Text) else sum(field.lane_bits))
                for field in kind.fields
            )
            if largest > MAX_ROW_BITS:
                raise ProtocolError(
                    f"{kind.__name__} can take {largest // 8} bytes, more than the "
                    f"{MAX_ROW_BITS // 8} that fit into one packet: shorten its texts or split it"
                )

    def _describe(self) -> dict[str, Any]:
        def fields(kind: type[Any]) -> dict[str, Any]:
            described: tuple[Field[Any], ...] = kind.fields
            return {field.name: field.describe() for field in described}

        return {
            "wire": WIRE_VERSION,
            "entities": {kind.__name__: fields(kind) for kind in self.entities},
            "inputs": {kind.__name__: fields(kind) for kind in self.inputs},
            "messages": {
                kind.__name__: {
                    "(delivery)": repr(kind.delivery) + (", timed" if kind.timed else ""),
                    **fields(kind),
                }
                for kind in self.messages
            },
            "order": [
                [kind.__name__, *(field.name for field in kind.fields)]
                for kind in (*self.entities, *self.inputs, *self.messages)
            ],
        }


def difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    """In words, the first thing in which two protocol descriptions differ.

    ``theirs`` comes from the network and may hold anything.
    """
    if ours.get("wire") != theirs.get("wire"):
        return (
            f"this end speaks wire format {ours.get('wire')}, "
            f"the other {_shown(theirs.get('wire'))}: "
            "install the same version of netcode on both"
        )
    for group in ("entities", "inputs", "messages"):
        mine, other = ours.get(group), theirs.get(group)
        if not isinstance(mine, Mapping) or not isinstance(other, Mapping):
            return f"the other end does not say what its {group} are"
        for name in [*mine, *(name for name in other if name not in mine)]:
            if name not in other:
                return f"{name} is declared at this end only ({group})"
            if name not in mine:
                return f"{_name(name)} is declared at the other end only ({group})"
            found = _field_difference(name, mine[name], other[name])
            if found:
                return found
    return "the classes or their fields are declared in a different order"


def _field_difference(kind: str, mine: Any, other: Any) -> str:
    if not isinstance(mine, Mapping) or not isinstance(other, Mapping):
        return f"{kind} is not described properly by the other end"
    for name in [*mine, *(name for name in other if name not in mine)]:
        if name not in other:
            return f"{kind}.{name} is declared at this end only"
        if name not in mine:
            return f"{kind}.{_name(name)} is declared at the other end only"
        if mine[name] != other[name]:
            ours, theirs = mine[name], other[name]
            what = f"{kind}.{name}"
            if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
                # Ranges say more than the bits that follow from them.
                for part in sorted(ours, key=lambda part: (part == "lane_bits", part != "kind")):
                    if ours[part] != theirs.get(part):
                        what, ours, theirs = f"{what}: {part}", ours[part], theirs.get(part)
                        break
            return f"{what} is {_shown(ours)} at this end and {_shown(theirs)} at the other"
    return ""


def _shown(value: Any) -> str:
    """A value from the network in a text for people: short, and safe to print."""
    short = reprlib.Repr()
    short.maxdict = short.maxlist = 16
    return _printable(short.repr(value), 500)


def _name(name: Any) -> str:
    return _printable(str(name), 60)


def _printable(text: str, most: int) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:most])


def _distinct(kinds: Sequence[type[Any]], base: type, group: str) -> tuple[type[Any], ...]:
    if isinstance(kinds, type):
        raise ProtocolError(f"{group} takes a list: {group}=[{kinds.__name__}]")
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, base)) or kind is base:
            raise ProtocolError(f"{group} takes subclasses of nc.{base.__name__}, not {kind!r}")
    names = [kind.__name__ for kind in kinds]
    for name in names:
        if names.count(name) > 1:
            raise ProtocolError(f"{group} has two classes named {name}: names must be distinct")
    if len(kinds) > MAX_KINDS:
        raise ProtocolError(f"{group} has {len(kinds)} classes, at most {MAX_KINDS}")
    return tuple(kinds)
