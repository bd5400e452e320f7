"""Where rocks, crystals and ships come from: places in the arena, and how much there is."""

import math
import random

import numpy as np

import netcode as nc
from demo_game.collisions import clearance
from demo_game.game import ARENA, Crystal, Rock, Ship

ROCKS = 70
"""Large rocks at first. New ones come while there is less rock than this, counted in grades."""
CRYSTALS = 170
MAX_CRYSTALS = 320
"""Beyond this many nothing drops crystals any more."""

PLACES_TRIED = 14
"""Random places of which the clearest is taken."""
PIECES = {3: 3, 2: 2}
"""Into how many pieces of the next grade a rock breaks, by its grade."""


class Nursery:
    """Fills the arena when made, and keeps it filled."""

    def __init__(self, world: nc.World, rng: random.Random, *, rocks: int, crystals: int) -> None:
        self.world = world
        self._rock_mass, self._crystals = 3 * rocks, crystals
        for _ in range(rocks):
            self.rock(rng, 3, *anywhere(rng))
        for _ in range(crystals):
            self.crystal(rng, *anywhere(rng))

    def replenish(self, rng: random.Random) -> None:
        """Make up slowly for what was broken and collected."""
        rocks = self.world.table(Rock)
        if int(rocks.grade[rocks.rows()].sum()) < self._rock_mass:
            self.rock(rng, 3, *self.clear_place(rng))
        for _ in range(min(4, self._crystals - len(self.world.table(Crystal)))):
            self.crystal(rng, *anywhere(rng))

    def split(self, rock: Rock, rng: random.Random) -> None:
        """Replace a rock by its pieces, which fly apart, or by a crystal."""
        x, y, grade = rock.x, rock.y, rock.grade
        if grade == 1:
            if rng.random() < 0.6:
                self.crystal(rng, x, y)
        else:
            away = rng.uniform(0, math.tau)
            for part in range(PIECES[grade]):
                angle = away + part * math.tau / PIECES[grade]
                cos, sin = math.cos(angle), math.sin(angle)
                piece = self.rock(rng, grade - 1, x + cos * 20, y + sin * 20)
                piece.vx = rock.vx + cos * rng.uniform(30, 70)
                piece.vy = rock.vy + sin * rng.uniform(30, 70)
        self.world.despawn(rock)

    def rock(self, rng: random.Random, grade: int, x: float, y: float) -> Rock:
        angle, speed = rng.uniform(0, math.tau), rng.uniform(8, 46)
        return self.world.spawn(
            Rock,
            x=x,
            y=y,
            vx=math.cos(angle) * speed,
            vy=math.sin(angle) * speed,
            grade=grade,
            hull=grade,
        )

    def crystal(self, rng: random.Random, x: float, y: float) -> None:
        if len(self.world.table(Crystal)) < MAX_CRYSTALS:
            edge = ARENA - 30
            self.world.spawn(
                Crystal,
                x=max(-edge, min(edge, x)),
                y=max(-edge, min(edge, y)),
                worth=rng.choices((1, 2, 3), (6, 3, 1))[0],
            )

    def clear_place(self, rng: random.Random) -> tuple[float, float]:
        """A place far from ships, and not on a rock."""
        places = [anywhere(rng) for _ in range(PLACES_TRIED)]
        x, y = (np.array(axis) for axis in zip(*places, strict=True))
        ships, rocks = self.world.table(Ship), self.world.table(Rock)
        s, r = ships.rows(), rocks.rows()
        from_ships = np.minimum(clearance(x, y, ships.x[s], ships.y[s]), 900.0)
        from_rocks = np.minimum(clearance(x, y, rocks.x[r], rocks.y[r]), 150.0)
        return places[int((from_ships + 6 * from_rocks).argmax())]


def anywhere(rng: random.Random) -> tuple[float, float]:
    """Any place in the arena, not too near its edge."""
    return rng.uniform(60 - ARENA, ARENA - 60), rng.uniform(60 - ARENA, ARENA - 60)
