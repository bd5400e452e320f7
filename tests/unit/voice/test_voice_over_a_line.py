"""The whole way of a voice: Opus, RTP, a bad line, and what a player hears of it."""

import numpy as np
import pytest

from netcode.voice import rtp
from netcode.voice.jitter_buffer import VoiceStats
from netcode.voice.listener import Listener
from netcode.voice.opus import FRAME, RATE, Encoder
from netcode.voice.rtp import VoicePacket
from tests.unit.voice.line import STEP, Heard, Line, jittery, longest_silence
from tests.unit.voice.sounds import voiced

SPEAKER = 7
LINE = 0.03


class Ear:
    """A listener who hears one speaker, in place of the buffer alone."""

    def __init__(self) -> None:
        self.listener = Listener()

    def receive(self, packet: VoicePacket, now: float) -> None:
        self.listener.receive(rtp.decode(packet.encode()), now)

    def pull(self, now: float) -> np.ndarray:
        mixed = self.listener.mix(now)
        np.testing.assert_array_equal(mixed[:, 0], mixed[:, 1])
        return mixed[:, 0]

    @property
    def stats(self) -> VoiceStats:
        return self.listener.stats(SPEAKER)


def tone(frames: int) -> np.ndarray:
    t = np.arange(frames * FRAME) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32).reshape(frames, FRAME)


def hear(frames: np.ndarray, line: Line) -> Heard:
    encoder = Encoder()
    packets = [encoder.encode(frame) for frame in frames]
    line.payload = packets.__getitem__
    line.buffer = Ear()  # type: ignore[assignment]
    return line.play(len(frames) * STEP)


def signal_to_noise(samples: np.ndarray) -> tuple[float, float, float]:
    """Frequency and amplitude of the tone in it, and dB by which the rest is less."""
    t = np.arange(len(samples)) / RATE
    best = (0.0, 0.0, -np.inf)
    for hertz in np.arange(438, 442.01, 0.1):
        basis = np.stack([np.sin(2 * np.pi * hertz * t), np.cos(2 * np.pi * hertz * t)])
        parts = 2 / len(t) * (basis @ samples)
        rest = samples - parts @ basis
        ratio = 10 * np.log10(np.mean((parts @ basis) ** 2) / np.mean(rest**2))
        best = max(best, (float(hertz), float(np.hypot(*parts)), float(ratio)), key=lambda b: b[2])
    return best


def mouth_to_ear(frames: np.ndarray, heard: Heard) -> float:
    """Seconds from when a sample is spoken until it is played, by likeness of the sounds."""
    spoken, played = frames.ravel(), heard.samples
    size = 1 << (2 * len(spoken) - 1).bit_length()
    product = np.fft.rfft(played, size) * np.conj(np.fft.rfft(spoken, size))
    lag = int(np.argmax(np.fft.irfft(product, size)[: RATE // 2]))
    # The k-th frame is played from when it was asked for.
    return lag / RATE + float(heard.times[0])


def test_a_tone_is_heard_as_it_was_sung() -> None:
    heard = hear(tone(150), Line())
    hertz, loud, ratio = signal_to_noise(heard.samples[RATE : 2 * RATE])
    assert hertz == pytest.approx(440, abs=0.11)
    assert loud == pytest.approx(0.3, rel=0.1)
    assert ratio > 15, f"{ratio:.1f} dB"


@pytest.mark.parametrize("phase", [0.001, 0.0065, 0.0125, 0.019])
def test_from_mouth_to_ear_a_clean_line_adds_less_than_60_ms(phase: float) -> None:
    frames = voiced(300)
    heard = hear(frames, Line(phase=phase))
    steady = Heard(
        heard.samples[2 * RATE :], heard.targets, heard.delays, heard.buffer, heard.times
    )
    added = mouth_to_ear(frames[100:], steady) - LINE
    print(f"{added * 1e3:.1f} ms")
    assert 0.02 < added < 0.055


@pytest.mark.parametrize("seed", range(3))
def test_loss_and_jitter_leave_no_gap(seed: int) -> None:
    frames = voiced(1_500)
    heard = hear(frames, Line(delay=jittery(0.04, loss=0.05), seed=seed))
    assert longest_silence(heard.samples[RATE:], quiet=0.01) < 0.06
    stats = heard.buffer.stats
    assert stats.lost / 1_500 == pytest.approx(0.05, abs=0.02)
    assert stats.concealed_share < 0.035
    assert stats.recovered > 0


def test_half_a_second_without_packets_is_silent_and_then_over() -> None:
    frames = voiced(600)
    heard = hear(frames, Line(delay=lambda n, rng: None if 200 <= n < 225 else 0.03))
    assert 0.35 < longest_silence(heard.samples[RATE:], quiet=0.01) < 0.52
    assert longest_silence(heard.samples[5 * RATE :], quiet=0.01) < 0.02
    assert heard.delay_between(9, 10) == pytest.approx(heard.delay_between(3, 4), abs=0.02)


def test_who_comes_in_the_middle_hears_at_once() -> None:
    frames = voiced(200)
    heard = hear(frames, Line(delay=lambda n, rng: None if n < 100 else 0.03))
    first = np.flatnonzero(np.abs(heard.samples) > 0.02)[0] / RATE
    assert 100 * STEP < first < 100 * STEP + LINE + 0.1
    stats = heard.buffer.stats
    assert (stats.lost, stats.concealed) == (0, 0)


def test_counters_that_wrap_are_not_heard() -> None:
    frames = voiced(150)
    usual = hear(frames, Line())
    wrapping = hear(frames, Line(sequence=2**16 - 50, timestamp=2**32 - 50 * FRAME))
    np.testing.assert_array_equal(usual.samples, wrapping.samples)


def test_stretching_does_not_change_the_pitch() -> None:
    """The line becomes much worse and then better, so that much is stretched."""
    heard = hear(
        tone(600),
        Line(delay=lambda n, rng: 0.03 + (0.12 * rng.random() if 150 <= n < 300 else 0.0)),
    )
    assert heard.buffer.stats.stretched > 10
    sound = heard.samples[round(6.1 * RATE) : round(9.1 * RATE)]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE)
    assert frequencies[spectrum.argmax()] == pytest.approx(440, abs=2)
    near = np.abs(frequencies - 440) < 20
    assert spectrum[near].sum() > 0.97 * spectrum.sum()
