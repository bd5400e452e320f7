"""Whatever a relay is sent: `PacketError` inside, bounded state, and never another exception.

Each seed is one run of seeded mutations of honest packets. For a long run, raise `ROUNDS`.
"""

import random
from collections.abc import Callable
from functools import cache

import pytest
from aioice import stun as codec

from signaling.errors import PacketError
from signaling.turn import stun
from signaling.turn.framing import LARGEST_OF_STRANGER, StreamPackets, channel_data, padded
from signaling.turn.framing import read_channel_data as read
from signaling.turn.stun import Class, Method
from tests.unit.signaling.turn.turn_lab import (
    ADA,
    PEER,
    PEER_V6,
    UDP,
    Lab,
    Player,
    RawMessage,
    attribute,
    family,
    send_indication,
    xor_peer,
)

ROUNDS = 20_000
SEEDS = pytest.mark.parametrize("seed", range(5))

VALUES = {
    "USERNAME": "1800000000:ada",
    "REALM": "example.org",
    "NONCE": b"0" * 32,
    "LIFETIME": 600,
    "REQUESTED-TRANSPORT": UDP,
    "CHANNEL-NUMBER": 0x4000,
    "XOR-PEER-ADDRESS": PEER,
    "DATA": b"hello",
    "SOFTWARE": "somebody",
    "ERROR-CODE": (401, "Unauthorized"),
    "ICE-CONTROLLING": 1,
    "USE-CANDIDATE": None,
    "MAPPED-ADDRESS": PEER_V6,
}


@cache
def pool(seed: int) -> list[bytes]:
    """Honest packets to spoil: building one costs more than trying twenty."""
    rng = random.Random(seed)
    return [honest(rng) for _ in range(1_000)]


def honest(rng: random.Random) -> bytes:
    """A packet as a client could send it."""
    if rng.random() < 0.2:
        return channel_data(rng.randrange(0x4000, 0x4010), rng.randbytes(rng.randrange(40)))
    names = rng.sample(sorted(VALUES), rng.randrange(6))
    message = RawMessage(
        rng.choice(list(Method)),
        rng.choice([Class.REQUEST, Class.REQUEST, *Class]),
        rng.randbytes(12),
        {name: VALUES[name] for name in names},
    )
    message.raw = b"".join(
        rng.sample(
            [
                xor_peer(PEER),
                xor_peer(PEER_V6),
                family(rng.randrange(4)),
                attribute(0x0018, bytes([rng.choice([0, 0x80])])),
                attribute(rng.randrange(0x10000), rng.randbytes(rng.randrange(9))),
            ],
            rng.randrange(3),
        )
    )
    if rng.random() < 0.5:
        message.add_message_integrity(b"key")
    return bytes(message)


def spoiled(packet: bytes, rng: random.Random) -> bytes:
    """Change, cut, double or insert bytes; then often put the length right again."""
    data = bytearray(packet)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                del data[at : at + rng.choice([1, 2, 4, 8])]
            case 2:
                data[at:at] = data[at : at + rng.choice([4, 8, 12])]
            case 3:
                data[at:at] = rng.randbytes(rng.choice([1, 4, 8]))
            case _:
                data[at : at + 2] = rng.choice([b"\0\0", b"\xff\xff", b"\0\x01", b"\x80\0"])
    if rng.random() < 0.7 and len(data) >= 20:
        del data[len(data) - len(data) % 4 :]
        data[2:4] = (len(data) - 20 & 0xFFFF).to_bytes(2, "big")
        data[4:8] = codec.COOKIE.to_bytes(4, "big")
    return bytes(data)


@SEEDS
def test_messages_raise_one_error(seed: int) -> None:
    rng = random.Random(seed)
    accepted = 0
    for _ in range(ROUNDS):
        packet = spoiled(rng.choice(pool(seed)), rng)
        try:
            message = stun.parse(packet)
        except PacketError:
            continue
        accepted += 1
        message.is_signed_with(b"key")
        # Whatever was understood can be answered.
        assert len(stun.refusal(message, 420, key=b"key")) < 20 + 64 + len(message.unknown) * 2 + 8
    print(f"{seed=}: {accepted} of {ROUNDS} accepted")
    assert ROUNDS / 20 < accepted < ROUNDS * 0.9


