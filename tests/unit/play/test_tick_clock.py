"""A client's two hands: they find their place, walk there, and stay calm in jitter."""

import random
from collections.abc import Iterator

import pytest

from netcode.play.tick_clock import (
    DISPLAY_FASTER,
    DISPLAY_SLOWER,
    FEW_REPORTS,
    GUARD,
    INPUT_FASTER,
    INPUT_SLOWER,
    LEAD_TICKS,
    MAX_DELAY,
    MAX_LED_RTT,
    MAX_TRIM,
    SNAP,
    TickClock,
)

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
        self.up: float | None = None
        """Seconds that inputs take: the server then says how early they come."""
        self.loss = 0.0
        self.drift = 0.0
        """By how much faster the server's clock runs."""
        self._sent = 0
        self._under_way: list[tuple[float, int]] = []

    @property
    def tick(self) -> float:
        """The server's tick at this moment."""
        return (self.now - self.began) * (1 + self.drift) * RATE

    def hold(self, seconds: float) -> None:
        """The whole program, or the line, stands still; then all that was sent comes at once."""
        self.now += seconds
        while self._sent <= self.tick:
            self._under_way.append((self.now, self._sent))
            self._sent += 3

    def sleep(self, seconds: float, *, counted: bool) -> None:
        """The client's machine sleeps; what is sent meanwhile is lost."""
        if counted:
            self.now += seconds
        else:
            self.began -= seconds
        self._under_way.clear()
        self._sent = 3 * round((self.tick + 1) / 3)

    def run(self, seconds: float) -> Iterator[tuple[float, float]]:
        """Frame by frame: how far each hand moved."""
        until = self.now + seconds
        while self.now < until:
            self.now += FRAME
            while self._sent <= self.tick:
                late = abs(self.rng.gauss(0, self.jitter)) if self.jitter else 0.0
                sent_at = self.began + self._sent / RATE / (1 + self.drift)
                if self.rng.random() >= self.loss:
                    self._under_way.append((sent_at + self.one_way + late, self._sent))
                self._sent += 3
            self._under_way.sort()
            while self._under_way and self._under_way[0][0] <= self.now:
                arrived, tick = self._under_way.pop(0)
                self.clock.arrived(tick, arrived, self._report())
            before = self.clock.display_tick, self.clock.input_tick
            self.clock.advance(self.now, 2 * self.one_way)
            yield self.clock.display_tick - before[0], self.clock.input_tick - before[1]

    def _report(self) -> float | None:
        if self.up is None or not self.clock.is_set:
            return self.earliness
        return (self.clock.input_tick - self.tick) / RATE - self.up

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
    assert clock.display_lag == pytest.approx(clock.delay, abs=0.002)
    assert clock.delay == pytest.approx(1 / BROADCAST, abs=FRAME)


@pytest.mark.parametrize("one_way", [0.0, 0.05, 0.2])
def test_inputs_run_ahead_so_that_they_arrive_in_time(one_way: float) -> None:
    clock, server = make(one_way=one_way)
    server.settle(5.0)
    on_arrival = clock.input_tick - one_way * RATE
    assert on_arrival - server.tick == pytest.approx(LEAD_TICKS, abs=1.5)


def test_hands_walk_a_few_percent_faster_or_slower() -> None:
    clock, server = make()
    server.settle(4.0)
    server.one_way += 0.05  # a longer route: the hands are off, but not so far as to jump
    for display, inputs in server.run(20.0):
        assert 1 - DISPLAY_SLOWER - 1e-6 <= display / (FRAME * RATE) <= 1 + DISPLAY_FASTER + 1e-6
        assert 1 - INPUT_SLOWER - 1e-6 <= inputs / (FRAME * RATE) <= 1 + INPUT_FASTER + 1e-6
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


