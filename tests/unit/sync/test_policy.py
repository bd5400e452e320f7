"""Policies combine like sets, and say what they are and why they hide something."""

import numpy as np
import pytest

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.sync.interest import (
    ALL,
    Everything,
    Groups,
    Interest,
    OnlyOwner,
    Radius,
    Where,
)
from tests.unit.sync.interest_lab import (
    NOWHERE,
    Deep,
    Flat,
    Score,
    distances_of,
    in_view,
    looking,
    rates,
    table_of,
)


class Fixed(Interest):
    """A policy of a game's own: it overrides `visible` alone."""

    def __init__(self, name: str, answer) -> None:
        self.name, self.answer = name, answer

    def visible(self, table, viewers):
        return self.answer

    def __repr__(self) -> str:
        return self.name


def fixed(name: str, *rows: int) -> Fixed:
    return Fixed(name, np.isin(np.arange(6), rows))


SILENT = Fixed("silent", None)


class TestCombinations:
    table = table_of(Score, points=[0] * 6, dead=[4])
    viewers = looking(table, [NOWHERE] * 2)

    def seen(self, policy: Interest) -> list[int] | None:
        found = in_view(policy, self.table, self.viewers)
        if found is None:
            return None
        assert found[0] == found[1]
        return found[0]

    def test_either_and_both(self) -> None:
        a, b, c = fixed("a", 0, 1, 2), fixed("b", 1, 2, 3), fixed("c", 2, 5)
        assert self.seen(a | b) == [0, 1, 2, 3]
        assert self.seen(a & b) == [1, 2]
        assert self.seen(a & b | c) == [1, 2, 5]
        assert self.seen(a & (b | c)) == [1, 2]
        assert self.seen((a | c) & (b | c)) == [1, 2, 5]
        assert self.seen(a & fixed("d", 5)) == []

    def test_who_has_no_opinion_does_not_count(self) -> None:
        a, nothing = fixed("a", 0, 1), fixed("nothing")
        for combined in (a | SILENT, SILENT | a, a & SILENT, SILENT & a):
            assert self.seen(combined) == [0, 1]
        assert self.seen(nothing | SILENT) == []
        assert self.seen(nothing & SILENT) == []
        assert (SILENT | SILENT).pairs(self.table, self.viewers) is None
        assert (SILENT & SILENT).pairs(self.table, self.viewers) is None

    def test_everything_swallows_an_or_and_leaves_an_and_as_it_is(self) -> None:
        a = fixed("a", 0, 1)
        for policy in (Everything(), Everything() & SILENT, a | Everything(), Everything() | a):
            assert policy.pairs(self.table, self.viewers) is ALL
        assert (Everything() & Everything()).pairs(self.table, self.viewers) is ALL
        assert self.seen(a & Everything()) == self.seen(Everything() & a) == [0, 1]
        assert self.seen(Everything()) == [0, 1, 2, 3, 5]

    @pytest.mark.parametrize("seed", range(20))
    def test_the_laws_of_sets(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        answers = [rng.random((2, 6)) < 0.5 for _ in range(3)]
        a, b, c = (Fixed(name, answer) for name, answer in zip("abc", answers, strict=True))
        alike = [
            (a | b, b | a, answers[0] | answers[1]),
            (a & b, b & a, answers[0] & answers[1]),
            (a & (b | c), a & b | a & c, answers[0] & (answers[1] | answers[2])),
            (a | b & c, (a | b) & (a | c), answers[0] | answers[1] & answers[2]),
            (a | a & b, a & (a | b), answers[0]),
        ]
        for left, right, expected in alike:
            keys = np.flatnonzero(expected & self.table.alive).tolist()
            for policy in (left, right):
                found = policy.pairs(self.table, self.viewers)
                assert isinstance(found, np.ndarray)
                assert found.tolist() == keys, policy

    def test_a_policy_on_some_classes(self) -> None:
        a = fixed("a", 0)
        assert self.seen(a.on(Score)) == self.seen(a.on(Flat, Score)) == [0]
        assert self.seen(a.on(Flat)) is None
        assert self.seen(a.on(Flat) | fixed("b", 1)) == [1]
        assert self.seen(a.on(Entity)) == [0], "a class stands for its subclasses too"
        assert Everything().on(Score).pairs(self.table, self.viewers) is ALL
        assert (a | SILENT).on(Flat).pairs(self.table, self.viewers) is None

    def test_the_text_is_what_one_would_write(self) -> None:
        near, far = Radius(600), Radius(0.5, 660, slower={300: 2, 450.5: 4})
        team = Groups("team")
        assert repr(near) == "Radius(600)"
        assert repr(Radius(600, 660) | team) == "Radius(600, 660) | Groups('team')"
        assert repr(far) == "Radius(0.5, 660, slower={300: 2, 450.5: 4})"
        assert repr(near | (team | OnlyOwner())) == "Radius(600) | Groups('team') | OnlyOwner()"
        assert repr(near & team & OnlyOwner()) == "Radius(600) & Groups('team') & OnlyOwner()"
        assert repr((near | team) & Everything()) == "(Radius(600) | Groups('team')) & Everything()"
        assert repr(near | team & near) == "Radius(600) | Groups('team') & Radius(600)"
        assert repr(near.on(Flat, Deep) & team) == "Radius(600).on(Flat, Deep) & Groups('team')"
        assert repr((near & team).on(Flat)) == "(Radius(600) & Groups('team')).on(Flat)"
        assert repr(Where(distances_of)) == "Where(distances_of)"
        assert repr(Interest()) == "Interest()"

    def test_misuse_names_the_fix(self) -> None:
        for wrong in (600, None, Groups):
            with pytest.raises(UsageError, match=r"\| takes a policy .*Radius\(600\)"):
                Everything() | wrong  # type: ignore[operator]
            with pytest.raises(UsageError, match="& takes a policy"):
                Everything() & wrong  # type: ignore[operator]
        for classes in ((), ("Ship",), (int,), (Flat, 3)):
            with pytest.raises(UsageError, match=r"\.on\(Ship\)"):
                Everything().on(*classes)  # type: ignore[arg-type]


class TestIntervalsOfCombinations:
    RINGS = Radius(1000, slower={300: 2, 600: 8})
    DISTANCES = (100, 400, 700)

    def test_either_takes_the_smallest_of_those_that_have_it_in_view(self) -> None:
        assert rates(self.RINGS | Groups(), self.DISTANCES) == [1, 1, 1]
        assert rates(self.RINGS | OnlyOwner(), self.DISTANCES) == [1, 2, 8]
        assert rates(self.RINGS | Radius(500), self.DISTANCES) == [1, 1, 8]
        assert rates(self.RINGS | Radius(1000, slower={50: 4}), self.DISTANCES) == [1, 2, 4]
        assert rates(self.RINGS | Everything(), self.DISTANCES) == [1, 1, 1]
        assert rates(Groups() | OnlyOwner(), self.DISTANCES) is None

    def test_what_nobody_has_in_view_is_told_every_broadcast(self) -> None:
        assert rates(self.RINGS | OnlyOwner(), (700, 2000)) == [8, 1]

    def test_both_takes_the_smallest_that_is_given(self) -> None:
        assert rates(self.RINGS & Groups(), self.DISTANCES) == [1, 2, 8]
        assert rates(self.RINGS & Radius(1000, slower={50: 4}), self.DISTANCES) == [1, 2, 4]
        assert rates(Groups() & Everything(), self.DISTANCES) is None

    def test_nested(self) -> None:
        assert rates((self.RINGS & OnlyOwner()) | Groups(), self.DISTANCES) == [1, 1, 1]
        assert rates((self.RINGS & Groups()) | OnlyOwner(), self.DISTANCES) == [1, 2, 8]
        assert rates((self.RINGS & Radius(500)) | OnlyOwner(), self.DISTANCES) == [1, 2, 1]
        assert rates((self.RINGS | Groups()) & Everything(), self.DISTANCES) == [1, 1, 1]

    def test_on_other_classes_a_policy_gives_no_intervals(self) -> None:
        assert rates(self.RINGS.on(Flat), self.DISTANCES) == [1, 2, 8]
        assert rates(self.RINGS.on(Deep), self.DISTANCES) is None
        assert rates(self.RINGS | Groups().on(Deep), self.DISTANCES) == [1, 2, 8]
        assert rates(self.RINGS.on(Flat) | OnlyOwner(), self.DISTANCES) == [1, 2, 8]


class TestWhyNot:
    table = table_of(Flat, [(0, 0), (50, 0), (0, 0)], group=[1, 1, 2], dead=[2])
    viewers = looking(table, [(0, 0, 0)], groups=[{2}])

    def why(self, policy: Interest, row: int = 1) -> list[str]:
        return policy.why_not(self.table, self.viewers, row)

    def test_the_policy_that_keeps_it_out_is_named(self) -> None:
        assert self.why(Radius(10)) == ["Radius(10)"]
        assert self.why(Radius(10), row=0) == []
        assert self.why(Fixed("mine", np.zeros(3, dtype=bool))) == ["mine"]

    def test_of_an_or_all_of_an_and_those_that_refuse(self) -> None:
        assert self.why(Radius(10) | Groups()) == ["Radius(10)", "Groups('group')"]
        assert self.why(Radius(99) | Groups()) == []
        assert self.why(Radius(99) & Groups()) == ["Groups('group')"]
        assert self.why(Radius(10) & Groups()) == ["Radius(10)", "Groups('group')"]
        assert self.why(Everything() & Radius(99)) == []
        nested = Everything() & (Radius(10).on(Flat) | Groups() & Radius(99) | SILENT)
        assert self.why(nested) == ["Radius(10)", "Groups('group')"]

    def test_nobody_keeps_it_out(self) -> None:
        for policy in (SILENT, SILENT | SILENT, Radius(10).on(Deep), Groups("team")):
            assert self.why(policy) == []
        assert self.why(Radius(10) & Groups(), row=2) == [], "an empty row"

    def test_misuse_names_the_fix(self) -> None:
        with pytest.raises(UsageError, match="no row 3: it has 3"):
            self.why(Radius(10), row=3)
        with pytest.raises(UsageError, match="single viewer, not 2"):
            Radius(10).why_not(self.table, looking(self.table, [NOWHERE] * 2), 0)
