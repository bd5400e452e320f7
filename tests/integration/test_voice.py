"""Voices through real connections, from a source to a sink: judged by the samples that come out.

``pytest -s`` shows the figures.
"""

import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest

import netcode as nc
from benchmarks.voice_marks import MarkedVoice, delays
from netcode.voice.jitter_buffer import VoiceStats
from netcode.voice.opus import FRAME, RATE
from netcode.voice.sources import FileSource, Tone
from tests.integration.voice_lab import (
    Ship,
    Tap,
    jump,
    level,
    likeness,
    locate,
    longest_silence,
    pitch,
    talking,
    tone_to_noise,
)

pytestmark = pytest.mark.filterwarnings("error")

RUNGS = ["direct", "turn_udp", "turn_tcp", "websocket"]

SENTENCE = "The quick brown fox jumps over the lazy dog. She sells sea shells by the shore."


@pytest.mark.parametrize("rung", RUNGS)
async def test_a_tone_comes_out_as_it_went_in(rung: str) -> None:
    async with talking(Tone(440.0, -20.0), rungs=[rung], relay=nc.Relay(port=0)) as pair:
        assert pair.bob.stats.rung == rung
        await pair.play(2.0)
        heard = pair.last(1.0)
        ratio = tone_to_noise(heard, 440.0)
        print(
            f"\n{rung}: {pitch(heard):.1f} Hz, {level(heard):.1f} dBFS, {ratio:.0f} dB over noise"
        )
        assert pitch(heard) == pytest.approx(440.0, abs=2.0)
        assert level(heard) == pytest.approx(-20.0, abs=1.0)
        assert ratio > 15.0


@pytest.fixture
def said_file(tmp_path: Path) -> Path:
    """A spoken sentence, and a second of silence in front, in which everybody meets."""
    spoken, said = tmp_path / "spoken.wav", tmp_path / "said.wav"
    subprocess.run(["espeak-ng", "-w", str(spoken), SENTENCE], check=True)
    form = ["-r", str(RATE), "-c", "1", "-b", "16"]
    effects = ["gain", "-n", "-6", "pad", "1", "1"]
    subprocess.run(["sox", str(spoken), *form, str(said), *effects], check=True)
    return said


