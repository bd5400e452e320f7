"""Microphone and speaker on a real sound system."""

import importlib.util
import os
import queue
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from netcode.errors import VoiceError
from netcode.voice.devices import DEFAULT, Device, Microphone, Speaker, devices
from netcode.voice.opus import FRAME
from tests.integration.pulse_lab import PATIENCE, Heard, Playing, Sound, sound

__all__ = ["sound"]

pytestmark = [
    pytest.mark.needs("pulseaudio", "pulseaudio"),
    pytest.mark.needs("pactl", "pulseaudio-utils"),
    pytest.mark.skipif(
        importlib.util.find_spec("miniaudio") is None, reason="needs the extra voice (miniaudio)"
    ),
]


def test_a_tone_that_is_played_is_heard_on_the_other_side(sound: Sound) -> None:
    found = devices()
    assert "one" in [device.id for device in found.speakers]
    assert "one.monitor" in [device.id for device in found.microphones]
    heard = Heard()
    speaker = Speaker("one", pull=Playing(700.0))
    microphone = Microphone("one.monitor", spoken=heard)
    speaker.start()
    microphone.start()
    try:
        heard.tone(700.0)
        assert isinstance(speaker.current, Device)
        assert speaker.current.id == "one"
    finally:
        microphone.close()
        speaker.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("netcode-")]


def test_default_devices_do_as_well(sound: Sound) -> None:
    heard = Heard()
    speaker, microphone = Speaker(pull=Playing(500.0)), Microphone(spoken=heard)
    speaker.start()
    microphone.start()
    try:
        heard.tone(500.0)
    finally:
        microphone.close()
        speaker.close()


def test_sound_is_on_its_way_for_less_than_a_tenth_of_a_second(sound: Sound) -> None:
    """From `pull` to `spoken`: two periods of 10 ms, and the frame that is being filled."""
    played_at: list[float] = []
    took: queue.Queue[float] = queue.Queue()
    silent_frames: queue.Queue[None] = queue.Queue()
    silence, blow = np.zeros((FRAME, 2), np.float32), np.full((FRAME, 2), 0.5, np.float32)
    wanted = threading.Event()

    def pull() -> np.ndarray:
        if not wanted.is_set():
            return silence
        wanted.clear()
        played_at.append(time.monotonic())
        return blow

    def hear(frame: np.ndarray) -> None:
        if np.abs(frame).max() < 0.25:
            silent_frames.put(None)
        elif played_at:
            took.put(time.monotonic() - played_at.pop())

    speaker, microphone = Speaker("one", pull=pull), Microphone("one.monitor", spoken=hear)
    speaker.start()
    microphone.start()
    try:
        times = []
        for _ in range(20):
            while not silent_frames.empty():
                silent_frames.get()
            for _ in range(5):
                silent_frames.get(timeout=PATIENCE)
            wanted.set()
            times.append(took.get(timeout=PATIENCE))
    finally:
        microphone.close()
        speaker.close()
    print("from pull to spoken, ms:", [round(1_000 * one) for one in times])
    assert np.median(times) < 0.1  # on a machine that is busy with other tests


def test_an_unplugged_device_is_replaced_and_taken_again(sound: Sound) -> None:
    module = sound.run("load-module", "module-null-sink", "sink_name=headset")
    sound.run("set-default-sink", "one")
    sound.run("set-default-source", "one.monitor")
    speaker = Speaker("one", pull=Playing(900.0))
    speaker.start()
    told: queue.Queue[Device | None] = queue.Queue()
    heard = Heard()
    microphone = Microphone("headset.monitor", spoken=heard, changed=told.put)
    microphone.start()
    try:
        assert microphone.current is not None
        assert microphone.current.id == "headset.monitor"
        heard.anything()
        sound.run("unload-module", module)
        assert told.get(timeout=PATIENCE) is DEFAULT
        heard.tone(900.0)
        sound.run("load-module", "module-null-sink", "sink_name=headset")
        back = told.get(timeout=PATIENCE)
        assert back is not None
        assert back.id == "headset.monitor"
    finally:
        microphone.close()
        speaker.close()


def test_no_sound_system_at_all_is_told_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if os.path.isdir("/proc/asound"):
        pytest.skip("needs a machine without a sound card")
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/nobody")
    with pytest.raises(VoiceError, match=r"plug one in|sound system"):
        Microphone(spoken=lambda _: None).start()
    with pytest.raises(VoiceError, match=r"plug one in|sound system"):
        Speaker(pull=lambda: np.zeros((FRAME, 2), np.float32)).start()
