"""The game's server: joins `simulation.Rules` to a `netcode.Server`. Needs no pygame.

Who is told what is said in `interest`, what goes first in `PRIORITY`. Those who join fly a ship
or, as spectators, see everything: a serious game would show it to them late, or ask who they are.
Pilots hear those who are within twice what they see; spectators say nothing.

``python -m demo_game host --port 8080`` runs it until Ctrl-C.
"""

import asyncio
import math
import random
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import netcode as nc
from demo_game.game import (
    GAME,
    SLOWER,
    VIEW_LEAVE,
    VIEW_RADIUS,
    Ask,
    AskFigures,
    Blast,
    Bullet,
    Chat,
    Crystal,
    Enter,
    Figures,
    Pilot,
    Rock,
    Round,
    Ship,
    Why,
)
from demo_game.nursery import CRYSTALS, ROCKS
from demo_game.processes import Manager, say
from demo_game.questions import Allowance, asked_about, figures, why
from demo_game.shots import Scene
from demo_game.simulation import Outcome, Rules

TICK_RATE = 60
BROADCAST_RATE = 20

SPECTATORS = 1
"""The group of those who see everything."""
MAX_SPECTATORS = 8
"""Each is told of the whole arena, and takes one of the `MAX_PLAYERS` places."""

VOICE_FULL, VOICE_SILENT = 300.0, 2 * VIEW_RADIUS
"""Units. Who fights hears the others well; and voices reach further than sight, so that one's ears
lead to somebody who is near."""

PRIORITY = nc.Priority({Ship: 4, Bullet: 2}, near=VIEW_RADIUS)
"""What goes first where the budget does not reach: ships, then shots, and of each the nearest. At
distance 0 everything weighs four times as much, so the own ship is before all others."""
BUDGET = nc.Budget(start=16_000, floor=3_000, ceiling=64_000)
"""Bytes a second. A fight takes up to 4,500 and a spectator hardly more, as most of the arena lies
still; on a bad line 3,000 keep the ships going and let rocks and crystals wait."""

MAX_PLAYERS = 64

NAME_BYTES = 24
"""As declared by `game.Ship.name`."""

CHAT_LINES, CHAT_SECONDS = 5, 8
"""At most so many lines in so many seconds from one player; more are not passed on."""
QUESTIONS = 8
"""Answered for one client each second; explaining costs a fraction of a millisecond."""
PING_EVERY = TICK_RATE
STATUS_SECONDS = 1.0


def interest() -> nc.Interest:
    """Who is told what: pilots and clock to all, and otherwise what is near; to spectators all."""
    return (
        nc.Radius(VIEW_RADIUS, VIEW_LEAVE, slower=SLOWER)
        | nc.Where(for_spectators).on(Ship, Bullet, Rock, Crystal)
        | nc.Everything().on(Pilot, Round)
    )


def for_spectators(table: nc.Table[Any], viewers: nc.Viewers) -> "np.ndarray[Any, Any]":
    """Every row for those in the group `SPECTATORS`, no row for others."""
    watching = np.array([SPECTATORS in groups for groups in viewers.groups], dtype=np.bool_)
    return np.repeat(watching[:, None], viewers.rows, axis=1)


@dataclass(slots=True)
class Visitor:
    """What the host remembers of a client, flying or watching."""

    place: tuple[float, float] | None = None
    """Where its ship is, or was last."""
    watches: int = 0
    """The player whom it watches; 0 if it flies, or has not said yet."""
    chat: Allowance = field(default_factory=lambda: Allowance(CHAT_LINES, CHAT_SECONDS * TICK_RATE))
    questions: Allowance = field(default_factory=lambda: Allowance(QUESTIONS, TICK_RATE))


