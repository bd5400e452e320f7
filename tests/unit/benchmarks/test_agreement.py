"""A benchmark fails, by name of row and lane, if a client holds what the server never had."""

from dataclasses import replace

import numpy as np
import pytest

import netcode as nc
from benchmarks.agreement import Disagreement, Held, check
from netcode.world.history import ABSENT
from netcode.world.table import Table
from netcode.world.world import World


class Boat(nc.Entity):
    x = nc.Float(0, 100, step=1)
    place = nc.Vec2(0, 100, step=1)
    name = nc.Text(max_bytes=10)
    tows = nc.Ref("Boat")
    gold = nc.Int(0, 100, only_owner=True)


def scene() -> tuple[Table[Boat], Held, Held]:
    """Three boats, and a client that holds them all and owns the second."""
    world, other = World([Boat]), World([Boat])
    other.texts.number("something else first")
    table = world.table(Boat)
    for n, name in enumerate(("Ada", "Bob", "Cid")):
        boat = world.spawn(Boat, x=n, place=(n, 10 * n), name=name, gold=n)
        boat.tows = boat
    server = Held(table.generation.copy(), table.quantise(), np.ones(3, np.bool_), world.text)
    lanes = server.lanes.copy()
    name_lane, gold_lane = table.lanes_of(Boat.name).start, table.lanes_of(Boat.gold).start
    lanes[:, name_lane] = [other.text_id(name) for name in ("Ada", "Bob", "Cid")]
    lanes[:, gold_lane] = [0, 1, 0]
    client = Held(
        server.life.copy(), lanes, np.ones(3, np.bool_), other.text, np.array([False, True, False])
    )
    return table, server, client


def test_a_client_that_holds_the_truth_agrees() -> None:
    table, server, client = scene()
    assert check("here", table, server, client).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("row", "lane", "named"),
    [
        (0, 0, r"lane 0 \(Boat\.x\): 1, the server has 0"),
        (2, 2, r"lane 2 \(Boat\.place\): 21, the server has 20"),
        (1, 3, r"Boat\.name, row 1: 'Cid', the server has 'Bob'"),
        (1, 4, r"lane 4 \(Boat\.tows\)"),
        (1, 5, r"lane 5 \(Boat\.gold\): 2, the server has 1"),
    ],
)
def test_one_wrong_lane_is_named(row: int, lane: int, named: str) -> None:
    table, server, client = scene()
    client.lanes[row, lane] += 1
    with pytest.raises(Disagreement, match=rf"^here.*row {row}.*") as caught:
        check("here", table, server, client)
    assert caught.match(named)
    # Whatever it does not claim to know is no lie.
    client.known[row] = False
    assert row not in check("here", table, server, client)


def test_a_row_that_has_left_the_view_is_not_compared() -> None:
    table, server, client = scene()
    client.lanes[0] = 7
    client.life[0] = ABSENT
    assert check("here", table, server, client).tolist() == [1, 2]


def test_the_predecessor_in_a_row_is_a_disagreement() -> None:
    table, server, client = scene()
    server.life[2] += 1
    with pytest.raises(Disagreement, match="here, row 2: generation 0, the server has 1"):
        check("here", table, server, client)
    server.life[2] = ABSENT
    with pytest.raises(Disagreement, match="here, row 2"):
        check("here", table, server, client)


def test_a_row_that_never_was_is_a_disagreement() -> None:
    table, server, client = scene()
    fewer = replace(server, life=server.life[:2], lanes=server.lanes[:2])
    with pytest.raises(Disagreement, match="here, row 2: the server has no such row"):
        check("here", table, fewer, client)


def test_a_reference_may_be_empty_and_a_secret_unknown() -> None:
    table, server, client = scene()
    client.lanes[:, table.lanes_of(Boat.tows)] = 0
    client.lanes[[0, 2], table.lanes_of(Boat.gold)] = 99
    assert check("here", table, server, client).tolist() == [0, 1, 2]
    assert check("here", table, server, replace(client, mine=None)).tolist() == [0, 1, 2]
