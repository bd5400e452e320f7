"""The server's rules, played on a world without any network."""

import contextlib
import math
import random

import pytest

import netcode as nc
from demo_game import game, simulation
from demo_game.brain import Brain
from demo_game.game import (
    GAME,
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
)
from demo_game.simulation import Outcome, Rules, SeenBy, move_all

DT = 1 / 60


class Arena:
    """An arena whose ships do what the test says; ``steer`` holds what each player presses."""

    def __init__(self, rocks: int = 0, crystals: int = 0, **options: int) -> None:
        self.world = nc.World(GAME.entities)
        self.rules = Rules(self.world, seed=1, rocks=rocks, crystals=crystals, **options)
        self.tick = 0
        self.steer: dict[int, Steer] = {}
        self.seen_by: SeenBy | None = None

    def join(self, player: int, name: str = "", **values: float | bool) -> Ship:
        ship = self.rules.join(player, name or f"p{player}", self.tick, random.Random(player))
        ship.shielded = False
        for field, value in values.items():
            setattr(ship, field, value)
        return ship

    def play(self, ticks: int = 1) -> Outcome:
        """Play on; what happened in all those ticks together."""
        total = Outcome()
        for _ in range(ticks):
            self.tick += 1
            step = nc.Step(tick=self.tick, dt=DT, world=self.world, seed=0, spawn=self.world.spawn)
            move_all(self.world, step, lambda ship: self.steer.get(ship.player, Steer()))
            outcome = self.rules.step(step, self.seen_by)
            for name in Outcome.__slots__:
                getattr(total, name).extend(getattr(outcome, name))
        return total

    def pilot(self, player: int) -> Pilot:
        return self.rules.seats[player].pilot


def test_a_shot_flies_straight_from_the_nose_and_ends_by_itself() -> None:
    arena = Arena()
    arena.join(1, x=0.0, y=0.0, heading=0.0, vx=0.0, vy=0.0)
    arena.steer[1] = Steer(fire=True)
    arena.play()
    arena.steer[1] = Steer()
    (bullet,) = arena.world[Bullet]
    assert (bullet.vx, bullet.vy) == (game.BULLET_SPEED, 0)
    start = bullet.x
    arena.play(30)
    assert bullet.x == pytest.approx(start + game.BULLET_SPEED * 0.5)
    arena.play(game.BULLET_TICKS)
    assert not bullet.alive


def test_shots_hurt_others_and_not_oneself() -> None:
    arena = Arena()
    shooter = arena.join(1, x=0.0, y=0.0, heading=0.0)
    target = arena.join(2, x=200.0, y=0.0)
    arena.steer[1] = Steer(fire=True)
    arena.play(60)
    assert shooter.hull == game.MAX_HULL
    assert target.hull <= game.MAX_HULL - 3 * simulation.SHOT_DAMAGE
    assert target.vx > 0, "hits push"
    arena.world.spawn(Bullet, x=shooter.x, y=shooter.y, player=1)
    arena.play()
    assert shooter.hull == game.MAX_HULL, "not even a bullet that lies on it"


def test_a_shield_stops_damage_and_ends_when_its_ship_shoots() -> None:
    arena = Arena()
    arena.join(1, x=0.0, y=0.0, heading=0.0)
    target = arena.join(2, x=200.0, y=0.0, heading=0.0, shielded=True)
    arena.steer[1] = Steer(fire=True)
    arena.play(50)
    assert target.hull == game.MAX_HULL
    arena.steer[2] = Steer(fire=True)
    arena.play(2)
    assert not target.shielded


def test_a_destroyed_ship_gives_points_crystals_news_and_comes_back() -> None:
    arena = Arena()
    arena.join(1, "Ada", x=0.0, y=0.0, heading=0.0)
    target = arena.join(2, "Bob", x=200.0, y=0.0, hull=5)
    arena.steer[1] = Steer(fire=True)
    outcome = arena.play(40)
    arena.steer[1] = Steer()
    assert not target.alive
    assert [(news.victim, news.by) for news in outcome.news if isinstance(news, Downed)] == [
        ("Bob", "Ada")
    ]
    assert arena.pilot(1).kills == 1
    assert arena.pilot(1).score >= simulation.POINTS_SHIP
    assert not arena.pilot(2).flying
    assert [player for player, _, _ in outcome.wrecked] == [2]
    assert BlastKind.SHIP in {blast.kind for blast in outcome.blasts}
    assert len(arena.world[Crystal]) == simulation.WRECK_CRYSTALS

    later = arena.play(simulation.RESPAWN_TICKS + 1)
    ((player, ship),) = later.launched
    assert player == 2
    assert (ship.hull, ship.shielded, ship.name) == (game.MAX_HULL, True, "Bob")
    assert arena.pilot(2).flying


