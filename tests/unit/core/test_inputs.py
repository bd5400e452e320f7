"""A tick has exactly one input: how it is sampled, repeated, buffered and consumed."""

import random

import pytest

import netcode as nc
from netcode.core.inputs import (
    MAX_INPUT_LEAD,
    MAX_LATE,
    MAX_TICKS_PER_UPDATE,
    PACKET_BURST,
    PACKET_RATE,
    REPEATED,
    InputBuffer,
    InputSampler,
    as_received,
)
from netcode.core.stats import ServerStats
from netcode.wire.packets import LAG_STEPS, MAX_INPUTS, MAX_LAG, InputPacket
from netcode.world.world import World


class Pad(nc.Input):
    move = nc.Int(-1, 1)
    aim = nc.Float(-1, 1, step=0.25)
    jump = nc.Bool(edge=True)
    scroll = nc.Int(-5, 5, edge=True)


class Other(nc.Input):
    pass


GAME = nc.Protocol(inputs=[Pad])
WORLD = World(())


def packet(newest: int, *pads: Pad) -> InputPacket:
    return InputPacket(
        sequence=1,
        heard=False,
        newest_state=0,
        window=0,
        newest_tick=newest,
        inputs=[(pad,) for pad in pads],
        lags=[640] * len(pads),
    )


# -- the client's end ----------------------------------------------------------------------------


def test_held_values_are_the_latest_and_edges_add_up() -> None:
    sampler = InputSampler(GAME, WORLD)
    for pad in (Pad(move=1, jump=True, scroll=2), Pad(move=-1, scroll=1), Pad(move=0)):
        sampler.latch([pad])
    assert sampler.sample(10) == [(10, (Pad(move=0, jump=True, scroll=3),))]
    assert sampler.sample(11) == [(11, (Pad(move=0),))]


def test_a_tick_is_sampled_once() -> None:
    sampler = InputSampler(GAME, WORLD)
    assert len(sampler.sample(10)) == 1
    assert sampler.sample(10) == sampler.sample(8) == []


def test_of_several_ticks_due_at_once_only_the_newest_has_the_edges() -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.sample(10)
    sampler.latch([Pad(move=1, jump=True)])
    assert sampler.sample(13) == [
        (11, (Pad(move=1),)),
        (12, (Pad(move=1),)),
        (13, (Pad(move=1, jump=True),)),
    ]


@pytest.mark.parametrize("gap", [MAX_TICKS_PER_UPDATE + 1, MAX_INPUTS + 1, 5000])
def test_after_a_long_frame_few_ticks_are_run_but_what_is_sent_has_no_gap(gap: int) -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.latch([Pad(jump=True)])
    sampler.sample(10)
    due = sampler.sample(10 + gap)
    assert [tick for tick, _ in due] == list(range(11 + gap - MAX_TICKS_PER_UPDATE, 11 + gap))
    sent = sampler.to_send(0)
    assert [one.tick for one in sent] == list(range(sent[0].tick, 11 + gap))
    assert len(sent) == min(MAX_INPUTS, gap + 1)
    # The jump is sent as tick 10's or not at all.
    jumped = [one.tick for one in sent if one.inputs[0].jump]  # type: ignore[attr-defined]
    assert jumped == ([10] if gap < MAX_INPUTS else [])


def test_inputs_are_repeated_until_well_after_the_server_has_passed_their_tick() -> None:
    sampler = InputSampler(GAME, WORLD)
    for tick in range(1, 21):
        sampler.latch([Pad(move=tick % 2)])
        sampler.sample(tick)
    sent = sampler.to_send(simulated=15)
    assert [one.tick for one in sent] == list(range(16 - REPEATED, 21))
    assert sampler.to_send(simulated=100) == []


def test_what_has_not_been_sent_yet_is_counted() -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.sample(10)
    sampler.to_send(0)
    assert sampler.unsent == 0
    sampler.sample(12)
    assert sampler.unsent == 2


def test_an_input_says_which_picture_it_answers() -> None:
    """The one before it: what is drawn in this frame cannot have been answered yet."""
    sampler = InputSampler(GAME, WORLD)
    sampler.latch([Pad()], seen=None)
    sampler.sample(9)
    sampler.latch([Pad(jump=True)], seen=2.25)
    sampler.sample(10)
    sampler.latch([Pad()], seen=3.25)  # a frame in which no tick is due
    sampler.latch([Pad()], seen=3.5)
    sampler.sample(12)
    lags = {one.tick: one.lag / LAG_STEPS for one in sampler.to_send(0)}
    assert lags == {9: 0.0, 10: 7.75, 11: 7.5, 12: 8.5}


