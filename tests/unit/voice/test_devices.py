"""Microphones and speakers: frames, faults, unplugged headsets, on a made-up sound card.

The made-up one stands in the place of miniaudio and has no sound of its own: the tests say when a
device calls. `tests/integration/test_voice_devices.py` does the same with a real sound system.
"""

import queue
import sys
import threading
from collections.abc import Iterator
from enum import Enum
from typing import Any

import numpy as np
import pytest

from netcode.errors import UsageError, VoiceError
from netcode.voice import devices as module
from netcode.voice.devices import DEFAULT, Device, Microphone, Speaker, devices
from netcode.voice.opus import FRAME

PATIENCE = 20.0


class MiniaudioError(Exception):
    pass


class Backend(Enum):
    PULSEAUDIO = 7
    ALSA = 8
    CUSTOM = 13
    NULL = 14


class Card:
    """A sound card, with the names of miniaudio that are used."""

    MiniaudioError = MiniaudioError
    Backend = Backend

    class SampleFormat(Enum):
        FLOAT32 = 5

    class lib:  # noqa: N801
        MA_ACCESS_DENIED, MA_BUSY, MA_NO_BACKEND = -6, -19, -203

    class ffi:  # noqa: N801
        @staticmethod
        def buffer(device_id: bytes) -> bytes:
            return device_id + b"\0" * 8

    def __init__(self) -> None:
        self.plugged = {b"headset": "Headset", b"built-in": "Built-in"}
        self.default_fails: int | None = None
        self.opened: queue.Queue[Stream] = queue.Queue()
        self.closed: list[Stream] = []

    def get_enabled_backends(self) -> set[Backend]:
        return {Backend.NULL, Backend.ALSA, Backend.PULSEAUDIO}

    def Devices(self, backends: list[Backend]) -> Any:  # noqa: N802
        assert backends == [Backend.PULSEAUDIO, Backend.ALSA]
        return self

    def get_captures(self) -> list[dict[str, Any]]:
        return [{"name": name, "id": one} for one, name in self.plugged.items()]

    get_playbacks = get_captures

    def CaptureDevice(self, device_id: bytes | None, **settings: Any) -> "Stream":  # noqa: N802
        assert Backend.NULL not in settings["backends"]
        if device_id is None and self.default_fails is not None:
            raise MiniaudioError("failed to init device", self.default_fails)
        return Stream(self, device_id)

    PlaybackDevice = CaptureDevice


