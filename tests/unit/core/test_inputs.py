"""A tick has exactly one input: how it is sampled, repeated, buffered and consumed."""

import random

import pytest

import netcode as nc
from netcode.core.inputs import (
    MAX_INPUT_LEAD,
    MAX_LATE,
    MAX_TICKS_PER_UPDATE,
    REPEATED,
    InputBuffer,
    InputSampler,
    as_received,
)
from netcode.core.stats import ServerStats
from netcode.wire.packets import MAX_INPUTS, InputPacket
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
    newest, inputs = sampler.to_send(0)
    assert newest == 10 + gap
    assert len(inputs) == min(MAX_INPUTS, gap + 1)
    # The jump is sent as tick 10's or not at all.
    jumped = [newest - n for n, (pad,) in enumerate(reversed(inputs)) if pad.jump]  # type: ignore[attr-defined]
    assert jumped == ([10] if gap < MAX_INPUTS else [])


def test_inputs_are_repeated_until_well_after_the_server_has_passed_their_tick() -> None:
    sampler = InputSampler(GAME, WORLD)
    for tick in range(1, 21):
        sampler.latch([Pad(move=tick % 2)])
        sampler.sample(tick)
    newest, inputs = sampler.to_send(simulated=15)
    assert newest == 20
    assert len(inputs) == 5 + REPEATED
    assert sampler.to_send(simulated=100) == (0, [])


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


def buffer() -> tuple[InputBuffer, ServerStats]:
    return InputBuffer(GAME), ServerStats()


def test_every_input_is_consumed_at_its_tick_once_whatever_order_packets_come_in() -> None:
    inputs, stats = buffer()
    rng = random.Random(3)
    pads = {tick: Pad(move=rng.randint(-1, 1), scroll=tick % 5) for tick in range(1, 41)}
    packets = [packet(n + 3, *(pads[t] for t in range(n, n + 4))) for n in range(1, 38)]
    rng.shuffle(packets)
    for arrived in packets + packets:
        inputs.put(arrived, 0, stats)
    for tick in range(1, 41):
        assert inputs.consume(tick, stats) == (pads[tick],)
        assert inputs.consumed_tick == tick
    assert (stats.missing_inputs, stats.late_inputs) == (0, 0)
    assert inputs.consume(41, stats) == (pads[40].held(),)


def test_without_a_fresh_input_the_last_one_is_held_but_edges_are_not_repeated() -> None:
    inputs, stats = buffer()
    inputs.put(packet(1, Pad(move=1, jump=True, scroll=2)), 0, stats)
    assert inputs.consume(1, stats) == (Pad(move=1, jump=True, scroll=2),)
    assert inputs.consume(2, stats) == (Pad(move=1),)
    assert stats.missing_inputs == 1


def test_who_has_said_nothing_misses_nothing() -> None:
    inputs, stats = buffer()
    assert inputs.consume(1, stats) == (Pad(),)
    assert stats.missing_inputs == 0
    assert inputs.consumed_tick is None


def test_an_input_too_far_ahead_is_not_believed() -> None:
    inputs, stats = buffer()
    inputs.put(packet(101 + MAX_INPUT_LEAD, Pad(move=1), Pad(move=-1)), 100, stats)
    assert inputs.consume(100 + MAX_INPUT_LEAD, stats) == (Pad(move=1),)
    assert inputs.consume(101 + MAX_INPUT_LEAD, stats) == (Pad(move=1),)


def test_a_late_input_is_counted_once_and_its_edges_count_once() -> None:
    inputs, stats = buffer()
    late = packet(5, Pad(move=-1, jump=True, scroll=2))
    for tick in range(1, 8):
        inputs.consume(tick, stats)
    for _ in range(3):
        inputs.put(late, 7, stats)
    assert stats.late_inputs == 1
    inputs.put(packet(8, Pad(move=1)), 7, stats)
    assert inputs.consume(8, stats) == (Pad(move=1, jump=True, scroll=2),)
    inputs.put(late, 8, stats)
    assert inputs.consume(9, stats) == (Pad(move=1),)


def test_an_input_that_came_in_time_does_not_count_again_when_it_is_repeated() -> None:
    inputs, stats = buffer()
    jump = packet(5, Pad(jump=True))
    inputs.put(jump, 4, stats)
    assert inputs.consume(5, stats) == (Pad(jump=True),)
    for tick in range(6, 6 + 2 * MAX_LATE):
        inputs.put(jump, tick - 1, stats)
        assert inputs.consume(tick, stats) == (Pad(),)
    assert stats.late_inputs == 0


def test_two_late_presses_are_two() -> None:
    inputs, stats = buffer()
    for tick in range(1, 11):
        inputs.consume(tick, stats)
    inputs.put(packet(8, Pad(jump=True), Pad(), Pad(jump=True)), 10, stats)
    assert [inputs.consume(tick, stats)[0].jump for tick in (11, 12, 13)] == [True, True, False]  # type: ignore[attr-defined]


def test_a_press_that_comes_very_late_does_not_count() -> None:
    inputs, stats = buffer()
    for tick in range(1, 200):
        inputs.consume(tick, stats)
    inputs.put(packet(100, Pad(jump=True)), 199, stats)
    assert inputs.consume(200, stats) == (Pad(),)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_a_client_claims_the_buffer_stays_small(seed: int) -> None:
    rng = random.Random(seed)
    inputs, stats = buffer()
    for tick in range(1, 2000):
        newest = tick + rng.randrange(-400, 400)
        if newest >= MAX_INPUTS:
            pads = [Pad(jump=True, scroll=5) for _ in range(rng.randrange(1, MAX_INPUTS + 1))]
            inputs.put(packet(newest, *pads), tick - 1, stats)
        [pad] = inputs.consume(tick, stats)
        assert abs(pad.scroll) <= 5  # type: ignore[attr-defined]
        assert len(inputs._waiting) <= MAX_INPUT_LEAD
        assert len(inputs._used) <= MAX_LATE + 1
        assert len(inputs._late) <= MAX_LATE
