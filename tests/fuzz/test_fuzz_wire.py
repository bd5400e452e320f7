"""Whatever arrives, the parsers of inputs and messages return a value or raise `WireError`.

Set NETCODE_FUZZ_ROUNDS for a longer run; a failure names its seed.
"""

import os
import random
from collections.abc import Callable
from typing import Any

import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.wire.messages import decode_message, encode_message
from netcode.wire.packets import (
    MAX_INPUTS,
    InputPacket,
    decode_inputs,
    decode_state_header,
    encode_inputs,
)
from netcode.world.world import World
from tests.fuzz.test_fuzz_state import mutate
from tests.unit.wire.test_messages import Bang, Empty, Full
from tests.unit.wire.test_packets import Aim, Gear, Steer

ROUNDS = int(os.environ.get("NETCODE_FUZZ_ROUNDS", "20000"))
PER_SEED = 1_000


class Ship(nc.Entity):
    pass


WORLD = World([Ship])
SHIP = WORLD.spawn(Ship)
INPUTS = (Steer, Aim)
MESSAGES = (Empty, Full, Bang)


def inputs(rng: random.Random) -> bytes:
    frames: list[Any] = []
    for _ in range(rng.choice((0, 1, 2, 4, MAX_INPUTS))):
        if frames and rng.random() < 0.5:
            frames.append(frames[-1])
            continue
        aim = Aim(
            at=(rng.uniform(-100, 100), 5),
            power=rng.random(),
            gear=rng.choice(list(Gear)),
            target=rng.choice([None, SHIP]),
            view=tuple(rng.gauss(0, 1) for _ in range(4)),
        )
        frames.append((Steer(turn=rng.randint(-1, 1), aim=rng.uniform(0, 6)), aim))
    window = rng.getrandbits(64)
    lags = [rng.choice((640, 641, 638, rng.getrandbits(16))) for _ in frames]
    packet = InputPacket(rng.getrandbits(16), True, 5, window, 1_000, frames, lags)
    return encode_inputs(packet, WORLD)


def message(rng: random.Random) -> bytes:
    full = Full(number=rng.uniform(-5, 5), text="é" * rng.randint(0, 6), ship=SHIP)
    if rng.random() < 0.3:
        return encode_message(2, Bang(), WORLD, tick=rng.getrandbits(32))
    return encode_message(1, full, WORLD, request=rng.randint(0, 1_000))


def take_inputs(data: bytes) -> None:
    packet = decode_inputs(data, INPUTS, WORLD)
    assert len(packet.inputs) <= MAX_INPUTS
    assert 0 <= packet.window < 1 << 64
    assert len(packet.lags) == len(packet.inputs)
    assert all(0 <= lag < 1 << 16 for lag in packet.lags)
    for frame in packet.inputs:
        assert [type(part) for part in frame] == [Steer, Aim]
        for part in frame:
            for field in part.fields:
                assert field.is_in_range(field.check(part._get(field)))


def take_message(data: bytes) -> None:
    found, request, reply, tick = decode_message(data, MESSAGES, WORLD)
    assert tick is None or (found.timed and 0 <= tick < 1 << 32)
    assert 0 <= request < 1 << 31
    assert not (reply and request == 0)
    for field in found.fields:
        assert field.is_in_range(field.check(found._get(field)))


def take_header(data: bytes) -> None:
    header, _ = decode_state_header(data)
    assert header.index < header.count <= 255


@pytest.mark.parametrize("seed", range(max(1, ROUNDS // PER_SEED // 4)))
@pytest.mark.parametrize(
    ("make", "take"), [(inputs, take_inputs), (message, take_message)], ids=["inputs", "messages"]
)
def test_mutated_bytes_are_a_value_or_a_wire_error(
    make: Callable[[random.Random], bytes], take: Callable[[bytes], None], seed: int
) -> None:
    rng = random.Random(seed)
    samples = [make(rng) for _ in range(20)]
    for sample in samples:
        take(sample)
    refused = 0
    for _ in range(PER_SEED):
        try:
            take(mutate(rng.choice(samples), rng))
        except WireError:
            refused += 1
    assert 0 < refused < PER_SEED


@pytest.mark.parametrize("take", [take_inputs, take_message, take_header])
def test_random_bytes_are_a_value_or_a_wire_error(take: Callable[[bytes], None]) -> None:
    rng = random.Random(7)
    for _ in range(PER_SEED):
        try:
            take(rng.randbytes(rng.randint(0, 80)))
        except WireError:
            continue


@pytest.mark.parametrize(("make", "take"), [(inputs, take_inputs), (message, take_message)])
def test_whatever_is_cut_off_is_missed(
    make: Callable[[random.Random], bytes], take: Callable[[bytes], None]
) -> None:
    rng = random.Random(8)
    for _ in range(10):
        data = make(rng)
        for size in range(len(data)):
            with pytest.raises(WireError):
                take(data[:size])
        with pytest.raises(WireError):
            take(data + b"\x00")
