"""Whatever happens to a state packet on its way, the receiver takes it in or raises `WireError`.

Set NETCODE_FUZZ_ROUNDS for a longer run; a failure names its seed.
"""

import os
import random
import struct
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.sync.receiver import Receiver
from netcode.world.history import History
from netcode.world.world import World
from tests.unit.sync.lab import SCHEMAS, Lab, Weather, stir

ROUNDS = int(os.environ.get("NETCODE_FUZZ_ROUNDS", "20000"))
PER_SEED = 1_000
HEADER = 18


def real_packets(seed: int) -> tuple[Lab, list[bytes]]:
    """What a server says in a lively game in which much is lost."""
    rng = random.Random(seed)
    schema = list(SCHEMAS)[seed % len(SCHEMAS)]
    lab = Lab(SCHEMAS[schema], rng, interest=nc.Radius(120), weather=Weather(loss=0.3))
    packets = []
    for _ in range(25):
        stir(lab)
        lab.step()
        packets += lab.sent[1]
    return lab, packets


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, double, insert; mostly in the body, where most of the rules are."""
    letters = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if not letters:
            break
        low = 0 if rng.random() < 0.2 else min(HEADER, len(letters) - 1)
        at = rng.randrange(low, len(letters))
        match rng.randrange(6):
            case 0 | 1:
                letters[at] ^= 1 << rng.randrange(8)
            case 2:
                letters[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 3:
                del letters[at : at + rng.randint(1, 4)]
            case 4:
                letters[at:at] = rng.randbytes(rng.randint(1, 4))
            case _:
                letters[at:] = letters[at : at + rng.randint(0, 20)]
    return bytes(letters)


def resequenced(data: bytes, sequence: int, tick: int) -> bytes:
    """The packet as a newer one, so that it is not dropped for its age alone."""
    return data[:1] + struct.pack("<HI", sequence & 0xFFFF, tick) + data[7:]


def state_of(receiver: Receiver) -> Any:
    """All that a receiver holds, to be compared."""
    arrays = [
        array.tobytes()
        for known in receiver.known
        for array in (known.life, known.controlled, known.lanes, known.said)
    ]
    frames = [
        (
            frame.tick,
            frame.complete,
            kept.lanes.tobytes(),
            kept.life.tobytes(),
            kept.known.tobytes(),
        )
        for frame in receiver.history
        for kept in frame.tables
    ]
    stats = receiver.stats
    return (
        arrays,
        frames,
        (receiver.tick, receiver.newest_packet, receiver.window, receiver.input_tick),
        (stats.packets, stats.doubled, stats.late, stats.stray),
        len(receiver._texts),
    )


@pytest.mark.parametrize("seed", range(max(1, ROUNDS // PER_SEED)))
def test_a_mutated_packet_is_taken_or_refused_and_refusing_changes_nothing(seed: int) -> None:
    lab, packets = real_packets(seed)
    rng = random.Random(1_000_000 + seed)
    world, receiver = lab.clients[0].world, lab.clients[0].receiver
    refused = 0
    for turn in range(PER_SEED):
        if max(len(known.life) for known in receiver.known) > 1_000:
            # A forged row far out: correct, but each tick is then slow to write down.
            check_sound(receiver, world)
            world, receiver = newcomer(lab, packets)
        data = mutate(rng.choice(packets), rng)
        if turn % 3 and len(data) >= HEADER:
            data = resequenced(data, receiver.newest_packet + 1, receiver.tick + 3)
        before = state_of(receiver) if turn % 10 == 0 else None
        try:
            receiver.receive(data)
        except WireError:
            refused += 1
            assert before is None or state_of(receiver) == before
    assert 0 < refused < PER_SEED
    check_sound(receiver, world)


def newcomer(lab: Lab, packets: list[bytes]) -> tuple[World, Receiver]:
    """Another client, in the middle of the game."""
    world = World([table.kind for table in lab.world.tables])
    receiver = Receiver(world.tables, History(world.tables), world.texts)
    for data in packets[:20]:
        receiver.receive(data)
    return world, receiver


def check_sound(receiver: Receiver, world: World) -> None:
    """What was taken in can be shown, and has not grown beyond what the wire can name."""
    assert len(world.texts) < 5_000
    for known, table in zip(receiver.known, world.tables, strict=True):
        assert len(known.life) <= 2 * 65_536
        rows = np.flatnonzero(known.life >= 0)[:50]
        for row in rows.tolist():
            table.place(row, int(known.life[row]))
        table.load(rows, known.lanes[rows])
        for row in rows.tolist():
            repr(table.at(row))
        assert not table.clamped
        table.quantise(rows)
        assert not table.clamped


@pytest.mark.parametrize("seed", range(3))
def test_a_packet_cut_short_is_refused_and_the_game_goes_on_as_if_it_had_not_been(
    seed: int,
) -> None:
    lab, packets = real_packets(seed)
    rng = random.Random(2_000_000 + seed)
    receiver = lab.clients[0].receiver
    before = state_of(receiver)
    for data in rng.sample(packets, k=min(20, len(packets))):
        newer = resequenced(data, receiver.newest_packet + 1, receiver.tick + 3)
        for size in rng.sample(range(len(data)), k=min(20, len(data))):
            with pytest.raises(WireError):
                receiver.receive(newer[:size])
    assert state_of(receiver) == before
    lab.calm_down()
    lab.check_equal()


@pytest.mark.parametrize("seed", range(4))
def test_random_bytes_are_refused(seed: int) -> None:
    lab, _ = real_packets(seed)
    rng = random.Random(3_000_000 + seed)
    receiver = lab.clients[0].receiver
    for _ in range(1_000):
        data = rng.randbytes(rng.randint(0, 60))
        try:
            receiver.receive(data)
        except WireError:
            continue


def test_the_largest_counts_cost_no_memory() -> None:
    """Counts are believed only as far as there are bits."""
    world = World(SCHEMAS["long"])
    receiver = Receiver(world.tables, History(world.tables), world.texts)
    header = bytes([16]) + struct.pack("<HIBBBHIh", 1, 3, 0, 1, 0, 0, 0, 0)
    for table in range(3):
        for tail in (b"", b"\x00" * 1_000, b"\xff" * 1_000):
            with pytest.raises(WireError):
                receiver.receive(header + bytes([table]) + b"\xff\xff" + tail)
    assert all(len(known.life) == 0 for known in receiver.known)
