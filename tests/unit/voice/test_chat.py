"""Voice chat without a network: what is told, recorded and placed, and who has the microphone."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netcode.voice import devices
from netcode.voice.chat import Voice, VoiceChat
from netcode.voice.headers import PLACED, stamped
from netcode.voice.opus import FRAME, Encoder
from netcode.voice.rtp import VoicePacket
from netcode.voice.sinks import Meter
from netcode.voice.sources import Silence


class Wire:
    def __init__(self) -> None:
        self.said: list[str] = []

    def send(self, packet: bytes) -> None:
        self.said.append("packet")

    def want(self, on: bool) -> None:
        self.said.append(f"want {on}")

    def tell_recording(self, on: bool) -> None:
        self.said.append(f"recording {on}")


def chat() -> VoiceChat:
    return VoiceChat(Voice(source=Silence(), sink=Meter()))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_recording_that_was_begun_before_is_told_when_voice_begins(tmp_path: Path) -> None:
    voice, wire = chat(), Wire()
    voice.deafened = True
    voice.record(tmp_path / "mix.wav")
    voice.start(1, wire)
    assert wire.said == ["want False", "recording True"]
    voice.stop_recording()
    await until(lambda: wire.said[-1] == "recording False")
    voice.close()


async def test_a_recording_may_end_in_any_moment(tmp_path: Path) -> None:
    voice, wire = chat(), Wire()
    voice.start(1, wire)
    for number in range(20):
        voice.record(tmp_path / f"{number}.wav")
        mixing = threading.Thread(target=lambda: [voice._pull() for _ in range(50)])
        mixing.start()
        voice.stop_recording()
        mixing.join()
    voice.close()


def heard(voice: VoiceChat, speaker: int) -> None:
    frame = np.full(FRAME, 0.1, np.float32)
    packet = VoicePacket(speaker, 0, 0, 20, True, Encoder().encode(frame)).encode()
    voice.take(stamped(packet, PLACED))


def test_a_voice_whose_speaker_is_out_of_view_stays_where_it_was() -> None:
    voice = chat()
    voice.obey(10.0, 100.0, False)
    places: dict[int, Any] = {0: (0.0, 0.0), 7: (60.0, 0.0)}
    voice.locate = places.get
    heard(voice, 7)
    voice.update()
    gain, pan = voice._placing(7)
    assert 0 < gain < 1
    assert pan > 0
    del places[7]
    voice.update()
    assert voice._placing(7) == (gain, pan)


def test_height_counts_for_how_far_a_voice_is() -> None:
    voice = chat()
    voice.obey(10.0, 100.0, False)
    voice.locate = {0: (0.0, 0.0, 0.0), 7: (0.0, 0.0, 200.0)}.get
    heard(voice, 7)
    voice.update()
    assert voice._placing(7)[0] == 0.0


@pytest.mark.parametrize("bounds", [(5.0, 5.0), (0.0, 0.0)])
def test_bounds_that_place_nobody_do_no_harm(bounds: tuple[float, float]) -> None:
    voice = chat()
    voice.obey(*bounds, False)
    voice.locate = {0: (0.0, 0.0), 7: (1.0, 1.0)}.get
    heard(voice, 7)
    voice.update()
    assert voice._placing(7) == (1.0, 0.0)


def test_the_microphone_that_was_chosen_last_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    opening, go_on = threading.Event(), threading.Event()
    open_now: list[str | None] = []

    class Slow:
        def __init__(self, device: str | None, **options: Any) -> None:
            self.device = device

        def start(self) -> None:
            if self.device is None:
                opening.set()
                assert go_on.wait(5)
            open_now.append(self.device)

        def close(self) -> None:
            open_now.remove(self.device)

    monkeypatch.setattr(devices, "Microphone", Slow)
    voice = VoiceChat(Voice(sink=Meter()))
    starting = threading.Thread(target=voice.use_microphone, args=(None,))
    starting.start()
    assert opening.wait(5)
    choosing = threading.Thread(target=voice.use_microphone, args=("headset",))
    choosing.start()
    go_on.set()
    starting.join()
    choosing.join()
    assert open_now == ["headset"]
    voice.close()
    assert open_now == []
