"""Whatever comes through the signaling server, a frame is read or raises `WireError`."""

import random

import pytest

from netcode.errors import WireError
from netcode.introductions import _split
from netcode.transports.base import Lane
from netcode.transports.websocket_frames import (
    MAX_FRAME,
    MAX_REASON,
    Accept,
    Ack,
    Close,
    Data,
    Open,
    decode,
)

ROUNDS = 5_000

FRAMES = [
    frame.encode()
    for frame in (
        Open(),
        Accept(),
        Ack(3_000_000_000),
        Close("a reason – with a dash"),
        Close(),
        *(Data(lane, 7, 5, b"hello") for lane in Lane),
    )
]


@pytest.mark.parametrize("seed", range(4))
def test_only_the_documented_error_is_raised(seed: int) -> None:
    source = random.Random(seed)
    outcomes: set[str] = set()
    for _ in range(ROUNDS):
        frame = bytearray(source.choice(FRAMES))
        for _ in range(source.randint(0, 3)):
            where = source.randrange(len(frame) + 1)
            if source.random() < 0.5:
                frame[where : where + source.randint(0, 4)] = source.randbytes(source.randint(0, 4))
            else:
                frame[where : where + 1] = bytes((source.choice((0, 1, 4, 16, 22, 23, 255)),))
        try:
            read = decode(bytes(frame))
        except WireError:
            outcomes.add("error")
        else:
            assert read.encode() == frame
            outcomes.add(type(read).__name__)
    print(f"{seed=}: {sorted(outcomes)}")
    assert outcomes == {"error", "Open", "Accept", "Ack", "Close", "Data"}


@pytest.mark.parametrize("seed", range(2))
def test_a_parcel_names_its_call_or_makes_no_sense(seed: int) -> None:
    source = random.Random(seed)
    outcomes = {"call": 0, "error": 0}
    for _ in range(ROUNDS):
        name = source.randbytes(source.randint(0, 70)) if source.random() < 0.3 else b"call"
        size = source.choice((len(name), source.randrange(256))) % 256
        try:
            found, frame = _split((bytes((size,)) + name + b"frame")[: source.randint(0, 80)])
        except WireError:
            outcomes["error"] += 1
        else:
            assert len(found) == size
            assert (name + b"frame").startswith(found.encode() + frame)
            outcomes["call"] += 1
    print(f"{seed=}: {outcomes}")
    assert min(outcomes.values()) > ROUNDS / 20


def test_lengths_have_bounds() -> None:
    longest = Data(Lane.RELIABLE, 0, 0, bytes(MAX_FRAME - 9)).encode()
    assert len(longest) == MAX_FRAME
    decode(longest)
    for frame in (longest + b"x", b"\x04" + b"r" * (MAX_REASON + 1), b""):
        with pytest.raises(WireError):
            decode(frame)


def test_a_long_reason_is_cut_between_letters() -> None:
    read = decode(Close("ä" * 150).encode())
    assert read == Close("ä" * 100)
    assert decode(Close("ä" * 99 + "xä").encode()) == Close("ä" * 99 + "x")
