"""What the sender tells whom: within budgets, to owners, in view, and to those who come and go."""

import random

import pytest

import netcode as nc
from netcode.wire.packets import MAX_PACKETS, decode_state_header
from netcode.world.layout import PartKind
from tests.unit.sync.lab import (
    CLEAR,
    DARK,
    IDLE_PACKET,
    Lab,
    Letter,
    Rock,
    Ship,
    Weather,
    scramble,
    stir,
)
from tests.unit.sync.test_sender import lab_of, sizes, told, what

# -- budget ----------------------------------------------------------------------------------


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
    assert len(sizes(lab)) <= MAX_PACKETS
    seen = set(first)
    for _ in range(4):
        lab.step(CLEAR)
        seen |= set(told(lab))
    assert len(seen) == 100
    lab.calm_down(4)
    lab.check_equal()
    assert lab.clients[0].peer.deferred == 0


@pytest.mark.parametrize("budget", [60, 500, 2_500])
def test_a_budget_is_kept(budget: int) -> None:
    """Within a tenth: what the lists of rows take is not known before the rows are chosen."""
    lab = lab_of(Ship, Rock)
    lab.clients[0].peer.budget = budget
    things = [lab.world.spawn(kind) for _ in range(100) for kind in (Ship, Rock)]
    deferred = 0
    for _ in range(12):
        for thing in things:
            scramble(thing, lab, 0.5)
        lab.step(CLEAR)
        assert sum(sizes(lab)) <= 1.1 * budget + 20
        deferred += lab.clients[0].peer.deferred
    assert deferred > 0
    lab.clients[0].peer.budget = None
    lab.calm_down(6)
    lab.check_equal()


def test_a_budget_below_one_entity_still_tells_one_at_a_time() -> None:
    lab = lab_of(Letter)
    letters = crowd(lab, 6)
    lab.clients[0].peer.budget = 1
    rows = set()
    for _ in range(6):
        lab.step(CLEAR)
        ((_, row),) = told(lab)
        rows.add(row)
    assert len(rows) == len(letters)


def test_one_players_budget_is_not_anothers() -> None:
    lab = lab_of(Letter, clients=2)
    lab.clients[0].peer.budget = 1_000
    crowd(lab, 10)
    lab.step(CLEAR)
    assert (lab.clients[0].peer.deferred > 0, lab.clients[1].peer.deferred) == (True, 0)
    assert len(told(lab, 2)) == 10


# -- owners ----------------------------------------------------------------------------------


def test_fields_for_the_owner_go_to_the_owner_alone() -> None:
    """Read from the bytes: former owners are told that it is over, and nothing else."""
    rng = random.Random(5)
    lab = Lab((Ship,), rng, clients=3, weather=Weather(loss=0.3, most_delay=2))
    heard = 0
    for _ in range(50):
        stir(lab)
        lab.step()
        owner = lab.world.table(Ship).owner
        for client in lab.clients:
            for said in lab.said(client.peer.player):
                kind = lab.history.layout.parts[said.part].kind
                if said.what != "leave" and kind is PartKind.OWNER:
                    heard += 1
                    assert owner[said.row] == client.peer.player
    assert heard > 10


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
    assert [said.fields for said in lab.said(1)] == [{"ammo"}]
    assert sizes(lab, 2) == [IDLE_PACKET]


# -- interest --------------------------------------------------------------------------------


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


@pytest.mark.parametrize("interval", [2, 4, 8])
def test_what_is_far_is_told_at_its_own_broadcasts(interval: int) -> None:
    """Rows take turns, so that the far ones do not all come at once."""
    lab = Lab((Rock,), random.Random(1), interest=nc.Radius(300, slower={50: interval}))
    lab.clients[0].peer.viewpoint = (0.0, 0.0)
    rocks = [lab.world.spawn(Rock, position=(100, row)) for row in range(16)]
    near = lab.world.spawn(Rock)
    lab.calm_down(4)
    for turn in range(3 * interval):
        for rock in (*rocks, near):
            rock.grade = turn % 7 - 3
        lab.step(CLEAR)
        rows = [row for _, row in told(lab)]
        assert rows == [row for row in range(16) if (lab.number + row) % interval == 0] + [16]
    lab.calm_down(2 * interval)
    lab.check_equal()


# -- acknowledgements and peers --------------------------------------------------------------


@pytest.mark.parametrize("newest", [-5, 0, 2, 70, 1 << 40])
@pytest.mark.parametrize("window", [0, (1 << 64) - 1, (1 << 256) - 1])
def test_acknowledging_what_was_never_sent_does_nothing(newest: int, window: int) -> None:
    lab = lab_of(Rock)
    lab.world.spawn(Rock)
    lab.clients[0].peer.rtt = 0
    lab.step(DARK)
    lab.sender.acknowledge(lab.clients[0].peer, 1, newest, window)
    lab.step(DARK)
    assert what(lab) == ["entry"]


def test_a_window_of_any_length_is_borne() -> None:
    """A client can say that it has everything that there ever was."""
    lab = lab_of(Rock)
    lab.world.spawn(Rock)
    lab.step(CLEAR)
    peer = lab.clients[0].peer
    lab.sender.acknowledge(peer, 100, peer.sequence, (1 << 256) - 1)
    lab.step(CLEAR, receive=False)
    assert what(lab) == []


def test_an_older_client_packet_does_not_count() -> None:
    lab = lab_of(Rock)
    lab.world.spawn(Rock)
    lab.clients[0].peer.rtt = 0
    lab.step(DARK)
    lab.sender.acknowledge(lab.clients[0].peer, 5, 0, 0)
    peer = lab.clients[0].peer
    peer.client_packet = 5
    lab.sender.acknowledge(peer, 4, peer.sequence, 0)
    lab.sender.acknowledge(peer, 5, peer.sequence, 0)
    lab.step(DARK)
    assert what(lab) == ["entry"]


def test_who_takes_the_place_of_a_peer_begins_with_nothing() -> None:
    lab = lab_of(Rock, clients=2)
    lab.world.spawn(Rock)
    lab.calm_down(4)
    gone = lab.clients[0].peer
    lab.part(1)
    newcomer = lab.join(7)
    assert newcomer.peer.slot == gone.slot
    lab.step(CLEAR)
    assert told(lab, 7) == [(0, 0)]
    assert told(lab, 2) == []
    lab.calm_down(2)
    lab.check_equal()


def test_who_leaves_and_comes_back_at_once_begins_with_nothing() -> None:
    lab = lab_of(Rock)
    lab.world.spawn(Rock)
    lab.calm_down(4)
    lab.part(1)
    lab.join(1)
    lab.step(CLEAR)
    assert what(lab) == ["entry"]
    lab.check_equal()


def test_memory_grows_with_what_is_in_view_and_stays_bounded() -> None:
    """Players and rocks come and go for long: nothing of the former ones is kept."""
    lab = Lab((Rock,), random.Random(3), clients=0)
    for turn in range(30):
        newcomer = lab.join(turn + 1).peer
        assert newcomer.slot == 0
        rocks = [lab.world.spawn(Rock) for _ in range(20)]
        lab.step(CLEAR)
        for rock in rocks:
            lab.world.despawn(rock)
        lab.step(CLEAR)
        lab.part(turn + 1)
    memory = lab.sender.memory()
    assert memory["pairs"] == 0
    assert lab.sender.pairs.capacity <= 64
    assert memory["where_bytes"] <= 4 * lab.history.layout.entities
