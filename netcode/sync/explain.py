"""Explain: why an entity was sent to a player in the last broadcast, or why it was not.

Nothing is kept for it beyond what the last broadcast has worked out anyway; the question is
answered from that when somebody asks.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netcode.fields import Field
from netcode.sync.interest import Viewers
from netcode.sync.pairs import NONE
from netcode.sync.peers import ENTER, LEAVE, Peer
from netcode.sync.sender import Sender
from netcode.world.history import ABSENT
from netcode.world.layout import PartKind
from netcode.world.table import Table

SENT, DEFERRED, CULLED, UNCHANGED, WAITING, GONE = (
    "sent",
    "deferred",
    "culled",
    "unchanged",
    "waiting",
    "gone",
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an entity was or was not sent to a player in the last broadcast. `str` says it all."""

    verdict: str
    """``"sent"``; ``"deferred"``: the budget did not reach for it; ``"culled"``: not in view;
    ``"unchanged"``: the player has its newest value; ``"waiting"``: told already, the
    acknowledgement is under way, or it is not this entity's turn; ``"gone"``."""
    reason: str
    """In words."""
    rank: int | None = None
    """Place in the order of urgency, from 1, if the budget was exceeded."""
    urgency: float | None = None
    """Weight × broadcasts waited, if the budget was exceeded."""
    waited: int = 0
    """Broadcasts since it was last sent, or changed after that."""
    interval: int = 1
    """It is told at every so many broadcasts."""
    culled_by: tuple[str, ...] = ()
    """The policies that keep it out of view."""
    bits: dict[str, int] = field(default_factory=dict)
    """What each field took, in bits, if it took any; an entry is told as ``"(entry)"``."""

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.reason}"]
        if self.rank is not None:
            lines.append(f"rank {self.rank}, urgency {self.urgency:.1f}")
        if self.waited:
            lines.append(f"waited {self.waited} broadcasts")
        if self.interval > 1:
            lines.append(f"told every {self.interval} broadcasts")
        lines += [f"{name}: {bits} bits" for name, bits in self.bits.items()]
        return "\n".join(lines)


def explain(sender: Sender, peer: Peer, table: int, row: int) -> Explanation:
    """Why this row of a table was or was not sent to a peer in the last broadcast."""
    views, pairs, layout = sender.views, sender.pairs, sender.history.layout
    part = next(p for p in layout.parts if p.table == table and p.kind is PartKind.PUBLIC)
    entity = int(layout.first[part.number]) + row
    if row >= sender.tables[table].size or entity >= len(views.life):
        return Explanation(GONE, "there is no such entity, or not since the last broadcast")
    place = NONE
    if peer.slot < len(pairs.where):
        place = int(pairs.where[peer.slot, entity])
    if place == NONE or not pairs.present[place]:
        if views.life[entity] == ABSENT:
            return Explanation(GONE, "there is no such entity, or not since the last broadcast")
        names = tuple(_why_not(sender, peer, sender.tables[table], row))
        told = "the player is being told that it leaves" if place != NONE else "not in view"
        by = f"kept out of view by {', '.join(names)}" if names else told
        return Explanation(CULLED, by, culled_by=names)
    return _in_view(sender, peer, table, entity, place)


def _why_not(sender: Sender, peer: Peer, table: Table[Any], row: int) -> list[str]:
    viewpoint = sender.views.viewpoint_of_slot[peer.slot : peer.slot + 1]
    if len(viewpoint) == 0:  # there was no broadcast since this player joined
        viewpoint = np.full((1, 3), np.nan)
    viewers = Viewers(
        players=np.array([peer.player], dtype=np.int64),
        viewpoints=viewpoint,
        groups=[peer.groups],
        rows=table.size,
        told=lambda keys: np.zeros(len(keys), dtype=np.uint8),
    )
    return sender.interest.why_not(table, viewers, row)


