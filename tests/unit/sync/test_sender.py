"""What the sender says, and when it says nothing."""

import random

import numpy as np
import pytest

import netcode as nc
from netcode.sync.sender import MAX_PACKETS, SENT_KEPT
from netcode.transports.base import MAX_DATAGRAM
from netcode.wire.packets import decode_state_header
from tests.unit.sync.lab import EVERY, IDLE_PACKET, Lab, Letter, Rock, Ship, Weather, scramble, stir
from tests.unit.wire.independent_decoder import decode_state

DARK = Weather(loss=1.0)
CLEAR = Weather()


def lab_of(*kinds: type[nc.Entity], clients: int = 1) -> Lab:
    return Lab(kinds, random.Random(1), clients=clients)


def sizes(lab: Lab, player: int = 1) -> list[int]:
    return [len(data) for data in lab.sent[player]]


def told(lab: Lab, player: int = 1) -> list[tuple[int, int]]:
    """(table, row) of all that the newest broadcast tells a player."""
    packets = [decode_state(data, lab.layout) for data in lab.sent[player]]
    return [(row.table, row.row) for packet in packets for row in packet.rows]


def test_an_empty_world_costs_one_header() -> None:
    lab = lab_of(Ship)
    lab.step()
    assert sizes(lab) == [IDLE_PACKET]


def test_what_rests_costs_nothing_once_it_is_acknowledged() -> None:
    lab = lab_of(Rock)
    for _ in range(200):
        lab.world.spawn(Rock)
    lab.calm_down(4)
    for _ in range(3):
        lab.step(CLEAR)
        assert sizes(lab) == [IDLE_PACKET]


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
    (packet,) = [decode_state(data, lab.layout) for data in lab.sent[1]]
    (row,) = packet.rows
    assert row.values == {"grade": [2 + 3]}
    assert not row.told


def test_a_change_below_the_step_is_no_change() -> None:
    lab = lab_of(Ship)
    ship = lab.world.spawn(Ship, x=10.0)
    lab.calm_down(4)
    ship.x = 10.1
    lab.step(CLEAR)
    assert sizes(lab) == [IDLE_PACKET]


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


def test_an_entry_waits_one_round_trip_before_it_is_repeated() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt_ticks = 4 * EVERY
    lab.world.spawn(Rock)
    said = []
    for _ in range(9):
        lab.step(DARK)
        said.append(bool(told(lab)))
    assert said == [True, False, False, False, True, False, False, False, True]


def test_an_entry_that_changes_does_not_wait() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt_ticks = 100
    rock = lab.world.spawn(Rock, grade=0)
    lab.step(DARK)
    rock.grade = 1
    lab.step(DARK)
    assert told(lab) == [(0, 0)]


def test_while_an_entry_waits_over_something_older_absence_says_nothing() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt_ticks = 100
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    lab.world.despawn(rock)
    lab.world.spawn(Rock)  # the same row: the peer still holds its former tenant
    lab.step(DARK)
    lab.step(CLEAR)
    assert told(lab) == []
    assert decode_state_header(lab.sent[1][0])[0].deferred
    newest = lab.clients[0].history.newest
    assert newest is not None
    assert not newest.complete


def test_a_burst_of_first_entries_leaves_later_ticks_complete() -> None:
    lab = lab_of(Rock)
    lab.clients[0].peer.rtt_ticks = 100
    lab.world.spawn(Rock)
    lab.step(DARK)
    lab.step(CLEAR)
    assert not decode_state_header(lab.sent[1][0])[0].deferred


def test_every_packet_is_below_the_limit_and_numbered() -> None:
    lab = lab_of(Letter, Rock, Ship)
    rng = lab.random
    for kind in (Letter, Rock, Ship):
        for _ in range(40):
            entity = lab.world.spawn(kind)
            if isinstance(entity, Letter):
                entity.front, entity.back = "x" * rng.randint(0, 255), "y" * rng.randint(0, 255)
            else:
                scramble(entity, lab, 1.0)
    lab.step(CLEAR)
    headers = [decode_state_header(data)[0] for data in lab.sent[1]]
    assert len(headers) > 10
    assert [header.index for header in headers] == list(range(len(headers)))
    assert {header.count for header in headers} == {len(headers)}
    assert [header.sequence for header in headers] == list(range(1, len(headers) + 1))
    assert sum(sizes(lab)) <= MAX_PACKETS * MAX_DATAGRAM
    assert len(set(told(lab))) == len(told(lab)) == 120


