"""The parts of the bandwidth question: the simulated link, and what the naive way costs."""

import random

import numpy as np
import pytest

from benchmarks.bandwidth import Wire, _moments, naive_message, on_the_wire


def test_what_is_sent_arrives_after_the_delay_in_order() -> None:
    wire = Wire(45, 0.0, random.Random(1))
    wire.send(0, "a")
    wire.send(0, "b")
    wire.send(50, "c")
    assert list(wire.arrivals(44)) == []
    assert list(wire.arrivals(45)) == [(45, "a"), (45, "b")]
    assert list(wire.arrivals(45)) == []
    assert list(wire.arrivals(1_000)) == [(95, "c")]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_lossy_wire_loses_its_share_and_the_seed_says_which(seed: int) -> None:
    arrived = []
    for _ in range(2):
        wire = Wire(0, 0.05, random.Random(seed))
        for number in range(10_000):
            wire.send(number, number)
        arrived.append([item for _, item in wire.arrivals(10_000)])
    assert arrived[0] == arrived[1]
    assert 9_400 < len(arrived[0]) < 9_600


def test_the_datagrams_of_one_moment_belong_together() -> None:
    arrivals = [(45, b"a"), (45, b"b"), (95, b"c"), (195, b"d"), (195, b"e")]
    groups = list(_moments(iter(arrivals)))
    assert groups == [(45, [b"a", b"b"]), (95, [b"c"]), (195, [b"d", b"e"])]
    assert list(_moments(iter([]))) == []


def test_a_long_message_pays_for_each_datagram() -> None:
    assert on_the_wire(bytes(1_100)) == 1_100 + 93
    assert on_the_wire(bytes(1_101)) == 1_101 + 2 * 93


def test_the_naive_way_rounds_to_the_step_and_names_every_field() -> None:
    columns = {
        "x": np.array([1.23456, -0.0004]),
        "orientation": np.array([[0.0, 0.0, 0.70710678, 0.70710678], [0.0, 0.0, 0.0, 1.0]]),
    }
    assert naive_message(7, columns, {"x": 3, "orientation": 2}) == {
        "tick": 7,
        "objects": [
            {"id": 0, "x": 1.235, "orientation": [0.0, 0.0, 0.71, 0.71]},
            {"id": 1, "x": 0.0, "orientation": [0.0, 0.0, 0.0, 1.0]},
        ],
    }
