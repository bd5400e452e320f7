"""The two datagrams of the game: state (server to client) and inputs (client to server).

Both travel on the unreliable lane, are complete in themselves, and stay below `MAX_DATAGRAM`.
The first byte says what a message on a link is; the link's own frames use the numbers below 16.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from netcode.declarations import Input
from netcode.errors import WireError
from netcode.fields import Context
from netcode.transports.base import MAX_DATAGRAM

STATE = 16
INPUT = 17

NO_TICK = 0xFFFFFFFF
"""Stands for "no input consumed yet"."""

MAX_PACKETS = 16
"""State packets for one peer in one broadcast."""

MAX_INPUTS = 32
"""Inputs in one packet: half a second at 60 ticks a second; older ones are too late anyway."""

_STATE_HEADER = struct.Struct("<BHIBBBHIh")
_INPUT_HEADER = struct.Struct("<BHBHBIB")

STATE_HEADER_BYTES = _STATE_HEADER.size

MAX_WINDOW_BYTES = 32
"""Of acknowledgements: sixteen broadcasts of sixteen packets."""

LAG_STEPS = 32
"""Lags are told in this share of a tick: half a millisecond at 60 ticks a second."""

MAX_LAG = (1 << 16) - 1
"""The largest lag that can be told, in `LAG_STEPS`: 2,047 ticks."""

_LAG_BITS = 16
_LAG_RICE = 3
_LAG_ESCAPE = 16
"""Ones in a row after which the lag itself follows instead of what it changed by."""

MAX_INPUT_BITS = (
    (MAX_DATAGRAM - _INPUT_HEADER.size - MAX_WINDOW_BYTES) * 8 // MAX_INPUTS
    - 1
    - (_LAG_ESCAPE + _LAG_BITS)
)
"""Bits of one tick's inputs, such that `MAX_INPUTS` different ones fit into one packet."""

_DEFERRED = 1
_HEARD = 1


@dataclass(slots=True)
class StateHeader:
    """What stands at the start of every state packet."""

    sequence: int
    """Of the session; the lowest 16 bits travel."""
    tick: int
    index: int
    """This is packet ``index`` of the ``count`` packets of its tick."""
    count: int
    deferred: bool
    """Whether something had to wait: what is not mentioned is then unknown, not unchanged."""
    client_packet: int
    """The input packet whose acknowledgements this packet builds on, 0 for none; 16 bits travel."""
    input_tick: int | None
    """The tick of the last input that the simulation consumed for this player."""
    earliness: float
    """Seconds by which that player's newest input came before it was needed; negative if late."""

    def encode(self) -> bytes:
        return encode_state_header(
            self.sequence,
            self.tick,
            self.index,
            self.count,
            self.deferred,
            self.client_packet,
            self.input_tick,
            self.earliness,
        )


def encode_state_header(
    sequence: int,
    tick: int,
    index: int,
    count: int,
    deferred: bool,
    client_packet: int,
    input_tick: int | None,
    earliness: float,
) -> bytes:
    """The bytes of a state packet's header; see `StateHeader`."""
    return _STATE_HEADER.pack(
        STATE,
        sequence & 0xFFFF,
        tick,
        index,
        count,
        _DEFERRED if deferred else 0,
        client_packet & 0xFFFF,
        NO_TICK if input_tick is None else input_tick,
        max(-32768, min(32767, round(earliness * 1000))),
    )


def decode_state_header(data: bytes) -> tuple[StateHeader, bytes]:
    """The header (its sequence still 16 bits wide) and the body. Raises `WireError`."""
    if len(data) < STATE_HEADER_BYTES:
        raise WireError("a state packet is shorter than its header")
    _, sequence, tick, index, count, flags, client_packet, input_tick, early = (
        _STATE_HEADER.unpack_from(data)
    )
    if not index < count <= MAX_PACKETS:
        raise WireError(f"state packet {index} of {count}")
    header = StateHeader(
        sequence=sequence,
        tick=tick,
        index=index,
        count=count,
        deferred=bool(flags & _DEFERRED),
        client_packet=client_packet,
        input_tick=None if input_tick == NO_TICK else input_tick,
        earliness=early / 1000.0,
    )
    return header, data[STATE_HEADER_BYTES:]


@dataclass(slots=True)
class InputPacket:
    """What a client says thirty times a second."""

    sequence: int
    """Of the session; the lowest 16 bits travel."""
    heard: bool
    """Whether any state packet has arrived yet; without one the next two mean nothing."""
    newest_state: int
    """Sequence of the newest state packet that arrived; the lowest 16 bits travel."""
    window: int
    """Bit i is set if state packet ``newest_state - 1 - i`` arrived; below 2**256."""
    newest_tick: int
    """The tick of the last of ``inputs``; the others are the ticks before it, without a gap."""
    inputs: list[tuple[Input, ...]]
    """Oldest first; each holds one input of every input class, in the protocol's order."""
    lags: list[int]
    """For each of them, how far the picture that the player answered lay behind the input's tick,
    in 1/32 of a tick: what the server rewinds by."""


