"""Views: which pairs begin and end, of every part, and what an entry says of them."""

import random
from typing import Any

import numpy as np
import pytest

import netcode as nc
from netcode.sync.interest import Interest, Viewers
from netcode.sync.pairs import NONE, Pairs
from netcode.sync.peers import Peer
from netcode.sync.views import Views
from netcode.world.history import ABSENT, History
from netcode.world.layout import PartKind
from netcode.world.table import Table
from netcode.world.world import World

FAR = 500.0


class Boat(nc.Entity):
    x = nc.Float(-1000, 1000, step=1)
    y = nc.Float(-1000, 1000, step=1)
    cargo = nc.Int(0, 9, only_owner=True)
    leads: nc.Ref[Any] = nc.Ref("Boat")
    target: nc.Ref[Any] = nc.Ref("Buoy", only_owner=True)


class Buoy(nc.Entity):
    x = nc.Float(-1000, 1000, step=1)
    y = nc.Float(-1000, 1000, step=1)


PARTS = {"boat": 0, "cargo": 1, "leads": 2, "target": 3, "buoy": 4}


class Sight:
    """Two players whose views are looked at directly."""

    def __init__(self, interest: Interest, players: int = 2) -> None:
        self.world = World([Boat, Buoy])
        self.history = History(self.world.tables)
        self.pairs = Pairs()
        self.views = Views(self.world.tables, self.history, interest, self.pairs)
        self.peers = [Peer(player, slot) for slot, player in enumerate(range(1, players + 1))]
        self.number = 0
        self.heard = True

    def update(self) -> None:
        self.number += 1
        frame = self.history.record(self.number, self.world.tables)
        self.views.update(frame, self.peers)
        if self.heard:
            self.pairs.sent[: self.pairs.used] = self.number

    def seen(self, part: str, player: int = 1) -> dict[int, int]:
        """The rows of a part that a player is told about: their attributes."""
        first, room = self._rows(part)
        slot = next(peer.slot for peer in self.peers if peer.player == player)
        places = self.pairs.where[slot, first : first + room]
        return {
            row: int(self.pairs.attributes[place])
            for row, place in enumerate(places.tolist())
            if place != NONE and self.pairs.present[place]
        }

    def rows(self, part: str, player: int = 1) -> list[int]:
        return list(self.seen(part, player))

    def leaving(self, part: str, player: int = 1) -> list[int]:
        first, room = self._rows(part)
        places = self.pairs.where[player - 1, first : first + room]
        return [
            row
            for row, place in enumerate(places.tolist())
            if place != NONE and not self.pairs.present[place]
        ]

    def since(self, part: str, row: int, player: int = 1) -> int:
        first, _ = self._rows(part)
        return int(self.pairs.since[self.pairs.where[player - 1, first + row]])

    def _rows(self, part: str) -> tuple[int, int]:
        layout = self.history.layout
        number = PARTS[part]
        return int(layout.first[number]), layout.rooms[layout.parts[number].table]


def test_the_parts_are_those_meant_here() -> None:
    parts = History(World([Boat, Buoy]).tables).layout.parts
    kinds = [(part.table, part.kind, [f.name for f in part.fields]) for part in parts]
    assert kinds == [
        (0, PartKind.PUBLIC, ["x", "y"]),
        (0, PartKind.OWNER, ["cargo"]),
        (0, PartKind.REFERENCE, ["leads"]),
        (0, PartKind.REFERENCE, ["target"]),
        (1, PartKind.PUBLIC, ["x", "y"]),
    ]


# -- everybody sees everything ---------------------------------------------------------------


def test_everybody_sees_what_is_there() -> None:
    sight = Sight(nc.Everything())
    boats = [sight.world.spawn(Boat) for _ in range(3)]
    sight.update()
    sight.world.despawn(boats[1])
    sight.world.spawn(Buoy)
    sight.update()
    for player in (1, 2):
        assert sight.rows("boat", player) == [0, 2]
        assert sight.leaving("boat", player) == [1]
        assert sight.rows("buoy", player) == [0]


def test_who_joins_sees_everything_and_others_nothing_new() -> None:
    sight = Sight(nc.Everything(), players=1)
    sight.world.spawn(Boat)
    sight.update()
    sight.update()
    sight.peers.append(Peer(5, 1))
    sight.update()
    assert (sight.rows("boat"), sight.rows("boat", 5)) == ([0], [0])
    assert (sight.since("boat", 0), sight.since("boat", 0, 2)) == (1, 3)


def test_a_new_tenant_is_a_new_epoch() -> None:
    sight = Sight(nc.Everything())
    boat = sight.world.spawn(Boat)
    sight.update()
    sight.world.despawn(boat)
    sight.world.spawn(Boat)
    sight.update()
    assert sight.seen("boat") == {0: 1 << 3}
    assert sight.since("boat", 0) == 2
    assert sight.leaving("boat") == []


def test_a_tick_without_changes_begins_and_ends_nothing() -> None:
    sight = Sight(nc.Radius(100) | nc.Everything())
    for _ in range(20):
        sight.world.spawn(Boat)
    sight.update()
    for _ in range(3):
        sight.update()
    assert {sight.since("boat", row) for row in range(20)} == {1}
    assert not sight.views.changed.any()