def test_a_lag_that_is_too_long_to_tell_is_cut() -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.latch([Pad()], seen=0.0)
    sampler.sample(5_000)
    assert [one.lag for one in sampler.to_send(4_999)] == [MAX_LAG]


def test_what_is_pending_is_what_the_next_tick_would_get() -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.latch([Pad(move=7, jump=True)])
    assert sampler.pending() == (Pad(move=1, jump=True),)
    sampler.sample(3)
    assert sampler.pending() == (Pad(move=1),)


def test_an_input_is_predicted_with_as_the_server_will_read_it() -> None:
    sampler = InputSampler(GAME, WORLD)
    sampler.latch([Pad(move=7, aim=0.3, scroll=3)])
    sampler.latch([Pad(move=7, aim=0.3, scroll=4)])
    [(_, (pad,))] = sampler.sample(1)
    assert pad == Pad(move=1, aim=0.25, scroll=5) == as_received(pad, WORLD)


def test_an_input_of_another_game_is_refused() -> None:
    with pytest.raises(nc.UsageError, match="inputs"):
        InputSampler(GAME, WORLD).latch([Other()])


# -- the server's end ----------------------------------------------------------------------------


class Ticking:
    """An input buffer and the clock of a server that simulates 60 ticks a second."""

    def __init__(self) -> None:
        self.inputs = InputBuffer(GAME, 60.0)
        self.stats = ServerStats()
        self.tick = 0
        self.now = 100.0

    def put(self, arrived: InputPacket) -> None:
        self.inputs.put(arrived, self.tick, self.now, self.stats)

    def run(self) -> tuple[nc.Input, ...]:
        """The next tick's inputs."""
        self.tick += 1
        self.now = 100.0 + self.tick / 60
        return self.inputs.consume(self.tick, self.now, self.stats)


def test_every_input_is_consumed_at_its_tick_once_whatever_order_packets_come_in() -> None:
    server = Ticking()
    rng = random.Random(3)
    pads = {tick: Pad(move=rng.randint(-1, 1), scroll=tick % 5) for tick in range(1, 41)}
    packets = [packet(n + 3, *(pads[t] for t in range(n, n + 4))) for n in range(1, 38)]
    rng.shuffle(packets)
    for arrived in packets + packets:
        server.put(arrived)
    for tick in range(1, 41):
        assert server.run() == (pads[tick],)
        assert server.inputs.consumed_tick == tick
    assert (server.stats.missing_inputs, server.stats.late_inputs) == (0, 0)
    assert server.run() == (pads[40].held(),)


def test_without_a_fresh_input_the_last_one_is_held_but_edges_are_not_repeated() -> None:
    server = Ticking()
    server.put(packet(1, Pad(move=1, jump=True, scroll=2)))
    assert server.run() == (Pad(move=1, jump=True, scroll=2),)
    assert server.run() == (Pad(move=1),)
    assert server.stats.missing_inputs == 1


def test_who_has_said_nothing_misses_nothing() -> None:
    server = Ticking()
    assert server.run() == (Pad(),)
    assert server.stats.missing_inputs == 0
    assert server.inputs.consumed_tick is None


def test_an_input_too_far_ahead_is_not_believed_and_is_counted() -> None:
    server = Ticking()
    server.put(packet(1 + MAX_INPUT_LEAD, Pad(move=1), Pad(move=-1)))
    assert server.stats.refused_inputs == 1
    for _ in range(MAX_INPUT_LEAD - 1):
        server.run()
    assert server.run() == (Pad(move=1),)
    assert server.run() == (Pad(move=1),)


@pytest.mark.parametrize("faster", [1, 2, 10])
def test_however_fast_a_client_sends_a_tick_takes_one_input(faster: int) -> None:
    """No speed hacks: inputs for ticks to come wait for them, or are refused."""
    server = Ticking()
    claimed = moved = 0
    for _ in range(300):
        for _ in range(faster):
            claimed += 1
            server.put(packet(claimed, Pad(move=1)))
        moved += server.run()[0].move  # type: ignore[attr-defined]
    assert moved == 300
    assert (server.stats.refused_inputs > 0) == (faster > 1)
    assert len(server.inputs._waiting) <= MAX_INPUT_LEAD


