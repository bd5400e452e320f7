"""What the sender says, and when it says nothing."""

import random

import numpy as np
import pytest

import netcode as nc
from netcode.sync.baselines import REACH, RESTING
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.packets import decode_state_header
from netcode.world.layout import PartKind
from tests.unit.sync.lab import (
    CLEAR,
    DARK,
    EVERY,
    IDLE_PACKET,
    Lab,
    Letter,
    Mark,
    Rock,
    Ship,
    Weather,
    scramble,
)


def lab_of(*kinds: type[nc.Entity], clients: int = 1) -> Lab:
    return Lab(kinds, random.Random(1), clients=clients)


def sizes(lab: Lab, player: int = 1) -> list[int]:
    return [len(data) for data in lab.sent[player]]


def told(lab: Lab, player: int = 1) -> list[tuple[int, int]]:
    """(table, row) of all that the newest broadcast tells a player."""
    parts = lab.history.layout.parts
    return [(parts[said.part].table, said.row) for said in lab.said(player)]


def what(lab: Lab, player: int = 1) -> list[str]:
    return [said.what for said in lab.said(player)]


# -- silence ---------------------------------------------------------------------------------


def test_an_empty_world_costs_one_header() -> None:
    lab = lab_of(Ship)
    lab.step()
    assert sizes(lab) == [IDLE_PACKET]


def test_what_rests_costs_nothing_once_it_is_acknowledged() -> None:
    lab = lab_of(Rock, Mark)
    for _ in range(200):
        lab.world.spawn(Rock)
        lab.world.spawn(Mark)
    lab.calm_down(4)
    for _ in range(3 * RESTING):
        lab.step(CLEAR)
        assert sizes(lab) == [IDLE_PACKET]
    lab.check_equal()


def test_a_change_below_the_step_is_no_change() -> None:
    lab = lab_of(Ship)
    ship = lab.world.spawn(Ship, x=10.0)
    lab.calm_down(4)
    ship.x = 10.1
    lab.step(CLEAR)
    assert sizes(lab) == [IDLE_PACKET]


def test_without_players_nothing_is_sent() -> None:
    lab = lab_of(Rock, clients=0)
    lab.world.spawn(Rock)
    lab.step()
    assert lab.sent == {}


def test_a_game_without_entities_tells_headers() -> None:
    lab = lab_of()
    lab.step()
    assert sizes(lab) == [IDLE_PACKET]


# -- changes ---------------------------------------------------------------------------------


def test_a_change_is_repeated_until_it_is_acknowledged_and_then_no_more() -> None:
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    rock.grade = 2
    for _ in range(5):
        lab.step(DARK)
        assert told(lab) == [(0, 0)]
    lab.step(CLEAR)
    assert told(lab) == [(0, 0)]
    lab.step(CLEAR)
    assert told(lab) == []
    lab.check_equal()


def test_only_the_field_that_changed_is_said() -> None:
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    rock.grade = 2
    lab.step(CLEAR)
    (said,) = lab.said()
    assert (said.what, said.fields) == ("update", frozenset({"grade"}))


def test_one_change_of_one_field_takes_a_dozen_bytes() -> None:
    lab = lab_of(Ship)
    ships = [lab.world.spawn(Ship) for _ in range(50)]
    lab.calm_down(4)
    ships[31].hull = 50
    lab.step(CLEAR)
    (size,) = sizes(lab)
    assert size <= IDLE_PACKET + 12


def test_an_old_value_that_comes_back_needs_an_acknowledgement_of_its_own() -> None:
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock, grade=1)
    lab.calm_down(4)
    rock.grade = 2
    lab.step(CLEAR)
    rock.grade = 1
    lab.step(DARK)
    lab.calm_down(2)
    lab.check_equal()
    assert lab.clients[0].receiver.known[0].lanes[0].tolist()[-1] == 1 + 3


@pytest.mark.parametrize("outage", [1, REACH - 1, REACH, RESTING])
def test_after_a_rest_a_change_is_an_update_for_as_long_as_baselines_reach(outage: int) -> None:
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock, grade=1)
    lab.calm_down(3 * RESTING)
    rock.grade = 2
    for _ in range(outage):
        lab.step(DARK)
        assert what(lab) == ["update"]
    lab.step(CLEAR)
    lab.check_equal()


def test_after_a_long_outage_everything_that_changed_is_told_in_full() -> None:
    lab = lab_of(Rock)
    rocks = [lab.world.spawn(Rock, grade=1) for _ in range(3)]
    lab.calm_down(4)
    rocks[1].grade = 2
    for _ in range(2 * RESTING):
        lab.step(DARK)
    lab.step(CLEAR)
    assert [(said.row, said.what) for said in lab.said()] == [(1, "entry")]
    lab.check_equal()
    lab.calm_down(2)
    lab.check_equal()


def test_smooth_motion_is_cheaper_than_the_values_it_takes() -> None:
    """Two lanes of 11 bits in 40 rows: their curves are told in a third of that."""
    lab = lab_of(Ship)
    ships = [lab.world.spawn(Ship) for _ in range(40)]
    for turn in range(40):
        for index, ship in enumerate(ships):
            angle = turn / 20 + index
            ship.x, ship.y = 190 * np.cos(angle), 190 * np.sin(angle)
        lab.step(CLEAR)
    assert sum(sizes(lab)) < 40 * 22 / 8 / 3 + 40
    lab.check_equal()


