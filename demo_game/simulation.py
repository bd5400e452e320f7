"""The rules that only the server knows: shots, collisions, scores, new ships and new rocks.

`Rules` works on a `World` and is told when a player comes, goes, and when a tick has passed. It
knows neither network nor screen: whatever has to be said is in the `Outcome` of a tick. Ships
have been moved by `game.fly` before; everything else is moved here, whole columns at a time.
"""

import math
import random
from collections import deque
from dataclasses import dataclass, field

import numpy as np

import netcode as nc
from demo_game import game
from demo_game.collisions import first_touch, pairs_within, touching
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
)
from demo_game.nursery import CRYSTALS, ROCKS, Nursery

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
AMMO_RESERVE = 30
"""Ammunition grows back by itself to this much; crystals give more."""

MAX_ROCK_SPEED = 160.0
"""However often it is hit."""

REPAIR_EVERY, REPAIR_REST = 30, 240
"""A ship that was not hurt for 240 ticks mends one point of hull every 30."""
AMMO_EVERY = 26
RADAR_EVERY = 12
REPLENISH_EVERY = 60
ROCK_RADII = np.array(game.ROCK_RADII)


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
        self._flying_shots: deque[tuple[int, Bullet]] = deque()
        self._outcome = Outcome()

    # -- players -----------------------------------------------------------------------------

    def join(self, player: int, name: str, tick: int, rng: random.Random) -> Ship:
        """A pilot for this player, and the ship to control first."""
        colour = self._free_colour(player)
        pilot = self.world.spawn(Pilot, player=player, name=name, colour=colour)
        seat = self.seats[player] = Seat(player, pilot)
        return self._launch(seat, tick, rng)

    def leave(self, player: int) -> None:
        """Take the player's ship and pilot away."""
        seat = self.seats.pop(player, None)
        if seat is None:
            return
        if seat.ship is not None:
            self.world.despawn(seat.ship)
        self.world.despawn(seat.pilot)

    def _free_colour(self, player: int) -> int:
        taken = [seat.pilot.colour for seat in self.seats.values()]
        return min(range(game.COLOURS), key=lambda c: (taken.count(c), (c - player) % game.COLOURS))

    # -- one tick ----------------------------------------------------------------------------

    def step(self, step: nc.Step) -> Outcome:
        """Everything that happens in one tick besides the ships' own movement."""
        self._outcome = Outcome()
        tick, rng = step.tick, step.random
        self._fire(tick)
        self._move(step.dt)
        self._bullets_on_rocks(rng)
        self._bullets_on_ships(tick)
        self._ships_on_rocks(tick)
        self._ships_on_ships(tick)
        self._collect()
        self._bury(tick, rng)
        self._expire(tick)
        self._care(tick, rng)
        return self._outcome

    def _fire(self, tick: int) -> None:
        ships = self.world.table(Ship)
        for row in np.flatnonzero(ships.alive & (ships.reload == game.RELOAD_TICKS)).tolist():
            ship = ships.at(row)
            if ship is None:
                continue
            seat = self.seats.get(ship.player)
            if seat is not None:
                seat.shield_until = 0
            cos, sin = math.cos(ship.heading), math.sin(ship.heading)
            bullet = self.world.spawn(
                Bullet,
                x=ship.x + cos * (game.SHIP_RADIUS + 6),
                y=ship.y + sin * (game.SHIP_RADIUS + 6),
                vx=ship.vx + cos * game.BULLET_SPEED,
                vy=ship.vy + sin * game.BULLET_SPEED,
                player=ship.player,
                colour=ship.colour,
            )
            self._flying_shots.append((tick + game.BULLET_TICKS, bullet))

    def _move(self, dt: float) -> None:
        bullets, rocks = self.world.table(Bullet), self.world.table(Rock)
        for table in (bullets, rocks):
            x, y = table.x, table.y
            x += table.vx * dt * table.alive
            y += table.vy * dt * table.alive
        for place, speed in ((rocks.x, rocks.vx), (rocks.y, rocks.vy)):
            np.abs(speed, out=speed, where=place < -ARENA + 40)
            np.negative(np.abs(speed), out=speed, where=place > ARENA - 40)
            np.clip(speed, -MAX_ROCK_SPEED, MAX_ROCK_SPEED, out=speed)
        outside = np.maximum(np.abs(bullets.x), np.abs(bullets.y)) > ARENA - 2
        for row in np.flatnonzero(outside & bullets.alive).tolist():
            bullet = bullets.at(row)
            if bullet is not None:
                self._blast(BlastKind.SPARK, bullet.x, bullet.y, bullet.colour)
                self.world.despawn(bullet)

    def _bullets_on_rocks(self, rng: random.Random) -> None:
        bullets, rocks = self.world.table(Bullet), self.world.table(Rock)
        b, r = bullets.rows(), rocks.rows()
        reach = ROCK_RADII[rocks.grade[r]] + game.BULLET_RADIUS
        hits = first_touch(bullets.x[b], bullets.y[b], rocks.x[r], rocks.y[r], reach)
        for i, j in zip(b[hits[0]].tolist(), r[hits[1]].tolist(), strict=True):
            bullet, rock = bullets.at(i), rocks.at(j)
            if bullet is None or rock is None:
                continue  # another bullet broke this rock just now: fly on
            rock.hull = max(0, rock.hull - 1)
            rock.vx += bullet.vx * 0.02 / rock.grade
            rock.vy += bullet.vy * 0.02 / rock.grade
            self._blast(BlastKind.SPARK, bullet.x, bullet.y, bullet.colour)
            if rock.hull == 0:
                self._score(bullet.player, POINTS_ROCK[rock.grade])
                self._break(rock, rng)
            self.world.despawn(bullet)

    def _bullets_on_ships(self, tick: int) -> None:
        bullets, ships = self.world.table(Bullet), self.world.table(Ship)
        b, s = bullets.rows(), ships.rows()
        i, j = touching(bullets.x[b], bullets.y[b], ships.x[s], ships.y[s], game.SHIP_RADIUS + 3.0)
        foreign = bullets.player[b[i]] != ships.player[s[j]]
        for row, target in zip(b[i[foreign]].tolist(), s[j[foreign]].tolist(), strict=True):
            bullet, ship = bullets.at(row), ships.at(target)
            if bullet is None or ship is None:
                continue
            self._blast(BlastKind.SPARK, bullet.x, bullet.y, bullet.colour)
            self._hurt(ship, SHOT_DAMAGE, tick, by=bullet.player)
            ship.vx = _bounded(ship.vx + bullet.vx * 0.03)
            ship.vy = _bounded(ship.vy + bullet.vy * 0.03)
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

    def _expire(self, tick: int) -> None:
        # All bullets fly equally long, so the list is ordered by when they end.
        while self._flying_shots and self._flying_shots[0][0] <= tick:
            self.world.despawn(self._flying_shots.popleft()[1])

    def _care(self, tick: int, rng: random.Random) -> None:
        """What is done now and then rather than every tick."""
        for seat in self.seats.values():
            if seat.ship is None:
                if tick >= seat.respawn_at:
                    self._outcome.launched.append((seat.player, self._launch(seat, tick, rng)))
                continue
            if seat.ship.shielded and tick >= seat.shield_until:
                seat.ship.shielded = False
            if tick % AMMO_EVERY == 0 and seat.ship.ammo < AMMO_RESERVE:
                seat.ship.ammo += 1
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
