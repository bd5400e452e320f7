"""Who sees what: every policy against the sentence that describes it, told row by row."""

import math

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.sync.interest import Everything, Groups, OnlyOwner, Radius, Where, positions
from netcode.world.world import World
from tests.unit.sync.interest_lab import (
    NOWHERE,
    Deep,
    Flat,
    Label,
    Point,
    Score,
    Space,
    Team,
    Tile,
    at_distance,
    distances_of,
    in_view,
    looking,
    random_case,
    rates,
    table_of,
)

INF, NAN = math.inf, math.nan


class TestRadius:
    @pytest.mark.parametrize(
        ("kind", "spots"),
        [
            (Flat, [(3, 4), (3, 5)]),
            (Tile, [(3, 4), (3, 5)]),
            (Point, [(3, 4), (3, 5)]),
            (Deep, [(3, 0, 4), (3, 0, 5)]),
            (Space, [(0, 3, 4), (0, 3, 5)]),
        ],
    )
    def test_the_edge_is_in_view(self, kind, spots) -> None:
        table = table_of(kind, spots)
        assert in_view(Radius(5, 5), table, looking(table, [(0, 0, 0)])) == [[0]]

    def test_height_counts_only_where_there_is_any(self) -> None:
        for kind, spot, seen in ((Flat, (0, 0), [[0]]), (Deep, (0, 0, 0), [[]])):
            table = table_of(kind, [spot])
            assert in_view(Radius(5), table, looking(table, [(0, 0, 99)])) == seen

    def test_what_has_entered_stays_until_it_is_beyond_leave(self) -> None:
        distances = (99, 101, 109, 111)
        assert at_distance(Radius(100), distances) == [0]
        assert at_distance(Radius(100), distances, told=[4]) == [0, 1, 2]
        assert at_distance(Radius(100, 105), distances, told=[1]) == [0, 1]

    def test_each_viewer_has_a_view_and_a_memory_of_its_own(self) -> None:
        table = table_of(Flat, [(0, 0), (100, 0), (111, 0)])
        viewers = looking(
            table,
            [(0, 0, 0), (100, 0, 0), NOWHERE, (100, 0, 0)],
            told=[[1, 1, 1], [0, 0, 0], [1, 1, 1], [0, 0, 2]],
        )
        assert in_view(Radius(10, 20), table, viewers) == [[0], [1], [], [1, 2]]

    def test_no_opinion_on_what_has_no_position(self) -> None:
        for kind in (Score, Label):
            table = World([kind]).table(kind)
            table.spawn()
            assert in_view(Radius(10, slower={5: 2}), table, looking(table)) is None
            assert Radius(10, slower={5: 2}).intervals(table, looking(table), np.arange(1)) is None

    def test_a_position_that_is_no_place_is_not_seen_and_makes_no_noise(self) -> None:
        table = table_of(Flat, [(INF, 0), (NAN, 0), (1e308, -1e308), (5, -INF)])
        viewers = looking(table, [(INF, 0, 0), (-1e308, 1e308, 0), (0, 0, 0)], told=[1])
        policy = Radius(10, slower={5: 2})
        assert in_view(policy, table, viewers) == [[], [], []]
        everything_asked = policy.intervals(table, viewers, np.arange(12))
        assert everything_asked is not None
        assert everything_asked.tolist() == [1] * 12

    def test_nobody_and_nothing(self) -> None:
        table = table_of(Flat, [(0, 0)])
        assert in_view(Radius(10), table, looking(table, [])) == []
        empty = World([Flat]).table(Flat)
        assert in_view(Radius(10), empty, looking(empty, [(0, 0, 0)] * 2)) == [[], []]

    def test_the_dead_are_not_seen(self) -> None:
        table = table_of(Flat, [(0, 0), (0, 0)], dead=[0])
        assert in_view(Radius(10), table, looking(table, [(0, 0, 0)], told=[1])) == [[1]]

    @pytest.mark.parametrize("distance", [0, -1, NAN, INF, 1e200, "far", None])
    def test_a_distance_is_a_number_above_zero(self, distance) -> None:
        with pytest.raises(UsageError, match="above 0"):
            Radius(distance)

    def test_one_cannot_leave_before_one_enters(self) -> None:
        with pytest.raises(UsageError, match="smaller than enter"):
            Radius(10, 9)


