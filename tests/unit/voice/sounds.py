"""Sounds for tests."""

import numpy as np

from netcode.voice.opus import FRAME, RATE


def voiced(frames: int, seed: int = 1) -> np.ndarray:
    """Something like a voice: a pitch that wanders, with overtones and syllables."""
    t = np.arange(frames * FRAME) / RATE
    rng = np.random.default_rng(seed)
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(k * phase + k) / k for k in range(1, 20))
    syllables = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * t)
    noise = 0.01 * rng.standard_normal(len(t))
    return (0.2 * tone * syllables + noise).astype(np.float32).reshape(frames, FRAME)
