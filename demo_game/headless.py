"""The whole game without a screen: server, bots and player in processes of their own.

The player flies by the bots' brain, draws every frame into memory, and leaves a screenshot and
a report. What joins them is WebRTC, as ever. Everybody hums now and then, and no sound card is
asked: the player hears with a meter.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pygame

import netcode as nc
from demo_game.arena_screen import ArenaScreen
from demo_game.brain import Brain
from demo_game.game import GAME, Bullet, Enter, Rock, Ship
from demo_game.humming import Humming
from demo_game.local_game import LocalGame
from demo_game.voices import VoiceChoices
from netcode.voice.activity import QUIETEST
from netcode.voice.sinks import Meter
from netcode.voice.sources import Hum

WIDTH, HEIGHT = 1280, 720
FRAME = 1 / 30
JOIN_SECONDS = 15.0
"""For each process: a busy machine takes its time to start them."""
SHORTEST = 3.0
"""Seconds. The server tells its figures once a second, and rates need two of them."""
BEST_PICTURE_AFTER = 0.5
"""The screenshot is the liveliest frame after this share of the time."""
PLAYER_NAME = "Ada"


def main(
    *,
    seconds: float,
    bots: int,
    screenshot: str | None,
    report: str | None,
    conditions: str | None,
) -> int:
    """Play for so many seconds. 0 if everybody joined and the game ran, 1 if not."""
    seconds = max(SHORTEST, seconds)
    pygame.display.init()
    pygame.font.init()
    screen = pygame.display.set_mode((WIDTH, HEIGHT))
    local = LocalGame(bots=bots, bot_processes=max(1, bots), hum=True)
    try:
        local.invite_bots(conditions)
        outcome = play(screen, local, seconds, bots, screenshot, conditions)
    except (nc.NetcodeError, OSError) as error:
        print(f"The game did not run: {error}", flush=True)
        return 1
    finally:
        codes = local.end()
        pygame.display.quit()
        pygame.font.quit()
    text = json.dumps(outcome, indent=2)
    if report:
        Path(report).write_text(text + "\n", "utf-8")
    else:
        print(text, flush=True)
    if any(codes):
        print(f"A process ended badly: exit codes {codes}", flush=True)
    ran = outcome["players"] == bots + 1 and outcome["ticks"] > 0 and outcome["broadcast_hz"] > 0
    return 0 if ran and len(outcome["clients"]) == bots + 1 and not any(codes) else 1


def play(
    screen: pygame.Surface,
    local: LocalGame,
    seconds: float,
    bots: int,
    screenshot: str | None,
    conditions: str | None,
) -> dict[str, Any]:
    """Wait for the bots, join them, fly, and tell what was seen."""
    wait_for_players(local, bots)
    ears = Meter()
    voice = nc.Voice(source=Hum(4), sink=ears)
    with nc.connect(
        local.url(), GAME, name=PLAYER_NAME, conditions=conditions, voice=voice
    ) as client:
        client.send(Enter())
        transport = client.stats.transport
        arena = ArenaScreen(client, local.url(), WIDTH, HEIGHT, conditions, VoiceChoices())
        arena.show_network = True
        pilot, humming = Brain(random.Random(4), aggression=1.0), Humming(random.Random(4))
        loudest = QUIETEST
        gallery = Gallery(screenshot)
        before: dict[str, Any] = {}
        start = last = time.monotonic()
        while (share := (last - start) / max(0.1, seconds)) < 1:
            now = time.monotonic()
            dt, last = now - last, now
            arena.voices.press(humming.pressed(now))
            arena.update(pilot.decide(client.world, client.own(Ship), now), now, min(0.1, dt))
            loudest = max(loudest, ears.level)
            arena.draw(screen)
            pygame.event.pump()
            pygame.display.flip()
            if before.get("players") != bots + 1:
                before = local.host.latest("status") or {}
            if share >= BEST_PICTURE_AFTER:
                gallery.offer(screen, liveliness(arena))
            time.sleep(max(0.0, FRAME - (time.monotonic() - now)))
        gallery.save()
        after = local.host.latest("status") or {}
        joined = [bot.latest("joined") for bot in local.bots]
        own = {"name": client.name, "pid": os.getpid(), "transport": transport}
        return {
            "players": after.get("players", 0),
            "ticks": after.get("ticks", 0) - before.get("ticks", 0),
            "broadcast_hz": round(_per_second("broadcasts", before, after), 2),
            "bytes_per_second_per_client": round(
                _per_second("bytes_sent", before, after) / max(1, after.get("players", 0)), 1
            ),
            "entities": after.get("entities", 0),
            "rtt_ms_p50": round(arena.network.median(0), 2),
            "late_ticks": after.get("late_ticks", 0),
            "voice": {
                "heard": len(arena.voices.heard),
                "loudest_db": round(loudest, 1),
                "packets_in": after.get("voice_packets_in", 0),
                "packets_out": after.get("voice_packets_out", 0),
            },
            "server": {"pid": local.host.pid},
            "clients": [own, *(one for one in joined if one is not None)],
        }


def wait_for_players(local: LocalGame, count: int) -> None:
    """Return when the server counts so many players. Raises `OSError` if it takes too long."""
    local.url()
    deadline = time.monotonic() + JOIN_SECONDS * (1 + count)
    while (players := (local.host.latest("status") or {}).get("players", 0)) < count:
        if time.monotonic() > deadline or not local.host.running:
            raise OSError(f"only {players} of {count} bots joined in time")
        time.sleep(FRAME)


class Gallery:
    """Keeps the liveliest of the frames it is offered, for one file."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._best = -1.0
        self._picture: pygame.Surface | None = None

    def offer(self, screen: pygame.Surface, liveliness: float) -> None:
        """Look at a frame that has just been drawn."""
        if self._path and liveliness > self._best:
            self._best, self._picture = liveliness, screen.copy()

    def save(self) -> None:
        """Write the file, if one is wanted."""
        if self._path and self._picture is not None:
            pygame.image.save(self._picture, self._path)


def liveliness(arena: ArenaScreen) -> float:
    """How much there is to see: ships above all, then shots, rocks and sparks."""
    world, camera = arena.client.world, arena.view.camera
    own = arena.client.own(Ship)
    if own is None:
        return 0.0
    ships = sum(camera.sees(ship.x, ship.y, -60) for ship in world[Ship])
    shots = sum(camera.sees(shot.x, shot.y, -30) for shot in world[Bullet])
    rocks = sum(camera.sees(rock.x, rock.y, 0) for rock in world[Rock])
    return 8 * ships + 2 * shots + rocks + min(60, len(arena.view.effects)) / 6


def _per_second(figure: str, before: dict[str, Any], after: dict[str, Any]) -> float:
    """How fast one of the server's counts grew between two of its tellings."""
    if not before or after["clock"] <= before["clock"]:
        return 0.0
    return float((after[figure] - before[figure]) / (after["clock"] - before["clock"]))
