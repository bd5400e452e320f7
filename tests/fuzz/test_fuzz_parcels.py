"""Whatever comes in a binary frame, it is a parcel or raises `MessageError`, and nothing else."""

import random

import pytest

from signaling.errors import MessageError
from signaling.messages import Error, encode
from signaling.parcels import MAX_PARCEL_BYTES, decode_parcel, encode_parcel

ROUNDS = 5_000

FRAMES = [
    encode_parcel("x", b""),
    encode_parcel("kYXJkLXJvb20tcGVl", b"hello"),
    encode_parcel("äöü" * 10, bytes(range(256))),
    encode_parcel("i" * 64, bytes(MAX_PARCEL_BYTES)),
]


def spoil(frame: bytes, source: random.Random) -> bytes:
    spoiled = bytearray(frame)
    for _ in range(source.randint(1, 3)):
        where = source.randrange(min(len(spoiled) + 1, 80))
        match source.randrange(4):
            case 0:
                spoiled[where:where] = source.randbytes(source.randint(1, 40))
            case 1:
                del spoiled[where : where + source.randint(1, 40)]
            case 2:
                spoiled[:1] = source.randbytes(1)
            case _:
                spoiled[where : where + 4] = source.randbytes(4)
    return bytes(spoiled)


@pytest.mark.parametrize("seed", range(4))
def test_only_the_documented_error_is_raised(seed: int) -> None:
    source = random.Random(seed)
    outcomes = {"parcel": 0, "error": 0}
    for _ in range(ROUNDS):
        frame = spoil(source.choice(FRAMES), source)
        try:
            peer, data = decode_parcel(frame)
        except MessageError as error:
            encode(Error(error.code, str(error)))
            outcomes["error"] += 1
        else:
            assert encode_parcel(peer, data) == frame
            # The refusal of a peer that does not exist repeats its id.
            encode(Error("unknown_peer", "", peer))
            outcomes["parcel"] += 1
    print(f"{seed=}: {outcomes}")
    assert min(outcomes.values()) > ROUNDS / 100