def test_what_changed_is_found_by_part() -> None:
    sight = Sight(nc.Everything())
    boats = [sight.world.spawn(Boat) for _ in range(3)]
    sight.update()
    boats[2].cargo = 4
    boats[0].x = 7.0
    sight.update()
    layout = sight.history.layout
    changed = np.flatnonzero(sight.views.changed).tolist()
    assert changed == [int(layout.first[0]), int(layout.first[1]) + 2]
    assert sight.views.changed_at[changed].tolist() == [2, 2]


def test_after_a_broadcast_was_left_out_everything_counts_as_changed() -> None:
    sight = Sight(nc.Everything())
    sight.world.spawn(Boat)
    sight.update()
    sight.number += 1
    sight.update()
    assert sight.views.changed[int(sight.history.layout.first[0])]


def test_tables_that_grow_keep_their_pairs() -> None:
    sight = Sight(nc.Everything())
    sight.world.spawn(Buoy)
    sight.world.spawn(Boat)
    sight.update()
    for _ in range(50):
        sight.world.spawn(Boat)
    sight.update()
    assert sight.rows("boat") == list(range(51))
    assert sight.rows("buoy") == [0]
    assert (sight.since("boat", 0), sight.since("buoy", 0), sight.since("boat", 40)) == (1, 1, 2)


# -- owners ----------------------------------------------------------------------------------


def test_private_parts_go_with_control() -> None:
    sight = Sight(nc.Everything())
    sight.world.spawn(Boat)
    boats = sight.world.table(Boat)
    sight.update()
    assert (sight.rows("cargo"), sight.seen("boat")) == ([], {0: 0})
    boats.own(0, 1)
    sight.update()
    assert (sight.rows("cargo"), sight.rows("cargo", 2)) == ([0], [])
    assert (sight.seen("boat"), sight.seen("boat", 2)) == ({0: 1}, {0: 0})
    assert (sight.since("boat", 0), sight.since("boat", 0, 2)) == (2, 1)
    boats.own(0, 2)
    sight.update()
    assert (sight.rows("cargo"), sight.rows("cargo", 2)) == ([], [0])
    assert (sight.leaving("cargo"), sight.seen("boat")) == ([0], {0: 0})


def test_players_see_what_they_control_however_far() -> None:
    sight = Sight(nc.Radius(100, slower={50: 4}))
    sight.peers[0].viewpoint = (0.0, 0.0)
    sight.world.spawn(Boat, x=FAR)
    sight.world.spawn(Boat, x=70)
    sight.world.table(Boat).own(0, 1)
    sight.update()
    # Their own is told at every broadcast; what is 70 away at every 4th, which is code 2.
    assert sight.seen("boat") == {0: 1, 1: 2 << 1}
    sight.world.table(Boat).own(0, 0)
    sight.update()
    assert (sight.rows("boat"), sight.leaving("boat")) == ([1], [0])


def test_another_interval_is_another_epoch() -> None:
    sight = Sight(nc.Radius(100, slower={50: 2}))
    sight.peers[0].viewpoint = (0.0, 0.0)
    buoy = sight.world.spawn(Buoy, x=70)
    sight.update()
    assert (sight.seen("buoy"), sight.since("buoy", 0)) == ({0: 1 << 1}, 1)
    buoy.x = 10.0
    sight.update()
    assert (sight.seen("buoy"), sight.since("buoy", 0)) == ({0: 0}, 2)


# -- coming and going ------------------------------------------------------------------------


def test_what_comes_back_before_its_leave_was_heard_is_a_new_epoch() -> None:
    sight = Sight(nc.Radius(100))
    sight.peers[0].viewpoint = (0.0, 0.0)
    buoy = sight.world.spawn(Buoy)
    for number, x in enumerate((0.0, FAR, 0.0), 1):
        buoy.x = x
        sight.update()
        assert sight.rows("buoy") == ([0] if x == 0 else [])
        assert sight.leaving("buoy") == ([] if x == 0 else [0])
        if x == 0:
            assert sight.since("buoy", 0) == number


def test_what_goes_before_it_was_ever_told_leaves_no_trace() -> None:
    sight = Sight(nc.Radius(100))
    sight.heard = False
    sight.peers[0].viewpoint = (0.0, 0.0)
    buoy = sight.world.spawn(Buoy)
    sight.update()
    buoy.x = FAR
    sight.update()
    assert (sight.rows("buoy"), sight.leaving("buoy"), len(sight.pairs)) == ([], [], 0)


