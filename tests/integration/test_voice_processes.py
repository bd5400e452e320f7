"""From a microphone to a speaker through two processes and a server."""

import asyncio
import importlib.util
from pathlib import Path

import pytest

import netcode as nc
from netcode.voice.devices import Microphone, Speaker
from tests.integration.processes import Child
from tests.integration.pulse_lab import Heard, Playing, Sound, sound

__all__ = ["sound"]

PLAYER = str(Path(__file__).parent / "programs" / "voice_player.py")

pytestmark = [
    pytest.mark.needs("pulseaudio", "pulseaudio"),
    pytest.mark.needs("pactl", "pulseaudio-utils"),
    pytest.mark.skipif(
        importlib.util.find_spec("miniaudio") is None, reason="needs the extra voice (miniaudio)"
    ),
]


async def test_what_ada_says_is_heard_where_bob_sits(sound: Sound) -> None:
    """``one`` and ``two`` are what is in the air before their faces."""
    for name in ("two", "nowhere"):
        sound.run("load-module", "module-null-sink", f"sink_name={name}")
    heard = Heard()
    mouth = Speaker("one", pull=Playing(700.0))
    ear = Microphone("two.monitor", spoken=heard)
    async with nc.Server(nc.Protocol(), voice=nc.EveryoneVoice()) as server:
        ada = Child(PLAYER, server.url, "Ada", "one.monitor", "nowhere", **sound.env)
        bob = Child(PLAYER, server.url, "Bob", "nowhere.monitor", "two", **sound.env)
        try:
            for device in (mouth, ear):
                await asyncio.to_thread(device.start)
            await asyncio.to_thread(ada.wait_for, "talking")
            await asyncio.to_thread(heard.tone, 700.0)
            for child in (ada, bob):
                child.say("")
                await asyncio.to_thread(child.wait_for, "left")
        finally:
            for device in (mouth, ear):
                await asyncio.to_thread(device.close)
            for child in (ada, bob):
                await asyncio.to_thread(child.end)
