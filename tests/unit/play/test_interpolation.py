"""What is shown between two snapshots, when some are lost and rows change their tenants."""

import itertools
import math

import numpy as np
import pytest

import netcode as nc
from netcode.play.interpolation import Interpolator
from netcode.play.motion import FULL_SPEED, SLOWING
from netcode.world.history import ABSENT, History
from netcode.world.world import World


class Boat(nc.Entity):
    x = nc.Float(0, 10_000, step=0.5)
    heading = nc.Angle(bits=12)
    flag = nc.Int(0, 100)


class Screen:
    """A client's display, fed with frames by hand."""

    def __init__(self) -> None:
        self.world = World([Boat])
        self.table = self.world.table(Boat)
        self.history = History(self.world.tables)
        self.interpolator = Interpolator(self.history, self.world.tables)
        self.own: set[int] = set()
        self.version = 0

    def frame(
        self, tick: int, *, unknown: tuple[int, ...] = (), **boats: tuple[float, ...]
    ) -> None:
        """A snapshot: ``r0=(x,)``, ``r0=(x, heading, flag, generation)``; others are absent."""
        rows = {
            int(name[1:]): (*values, *(0.0, 0, 0)[len(values) - 1 :])
            for name, values in boats.items()
        }
        self.history.fit(0, max(rows, default=-1) + 1)
        self.version += 1
        frame = self.history.at(tick) or self.history.begin(tick)
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

    def show(self, tick: float, *, smooth: bool = True) -> dict[int, Boat]:
        """Show this tick; the boats by row."""
        own = np.array(sorted(self.own), dtype=np.intp)
        arrangement = self.interpolator.look(tick, [own], self.version)
        assert arrangement is not None
        self.left = [boat.x for boat in arrangement.leaving if isinstance(boat, Boat)]
        for entity in arrangement.leaving:
            if not self.interpolator.leave(entity, tick):
                self.world.despawn(entity)
        self.entered = [
            self.interpolator.enter(table, row, life, tick)
            for table, row, life in arrangement.entering
        ]
        self.interpolator.show(arrangement, smooth=smooth)
        return {boat._row: boat for boat in self.world[Boat]}


def test_without_history_there_is_nothing_to_show() -> None:
    screen = Screen()
    assert screen.interpolator.look(5.0, [np.zeros(0, dtype=np.intp)], 0) is None


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


def test_beyond_the_newest_frame_things_go_on_for_a_while_and_come_to_a_halt() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(112.0,))
    assert screen.show(16.0)[0].x == pytest.approx(124.0)
    full, slowing = FULL_SPEED * 60, SLOWING * 60
    assert screen.show(13 + full)[0].x == pytest.approx(112 + 4 * full)
    shown = [screen.show(13 + full + tick)[0].x for tick in range(60)]
    steps = [after - before for before, after in itertools.pairwise(shown)]
    assert all(before >= after - 0.01 for before, after in itertools.pairwise(steps))
    assert shown[-1] == pytest.approx(112 + 4 * (full + slowing / 2), abs=0.3)
    assert screen.show(5_000)[0].x == shown[-1]


def test_what_was_only_seen_once_rests() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    assert screen.show(20.0)[0].x == 100.0


def test_when_the_truth_about_a_guess_arrives_the_picture_does_not_jump() -> None:
    """It had gone on to the right; it has turned. What is off shrinks from frame to frame."""
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(106.0,))
    guessed = screen.show(19.0)[0].x
    assert guessed == pytest.approx(118.0)
    screen.frame(19, r0=(106.0,))
    screen.frame(22, r0=(100.0,))
    shown = [screen.show(19.0 + n / 4)[0].x for n in range(1, 13)]
    steps = [after - before for before, after in itertools.pairwise([guessed, *shown])]
    assert max(map(abs, steps)) < 1.5
    assert all(step < 0 for step in steps)
    for n in range(1, 60):
        screen.frame(22 + 3 * n, r0=(100.0,))
    assert screen.show(190.0)[0].x == pytest.approx(100.0, abs=0.5)


def test_a_late_sample_between_two_others_does_not_make_it_jump_either() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(100.0,), unknown=(0,))
    screen.frame(16, r0=(112.0,))
    before = screen.show(13.0)[0].x
    assert before == pytest.approx(106.0)
    screen.frame(13, r0=(103.0,))
    assert screen.show(13.01)[0].x == pytest.approx(before, abs=0.1)