def test_from_everything_to_little_and_back() -> None:
    """A policy of the game's own may change its mind altogether."""

    class Fog(Interest):
        thick = False

        def pairs(self, table: Table[Any], viewers: Viewers) -> Any:
            return nc.Radius(100).pairs(table, viewers) if self.thick else None

    fog = Fog()
    sight = Sight(fog)
    sight.peers[0].viewpoint = (0.0, 0.0)
    for x in (0.0, FAR):
        sight.world.spawn(Boat, x=x)
    sight.update()
    assert sight.rows("boat") == [0, 1]
    fog.thick = True
    sight.update()
    assert (sight.rows("boat"), sight.leaving("boat"), sight.rows("boat", 2)) == ([0], [1], [])
    fog.thick = False
    sight.update()
    assert (sight.rows("boat"), sight.rows("boat", 2)) == ([0, 1], [0, 1])
    assert (sight.since("boat", 0), sight.since("boat", 1)) == (1, 3)


# -- references ------------------------------------------------------------------------------


def test_a_reference_is_told_to_those_who_see_both_ends() -> None:
    sight = Sight(nc.Radius(100))
    for peer in sight.peers:
        peer.viewpoint = (0.0, 0.0)
    near, other, far = (sight.world.spawn(Boat, x=x) for x in (0.0, 50.0, FAR))
    near.leads, other.leads, far.leads = other, far, near
    sight.update()
    assert sight.rows("leads") == [near._row]
    far.x = 0.0
    sight.update()
    assert sight.rows("leads") == [0, 1, 2]
    other.x = FAR
    sight.update()
    assert (sight.rows("leads"), sight.leaving("leads")) == ([2], [0, 1])


def test_a_reference_to_nobody_is_not_told() -> None:
    sight = Sight(nc.Everything())
    boat, other = sight.world.spawn(Boat), sight.world.spawn(Boat)
    boat.leads = other
    sight.update()
    assert sight.rows("leads") == [0]
    sight.world.despawn(other)
    sight.update()
    assert (sight.rows("leads"), sight.leaving("leads")) == ([], [0])
    sight.world.spawn(Boat)  # in the same row: it is not the one that is meant
    sight.update()
    assert sight.rows("leads") == []


@pytest.mark.parametrize("owner", [1, 2])
def test_a_private_reference_is_the_owners_alone(owner: int) -> None:
    sight = Sight(nc.Everything())
    boat = sight.world.spawn(Boat)
    boat.target = sight.world.spawn(Buoy)
    sight.update()
    assert (sight.rows("target"), sight.rows("target", 2)) == ([], [])
    sight.world.table(Boat).own(0, owner)
    sight.update()
    assert [player for player in (1, 2) if sight.rows("target", player)] == [owner]


# -- against the rules in plain words --------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_views_are_what_the_rules_say(seed: int) -> None:
    """Spawns, despawns, moves, owners, references and players at random, checked one by one."""
    rng = random.Random(seed)
    sight = Sight(nc.Radius(100, 150) if seed % 2 else nc.Everything(), players=3)
    sight.heard = seed % 3 > 0
    world = sight.world
    boats, buoys = world.table(Boat), world.table(Buoy)
    seen: dict[tuple[int, str], set[tuple[int, int]]] = {}
    for _ in range(40):
        for peer in sight.peers:
            peer.viewpoint = rng.choice([None, (rng.uniform(-200, 200), 0.0)])
        for _ in range(rng.randint(0, 4)):
            table: Table[Any] = rng.choice([boats, buoys])
            rows = table.rows().tolist()
            match rng.randrange(4):
                case 0:
                    table.spawn(x=rng.uniform(-300, 300))
                case 1 if rows:
                    table.despawn(rng.choice(rows))
                case 2 if rows and table is boats:
                    boats.own(rng.choice(rows), rng.randint(0, 3))
                case 3 if rows and table is boats:
                    boat = boats.at(rng.choice(rows))
                    assert boat is not None
                    boat.leads = rng.choice([None, *boats])
                    boat.target = rng.choice([None, *buoys])
        sight.update()
        for slot, peer in enumerate(sight.peers):
            point = sight.views.viewpoint_of_slot[slot]
            shown: dict[str, set[int]] = {}
            for name, table in (("boat", boats), ("buoy", buoys)):
                before, seen[slot, name] = seen.get((slot, name), set()), set()
                for row in table.rows().tolist():
                    tenant = row, int(table.generation[row])
                    apart = float(np.hypot(table.x[row] - point[0], table.y[row] - point[1]))
                    near = apart <= (150 if tenant in before else 100)
                    if seed % 2 == 0 or near or table.owner[row] == peer.player:
                        seen[slot, name].add(tenant)
                shown[name] = {row for row, _ in seen[slot, name]}
                assert set(sight.seen(name, peer.player)) == shown[name]
            leads, target, mine = set(), set(), set()
            for row in shown["boat"]:
                boat = boats.at(row)
                assert boat is not None
                if boat.leads is not None and boat.leads._row in shown["boat"]:
                    leads.add(row)
                if boats.owner[row] == peer.player:
                    mine.add(row)
                    if boat.target is not None and boat.target._row in shown["buoy"]:
                        target.add(row)
            assert set(sight.seen("cargo", peer.player)) == mine
            assert set(sight.seen("leads", peer.player)) == leads
            assert set(sight.seen("target", peer.player)) == target
        living = sight.pairs.entity[: sight.pairs.used]
        present = sight.pairs.present[: sight.pairs.used]
        assert (sight.views.life[living[present]] != ABSENT).all()