@SEEDS
def test_channel_data_raises_one_error(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        packet = rng.choice([rng.choice(pool(seed)), rng.randbytes(rng.randrange(30))])
        try:
            number, data = read(spoiled(packet, rng))
        except PacketError:
            continue
        assert 0x4000 <= number <= 0x7FFF
        assert len(data) <= 65_535


@SEEDS
def test_streams_raise_one_error_and_keep_little(seed: int) -> None:
    rng = random.Random(seed)
    reader = StreamPackets()
    for _ in range(ROUNDS):
        chunk = padded(rng.choice(pool(seed)))
        if rng.random() < 0.3:
            chunk = spoiled(chunk, rng)
        try:
            for packet in reader.feed(chunk[: rng.randrange(len(chunk) + 1)]):
                assert 4 <= len(packet) <= LARGEST_OF_STRANGER
        except PacketError:
            reader = StreamPackets()
        assert len(reader._rest) <= LARGEST_OF_STRANGER + 3


def signed_by(player: Player, rng: random.Random) -> bytes:
    """A request that passes the signature, so that what is behind it is tried as well."""
    peers = [xor_peer(PEER), xor_peer(PEER_V6), xor_peer(("10.0.0.1", 1))]
    method = rng.choice([*Method, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
    attributes = {
        "LIFETIME": rng.choice([0, 600, 2**32 - 1]),
        "REQUESTED-TRANSPORT": UDP,
        "CHANNEL-NUMBER": rng.randrange(0x3FFF, 0x4006),
    }
    for name in rng.sample(sorted(attributes), rng.randrange(3)):
        del attributes[name]
    raw = b"".join(rng.choices(peers, [8, 1, 1], k=rng.choice([1, 1, 1, 0, 2])))
    return player.build(method, attributes, raw=raw + rng.choice([b"", b"", family(2)]))


@SEEDS
def test_a_relay_survives_and_stays_bounded(seed: int) -> None:
    rng = random.Random(seed)
    lab = Lab(max_allocations=5, max_permissions=4, max_channels=4, stranger_rate=1e9)
    player = lab.player()
    player.allocate()
    sources: list[Callable[[random.Random], bytes]] = [
        lambda rng: signed_by(player, rng),
        lambda rng: spoiled(signed_by(player, rng), rng),
        lambda rng: rng.choice(pool(seed)),
        lambda rng: spoiled(rng.choice(pool(seed)), rng),
        lambda rng: send_indication(PEER, rng.randbytes(5)),
        lambda rng: rng.randbytes(rng.randrange(60)),
    ]
    for _ in range(ROUNDS // 4):
        lab.now += rng.choice([0.0, 0.01, 0.1])
        client = ADA if rng.random() < 0.8 else ADA._replace(port=rng.randrange(65_536))
        packet = rng.choice(sources)(rng)
        lab.receive(client, packet)
        for relayed in list(lab.open):
            lab.from_peer(relayed, rng.choice([PEER, ("10.0.0.1", 1)]), b"x")
        for _, answer in lab.taken():
            assert len(answer) < 256
        if not lab.open or rng.random() < 0.001:
            player.key = None
            player.allocate()
        for allocation in lab.relay.allocations:
            assert len(allocation.permissions) <= 4
            assert len(allocation.channels) == len(allocation.channel_of) <= 4
        assert len(lab.open) == len(lab.relay.allocations) <= 5
    assert all(peer in (PEER, PEER_V6) for _, peer, _ in lab.to_peers)
    print(f"{seed=}: {lab.relay.stats}")
    assert lab.relay.stats.allocated > 1
    assert lab.relay.stats.to_peers > 100
