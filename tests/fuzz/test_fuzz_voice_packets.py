"""Whatever comes as a voice: a packet, a sound, or a `WireError`, and nothing else."""

import contextlib
import random

import numpy as np
import pytest

from netcode.errors import WireError
from netcode.voice.jitter_buffer import MOST_PACKETS, JitterBuffer
from netcode.voice.opus import FRAME, Decoder, Encoder, carries_recovery
from netcode.voice.rtp import VoicePacket, decode
from tests.unit.voice.sounds import voiced

SEEDS = pytest.mark.parametrize("seed", range(3))
ENCODER = Encoder()
PAYLOADS = [ENCODER.encode(frame) for frame in voiced(20)]


def spoiled(data: bytes, source: random.Random) -> bytes:
    """Some bytes are others, and the end may be missing."""
    letters = bytearray(data)
    for _ in range(source.randrange(6)):
        letters[source.randrange(len(letters))] = source.randrange(256)
    return bytes(letters[: source.randrange(1, 2 * len(letters))])


@SEEDS
def test_rtp(seed: int) -> None:
    source = random.Random(seed)
    read = 0
    for n in range(10_000):
        packet = VoicePacket(1, n, n * FRAME, n % 128, n % 2 == 0, source.choice(PAYLOADS))
        try:
            got = decode(spoiled(packet.encode(), source))
        except WireError:
            continue
        read += 1
        assert decode(got.encode()) == got
    assert read > 1_000


@SEEDS
def test_opus(seed: int) -> None:
    source = random.Random(seed)
    decoder = Decoder()
    for _ in range(1_500):
        payload = spoiled(source.choice(PAYLOADS), source)
        carries_recovery(payload)
        for read in (decoder.decode, decoder.recover):
            with contextlib.suppress(WireError):
                assert np.isfinite(read(payload)).all()


@SEEDS
def test_one_speakers_buffer(seed: int) -> None:
    source = random.Random(seed)
    buffer = JitterBuffer(Decoder())
    now, sequence, timestamp = 0.0, 0, 0
    for n in range(3_000):
        now += source.choice((0.0, 0.02, 0.02, source.random()))
        sequence += source.choice((1, 1, 1, 2, -3, source.randrange(2**16)))
        timestamp += source.choice((FRAME, FRAME, 1, 99_999, -FRAME, source.randrange(2**32)))
        payload = spoiled(PAYLOADS[n % 20], source)
        packet = VoicePacket(1, sequence % 2**16, timestamp % 2**32, 0, n % 9 == 0, payload)
        buffer.receive(packet, now)
        frame = buffer.pull(now)
        assert frame.shape == (FRAME,)
        assert np.isfinite(frame).all()
        assert len(buffer._packets) <= MOST_PACKETS
