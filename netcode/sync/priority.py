"""Priority: what goes first when the budget does not reach for everything.

The urgency of a pair is its weight times the broadcasts for which it has waited: since it was last
sent, or first changed after the peer had its newest value. It is worked out only for peers whose
budget is exceeded; nothing accumulates and nothing is touched in between. The most urgent are
sent until the budget is spent.

**How long a pair can wait.** Let a peer have at most N pairs waiting at any time, let at least M
of them be sent at each broadcast (what fits into the budget; one always), let r be the largest
weight divided by the smallest (at most `MAX_WEIGHT`), and K = N / M rounded up. Then no pair waits
for more than (r + 1)·K of the broadcasts at which it competes: all of them since it came into view
or changed; of a pair that is told at every n-th broadcast only, those.

Proof: suppose that pair p has waited for A > (r + 1)·K broadcasts. In each of the last K of them
at least M others were sent before it, each at least as urgent: weight × age ≥ weight of p × age of
p, so their age was at least the age of p divided by r, and p's age was more than r·K + K - K =
r·K all that time; so each of them had waited for more than K broadcasts when it was sent. A pair
sent within the last K broadcasts has waited for fewer than K since, so none was sent twice among
them: these are K·M ≥ N different pairs other than p, but only N - 1 others exist.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.declarations import Entity
from netcode.errors import UsageError
from netcode.sync.interest import positions
from netcode.world.table import Table

MAX_WEIGHT = 16.0
"""Weights lie between 1 and this: it bounds how long the least important one can wait."""

Weigh = Callable[[Table[Any], NDArray[np.int64], NDArray[np.float64]], NDArray[np.float64]]


class Priority:
    """What is more important when not everything can be sent at once.

    ``classes`` gives an entity class its weight (1 unless named). ``near`` makes what is close to
    the viewpoint weigh more: four times as much at distance 0, falling to once at this distance.
    ``weigh`` is a function of the game's own, ``weigh(table, rows, viewpoints)``, called once for
    each class of which something waits, with the waiting rows (int64 of shape (n,)) and the
    viewpoint of the player for whom each waits (float64 of shape (n, 3), NaN if nowhere); it
    returns n weights. The factors are multiplied and the product limited to 1 … 16.

    Raises `UsageError` for a weight outside 1 … 16 or a distance not above 0.
    """

    NEAR = 4.0
    """How much more something weighs at distance 0 than at ``near`` or beyond."""

    def __init__(
        self,
        classes: Mapping[type[Entity], float] | None = None,
        *,
        near: float | None = None,
        weigh: Weigh | None = None,
    ) -> None:
        self.classes = dict(classes or {})
        for kind, weight in self.classes.items():
            if not 1.0 <= weight <= MAX_WEIGHT:
                raise UsageError(
                    f"the weight of {kind.__name__} must be 1 to {MAX_WEIGHT:g}, not {weight}"
                )
        if near is not None and not near > 0:
            raise UsageError(f"near is a distance above 0, not {near}")
        self.near = near
        self.weigh = weigh

    def weights(
        self, table: Table[Any], rows: NDArray[np.int64], viewpoints: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """The weights of these rows of a table, for players who look from these points."""
        weights = np.full(len(rows), float(self.classes.get(table.kind, 1.0)))
        if self.near is not None:
            here = positions(table)
            if here is not None:
                apart = here[rows] - viewpoints[:, : here.shape[1]]
                with np.errstate(all="ignore"):
                    share = 1.0 - np.sqrt((apart * apart).sum(axis=1)) / self.near
                weights *= 1.0 + (self.NEAR - 1.0) * np.nan_to_num(share).clip(0.0, 1.0)
        if self.weigh is not None:
            own = np.asarray(self.weigh(table, rows, viewpoints), dtype=np.float64)
            if own.shape != rows.shape:
                raise UsageError(
                    f"weigh() must return one weight for each of the {len(rows)} rows, "
                    f"not an array of shape {own.shape}"
                )
            weights *= np.nan_to_num(own, nan=1.0)
        return weights.clip(1.0, MAX_WEIGHT)
