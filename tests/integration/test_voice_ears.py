"""What ears want: as loud as was set, and nothing at all for those who have none."""

import math

import numpy as np
import pytest

import netcode as nc
from netcode.voice.sinks import Meter
from netcode.voice.sources import Silence, Tone
from tests.integration.test_play import GAME, Ship, until


def listening_server() -> nc.Server:
    server = nc.Server(GAME, voice=nc.EveryoneVoice())

    @server.on_join
    def join(player: nc.Player) -> None:
        player.control(server.world.spawn(Ship, name=player.name))

    return server


def decibels(meter: Meter) -> float:
    """Of the last half second, and -120 for silence."""
    heard = meter.heard()[-24_000:]
    return 20 * math.log10(float(np.sqrt(np.mean(heard**2))) + 1e-6)


async def test_loudness_is_for_all_that_is_heard() -> None:
    meter = Meter()
    server = listening_server()
    talking = nc.Voice(source=Tone(440, -20), sink=Meter())
    hearing = nc.Voice(source=Silence(), sink=meter)
    async with (
        server,
        nc.connect(server.url, GAME, name="Ada", voice=talking) as ada,
        nc.connect(server.url, GAME, name="Bob", voice=hearing) as bob,
    ):
        ada.voice.pressed = True
        await until(lambda: bob.voice.stats(ada.player_id).played > 40, ada, bob)
        full = decibels(meter)
        bob.voice.loudness = 0.25
        with pytest.raises(nc.UsageError, match="0 to 4"):
            bob.voice.loudness = 5
        taken = meter.taken
        await until(lambda: meter.taken > taken + 60, ada, bob)
        assert decibels(meter) - full == pytest.approx(-12, abs=4)


async def test_who_has_no_ears_is_sent_no_voices() -> None:
    server = listening_server()
    talking = nc.Voice(source=Tone(440, -20), sink=Meter())
    async with (
        server,
        nc.connect(server.url, GAME, name="Ada", voice=talking) as ada,
        nc.connect(server.url, GAME, name="Bob") as bob,
    ):
        ada.voice.pressed = True
        await until(lambda: server.voice.stats.received > 20, ada, bob)
        before = server.voice.stats
        received, forwarded = before.received, before.forwarded
        await until(lambda: server.voice.stats.received > received + 20, ada, bob)
        assert server.voice.stats.forwarded == forwarded
        assert server.voice.listeners_of(server.players[ada.player_id]) == []