def _in_view(sender: Sender, peer: Peer, table: int, entity: int, place: int) -> Explanation:
    pairs, told, layout = sender.pairs, sender.told, sender.history.layout
    interval = int(pairs.interval(np.array([place]))[0])
    number = sender.number
    kin = [
        int(layout.first[p.number]) + int(layout.row_of[entity])
        for p in layout.parts
        if p.table == table
    ]
    mine = ((told.slot == peer.slot) & np.isin(told.entity, kin)).nonzero()[0]
    public = mine[told.entity[mine] == entity]
    if told.number != number or len(mine) == 0:
        if not pairs.pending[place]:
            return Explanation(UNCHANGED, "the player has its newest value", interval=interval)
        waited = number - int(pairs.due_since[place])
        turn = (number + int(layout.row_of[entity])) % interval != 0
        reason = (
            "it is told at a lower rate, and this was not its broadcast"
            if turn
            else "its entry was sent and rests; the acknowledgement is under way"
        )
        return Explanation(WAITING, reason, waited=max(waited, 0), interval=interval)
    chosen = told.chosen is None or bool(told.chosen[mine].any())
    rank, urgency = None, None
    at = int(public[0]) if len(public) else int(mine[0])
    if told.urgency is not None and told.urgency[at] > 0:
        urgency = float(told.urgency[at])
        rivals = told.urgency[told.slot == peer.slot]
        rank = 1 + int(np.count_nonzero(rivals > urgency))
    if not chosen:
        waited = number - int(pairs.due_since[place])
        return Explanation(
            DEFERRED,
            f"the budget of {peer.budget} bytes a broadcast went to what is more urgent",
            rank=rank,
            urgency=urgency,
            waited=max(waited, 0) + 1,
            interval=interval,
        )
    entering = any(int(told.what[i]) == ENTER for i in mine)
    leaving = all(int(told.what[i]) == LEAVE for i in mine)
    reason = (
        "it has come into view, or its baselines are lost: all of it is told"
        if entering
        else "part of it leaves the view"
        if leaving
        else "it has changed, or the newest value is not acknowledged yet"
    )
    return Explanation(
        SENT,
        reason,
        rank=rank,
        urgency=urgency,
        interval=interval,
        bits=_bits(sender, mine.tolist()),
    )


def _bits(sender: Sender, mine: list[int]) -> dict[str, int]:
    """What each field of these pairs took, by its name."""
    told, layout = sender.told, sender.history.layout
    bits: dict[str, int] = {}
    for pair in mine:
        part = layout.parts[int(layout.part_of[told.entity[pair]])]
        if told.what[pair] == ENTER:
            cost = int(sender.entries.bits(told.number, told.entity[[pair]])[0])
            bits["(entry)"] = bits.get("(entry)", 0) + cost
        elif told.what[pair] != LEAVE and told.coding is not None:
            names = lane_names(part.fields)
            lanes = told.coding.lane_bits(int(np.searchsorted(told.update, pair)))
            for lane, cost in lanes.items():
                name = names[lane - part.first_lane]
                if cost:
                    bits[name] = bits.get(name, 0) + cost
    return bits


def lane_names(fields: tuple[Field[Any], ...]) -> list[str]:
    """The name of the field of each lane."""
    return [described.name for described in fields for _ in described.lane_bits]


@dataclass(frozen=True, slots=True)
class StateStats:
    """What the state sent to one player is made of. Entities are counted for the last broadcast."""

    sent: int = 0
    """Entities of which anything was sent."""
    deferred: int = 0
    """Entities (and their private parts) that had to wait for the budget."""
    unchanged: int = 0
    """Entities in view of which nothing had to be said."""
    culled: int = 0
    """Entities that are not in view."""
    leaving: int = 0
    """Entities that the player was told have left the view."""
    budget: float = 0.0
    """Bytes a second that the player may be sent; 0 for no limit."""
    held_back: str = ""
    """Why the budget was cut at its last review, in words; empty if it was not."""
    bytes_by_field: dict[str, dict[str, float]] = field(default_factory=dict)
    """Bytes since joining, by class and field; entries under ``"(entry)"``. Headers and lists of
    rows are not in here."""


def state_stats(sender: Sender, peer: Peer, budget: float, held_back: str) -> StateStats:
    """What the state sent to this peer is made of."""
    layout, pairs, told = sender.history.layout, sender.pairs, sender.told
    public = np.array([p.kind is PartKind.PUBLIC for p in layout.parts])
    alive = int(
        np.count_nonzero((sender.views.life != ABSENT) & public[layout.part_of])
        if len(sender.views.life) == layout.entities
        else 0
    )
    used = pairs.used
    held = pairs.present[:used] & (pairs.slot[:used] == peer.slot)
    in_view = int(np.count_nonzero(held & public[layout.part_of[pairs.entity[:used]]]))
    mine = (told.slot == peer.slot) & public[layout.part_of[told.entity]]
    chosen = mine if told.chosen is None else mine & told.chosen
    sent = int(np.count_nonzero(chosen & (told.what != LEAVE)))
    waiting = int(np.count_nonzero(mine & ~chosen & (told.what != LEAVE)))
    spent: dict[str, dict[str, float]] = {}
    for part in layout.parts:
        fields = spent.setdefault(sender.tables[part.table].kind.__name__, {})
        entries = float(sender.spent_on_entries[peer.slot, part.number]) / 8
        fields["(entry)"] = fields.get("(entry)", 0.0) + entries
        for lane, name in enumerate(lane_names(part.fields)):
            bits = float(sender.spent_on_lanes[peer.slot, part.first_lane + lane])
            fields[name] = fields.get(name, 0.0) + bits / 8
    return StateStats(
        sent=sent,
        deferred=peer.deferred,
        unchanged=max(0, in_view - sent - waiting),
        culled=max(0, alive - in_view),
        leaving=int(np.count_nonzero(chosen & (told.what == LEAVE))),
        budget=budget,
        held_back=held_back,
        bytes_by_field=spent,
    )
