"""What shots touch, when they end, and how a player's own are shown before the server knows."""

import numpy as np
import pytest

import netcode as nc
from demo_game import game
from demo_game.game import ARENA, GAME, Blast, BlastKind, Bullet, Rock, Ship
from demo_game.shots import REMEMBERED, Fuses, OwnShots, beyond_the_walls, first_touched

ME, OTHER = 1, 2


@pytest.fixture
def world() -> nc.World:
    """A client's world: player 1 flies at the middle."""
    world = nc.World(GAME.entities)
    world.table(Bullet).me = ME
    world.spawn(Ship, player=ME)
    return world


def shoot(world: nc.World, x: float, y: float = 0.0, player: int = ME) -> Bullet:
    bullet = world.spawn(Bullet, x=x, y=y, vx=game.BULLET_SPEED, player=player)
    world.table(Bullet).own(bullet._row, player)
    return bullet


def test_shots_touch_rocks_and_others_but_not_the_own_ship(world: nc.World) -> None:
    rock = world.spawn(Rock, x=200, y=0, grade=3)
    other = world.spawn(Ship, player=OTHER, x=400)
    x = np.array([0.0, 200.0 - game.ROCK_RADII[3], 300.0, 412.0])
    assert first_touched(x, np.zeros(4), ME, world) == [(1, rock), (3, other)]
    assert [shot for shot, _ in first_touched(x, np.zeros(4), OTHER, world)] == [0, 1]
    assert beyond_the_walls(np.array([0.0, ARENA]), np.array([-ARENA + 5, 0.0])).tolist() == [1]


def test_every_shot_ends_when_its_time_is_over_whoever_had_its_row_before() -> None:
    world, fuses = nc.World(GAME.entities), Fuses()
    bullets = world.table(Bullet)
    first = shoot(world, 0)
    assert fuses.burnt(bullets, 10).tolist() == []
    second = shoot(world, 0)
    assert fuses.burnt(bullets, 20).tolist() == []
    assert fuses.burnt(bullets, 10 + game.BULLET_TICKS).tolist() == [first._row]
    world.despawn(first)
    assert fuses.burnt(bullets, 20 + game.BULLET_TICKS).tolist() == [second._row]
    world.despawn(second)
    for _ in range(40):
        shoot(world, 0)
    assert fuses.burnt(bullets, 100).tolist() == []
    assert len(fuses.burnt(bullets, 100 + game.BULLET_TICKS)) == 40


def test_each_own_shot_is_told_of_once(world: nc.World) -> None:
    shots = OwnShots()
    one = shoot(world, 20)
    shoot(world, 20, player=OTHER)
    assert shots.update(world, 1).fired == [one]
    assert shots.update(world, 2).fired == []
    two = shoot(world, 20)
    assert shots.update(world, 3).fired == [two]


def test_a_shot_ends_on_what_is_displayed_in_its_way(world: nc.World) -> None:
    world.spawn(Rock, x=200, y=0, grade=3)
    shots, shot = OwnShots(), shoot(world, 100)
    assert shots.update(world, 1).struck == []
    shot.x = 160.0
    assert shots.update(world, 2).struck == [shot]
    assert shots.hides(shot)
    shot.x = 300.0
    assert shots.update(world, 3).struck == [], "once is enough"
    assert shots.hides(shot), "whatever the server makes of it"


def test_a_shot_ends_at_the_walls(world: nc.World) -> None:
    shots, shot = OwnShots(), shoot(world, ARENA - 1)
    assert shots.update(world, 1).struck == [shot]


def test_what_only_fades_away_stops_no_shot(world: nc.World) -> None:
    rock = world.spawn(Rock, x=200, y=0, grade=3)
    shots, shot = OwnShots(), shoot(world, 200)
    assert shots.update(world, 1, gone={rock}).struck == []
    assert not shots.hides(shot)


def test_a_shot_goes_out_when_its_time_is_over_before_the_server_says_so(world: nc.World) -> None:
    shots, shot = OwnShots(), shoot(world, 500)
    shots.update(world, 100)
    assert shots.update(world, 99 + game.BULLET_TICKS).struck == []
    assert not shots.hides(shot)
    assert shots.update(world, 100 + game.BULLET_TICKS).struck == [], "it has hit nothing"
    assert shots.hides(shot)


def test_without_prediction_nothing_ends_before_the_server_says_so(world: nc.World) -> None:
    world.spawn(Rock, x=200, y=0, grade=3)
    shots, shot = OwnShots(), shoot(world, 200)
    shots.update(world, 1)
    assert shots.hides(shot)
    sight = shots.update(world, None)
    assert (sight.fired, sight.struck) == ([], [])
    assert not shots.hides(shot)
    later = shoot(world, 100)
    assert shots.update(world, None).fired == [later]


def test_each_spark_that_was_shown_answers_for_one_of_the_servers(world: nc.World) -> None:
    world.spawn(Rock, x=200, y=0, grade=3)
    shots = OwnShots()
    for _ in range(2):
        shoot(world, 200)
    assert len(shots.update(world, 1).struck) == 2
    assert not shots.have_shown(Blast(kind=BlastKind.ROCK, x=200, y=0))
    assert not shots.have_shown(Blast(kind=BlastKind.SPARK, x=300, y=0))
    near = Blast(kind=BlastKind.SPARK, x=215, y=-10)
    assert [shots.have_shown(near) for _ in range(3)] == [True, True, False]


def test_what_the_server_never_confirms_is_forgotten(world: nc.World) -> None:
    world.spawn(Rock, x=200, y=0, grade=3)
    shots = OwnShots()
    shoot(world, 200)
    shots.update(world, 1)
    shots.update(world, 2 + REMEMBERED)
    assert not shots.have_shown(Blast(kind=BlastKind.SPARK, x=200, y=0))