class Host:
    """One arena and its server."""

    def __init__(self, *, seed: int, rocks: int = ROCKS, crystals: int = CRYSTALS) -> None:
        self.server = nc.Server(
            GAME,
            tick_rate=TICK_RATE,
            broadcast_rate=BROADCAST_RATE,
            interest=interest(),
            priority=PRIORITY,
            budget=BUDGET,
            max_players=MAX_PLAYERS,
            voice=nc.ProximityVoice(VOICE_FULL, VOICE_SILENT),
        )
        self.rules = Rules(self.server.world, seed=seed, rocks=rocks, crystals=crystals)
        self._rng = random.Random(seed)
        self._visitors: dict[int, Visitor] = {}
        self.server.on_join(self._join)
        self.server.on_leave(self._leave)
        self.server.on_tick(self._tick)
        self.server.on(Enter)(self._enter)
        self.server.on(Chat)(self._chat)
        self.server.on(Ask)(self._why)
        self.server.on(AskFigures)(self._figures)

    # -- what the server tells ---------------------------------------------------------------

    def _join(self, player: nc.Player) -> None:
        self._visitors[player.id] = Visitor()

    def _enter(self, player: nc.Player, message: Enter) -> None:
        if player.id in self.rules.seats:
            return  # who flies does not watch: nobody shall have both ship and map on one link
        visitor = self._visitors[player.id]
        if message.watch:
            watching = sum(other.watches > 0 for other in self._visitors.values())
            if not visitor.watches and watching >= MAX_SPECTATORS:
                player.kick("there are spectators enough")
                return
            visitor.watches = message.watch
            player.join_group(SPECTATORS)
            player.may_speak = False
            return
        visitor.watches = 0
        player.leave_group(SPECTATORS)
        player.may_speak = True
        player.viewpoint = None
        name = self._free_name(player.name)
        ship = self.rules.join(player.id, name, self.server.tick, self._rng)
        player.control(ship)
        visitor.place = (ship.x, ship.y)
        self.server.broadcast(Chat(text=f"{name} has joined"))

    def _leave(self, player: nc.Player) -> None:
        seat = self.rules.seats.get(player.id)
        if seat is not None:
            self.server.broadcast(Chat(text=f"{seat.pilot.name} has left"))
        self.rules.leave(player.id)
        self._visitors.pop(player.id, None)

    def _chat(self, player: nc.Player, message: Chat) -> None:
        seat = self.rules.seats.get(player.id)
        text = "".join(letter for letter in message.text if letter.isprintable()).strip()
        if seat is None or not text:
            return
        if self._visitors[player.id].chat.takes(self.server.tick):
            self.server.broadcast(Chat(text=text, who=seat.pilot.name, colour=seat.pilot.colour))
        else:
            player.send(Chat(text="slow down, nobody reads that fast"))

    def _why(self, player: nc.Player, message: Ask) -> Why | None:
        if not self._visitors[player.id].questions.takes(self.server.tick):
            return None
        entity, about = asked_about(message), self._asked_about(player)
        if entity is None or about is None:
            return Why()
        return why(self.server.explain(about, entity))

    def _figures(self, player: nc.Player, message: AskFigures) -> Figures | None:
        about = self._asked_about(player)
        if about is None or not self._visitors[player.id].questions.takes(self.server.tick):
            return None
        return figures(self.server.state_stats(about))

    def _asked_about(self, player: nc.Player) -> nc.Player | None:
        """Whose picture a question is about: the asker's own, or the watched player's."""
        watched = self._visitors[player.id].watches
        return self.server.players.get(watched) if watched else player

    def _tick(self, step: nc.Step) -> None:
        outcome = self.rules.step(step, self._seen_by)
        for player_id, x, y in outcome.wrecked:
            player = self.server.players.get(player_id)
            if player is not None:
                player.viewpoint = (x, y)
        for player_id, ship in outcome.launched:
            player = self.server.players.get(player_id)
            if player is not None:
                player.control(ship)
                player.viewpoint = None
        self._follow()
        self._tell(outcome)
        if step.tick % PING_EVERY == 0:
            self._measure_pings()

    def _seen_by(self, player_id: int) -> AbstractContextManager[Scene]:
        """The world as this player saw it when it fired: hits are decided by that."""
        player = self.server.players.get(player_id)
        return nullcontext(self.server.world) if player is None else self.server.rewind(player)

    # -- helpers -----------------------------------------------------------------------------

    def _follow(self) -> None:
        """Spectators look from where those are whom they watch: what is near goes first."""
        for seat in self.rules.seats.values():
            if seat.ship is not None and seat.player in self._visitors:
                self._visitors[seat.player].place = (seat.ship.x, seat.ship.y)
        for number, visitor in self._visitors.items():
            watched = self._visitors.get(visitor.watches)
            if watched is not None and watched.place is not None:
                self.server.players[number].viewpoint = watched.place

    def _tell(self, outcome: Outcome) -> None:
        for message in outcome.news:
            self.server.broadcast(message)
        for blast in outcome.blasts:
            near = self._players_near(blast)
            if near:
                self.server.broadcast(blast, to=near)

    def _players_near(self, blast: Blast) -> list[nc.Player]:
        return [
            self.server.players[number]
            for number, visitor in self._visitors.items()
            if visitor.place is not None
            and math.dist(visitor.place, (blast.x, blast.y)) < VIEW_RADIUS
        ]

    def _measure_pings(self) -> None:
        for seat in self.rules.seats.values():
            player = self.server.players.get(seat.player)
            if player is not None:
                seat.pilot.ping = min(999, max(1, round(player.rtt * 1000)))

    def _free_name(self, wanted: str) -> str:
        name = wanted.encode()[:NAME_BYTES].decode("utf-8", "ignore") or "Pilot"
        taken = {seat.pilot.name for seat in self.rules.seats.values()}
        number, free = 2, name
        while free in taken:
            suffix = f" {number}"
            free = name.encode()[: NAME_BYTES - len(suffix)].decode("utf-8", "ignore") + suffix
            number += 1
        return free

    def status(self) -> dict[str, Any]:
        """The server's figures, for whoever started this process."""
        stats, voice = self.server.stats, self.server.voice.stats
        return {
            "clock": time.monotonic(),
            "players": len(self.rules.seats),
            "spectators": sum(one.watches > 0 for one in self._visitors.values()),
            "ticks": self.server.tick,
            "late_ticks": stats.late_ticks,
            "broadcasts": stats.broadcasts,
            "bytes_sent": stats.bytes_sent,
            "bytes_received": stats.bytes_received,
            "voice_packets_in": voice.received,
            "voice_packets_out": voice.forwarded,
            "entities": len(self.server.world),
            "ships": len(self.server.world[Ship]),
        }


async def run_host(
    *, port: int, address: str, seed: int, managed: bool, rocks: int, crystals: int
) -> None:
    """Serve until Ctrl-C or, if ``managed``, until the starting process ends its pipe."""
    manager = Manager(managed)
    host = Host(seed=seed, rocks=rocks, crystals=crystals)
    await host.server.start(port=port, host=address)
    try:
        if managed:
            say({"url": host.server.url, "port": host.server.port})
        else:
            print(f"The arena is open: python -m demo_game join {host.server.url}", flush=True)
        while not await manager.ended_within(STATUS_SECONDS):
            if managed:
                say({"status": host.status()})
    finally:
        await host.server.stop()


def main(
    *,
    port: int,
    address: str,
    seed: int,
    managed: bool,
    rocks: int = ROCKS,
    crystals: int = CRYSTALS,
) -> int:
    """The ``host`` command."""
    try:
        asyncio.run(
            run_host(
                port=port,
                address=address,
                seed=seed,
                managed=managed,
                rocks=rocks,
                crystals=crystals,
            )
        )
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"The arena cannot open on {address}:{port}: {error}", flush=True)
        return 1
    return 0
