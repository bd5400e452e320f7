"""A policy of interest: what each one answers, and how they combine.

A policy answers for all viewers and all rows of one table at once, and it answers sparsely: with
the sorted keys (viewer × rows + row) of what is in view, so that the cost grows with what is seen
and not with viewers × rows. Policies combine with ``|`` and ``&``, and one that has no opinion on
a class (`Radius` on a class without positions) leaves the decision to the others; a class on which
nobody has an opinion is told to all. Whatever the policies say, players are always told about the
entities that they control.
"""

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.world.table import Table

Keys: TypeAlias = NDArray[np.int64]
"""Which viewer sees which row: viewer × rows + row, strictly ascending, living rows only."""
Mask: TypeAlias = NDArray[np.bool_]
Intervals: TypeAlias = NDArray[np.uint8]


class All(enum.Enum):
    """The type of `ALL`."""

    ALL = "all"

    def __repr__(self) -> str:
        return "ALL"


ALL: Final = All.ALL
"""Instead of keys: every living row is in view of every viewer."""

NEVER = 255
"""Above every interval."""


@dataclass(slots=True)
class Viewers:
    """The players for whom interest is decided, and a table's rows, at one broadcast."""

    players: NDArray[np.int64]
    """The number of each viewer's player."""
    viewpoints: NDArray[np.float64]
    """Where each one looks from: shape (viewers, 3), z is 0 in a flat game, NaN if nowhere."""
    groups: Sequence[frozenset[int]]
    """The groups that each one's player has joined."""
    rows: int
    """How many rows the table has now: its ``size``."""
    told: Callable[[Keys], Intervals]
    """For ascending keys: the interval in broadcasts (1, 2, 4 or 8) at which the viewer is being
    told about the row so far, 0 if it is not in view."""

    def __len__(self) -> int:
        return len(self.players)

    @property
    def seen(self) -> Mask:
        """What each one is being told about so far: bool of shape (viewers, rows).

        For functions of a game's own; it is worked out, viewers × rows cells, each time.
        """
        told = self.told(np.arange(len(self) * self.rows, dtype=np.int64))
        return np.asarray(told > 0).reshape(len(self), self.rows)


