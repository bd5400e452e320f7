"""Whatever arrives on a link: `WireError` inside, bounded memory, never another exception.

Each seed is one run of seeded mutations of honest traffic. For a long run, raise `ROUNDS`.
"""

import random

import pytest

from netcode.errors import WireError
from netcode.link import frames
from netcode.link.channels import MAX_BEYOND_BYTES, MAX_PARTIAL_BYTES
from netcode.link.delivery import EXPIRING, RELIABLE, SEQUENCED, UNORDERED, UNRELIABLE
from netcode.link.frames import PIECE_BYTES, Acknowledgement, Heartbeat, Piece, channel_id
from netcode.link.session import MAX_CHANNELS, MAX_UNOPENED_BYTES, Session
from netcode.transports.base import Lane
from tests.unit.link.link_lab import Lab

ROUNDS = 1500
SEEDS = pytest.mark.parametrize("seed", range(6))
DELIVERIES = (RELIABLE, UNORDERED, UNRELIABLE, SEQUENCED, EXPIRING(100))
NAMES = ("chat", "files", "")


def honest(rng: random.Random) -> bytes:
    """A frame as it could come from a well-behaved peer."""
    number = channel_id(rng.choice(NAMES), rng.choice(DELIVERIES).name)
    sequence = rng.choice([0, 1, rng.randrange(40), rng.randrange(2**32)])
    kind = rng.randrange(5)
    if kind == 0:
        told = tuple(
            Acknowledgement(number, rng.randrange(50), rng.getrandbits(32))
            for _ in range(rng.randrange(4))
        )
        return Heartbeat(rng.getrandbits(32), rng.getrandbits(32), 9, told).encode()
    if kind == 1:
        ticket = rng.randbytes(frames.TICKET_BYTES)
        ways = [frames.Resume(ticket).encode(), frames.Ticket(ticket).encode()]
        return rng.choice([frames.encode_bye("bye"), *ways])
    if kind == 2:
        return Piece(number, sequence, 0, 1, rng.randbytes(rng.randrange(50))).encode()
    count = rng.randrange(2, rng.choice([4, 900]))
    index = rng.randrange(count)
    size = PIECE_BYTES if index < count - 1 else rng.randrange(PIECE_BYTES)
    return Piece(number, sequence, index, count, bytes(size)).encode()


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(4)):
        what = rng.randrange(4)
        place = rng.randrange(len(changed) + 1)
        if what == 0 and place < len(changed):
            changed[place] = rng.choice([0, 1, 127, 128, 255, rng.randrange(256)])
        elif what == 1:
            del changed[place : place + rng.randrange(1, 8)]
        elif what == 2:
            changed[place:place] = rng.randbytes(rng.randrange(1, 8))
        else:
            del changed[place:]
    return bytes(changed)


@SEEDS
def test_decoding_raises_wire_errors_only_and_what_it_takes_it_writes_again(seed: int) -> None:
    rng = random.Random(seed)
    taken = 0
    for _ in range(ROUNDS):
        data = mutated(rng, honest(rng)) or b"\x00"
        try:
            frame = frames.decode(data)
        except WireError:
            continue
        taken += 1
        if not isinstance(frame, str):
            assert frame.encode() == data
    assert taken > ROUNDS / 10


@SEEDS
def test_a_session_stays_bounded_whatever_pieces_come(seed: int) -> None:
    rng = random.Random(seed)
    session = Session()
    for delivery in DELIVERIES:
        session.open("chat", delivery)
    for _ in range(ROUNDS):
        try:
            frame = frames.decode(mutated(rng, honest(rng)) or b"\x00")
        except WireError:
            continue
        try:
            if isinstance(frame, Piece):
                session.receive(rng.choice(list(Lane)), frame)
            elif isinstance(frame, Heartbeat):
                session.acknowledge(frame.acknowledgements)
        except WireError:
            pass
        assert len(session.acknowledgements()) <= frames.MAX_ACKNOWLEDGEMENTS
        if rng.random() < 0.01:
            session.relink()
        if rng.random() < 0.01 and len(session.channels) < 20:
            session.open(rng.choice(NAMES), rng.choice(DELIVERIES))
    for channel in session.channels.values():
        most = MAX_PARTIAL_BYTES + MAX_BEYOND_BYTES + 2 * PIECE_BYTES
        assert channel.incoming.held_bytes <= most
    assert len(session._unopened) <= MAX_CHANNELS
    assert sum(held.held_bytes for held in session._unopened.values()) <= MAX_UNOPENED_BYTES


@SEEDS
def test_a_link_outlives_or_ends_and_nothing_else(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    lab = Lab(seed=seed)
    for delivery in DELIVERIES:
        lab.b.session.open("chat", delivery)
    lanes = [rng.choice(list(Lane))] if seed % 2 else [Lane.UNRELIABLE, Lane.EXPIRING_100]
    for _ in range(ROUNDS // 5):
        lab.a.transport.send(rng.choice(lanes), mutated(rng, honest(rng)))
        lab.run(0.005)
        if lab.b.closed:
            break
    assert len(lab.b.closed) <= 1
    assert lab.b.link.is_open == (not lab.b.closed)
    # A callback that raised would have been logged by the transport.
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    rtt = lab.b.link.rtt
    assert rtt is None or 0.0 <= rtt <= 10.0
