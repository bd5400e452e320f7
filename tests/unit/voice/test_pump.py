"""Fifty frames a second, counted from the first."""

import asyncio
import random
import time

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice.opus import FRAME
from netcode.voice.pump import CATCH_UP, INTERVAL, Beat, Pump
from netcode.voice.sinks import Meter
from netcode.voice.sources import Silence, Tone


def test_late_timers_do_not_add_up() -> None:
    chance = random.Random(1)
    beat, now, frames = Beat(100.0), 100.0, 0
    while now < 160.0:
        frames += beat.due(now)
        now = beat.next_at + chance.uniform(0.0, 0.03)
    assert abs(frames - 60 / INTERVAL) <= 3
    assert beat.skipped == 0


def test_a_frame_is_due_once() -> None:
    beat = Beat(0.0)
    assert [beat.due(0.0), beat.due(0.0), beat.due(0.019), beat.due(beat.next_at)] == [1, 0, 0, 1]


def test_what_lies_far_back_is_skipped() -> None:
    beat = Beat(0.0)
    beat.due(0.0)
    assert beat.due(10.001) == CATCH_UP
    assert beat.skipped == 500 - CATCH_UP
    assert beat.due(10.001) == 0
    assert beat.due(10.021) == 1


async def test_source_and_sink_run_at_fifty_frames_a_second() -> None:
    spoken: list[np.ndarray] = []
    enough = asyncio.Event()
    meter = Meter()

    def speak(frame: np.ndarray) -> None:
        spoken.append(frame.copy())
        if len(spoken) == 16:
            enough.set()

    silence = np.zeros((FRAME, 2), np.float32)
    pump = Pump(source=Tone(), spoken=speak, sink=meter, pull=lambda: silence)
    begun = time.monotonic()
    pump.start()
    assert pump.is_running
    async with asyncio.timeout(20):
        await enough.wait()
    took = time.monotonic() - begun
    pump.close()
    # 15 intervals; if the machine stood still, what it left out took no frames.
    assert took + 0.001 >= 15 * INTERVAL
    assert len(spoken) == meter.taken >= 16
    assert np.abs(np.diff(np.concatenate(spoken))).max() < 0.01
    assert not pump.is_running


async def test_a_loop_that_stood_still_gets_a_few_frames_and_the_present() -> None:
    frames = 0
    stalled = asyncio.Event()

    def speak(_: np.ndarray) -> None:
        nonlocal frames
        frames += 1
        if frames == 1:
            time.sleep(0.4)  # the game loads a level
        if frames == 2 + CATCH_UP:
            stalled.set()

    pump = Pump(source=Silence(), spoken=speak)
    pump.start()
    async with asyncio.timeout(20):
        await stalled.wait()
    pump.close()
    assert pump.skipped >= 0.4 / INTERVAL - CATCH_UP - 1


async def test_a_pump_can_be_closed_by_what_it_calls() -> None:
    done = asyncio.Event()
    frames = []

    def speak(frame: np.ndarray) -> None:
        frames.append(frame)
        pump.close()
        done.set()

    pump = Pump(source=Silence(), spoken=speak)
    pump.start()
    await done.wait()
    assert not pump.is_running
    assert len(frames) == 1


async def test_an_error_stops_it_and_the_loop_is_told() -> None:
    told: list[dict[str, object]] = []
    done = asyncio.Event()

    def tell(_: object, context: dict[str, object]) -> None:
        told.append(context)
        done.set()

    asyncio.get_running_loop().set_exception_handler(tell)

    def fail(_: np.ndarray) -> None:
        raise RuntimeError("no ears")

    pump = Pump(source=Silence(), spoken=fail)
    pump.start()
    await done.wait()
    assert not pump.is_running
    assert str(told[0]["exception"]) == "no ears"
    pump.close()


async def test_misuse_names_the_fix() -> None:
    with pytest.raises(UsageError, match="spoken="):
        Pump(source=Silence())
    with pytest.raises(UsageError, match="pull="):
        Pump(sink=Meter())
    pump = Pump(source=Silence(), spoken=lambda _: None)
    pump.start()
    with pytest.raises(UsageError, match="once"):
        pump.start()
    pump.close()
    with pytest.raises(UsageError, match="once"):
        pump.start()
