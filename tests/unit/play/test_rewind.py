"""The world as a player saw it: columns of the past, and how far a claim is believed."""

import numpy as np
import pytest

import netcode as nc
from netcode.play.motion import Motion
from netcode.play.rewind import Past, believed_lag
from netcode.world.history import History
from netcode.world.world import World

ADA, BOB = 1, 2


class Ship(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)
    heading = nc.Angle(bits=16)
    name = nc.Text(max_bytes=8)
    prey = nc.Ref("Ship")


class Rock(nc.Entity):
    x = nc.Float(-1000, 1000, step=0.01)


class Server:
    """Two ships that fly apart, a broadcast every third tick."""

    def __init__(self) -> None:
        self.world = World([Ship, Rock])
        self.history = History(self.world.tables, 3)
        self.motions = [Motion(table, 60.0, 3) for table in self.world.tables]
        self.ada = self.world.spawn(Ship, name="Ada")
        self.bob = self.world.spawn(Ship, name="Bob", prey=self.ada)
        self.world.table(Ship).own(self.ada._row, ADA)
        self.world.table(Ship).own(self.bob._row, BOB)
        self.tick = -1

    def run(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick += 1
            self.ada.x, self.bob.x = float(self.tick), -float(self.tick)
            if self.tick % 3 == 0:
                self.history.record(self.tick, self.world.tables)

    def past(self, tick: float, player: int = ADA) -> Past:
        return Past(self.world, self.history, self.motions, tick, player)


def test_others_are_where_they_were_between_two_broadcasts_and_oneself_is_where_one_is() -> None:
    server = Server()
    server.run(22)
    with server.past(10.5) as past:
        assert past.tick == 10.5
        ships = past[Ship]
        assert ships.x == pytest.approx([21.0, -10.5])
        assert ships.x.dtype == np.float64
        assert ships.alive.tolist() == [True, True]
        assert len(ships) == ships.size == 2
    with server.past(10.5, player=BOB) as past:
        assert past[Ship]["x"] == pytest.approx([10.5, -21.0])


def test_the_living_world_is_not_touched() -> None:
    server = Server()
    server.run(22)
    before = server.world.table(Ship).x.copy()
    with server.past(5.0) as past:
        assert past[Ship].x[1] == pytest.approx(-5.0)
        assert (server.world.table(Ship).x == before).all()
    assert server.bob.x == -21.0


def test_who_came_later_was_not_there_and_who_has_gone_was() -> None:
    server = Server()
    server.run(10)
    rock = server.world.spawn(Rock, x=7.0)
    gone = server.world.spawn(Rock, x=9.0)
    server.run(9)
    server.world.despawn(gone)
    server.run(6)
    with server.past(8.0) as past:
        assert len(past[Rock]) == 0
        assert past.find(rock) is None
    with server.past(15.0) as past:
        assert [r.x for r in past[Rock]] == pytest.approx([7.0, 9.0])
        assert past[Rock].rows().tolist() == [0, 1]
        assert past.find(gone) is None  # it has no handle any more
    with server.past(22.0) as past:
        assert past[Rock].alive.tolist() == [True, False]


def test_an_entity_of_the_past_can_be_read_and_not_written() -> None:
    server = Server()
    server.run(22)
    with server.past(9.0) as past:
        bob = past.find(server.bob)
        assert bob is not None
        assert (bob.x, bob.name, bob.handle) == (pytest.approx(-9.0), "Bob", server.bob.handle)
        assert bob.prey is server.ada
        assert not bob.mine
        assert past[Ship].at(0) is not None
        assert past[Ship].at(5) is None
        with pytest.raises(nc.UsageError, match="by_handle"):
            bob.x = 0.0
        with pytest.raises(ValueError, match="read-only"):
            past[Ship].x[0] = 0.0


def test_a_row_with_a_new_tenant_is_not_the_old_one() -> None:
    server = Server()
    old = server.world.spawn(Rock, x=1.0)
    server.run(10)
    handle = old.handle
    server.world.despawn(old)
    new = server.world.spawn(Rock, x=2.0)
    assert new._row == handle & 0xFFFF
    server.run(6)
    with server.past(6.0) as past:
        assert past.find(new) is None
        assert [rock.handle for rock in past[Rock]] == [handle]


def test_outside_its_block_the_past_is_over() -> None:
    server = Server()
    server.run(10)
    with server.past(5.0) as past:
        pass
    with pytest.raises(nc.UsageError, match="with"):
        past[Ship]


def test_misspelt_columns_say_what_there_is() -> None:
    server = Server()
    server.run(4)
    with server.past(2.0) as past:
        with pytest.raises(nc.UsageError, match="no field 'y'"):
            past[Ship]["y"]
        with pytest.raises(AttributeError, match="heading"):
            past[Ship].direction  # noqa: B018


def test_before_the_first_broadcast_nobody_was_there() -> None:
    server = Server()
    with server.past(0.0, player=9) as past:
        assert len(past[Ship]) == 0


USUAL = {
    "waited": 0.03, "silence": 0.0, "rtt": 0.1, "spread": 0.01, "interval": 0.05, "limit": 0.4,
}  # fmt: skip


def test_a_plausible_claim_is_believed() -> None:
    usual = 0.03 + 0.1 + 1.5 * 0.05 + 0.01
    for off in (-0.055, 0.0, 0.055):
        assert believed_lag(usual + off, **USUAL) == pytest.approx(usual + off)


@pytest.mark.parametrize("claimed", [-5.0, 0.0, 0.1, 0.3, 1.0, 1e9])
def test_a_claim_moves_it_only_within_what_was_measured(claimed: float) -> None:
    usual = 0.03 + 0.1 + 1.5 * 0.05 + 0.01
    assert abs(believed_lag(claimed, **USUAL) - usual) <= 0.05 + 0.01 + 1e-9


def test_lost_packets_before_a_press_make_a_longer_lag_plausible() -> None:
    assert believed_lag(0.35, **{**USUAL, "silence": 0.1}) > believed_lag(0.35, **USUAL)


@pytest.mark.parametrize("rtt", [0.5, 5.0])
def test_nothing_is_believed_beyond_the_limit(rtt: float) -> None:
    assert believed_lag(9.0, **{**USUAL, "rtt": rtt}) == 0.4
