"""Typed messages: a number for the class, one for the request, the values and, if the message has
its moment, the tick, in msgpack."""

from collections.abc import Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]

from netcode.binary import Bytes
from netcode.declarations import Message
from netcode.errors import WireError
from netcode.fields import Context, Field, Text

NO_REQUEST = 0
"""The request number of a message that asks for no reply."""

NO_MESSAGE = -1
"""In place of a class: the request that this replies to gets no answer."""

MAX_REQUEST = (1 << 31) - 1
MAX_TICK = (1 << 32) - 1


def encode_message(
    index: int,
    message: Message,
    context: Context,
    *,
    request: int = NO_REQUEST,
    reply: bool = False,
    tick: int | None = None,
) -> bytes:
    """The bytes of a message; ``request`` numbers a request, or names the one it replies to, and
    ``tick`` is the moment that it tells of."""
    values = [_encode(field, message._get(field), context) for field in message.fields]
    moment = [] if tick is None else [tick]
    return pack([index, -request if reply else request, values, *moment])


def encode_no_reply(request: int) -> bytes:
    """The bytes that tell that a request gets no answer."""
    return pack([NO_MESSAGE, -request, []])


def decode_message(
    data: bytes, kinds: Sequence[type[Message]], context: Context
) -> tuple[Message | None, int, bool, int | None]:
    """The message, its request number, whether it is a reply, and its tick if it has one.

    The message is None in a reply that says that there is no answer, and only there. Raises
    `WireError`.
    """
    tick: int | None = None
    match unpack(data):
        case [int(index), int(request), []] if index == NO_MESSAGE and -MAX_REQUEST <= request < 0:
            return None, -request, True, None
        case [int(index), int(request), list(values)] if 0 <= index < len(kinds):
            pass
        case [int(index), int(request), list(values), int(moment)] if (
            0 <= index < len(kinds) and kinds[index].timed and 0 <= moment <= MAX_TICK
        ):
            tick = moment
        case _:
            raise WireError("not a message of this game")
    kind = kinds[index]
    if len(values) != len(kind.fields) or abs(request) > MAX_REQUEST:
        raise WireError(f"{kind.__name__} has {len(kind.fields)} fields, not {len(values)}")
    message = kind()
    for field, value in zip(kind.fields, values, strict=True):
        message._values[field.name] = _decode(field, value, context)
    return message, abs(request), request < 0, tick


def pack(value: Any) -> bytes:
    """One value of ours as msgpack."""
    packed: bytes = msgpack.packb(value)
    return packed


def pack_word(word: Any) -> bytes:
    """A dataclass with slots as msgpack: its name, and its fields by name."""
    return pack([type(word).__name__, {name: getattr(word, name) for name in word.__slots__}])


def unpack(data: bytes) -> Any:
    """One msgpack value and nothing behind it. Raises `WireError`."""
    try:
        return msgpack.unpackb(
            data,
            strict_map_key=True,
            use_list=True,
            max_str_len=len(data),
            max_bin_len=len(data),
            max_array_len=len(data),
            max_map_len=len(data),
            max_ext_len=0,
        )
    except Exception as error:  # msgpack raises half a dozen unrelated kinds
        raise WireError(f"not msgpack: {error}") from error


def _encode(field: Field[Any], value: Any, context: Context) -> Any:
    if isinstance(field, (Text, Bytes)):
        return value
    lanes = field.encode(value, context)
    return lanes[0] if len(lanes) == 1 else lanes


def _decode(field: Field[Any], value: Any, context: Context) -> Any:
    if isinstance(field, Text):
        if not isinstance(value, str):
            raise WireError(f"{field} is a text")
        return field.from_wire(value.encode("utf-8", "surrogatepass"))
    if isinstance(field, Bytes):
        return field.from_wire(value)
    lanes = [value] if len(field.lane_bits) == 1 else value
    if not isinstance(lanes, list) or len(lanes) != len(field.lane_bits):
        raise WireError(f"{field} has {len(field.lane_bits)} lanes")
    for lane, width in zip(lanes, field.lane_bits, strict=True):
        if type(lane) is not int or not 0 <= lane < 1 << width:
            raise WireError(f"{field}: {lane!r} is not a number of {width} bits")
    return field.decode(lanes, context)
