"""The worlds of the replication question, and that its naive rival does the same work."""

from typing import Any

import msgpack
import numpy as np
import pytest

import netcode as nc
from benchmarks.replication_naive import NaiveServer, id_of
from benchmarks.replication_worlds import ENTER, EVENTS, KINDS, LEAVE, Idle, Mixed, Plain, Scene
from netcode.fields import Text
from netcode.vectors import Quat, Vec2, Vec3

SEEDS = [1, 2]


def plain(seed: int) -> Plain:
    return Plain(1_000, 100, np.random.default_rng(seed))


def mixed(seed: int) -> Mixed:
    return Mixed(1_000, 100, np.random.default_rng(seed))


def lanes(scene: Scene) -> dict[int, tuple[int, ...]]:
    return {
        id_of(index, row, int(table.generation[row])): tuple(values)
        for index, table in enumerate(scene.world.tables)
        for row, values in zip(
            table.rows().tolist(), table.quantise()[table.rows()].tolist(), strict=True
        )
    }


class Eyes:
    """What each peer sees by the rule itself: it enters at 600 and stays until 660."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._seen: list[set[int]] = [set() for _ in range(scene.peers)]

    def look(self) -> list[set[int]]:
        viewpoints = self._scene.viewpoints()
        assert viewpoints is not None
        answers: list[set[int]] = [set() for _ in range(self._scene.peers)]
        for index, table in enumerate(self._scene.world.tables):
            names = {field.name for field in table.fields}
            place = table.position if "position" in names else np.stack([table.x, table.y], axis=1)
            apart = ((viewpoints[:, None, :] - place) ** 2).sum(axis=2)
            for peer, row in np.argwhere((apart <= LEAVE * LEAVE) & table.alive).tolist():
                key = id_of(index, row, int(table.generation[row]))
                if apart[peer, row] <= ENTER * ENTER or key in self._seen[peer]:
                    answers[peer].add(key)
        self._seen = answers
        return answers


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [plain, mixed])
def test_the_naive_server_sees_what_is_near(make: Any, seed: int) -> None:
    scene = make(seed)
    naive, eyes = NaiveServer(scene), Eyes(scene)
    told: list[set[int]] = [set() for _ in range(scene.peers)]
    for tick in range(15):
        scene.advance()
        naive.follow()
        for player, message in enumerate(naive.tick(tick)):
            _, _, left, _ = msgpack.unpackb(message)
            assert set(left) == told[player] - naive.seen[player]
            told[player] = set(naive.seen[player])
        assert naive.seen == eyes.look()
        assert 40 < naive.in_view() < 60


def test_the_naive_server_tells_whole_records_and_secrets_to_their_owner() -> None:
    scene = mixed(1)
    naive = NaiveServer(scene)
    scene.advance()
    naive.follow()
    by_kind = [{field.name: field for field in kind.fields} for kind in KINDS]
    for player, message in enumerate(naive.tick(3), start=1):
        tick, records, _, private = msgpack.unpackb(message)
        assert tick == 3
        assert {record[0] for _, record in records} == naive.seen[player - 1]
        for number, (key, *values) in records:
            public = [name for name, field in by_kind[number].items() if not field.only_owner]
            entity = scene.world.tables[number].at(key // 16 % (1 << 20))
            for name, value in zip(public, values, strict=True):
                held = getattr(entity, name)
                if isinstance(by_kind[number][name], (nc.Float, nc.Int, nc.Bool, Text)):
                    assert value == held
        ((key, ammo, orders),) = private
        cruiser = scene.world.tables[0].at(player - 1)
        assert (key, ammo, orders) == (id_of(0, player - 1, 0), cruiser.ammo, cruiser.orders)


def test_at_rest_nothing_is_told_but_what_moves() -> None:
    scene = Idle(500, 32, 4, np.random.default_rng(1))
    naive = NaiveServer(scene)
    scene.advance()
    naive.follow()
    messages = naive.tick(3)
    assert len(messages) == 4
    _, records = msgpack.unpackb(messages[0])
    table = scene.world.tables[0]
    told = {record[0] // 16: record[1] for _, record in records}
    assert len(told) == 32
    assert all(table.x[row] == x for row, x in told.items())
    assert naive.in_view() == 532


@pytest.mark.parametrize("make", [plain, mixed])
def test_everything_moves_at_every_broadcast_and_stays_in_range(make: Any) -> None:
    scene = make(1)
    before = lanes(scene)
    for _ in range(20):
        scene.advance()
        now = lanes(scene)
        # A ship may by chance keep one lane, but not all of them.
        assert all(values != before.get(key) for key, values in now.items())
        before = now
    assert all(table.clamped == {} for table in scene.world.tables)


def test_only_some_move_where_most_rest() -> None:
    scene = Idle(500, 32, 4, np.random.default_rng(1))
    before = lanes(scene)
    scene.advance()
    moved = [key for key, values in lanes(scene).items() if values != before[key]]
    assert len(moved) == 32
    assert {key // 16 for key in moved} == set(scene.dirty()[0].tolist())


def test_the_mixed_world_has_twelve_classes_with_every_field() -> None:
    assert len(KINDS) == 12
    kinds = {type(field) for kind in KINDS for field in kind.fields}
    assert kinds == {
        *(nc.Float, nc.Int, nc.Bool, nc.Angle, nc.Enum, Text, nc.Ref, Vec2, Vec3, Quat)
    }
    assert any(field.only_owner for kind in KINDS for field in kind.fields)
    scene = mixed(1)
    assert len(scene.world) == 1_000
    assert all(len(table) > 50 for table in scene.world.tables)
    assert sum(int((table.owner > 0).sum()) for table in scene.world.tables) == 100


def texts(scene: Scene) -> dict[int, tuple[str, ...]]:
    names = [[f.name for f in kind.fields if isinstance(f, Text)] for kind in KINDS]
    return {
        id_of(index, entity._row, int(table.generation[entity._row])): tuple(
            getattr(entity, name) for name in names[index]
        )
        for index, table in enumerate(scene.world.tables)
        for entity in table
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_two_percent_spawn_leave_or_say_something_else(seed: int) -> None:
    scene = mixed(seed)
    scene.advance()
    before = texts(scene)
    for _ in range(20):
        scene.advance()
        now = texts(scene)
        spawned, left = now.keys() - before.keys(), before.keys() - now.keys()
        said = [key for key in now.keys() & before.keys() if now[key] != before[key]]
        assert len(spawned) == len(left) == EVENTS // 3
        # The same one may be drawn twice, or one that has just spawned.
        assert EVENTS - 2 * (EVENTS // 3) - 3 <= len(said) <= EVENTS - 2 * (EVENTS // 3)
        before = now


@pytest.mark.parametrize("make", [plain, mixed])
def test_the_seed_decides(make: Any) -> None:
    first, again, other = make(1), make(1), make(2)
    for _ in range(10):
        for scene in (first, again, other):
            scene.advance()
    assert lanes(first) == lanes(again)
    assert lanes(first) != lanes(other)
