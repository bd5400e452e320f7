"""Replays are read as they are written, or refused by name; and resampled to broadcasts."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks.karts import Kart, Recording, load, parse, race
from benchmarks.motions import BROADCAST_RATE, write
from netcode.world.world import World

HEADER = """version: 4
kart: suzanne &#x2606;STK&#x2606;
kart_list_end
reverse: 0
info: size: of the record 22
min_time: 121.9
"""
RECORDS = [
    "0.00 1.0 2.0 3.0  0 0 0 1  0.0 0.00  0.29 0.29 0.29 0.29 0 0 0.0 3 4 0  -1448.0 0 0",
    "0.10 2.0 2.5 1.0  0 0 0 -1  8.0 0.50  0.29 0.29 0.29 0.29 0 0 0.0 3 4 0  -1448.0 0 0",
    "0.30 4.0 2.5 1.0  0 0 -1 0  6.0 -1.0  0.29 0.29 0.29 0.29 0 0 0.0 3 4 0  -1448.0 0 0",
]


def replay(records: list[str], size: str | None = None) -> str:
    size = f"{len(records):9}" if size is None else size
    return HEADER + f"size: {size}\n" + "\n".join(records) + "\n"


def test_a_replay_is_read() -> None:
    recording = parse("suzanne", replay(RECORDS))
    assert recording.name == "suzanne"
    assert recording.seconds == 0.3
    assert recording.times.tolist() == [0.0, 0.1, 0.3]
    assert recording.values.shape == (3, 9)
    assert recording.values[1, [0, 1, 2, 7, 8]].tolist() == [2.0, 2.5, 1.0, 8.0, 0.5]


def test_what_follows_the_records_is_not_read() -> None:
    text = replay([*RECORDS, "size: 1", "and another kart"], "3")
    assert len(parse("suzanne", text).times) == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HEADER, "size"),
        ("", "size"),
        (replay(RECORDS, "-3"), "size"),
        (replay(RECORDS, "999999999999"), "size"),
        (replay(RECORDS, "many"), "size"),
        (replay(RECORDS[:1]), "size"),
        (replay(RECORDS, "4"), "ends after 3 of 4"),
        (replay([*RECORDS[:2], "0.3 4.0 2.5"]), "record 2 has too few"),
        (replay([*RECORDS[:2], RECORDS[2].replace("4.0", "four")]), "record 2 is no row"),
        (replay([*RECORDS[:2], RECORDS[2].replace("4.0", "nan")]), "finite"),
        (replay([RECORDS[1], RECORDS[0]]), "ascend"),
        (replay([*RECORDS, RECORDS[2]]), "ascend"),
        (replay([RECORDS[0], RECORDS[1].replace("0 0 0 -1", "0 0 0 0")]), "no rotation"),
    ],
)
def test_what_is_no_replay_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"suzanne: .*{reason}"):
        parse("suzanne", text)


def test_between_records_everything_is_in_between() -> None:
    recording = parse("suzanne", replay(RECORDS))
    at = recording.at(np.array([0.0, 0.05, 0.2, 0.3, 9.0]))
    assert at[:, 0].tolist() == pytest.approx([1.0, 1.5, 3.0, 4.0, 4.0])
    assert at[:, 7].tolist() == pytest.approx([0.0, 4.0, 7.0, 6.0, 6.0])
    # Records 0 and 1 are the same rotation with opposite signs: it does not turn between them.
    assert np.abs(at[1, 3:7]).tolist() == pytest.approx([0, 0, 0, 1])
    # A quarter turn lies half way to a half turn.
    assert np.abs(at[2, 3:7]).tolist() == pytest.approx([0, 0, 0.5**0.5, 0.5**0.5])
    assert np.linalg.norm(at[:, 3:7], axis=1).tolist() == pytest.approx([1] * 5)


def test_a_folder_is_read_by_name_and_must_hold_something(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \*\.replay"):
        load(tmp_path)
    for name in ("b", "a"):
        (tmp_path / f"{name}.replay").write_bytes(replay(RECORDS).encode() + b"\xff\xfe")
    (tmp_path / "readme.txt").write_text("not a race")
    assert [recording.name for recording in load(tmp_path)] == ["a", "b"]


def line(name: str, seconds: float, speed: float) -> Recording:
    """A kart that drives along x."""
    times = np.array([0.0, seconds])
    values = np.zeros((2, 9))
    values[:, 0] = times * speed
    values[:, 6] = 1.0
    return Recording(name, times, values)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_race_is_the_recordings_and_copies_that_are_ahead(seed: int) -> None:
    recordings = [line("slow", 30.0, 1.0), line("fast", 20.0, 2.0)]
    rng = np.random.default_rng(seed)
    shown = list(race(recordings, 7, 10.0, rng))
    assert len(shown) == 10 * BROADCAST_RATE + 1
    x = np.stack([columns["x"] for columns in shown])
    assert x.shape == (len(shown), 7)
    assert x[0, :2].tolist() == [0, 0]
    assert x[20, :2].tolist() == pytest.approx([1.0, 2.0])
    ahead = x[0, 2:] / [1, 2, 1, 2, 1]
    assert len(set(ahead.tolist())) == 5
    assert ((ahead > 0) & (ahead < [20, 10, 20, 10, 20])).all()
    # Nobody has come to the end: all drive until the last broadcast.
    for before, after in pairwise(shown):
        assert (after["x"] > before["x"]).all()


def test_a_recording_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fast is shorter than 25 s"):
        race([line("slow", 30.0, 1.0), line("fast", 20.0, 2.0)], 2, 25.0, np.random.default_rng(1))


def test_a_table_of_karts_takes_a_race() -> None:
    table = World([Kart]).table(Kart)
    for _ in range(3):
        table.spawn()
    recording = parse("suzanne", replay(RECORDS))
    for columns in race([recording], 3, 0.3, np.random.default_rng(1)):
        write(table, columns)
    assert table.clamped == {}
    table.quantise()
    assert table.clamped == {}
    assert table.x.tolist() == [4.0] * 3
    assert table.steering.tolist() == [-1.0] * 3
