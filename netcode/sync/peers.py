"""Peers: those who are told, and what they were told in the last broadcast."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from netcode.sync.coder import Coding
from netcode.wire.bits import Ints

UPDATE, ENTER, LEAVE = 0, 1, 2
"""What is said of a pair."""


@dataclass(slots=True)
class Peer:
    """What the sender knows of one peer; the caller fills in what stands in the header."""

    player: int
    """The number that marks the rows this peer controls."""
    slot: int
    """Where this peer stands in the arrays."""
    viewpoint: tuple[float, ...] | None = None
    """Where the player looks from; None follows an entity that the player controls: of the first
    class that has positions, the lowest row."""
    groups: frozenset[int] = frozenset()
    """Groups that the player has joined, for the policy `Groups`."""
    budget: int | None = None
    """Bytes of state in one broadcast; None for as many as fit into 16 packets."""
    rtt: float = 4.0
    """Round trip in broadcasts: an entry is not repeated before its acknowledgement can be here."""
    input_tick: int | None = None
    earliness: float = 0.0
    sequence: int = 0
    """Of the newest packet sent."""
    client_packet: int = 0
    """The client packet whose acknowledgements count."""
    loss: float = 0.0
    """Share of recent packets that did not arrive, smoothed."""
    away: bool = False
    """Nothing can be sent now: what would be told counts as not said."""
    deferred: int = 0
    """Pairs that had to wait in the last broadcast."""


def _no_ints() -> Ints:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Told:
    """What was to be said in the last broadcast, by pair: for `explain`."""

    number: int = -1
    slot: Ints = field(default_factory=_no_ints)
    entity: Ints = field(default_factory=_no_ints)
    what: Ints = field(default_factory=_no_ints)
    update: Ints = field(default_factory=_no_ints)
    """Which of the pairs are updates: those that `coding` speaks of."""
    coding: Coding | None = None
    chosen: NDArray[np.bool_] | None = None
    """Which of the pairs were sent; None for all."""
    urgency: NDArray[np.float64] | None = None
    """Only of peers whose budget was exceeded, else 0."""
