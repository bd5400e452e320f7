"""A client's two hands: they find their place, walk there, and stay calm in jitter."""

import random
from collections.abc import Iterator

import pytest

from netcode.play.tick_clock import MAX_LED_RTT, SNAP, SPEED_UP, TickClock

RATE, BROADCAST = 60.0, 20.0
FRAME = 1 / 60


class Server:
    """Sends a snapshot every third tick; each is on its way for ``delay()`` seconds."""

    def __init__(self, clock: TickClock, one_way: float = 0.05, jitter: float = 0.0) -> None:
        self.clock = clock
        self.one_way, self.jitter = one_way, jitter
        self.rng = random.Random(5)
        self.now = 500.0
        self.began = 500.0
        self.earliness: float | None = None
        self._sent = 0
        self._under_way: list[tuple[float, int]] = []

    @property
    def tick(self) -> float:
        """The server's tick at this moment."""
        return (self.now - self.began) * RATE

    def run(self, seconds: float) -> Iterator[tuple[float, float]]:
        """Frame by frame: how far each hand moved."""
        until = self.now + seconds
        while self.now < until:
            self.now += FRAME
            while self._sent <= self.tick:
                late = abs(self.rng.gauss(0, self.jitter)) if self.jitter else 0.0
                sent_at = self.began + self._sent / RATE
                self._under_way.append((sent_at + self.one_way + late, self._sent))
                self._sent += 3
            self._under_way.sort()
            while self._under_way and self._under_way[0][0] <= self.now:
                arrived, tick = self._under_way.pop(0)
                self.clock.arrived(tick, arrived, self.earliness)
            before = self.clock.display_tick, self.clock.input_tick
            self.clock.advance(self.now, 2 * self.one_way)
            yield self.clock.display_tick - before[0], self.clock.input_tick - before[1]

    def settle(self, seconds: float) -> None:
        for _ in self.run(seconds):
            pass


def make(**options: float) -> tuple[TickClock, Server]:
    clock = TickClock(RATE, BROADCAST)
    return clock, Server(clock, **options)


def test_nothing_has_arrived_no_hand_moves() -> None:
    clock = TickClock(RATE, BROADCAST)
    clock.advance(5.0, 0.1)
    assert not clock.is_set
    assert (clock.display_tick, clock.input_tick) == (0.0, 0.0)


@pytest.mark.parametrize("one_way", [0.0, 0.05, 0.2])
def test_the_display_stays_the_delay_behind_what_arrives(one_way: float) -> None:
    clock, server = make(one_way=one_way)
    server.settle(5.0)
    newest_here = server.tick - one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=1.5)
    assert clock.delay == pytest.approx(1.7 / BROADCAST, abs=0.01)


@pytest.mark.parametrize("one_way", [0.0, 0.05, 0.2])
def test_inputs_run_ahead_so_that_they_arrive_in_time(one_way: float) -> None:
    clock, server = make(one_way=one_way)
    server.settle(5.0)
    on_arrival = clock.input_tick - one_way * RATE
    assert on_arrival - server.tick == pytest.approx(clock.margin * RATE, abs=1.5)


def test_hands_walk_at_most_a_twentieth_faster_or_slower() -> None:
    clock, server = make()
    server.settle(4.0)
    server.one_way += 0.05  # a longer route: the hands are off, but not so far as to jump
    for moved in server.run(15.0):
        for ticks in moved:
            assert ticks >= (1 - SPEED_UP) * FRAME * RATE - 1e-6
            assert ticks <= (1 + SPEED_UP) * FRAME * RATE + 1e-6
    newest_here = server.tick - server.one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=1.5)


def test_a_hand_that_is_far_off_jumps() -> None:
    clock, server = make()
    server.settle(2.0)
    server._sent += round((SNAP + 1.0) * RATE / 3) * 3  # the server's ticks leap forward
    server.began -= SNAP + 1.0
    jumps = [moved for moved in server.run(15.0) if moved[0] > 2 * FRAME * RATE]
    assert 1 <= len(jumps) <= 2  # and the delay, widened by the leap, may come back with one
    newest_here = server.tick - server.one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=2.0)


def test_jitter_widens_delay_and_margin_and_is_forgotten_again() -> None:
    clock, server = make(jitter=0.0)
    server.settle(4.0)
    calm = clock.delay, clock.margin
    server.jitter = 0.03
    server.settle(8.0)
    assert clock.jitter == pytest.approx(0.03 * 0.8, abs=0.015)
    assert clock.delay > calm[0] + 0.04
    assert clock.margin > calm[1] + 0.03
    server.jitter = 0.0
    server.settle(12.0)
    assert clock.delay == pytest.approx(calm[0], abs=0.01)


def test_in_jitter_the_display_still_runs_smoothly_and_nearly_always_behind_a_sample() -> None:
    clock, server = make(jitter=0.02)
    server.settle(8.0)
    newest, ahead, frames = 0, 0, 0
    original = clock.arrived

    def note(tick: int, now: float, earliness: float | None) -> None:
        nonlocal newest
        newest = max(newest, tick)
        original(tick, now, earliness)

    clock.arrived = note  # type: ignore[method-assign]
    for display, _ in server.run(30.0):
        frames += 1
        assert 0.9 < display / (FRAME * RATE) < 1.1
        ahead += clock.display_tick > newest
    assert ahead < 0.03 * frames


@pytest.mark.parametrize("said", [-0.1, 0.2])
def test_the_lead_follows_what_the_server_says_of_inputs(said: float) -> None:
    clock, server = make()
    server.settle(4.0)
    before = clock.input_tick - server.tick
    server.earliness = said
    server.settle(4.0)
    moved = (clock.input_tick - server.tick) - before
    assert moved > 1 if said < clock.margin else moved < -1


def test_a_server_that_lies_about_inputs_moves_the_lead_only_so_far() -> None:
    clock, server = make()
    server.settle(2.0)
    server.earliness = -32.0
    server.settle(60.0)
    assert clock.input_tick - server.tick < (0.05 + 0.05 + 0.5 + clock.margin) * RATE + 2


def test_a_frame_of_no_length_moves_no_hand() -> None:
    clock, server = make()
    server.settle(3.0)
    before = clock.display_tick, clock.input_tick
    clock.advance(server.now, 0.1)
    assert clock.display_tick == pytest.approx(before[0], abs=0.01)
    assert clock.input_tick == pytest.approx(before[1], abs=0.01)


def test_an_overloaded_line_does_not_drive_the_inputs_far_ahead() -> None:
    clock, server = make(one_way=4.5)
    server.settle(8.0)
    arriving = server.tick - 4.5 * RATE
    assert clock.input_tick - arriving < (MAX_LED_RTT + clock.margin + 0.5) * RATE + 3