def test_a_hands_speed_never_leaps() -> None:
    _, server = make(jitter=0.01)
    server.settle(4.0)
    before: tuple[float, float] | None = None
    server.one_way += 0.06
    for moved in server.run(10.0):
        if before is not None:
            for then, now in zip(before, moved, strict=True):
                assert abs(now - then) < 0.006
        before = moved


def test_jitter_widens_delay_and_lead_and_is_forgotten_again() -> None:
    clock, server = make(jitter=0.0)
    server.settle(4.0)
    calm = clock.delay, clock.lead
    server.jitter = 0.03
    server.settle(8.0)
    assert clock.jitter == pytest.approx(0.03 * 0.8, abs=0.015)
    # 95 % of a normal distribution's magnitudes are below two deviations.
    assert clock.delay == pytest.approx(calm[0] + 2 * 0.03, abs=0.02)
    assert clock.lead > calm[1] + 0.03
    server.jitter = 0.0
    server.settle(12.0)
    assert clock.delay == pytest.approx(calm[0], abs=0.01)


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.2])
def test_loss_widens_the_delay_only_where_it_is_common(loss: float) -> None:
    clock, server = make()
    server.loss = loss
    server.settle(10.0)
    intervals = 2 if loss > 0.05 else 1
    assert clock.delay * BROADCAST == pytest.approx(intervals, abs=0.4)


def test_a_line_that_stalls_for_long_does_not_make_everything_late_for_long() -> None:
    clock, server = make()
    server.settle(6.0)
    server.hold(10.0)
    server.settle(0.5)
    assert clock.delay < 0.1
    server.settle(10.0)
    assert clock.delay <= MAX_DELAY
    newest_here = server.tick - server.one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=1.5)


@pytest.mark.parametrize("counted", [True, False])
def test_a_laptop_that_slept_for_an_hour_is_right_at_the_first_snapshot(counted: bool) -> None:
    """Whether or not the machine's monotonic clock runs while it sleeps."""
    clock, server = make()
    server.settle(6.0)
    server.sleep(3600.0, counted=counted)
    server.settle(0.2)
    newest_here = server.tick - server.one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=6)
    assert clock.input_tick - server.tick == pytest.approx(
        (server.one_way + LEAD_TICKS / RATE) * RATE, abs=6
    )
    server.settle(10.0)
    newest_here = server.tick - server.one_way * RATE
    assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=1.5)


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_clock_that_drifts_is_followed(ppm: int) -> None:
    clock, server = make(jitter=0.005)
    server.drift = ppm * 1e-6
    server.settle(60.0)
    for _ in server.run(60.0):
        newest_here = server.tick - server.one_way * RATE
        assert newest_here - clock.display_tick == pytest.approx(clock.delay * RATE, abs=1.5)


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


@pytest.mark.parametrize("up", [0.01, 0.1, 0.2])
def test_the_lead_follows_what_the_server_says_of_inputs(up: float) -> None:
    """The way up is not as long as the way down, which only the server can tell."""
    clock, server = make(one_way=0.05)
    server.up = up
    server.settle(FEW_REPORTS / BROADCAST + 20.0)
    early = (clock.input_tick - server.tick) / RATE - up
    assert early * RATE == pytest.approx(GUARD + 1.0, abs=0.3)  # heard a frame later


def test_a_burst_of_late_inputs_is_not_paid_for_by_everybody() -> None:
    clock, server = make()
    server.up = 0.05
    server.settle(40.0)
    before = clock.lead
    server.up = 0.35
    server.settle(0.2)
    server.up = 0.05
    server.settle(5.0)
    assert clock.lead == pytest.approx(before, abs=0.02)


def test_a_server_that_lies_about_inputs_moves_the_lead_only_so_far() -> None:
    clock, server = make()
    server.settle(2.0)
    server.earliness = -32.0
    server.settle(60.0)
    assert clock.input_tick - server.tick < (0.05 + 0.05 + MAX_TRIM) * RATE + 2


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
    assert clock.input_tick - arriving < (MAX_LED_RTT + MAX_TRIM) * RATE + 3