class TestRings:
    RINGS = Radius(1000, slower={300: 2, 450: 4, 800: 8})

    def test_farther_is_told_less_often(self) -> None:
        distances = (0, 300, 301, 450, 451, 800, 801, 1000)
        assert rates(self.RINGS, distances) == [1, 1, 2, 2, 4, 4, 8, 8]

    def test_without_rings_there_are_no_intervals(self) -> None:
        assert rates(Radius(1000), (0, 900)) is None
        assert rates(Radius(1000, slower={}), (0, 900)) is None

    @pytest.mark.parametrize(
        ("told", "distances", "expected"),
        [
            (2, (269, 270, 300, 301), [1, 2, 2, 2]),
            (4, (269, 271, 404, 406, 451), [1, 2, 2, 4, 4]),
            (8, (269, 404, 406, 719, 721), [1, 2, 4, 4, 8]),
            (1, (271, 299, 301, 451), [1, 1, 2, 4]),
        ],
    )
    def test_an_interval_is_kept_until_well_inside_the_ring(
        self, told, distances, expected
    ) -> None:
        assert rates(self.RINGS, distances, told=told) == expected

    def test_what_the_radius_does_not_have_in_view_is_told_every_broadcast(self) -> None:
        assert rates(self.RINGS, (1001, 1099), told=0) == [1, 1]
        assert rates(self.RINGS, (1001, 1099, 1101), told=1) == [8, 8, 1]

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("axes", [2, 3])
    def test_rings_agree_with_the_sentence_in_the_docstring(self, axes: int, seed: int) -> None:
        table, viewers, told, spots = random_case(seed, axes, 1000, 400, 20)
        rings = {300.0: 2, 320.0: 4, 800.0: 8}
        policy = Radius(1000, 1100, slower=rings)
        keys = policy.pairs(table, viewers)
        assert isinstance(keys, np.ndarray)
        found = policy.intervals(table, viewers, keys)
        assert found is not None
        distance = distances_of(viewers, spots).ravel()
        for key, interval in zip(keys.tolist(), found.tolist(), strict=True):
            so_far = int(told.ravel()[key])
            expected = 1
            for ring, every in rings.items():
                if distance[key] > ring or (so_far >= every and distance[key] >= 0.9 * ring):
                    expected = every
            assert interval == expected, f"{distance[key]} away, so far {so_far}"

    @pytest.mark.parametrize(
        ("slower", "match"),
        [
            ({300: 3}, "2, 4 or 8"),
            ({300: 1}, "2, 4 or 8"),
            ({300: 4, 450: 2}, "must rise"),
            ({300: 2, 450: 2}, "must rise"),
            ({450: 2, 300: 4}, "must rise and stay below leave"),
            ({1100: 2}, "below leave"),
            ({0: 2}, "above 0"),
            ({"far": 2}, "above 0"),
            ([(300, 2)], "300: 2"),
        ],
    )
    def test_rings_that_make_no_sense_are_refused(self, slower, match) -> None:
        with pytest.raises(UsageError, match=match):
            Radius(1000, 1100, slower=slower)


