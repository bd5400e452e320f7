"""Whatever arrives, the decoders return a message or raise `MessageError`, and nothing else."""

import json
import random
from collections.abc import Callable

import pytest

from signaling.errors import MessageError
from signaling.messages import (
    Answer,
    Candidate,
    Draining,
    Error,
    IceServer,
    IceServersRenewed,
    Join,
    Joined,
    Leave,
    Offer,
    OfferFrom,
    PeerInfo,
    PeerJoined,
    PeerLeft,
    RenewIceServers,
    decode_from_client,
    decode_from_server,
    encode,
)

ROUNDS = 1_000
"""Texts per case; all cases together take about a second."""

MESSAGES = [
    encode(message)
    for message in (
        Join("den", "Ada", "host"),
        Join("den", "Ada", token="v1.e30.c2ln"),
        Offer("x", "v=0\r\n", "call 1", "direct"),
        Answer("x", "v=0\r\n", "call 1"),
        Candidate("x", "candidate:1", "0", 0, "call 1"),
        RenewIceServers(),
        Leave(),
        Joined("x", "den", "y", (PeerInfo("y", "B"),), (IceServer(("stun:a",), "u", "c"),)),
        PeerJoined("x", "Ada"),
        PeerLeft("x", "left"),
        OfferFrom("x", "v=0"),
        IceServersRenewed((IceServer(("turn:a",), "u", "c"),)),
        Draining(30.0),
        Error("code", "text", "x"),
    )
]

ODD_VALUES: list[object] = [
    None, True, 0, -1, 1.5, 1e308, float("nan"), float("inf"), 10**400, "", "x" * 70_000,
    "\ud800", "\x00", "\u2028", "\U0001f3ae", [], {}, [[]], {"id": "x"}, [None], ["x"] * 5_000,
]  # fmt: skip


def mutate_text(text: str, random: random.Random) -> str:
    """Delete, double, replace or cut some characters."""
    letters = list(text)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(letters) + 1)
        match random.randrange(4):
            case 0:
                del letters[at : at + random.randint(1, 5)]
            case 1:
                letters[at:at] = letters[at : at + 10]
            case 2:
                letters[at : at + 1] = random.choice('{}[]",:\\u0d8e-1.\x00\ud8ffé')
            case _:
                letters = letters[:at] if random.random() < 0.2 else letters
    return "".join(letters)


def mutate_value(text: str, random: random.Random) -> str:
    """Replace or remove some fields of a valid message, or of an entry in its lists."""
    wire = json.loads(text)
    target = wire
    lists = [value for value in wire.values() if isinstance(value, list) and value]
    if lists and random.random() < 0.5:
        target = random.choice(lists)[0]
    for _ in range(random.randint(1, 2)):
        key = random.choice([*target, "extra"])
        if random.random() < 0.2:
            target.pop(key, None)
        else:
            target[key] = random.choice(ODD_VALUES)
    return json.dumps(wire, ensure_ascii=random.random() < 0.5)


def noise(text: str, random: random.Random) -> str:
    """Return characters without any sense, or brackets nested too deep."""
    if random.random() < 0.02:
        return random.choice('[{"') * random.randint(1, 60_000)
    return "".join(chr(random.randrange(0x11_0000)) for _ in range(random.randrange(50)))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("spoil", [mutate_text, mutate_value, noise])
@pytest.mark.parametrize("decode", [decode_from_client, decode_from_server])
def test_only_the_documented_error_is_raised(
    decode: Callable[[str], object],
    spoil: Callable[[str, random.Random], str],
    seed: int,
) -> None:
    source = random.Random(seed)
    outcomes: set[str] = set()
    for _ in range(ROUNDS):
        text = spoil(source.choice(MESSAGES), source)
        try:
            message = decode(text)
        except MessageError as error:
            outcomes.add(error.code)
            # The refusal itself must be fit to be sent.
            encode(Error(error.code, str(error)))
        else:
            outcomes.add("accepted")
            encode(message)  # type: ignore[arg-type]
    print(f"{seed=}: {sorted(outcomes)}")
    # A spoiler that always ends in the same refusal would test nothing behind it.
    assert len(outcomes) > 2 or spoil is noise