def test_more_packets_than_a_client_needs_to_send_are_not_read() -> None:
    server = Ticking()
    allowed = 0
    for number in range(1_000):
        allowed += server.inputs.allows(100.0 + number / 1_000, server.stats)
    assert allowed == pytest.approx(PACKET_RATE + PACKET_BURST, abs=2)
    assert server.stats.refused_inputs == 1_000 - allowed
    assert server.inputs.allows(102.0, server.stats)


def test_a_client_that_was_paused_may_send_a_burst() -> None:
    server = Ticking()
    assert all(server.inputs.allows(100.0 + n / 30, server.stats) for n in range(90))
    assert all(server.inputs.allows(105.0, server.stats) for _ in range(int(PACKET_BURST)))


def test_a_late_input_is_counted_once_and_its_edges_count_once() -> None:
    server = Ticking()
    late = packet(5, Pad(move=-1, jump=True, scroll=2))
    for _ in range(7):
        server.run()
    for _ in range(3):
        server.put(late)
    assert server.stats.late_inputs == 1
    server.put(packet(8, Pad(move=1)))
    assert server.run() == (Pad(move=1, jump=True, scroll=2),)
    server.put(late)
    assert server.run() == (Pad(move=1),)


def test_an_input_that_came_in_time_does_not_count_again_when_it_is_repeated() -> None:
    server = Ticking()
    for _ in range(4):
        server.run()
    jump = packet(5, Pad(jump=True))
    server.put(jump)
    assert server.run() == (Pad(jump=True),)
    for _ in range(2 * MAX_LATE):
        server.put(jump)
        assert server.run() == (Pad(),)
    assert server.stats.late_inputs == 0


def test_two_late_presses_are_two() -> None:
    server = Ticking()
    for _ in range(10):
        server.run()
    server.put(packet(8, Pad(jump=True), Pad(), Pad(jump=True)))
    jumps = [server.run()[0].jump for _ in range(3)]  # type: ignore[attr-defined]
    assert jumps == [True, True, False]


def test_a_press_that_comes_very_late_does_not_count() -> None:
    server = Ticking()
    for _ in range(199):
        server.run()
    server.put(packet(100, Pad(jump=True)))
    assert server.run() == (Pad(),)


def test_how_early_the_latest_input_came_is_reported() -> None:
    server = Ticking()
    server.put(packet(3, Pad(), Pad(), Pad()))
    server.run()
    server.run()
    assert server.inputs.report() == pytest.approx(1 / 60)
    server.run()
    assert server.inputs.report() == pytest.approx(3 / 60)
    assert server.inputs.report() == pytest.approx(3 / 60)  # nothing new: the same again


def test_and_how_late_one_that_missed_its_tick() -> None:
    server = Ticking()
    server.put(packet(1, Pad()))
    for _ in range(4):
        server.run()
    server.inputs.report()
    server.now += 0.010
    server.put(packet(5, Pad(), Pad()))  # tick 4 was 10 ms ago; tick 5 is to come
    server.run()
    assert server.inputs.report() == pytest.approx(-0.010)


def test_a_late_press_brings_the_picture_that_it_answered() -> None:
    """What it hit is judged by what was seen when the key went down."""
    server = Ticking()
    for _ in range(10):
        server.run()
    server.put(packet(8, Pad(jump=True)))
    assert server.run() == (Pad(jump=True),)
    assert server.inputs.lag / LAG_STEPS == 640 / LAG_STEPS + (11 - 8)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_client_claims_the_buffer_stays_small(seed: int) -> None:
    rng = random.Random(seed)
    server = Ticking()
    for _ in range(2000):
        newest = server.tick + 1 + rng.randrange(-400, 400)
        if newest >= MAX_INPUTS:
            pads = [Pad(jump=True, scroll=5) for _ in range(rng.randrange(1, MAX_INPUTS + 1))]
            server.put(packet(newest, *pads))
        [pad] = server.run()
        assert abs(pad.scroll) <= 5  # type: ignore[attr-defined]
        assert len(server.inputs._waiting) <= MAX_INPUT_LEAD
        assert len(server.inputs._used) <= MAX_LATE + 1
        assert len(server.inputs._late) <= MAX_LATE
