"""How a bot plays: it looks at the world that its client sees, and steers.

A brain collects crystals, hunts ships in range, keeps clear of rocks and shoots those in its
way. It knows nothing that a person at the same screen would not know.
"""

import math
import random

import numpy as np

import netcode as nc
from demo_game import game
from demo_game.collisions import Floats
from demo_game.game import Crystal, Pilot, Rock, Ship, Steer

THINK_EVERY = 0.1
"""Seconds between two looks around: about as fast as people, and a tenth of the cost."""
HUNT_RANGE = 560.0
CRUISE = 240.0
"""Speed towards a target, in units per second."""
LOOK_AHEAD = 1.5
"""Seconds ahead in which a rock must not come near."""
SAFETY = 34.0
"""Distance kept from a rock's surface."""
MOOD_SECONDS = 40.0
"""A bot's moods come back after this long."""
CHASE_SECONDS = 9.0
"""A bot loses interest in one ship after this long, and returns to crystals for a while."""


class Brain:
    """One bot's mind. ``rng`` gives it its character: its aim and, unless told, its aggression
    (0 collects, 1 hunts whenever it can)."""

    def __init__(self, rng: random.Random, aggression: float | None = None) -> None:
        self._rng = rng
        self._aim_error = rng.uniform(0.02, 0.09)
        self._aggression = rng.uniform(0.3, 1.0) if aggression is None else aggression
        self._phase = rng.uniform(0.0, MOOD_SECONDS)
        self._next_thought = 0.0
        self._bored_until = 0.0
        self._chasing_since = 0.0
        self._steer = Steer()
        self._aim: float | None = None
        self._push = (0.0, 0.0)

    def decide(self, world: nc.World, own: Ship | None, now: float) -> Steer:
        """What to press now. ``now`` is monotonic seconds, ``own`` None while destroyed."""
        if own is None:
            return Steer()
        if now >= self._next_thought:
            self._next_thought = now + THINK_EVERY
            self._look_around(world, own, now)
        return self._act(own)

    def _look_around(self, world: nc.World, own: Ship, now: float) -> None:
        x, y, vx, vy = own.x, own.y, own.vx, own.vy
        avoid, in_the_way = self._avoid_rocks(world, x, y, vx, vy)
        prey = self._nearest_ship(world, own, now)
        self._aim = None
        if prey is not None:
            self._aim = self._lead(own, prey) + self._rng.gauss(0.0, self._aim_error)
            gap = math.hypot(prey.x - x, prey.y - y)
            wanted = _towards(x, y, prey.x, prey.y, CRUISE if gap > 220 else 60.0)
        else:
            wanted = self._to_crystal(world, x, y)
            if own.ammo > 15 and own.hull > 50 and self._hunts(now):
                wanted = self._to_nearest_pilot(world, own) or wanted
            if in_the_way is not None and own.ammo > 10:
                self._aim = in_the_way
        if avoid is not None:
            wanted = avoid
        self._push = (wanted[0] - vx, wanted[1] - vy)
        if avoid is not None and in_the_way is None:
            self._aim = None

    def _avoid_rocks(
        self, world: nc.World, x: float, y: float, vx: float, vy: float
    ) -> tuple[tuple[float, float] | None, float | None]:
        """The velocity that leads past the most urgent rock, and the direction to shoot at."""
        rocks = world.table(Rock)
        rows = rocks.rows()
        if len(rows) == 0:
            return None, None
        px, py = rocks.x[rows] - x, rocks.y[rows] - y
        wx, wy = rocks.vx[rows] - vx, rocks.vy[rows] - vy
        when = _closest_approach(px, py, wx, wy)
        miss_x, miss_y = px + wx * when, py + wy * when
        room = np.hypot(miss_x, miss_y) - np.array(game.ROCK_RADII)[rocks.grade[rows]]
        danger = room < SAFETY + game.SHIP_RADIUS
        if not danger.any():
            return None, None
        first = int(np.where(danger, when, np.inf).argmin())
        bearing = math.atan2(float(py[first]), float(px[first]))
        # Pass on the side on which the rock would be missed by more already.
        side = 1.0 if px[first] * miss_y[first] - py[first] * miss_x[first] < 0 else -1.0
        away = bearing + side * (math.pi / 2 + 0.5)
        escape = (math.cos(away) * CRUISE, math.sin(away) * CRUISE)
        return escape, bearing if math.hypot(float(px[first]), float(py[first])) < 300 else None

    def _nearest_ship(self, world: nc.World, own: Ship, now: float) -> Ship | None:
        ships = world.table(Ship)
        rows = ships.rows()
        rows = rows[(ships.player[rows] != own.player) & ~ships.shielded[rows]]
        if len(rows) == 0 or now < self._bored_until or own.ammo < 3 or own.hull < 22:
            self._chasing_since = now
            return None
        away = np.hypot(ships.x[rows] - own.x, ships.y[rows] - own.y)
        nearest = int(away.argmin())
        if away[nearest] > HUNT_RANGE * self._aggression + 160:
            self._chasing_since = now
            return None
        if now - self._chasing_since > CHASE_SECONDS:
            self._bored_until = now + CHASE_SECONDS * (1.2 - self._aggression)
        return ships.at(int(rows[nearest]))

    def _to_crystal(self, world: nc.World, x: float, y: float) -> tuple[float, float]:
        crystals = world.table(Crystal)
        rows = crystals.rows()
        if len(rows) == 0:
            return _towards(x, y, 0.0, 0.0, CRUISE)
        cx, cy = crystals.x[rows], crystals.y[rows]
        best = int((np.hypot(cx - x, cy - y) - 60.0 * crystals.worth[rows]).argmin())
        gap = math.hypot(float(cx[best]) - x, float(cy[best]) - y)
        speed = min(CRUISE, 60.0 + gap)
        return _towards(x, y, float(cx[best]), float(cy[best]), speed)

    def _hunts(self, now: float) -> bool:
        """Moods: each bot looks for ships for a while, then for crystals again."""
        return (now + self._phase) % MOOD_SECONDS < MOOD_SECONDS * self._aggression

    def _to_nearest_pilot(self, world: nc.World, own: Ship) -> tuple[float, float] | None:
        """Towards the nearest dot on the minimap, which everybody has."""
        pilots = world.table(Pilot)
        rows = pilots.rows()
        rows = rows[pilots.flying[rows] & (pilots.player[rows] != own.player)]
        if len(rows) == 0:
            return None
        px = pilots.radar_x[rows] * (2 * game.ARENA / 255) - game.ARENA
        py = pilots.radar_y[rows] * (2 * game.ARENA / 255) - game.ARENA
        nearest = int(np.hypot(px - own.x, py - own.y).argmin())
        return _towards(own.x, own.y, float(px[nearest]), float(py[nearest]), CRUISE)

    def _lead(self, own: Ship, prey: Ship) -> float:
        """The direction in which a shot meets a ship that flies on as it does."""
        px, py = prey.x - own.x, prey.y - own.y
        wx, wy = prey.vx - own.vx, prey.vy - own.vy
        flight = math.hypot(px, py) / game.BULLET_SPEED
        return math.atan2(py + wy * flight, px + wx * flight)

    def _act(self, own: Ship) -> Steer:
        push = math.hypot(*self._push)
        aiming = self._aim is not None
        if self._aim is not None:
            course = self._aim
        elif push > 25:
            course = math.atan2(self._push[1], self._push[0])
        else:
            course = own.heading
        off = _angle(course - own.heading)
        along = math.cos(_angle(math.atan2(self._push[1], self._push[0]) - own.heading))
        return Steer(
            turn=0 if abs(off) < 0.04 else (1 if off > 0 else -1),
            thrust=push > 25 and along > 0.8,
            brake=push > 90 and along < -0.3,
            fire=aiming and abs(off) < 0.12,
        )


def _closest_approach(px: Floats, py: Floats, wx: Floats, wy: Floats) -> Floats:
    """When things at p, moving with w, are nearest to the origin, within `LOOK_AHEAD`."""
    along = -(px * wx + py * wy) / np.maximum(wx * wx + wy * wy, 1.0)
    return np.asarray(np.clip(along, 0.0, LOOK_AHEAD))


def _towards(x: float, y: float, to_x: float, to_y: float, speed: float) -> tuple[float, float]:
    dx, dy = to_x - x, to_y - y
    scale = speed / max(1.0, math.hypot(dx, dy))
    return dx * scale, dy * scale


def _angle(turn: float) -> float:
    """The same turn in -π..π."""
    return (turn + math.pi) % math.tau - math.pi
