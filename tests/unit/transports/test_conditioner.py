"""The weather: what LinkModel plans, and that the Conditioner keeps to it."""

import asyncio
import math
import random
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean, stdev

import pytest

from netcode.transports.conditioner import (
    PRESETS,
    Conditioner,
    Conditions,
    LinkModel,
    conditions,
    load_trace,
    lte,
)
from netcode.transports.link_model import JITTER_TRUNCATION, TRACE_SLOT

SEEDS = pytest.mark.parametrize("seed", [1, 2, 3])


def model(seed: int = 1, start: float | None = None, **weather: object) -> LinkModel:
    return LinkModel(Conditions(**weather), random.Random(seed), start=start)  # type: ignore[arg-type]


def lost_flags(link: LinkModel, packets: int) -> list[bool]:
    return [not link.plan(n * 0.05, 200) for n in range(packets)]


# -- Conditions ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay": -0.1},
        {"delay": math.nan},
        {"jitter": math.inf},
        {"loss": 5},
        {"loss": -0.1},
        {"loss": math.nan},
        {"burst": 0},
        {"duplicate": 1.1},
        {"reorder": -1},
        {"reorder_by": -0.1},
        {"rate": 0},
        {"queue": 0},
        {"trace": ()},
        {"trace": (0, 0)},
        {"trace": (5, 3)},
        {"trace": (-1, 3)},
        {"trace": (1, 2), "rate": 1000},
    ],
    ids=str,
)
def test_conditions_that_make_no_sense_raise(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Conditions(**wrong)  # type: ignore[arg-type]


def test_conditions_are_found_by_name_or_pass_through() -> None:
    own = Conditions(delay=1)
    assert conditions(own) is own
    assert conditions("loss5").loss == 0.05
    with pytest.raises(ValueError, match="terrible"):
        conditions("hurricane")
    with pytest.raises(ValueError, match=r"lte\(path\)"):
        conditions("lte")


def test_presets_are_read_only() -> None:
    with pytest.raises(TypeError):
        PRESETS["lan"] = Conditions()  # type: ignore[index]


# -- LinkModel: delay and jitter -------------------------------------------------------------


def test_clean_weather_delivers_at_once() -> None:
    assert model().plan(12.5, 200) == [12.5]


@SEEDS
def test_delay_has_the_mean_and_deviation_asked_for(seed: int) -> None:
    # Packets 1 s apart: jitter can make none wait for another.
    link = model(seed, delay=0.1, jitter=0.01)
    delays = [link.plan(float(n), 200)[0] - n for n in range(5_000)]
    assert fmean(delays) == pytest.approx(0.1, abs=0.001)
    # Cutting a normal at 2.5 deviations leaves 95.5 % of its deviation.
    assert stdev(delays) == pytest.approx(0.00955, rel=0.04)
    assert max(abs(d - 0.1) for d in delays) <= JITTER_TRUNCATION * 0.01 + 1e-9


@SEEDS
def test_jitter_neither_reorders_nor_delivers_before_sending(seed: int) -> None:
    link = model(seed, delay=0.01, jitter=0.05)
    sent = [n * 0.001 for n in range(3_000)]
    arrivals = [link.plan(now, 200)[0] for now in sent]
    assert all(a <= b for a, b in pairwise(arrivals))
    assert all(arrival >= now for arrival, now in zip(arrivals, sent, strict=True))


def test_the_same_seed_is_the_same_weather() -> None:
    def plans(seed: int) -> list[list[float]]:
        link = LinkModel(PRESETS["terrible"], random.Random(seed))
        return [link.plan(n * 0.01, 200) for n in range(500)]

    assert plans(7) == plans(7)
    assert plans(7) != plans(8)


# -- LinkModel: loss, duplicates, reordering -------------------------------------------------


@SEEDS
@pytest.mark.parametrize(("loss", "burst"), [(0.05, 1), (0.08, 4), (0.3, 10), (0.005, 2)])
def test_loss_and_mean_burst_are_those_asked_for(seed: int, loss: float, burst: float) -> None:
    packets = 50_000
    flags = lost_flags(model(seed, loss=loss, burst=burst), packets)
    runs = [len(list(run)) for lost, run in groupby(flags) if lost]
    mean_run = max(burst, 1 / (1 - loss))
    # Losses come in runs: the count of runs, about packets * loss / mean_run, sets the error.
    tolerance = 5 * math.sqrt(2 * mean_run / (packets * loss))
    assert sum(flags) / packets == pytest.approx(loss, rel=tolerance)
    assert fmean(runs) == pytest.approx(mean_run, rel=tolerance)


@SEEDS
def test_burst_of_one_is_independent_loss(seed: int) -> None:
    flags = lost_flags(model(seed, loss=0.2, burst=1), 40_000)
    after_a_loss = [later for earlier, later in pairwise(flags) if earlier]
    assert fmean(after_a_loss) == pytest.approx(0.2, abs=0.015)


@pytest.mark.parametrize("loss", [0, 1])
def test_none_and_all_can_be_lost(loss: float) -> None:
    assert lost_flags(model(loss=loss), 100) == [bool(loss)] * 100


@SEEDS
def test_duplicates_arrive_twice(seed: int) -> None:
    link = model(seed, delay=0.1, duplicate=0.1)
    copies = [len(link.plan(n * 0.05, 200)) for n in range(20_000)]
    assert set(copies) == {1, 2}
    assert copies.count(2) / len(copies) == pytest.approx(0.1, abs=0.012)


@SEEDS
def test_reordered_packets_are_overtaken_and_nobody_else(seed: int) -> None:
    link = model(seed, delay=0.1, reorder=0.1, reorder_by=0.05)
    late, previous = 0, -math.inf
    for n in range(10_000):
        now = n * 0.01
        arrival = link.plan(now, 200)[0]
        if arrival == pytest.approx(now + 0.15):
            late += 1
        else:
            assert arrival == pytest.approx(now + 0.1)
            assert arrival >= previous
            previous = arrival
    assert late / 10_000 == pytest.approx(0.1, abs=0.015)


# -- LinkModel: rate and trace ---------------------------------------------------------------


def test_rate_spaces_packets_and_a_full_queue_drops_the_tail() -> None:
    link = model(rate=1000, queue=3, delay=0.5)
    # 100 bytes at 1,000 B/s take 0.1 s; three fit, the fourth and fifth do not.
    assert [link.plan(0.0, 100) for _ in range(5)] == [
        [pytest.approx(0.6)],
        [pytest.approx(0.7)],
        [pytest.approx(0.8)],
        [],
        [],
    ]
    # The first has left at 0.1 and made room; the line is busy until 0.3.
    assert link.plan(0.1, 100) == [pytest.approx(0.9)]
    # Idle time is not saved up.
    assert link.plan(5.0, 100) == [pytest.approx(5.6)]


def test_trace_carries_one_full_packet_per_slot() -> None:
    link = model(trace=(10, 10, 30), start=100.0)
    arrivals = [link.plan(100.0, TRACE_SLOT)[0] - 100.0 for _ in range(7)]
    # 10, 10, 30, then the trace begins again at 30: 40, 40, 60 and 70.
    assert arrivals == pytest.approx([0.010, 0.010, 0.030, 0.040, 0.040, 0.060, 0.070])


def test_small_packets_share_a_slot_and_large_ones_use_two() -> None:
    link = model(trace=(10, 20, 30), start=0.0)
    assert link.plan(0.0, 700) == [pytest.approx(0.010)]
    assert link.plan(0.0, 800) == [pytest.approx(0.010)]
    assert link.plan(0.0, 1000) == [pytest.approx(0.020)]
    assert link.plan(0.0, 1000) == [pytest.approx(0.030)]


def test_slots_that_nobody_used_are_gone() -> None:
    link = model(trace=(10, 20, 30), start=0.0)
    assert link.plan(0.021, 1500) == [pytest.approx(0.030)]
    # 71 ms is 11 ms into the third round: its slots are at 70, 80, 90.
    assert link.plan(0.071, 1500) == [pytest.approx(0.080)]
    # A packet that comes just as a slot opens may use it.
    assert link.plan(0.090, 1500) == [pytest.approx(0.090)]


def test_trace_starts_with_the_first_packet_unless_told() -> None:
    assert model(trace=(10, 1000)).plan(77.0, 100) == [pytest.approx(77.010)]


def test_trace_can_begin_again() -> None:
    link = model(trace=(10, 1000), start=0.0)
    assert link.plan(0.5, 100) == [pytest.approx(1.0)]
    link.restart_trace(2.0)
    assert link.plan(2.0, 100) == [pytest.approx(2.010)]


def test_trace_queue_is_bounded() -> None:
    link = model(trace=(5, 1000), queue=60, start=0.0)
    carried = [bool(link.plan(0.006, 1500)) for _ in range(100)]
    assert carried == [True] * 60 + [False] * 40


@SEEDS
def test_trace_never_carries_more_than_its_slots(seed: int) -> None:
    rng = random.Random(seed)
    trace = tuple(sorted(rng.randrange(2_000) for _ in range(300)))
    link = model(trace=trace, queue=20, start=0.0)
    now, carried = 0.0, 0
    for _ in range(5_000):
        now += rng.expovariate(600)
        size = rng.randrange(40, 1500)
        arrivals = link.plan(now, size)
        if arrivals:
            carried += size
            assert arrivals[0] >= now
    # Twice as much is offered as fits, so nearly every slot is full; 20 packets may still wait.
    capacity = now * 1000 / trace[-1] * len(trace) * TRACE_SLOT
    assert 0.95 * capacity < carried < 1.05 * capacity


def test_conditions_change_at_runtime_without_overtaking() -> None:
    link = model(delay=1.0)
    assert link.plan(0.0, 100) == [1.0]
    link.conditions = PRESETS["clean"]
    assert link.plan(0.5, 100) == [1.0]
    assert link.plan(2.0, 100) == [2.0]
    link.conditions = Conditions(loss=1)
    assert link.plan(3.0, 100) == []


# -- traces from files -----------------------------------------------------------------------


def test_load_trace_and_lte(tmp_path: Path) -> None:
    (tmp_path / "car.up").write_text("0\n4\n9\n")
    (tmp_path / "car.down").write_text("0\n0\n2\n")
    assert load_trace(tmp_path / "car.down") == (0, 0, 2)
    for name in ("car", "car.up", "car.down"):
        up, down = lte(tmp_path / name)
        assert up.trace == (0, 4, 9)
        assert down.trace == (0, 0, 2)
        assert (down.delay, down.queue) == (0.020, 60)


@pytest.mark.parametrize("text", ["", "0\n", "1\nx\n", "5\n4\n", "-3\n5\n"])
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.down"
    path.write_text(text)
    with pytest.raises(ValueError, match="trace"):
        load_trace(path)


def test_a_missing_trace_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lte(tmp_path / "absent")


# -- Conditioner -----------------------------------------------------------------------------


async def until(condition: asyncio.Event) -> None:
    await asyncio.wait_for(condition.wait(), timeout=5)


class Sink:
    """Collects what is forwarded, and says when enough has come."""

    def __init__(self, expected: int) -> None:
        self.received: list[tuple[float, bytes]] = []
        self.complete = asyncio.Event()
        self._expected = expected

    def __call__(self, data: bytes) -> None:
        self.received.append((asyncio.get_running_loop().time(), data))
        if len(self.received) == self._expected:
            self.complete.set()

    @property
    def data(self) -> list[bytes]:
        return [data for _, data in self.received]


async def test_without_conditions_packets_pass_at_once() -> None:
    conditioner = Conditioner(seed=1)
    sink = Sink(2)
    conditioner.outgoing(b"out", sink)
    conditioner.incoming(b"in", sink)
    assert sink.data == [b"out", b"in"]
    assert conditioner.outgoing_counts.passed == conditioner.incoming_counts.passed == 1


async def test_packets_are_held_for_the_delay_in_order() -> None:
    conditioner = Conditioner(Conditions(delay=0.02), seed=1)
    sink = Sink(50)
    sent = asyncio.get_running_loop().time()
    packets = [bytes([n]) for n in range(50)]
    for packet in packets:
        conditioner.outgoing(packet, sink)
    assert sink.data == []
    await until(sink.complete)
    assert sink.data == packets
    assert all(at - sent >= 0.0199 for at, _ in sink.received)


@SEEDS
async def test_loss_and_duplicates_are_counted(seed: int) -> None:
    conditioner = Conditioner(Conditions(loss=0.3, duplicate=0.3), seed=seed)
    received: list[bytes] = []
    for _ in range(1_000):
        conditioner.incoming(b"x", received.append)
    counts = conditioner.incoming_counts
    assert counts.passed + counts.lost == 1_000
    assert counts.passed + counts.duplicated == len(received)
    assert 200 < counts.lost < 400
    assert 100 < counts.duplicated < 320
    assert conditioner.outgoing_counts.passed == 0


async def test_each_direction_has_its_own_chance_and_weather() -> None:
    both = Conditioner(Conditions(loss=0.5), seed=1)
    fates = []
    for way in (both.outgoing, both.incoming):
        received: list[bytes] = []
        for n in range(64):
            way(bytes([n]), received.append)
        fates.append(received)
    assert fates[0] != fates[1]

    one_way = Conditioner(Conditions(loss=1), incoming="clean", seed=1)
    received = []
    one_way.outgoing(b"out", received.append)
    one_way.incoming(b"in", received.append)
    assert received == [b"in"]


async def test_weather_changes_while_packets_are_held() -> None:
    conditioner = Conditioner("4g", seed=1)
    assert conditioner.conditions is PRESETS["4g"]
    conditioner.conditions = Conditions(delay=0.02)
    sink = Sink(2)
    conditioner.outgoing(b"held", sink)
    conditioner.conditions = PRESETS["clean"]
    conditioner.outgoing(b"later", sink)
    await until(sink.complete)
    assert sink.data == [b"held", b"later"]
    conditioner.outgoing(b"at once", sink)
    assert sink.data[-1] == b"at once"


async def test_a_shorter_delay_moves_the_timer_forward() -> None:
    conditioner = Conditioner(Conditions(delay=0.02, reorder=1, reorder_by=30), seed=1)
    sink = Sink(1)
    conditioner.outgoing(b"in half a minute", sink)
    conditioner.conditions = Conditions(delay=0.01)
    conditioner.outgoing(b"soon", sink)
    await until(sink.complete)
    assert sink.data == [b"soon"]
    conditioner.close()


async def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netcode.transports.conditioner.MAX_HELD", 10)
    conditioner = Conditioner(Conditions(delay=0.01), seed=1)
    sink = Sink(10)
    for n in range(25):
        conditioner.outgoing(bytes([n]), sink)
    assert conditioner.outgoing_counts.lost == 15
    await until(sink.complete)
    assert sink.data == [bytes([n]) for n in range(10)]


async def test_a_failing_forward_harms_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    conditioner = Conditioner(Conditions(delay=0.01), seed=1)
    sink = Sink(1)

    def fail(data: bytes) -> None:
        raise OSError("socket gone")

    conditioner.outgoing(b"1", fail)
    conditioner.outgoing(b"2", sink)
    await until(sink.complete)
    assert sink.data == [b"2"]
    assert "socket gone" in caplog.text


async def test_close_forgets_what_is_held() -> None:
    conditioner = Conditioner(Conditions(delay=0.01), seed=1)
    other = Conditioner(Conditions(delay=0.02), seed=1)
    closed, witness = Sink(1), Sink(1)
    conditioner.outgoing(b"held", closed)
    conditioner.close()
    conditioner.outgoing(b"after", closed)
    conditioner.close()
    other.outgoing(b"later than both", witness)
    await until(witness.complete)
    assert closed.data == []
