"""The rules that only the server knows: shots, collisions, scores, new ships and new rocks.

`Rules` works on a `World` and is told when a player comes, goes, and when a tick has passed. It
knows neither network nor screen: whatever has to be said is in the `Outcome` of a tick. Ships and
shots have been moved by `game.fly` and `game.glide` before; everything else is moved here, whole
columns at a time.

Shots hit what the shooter saw. What that was is handed in, so the rules are the same with a
network and without.
"""

import math
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

import netcode as nc
from demo_game import game
from demo_game.collisions import pairs_within, touching
from demo_game.game import (
    ARENA,
    Blast,
    BlastKind,
    Bullet,
    Crystal,
    Downed,
    Pilot,
    Rock,
    Round,
    RoundOver,
    Ship,
    Steer,
    fly,
    glide,
)
from demo_game.nursery import CRYSTALS, ROCKS, Nursery
from demo_game.shots import Fuses, Scene, beyond_the_walls, first_touched

ROUND_SECONDS = 300
RESPAWN_TICKS = 180
SHIELD_TICKS = 150
CREDIT_TICKS = 300
"""Who hit a ship within this time is credited when it breaks on a rock."""

SHOT_DAMAGE = 13
GENTLE = 70.0
"""Closing speed up to which a bump does no harm, in units per second."""
BUMP_DAMAGE = 0.085
"""Hull lost per unit of closing speed beyond that."""
BUMP_BOUNCE = 1.5
"""1 stops a ship at a rock, 2 throws it back as fast as it came."""

POINTS_CRYSTAL = 10
POINTS_ROCK = (0, 15, 10, 5)
POINTS_SHIP = 100
WRECK_CRYSTALS = 5
AMMO_PER_CRYSTAL = 4

MAX_ROCK_SPEED = 160.0
"""However often it is hit."""

REPAIR_EVERY, REPAIR_REST = 30, 240
"""A ship that was not hurt for 240 ticks mends one point of hull every 30."""
RADAR_EVERY = 12
REPLENISH_EVERY = 60
ROCK_RADII = np.array(game.ROCK_RADII)

SeenBy: TypeAlias = Callable[[int], AbstractContextManager[Scene]]
"""The world as a player saw it when it gave the input of this tick, by the player's number."""


@dataclass(slots=True)
class Seat:
    """What the server remembers of one player beside the entities."""

    player: int
    pilot: Pilot
    ship: Ship | None = None
    respawn_at: int = 0
    shield_until: int = 0
    hurt_at: int = -REPAIR_REST
    hurt_by: int = 0


@dataclass(slots=True)
class Outcome:
    """What one tick brought, for the host to pass on."""

    blasts: list[Blast] = field(default_factory=list)
    """To be seen by those who are near."""
    news: list[Downed | RoundOver] = field(default_factory=list)
    """For everybody."""
    launched: list[tuple[int, Ship]] = field(default_factory=list)
    """Players and the new ships that they control from now on."""
    wrecked: list[tuple[int, float, float]] = field(default_factory=list)
    """Players who have no ship now, and where they lost it."""