def test_what_teleports_is_put_right_at_once() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(106.0,))
    screen.show(18.0)
    screen.frame(16, r0=(800.0,))
    screen.frame(19, r0=(806.0,))
    assert screen.show(18.0)[0].x == pytest.approx(804.0)


def test_a_teleport_is_not_glided_over() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0, 0.0, 0, 0))
    screen.frame(13, r0=(900.0, 1.0, 0, 0))
    for tick in (10.5, 12.0, 12.99):
        boat = screen.show(tick)[0]
        assert (boat.x, boat.heading) == (100.0, pytest.approx(0.0, abs=0.01))
    assert screen.show(13.0)[0].x == 900.0


def test_without_smoothing_the_newest_is_shown_as_it_is() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,))
    screen.frame(13, r0=(160.0,))
    assert screen.show(13.0, smooth=False)[0].x == 160.0
    screen.frame(16, r0=(100.0,))
    assert screen.show(16.0, smooth=False)[0].x == 100.0


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


def test_own_entities_are_left_to_prediction() -> None:
    screen = Screen()
    screen.frame(10, r0=(100.0,), r2=(200.0,))
    screen.table.place(2, 0).x = 230.0
    screen.own = {2}
    assert screen.show(10.0)[2].x == 230.0
    screen.frame(13, r0=(100.0,))
    assert set(screen.show(13.0)) == {0, 2}
    screen.own = set()
    assert set(screen.show(13.0)) == {0}


class Buoy(nc.Entity, fade=0.1):
    x = nc.Float(0, 1000, step=0.5)


def test_a_class_that_fades_comes_and_goes_by_degrees() -> None:
    """It stays in the picture for its six ticks, and moves on."""
    world = World([Buoy])
    table = world.table(Buoy)
    history = History(world.tables)
    interpolator = Interpolator(history, world.tables)
    history.fit(0, 1)
    for tick in range(0, 30):
        kept = history.begin(tick).tables[0]
        kept.life[0] = 3 if 5 <= tick < 20 else ABSENT
        kept.known[0] = True
        kept.lanes[0] = Buoy.x.encode(2.0 * tick, world)
    seen: dict[int, tuple[float, float]] = {}
    none = [np.zeros(0, dtype=np.intp)]
    for tick in range(29):
        arrangement = interpolator.look(float(tick), none, 1)
        assert arrangement is not None
        for entity in arrangement.leaving:
            assert interpolator.leave(entity, float(tick))
        for where, row, life in arrangement.entering:
            interpolator.enter(where, row, life, float(tick))
        interpolator.show(arrangement)
        for buoy in world[Buoy]:
            seen[tick] = buoy.fade, buoy.x
    assert sorted(seen) == list(range(5, 26))
    fades = [seen[tick][0] for tick in sorted(seen)]
    assert fades[:7] == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])
    assert fades[7:15] == [1.0] * 8
    assert fades[15:] == pytest.approx([1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert [seen[tick][1] for tick in sorted(seen)] == pytest.approx(
        [2.0 * t for t in range(5, 26)]
    )
    assert len(table) == 0


def test_one_that_comes_back_while_it_fades_is_the_same() -> None:
    world = World([Buoy])
    history = History(world.tables)
    interpolator = Interpolator(history, world.tables)
    history.fit(0, 1)
    for tick in range(0, 12):
        kept = history.begin(tick).tables[0]
        kept.life[0] = ABSENT if tick in (5, 6) else 3
        kept.known[0] = True
    views = set()
    none = [np.zeros(0, dtype=np.intp)]
    for tick in range(12):
        arrangement = interpolator.look(float(tick), none, 1)
        assert arrangement is not None
        for entity in arrangement.leaving:
            interpolator.leave(entity, float(tick))
        for where, row, life in arrangement.entering:
            interpolator.enter(where, row, life, float(tick))
        interpolator.show(arrangement)
        views |= {id(buoy) for buoy in world[Buoy]}
        assert len(world[Buoy]) == 1
    assert len(views) == 1


def test_a_frame_with_more_rows_than_the_one_before() -> None:
    screen = Screen()
    screen.frame(10, r0=(1.0,))
    screen.frame(13, r0=(4.0,), r40=(400.0,))
    screen.frame(16, r0=(7.0,))
    for tick in (9.0, 11.0, 13.0, 14.0, 16.0, 18.0):
        boats = screen.show(tick)
        assert set(boats) == ({0, 40} if 13 <= tick < 16 else {0})
        assert boats[0].x == pytest.approx(max(1.0, tick - 9), abs=0.01)
