"""What the busy game question makes of what both ends noted."""

import pytest

from benchmarks.busy_game import OURS, STOCK, figures, ratios
from benchmarks.busy_game_ends import ServerNotes, Slot
from benchmarks.report import Row


def values(rows: list[Row]) -> dict[str, float]:
    return {row.metric: row.value for row in rows}


def test_packets_are_joined_by_player_and_number() -> None:
    notes = ServerNotes(
        states_sent={(1, 7): 10.5, (2, 7): 11.5},
        inputs_read={(1, 3): 10.604, (2, 3): 11.606},
    )
    slots = [
        Slot(10.0, 11.0, 0.005, states_read={(1, 7): 10.501}, inputs_due={(1, 3): 10.6}),
        Slot(11.0, 12.0, 0.005, states_read={(2, 7): 11.503}, inputs_due={(2, 3): 11.6}),
    ]
    found = values(list(figures("busy", slots, notes)))
    assert found["snapshot_delay_ms_p50"] == pytest.approx(2.0)
    assert found["input_delay_ms_p50"] == pytest.approx(5.0)
    assert not any(metric.startswith(("rtt", "frame")) for metric in found)


def test_only_what_surely_belongs_to_a_slot_counts() -> None:
    sent = {(1, 0): 10.01, (1, 1): 10.5, (1, 2): 10.99}
    slot = Slot(10.0, 11.0, 0.005, frames=[0.012])
    slot.states_read = {(1, 0): 10.9, (1, 1): 10.504, (1, 2): 11.9, (1, 3): 10.6}
    found = values(list(figures("busy", [slot], ServerNotes(states_sent=sent))))
    assert found["snapshot_delay_ms_p99"] == pytest.approx(4.0)
    assert found["frame_ms_p50"] == pytest.approx(12.0)


def test_ratios_name_their_yardstick_and_want_both_figures() -> None:
    rows = [
        Row(STOCK, "snapshot_delay_ms_p50", 8.0, "ms"),
        Row(OURS, "snapshot_delay_ms_p50", 2.0, "ms"),
        Row(OURS, "frame_ms_p50", 13.0, "ms"),
    ]
    assert ratios(rows) == [Row(OURS, "snapshot_p50_to_5ms", 0.25, "x")]
