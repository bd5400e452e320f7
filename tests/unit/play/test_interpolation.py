"""What is shown between two snapshots, when some are lost and rows change their tenants."""

import math

import numpy as np
import pytest

import netcode as nc
from netcode.play.interpolation import Interpolator
from netcode.world.history import ABSENT, Frame, History
from netcode.world.world import World


class Boat(nc.Entity):
    x = nc.Float(0, 1000, step=0.5)
    heading = nc.Angle(bits=12)
    flag = nc.Int(0, 100)


class Screen:
    """A client's display, fed with frames by hand."""

    def __init__(self) -> None:
        self.world = World([Boat])
        self.table = self.world.table(Boat)
        self.history = History(self.world.tables)
        self.interpolator = Interpolator(self.history, self.world.tables)
        self.own: dict[int, int] = {}

    def frame(
        self, tick: int, *, unknown: tuple[int, ...] = (), **boats: tuple[float, ...]
    ) -> None:
        """A snapshot: ``r0=(x,)``, ``r0=(x, heading, flag, generation)``; others are absent."""
        rows = {
            int(name[1:]): (*values, *(0.0, 0, 0)[len(values) - 1 :])
            for name, values in boats.items()
        }
        self.history.fit(0, max(rows, default=-1) + 1)
        frame: Frame = self.history.begin(tick)
        kept = frame.tables[0]
        kept.life[:] = ABSENT
        kept.known[:] = True
        for row, (x, heading, flag, generation) in rows.items():
            kept.life[row] = generation
            kept.known[row] = row not in unknown
            lanes = [
                *Boat.x.encode(x, self.world),
                *Boat.heading.encode(heading, self.world),
                *Boat.flag.encode(int(flag), self.world),
            ]
            kept.lanes[row] = lanes

    def show(self, tick: float) -> dict[int, Boat]:
        """Show this tick; the boats by row."""
        own = np.full(max(self.own, default=-1) + 1, ABSENT, dtype=np.int32)
        for row, generation in self.own.items():
            own[row] = generation
        arrangement = self.interpolator.arrange(tick, [own])
        assert arrangement is not None
        self.left = [boat.x for boat in arrangement.leaving if isinstance(boat, Boat)]
        for entity in arrangement.leaving:
            self.world.despawn(entity)
        self.entered = [table.place(row, life) for table, row, life in arrangement.entering]
        self.interpolator.show(arrangement)
        return {boat._row: boat for boat in self.world[Boat]}


def test_without_history_there_is_nothing_to_show() -> None:
    screen = Screen()
    assert screen.interpolator.arrange(5.0, [np.zeros(0, dtype=np.int32)]) is None


@pytest.mark.parametrize(("tick", "x"), [(10, 100.0), (10.5, 110.0), (11.5, 130.0), (13, 160.0)])
def test_between_two_frames_values_blend(tick: float, x: float) -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(160.0,))
    assert screen.show(tick)[0].x == pytest.approx(x)


def test_discrete_values_change_when_their_tick_comes() -> None:
    screen = Screen()
    screen.frame(10, r0=(0.0, 0.0, 1, 0))
    screen.frame(13, r0=(0.0, 0.0, 2, 0))
    assert screen.show(12.9)[0].flag == 1
    assert screen.show(13.0)[0].flag == 2


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_an_angle_turns_the_short_way_round(share: float) -> None:
    screen = Screen()
    screen.frame(10, r0=(0.0, math.tau - 0.2))
    screen.frame(13, r0=(0.0, 0.2))
    heading = screen.show(10 + 3 * share)[0].heading
    expected = -0.2 + 0.4 * share
    assert math.remainder(heading - expected, math.tau) == pytest.approx(0.0, abs=0.003)


def test_before_the_first_frame_the_first_one_is_shown() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(160.0,))
    assert screen.show(3.0)[0].x == 100.0


def test_beyond_the_newest_frame_things_stop() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(160.0,))
    assert screen.show(20.0)[0].x == 160.0


def test_a_lost_frame_makes_the_path_longer_not_the_picture_jump() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(16, r0=(220.0,))  # 13 never came
    assert screen.show(13.0)[0].x == pytest.approx(160.0)


def test_a_row_unknown_in_one_frame_is_taken_from_its_neighbours() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,), r1=(0.0,))
    screen.frame(13, r0=(7.0,), r1=(30.0,), unknown=(0,))
    screen.frame(16, r0=(220.0,), r1=(60.0,))
    for tick in (12.0, 13.0, 14.5):
        boats = screen.show(tick)
        assert boats[0].x == pytest.approx(100.0 + 20.0 * (tick - 10))
        assert boats[1].x == pytest.approx(10.0 * (tick - 10))


def test_a_row_never_known_shows_the_best_that_there_is() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,), unknown=(0,))
    assert screen.show(10.0)[0].x == 100.0


def test_entities_enter_and_leave_when_their_tick_is_shown() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(100.0,), r3=(300.0,))
    screen.frame(16, r3=(330.0,))
    assert set(screen.show(12.9)) == {0}
    assert set(screen.show(13.0)) == {0, 3}
    assert [boat._row for boat in screen.entered] == [3]
    assert set(screen.show(16.0)) == {3}
    assert screen.left == [100.0]
    assert screen.entered == []


def test_one_that_leaves_does_not_glide_away() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13)
    assert screen.show(12.0)[0].x == 100.0


def test_a_reused_row_is_another_entity_and_does_not_blend_with_the_old_one() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0, 0.0, 0, 4))
    screen.frame(13, r0=(900.0, 0.0, 0, 5))
    old = screen.show(11.5)[0]
    assert old.x == 100.0
    new = screen.show(13.0)[0]
    assert new.x == 900.0
    assert not old.alive
    assert len(screen.entered) == 1


def test_samples_are_not_taken_from_a_former_tenant_of_the_row() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0, 0.0, 0, 4))
    screen.frame(13, r0=(900.0, 0.0, 0, 5), unknown=(0,))
    screen.frame(16, r0=(930.0, 0.0, 0, 5))
    assert screen.show(13.0)[0].x == pytest.approx(900.0)


def test_own_entities_are_there_now_whatever_the_display_tick_says() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.own = {2: 7}
    assert set(screen.show(10.0)) == {0, 2}
    screen.own = {}
    assert set(screen.show(10.0)) == {0}


def test_a_frame_with_more_rows_than_the_one_before() -> None:
    screen = Screen()
    screen.frame(10, r0=(1.0,))
    screen.frame(13, r0=(4.0,), r40=(400.0,))
    screen.frame(16, r0=(7.0,))
    for tick in (9.0, 11.0, 13.0, 14.0, 16.0, 18.0):
        boats = screen.show(tick)
        assert set(boats) == ({0, 40} if 13 <= tick < 16 else {0})
        assert boats[0].x == pytest.approx(min(7.0, max(1.0, tick - 9)), abs=0.01)
