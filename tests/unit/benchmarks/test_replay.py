"""Running the past again is measured on what a client really does."""

import argparse

from benchmarks import replay


def test_every_case_is_measured_and_a_comparison_is_cheaper_than_a_replay() -> None:
    rows = replay.run(argparse.Namespace(quick=True))
    values = {(row.case, row.metric): row.value for row in rows}
    assert {case for case, _ in values} == {"replay", "agreed", "on columns", "update"}
    assert all(value > 0 for value in values.values())
    assert values["agreed", "time_ms_p50"] < values["replay", "time_ms_p50"]
