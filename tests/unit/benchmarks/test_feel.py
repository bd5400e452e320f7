"""What the figures of `feel` are made of: deterministic, and able to tell good from bad."""

import argparse
from pathlib import Path

import pytest

from benchmarks import feel
from benchmarks.feel_game import fly_alone, play
from benchmarks.report import Row


def arguments(**given: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    feel.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args(["--quick"])), **given})


def values(rows: list[Row]) -> dict[tuple[str, str], float]:
    return {(row.case, row.metric): row.value for row in rows}


def test_the_same_seed_gives_the_same_figures_and_another_one_others() -> None:
    options = {"cases": ["loss5"], "seconds": 2.0}
    first = values(feel.run(arguments(**options)))
    assert first == values(feel.run(arguments(**options)))
    assert first != values(feel.run(arguments(**options, seed=2)))
    assert set(first) == {
        ("loss5", metric)
        for metric in (
            "input_to_own_screen_ms",
            "input_to_other_screen_ms_p50",
            "input_to_other_screen_ms_p99",
            "display_error_px_p99",
            "jerk_ratio",
            "stall_ms_max",
            "interpolation_delay_ms_p50",
            "lead_ms_p50",
            "corrections_per_minute",
            "shots_agreed_percent",
        )
    }
    assert all(value == value for value in first.values())


def test_it_tells_a_game_with_prediction_and_interpolation_from_one_without() -> None:
    ours, _ = play("4g", 3.0, seed=1, settle=3.0)
    plain, _ = play("4g", 3.0, seed=1, plain=True, settle=3.0)
    assert max(ours.own) <= 1 / 60
    assert min(plain.own) > 0.09  # a round trip at least
    assert ours.longest_stall == 0
    assert plain.longest_stall > 0
    assert sum(plain.shown_bends) > 100 * sum(ours.shown_bends)
    assert ours.agreed == ours.shots > 5
    assert plain.agreed < plain.shots


def test_it_sees_a_display_that_lags_and_one_that_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    calm, _ = play("lan", 2.0, seed=1, settle=3.0)
    monkeypatch.setattr("netcode.play.motion.AGREES", -1.0)  # no curves
    monkeypatch.setattr("netcode.play.tick_clock.MAX_DELAY", 0.05)
    monkeypatch.setattr("netcode.play.motion.FULL_SPEED", 0.0)
    monkeypatch.setattr("netcode.play.motion.SLOWING", 1e-9)
    stiff, _ = play("loss5", 4.0, seed=1, settle=3.0)
    assert max(stiff.errors) > 20 * max(calm.errors)
    assert stiff.longest_stall > calm.longest_stall == 0


def test_flying_alone_counts_every_snapshot_and_what_surprised() -> None:
    surprises, snapshots = fly_alone("lan", 3.0, seed=1, settle=3.0)
    assert surprises == []
    assert snapshots == pytest.approx(60, abs=2)
    surprises, snapshots = fly_alone("terrible", 12.0, seed=5, settle=3.0)
    assert surprises
    assert len(surprises) < snapshots


def test_a_case_that_nobody_knows_is_refused_and_lte_needs_its_trace() -> None:
    for case in ("sunshine", "lte"):
        with pytest.raises(SystemExit, match=case):
            feel.run(arguments(cases=[case]))


def test_a_recorded_line_is_played(tmp_path: Path) -> None:
    slots = "\n".join(str(at) for at in range(1, 2_000, 2))
    for way in ("up", "down"):
        (tmp_path / f"steady.{way}").write_text(slots)
    options = {"cases": ["lte"], "seconds": 3.0, "trace": tmp_path / "steady.up"}
    figures = values(feel.run(arguments(**options)))
    assert figures["lte", "input_to_other_screen_ms_p50"] < 400
