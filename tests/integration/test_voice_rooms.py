"""Many players who talk, come and go; rooms without a server; and links that change under a talk.

``pytest -s`` shows the figures. ``VOICE_ROOM_SECONDS=60`` lets sixteen players talk for longer.
"""

import asyncio
import gc
import logging
import os
import random
import threading
import time
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

import netcode as nc
from benchmarks.voice_marks import Ear
from netcode import watch
from netcode.rungs import Rung
from netcode.transports.webrtc import WebRtcTransport
from netcode.voice.opus import FRAME, RATE
from netcode.voice.sinks import NullSink
from netcode.voice.sources import Hum, Tone
from signaling import SignalingServer
from tests.integration.voice_lab import (
    GAME,
    Pair,
    level,
    longest_silence,
    make_server,
    pitch,
    play,
    talking,
    until,
)

pytestmark = pytest.mark.filterwarnings("error")

SEED = 11
PLAYERS = 16
TALKING = 3
"""Of them at once: more would keep one event loop, which is all of theirs, from being in time."""

ROOM_SECONDS = float(os.environ.get("VOICE_ROOM_SECONDS", "6"))
GROWTH = 24_000_000
"""Bytes by which the process may be larger at the end than after the first third."""


async def test_sixteen_come_talk_and_go(caplog: pytest.LogCaptureFixture) -> None:
    print("\nseed", SEED)
    caplog.set_level(logging.WARNING)
    chance = random.Random(SEED)
    tasks, threads = asyncio.all_tasks(), set(threading.enumerate())
    async with make_server(tick_rate=20, broadcast_rate=10) as server:
        sizes = await _talk_come_and_go(server, chance)
        await until(lambda: not server.players)
        stats = server.voice.stats
    print(f"{stats}, MB after each turn: {[size // 1_000_000 for size in sizes]}")
    assert stats.forwarded > 5 * stats.received > 0
    # All of them share one loop: what piles up while it stands still may be more than is let in.
    assert stats.dropped < 0.25 * stats.received
    assert sizes[-1] - sizes[len(sizes) // 3] < GROWTH
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - tasks:
            await asyncio.sleep(0.01)
    workers = {each for each in threading.enumerate() if each.name.startswith("asyncio_")}
    assert set(threading.enumerate()) - threads <= workers  # the loop's own pool
    assert [record.getMessage() for record in caplog.records] == []


async def _talk_come_and_go(server: nc.Server, chance: random.Random) -> list[int]:
    """All come, in any order; some talk, one leaves and comes again, again and again; all leave.
    Returns how large the process was each time that all were there."""
    sizes = []
    async with AsyncExitStack() as whole:
        inside: dict[int, tuple[nc.Client, AsyncExitStack]] = {}

        async def enter(number: int) -> None:
            stack = await whole.enter_async_context(AsyncExitStack())
            voice = nc.Voice(source=Hum(number), sink=NullSink())
            client = nc.connect(server.url, GAME, name=f"player {number}", voice=voice)
            inside[number] = await stack.enter_async_context(client), stack

        async def leave(number: int) -> None:
            await inside.pop(number)[1].aclose()

        for number in chance.sample(range(PLAYERS), PLAYERS):
            await enter(number)
        heard: set[int] = set()
        end = time.monotonic() + ROOM_SECONDS
        while time.monotonic() < end:
            talkers = chance.sample(sorted(inside), TALKING)
            for number, (client, _) in inside.items():
                client.voice.pressed = number in talkers
            await play(0.4, *(client for client, _ in inside.values()))
            heard |= {number for number, (client, _) in inside.items() if client.voice.speaking}
            gone = chance.choice(sorted(inside))
            await leave(gone)
            await enter(gone)
            sizes.append(_size())
        assert heard == set(range(PLAYERS))
        for number in chance.sample(sorted(inside), len(inside)):
            await leave(number)
    return sizes


def _size() -> int:
    """Bytes of memory that this process takes; 0 where nobody says so."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4_096
    except OSError:
        return 0


async def test_three_without_a_server_hear_each_other() -> None:
    ears = {name: Ear() for name in ("Ada", "Bob", "Cyd")}
    pitches = dict(zip(ears, (300.0, 500.0, 800.0), strict=True))

    def voice(name: str) -> nc.Voice:
        return nc.Voice(source=Tone(pitches[name], -20.0), sink=ears[name])

    async def settle(seconds: float = 1.2) -> None:
        await asyncio.sleep(seconds)

    def hears(name: str) -> set[str]:
        """Whose tones are in the last half second of what somebody heard."""
        heard = ears[name].heard().samples[-RATE // 2 :]
        spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard)))) / len(heard)
        return {who for who, hz in pitches.items() if spectrum[round(hz / 2)] > 0.005}

    async with SignalingServer() as signaling, AsyncExitStack() as stack:
        url = f"ws://127.0.0.1:{signaling.port}"
        meshes = {
            name: await stack.enter_async_context(
                nc.join_mesh(url, room="a", name=name, voice=voice(name))
            )
            for name in ("Ada", "Bob")
        }
        async with nc.join_mesh(url, room="a", name="Cyd", voice=voice("Cyd")) as cyd:
            meshes["Cyd"] = cyd
            async with asyncio.timeout(10):
                for mesh in meshes.values():
                    await mesh.wait_for_peers(2)
            for mesh in meshes.values():
                mesh.voice.pressed = True
            await settle()
            assert {name: hears(name) for name in ears} == {
                "Ada": {"Bob", "Cyd"},
                "Bob": {"Ada", "Cyd"},
                "Cyd": {"Ada", "Bob"},
            }

            ada, bob = meshes["Ada"], meshes["Bob"]
            numbers = {peer.name: peer.number for peer in ada.peers.values()}
            assert set(ada.voice.speaking) == set(numbers.values())
            ada.voice.mute(numbers["Bob"])
            bob.voice.deafened = True
            cyd.voice.muted = True
            await settle()
            assert [hears(name) for name in ears] == [set(), set(), {"Ada", "Bob"}]
            ada.voice.mute(numbers["Bob"], False)
            bob.voice.deafened = False
            cyd.voice.muted = False
            await settle()
            assert [len(hears(name)) for name in ears] == [2, 2, 2]

            assert bob._voice is not None
            bob._voice.tell_recording(True)
            await settle(0.2)
            assert [mesh.voice.recording for mesh in meshes.values()] == [True, True, True]
            bob._voice.tell_recording(False)
            await settle(0.2)
            assert [mesh.voice.recording for mesh in meshes.values()] == [False, False, False]
        await settle()
        assert hears("Ada") == {"Bob"}
        assert hears("Bob") == {"Ada"}
        assert set(ada.voice.speaking) == {numbers["Bob"]}


async def test_a_talk_goes_on_while_the_link_climbs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "CLIMBS", (0.5,))
    async with talking(Tone(440.0, -20.0), rungs=["websocket"]) as pair:
        pair.bob._lifeline.watch.rungs = tuple(Rung)  # the better ones work from now on
        await pair.play(0.5)
        began = len(pair.ear.heard().given)
        await pair.until(lambda: pair.bob.stats.rung == "direct")
        await pair.play(1.0)
        heard = pair.ear.heard().samples[began * FRAME :]
        silent = longest_silence(heard, below=-40.0)
        print(f"\nwebsocket to direct: silent for {silent * 1000:.0f} ms, {pair.stats}")
        assert silent <= 0.06
        _assert_talks(pair)


async def test_a_talk_goes_on_after_a_cut() -> None:
    async with talking(Tone(440.0, -20.0)) as pair:
        await pair.play(0.5)
        began, before = len(pair.ear.heard().given), pair.bob._guest.link
        _cut(pair.bob)
        await pair.until(lambda: pair.bob._guest.link is not before)
        await pair.play(1.2)
        heard = pair.ear.heard().samples[began * FRAME :]
        silent = longest_silence(heard, below=-40.0)
        print(f"\na link that was cut: silent for {silent * 1000:.0f} ms, {pair.stats}")
        assert 0.3 < silent < 4.0
        _assert_talks(pair)


def _assert_talks(pair: Pair) -> None:
    heard = pair.last(0.5)
    assert pitch(heard) == pytest.approx(440.0, abs=3.0)
    assert level(heard) == pytest.approx(-20.0, abs=1.0)


def _cut(client: nc.Client) -> None:
    """Let no packet of the link in use get out or in any more, and tell nobody."""
    link = client._guest.link
    assert link is not None
    assert isinstance(link.transport, WebRtcTransport)
    internals = link.transport._internals
    connection = internals._connection  # type: ignore[union-attr]
    for protocol in connection._protocols:
        protocol.datagram_received = lambda data, addr: None
        protocol.send_stun = lambda message, addr: None
    connection.data_received = lambda data, component: None
    internals._ice._send = _lose  # type: ignore[union-attr]


async def _lose(data: bytes) -> None:
    """A network that takes everything and brings nothing."""
