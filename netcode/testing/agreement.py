"""Agreement: whether a client holds what the server had, value by value."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netcode.core.guest import Guest
from netcode.core.host import Host
from netcode.core.player import Player
from netcode.fields import NO_HANDLE, ROW_BITS, Enum, Field, Lanes, Ref, Text
from netcode.world.history import ABSENT, LENGTH
from netcode.world.layout import PartKind
from netcode.world.table import Table


class Disagreement(AssertionError):
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

    def value(self, field: Field[Any], lanes: NDArray[np.int32]) -> object:
        """A value as a person reads it; a reference as its target's handle."""
        if isinstance(field, Text):
            if self.text is None:
                raise ValueError(f"comparing {field} needs both sides' pools")
            return self.text(int(lanes[0]))
        if isinstance(field, Ref):
            handle = int(lanes[0]) - 1
            return None if handle == NO_HANDLE else f"{field.target} {handle}"
        if isinstance(field, Enum):
            return field.members[int(lanes[0])]
        cell = field.dequantise(lanes[None])[0]
        # Steps of 0.05 do not come out even in floats, and 20.1 says enough.
        return (np.round(cell, 9) if cell.dtype.kind == "f" else cell).tolist()


def check(where: str, table: Table[Any], server: Held, client: Held) -> NDArray[np.intp]:
    """Return the rows that are known and present on the client; all of them are the server's.

    Raises `Disagreement` otherwise. A reference may be empty on the client, for its target may
    be out of view there; a field for the owner alone is compared for the owner alone.
    """
    rows = np.flatnonzero(client.known & (client.life != ABSENT))
    for row in rows[(rows >= len(server.life))].tolist():
        raise Disagreement(f"{where}: {_named(table, client, row)} is not on the server")
    for row in rows[server.life[rows] != client.life[rows]].tolist():
        if server.life[row] == ABSENT:
            raise Disagreement(f"{where}: {_named(table, client, row)} is not on the server")
        raise Disagreement(
            f"{where}: {_named(table, client, row)} is {_named(table, server, row)} on the server"
        )
    for field in table.fields:
        chosen = rows
        if field.only_owner:
            chosen = rows[client.mine[rows]] if client.mine is not None else rows[:0]
        part = table.lanes_of(field)
        want, have = server.lanes[chosen, part], client.lanes[chosen, part]
        if isinstance(field, Text):  # the two sides number texts as they come
            differs = np.ones(len(chosen), dtype=np.bool_)
        else:
            differs = (want != have).any(axis=1)
        if isinstance(field, Ref):
            differs &= have[:, 0] != 0
        for place in np.flatnonzero(differs).tolist():
            holds, had = client.value(field, have[place]), server.value(field, want[place])
            if holds != had or not isinstance(field, Text):
                raise Disagreement(
                    f"{where}: {_named(table, client, int(chosen[place]))}.{field.name} is "
                    f"{holds!r}, the server has {had!r}"
                )
    return rows


def _named(table: Table[Any], held: Held, row: int) -> str:
    """A row's tenant, by class and handle."""
    return f"{table.kind.__name__} {int(held.life[row]) << ROW_BITS | row}"


def check_guest(host: Host, guest: Guest, player: Player) -> None:
    """Compare the newest broadcast that a guest has heard in full with the host's.

    Raises `Disagreement`, also if there is none among those that both ends remember.
    """
    frames = [frame for frame in guest.history if frame.complete and host.history.at(frame.tick)]
    if not frames:
        raise Disagreement(
            f"{guest.name} has not heard all of any of the last {LENGTH} broadcasts: is its line "
            "dead, or is there more to tell than its budget lets through?"
        )
    frame = frames[-1]
    told = host.history.at(frame.tick)
    assert told is not None
    where = f"{guest.name}, tick {frame.tick}"
    for index, table in enumerate(host.world.tables):
        there, here = told.tables[index], frame.tables[index]
        server = Held(there.life, there.lanes, there.known, host.world.text)
        mine = _told_as_owner(guest, index, frame.number)
        check(where, table, server, Held(here.life, here.lanes, here.known, guest.world.text, mine))
        for row in _in_view(host, player, index, frame.number):
            is_there = row < here.size and here.life[row] != ABSENT
            if there.life[row] != ABSENT and not is_there:
                raise Disagreement(f"{where}: {_named(table, server, row)} has not come into view")


def _told_as_owner(guest: Guest, table: int, number: int) -> NDArray[np.bool_]:
    """Rows of which the guest was told the owner's fields by this broadcast."""
    samples, layout = guest._receiver.samples, guest.history.layout
    owned = guest._receiver.known[table].owned.copy()
    for part in layout.parts:
        if part.table == table and part.kind is PartKind.OWNER:
            first = int(layout.first[part.number])
            owned &= samples._since[first : first + len(owned)] <= number
    return owned


def _in_view(host: Host, player: Player, table: int, number: int) -> list[int]:
    """Rows that the player has acknowledged since they came into view before this broadcast, or
    that have been in view for so long that it should have."""
    pairs, layout = host._sender.pairs, host.history.layout
    part = next(p for p in layout.parts if p.table == table and p.kind is PartKind.PUBLIC)
    first, used = int(layout.first[part.number]), pairs.used
    held = pairs.entity[:used] - first
    chosen = pairs.present[:used] & (pairs.slot[:used] == player.peer.slot)
    chosen &= (held >= 0) & (held < host.world.tables[table].size)
    since = pairs.since[:used]
    chosen &= (pairs.entered[:used] & (since <= number)) | (since <= number - LENGTH)
    return [int(row) for row in np.sort(held[chosen])]