class Rules:
    """The arena's laws. ``seed`` decides how the arena is filled; chance during a tick comes
    from ``step.random``."""

    def __init__(
        self,
        world: nc.World,
        *,
        seed: int,
        rocks: int = ROCKS,
        crystals: int = CRYSTALS,
        round_seconds: int = ROUND_SECONDS,
    ) -> None:
        self.world = world
        self.seats: dict[int, Seat] = {}
        self.nursery = Nursery(world, random.Random(seed), rocks=rocks, crystals=crystals)
        self._round_seconds = round_seconds
        self._round = world.spawn(Round, seconds=round_seconds)
        self._fuses = Fuses()
        self._outcome = Outcome()

    # -- players -----------------------------------------------------------------------------

    def join(self, player: int, name: str, tick: int, rng: random.Random) -> Ship:
        """A pilot for this player, and the ship to control first."""
        colour = self._free_colour(player)
        pilot = self.world.spawn(Pilot, player=player, name=name, colour=colour)
        seat = self.seats[player] = Seat(player, pilot)
        return self._launch(seat, tick, rng)

    def leave(self, player: int) -> None:
        """Take the player's ship, shots and pilot away."""
        seat = self.seats.pop(player, None)
        if seat is None:
            return
        if seat.ship is not None:
            self.world.despawn(seat.ship)
        self.world.despawn(seat.pilot)
        bullets = self.world.table(Bullet)
        for row in np.flatnonzero(bullets.alive & (bullets.player == player)).tolist():
            bullets.despawn(row)

    def _free_colour(self, player: int) -> int:
        taken = [seat.pilot.colour for seat in self.seats.values()]
        return min(range(game.COLOURS), key=lambda c: (taken.count(c), (c - player) % game.COLOURS))

    # -- one tick ----------------------------------------------------------------------------

    def step(self, step: nc.Step, seen_by: SeenBy | None = None) -> Outcome:
        """Everything that happens in one tick besides the movement of ships and shots.

        ``seen_by`` gives a player's picture of the world; without it all see it as it is.
        """
        self._outcome = Outcome()
        tick, rng = step.tick, step.random
        self._drift(step.dt)
        self._shots(tick, rng, seen_by or self._present)
        self._ships_on_rocks(tick)
        self._ships_on_ships(tick)
        self._collect()
        self._bury(tick, rng)
        self._care(tick, rng)
        return self._outcome

    def _present(self, player: int) -> AbstractContextManager[Scene]:
        return nullcontext(self.world)

    def _drift(self, dt: float) -> None:
        rocks = self.world.table(Rock)
        rocks.x += rocks.vx * dt * rocks.alive
        rocks.y += rocks.vy * dt * rocks.alive
        for place, speed in ((rocks.x, rocks.vx), (rocks.y, rocks.vy)):
            np.abs(speed, out=speed, where=place < -ARENA + 40)
            np.negative(np.abs(speed), out=speed, where=place > ARENA - 40)
            np.clip(speed, -MAX_ROCK_SPEED, MAX_ROCK_SPEED, out=speed)

    def _shots(self, tick: int, rng: random.Random, seen_by: SeenBy) -> None:
        """Each shot hits what its player saw in its way. Whatever it was, the shot is spent: the
        player has seen it end there."""
        bullets = self.world.table(Bullet)
        rows = bullets.rows()
        players = bullets.player[rows]
        for player in np.unique(players).tolist():
            own = rows[players == player]
            with seen_by(player) as seen:
                hits = [
                    (bullets.at(int(own[shot])), type(thing), thing.handle)
                    for shot, thing in first_touched(bullets.x[own], bullets.y[own], player, seen)
                ]
            for bullet, kind, handle in hits:
                if bullet is not None:
                    self._hit(bullet, self.world.table(kind).by_handle(handle), tick, rng)
        rows = bullets.rows()
        for row in rows[beyond_the_walls(bullets.x[rows], bullets.y[rows])].tolist():
            bullet = bullets.at(row)
            if bullet is not None:
                self._spend(bullet)
        for row in self._fuses.burnt(bullets, tick).tolist():
            bullets.despawn(row)

    def _hit(
        self, bullet: Bullet, target: Rock | Ship | None, tick: int, rng: random.Random
    ) -> None:
        """``target`` is None if it is gone by now: nothing is left to be hurt."""
        if isinstance(target, Ship):
            self._hurt(target, SHOT_DAMAGE, tick, by=bullet.player)
            target.vx = _bounded(target.vx + bullet.vx * 0.03)
            target.vy = _bounded(target.vy + bullet.vy * 0.03)
        elif target is not None:
            target.hull = max(0, target.hull - 1)
            target.vx += bullet.vx * 0.02 / target.grade
            target.vy += bullet.vy * 0.02 / target.grade
            if target.hull == 0:
                self._score(bullet.player, POINTS_ROCK[target.grade])
                self._break(target, rng)
        self._spend(bullet)

    def _spend(self, bullet: Bullet) -> None:
        self._blast(BlastKind.SPARK, bullet.x, bullet.y, bullet.colour)
        self.world.despawn(bullet)

    def _ships_on_rocks(self, tick: int) -> None:
        ships, rocks = self.world.table(Ship), self.world.table(Rock)
        s, r = ships.rows(), rocks.rows()
        reach = ROCK_RADII[rocks.grade[r]] * 0.94 + game.SHIP_RADIUS
        i, j = touching(ships.x[s], ships.y[s], rocks.x[r], rocks.y[r], reach)
        for row, other in zip(s[i].tolist(), r[j].tolist(), strict=True):
            ship, rock = ships.at(row), rocks.at(other)
            if ship is None or rock is None:
                continue
            nx, ny, closing = _approach(ship, rock)
            if closing <= 0:
                continue  # moving apart already
            ship.vx = _bounded(ship.vx + nx * closing * BUMP_BOUNCE)
            ship.vy = _bounded(ship.vy + ny * closing * BUMP_BOUNCE)
            push = 0.25 * closing / rock.grade
            rock.vx, rock.vy = rock.vx - nx * push, rock.vy - ny * push
            self._bump(ship, closing, tick, by=0)

    def _ships_on_ships(self, tick: int) -> None:
        ships = self.world.table(Ship)
        s = ships.rows()
        i, j = pairs_within(ships.x[s], ships.y[s], 2 * game.SHIP_RADIUS)
        for row, other in zip(s[i].tolist(), s[j].tolist(), strict=True):
            one, two = ships.at(row), ships.at(other)
            if one is None or two is None:
                continue
            nx, ny, closing = _approach(one, two)
            if closing <= 0:
                continue
            one.vx, one.vy = _bounded(one.vx + nx * closing), _bounded(one.vy + ny * closing)
            two.vx, two.vy = _bounded(two.vx - nx * closing), _bounded(two.vy - ny * closing)
            self._bump(one, closing, tick, by=two.player)
            self._bump(two, closing, tick, by=one.player)

    def _collect(self) -> None:
        ships, crystals = self.world.table(Ship), self.world.table(Crystal)
        s, c = ships.rows(), crystals.rows()
        reach = game.SHIP_RADIUS + game.CRYSTAL_RADIUS + 4
        for i, j in zip(
            *touching(ships.x[s], ships.y[s], crystals.x[c], crystals.y[c], reach), strict=True
        ):
            ship, crystal = ships.at(int(s[i])), crystals.at(int(c[j]))
            if ship is None or crystal is None:
                continue
            self._blast(BlastKind.CRYSTAL, crystal.x, crystal.y, ship.colour, crystal.worth)
            self._score(ship.player, POINTS_CRYSTAL * crystal.worth)
            ship.ammo = min(game.MAX_AMMO, ship.ammo + AMMO_PER_CRYSTAL)
            self.world.despawn(crystal)

    # -- ends and beginnings -----------------------------------------------------------------

    def _bury(self, tick: int, rng: random.Random) -> None:
        for seat in self.seats.values():
            ship = seat.ship
            if ship is None or ship.hull > 0:
                continue
            self._blast(BlastKind.SHIP, ship.x, ship.y, ship.colour, 3)
            by = self.seats.get(seat.hurt_by) if tick - seat.hurt_at <= CREDIT_TICKS else None
            if by is not None and by is not seat:
                by.pilot.kills = min(999, by.pilot.kills + 1)
                self._score(by.player, POINTS_SHIP)
            killer = by.pilot if by is not None and by is not seat else None
            self._outcome.news.append(
                Downed(
                    victim=seat.pilot.name,
                    victim_colour=seat.pilot.colour,
                    by=killer.name if killer else "",
                    by_colour=killer.colour if killer else 0,
                )
            )
            for _ in range(WRECK_CRYSTALS):
                self.nursery.crystal(rng, ship.x + rng.gauss(0, 34), ship.y + rng.gauss(0, 34))
            self._outcome.wrecked.append((seat.player, ship.x, ship.y))
            self.world.despawn(ship)
            seat.ship, seat.respawn_at = None, tick + RESPAWN_TICKS
            seat.pilot.flying = False

    def _care(self, tick: int, rng: random.Random) -> None:
        """What is done now and then rather than every tick."""
        for seat in self.seats.values():
            if seat.ship is None:
                if tick >= seat.respawn_at:
                    self._outcome.launched.append((seat.player, self._launch(seat, tick, rng)))
                continue
            if seat.ship.shielded and tick >= seat.shield_until:
                seat.ship.shielded = False
            rested = tick - seat.hurt_at >= REPAIR_REST
            if tick % REPAIR_EVERY == 0 and rested and seat.ship.hull < game.MAX_HULL:
                seat.ship.hull += 1
            if tick % RADAR_EVERY == 0:
                _show_on_radar(seat.pilot, seat.ship)
        if tick % REPLENISH_EVERY == 0:
            self.nursery.replenish(rng)
            self._run_clock()

    def _run_clock(self) -> None:
        if self._round.seconds > 0:
            self._round.seconds -= 1
            return
        self._round.seconds = self._round_seconds
        if not self.seats:
            return
        best = max((seat.pilot for seat in self.seats.values()), key=lambda pilot: pilot.score)
        self._outcome.news.append(RoundOver(winner=best.name, colour=best.colour, score=best.score))
        for seat in self.seats.values():
            seat.pilot.score = seat.pilot.kills = 0

    def _launch(self, seat: Seat, tick: int, rng: random.Random) -> Ship:
        x, y = self.nursery.clear_place(rng)
        ship = self.world.spawn(
            Ship,
            x=x,
            y=y,
            heading=rng.uniform(0, math.tau),
            name=seat.pilot.name,
            player=seat.player,
            colour=seat.pilot.colour,
            shielded=True,
        )
        seat.ship, seat.shield_until, seat.hurt_by = ship, tick + SHIELD_TICKS, 0
        seat.pilot.flying = True
        _show_on_radar(seat.pilot, ship)
        return ship

    def _break(self, rock: Rock, rng: random.Random) -> None:
        self._blast(BlastKind.ROCK, rock.x, rock.y, 0, rock.grade)
        self.nursery.split(rock, rng)

    # -- small things ------------------------------------------------------------------------

    def _bump(self, ship: Ship, closing: float, tick: int, *, by: int) -> None:
        if closing > GENTLE:
            self._hurt(ship, int((closing - GENTLE) * BUMP_DAMAGE) + 1, tick, by=by)
            self._blast(BlastKind.SPARK, ship.x, ship.y, ship.colour)

    def _hurt(self, ship: Ship, damage: int, tick: int, *, by: int) -> None:
        seat = self.seats.get(ship.player)
        if ship.shielded or seat is None:
            return
        ship.hull = max(0, ship.hull - damage)
        if by or tick - seat.hurt_at > CREDIT_TICKS:
            seat.hurt_by = by
        seat.hurt_at = tick

    def _score(self, player: int, points: int) -> None:
        seat = self.seats.get(player)
        if seat is not None:
            seat.pilot.score = min(65_535, seat.pilot.score + points)

    def _blast(self, kind: BlastKind, x: float, y: float, colour: int, grade: int = 0) -> None:
        self._outcome.blasts.append(Blast(kind=kind, x=x, y=y, colour=colour, grade=grade))


def _approach(ship: Ship, other: Ship | Rock) -> tuple[float, float, float]:
    """The direction from ``other`` to ``ship``, and the speed at which they close in."""
    dx, dy = ship.x - other.x, ship.y - other.y
    distance = math.hypot(dx, dy) or 1.0
    nx, ny = dx / distance, dy / distance
    return nx, ny, (other.vx - ship.vx) * nx + (other.vy - ship.vy) * ny


def _bounded(speed: float) -> float:
    return max(-game.MAX_SPEED, min(game.MAX_SPEED, speed))


def _show_on_radar(pilot: Pilot, ship: Ship) -> None:
    pilot.radar_x = int((ship.x + ARENA) * 255 / (2 * ARENA))
    pilot.radar_y = int((ship.y + ARENA) * 255 / (2 * ARENA))


def move_all(world: nc.World, step: nc.Step, wanted: Callable[[Ship], Steer]) -> None:
    """What a server does in each tick before the rules, for a world that has none."""
    shots = list(world[Bullet])
    for ship in world[Ship]:
        fly(ship, wanted(ship), step)
    for bullet in shots:
        glide(bullet, Steer(), step)
