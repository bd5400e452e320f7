"""What a client makes of entries, changes, leaves and silence, in whatever order they come."""

import itertools
import random

import numpy as np
import pytest

from netcode.world.history import ABSENT, LENGTH
from tests.unit.sync.by_hand import frame_at, level, levels, packet, receiver
from tests.unit.sync.lab import Lab, Rock, Ship

# -- epochs ----------------------------------------------------------------------------------


def test_the_newer_value_stays_when_the_older_comes_late() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, updates={0: 3}))
    end.receive(packet(2, 6, updates={0: 2}))
    assert level(end) == 3
    assert levels(end) == [1, 2, 3]
    assert end.stats.late == 1


def test_a_late_value_carries_on_up_to_the_next_one_that_was_said() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, updates={0: 5}))
    assert levels(end) == [1, None, None, None, 5]
    end.receive(packet(2, 6, updates={0: 2}))
    for sequence in (3, 4):
        end.receive(packet(sequence, 3 * sequence))
    assert levels(end) == [1, 2, 2, 2, 5]


def test_an_entry_begins_when_its_age_says() -> None:
    """The row's former tenant had left by then: what is told of it later does not count."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, entries={0: 5}, age=2, generation=1))
    end.receive(packet(2, 6, updates={0: 2}))
    assert (level(end), end.stats.stray) == (5, 1)
    end.receive(packet(3, 9, entries={0: 3}, age=0, generation=1))
    assert level(end) == 5
    assert levels(end)[2:] == [3, None, 5]


def test_an_entry_of_an_older_epoch_is_ignored() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(5, 15, entries={0: 5}, generation=2))
    end.receive(packet(3, 9, entries={0: 3}, generation=1))
    assert (level(end), int(end.known[0].life[0])) == (5, 2)


def test_an_entry_that_is_told_again_is_the_same_epoch() -> None:
    end = receiver()
    end.receive(packet(2, 6, entries={0: 2}, age=1))
    end.receive(packet(3, 9, updates={0: 4}))
    end.receive(packet(1, 3, entries={0: 1}, age=0))
    assert level(end) == 4
    assert end.stats.stray == 0


@pytest.mark.parametrize("began", [39, 60, 100])
def test_an_entry_that_is_told_three_times_is_one_epoch_in_any_order(began: int) -> None:
    for order in itertools.permutations((100, 101, 102)):
        end = receiver()
        end.receive(packet(90, 3 * 90))
        for number in order:
            entries = {0: number - 100}
            end.receive(packet(number, 3 * number, entries=entries, age=number - began))
        assert levels(end)[-3:] == [0, 1, 2], order
        assert (level(end), end.stats.stray) == (2, 0)


def test_a_leave_ends_what_had_begun_before_it() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, leaves=[0]))
    end.receive(packet(2, 6, updates={0: 2}))
    assert level(end) is None
    end.receive(packet(5, 15, entries={0: 5}, generation=1))
    end.receive(packet(4, 12, leaves=[0]))
    assert level(end) == 5
    assert int(end.known[0].life[0]) == 1


def test_a_leave_that_comes_before_the_entry_it_ends() -> None:
    end = receiver()
    end.receive(packet(3, 9, leaves=[4]))
    end.receive(packet(2, 9, entries={4: 2}, age=1))
    assert level(end, 4) is None
    end.receive(packet(4, 12, entries={4: 3}))
    assert level(end, 4) == 3


def test_an_update_of_what_is_not_in_view_is_counted_and_ignored() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(2, 6, leaves=[0]))
    end.receive(packet(3, 9, updates={0: 1}))
    assert level(end) is None
    assert end.stats.stray == 1


def test_a_tick_that_speaks_of_a_former_tenant_leaves_the_row_unknown() -> None:
    """All of tick 6 is here, and yet: what it says of row 0 could not be used any more."""
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1, 1: 1}))
    end.receive(packet(3, 9, entries={0: 3}, generation=1))
    end.receive(packet(2, 6, updates={0: 2}))
    assert (levels(end), levels(end, 1)) == ([1, None, 3], [1, 1, 1])


# -- what silence means ----------------------------------------------------------------------


def test_a_tick_is_complete_when_all_its_packets_are_here() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 6, index=1, count=2))
    frame = frame_at(end, 6)
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (False, False)
    end.receive(packet(2, 6, index=0, count=2))
    assert (frame.complete, frame.tables[0].known.tolist()[0]) == (True, True)


def test_a_tick_with_something_deferred_is_never_complete() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(2, 6, entries={1: 2}, deferred=True))
    frame = frame_at(end, 6)
    assert not frame.complete
    assert frame.tables[0].known.tolist()[:2] == [False, True]


def test_the_ticks_of_lost_packets_are_unknown() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(4, 12))
    assert [frame.tick for frame in end.history] == [3, 6, 9, 12]
    assert [frame.complete for frame in end.history] == [True, False, False, True]
    assert levels(end) == [1, None, None, 1]


@pytest.mark.parametrize(("code", "interval"), [(0, 1), (1, 2), (2, 4), (3, 8)])
def test_silence_means_rest_only_at_a_rows_own_broadcasts(code: int, interval: int) -> None:
    end = receiver()
    end.receive(packet(1, 3, entries=dict.fromkeys(range(9), 1), interval_code=code))
    for number in range(2, 20):
        end.receive(packet(number, 3 * number))
    for frame in list(end.history)[1:]:
        due = (frame.number + np.arange(9)) % interval == 0
        assert frame.tables[0].known.tolist() == due.tolist()


def test_what_came_into_view_later_is_not_known_at_a_tick_before() -> None:
    end = receiver()
    end.receive(packet(1, 3, entries={0: 1}))
    end.receive(packet(3, 9, entries={1: 3}))
    end.receive(packet(2, 6))
    assert levels(end, 1) == [None, None, 3]


def test_everything_at_rest_is_known_at_every_broadcast() -> None:
    """As the other end really does it, for longer than the ring."""
    lab = Lab((Ship, Rock), random.Random(1))
    for _ in range(5):
        lab.world.spawn(Ship)
        lab.world.spawn(Rock)
    lab.calm_down(2 * LENGTH)
    for frame in lab.clients[0].history:
        assert frame.complete
        for kept in frame.tables:
            assert kept.known.all()
            assert (kept.life != ABSENT).all()