def crowd(lab: Lab, count: int) -> list[Letter]:
    return [
        lab.world.spawn(Letter, front=f"{i:0200}", back=f"{i:0200}", number=i) for i in range(count)
    ]


def test_what_does_not_fit_is_deferred_flagged_and_comes_next() -> None:
    lab = lab_of(Letter)
    crowd(lab, 100)
    lab.step(CLEAR)
    first = told(lab)
    assert 0 < len(first) < 100
    assert lab.clients[0].peer.deferred == 100 - len(first)
    assert all(decode_state_header(data)[0].deferred for data in lab.sent[1])
    assert sum(sizes(lab)) <= MAX_PACKETS * MAX_DATAGRAM
    seen = set(first)
    for _ in range(4):
        lab.step(CLEAR)
        seen |= set(told(lab))
    assert len(seen) == 100
    lab.calm_down(4)
    lab.check_equal()


def test_nobody_starves_while_everything_changes() -> None:
    """A row waits at most for all others that are due to have their turn."""
    lab = lab_of(Letter)
    letters = crowd(lab, 100)
    waits = np.zeros(100, dtype=int)
    longest = 0
    per_broadcast = 0
    for turn in range(20):
        for letter in letters:
            letter.front = f"{turn}{letter.front}"[:255]
        lab.step(CLEAR)
        rows = [row for _, row in told(lab)]
        per_broadcast = min(per_broadcast or len(rows), len(rows))
        waits += 1
        waits[rows] = 0
        longest = max(longest, int(waits.max()))
    assert longest <= -(-100 // per_broadcast)


def test_fields_for_the_owner_go_to_the_owner_alone() -> None:
    """Read from the bytes: whatever is said of a private field is said to the owner."""
    rng = random.Random(5)
    lab = Lab((Ship,), rng, clients=3, weather=Weather(loss=0.3, most_delay=2))
    for _ in range(80):
        stir(lab)
        lab.step()
        owner = lab.world.table(Ship).owner
        for client in lab.clients:
            for data in lab.sent[client.peer.player]:
                for row in decode_state(data, lab.layout).rows:
                    if row.values.keys() & {"ammo", "plan"}:
                        assert owner[row.row] == client.peer.player


def test_who_gains_control_is_told_and_who_loses_it_forgets() -> None:
    lab = lab_of(Ship, clients=2)
    ship = lab.world.spawn(Ship, ammo=33, plan="flee")
    table = lab.world.table(Ship)
    table.own(0, 1)
    lab.calm_down(4)
    lab.check_equal()
    lanes = table.lanes_of(Ship.ammo)
    held = [client.receiver.known[0].lanes[0, lanes].tolist() for client in lab.clients]
    assert held == [[33], [Ship.ammo.default]]
    table.own(0, 2)
    ship.ammo = 44
    lab.calm_down(4)
    lab.check_equal()
    held = [client.receiver.known[0].lanes[0, lanes].tolist() for client in lab.clients]
    assert held == [[Ship.ammo.default], [44]]


def test_a_new_tenant_does_not_inherit_what_only_the_owner_knew() -> None:
    lab = lab_of(Ship)
    ship = lab.world.spawn(Ship, ammo=33)
    lab.world.table(Ship).own(0, 1)
    lab.calm_down(4)
    lab.world.despawn(ship)
    lab.world.spawn(Ship, ammo=99)
    lab.calm_down(4)
    lab.check_equal()


def test_a_change_of_a_private_field_costs_others_nothing() -> None:
    lab = lab_of(Ship, clients=2)
    ship = lab.world.spawn(Ship)
    lab.world.table(Ship).own(0, 1)
    lab.calm_down(4)
    ship.ammo = 1
    lab.step(CLEAR)
    assert told(lab, 1) == [(0, 0)]
    assert told(lab, 2) == []


def test_players_are_told_about_their_own_entities_wherever_they_look() -> None:
    lab = Lab((Rock,), random.Random(1), interest=nc.Radius(10))
    lab.world.spawn(Rock, position=(150, 150))
    lab.world.table(Rock).own(0, 1)
    lab.clients[0].peer.viewpoint = (-150.0, -150.0)
    lab.step(CLEAR)
    assert told(lab) == [(0, 0)]


def test_without_a_viewpoint_the_first_own_entity_is_followed() -> None:
    lab = Lab((Rock,), random.Random(1), interest=nc.Radius(10))
    own, near, far = (lab.world.spawn(Rock, position=at) for at in ((100, 0), (105, 0), (0, 0)))
    lab.step(CLEAR)
    assert told(lab) == []
    lab.world.table(Rock).own(own._row, 1)
    lab.step(CLEAR)
    assert told(lab) == [(0, own._row), (0, near._row)]
    assert far.alive


def test_leaving_and_coming_back_is_a_new_entry_with_all_fields() -> None:
    lab = Lab((Rock,), random.Random(1), interest=nc.Radius(10))
    lab.clients[0].peer.viewpoint = (0.0, 0.0)
    rock = lab.world.spawn(Rock)
    lab.calm_down(4)
    rock.position = (100, 0)
    lab.step(CLEAR)
    (packet,) = [decode_state(data, lab.layout) for data in lab.sent[1]]
    (row,) = packet.rows
    assert (row.told, row.life, row.values) == (True, None, {})
    lab.calm_down(2)
    assert sizes(lab) == [IDLE_PACKET]
    rock.position = (5, 0)
    lab.step(CLEAR)
    (packet,) = [decode_state(data, lab.layout) for data in lab.sent[1]]
    (row,) = packet.rows
    assert (row.told, row.life, set(row.values)) == (True, 0, {"position", "grade"})
    lab.calm_down(2)
    lab.check_equal()


def test_acknowledging_what_was_never_sent_does_nothing() -> None:
    lab = lab_of(Rock)
    lab.world.spawn(Rock)
    lab.step(DARK)
    for newest in (-5, 0, 2, 70, 1 << 40):
        lab.sender.acknowledge(lab.clients[0].peer, newest, (1 << 64) - 1 if newest > 70 else 0)
    lab.clients[0].peer.rtt_ticks = 0
    lab.step(DARK)
    assert told(lab) == [(0, 0)]


def test_a_silent_peer_costs_bounded_memory() -> None:
    lab = lab_of(Rock)
    peer = lab.clients[0].peer
    frame = lab.history.record(3, lab.world.tables)
    for _ in range(SENT_KEPT + 100):
        lab.sender.broadcast(frame)
    assert len(peer.sent) == SENT_KEPT


def test_who_takes_the_place_of_a_peer_begins_with_nothing() -> None:
    lab = lab_of(Rock, clients=2)
    lab.world.spawn(Rock)
    lab.calm_down(4)
    gone = lab.clients.pop(0)
    lab.sender.remove(gone.peer.player)
    lab.clients.append(lab.join(7))
    assert lab.clients[-1].peer.slot == gone.peer.slot
    lab.step(CLEAR)
    assert told(lab, 7) == [(0, 0)]
    assert told(lab, 2) == []
    lab.calm_down(2)
    lab.check_equal()


def test_the_header_tells_what_the_caller_has_set() -> None:
    lab = lab_of(Rock)
    peer = lab.clients[0].peer
    peer.client_packet, peer.input_tick, peer.earliness = 70_000, 41, -0.0125
    lab.step(CLEAR)
    header, _ = decode_state_header(lab.sent[1][0])
    assert (header.tick, header.client_packet, header.input_tick) == (EVERY, 70_000 & 0xFFFF, 41)
    assert header.earliness == pytest.approx(-0.012, abs=0.001)


def test_without_players_nothing_is_sent() -> None:
    lab = lab_of(Rock, clients=0)
    lab.world.spawn(Rock)
    lab.step()
    assert lab.sent == {}
