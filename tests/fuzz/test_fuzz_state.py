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
from netcode.sync.baselines import WINDOW
from netcode.sync.receiver import Receiver
from netcode.sync.samples import UNSEEN_KEPT
from netcode.wire.packets import MAX_PACKETS, STATE_HEADER_BYTES
from netcode.world.history import ABSENT, LENGTH, History
from netcode.world.world import World
from tests.unit.sync.happenings import Curves
from tests.unit.sync.lab import EVERY, SCHEMAS, Client, Lab, Weather, stir

ROUNDS = int(os.environ.get("NETCODE_FUZZ_ROUNDS", "2000"))
PER_SEED = 1_000
FAR_ROW = 2_000
"""Beyond so many rows a forged row has made the tables large: right, but slow to go on with."""


def play(seed: int) -> tuple[Lab, list[bytes]]:
    """A lively game in which much is lost, and what its server said to the first player."""
    rng = random.Random(seed)
    schema = list(SCHEMAS)[seed % len(SCHEMAS)]
    interest = nc.Radius(150, slower={60: 2}) if seed % 2 else None
    lab = Lab(SCHEMAS[schema], rng, interest=interest, weather=Weather(loss=0.3), clients=2)
    curves = Curves(rng)
    packets = []
    for turn in range(40):
        stir(lab)
        if turn % 4:
            curves.move(lab, turn)
        lab.step()
        packets += lab.sent[1]
    return lab, packets


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Flip, overwrite, cut, double, insert; mostly in the body, where most of the rules are."""
    letters = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        if not letters:
            break
        low = 0 if rng.random() < 0.2 else min(STATE_HEADER_BYTES, len(letters) - 1)
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


def splice(one: bytes, other: bytes, rng: random.Random) -> bytes:
    """The beginning of one packet and the end of another."""
    return one[: rng.randint(0, len(one))] + other[rng.randint(0, len(other)) :]


def resequenced(data: bytes, receiver: Receiver, rng: random.Random) -> bytes:
    """The packet as one that comes now, so that it is not dropped for its age alone: of the newest
    tick, one a little older or newer, building on any client packet."""
    if len(data) < STATE_HEADER_BYTES:
        return data
    sequence = receiver.newest_packet + rng.choice((1, 1, 1, 2, 40, -3))
    tick = max(0, receiver.tick + EVERY * rng.choice((0, 1, 1, 1, 2, LENGTH, -1, -5)))
    index, count = (0, 1) if rng.random() < 0.7 else (rng.randrange(4), rng.randint(1, MAX_PACKETS))
    named = rng.choice(
        (0, receiver._newest_sent, max(0, receiver._newest_sent - rng.randrange(20)))
    )
    head = struct.pack(
        "<BHIBBBH", data[0], sequence & 0xFFFF, tick, index, count, data[9] & 1, named & 0xFFFF
    )
    return head + data[len(head) :]


def forged(packets: list[bytes], receiver: Receiver, rng: random.Random) -> bytes:
    data = rng.choice(packets)
    if rng.random() < 0.15:
        data = splice(data, rng.choice(packets), rng)
    elif rng.random() < 0.9:
        data = mutate(data, rng)
    return resequenced(data, receiver, rng) if rng.random() < 0.8 else data


def state_of(receiver: Receiver) -> list[Any]:
    """All that a receiver holds, to be compared."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.shape, value.tobytes()
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return repr(value)

    history = receiver.history
    owners = (receiver, receiver.samples, history, history.layout, receiver.stats)
    held = [
        {
            name: plain(getattr(owner, name))
            for name in getattr(owner, "__slots__", None) or vars(owner)
            if not name.startswith("__")
        }
        for owner in owners
    ]
    complete = [(frame.tick, frame.complete) for frame in history]
    return [held, complete, len(receiver._texts)]


