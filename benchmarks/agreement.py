"""Whether a client holds what the server had, lane by lane: no figure is worth more than that."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.fields import Lanes, Ref, Text
from netcode.world.history import ABSENT
from netcode.world.table import Table


class Disagreement(Exception):
    """A client holds something else than the server had; the text names the place."""


@dataclass(slots=True)
class Held:
    """One table at one tick, on either side."""

    life: NDArray[np.int32]
    """Each row's generation, or `ABSENT`."""
    lanes: Lanes
    known: NDArray[np.bool_]
    """Which rows are said to be certain (on a server: all)."""
    text: Callable[[int], str] | None = None
    """What a text's number means on this side."""
    mine: NDArray[np.bool_] | None = None
    """On a client: which rows the player controls, and sees the owner's fields of."""


def check(where: str, table: Table[Any], server: Held, client: Held) -> NDArray[np.intp]:
    """Return the rows that are known and present on the client; all of them are the server's.

    Raises `Disagreement` otherwise. A reference may be empty on the client, for its target may
    be out of view there; a field for the owner alone is compared for the owner alone.
    """
    rows = np.flatnonzero(client.known & (client.life != ABSENT))
    if len(rows) and rows[-1] >= len(server.life):
        raise Disagreement(f"{where}, row {rows[-1]}: the server has no such row")
    wrong = rows[server.life[rows] != client.life[rows]]
    if len(wrong):
        row = int(wrong[0])
        raise Disagreement(
            f"{where}, row {row}: generation {client.life[row]}, the server has {server.life[row]}"
        )
    for described in table.fields:
        chosen = rows
        if described.only_owner:
            chosen = rows[client.mine[rows]] if client.mine is not None else rows[:0]
        part = table.lanes_of(described)
        want, have = server.lanes[chosen, part], client.lanes[chosen, part]
        if isinstance(described, Text):
            _check_texts(f"{where}, {described}", chosen, want[:, 0], have[:, 0], server, client)
            continue
        differs = want != have
        if isinstance(described, Ref):
            differs &= have != 0
        if differs.any():
            place, lane = (int(n) for n in np.argwhere(differs)[0])
            raise Disagreement(
                f"{where}, row {chosen[place]}, lane {part.start + lane} ({described}): "
                f"{have[place, lane]}, the server has {want[place, lane]}"
            )
    return rows


def _check_texts(
    where: str,
    rows: NDArray[np.intp],
    want: NDArray[np.int32],
    have: NDArray[np.int32],
    server: Held,
    client: Held,
) -> None:
    if server.text is None or client.text is None:
        raise ValueError(f"{where}: comparing texts needs both sides' pools")
    for row, wanted, held in zip(rows.tolist(), want.tolist(), have.tolist(), strict=True):
        if server.text(wanted) != client.text(held):
            raise Disagreement(
                f"{where}, row {row}: {client.text(held)!r}, the server has {server.text(wanted)!r}"
            )
