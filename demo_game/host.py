"""The game's server: joins `simulation.Rules` to a `netcode.Server`. Needs no pygame.

``python -m demo_game host --port 8080`` runs it until Ctrl-C.
"""

import asyncio
import math
import random
import time
from collections import deque
from typing import Any

import netcode as nc
from demo_game.game import GAME, Blast, Chat, Ship
from demo_game.nursery import CRYSTALS, ROCKS
from demo_game.processes import Manager, say
from demo_game.simulation import Outcome, Rules

TICK_RATE = 60
BROADCAST_RATE = 20
VIEW_RADIUS = 900.0
"""Half the diagonal of what a window shows (734 units), and as far as the camera looks ahead."""
VIEW_LEAVE = 980.0
"""A little further, or things at the edge would come and go."""
MAX_PLAYERS = 64

NAME_BYTES = 24
"""As declared by `game.Ship.name`."""

CHAT_LINES, CHAT_SECONDS = 5, 8
"""At most so many lines in so many seconds from one player; more are not passed on."""
PING_EVERY = TICK_RATE
STATUS_SECONDS = 1.0


class Host:
    """One arena and its server."""

    def __init__(self, *, seed: int, rocks: int = ROCKS, crystals: int = CRYSTALS) -> None:
        self.server = nc.Server(
            GAME,
            tick_rate=TICK_RATE,
            broadcast_rate=BROADCAST_RATE,
            interest=nc.Radius(VIEW_RADIUS, VIEW_LEAVE),
            max_players=MAX_PLAYERS,
        )
        self.rules = Rules(self.server.world, seed=seed, rocks=rocks, crystals=crystals)
        self._rng = random.Random(seed)
        self._places: dict[int, tuple[float, float]] = {}
        self._chat_times: dict[int, deque[int]] = {}
        self.server.on_join(self._join)
        self.server.on_leave(self._leave)
        self.server.on_tick(self._tick)
        self.server.on(Chat)(self._chat)

    # -- what the server tells ---------------------------------------------------------------

    def _join(self, player: nc.Player) -> None:
        name = self._free_name(player.name)
        ship = self.rules.join(player.id, name, self.server.tick, self._rng)
        player.control(ship)
        self._places[player.id] = (ship.x, ship.y)
        self._chat_times[player.id] = deque(maxlen=CHAT_LINES)
        self.server.broadcast(Chat(text=f"{name} has joined"))

    def _leave(self, player: nc.Player) -> None:
        seat = self.rules.seats.get(player.id)
        if seat is not None:
            self.server.broadcast(Chat(text=f"{seat.pilot.name} has left"))
        self.rules.leave(player.id)
        self._places.pop(player.id, None)
        self._chat_times.pop(player.id, None)

    def _chat(self, player: nc.Player, message: Chat) -> None:
        times = self._chat_times.get(player.id)
        seat = self.rules.seats.get(player.id)
        text = "".join(letter for letter in message.text if letter.isprintable()).strip()
        if times is None or seat is None or not text:
            return
        tick = self.server.tick
        if len(times) == CHAT_LINES and tick - times[0] < CHAT_SECONDS * TICK_RATE:
            player.send(Chat(text="slow down, nobody reads that fast"))
            return
        times.append(tick)
        self.server.broadcast(Chat(text=text, who=seat.pilot.name, colour=seat.pilot.colour))

    def _tick(self, step: nc.Step) -> None:
        outcome = self.rules.step(step)
        for player_id, x, y in outcome.wrecked:
            player = self.server.players.get(player_id)
            if player is not None:
                player.viewpoint = (x, y)
        for player_id, ship in outcome.launched:
            player = self.server.players.get(player_id)
            if player is not None:
                player.control(ship)
                player.viewpoint = None
        self._tell(outcome)
        if step.tick % PING_EVERY == 0:
            self._measure_pings()

    # -- helpers -----------------------------------------------------------------------------

    def _tell(self, outcome: Outcome) -> None:
        for message in outcome.news:
            self.server.broadcast(message)
        if not outcome.blasts:
            return
        for seat in self.rules.seats.values():
            if seat.ship is not None:
                self._places[seat.player] = (seat.ship.x, seat.ship.y)
        for blast in outcome.blasts:
            near = self._players_near(blast)
            if near:
                self.server.broadcast(blast, to=near)

    def _players_near(self, blast: Blast) -> list[nc.Player]:
        return [
            player
            for player_id, (x, y) in self._places.items()
            if math.hypot(x - blast.x, y - blast.y) < VIEW_RADIUS
            and (player := self.server.players.get(player_id)) is not None
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
        stats = self.server.stats
        return {
            "clock": time.monotonic(),
            "players": len(self.server.players),
            "ticks": self.server.tick,
            "late_ticks": stats.late_ticks,
            "broadcasts": stats.broadcasts,
            "bytes_sent": stats.bytes_sent,
            "bytes_received": stats.bytes_received,
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