@pytest.mark.parametrize("seed", range(max(1, ROUNDS // PER_SEED)))
def test_a_mutated_packet_is_taken_or_refused_and_refusing_changes_nothing(seed: int) -> None:
    lab, packets = play(seed)
    rng = random.Random(1_000_000 + seed)
    client = lab.clients[0]
    world, receiver, sent = client.world, client.receiver, client.inputs
    refused = 0
    for turn in range(PER_SEED):
        if max(receiver.history.sizes) > FAR_ROW:
            check_sound(receiver, world)
            world, receiver = newcomer(lab, packets)
            sent = 0
        data = forged(packets, receiver, rng)
        before = state_of(receiver) if turn % 20 == 0 else None
        try:
            receiver.receive(data)
        except WireError:
            refused += 1
            assert before is None or state_of(receiver) == before
        if turn % 3 == 0:
            sent += 1
            receiver.acknowledge(sent)
    assert 0 < refused < PER_SEED
    check_sound(receiver, world)


def newcomer(lab: Lab, packets: list[bytes]) -> tuple[World, Receiver]:
    """Another client, in the middle of the game."""
    world = World([table.kind for table in lab.world.tables])
    receiver = Receiver(world.tables, History(world.tables, EVERY), world.texts)
    for data in packets[:20]:
        receiver.receive(data[:10] + b"\x00\x00" + data[12:])
    return world, receiver


def check_sound(receiver: Receiver, world: World) -> None:
    """What was taken in can be shown, and has not grown beyond what the wire can name."""
    assert len(world.texts) < 5_000
    assert max(receiver.history.sizes) <= 65_536
    assert receiver.samples._patterns.count <= 1 << 15
    for known, table in zip(receiver.known, world.tables, strict=True):
        rows = np.flatnonzero(known.life != ABSENT)[:50]
        for row in rows.tolist():
            table.place(row, int(known.life[row]))
        table.load(rows, known.lanes[rows])
        for row in rows.tolist():
            repr(table.at(row))
        table.quantise()
        assert not table.clamped
        for kept in (frame.tables[table_number(world, table)] for frame in receiver.history):
            rows = np.flatnonzero(kept.life != ABSENT)[:50]
            for row in rows.tolist():
                table.place(row, int(kept.life[row]))
            table.load(rows, kept.lanes[rows])
            table.quantise()
            assert not table.clamped


def table_number(world: World, table: Any) -> int:
    return next(index for index, other in enumerate(world.tables) if other is table)


@pytest.mark.parametrize("seed", range(2))
def test_a_packet_cut_short_is_refused_and_the_game_goes_on_as_if_it_had_not_been(
    seed: int,
) -> None:
    lab, packets = play(seed)
    rng = random.Random(2_000_000 + seed)
    receiver = lab.clients[0].receiver
    before = state_of(receiver)
    for data in rng.sample(packets, k=20):
        newer = resequenced(data, receiver, rng)
        for size in rng.sample(range(len(data)), k=min(20, len(data))):
            with pytest.raises(WireError):
                receiver.receive(newer[:size])
    assert state_of(receiver) == before
    lab.calm_down(20)
    lab.check_equal()


@pytest.mark.parametrize("seed", range(3))
def test_a_receiver_that_has_been_lied_to_comes_right_when_everything_is_told_anew(
    seed: int,
) -> None:
    """Forged packets may well make it hold nonsense; an honest server's later entries of new
    epochs are still taken for what they say."""
    lab, packets = play(seed)
    rng = random.Random(4_000_000 + seed)
    client = lab.clients[0]
    receiver = client.receiver
    for _ in range(300):
        data = bytearray(forged(packets, receiver, rng))
        # Of no newer tick: else the honest ones would be too late.
        data[3:7] = struct.pack("<I", rng.randint(max(0, lab.number - 5), lab.number) * EVERY)
        data[1:3] = struct.pack("<H", rng.randint(0, client.peer.sequence))
        try:
            receiver.receive(bytes(data))
        except WireError:
            continue
    for table in lab.world.tables:
        for row in table.rows().tolist():
            table.despawn(row)
    for client in lab.clients:
        client.down.clear()
    end_without_ledger(lab, client=lab.clients[0])


def end_without_ledger(lab: Lab, client: Client) -> None:
    """Everything has gone: whatever honest leaves name is gone at the client as well."""
    held = [set(np.flatnonzero(known.life != ABSENT).tolist()) for known in client.receiver.known]
    told: list[set[int]] = [set() for _ in held]
    parts = lab.history.layout.parts
    for _ in range(3):
        lab.step(receive=False)
        for said in lab.said(client.peer.player):
            assert said.what == "leave"
            if parts[said.part].number == client.receiver.samples.public[parts[said.part].table]:
                told[parts[said.part].table].add(said.row)
        for data in lab.sent[client.peer.player]:
            client.receiver.receive(data)
    now = [set(np.flatnonzero(known.life != ABSENT).tolist()) for known in client.receiver.known]
    assert now == [before - gone for before, gone in zip(held, told, strict=True)]


@pytest.mark.parametrize("seed", range(2))
def test_random_bytes_are_refused(seed: int) -> None:
    lab, _ = play(seed)
    rng = random.Random(3_000_000 + seed)
    receiver = lab.clients[0].receiver
    for _ in range(500):
        data = rng.randbytes(rng.randint(0, 60))
        try:
            receiver.receive(data)
        except WireError:
            continue


@pytest.mark.parametrize("seed", range(2))
def test_forged_acknowledgements_harm_nobody_else(seed: int) -> None:
    """Who lies about what has arrived gets nonsense. The other player does not."""
    lab, _ = play(seed)
    rng = random.Random(5_000_000 + seed)
    liar = lab.clients.pop(0)
    for turn in range(60):
        stir(lab)
        for _ in range(rng.randint(0, 3)):
            lab.sender.acknowledge(
                liar.peer,
                liar.peer.client_packet + rng.choice((-1, 0, 1, 1, 1000)),
                liar.peer.sequence - rng.choice((-1, 0, 0, 1, 50, WINDOW, 100_000)),
                rng.getrandbits(rng.choice((1, 64, WINDOW, 256))),
            )
        if turn == 40:
            lab.sender.acknowledge(liar.peer, 1 << 40, liar.peer.sequence, (1 << 256) - 1)
        lab.step()
    lab.calm_down()
    lab.check_equal()


def test_the_largest_counts_cost_no_memory() -> None:
    """Counts are believed only as far as there are bits."""
    world = World(SCHEMAS["long"])
    receiver = Receiver(world.tables, History(world.tables), world.texts)
    header = bytes([16]) + struct.pack("<HIBBBHIh", 1, 3, 0, 1, 0, 0, 0, 0)
    assert len(header) == STATE_HEADER_BYTES
    for part in range(5):
        for tail in (b"", b"\x00" * 1_000, b"\xff" * 1_000, b"\x80\x00\x40" * 300):
            with pytest.raises(WireError):
                receiver.receive(header + bytes([part]) + tail)
    assert receiver.history.sizes == [0, 0, 0]


def test_all_rows_at_once_may_leave_and_take_no_room() -> None:
    """The dearest honest-looking packet: 65,535 leaves in a dozen bytes."""
    world = World(SCHEMAS["presence only"])
    receiver = Receiver(world.tables, History(world.tables), world.texts)
    # part 0, no updates, no entries, 65,535 leaves in one run whose length has 15 bits below 2.
    bits = "00000000" + "00000" + "00000" + "10000" + "1" * 16
    bits += "00001" + "1" + "0000" + "1111"  # one run, k 0 for the gap and 15 for the run
    bits += "1" + "01" + format(65_534 & 0x7FFF, "015b") + "11111111"
    body = int(bits + "0" * (-len(bits) % 8), 2).to_bytes((len(bits) + 7) // 8, "big")
    for sequence in (1, 2, 3):
        header = struct.pack("<BHIBBBHIh", 16, sequence, 3 * sequence, 0, 1, 0, 0, 0, 0)
        receiver.receive(header + body)
        assert receiver.history.sizes == [0, 0]
        assert len(receiver.samples._unseen) == UNSEEN_KEPT
