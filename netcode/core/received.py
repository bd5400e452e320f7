"""The world as it was last received, for those who want to see it beside what is displayed."""

import numpy as np

from netcode.sync.receiver import Receiver
from netcode.world.history import ABSENT
from netcode.world.world import World


def show_as_received(world: World, receiver: Receiver, me: int) -> None:
    """Make the tables of ``world`` what the receiver knows: neither interpolated nor predicted.
    ``me`` is the player whose rows are its own. Costs a loop over the rows that are known."""
    for known, table in zip(receiver.known, world.tables, strict=True):
        table.me = me
        shown = np.full(len(known.life), ABSENT, dtype=np.int32)
        shown[: table.size] = np.where(table.alive, table.generation, ABSENT)
        for row in np.flatnonzero(shown != known.life).tolist():
            if known.life[row] == ABSENT:
                table.despawn(row)
            else:
                table.place(row, int(known.life[row]))
        rows = np.flatnonzero(known.life != ABSENT)
        table.load(rows, known.lanes[rows])
        for row in rows.tolist():
            table.own(row, me if known.controlled[row] else 0)
