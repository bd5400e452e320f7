"""Who hears whom: the policies of voice.

A policy is to voice what an interest is to state: a server has one, and it combines with ``|``.
`ProximityVoice` asks where the players are, as `Radius` does, so who hears whom is the same
question as who sees whom.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netcode.errors import UsageError

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]

MAX_SLOTS = 32
"""Voices that anybody hears at once. More is noise, and each costs 4 kB/s."""


@dataclass(slots=True)
class Company:
    """The players of a server at one moment, one row each."""

    places: Floats
    """Where they look from, shape (players, 3); NaN where that is nowhere."""
    groups: Sequence[frozenset[int]]
    """Which groups they have joined."""

    def __len__(self) -> int:
        return len(self.places)


@dataclass(slots=True)
class Audience:
    """Who hears whom, each of shape (speakers, listeners)."""

    hears: Mask
    placed: Mask
    """Of those who hear: whether by where the speaker is, so that the voice fades and pans."""
    closeness: Floats | None = None
    """0 to 1: who comes first where there are more speakers than slots; None if nobody does."""


class VoicePolicy:
    """Decides who hears whom. Combine policies with ``|``; ``slots`` is the larger one's then.

    For one of your own, write `audience`.
    """

    slots: int = 8
    """How many speakers a listener is sent at once: the loudest and nearest of those who talk."""
    full: float = 0.0
    silent: float = 0.0
    """Up to where a placed voice has its full volume, and where it is no more heard, in units of
    the game; both 0 where no voice is placed."""

    def audience(self, company: Company) -> Audience:
        """Who hears whom in this company; nobody's own voice is sent back, whatever this says."""
        raise NotImplementedError

    def __or__(self, other: "VoicePolicy") -> "VoicePolicy":
        if not isinstance(other, VoicePolicy):
            return NotImplemented
        return _Either(self, other)

    def _take_slots(self, slots: int) -> None:
        if not (isinstance(slots, int) and 1 <= slots <= MAX_SLOTS):
            raise UsageError(f"slots is 1 to {MAX_SLOTS} voices at once, not {slots!r}")
        self.slots = slots


class EveryoneVoice(VoicePolicy):
    """Everybody hears everybody, wherever they are."""

    def __init__(self, *, slots: int = 8) -> None:
        self._take_slots(slots)

    def audience(self, company: Company) -> Audience:
        shape = (len(company),) * 2
        return Audience(np.ones(shape, bool), np.zeros(shape, bool))


class TeamVoice(VoicePolicy):
    """Players who share a group (`Player.join_group`) hear each other, wherever they are."""

    def __init__(self, *, slots: int = 8) -> None:
        self._take_slots(slots)

    def audience(self, company: Company) -> Audience:
        every = sorted(set().union(*company.groups)) if len(company) else []
        number = {group: column for column, group in enumerate(every)}
        member = np.zeros((len(company), len(every)), dtype=np.float64)
        for row, groups in enumerate(company.groups):
            member[row, [number[group] for group in groups]] = 1.0
        shape = (len(company),) * 2
        return Audience(member @ member.T > 0, np.zeros(shape, bool))


class ProximityVoice(VoicePolicy):
    """Players hear who is near: at full volume within ``full`` units, then less, and from
    ``silent`` units on nothing is sent. Where a player is, is its viewpoint: that of the entity it
    controls, unless it has been set. Who is nowhere is not heard, and hears nobody, by this.
    """

    LEAVE = 1.05
    """Who is heard is sent until this much farther away, lest a voice at the edge stutter."""

    def __init__(self, full: float, silent: float, *, slots: int = 8) -> None:
        if not 0 <= full < silent < float("inf"):
            raise UsageError(
                f"ProximityVoice takes two distances, the first smaller, not {full!r}, {silent!r}"
            )
        self._take_slots(slots)
        self.full, self.silent = float(full), float(silent)

    def audience(self, company: Company) -> Audience:
        apart = company.places[:, None, :] - company.places[None, :, :]
        distance = np.sqrt(np.einsum("abk,abk->ab", apart, apart))
        with np.errstate(invalid="ignore"):
            hears = distance < self.silent * self.LEAVE
        closeness = np.where(hears, 1.0 - distance / (self.silent * self.LEAVE), 0.0)
        return Audience(hears, hears.copy(), np.nan_to_num(closeness))


class _Either(VoicePolicy):
    """Who hears by one of two policies. A voice is placed only if it is heard by nothing else."""

    def __init__(self, one: VoicePolicy, two: VoicePolicy) -> None:
        self._both = one, two
        self.slots = max(one.slots, two.slots)
        self.full = max(one.full, two.full)
        self.silent = max(one.silent, two.silent)

    def audience(self, company: Company) -> Audience:
        one, two = (policy.audience(company) for policy in self._both)
        flat = (one.hears & ~one.placed) | (two.hears & ~two.placed)
        hears = one.hears | two.hears
        closeness = np.zeros(hears.shape)
        for each in (one, two):
            if each.closeness is not None:
                np.maximum(closeness, each.closeness * each.hears, out=closeness)
        return Audience(hears, hears & ~flat, closeness)
