"""A shot hits what the shooter saw, whatever the line: the server looks into the past."""

import random

import pytest

import netcode as nc
from netcode.core.player import Player
from netcode.testing import SteppedClient, Stepper
from netcode.transports.link_model import conditions

RADIUS = 10.0
SPEED = 380.0


class Mark(nc.Entity):
    x = nc.Float(-2000, 2000, step=0.05)
    vx = nc.Float(-400, 400, step=0.1)


class Gun(nc.Entity):
    shots = nc.Int(0, 100_000, only_owner=True)
    aim = nc.Float(-2000, 2000, step=0.05, only_owner=True)


class Aim(nc.Input):
    at = nc.Float(-2000, 2000, step=0.05)
    fire = nc.Bool(edge=True)


def shoot(gun: Gun, aim: Aim, step: nc.Step) -> None:
    gun.shots += aim.fire
    gun.aim = aim.at


GAME = nc.Protocol(entities=[Mark, Gun], inputs=[Aim], simulate={Gun: shoot})


class Range:
    """A shooting range: marks that cross at full speed, and who hit what, at both ends."""

    def __init__(self, weather: str, seed: int = 1, **options: float) -> None:
        self.game = Stepper(GAME, seed=seed, **options)
        self.verdicts: dict[int, bool] = {}
        self.seen: dict[int, bool] = {}
        self.lags: list[float] = []
        self._shots = 0
        world = self.game.host.world
        self.marks = [world.spawn(Mark, x=200.0 * n - 400, vx=SPEED) for n in range(4)]
        self.game.host.on_join.append(lambda player: player.control(world.spawn(Gun)))
        self.game.host.on_tick.append(self._tick)
        self.ada = self.game.join("Ada", weather)
        self.game.run_until(lambda: self.ada.own(Gun) is not None, within=10.0)
        self.rng = random.Random(seed)
        self._aim, self._frame = 0.0, 0

    def _tick(self, step: nc.Step) -> None:
        for mark in self.marks:
            mark.x += mark.vx * step.dt
            if abs(mark.x) > 1800:
                mark.vx = -mark.vx
        for player in self.game.host.guests:
            self._judge(player)

    def _judge(self, player: Player) -> None:
        [gun] = player.entities
        assert isinstance(gun, Gun)
        if gun.shots == self._shots:
            return
        self._shots = gun.shots
        with self.game.host.rewind(player) as past:
            self.lags.append(self.game.host.tick - past.tick)
            self.verdicts[gun.shots] = bool((abs(past[Mark].x - gun.aim) < RADIUS).any())

    def shooter(self, guest: SteppedClient) -> list[Aim]:
        """Shoots every fifth of a second at what the last frame showed, or beside it."""
        self._frame += 1
        marks = [mark.x for mark in guest.world[Mark]]
        fire = bool(marks) and self._frame % 12 == 0
        if marks:
            offset = self.rng.uniform(-2 * RADIUS, 2 * RADIUS) if fire else 0.0
            self._aim = round((self.rng.choice(marks) + offset) / 0.05) * 0.05
        if fire:
            self.seen[len(self.seen) + 1] = any(abs(x - self._aim) < RADIUS for x in marks)
        return [Aim(at=self._aim, fire=fire)]

    def agreement(self, first: int) -> float:
        common = [n for n in self.seen if n > first and n in self.verdicts]
        assert len(common) > 50
        return sum(self.seen[n] == self.verdicts[n] for n in common) / len(common)


@pytest.mark.parametrize("weather", ["lan", "wifi", "4g", "loss5"])
def test_the_server_sees_what_the_shooter_saw(weather: str) -> None:
    fair = Range(weather)
    fair.game.run(4.0, fair.shooter)
    first = len(fair.seen)
    fair.game.run(20.0, fair.shooter)
    assert fair.agreement(first) >= 0.97
    one_way = conditions(weather).delay
    assert min(fair.lags[5:]) > (2 * one_way + 0.05) * 60


def test_without_rewinding_it_would_see_something_else() -> None:
    fair = Range("4g", max_rewind=0.0)
    fair.game.run(4.0, fair.shooter)
    first = len(fair.seen)
    fair.game.run(15.0, fair.shooter)
    assert fair.agreement(first) < 0.8
    assert set(fair.lags) == {0.0}


def test_it_goes_back_no_farther_than_is_allowed() -> None:
    fair = Range("terrible")
    fair.game.run(10.0, fair.shooter)
    assert max(fair.lags) <= 0.4 * 60 + 1e-6


@pytest.mark.parametrize("lie", [0, 65_535])
def test_a_client_that_lies_about_what_it_saw_gains_little(lie: int) -> None:
    honest, liar = Range("4g"), Range("4g")
    sampler = liar.ada.guest._sampler
    sampler._lag = lambda tick: lie  # type: ignore[method-assign]
    for fair in (honest, liar):
        fair.game.run(6.0, fair.shooter)
    typical = sorted(honest.lags)[len(honest.lags) // 2]
    off = [abs(lag - typical) / 60 for lag in liar.lags[10:]]
    assert max(off) < 0.17


def test_the_player_must_be_there() -> None:
    fair = Range("lan")
    player = fair.game.player_of(fair.ada)
    fair.ada.guest.close()
    fair.game.run(0.2)
    with pytest.raises(nc.UsageError, match="has left"):
        fair.game.host.rewind(player)
