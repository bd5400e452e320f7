"""Every delivery keeps its promise in bad weather.

The rows are shaped after the conditions that GameNetworkingSockets tests with, at modest size.
"""

import random

import pytest

from netcode.link.delivery import RELIABLE, SEQUENCED, UNORDERED, UNRELIABLE
from netcode.transports.link_model import Conditions
from tests.unit.link.link_lab import Lab

MATRIX = {
    "slow and lossy": Conditions(
        rate=128_000, loss=0.10, delay=0.05, reorder=0.02, reorder_by=0.05, queue=200
    ),
    "fast with some loss": Conditions(
        rate=1_000_000, loss=0.05, delay=0.01, reorder=0.10, reorder_by=0.01, queue=200
    ),
    "much reordered": Conditions(
        rate=2_000_000, delay=0.05, reorder=0.50, reorder_by=0.04, queue=200
    ),
    "narrow and very lossy": Conditions(
        rate=64_000, loss=0.20, delay=0.10, reorder=0.04, reorder_by=0.05, queue=200
    ),
    "near and doubled": Conditions(
        rate=1_000_000, loss=0.02, delay=0.005, jitter=0.004, duplicate=0.25, queue=200
    ),
    "bursts": Conditions(delay=0.045, jitter=0.012, loss=0.08, burst=6, duplicate=0.05),
}
SIZES = [1, 30, 300, 1200, 5000]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("weather", MATRIX.values(), ids=MATRIX)
def test_every_delivery_keeps_its_promise(weather: Conditions, seed: int) -> None:
    rng = random.Random(seed)
    lab = Lab(weather, seed=seed)
    deliveries = (RELIABLE, UNORDERED, UNRELIABLE, SEQUENCED)
    ways = {delivery: lab.open("x-" + delivery.name, delivery) for delivery in deliveries}
    sent: dict[tuple[str, str], list[bytes]] = {}
    for _ in range(60):
        for delivery in deliveries:
            for side, end in enumerate((lab.a, lab.b)):
                log = sent.setdefault((delivery.name, "ab"[side]), [])
                payload = len(log).to_bytes(4, "big") + rng.randbytes(rng.choice(SIZES))
                end.link.send(ways[delivery][side], payload)
                log.append(payload)
        lab.run(0.1)
    lab.run(12.0)  # the quiet phase

    assert (lab.a.closed, lab.b.closed) == ([], [])
    for sender, receiver in (("a", lab.b), ("b", lab.a)):
        assert receiver.got("x-RELIABLE") == sent["RELIABLE", sender]
        assert sorted(receiver.got("x-UNORDERED")) == sent["UNORDERED", sender]
        for name in ("UNRELIABLE", "SEQUENCED"):
            got = receiver.got("x-" + name)
            assert len(got) > 5
            assert set(got) <= set(sent[name, sender])
        in_order = receiver.got("x-SEQUENCED")
        assert in_order == sorted(set(in_order))
    for end in (lab.a, lab.b):
        assert end.transport.backlog() < 200  # the latest heartbeats
        for channel in end.session.channels.values():
            assert channel.outgoing.is_settled
            assert channel.outgoing.waiting_bytes == 0
