"""What a peer may send about voice, and as voice: `WireError` and nothing else, whatever it is."""

import random

import pytest

from netcode.core import voice_words
from netcode.core.voice_words import Listening, Recording, VoiceRules
from netcode.errors import WireError
from netcode.voice.forwarding import Forwarding, Member
from netcode.voice.headers import EXTENSION, FIRST_BYTE, FLAT, is_placed, peek, renumbered, stamped
from netcode.voice.policies import EveryoneVoice, ProximityVoice
from netcode.voice.rtp import decode

SEEDS = pytest.mark.parametrize("seed", range(5))
ROUNDS = 3_000


def honest_packet(rng: random.Random) -> bytes:
    return (
        bytes((FIRST_BYTE, FLAT | rng.choice([0, 0x80])))
        + rng.randbytes(6)
        + rng.choice([1, 2, 3]).to_bytes(4, "big")
        + EXTENSION
        + bytes((rng.randrange(256), 0, 0))
        + rng.randbytes(rng.randrange(1, 90))
    )


def honest_word(rng: random.Random) -> bytes:
    words = [VoiceRules(1.0, 2.0, True), Listening(False), Recording(True)]
    return voice_words.encode(rng.choice(words))


def mutated(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(4)):
        place = rng.randrange(len(changed) + 1)
        match rng.randrange(3):
            case 0 if place < len(changed):
                changed[place] = rng.randrange(256)
            case 1:
                del changed[place : place + rng.randrange(1, 8)]
            case _:
                changed[place:place] = rng.randbytes(rng.randrange(1, 8))
    return bytes(changed)


@SEEDS
def test_words_are_words_or_wire_errors(seed: int) -> None:
    rng = random.Random(seed)
    taken = 0
    for _ in range(ROUNDS):
        data = mutated(rng, honest_word(rng))
        for read in (voice_words.decode_rules, voice_words.decode_wish):
            try:
                word = read(data)
            except WireError:
                continue
            taken += 1
            assert isinstance(word, VoiceRules | Listening | Recording)
    assert taken > ROUNDS / 10


@SEEDS
def test_packets_are_voices_or_wire_errors_at_a_listener(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(ROUNDS):
        data = mutated(rng, honest_packet(rng)) or b"\x80"
        try:
            number = rng.randrange(1 << 32)
            assert decode(stamped(renumbered(data, number), FLAT)).speaker == number
        except WireError:
            continue
        assert not is_placed(stamped(data, FLAT))


@SEEDS
def test_a_server_passes_on_what_is_a_voice_and_counts_the_rest(seed: int) -> None:
    rng = random.Random(seed)
    policy = EveryoneVoice() if seed % 2 else ProximityVoice(10, 50)
    forwarding = Forwarding(policy)
    passed: list[bytes] = []
    for number in (1, 2, 3):
        place = (float("nan"), 1.0) if number == 3 else (rng.random(), 0.0)
        forwarding.add(
            Member(number, passed.append, lambda place=place: place, frozenset, lambda: True)  # type: ignore[misc]
        )
    now = 0.0
    for _ in range(ROUNDS):
        now += 0.02
        forwarding.take(rng.choice([1, 2, 3, 4]), mutated(rng, honest_packet(rng)), now)
    assert passed
    assert forwarding.stats.dropped > ROUNDS / 10
    for packet in passed:
        assert peek(packet, int.from_bytes(packet[8:12], "big")) <= 127