class Stream:
    """One opened device. While it is `flowing` it calls every few milliseconds."""

    def __init__(self, card: Card, device_id: bytes | None) -> None:
        self.card, self.device_id = card, device_id
        self.frames: Any = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, frames: Any) -> None:
        self.frames = frames
        self.card.opened.put(self)

    def flow(self, what: object) -> None:
        self._thread = threading.Thread(target=self._flow, args=(what,))
        self._thread.start()

    def _flow(self, what: object) -> None:
        while not self._end.wait(0.002):
            self.frames.send(what)

    def stop_flowing(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.stop_flowing()
        self.card.closed.append(self)


TEN_MS = np.full(480, 0.25, np.float32).tobytes()


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Iterator[Card]:
    made = Card()
    monkeypatch.setitem(sys.modules, "miniaudio", made)
    monkeypatch.setattr(module, "LOOK", 0.05)
    monkeypatch.setattr(module, "GONE", 5)
    monkeypatch.setattr(module, "SLOW_START", 5)
    monkeypatch.setattr(module, "RETRY", 0.06)
    monkeypatch.setattr(module, "LOOK_FOR", 0.05)
    yield made
    for thread in threading.enumerate():
        if thread.name.startswith("netcode-"):
            thread.join(PATIENCE)
            assert not thread.is_alive(), thread.name


def ignore(_: object) -> None:
    pass


def test_devices_are_listed_by_name_and_id(card: Card) -> None:
    card.plugged[b"\x01\x02\xff"] = "Odd"
    found = devices()
    assert found.microphones == [
        Device("headset", "Headset"),
        Device("built-in", "Built-in"),
        Device("0102ff", "Odd"),
    ]
    assert found.speakers == found.microphones


@pytest.mark.parametrize("size", [480, 441, 1_000, 5_000])
def test_a_microphone_gives_whole_frames_however_they_come(card: Card, size: int) -> None:
    spoken: list[np.ndarray] = []
    microphone = Microphone(spoken=lambda frame: spoken.append(frame.copy()))
    microphone.start()
    frames = card.opened.get().frames
    samples = np.arange(20_000, dtype=np.float32)
    for at in range(0, len(samples), size):
        frames.send(samples[at : at + size].tobytes())
    microphone.close()
    assert {len(frame) for frame in spoken} == {FRAME}
    assert np.array_equal(np.concatenate(spoken), samples[: len(spoken) * FRAME])
    assert len(spoken) == 20_000 // FRAME


@pytest.mark.parametrize("size", [480, 441, 1_000, 5_000])
def test_a_speaker_plays_all_that_is_pulled_in_order(card: Card, size: int) -> None:
    pulled = 0

    def pull() -> np.ndarray:
        nonlocal pulled
        pulled += FRAME
        ramp = np.arange(pulled - FRAME, pulled, dtype=np.float32)
        return np.stack([ramp, -ramp], axis=1)

    speaker = Speaker(pull=pull)
    speaker.start()
    frames = card.opened.get().frames
    played = [np.frombuffer(frames.send(size), np.float32).copy() for _ in range(20)]
    speaker.close()
    sound = np.concatenate(played).reshape(-1, 2)
    assert len(sound) == 20 * size
    assert np.array_equal(sound[:, 0], np.arange(20 * size))
    assert np.array_equal(sound[:, 1], -sound[:, 0])
    assert pulled - len(sound) < FRAME  # never pulled ahead


def test_a_device_is_taken_by_id_or_by_name(card: Card) -> None:
    for wanted in ("headset", "Headset"):
        microphone = Microphone(wanted, spoken=ignore)
        microphone.start()
        assert card.opened.get().device_id == b"headset"
        assert microphone.current == Device("headset", "Headset")
        microphone.close()
        assert microphone.current is None


def test_a_device_that_is_not_there_is_replaced_by_the_default_one(card: Card) -> None:
    microphone = Microphone("another one", spoken=ignore)
    microphone.start()
    assert card.opened.get().device_id is None
    assert microphone.current is DEFAULT
    microphone.close()


@pytest.mark.parametrize(
    ("number", "fix"),
    [(-6, "privacy"), (-19, "another program"), (-203, "PulseAudio"), (-401, "plug one in")],
)
def test_what_is_wrong_is_said_with_the_fix(card: Card, number: int, fix: str) -> None:
    card.default_fails = number
    with pytest.raises(VoiceError, match=fix):
        Microphone(spoken=ignore).start()
    with pytest.raises(VoiceError, match=fix):
        Speaker(pull=lambda: np.zeros((FRAME, 2), np.float32)).start()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    with pytest.raises(VoiceError, match=r"pip install netcode\[voice\]"):
        devices()
    with pytest.raises(VoiceError, match=r"pip install netcode\[voice\]"):
        Microphone(spoken=ignore).start()


def test_an_unplugged_headset_is_replaced_and_taken_again_when_it_returns(card: Card) -> None:
    told: queue.Queue[Device | None] = queue.Queue()
    heard = threading.Event()
    microphone = Microphone("headset", spoken=lambda _: heard.set(), changed=told.put)
    microphone.start()
    headset = card.opened.get(timeout=PATIENCE)
    headset.flow(TEN_MS)
    assert heard.wait(PATIENCE)

    del card.plugged[b"headset"]
    headset.stop_flowing()
    stand_in = card.opened.get(timeout=PATIENCE)
    assert stand_in.device_id is None
    assert headset in card.closed
    stand_in.flow(TEN_MS)
    assert told.get(timeout=PATIENCE) is DEFAULT

    card.plugged[b"headset"] = "Headset"
    again = card.opened.get(timeout=PATIENCE)
    assert again.device_id == b"headset"
    assert stand_in in card.closed
    again.flow(TEN_MS)
    assert told.get(timeout=PATIENCE) == Device("headset", "Headset")
    microphone.close()
    assert again in card.closed


def test_when_the_last_device_is_gone_it_is_told_and_tried_again(card: Card) -> None:
    told: queue.Queue[Device | None] = queue.Queue()
    microphone = Microphone(spoken=ignore, changed=told.put)
    microphone.start()
    first = card.opened.get(timeout=PATIENCE)
    first.flow(TEN_MS)
    card.default_fails = -401
    first.stop_flowing()
    assert told.get(timeout=PATIENCE) is None
    assert microphone.current is None
    card.default_fails = None
    second = card.opened.get(timeout=PATIENCE)
    second.flow(TEN_MS)
    assert told.get(timeout=PATIENCE) is DEFAULT
    microphone.close()


def test_a_device_that_opens_and_never_calls_is_told_as_none(card: Card) -> None:
    told: queue.Queue[Device | None] = queue.Queue()
    microphone = Microphone(spoken=ignore, changed=told.put)
    microphone.start()
    assert told.get(timeout=PATIENCE) is None
    assert card.opened.get(timeout=PATIENCE) in card.closed
    microphone.close()


def test_what_callbacks_raise_is_logged_once_and_changes_nothing(
    card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> np.ndarray:
        raise RuntimeError("no ears")

    microphone, speaker = Microphone(spoken=fail), Speaker(pull=fail)
    microphone.start()
    heard = card.opened.get().frames
    speaker.start()
    played = card.opened.get().frames
    for _ in range(10):
        heard.send(TEN_MS)
        assert not np.frombuffer(played.send(480), np.float32).any()
    microphone.close()
    speaker.close()
    assert [record.exc_text is not None for record in caplog.records].count(True) == 2


def test_a_callback_may_close_its_own_stream(card: Card) -> None:
    microphone = Microphone(spoken=lambda _: microphone.close())
    microphone.start()
    stream = card.opened.get()
    stream.flow(TEN_MS)
    keeper = microphone._keeper
    assert keeper is not None
    keeper.join(PATIENCE)
    assert stream in card.closed


def test_a_stream_is_started_once(card: Card) -> None:
    microphone = Microphone(spoken=ignore)
    microphone.start()
    with pytest.raises(UsageError, match="once"):
        microphone.start()
    microphone.close()
    microphone.close()
    with pytest.raises(UsageError, match="once"):
        microphone.start()
