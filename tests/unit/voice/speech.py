"""Sounds of a room: speech from espeak-ng, and what is not speech. 48 kHz, one channel."""

import io
import subprocess
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 48_000

SENTENCES = (
    "The quick brown fox jumps over the lazy dog. She sells sea shells by the sea shore, "
    "and we shall meet again where the two rivers join."
)

speaks = pytest.mark.needs("espeak-ng", "espeak-ng")


def speech(voice: str = "en", pitch: int = 50, level: float = -24.0) -> Samples:
    """A few sentences at a level in dBFS."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", voice, "-p", str(pitch), "--stdout", SENTENCES],
        capture_output=True,
        check=True,
    )
    # The header says that the file is endless, as it must on a pipe: the rest is the samples.
    with wave.open(io.BytesIO(spoken.stdout)) as header:
        rate = header.getframerate()
    samples = np.frombuffer(spoken.stdout[44:], "<i2")
    at = np.arange(0, len(samples), rate / RATE)
    return at_level(np.interp(at, np.arange(len(samples)), samples), level)


def noise(seconds: float, level: float, seed: int = 1) -> Samples:
    return at_level(np.random.default_rng(seed).standard_normal(int(seconds * RATE)), level)


def mains_hum(seconds: float, level: float) -> Samples:
    """50 Hz with the harmonics of a bad cable."""
    t = np.arange(int(seconds * RATE)) / RATE
    return at_level(sum(np.sin(2 * np.pi * 50 * k * t + k) / k**2 for k in range(1, 9)), level)


def keyboard(seconds: float, keys_a_second: float = 5.0, seed: int = 2) -> Samples:
    """Keys struck at uneven times, each dying away within a few milliseconds."""
    chance = np.random.default_rng(seed)
    sound = noise(seconds, -80.0)
    dying = np.exp(-np.arange(4_800) / (0.003 * RATE))
    apart = RATE / keys_a_second
    for number in range(int(seconds * keys_a_second) - 1):
        at = int((number + 0.6 * chance.random()) * apart)
        sound[at : at + 4_800] += 0.3 * dying * chance.standard_normal(4_800)
    return sound


def at_level(samples: object, level: float) -> Samples:
    wave_form = np.asarray(samples, np.float64)
    power = float(np.mean(wave_form**2))
    return (wave_form * np.sqrt(10 ** (level / 10) / power)).astype(np.float32)