# -- entries ---------------------------------------------------------------------------------


def test_an_entry_waits_one_round_trip_before_it_is_repeated() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt = 4
    lab.world.spawn(Rock)
    said = []
    for _ in range(9):
        lab.step(DARK)
        said.append(bool(told(lab)))
    assert said == [True, False, False, False, True, False, False, False, True]


def test_an_entry_that_changes_does_not_wait() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt = 100
    rock = lab.world.spawn(Rock, grade=0)
    lab.step(DARK)
    for grade in (1, 2, 3):
        rock.grade = grade
        lab.step(DARK)
        assert what(lab) == ["entry"]


def test_an_entry_over_something_older_does_not_wait() -> None:
    """Until it is here the peer shows the row's former tenant, and takes silence for rest."""
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt = 100
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    lab.world.despawn(rock)
    lab.world.spawn(Rock)
    for _ in range(5):
        lab.step(DARK)
        assert what(lab) == ["entry"]
        assert not decode_state_header(lab.sent[1][0])[0].deferred
    lab.step(CLEAR)
    newest = lab.clients[0].history.newest
    assert newest is not None
    assert newest.complete
    lab.check_equal()


def test_an_entry_that_is_not_heard_for_long_begins_anew() -> None:
    """Its age has six bits; packets that arrive in any order still agree on when it began."""
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock)
    for _ in range(70):
        lab.step(DARK)
    for turn in range(60):
        rock.grade = turn % 7 - 3
        rock.position = (turn, turn * turn / 20)
        lab.step(Weather(most_delay=4))
    lab.calm_down(6)
    lab.check_equal()


def test_what_came_and_went_while_nothing_got_through_is_told_to_leave() -> None:
    """The server cannot know whether the entry arrived."""
    lab = lab_of(Rock)
    rock = lab.world.spawn(Rock)
    lab.step(DARK)
    lab.world.despawn(rock)
    for _ in range(3):
        lab.step(DARK)
        assert what(lab) == ["leave"]
    lab.step(CLEAR)
    lab.step(CLEAR)
    assert what(lab) == []
    assert len(lab.sender.pairs) == 0


def test_what_came_and_went_between_two_broadcasts_was_never_there() -> None:
    lab = lab_of(Rock)
    lab.step(CLEAR)
    lab.world.despawn(lab.world.spawn(Rock))
    lab.step(CLEAR)
    assert what(lab) == []


def test_leaving_and_coming_back_is_a_new_entry_with_all_fields() -> None:
    lab = Lab((Rock,), random.Random(1), interest=nc.Radius(10))
    lab.clients[0].peer.viewpoint = (0.0, 0.0)
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    rock.position = (100, 0)
    lab.step(CLEAR)
    assert what(lab) == ["leave"]
    lab.calm_down(2)
    assert sizes(lab) == [IDLE_PACKET]
    rock.position = (5, 0)
    lab.step(CLEAR)
    (said,) = lab.said()
    assert (said.what, said.fields) == ("entry", frozenset({"position", "grade"}))
    lab.calm_down(2)
    lab.check_equal()


# -- packets ---------------------------------------------------------------------------------


def test_every_packet_is_below_the_limit_and_numbered() -> None:
    lab = lab_of(Letter, Rock, Ship)
    rng = lab.random
    for kind in (Letter, Rock, Ship):
        for _ in range(25):
            entity = lab.world.spawn(kind)
            if isinstance(entity, Letter):
                entity.front, entity.back = "x" * rng.randint(0, 255), "y" * rng.randint(0, 255)
            else:
                scramble(entity, lab, 1.0)
    lab.step(CLEAR)
    headers = [decode_state_header(data)[0] for data in lab.sent[1]]
    assert len(headers) > 7
    assert [header.index for header in headers] == list(range(len(headers)))
    assert {header.count for header in headers} == {len(headers)}
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    assert all(size <= MAX_DATAGRAM for size in sizes(lab))
    public = [
        said for said in lab.said() if lab.history.layout.parts[said.part].kind is PartKind.PUBLIC
    ]
    assert len({(said.part, said.row) for said in public}) == len(public) == 75


def test_the_header_tells_what_the_caller_has_set() -> None:
    lab = lab_of(Rock)
    peer = lab.clients[0].peer
    peer.client_packet, peer.input_tick, peer.earliness = 70_000, 41, -0.0125
    lab.step(CLEAR, receive=False)
    header, _ = decode_state_header(lab.sent[1][0])
    assert (header.tick, header.client_packet, header.input_tick) == (EVERY, 70_000 & 0xFFFF, 41)
    assert header.earliness == pytest.approx(-0.012, abs=0.001)


def test_one_lost_packet_of_several_repeats_only_what_it_carried() -> None:
    lab = lab_of(Ship)
    ships = [lab.world.spawn(Ship) for _ in range(200)]
    lab.calm_down(4)
    for index, ship in enumerate(ships):
        ship.x, ship.y, ship.name = index - 100, 7 * index % 200, f"number {index}"
    lost = 1
    lab.step(CLEAR, lose=lambda player, header: header.index == lost)
    assert len(lab.sent[1]) > 2
    carried = [(said.part, said.row) for said in lab.said() if said.packet == lost]
    lab.step(CLEAR)
    assert 0 < len(carried) < 200
    assert [(said.part, said.row) for said in lab.said()] == carried
    lab.step(CLEAR)
    assert what(lab) == []
    lab.check_equal()
