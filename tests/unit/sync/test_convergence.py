"""Whatever the network does, a client ends with what the server has, and never holds a mixture."""

import os
import random

import pytest

import netcode as nc
from netcode.sync.interest import Interest
from tests.unit.sync.lab import IDLE_PACKET, SCHEMAS, Lab, Weather, stir

SEEDS = int(os.environ.get("NETCODE_SYNC_SEEDS", "2"))
"""Games per case. More of them on demand: each takes about a quarter of a second."""

WEATHERS = {
    "clear": Weather(),
    "loss": Weather(loss=0.3),
    "reordering": Weather(loss=0.1, twice=0.2, most_delay=4),
    "storm": Weather(loss=0.6, twice=0.3, most_delay=8),
}


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_clients_end_with_what_the_server_shows_them(schema: str, weather: str, seed: int) -> None:
    rng = random.Random(f"{schema} {weather} {seed}")
    interest: Interest = nc.Radius(80) if seed % 2 else nc.Everything()
    lab = Lab(SCHEMAS[schema], rng, interest=interest, clients=2, weather=WEATHERS[weather])
    for _ in range(30):
        stir(lab)
        for client in lab.clients:
            client.peer.rtt = rng.randint(0, 10)
        lab.step()
    lab.calm_down()
    lab.check_equal()
    for packets in lab.sent.values():
        assert [len(data) for data in packets] == [IDLE_PACKET]