def test_a_ship_pushed_onto_a_rock_is_credited_to_who_shot_it_last() -> None:
    arena = Arena()
    arena.join(1, "Ada", x=-1000.0, y=0.0, heading=0.0)
    arena.join(2, "Bob", x=0.0, y=0.0, vx=370.0, hull=simulation.SHOT_DAMAGE + 10)
    arena.world.spawn(Bullet, x=0, y=0, player=1)
    arena.world.spawn(Rock, x=150, y=0, grade=3, hull=3)
    outcome = arena.play(60)
    assert [(n.victim, n.by) for n in outcome.news if isinstance(n, Downed)] == [("Bob", "Ada")]


def test_a_rock_takes_its_hits_then_breaks_into_smaller_ones() -> None:
    arena = Arena()
    arena.join(1, x=0.0, y=0.0, heading=0.0)
    rock = arena.world.spawn(Rock, x=150, y=0, grade=3, hull=3)
    arena.steer[1] = Steer(fire=True)
    while rock.alive and arena.tick < 120:
        arena.play()
    assert not rock.alive
    assert [piece.grade for piece in arena.world[Rock]] == [2, 2, 2]
    assert arena.pilot(1).score == simulation.POINTS_ROCK[3]


def test_two_shots_at_once_break_a_rock_once_and_both_are_spent() -> None:
    arena = Arena()
    arena.join(1)
    arena.world.spawn(Rock, x=0, y=0, grade=1, hull=1)
    for _ in range(2):
        arena.world.spawn(Bullet, x=5, y=0, player=1)
    arena.play()
    assert arena.pilot(1).score == simulation.POINTS_ROCK[1]
    assert len(arena.world[Bullet]) == 0, "its player saw the second one hit, too"


def test_a_bump_throws_the_ship_back_and_costs_hull_by_its_speed() -> None:
    hulls = []
    for speed in (50.0, 200.0, 370.0):
        arena = Arena()
        ship = arena.join(1, x=0.0, y=0.0, vx=speed, vy=0.0)
        arena.world.spawn(Rock, x=120, y=0, grade=3, hull=3)
        arena.play(150)
        assert ship.vx < 0
        hulls.append(ship.hull)
    assert hulls[0] == game.MAX_HULL > hulls[1] > hulls[2]


def test_ships_that_meet_exchange_their_speed() -> None:
    arena = Arena()
    one = arena.join(1, x=-60.0, y=0.0, vx=200.0, vy=0.0)
    two = arena.join(2, x=60.0, y=0.0, vx=-200.0, vy=0.0)
    arena.play(30)
    assert one.vx < 0 < two.vx
    assert one.hull == two.hull < game.MAX_HULL


def test_crystals_give_points_and_ammunition() -> None:
    arena = Arena()
    ship = arena.join(1, x=0.0, y=0.0, ammo=10)
    arena.world.spawn(Crystal, x=8, y=0, worth=3)
    arena.world.spawn(Crystal, x=400, y=0, worth=3)
    arena.play()
    assert arena.pilot(1).score == 3 * simulation.POINTS_CRYSTAL
    assert ship.ammo == 10 + simulation.AMMO_PER_CRYSTAL
    assert len(arena.world[Crystal]) == 1


def test_hull_and_ammunition_grow_back() -> None:
    arena = Arena()
    ship = arena.join(1, hull=50, ammo=0)
    arena.play(600)
    assert ship.hull > 55
    assert 15 < ship.ammo <= game.AMMO_RESERVE


def test_who_leaves_leaves_nothing_behind() -> None:
    arena = Arena()
    arena.join(1)
    arena.join(2)
    arena.rules.leave(1)
    arena.rules.leave(1)
    assert [pilot.player for pilot in arena.world[Pilot]] == [2]
    assert [ship.player for ship in arena.world[Ship]] == [2]
    arena.play(10)


def test_who_leaves_while_destroyed_does_not_come_back() -> None:
    arena = Arena()
    arena.join(1, hull=0)
    arena.play()
    arena.rules.leave(1)
    assert arena.play(simulation.RESPAWN_TICKS + 5).launched == []


def test_shots_of_one_who_left_are_gone() -> None:
    arena = Arena()
    arena.join(1, x=0.0, y=0.0, heading=0.0)
    arena.join(2, x=0.0, y=400.0, heading=0.0)
    arena.steer[1] = arena.steer[2] = Steer(fire=True)
    arena.play(5)
    arena.rules.leave(1)
    assert [shot.player for shot in arena.world[Bullet]] == [2]
    arena.play(40)


def test_a_new_shot_in_the_row_of_an_old_one_has_its_whole_life_before_it() -> None:
    arena = Arena()
    first = arena.world.spawn(Bullet, x=0, y=0, player=1)
    arena.play(game.BULLET_TICKS - 2)
    arena.world.despawn(first)
    shots = [arena.world.spawn(Bullet, x=0, y=0, player=1) for _ in range(40)]
    arena.play(game.BULLET_TICKS)
    assert all(shot.alive for shot in shots)
    arena.play()
    assert len(arena.world[Bullet]) == 0


def test_a_shot_ends_with_a_spark_at_the_arenas_edge() -> None:
    arena = Arena()
    arena.join(1, x=1900.0, y=0.0, heading=0.0)
    arena.steer[1] = Steer(fire=True)
    outcome = arena.play(15)
    assert {blast.kind for blast in outcome.blasts} == {BlastKind.SPARK}
    assert all(shot.x < game.ARENA for shot in arena.world[Bullet])


