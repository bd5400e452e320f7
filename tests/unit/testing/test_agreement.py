"""What a client holds and the server never had is named: class, handle, field, both values."""

import enum
from dataclasses import replace

import numpy as np
import pytest

import netcode as nc
from netcode.testing import Stepper
from netcode.testing.agreement import Disagreement, Held, check
from netcode.world.history import ABSENT
from netcode.world.table import Table
from netcode.world.world import World
from tests.scenarios.small_game import Rock, Ship, Steer, begin, enter


class Rig(enum.Enum):
    SLOOP = 1
    KETCH = 2


class Boat(nc.Entity):
    x = nc.Float(0, 100, step=1)
    place = nc.Vec2(0, 100, step=1)
    name = nc.Text(max_bytes=10)
    tows = nc.Ref("Boat")
    gold = nc.Int(0, 100, only_owner=True)
    rig = nc.Enum(Rig)


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
        (0, 0, r"Boat 0\.x is 1\.0, the server has 0\.0"),
        (2, 2, r"Boat 2\.place is \[2\.0, 21\.0\], the server has \[2\.0, 20\.0\]"),
        (1, 3, r"Boat 1\.name is 'Cid', the server has 'Bob'"),
        (1, 4, r"Boat 1\.tows is 'Boat 2', the server has 'Boat 1'"),
        (1, 5, r"Boat 1\.gold is 2, the server has 1"),
        (1, 6, r"Boat 1\.rig is <Rig\.KETCH: 2>, the server has <Rig\.SLOOP: 1>"),
    ],
)
def test_one_wrong_lane_is_named(row: int, lane: int, named: str) -> None:
    table, server, client = scene()
    client.lanes[row, lane] += 1
    with pytest.raises(Disagreement, match=rf"^here: Boat {row}\.") as caught:
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
    with pytest.raises(Disagreement, match=r"^here: Boat 2 is Boat 65538 on the server"):
        check("here", table, server, client)
    server.life[2] = ABSENT
    with pytest.raises(Disagreement, match=r"^here: Boat 2 is not on the server"):
        check("here", table, server, client)


def test_a_row_that_never_was_is_a_disagreement() -> None:
    table, server, client = scene()
    fewer = replace(server, life=server.life[:2], lanes=server.lanes[:2])
    with pytest.raises(Disagreement, match=r"^here: Boat 2 is not on the server"):
        check("here", table, fewer, client)


def test_a_reference_may_be_empty_and_a_secret_unknown() -> None:
    table, server, client = scene()
    client.lanes[:, table.lanes_of(Boat.tows)] = 0
    client.lanes[[0, 2], table.lanes_of(Boat.gold)] = 99
    assert check("here", table, server, client).tolist() == [0, 1, 2]
    assert check("here", table, server, replace(client, mine=None)).tolist() == [0, 1, 2]


def test_a_text_without_its_pool_cannot_be_compared() -> None:
    table, server, client = scene()
    with pytest.raises(ValueError, match=r"Boat\.name"):
        check("here", table, replace(server, text=None), client)


# -- a whole game ----------------------------------------------------------------------------


@pytest.mark.parametrize("weather", ["clean", "terrible"])
def test_clients_agree_also_while_everything_moves(weather: str) -> None:
    game = begin(seed=3)
    for name in ("Ada", "Bob"):
        enter(game, name, weather)
    game.server.on_tick(lambda step: _shake(game))
    for n in range(40):
        game.server.world.spawn(Rock, x=n, size=n)
    for _ in range(20):
        game.run(0.2, lambda client: [Steer(thrust=1)])
        game.assert_agreement()


def _shake(game: Stepper) -> None:
    game.server.world.table(Rock).x[:] += 0.3


def test_a_wrong_value_is_named_with_client_tick_and_seed() -> None:
    game = begin(seed=9)
    ada, bob = enter(game, "Ada"), enter(game, "Bob")
    game.run(0.5)
    game.assert_agreement()
    newest = bob.guest.history.newest
    assert newest is not None
    newest.tables[0].lanes[1, 0] += 2
    game.assert_agreement(ada)
    with pytest.raises(
        AssertionError,
        match=rf"^Bob, tick {newest.tick}: Ship 1\.x is 20\.1, the server has 20\.0 \(seed 9\)$",
    ):
        game.assert_agreement()


def test_an_entity_that_is_missing_is_named() -> None:
    game = begin()
    ada = enter(game, "Ada")
    rock = game.server.world.spawn(Rock)
    game.run(0.5)
    newest = ada.guest.history.newest
    assert newest is not None
    newest.tables[1].life[rock._row] = -1
    with pytest.raises(AssertionError, match=r"Ada, tick \d+: Rock 0 has not come into view"):
        game.assert_agreement()


def test_who_has_heard_nothing_for_long_agrees_with_nobody() -> None:
    game = begin()
    ada = enter(game, "Ada")
    ada.weather = nc.Conditions(loss=1)
    game.run(2.0)
    with pytest.raises(AssertionError, match="Ada has not heard all of any of the last 32"):
        game.assert_agreement()


def test_a_secret_told_a_moment_ago_is_compared_from_then_on() -> None:
    game = begin()
    ada = enter(game, "Ada", "4g")
    rock = game.server.world.spawn(Ship, ammo=7)
    game.run(0.5)
    game.player_of(ada).control(rock)
    for _ in range(60):
        game.run(1 / 60)
        game.assert_agreement()
    held = next(ship for ship in ada.authoritative[Ship] if ship.handle == rock.handle)
    assert held.ammo == 7
