"""A sound system for tests: PulseAudio, with sinks that lead nowhere.

What is played into such a sink is heard at its monitor, which is a microphone like any other.
"""

import os
import queue
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from netcode.voice.activity import dbfs
from netcode.voice.opus import RATE
from netcode.voice.sources import Tone

PATIENCE = 30.0


class Sound:
    """A PulseAudio of our own, with a null sink ``one``."""

    def __init__(self, folder: Path) -> None:
        self.env = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(folder),
            "HOME": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "pulse"),
        }
        self.log = (folder / "log").open("wb")
        self.daemon = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"),
                *("-L", "module-native-protocol-unix", "-L", "module-null-sink sink_name=one"),
            ],
            env=self.env,
            stdout=self.log,
            stderr=self.log,
        )
        until = time.monotonic() + PATIENCE
        while "one.monitor" not in self.run("list", "short", "sources", check=False):
            assert self.daemon.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            ["pactl", *command], env=self.env, capture_output=True, text=True, check=check
        )
        return done.stdout.strip()

    def end(self) -> None:
        self.daemon.kill()
        self.daemon.wait()
        self.log.close()


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sound]:
    # Not pytest's folder: the name of a socket has 107 bytes.
    with tempfile.TemporaryDirectory(prefix="pulse") as folder:
        made = Sound(Path(folder))
        for name in ("XDG_RUNTIME_DIR", "HOME", "PULSE_RUNTIME_PATH"):
            monkeypatch.setenv(name, made.env[name])
        monkeypatch.delenv("PULSE_SERVER", raising=False)
        try:
            yield made
        finally:
            made.end()


class Heard:
    """What a microphone gives: the newest level and pitch."""

    def __init__(self) -> None:
        self._frames: queue.Queue[np.ndarray] = queue.Queue()

    def __call__(self, frame: np.ndarray) -> None:
        self._frames.put(frame.copy())

    def anything(self) -> None:
        self._frames.get(timeout=PATIENCE)

    def tone(self, hz: float) -> None:
        """Waits until a fifth of a second in one piece is this tone."""
        until = time.monotonic() + PATIENCE
        seen: list[str] = []
        while time.monotonic() < until:
            sound = np.concatenate([self._frames.get(timeout=PATIENCE) for _ in range(10)])
            strengths = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
            found = strengths.argmax() * RATE / len(sound)
            seen.append(f"{found:.0f} Hz at {dbfs(sound):.1f} dBFS")
            if abs(found - hz) < 6 and dbfs(sound) > -30:
                return
        raise AssertionError(f"{hz} Hz was not heard: {seen[-5:]}")


class Playing:
    def __init__(self, hz: float) -> None:
        self._tone = Tone(hz, -20.0)

    def __call__(self) -> np.ndarray:
        return np.repeat(self._tone.next()[:, None], 2, axis=1)