class Photograph:
    """What one player sees: another world, whose entities have the same handles."""

    def __init__(self, arena: Arena) -> None:
        self.world = nc.World(GAME.entities)
        for kind in (Ship, Rock):
            for entity in arena.world[kind]:
                picture = self.world.table(kind).place(entity.handle & 0xFFFF, entity.handle >> 16)
                for field in kind.fields:
                    picture._set(field, entity._get(field))


def test_a_shot_hits_what_its_player_saw_and_nothing_else() -> None:
    arena = Arena()
    arena.join(1, x=-900.0, y=-900.0)
    arena.join(3, x=-900.0, y=900.0)
    target = arena.join(2, x=0.0, y=0.0)
    seen = Photograph(arena).world
    target.x = 300.0  # by now
    asked: list[int] = []

    def seen_by(player: int) -> contextlib.nullcontext[nc.World]:
        asked.append(player)
        return contextlib.nullcontext(seen if player == 1 else arena.world)

    arena.seen_by = seen_by
    for player in (1, 3):
        for x in (0.0, 300.0):
            arena.world.spawn(Bullet, x=x, y=0.0, player=player)
    arena.play()
    assert target.hull == game.MAX_HULL - 2 * simulation.SHOT_DAMAGE
    left = [(shot.player, shot.x) for shot in arena.world[Bullet]]
    assert left == [(1, 300.0), (3, 0.0)]
    assert asked == [1, 3], "once for each player with shots"


def test_what_is_gone_by_now_takes_no_harm_but_the_shot_is_spent() -> None:
    arena = Arena()
    arena.join(1, x=-900.0, y=-900.0)
    rock = arena.world.spawn(Rock, x=0, y=0, grade=1, hull=1)
    seen = Photograph(arena).world
    arena.world.despawn(rock)
    new_tenant = arena.world.spawn(Rock, x=500, y=0, grade=1, hull=1)
    arena.seen_by = lambda player: contextlib.nullcontext(seen)
    arena.world.spawn(Bullet, x=0, y=0, player=1)
    outcome = arena.play()
    assert len(arena.world[Bullet]) == 0
    assert [blast.kind for blast in outcome.blasts] == [BlastKind.SPARK]
    assert new_tenant.hull == 1
    assert arena.pilot(1).score == 0


def test_a_round_ends_with_a_winner_and_begins_again() -> None:
    arena = Arena(round_seconds=2)
    arena.join(1, "Ada")
    arena.join(2, "Bob")
    arena.pilot(2).score = 70
    outcome = arena.play(200)
    (result,) = [news for news in outcome.news if isinstance(news, RoundOver)]
    assert (result.winner, result.score) == ("Bob", 70)
    assert [pilot.score for pilot in arena.world[Pilot]] == [0, 0]
    (clock,) = arena.world[Round]
    assert clock.seconds > 0


def test_the_radar_shows_where_a_ship_is() -> None:
    arena = Arena()
    arena.join(1, x=-game.ARENA + 20, y=game.ARENA - 20)
    arena.play(simulation.RADAR_EVERY)
    assert arena.pilot(1).radar_x <= 2
    assert arena.pilot(1).radar_y >= 253


def test_colours_differ_while_there_are_enough() -> None:
    arena = Arena()
    for player in range(1, game.COLOURS + 1):
        arena.join(player)
    assert len({pilot.colour for pilot in arena.world[Pilot]}) == game.COLOURS


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_new_ship_comes_where_nothing_is_near(seed: int) -> None:
    arena = Arena(rocks=60)
    rng = random.Random(seed)
    for player in range(1, 6):
        ship = arena.rules.join(player, "", 0, rng)
        for rock in arena.world[Rock]:
            assert math.hypot(rock.x - ship.x, rock.y - ship.y) > game.ROCK_RADII[3] + 15


@pytest.mark.parametrize("seed", [1])
def test_twenty_seconds_of_eight_bots_are_lively_and_stay_in_range(seed: int) -> None:
    arena = Arena(rocks=simulation.ROCKS, crystals=simulation.CRYSTALS)
    brains = {player: Brain(random.Random(seed * 100 + player)) for player in range(1, 9)}
    for player in brains:
        arena.join(player)
    blasts = 0
    for tick in range(1200):
        for ship in arena.world[Ship]:
            steer = brains[ship.player].decide(arena.world, ship, tick * DT)
            arena.steer[ship.player] = steer
        blasts += len(arena.play().blasts)
        if tick % 3 == 0:
            for table in arena.world.tables:
                table.quantise()
    assert [table.clamped for table in arena.world.tables] == [{}] * len(arena.world.tables)
    assert blasts > 100
    assert sum(pilot.score for pilot in arena.world[Pilot]) > 600
    assert len(arena.world[Rock]) < 400
    assert len(arena.world[Crystal]) <= simulation.CRYSTALS + 100