class Interest:
    """Decides who is told about what. This is the base of all policies.

    A policy of a game's own overrides `visible` and nothing else, if `Where` is not enough. Combine
    policies: ``a | b`` has in view what either has, ``a & b`` what both have; `on` limits one to
    some classes.
    """

    def visible(self, table: Table[Any], viewers: Viewers) -> Mask | None:
        """Which rows are in view: bool (viewers, rows), or (rows,) if it is the same for all.

        None if the policy has no opinion on the table's class. Empty rows may be either.
        """
        return None

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        """The same as keys of what is in view; `ALL` for everything, None for no opinion.

        Raises `UsageError` if `visible` answers with anything but what it should.
        """
        seen = self.visible(table, viewers)
        if seen is None:
            return None
        rows = viewers.rows
        shapes = ((rows,), (len(viewers), rows))
        is_mask = isinstance(seen, np.ndarray) and seen.dtype == np.bool_
        if not is_mask or seen.shape not in shapes:
            what = type(seen).__name__
            if isinstance(seen, np.ndarray):
                what = f"{seen.dtype} of shape {seen.shape}"
            raise UsageError(
                f"{self} must answer for {table.kind.__name__} with a bool array of shape "
                f"(viewers, rows) = {shapes[1]} or (rows,) = {shapes[0]}, or None, not {what}"
            )
        seen = seen & table.alive
        if seen.ndim == 2:
            return np.flatnonzero(seen)
        bases = np.arange(len(viewers), dtype=np.int64) * rows
        return np.asarray(bases[:, None] + np.flatnonzero(seen)).ravel()

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        """Broadcasts from one update to the next for each key: 1, 2, 4 or 8; None: all are 1.

        Keys that this policy does not have in view (of entities that the player controls) have 1.
        """
        return None

    def on(self, *classes: type[Entity]) -> "Interest":
        """This policy for entities of these classes, and no opinion on all others."""
        return _On(self, classes)

    def why_not(self, table: Table[Any], viewers: Viewers, row: int) -> list[str]:
        """The policies that keep a row out of a single viewer's view, as texts.

        Empty if it is in view, if the row is empty, or if no policy has an opinion. Raises
        `UsageError` if there is not exactly one viewer, or no such row.
        """
        return [] if self._shows(table, viewers, row) is not False else [repr(self)]

    def __or__(self, other: "Interest") -> "Interest":
        return _Either((self, _policy("|", other)))

    def __and__(self, other: "Interest") -> "Interest":
        return _Both((self, _policy("&", other)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def _has_intervals(self) -> bool:
        """Whether `intervals` may give anything but None."""
        return type(self).intervals is not Interest.intervals

    def _rates(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        """The interval of each key that this policy has in view, 0 for others; None: no opinion."""
        pairs = self.pairs(table, viewers)
        if pairs is None:
            return None
        given = self.intervals(table, viewers, keys)
        rates = np.ones(len(keys), dtype=np.uint8) if given is None else given
        return rates if pairs is ALL else np.where(_among(keys, pairs), rates, np.uint8(0))

    def _shows(self, table: Table[Any], viewers: Viewers, row: int) -> bool | None:
        if len(viewers) != 1:
            raise UsageError(f"why_not takes a single viewer, not {len(viewers)}")
        if not 0 <= row < viewers.rows:
            raise UsageError(f"{table.kind.__name__} has no row {row}: it has {viewers.rows}")
        if not table.alive[row]:
            return None
        pairs = self.pairs(table, viewers)
        return pairs if pairs is None else pairs is ALL or row in pairs


class Keyed(Interest):
    """A policy that answers with keys, and with a mask only if somebody asks for one."""

    def visible(self, table: Table[Any], viewers: Viewers) -> Mask | None:
        pairs = self.pairs(table, viewers)
        if pairs is None:
            return None
        if pairs is ALL:
            return np.broadcast_to(table.alive, (len(viewers), viewers.rows))
        seen = np.zeros(len(viewers) * viewers.rows, dtype=np.bool_)
        seen[pairs] = True
        return seen.reshape(len(viewers), viewers.rows)


class _Combined(Keyed):
    """Several policies as one."""

    def __init__(self, members: Sequence[Interest]) -> None:
        self.members: list[Interest] = []
        for member in members:
            self.members += member.members if type(member) is type(self) else [member]

    def why_not(self, table: Table[Any], viewers: Viewers, row: int) -> list[str]:
        if self._shows(table, viewers, row) is not False:
            return []
        return [text for m in self.members for text in m.why_not(table, viewers, row)]

    @property
    def _has_intervals(self) -> bool:
        return any(member._has_intervals for member in self.members)


class _Either(_Combined):
    """In view is what any member with an opinion has in view.

    Each row is told at the smallest interval among the members that have it in view: one without
    intervals tells of it every broadcast.
    """

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.members))  # no brackets: & binds more tightly

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        together: Keys | None = None
        for member in self.members:
            keys = member.pairs(table, viewers)
            if keys is ALL:
                return ALL
            if keys is not None:
                together = keys if together is None else _union(together, keys)
        return together

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        if not self._has_intervals:
            return None
        lowest = np.full(len(keys), NEVER, dtype=np.uint8)
        for member in self.members:
            rates = member._rates(table, viewers, keys)
            if rates is not None:
                lowest = np.where(rates > 0, np.minimum(lowest, rates), lowest)
        return np.where(lowest == NEVER, np.uint8(1), lowest)


class _Both(_Combined):
    """In view is what all members with an opinion have in view.

    Each row is told at the smallest interval that a member gives; those without intervals do not
    count.
    """

    def __repr__(self) -> str:
        return " & ".join(map(_in_brackets, self.members))

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        common: Keys | All | None = None
        for member in self.members:
            keys = member.pairs(table, viewers)
            if common is None or common is ALL:
                common = common if keys is None else keys
            elif keys is not None and keys is not ALL:
                common = _common(common, keys)
        return common

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        lowest: Intervals | None = None
        for member in self.members:
            rates = member.intervals(table, viewers, keys)
            if rates is not None:
                lowest = rates if lowest is None else np.minimum(lowest, rates)
        return lowest


class _On(Keyed):
    """A policy for some classes; no opinion on the others."""

    def __init__(self, policy: Interest, classes: tuple[type[Entity], ...]) -> None:
        for kind in classes:
            if not (isinstance(kind, type) and issubclass(kind, Entity)):
                raise UsageError(f"on takes entity classes, as in .on(Ship), not {kind!r}")
        if not classes:
            raise UsageError("on takes at least one entity class, as in .on(Ship)")
        self.policy, self.classes = policy, classes

    def __repr__(self) -> str:
        names = ", ".join(kind.__name__ for kind in self.classes)
        return f"{_in_brackets(self.policy)}.on({names})"

    def pairs(self, table: Table[Any], viewers: Viewers) -> Keys | All | None:
        return self.policy.pairs(table, viewers) if self._concerns(table) else None

    def intervals(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        return self.policy.intervals(table, viewers, keys) if self._concerns(table) else None

    def why_not(self, table: Table[Any], viewers: Viewers, row: int) -> list[str]:
        return self.policy.why_not(table, viewers, row) if self._concerns(table) else []

    @property
    def _has_intervals(self) -> bool:
        return self.policy._has_intervals

    def _rates(self, table: Table[Any], viewers: Viewers, keys: Keys) -> Intervals | None:
        return self.policy._rates(table, viewers, keys) if self._concerns(table) else None

    def _concerns(self, table: Table[Any]) -> bool:
        return issubclass(table.kind, self.classes)


def ascending(keys: Keys) -> Keys:
    """The same keys sorted, in place; those in order already are only looked at."""
    if not (keys[1:] > keys[:-1]).all():
        keys.sort()
    return keys


def _among(keys: Keys, others: Keys) -> Mask:
    """Which of the keys are among the others, both ascending."""
    if not len(others):
        return np.zeros(len(keys), dtype=np.bool_)
    return np.asarray(others.take(others.searchsorted(keys), mode="clip") == keys)


def _union(keys: Keys, others: Keys) -> Keys:
    merged = _merged(keys, others)
    is_new = np.ones(len(merged), dtype=np.bool_)
    np.not_equal(merged[1:], merged[:-1], out=is_new[1:])
    return merged.compress(is_new)


def _common(keys: Keys, others: Keys) -> Keys:
    merged = _merged(keys, others)
    return merged[1:].compress(merged[1:] == merged[:-1])


def _merged(keys: Keys, others: Keys) -> Keys:
    merged = np.concatenate((keys, others))
    merged.sort(kind="stable")  # of two sorted runs this is a merge
    return merged


def _policy(sign: str, other: Any) -> Interest:
    if not isinstance(other, Interest):
        raise UsageError(f"{sign} takes a policy of interest such as nc.Radius(600), not {other!r}")
    return other


def _in_brackets(policy: Interest) -> str:
    return f"({policy})" if isinstance(policy, _Combined) else repr(policy)