class TestGroups:
    def test_one_sees_the_groups_one_has_joined(self) -> None:
        table = table_of(Flat, group=[3, 1, 2, 1, 3], dead=[3])
        viewers = looking(table, [NOWHERE] * 4, groups=[{1}, {3, 2}, {}, {9, 1}])
        assert in_view(Groups(), table, viewers) == [[1], [0, 2, 4], [], [1]]

    def test_members_of_an_enum_count_from_zero(self) -> None:
        table = World([Score]).table(Score)
        for team in (Team.BLUE, Team.RED, Team.BLUE):
            table.spawn(team=team)
        viewers = looking(table, [NOWHERE] * 2, groups=[{0}, {1}])
        assert in_view(Groups("team"), table, viewers) == [[1], [0, 2]]

    def test_no_opinion_without_the_field_and_an_error_for_a_field_of_another_kind(self) -> None:
        table = table_of(Deep, [(0, 0, 0)])
        assert in_view(Groups(), table, looking(table)) is None
        label = World([Label]).table(Label)
        with pytest.raises(UsageError, match="Int or Enum"):
            Groups().pairs(label, looking(label))

    def test_nobody_has_joined_anything(self) -> None:
        table = table_of(Flat, group=[0, 1])
        assert in_view(Groups(), table, looking(table, [NOWHERE] * 2)) == [[], []]
        assert in_view(Groups(), table, looking(table, [])) == []

    @pytest.mark.parametrize("seed", range(5))
    def test_many_groups(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        values = rng.integers(0, 30, 500)
        table = table_of(Flat, group=values, dead=range(0, 500, 7))
        joined = [set(rng.integers(0, 40, rng.integers(0, 6)).tolist()) for _ in range(30)]
        expected = [
            [row for row in range(500) if values[row] in groups and row % 7] for groups in joined
        ]
        assert in_view(Groups(), table, looking(table, [NOWHERE] * 30, groups=joined)) == expected

    def test_the_field_is_given_by_name(self) -> None:
        with pytest.raises(UsageError, match='Groups\\("team"\\)'):
            Groups(Flat.group)  # type: ignore[arg-type]


class TestOnlyOwner:
    def test_one_sees_ones_own_in_whatever_order_players_come(self) -> None:
        table = table_of(Score, points=[0] * 6, dead=[5])
        for row, player in enumerate((2, 7, 0, 2, 5)):
            table.own(row, player)
        viewers = looking(table, [NOWHERE] * 3, players=[7, 1, 2])
        assert in_view(OnlyOwner(), table, viewers) == [[1], [], [0, 3]]

    def test_what_nobody_controls_is_nobodys(self) -> None:
        table = table_of(Score, points=[0])
        assert in_view(OnlyOwner(), table, looking(table, players=[0])) == [[]]


class TestWhere:
    def test_a_function_for_each_viewer_or_for_all(self) -> None:
        table = table_of(Score, points=[1, 5, 9, 9], dead=[3])
        viewers = looking(table, [NOWHERE] * 2, players=[4, 8])
        for_all = Where(lambda t, v: t.points > 4)
        assert in_view(for_all, table, viewers) == [[1, 2], [1, 2]]
        each = Where(lambda t, v: t.points[None, :] > v.players[:, None])
        assert in_view(each, table, viewers) == [[1, 2], [2]]
        none = Where(lambda t, v: None)
        assert in_view(none, table, viewers) is None

    def test_a_function_may_ask_what_is_seen_so_far(self) -> None:
        table = table_of(Score, points=[0] * 3)
        viewers = looking(table, [NOWHERE] * 2, told=[[0, 1, 8], [0, 0, 0]])
        assert viewers.seen.dtype == np.bool_
        assert in_view(Where(lambda t, v: v.seen), table, viewers) == [[1, 2], []]

    @pytest.mark.parametrize(
        ("answer", "match"),
        [
            (np.ones(3), r"bool array.*\(2, 3\) or \(rows,\) = \(3,\).*not float64 of shape"),
            (np.ones((3, 2), dtype=bool), r"not bool of shape \(3, 2\)"),
            (np.ones(2, dtype=bool), r"not bool of shape \(2,\)"),
            (np.True_, "not bool"),
            ([True] * 3, "not list"),
        ],
    )
    def test_a_wrong_answer_says_what_is_expected(self, answer, match) -> None:
        table = table_of(Score, points=[0] * 3)
        policy = Where(lambda t, v: answer)
        with pytest.raises(UsageError, match=match):
            policy.pairs(table, looking(table, [NOWHERE] * 2))
        with pytest.raises(UsageError, match="Score"):
            (policy & Everything()).pairs(table, looking(table, [NOWHERE] * 2))

    def test_it_takes_a_function(self) -> None:
        with pytest.raises(UsageError, match="function of"):
            Where(np.ones(3, dtype=bool))  # type: ignore[arg-type]


def test_a_position_is_found_by_name_and_kind() -> None:
    world = World([Flat, Deep, Point, Space, Tile, Score, Label])
    for table in world.tables:
        table.spawn()
    shapes = {table.kind: positions(table) for table in world.tables}
    assert {kind: None if p is None else (p.shape, p.dtype) for kind, p in shapes.items()} == {
        Flat: ((1, 2), np.float64),
        Deep: ((1, 3), np.float64),
        Point: ((1, 2), np.float64),
        Space: ((1, 3), np.float64),
        Tile: ((1, 2), np.float64),
        Score: None,
        Label: None,
    }