def encode_inputs(packet: InputPacket, context: Context) -> bytes:
    """The bytes of an input packet; each input that equals the one before costs one bit."""
    header = _INPUT_HEADER.pack(
        INPUT,
        packet.sequence & 0xFFFF,
        _HEARD if packet.heard else 0,
        packet.newest_state & 0xFFFF,
        (packet.window.bit_length() + 7) // 8,
        packet.newest_tick,
        len(packet.inputs),
    )
    header += packet.window.to_bytes((packet.window.bit_length() + 7) // 8, "little")
    # A handful of small numbers: Python's own integers are quicker here than numpy's arrays.
    bits, length = 0, 0
    before: tuple[Input, ...] | None = None
    lag_before: int | None = None
    for frame, lag in zip(packet.inputs, packet.lags, strict=True):
        code, width = _lag_code(lag, lag_before)
        bits, length, lag_before = bits << width | code, length + width, lag
        repeats = frame == before
        bits, length = bits << 1 | repeats, length + 1
        if not repeats:
            for part in frame:
                for field in part.fields:
                    lanes = field.encode(part._get(field), context)
                    for lane, width in zip(lanes, field.lane_bits, strict=True):
                        bits, length = bits << width | lane, length + width
        before = frame
    padding = -length % 8
    return header + (bits << padding).to_bytes((length + padding) // 8, "big")


def decode_inputs(data: bytes, kinds: Sequence[type[Input]], context: Context) -> InputPacket:
    """An input packet, its sequences still 16 bits wide. Raises `WireError`."""
    if len(data) < _INPUT_HEADER.size:
        raise WireError("an input packet is shorter than its header")
    _, sequence, flags, newest, window_bytes, newest_tick, count = _INPUT_HEADER.unpack_from(data)
    if window_bytes > min(MAX_WINDOW_BYTES, len(data) - _INPUT_HEADER.size):
        raise WireError(f"{window_bytes} bytes of acknowledgements")
    body_at = _INPUT_HEADER.size + window_bytes
    if count > MAX_INPUTS:
        raise WireError(f"{count} inputs in one packet, at most {MAX_INPUTS}")
    if newest_tick == NO_TICK or newest_tick + 1 < count:
        raise WireError("the inputs reach back before tick 0")
    body = _Bits(data[body_at:])
    inputs: list[tuple[Input, ...]] = []
    lags: list[int] = []
    for _ in range(count):
        lags.append(_decode_lag(body, lags[-1] if lags else None))
        if body.read(1):
            if not inputs:
                raise WireError("the first input refers to one before it")
            inputs.append(inputs[-1])
            continue
        inputs.append(tuple(_decode_input(kind, body, context) for kind in kinds))
    body.expect_end()
    return InputPacket(
        sequence=sequence,
        heard=bool(flags & _HEARD),
        newest_state=newest,
        window=int.from_bytes(data[_INPUT_HEADER.size : body_at], "little"),
        newest_tick=newest_tick,
        inputs=inputs,
        lags=lags,
    )


def _lag_code(lag: int, before: int | None) -> tuple[int, int]:
    """The bits that tell a lag after the one before it, and how many they are."""
    if before is None:
        return lag, _LAG_BITS
    change = lag - before
    zigzag = change << 1 if change >= 0 else (-change << 1) - 1
    ones = zigzag >> _LAG_RICE
    if ones >= _LAG_ESCAPE:
        return ((1 << _LAG_ESCAPE) - 1) << _LAG_BITS | lag, _LAG_ESCAPE + _LAG_BITS
    rest = zigzag & ((1 << _LAG_RICE) - 1)
    return ((1 << ones) - 1) << (1 + _LAG_RICE) | rest, ones + 1 + _LAG_RICE


def _decode_lag(body: "_Bits", before: int | None) -> int:
    if before is None:
        return body.read(_LAG_BITS)
    ones = 0
    while ones < _LAG_ESCAPE and body.read(1):
        ones += 1
    if ones == _LAG_ESCAPE:
        return body.read(_LAG_BITS)
    zigzag = ones << _LAG_RICE | body.read(_LAG_RICE)
    lag = before + (zigzag >> 1 if not zigzag & 1 else -(zigzag + 1 >> 1))
    if not 0 <= lag <= MAX_LAG:
        raise WireError(f"a lag of {lag}")
    return lag


def _decode_input(kind: type[Input], body: "_Bits", context: Context) -> Input:
    values = {}
    for field in kind.fields:
        lanes = [body.read(width) for width in field.lane_bits]
        values[field.name] = field.decode(lanes, context)
    return kind(**values)


class _Bits:
    """Reads single numbers out of a few bytes."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, width: int) -> int:
        if width > self._left:
            raise WireError(f"the packet ends where {width} more bits should be")
        self._left -= width
        return self._bits >> self._left & ((1 << width) - 1)

    def expect_end(self) -> None:
        if self._left >= 8 or self.read(self._left):
            raise WireError("there is more in the packet than it says")