@pytest.mark.needs("espeak-ng", "espeak-ng")
@pytest.mark.needs("sox", "sox")
async def test_speech_comes_out_as_it_went_in(said_file: Path) -> None:
    with wave.open(str(said_file)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    said = (samples / 32_768.0).astype(np.float32)
    source = FileSource(said_file)
    async with talking(source) as pair:
        await pair.until(lambda: source.ended, within=20.0)
        heard = pair.ear.heard().samples
    ratio = likeness(heard, said)
    octaves = (250, 500, 1_000, 2_000, 4_000)
    bands = {hz: round(octave(heard, hz) - octave(said, hz), 1) for hz in octaves}
    print(f"\nspeech: {ratio:.1f} dB to all else; louder by octaves (dB): {bands}")
    assert ratio > 6.0
    assert all(abs(difference) < 3.0 for difference in bands.values())


def octave(samples: np.ndarray, hz: float) -> float:
    """dB of the energy around a frequency."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(spectrum[(at > hz / 2**0.5) & (at < hz * 2**0.5)].sum()))


async def test_one_talk_through_loss_jitter_and_an_outage() -> None:
    """All settings are the defaults. Bob's line changes while Ada talks without a pause."""
    source = MarkedVoice(60.0, seed=3, voice=Tone(200.0, -20.0))
    async with talking(source) as pair:
        frames: dict[str, int] = {}
        stats: dict[str, VoiceStats] = {}

        def mark(phase: str) -> None:
            frames[phase] = len(pair.ear.heard().given)
            stats[phase] = pair.stats

        await pair.play(1.5)
        mark("clean")
        await pair.play(4.0)
        pair.bob.conditions = nc.Conditions(loss=0.05, jitter=0.04)
        await pair.play(1.0)  # until the buffer knows
        mark("loss")
        await pair.play(7.0)
        mark("outage")
        pair.bob.conditions = nc.Conditions(loss=1.0)
        await pair.play(0.5)
        pair.bob.conditions = None
        mark("recovery")
        await pair.play(5.0)
        mark("after")
        await pair.play(3.0)
        mark("end")
        heard, captured = pair.ear.heard(), source.captured()

    def piece(begin: str, end: str) -> np.ndarray:
        return heard.samples[frames[begin] * FRAME : frames[end] * FRAME]

    def delay(begin: str, end: str) -> float:
        first, last = heard.given[frames[begin]], heard.given[frames[end] - 1]
        return float(np.median(delays([at for at in captured if first <= at < last - 0.3], heard)))

    clean, lossy, after = delay("clean", "loss"), delay("loss", "outage"), delay("after", "end")
    stall = longest_silence(piece("loss", "outage"), below=-40.0)
    burst = longest_silence(piece("outage", "after"), below=-40.0)
    before, then = stats["loss"], stats["outage"]
    made = {
        name: getattr(then, name) - getattr(before, name)
        for name in ("played", "recovered", "concealed", "lost", "late", "stretched")
    }
    total = made["played"] + made["recovered"] + made["concealed"]
    share = made["concealed"] / total
    lost = made["lost"] / total
    jumps = jump(piece("clean", "loss")), jump(piece("loss", "outage"))
    print(
        f"\ndelay: clean {clean * 1000:.0f} ms, loss and jitter {lossy * 1000:.0f} ms, "
        f"5 s after the outage {after * 1000:.0f} ms\n"
        f"loss: {lost:.1%} of the packets lost, {share:.1%} concealed, longest silence "
        f"{stall * 1000:.0f} ms, {made}\nlargest jump: clean {jumps[0]:.3f}, loss {jumps[1]:.3f}\n"
        f"outage of 500 ms: silent for {burst * 1000:.0f} ms"
    )
    assert stall <= 0.06
    assert after <= clean + 0.02
    assert share <= lost + 0.05
    assert burst <= 0.8


async def test_voices_fade_pan_and_end_with_the_distance() -> None:
    policy = nc.ProximityVoice(full=100.0, silent=400.0)
    async with talking(Tone(440.0, -20.0), policy=policy) as pair:
        [ship] = [s for s in pair.server.world[Ship] if s.pilot == pair.ada.player_id]
        pair.bob.voice.locate = locate(pair.bob)
        tap = Tap(pair.bob)

        async def at(x: float, seconds: float = 1.2) -> tuple[float, float]:
            ship.x = x
            await pair.play(seconds)
            sides = pair.ear.sides()[-round(0.5 * RATE) :]
            return level(sides[:, 0]), level(sides[:, 1])

        near = await at(0.0)
        right = await at(200.0)
        left = await at(-200.0)
        far = await at(-350.0)
        print(f"\nleft, right in dBFS: {near=} {right=} {left=} {far=}")
        assert near[0] == pytest.approx(near[1], abs=0.5)
        assert near[0] == pytest.approx(-20.0, abs=1.0)
        assert right[1] - right[0] > 6.0
        assert left[0] - left[1] > 6.0
        assert left[0] == pytest.approx(right[1], abs=1.5)
        assert max(far) < max(left) - 6.0

        await at(900.0, 0.6)
        received, came = pair.server.voice.stats.received, tap.packets
        silence = await at(900.0)
        assert tap.packets == came > 100
        assert pair.server.voice.stats.received > received + 40
        assert max(silence) < -90.0
        assert not pair.bob.voice.speaking
        again = await at(0.0, 2.0)
        assert again[0] == pytest.approx(near[0], abs=0.5)
        assert tap.packets > came + 50
        print(f"{tap.bytes / tap.packets:.0f} bytes a packet")
