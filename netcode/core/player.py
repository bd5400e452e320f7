"""A player, as the host knows one."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from netcode.core.inputs import MAX_INPUT_LEAD, InputBuffer
from netcode.core.join import CONTROL, Draining, Identity, encode
from netcode.core.messaging import Mailbox, Reply
from netcode.core.stats import ServerStats
from netcode.declarations import Entity, Message
from netcode.errors import Disconnected, SendQueueFull, UsageError
from netcode.link.connection import Connection
from netcode.link.delivery import RELIABLE
from netcode.play.rewind import believed_lag
from netcode.protocol import Protocol
from netcode.sync.budget import BudgetControl
from netcode.sync.interest import position_names
from netcode.sync.peers import Peer
from netcode.wire.bits import unwrap
from netcode.wire.packets import LAG_STEPS, InputPacket
from netcode.world.table import NOBODY
from netcode.world.world import World

MAX_SPREAD = 0.15
MAX_SILENCE = 0.2
"""Seconds of jitter, and of silence before an input, that are believed to be the line's: a client
can make both as large as it likes."""

OFFSETS = 64
"""Input packets, two seconds of them, from which the jitter on their way is taken."""

MAX_GROUP = 1 << 53
"""A group is the value of an Int field."""


class Player:
    """A person in the game. The host makes one for everybody who joins."""

    def __init__(
        self,
        *,
        id: int,
        name: str,
        connection: Connection,
        world: World,
        protocol: Protocol,
        peer: Peer,
        budget: BudgetControl,
        tick_rate: float,
        tick: Callable[[], int],
        identity: Identity | None = None,
    ) -> None:
        self.id = id
        """From 1 on, never used twice in the life of a server."""
        self.name = name
        """As cleaned by the server; not unique. With a join secret it is the name in the player's
        token, and otherwise whatever the player says."""
        self.identity = identity
        self.data: dict[str, Any] = {}
        """For the game: whatever it wants to remember of this player."""
        self.left_because: str | None = None
        """Why the player is gone, in a few words; None while in the game."""
        self.connection = connection
        self.control_channel = connection.session.open(CONTROL, RELIABLE)[0]
        self.mailbox = Mailbox(protocol, connection.session, world)
        self.inputs = InputBuffer(protocol, tick_rate)
        self._protocol = protocol
        self._tick_rate = tick_rate
        self._tick = tick
        self.peer = peer
        self.budget = budget
        self._world = world
        self._entities: list[Entity] = []
        self.may_speak = True
        """Whether others hear this player's voice; may be set: a spectator only listens."""
        self.newest_packet = 0
        self._offsets: deque[float] = deque(maxlen=OFFSETS)
        """By how much later than their tick the last input packets came."""
        self._viewpoint: tuple[float, ...] | None = None

    @property
    def rtt(self) -> float:
        """Smoothed round trip in seconds; 0 until it is known."""
        return self.connection.rtt or 0.0

    @property
    def subject(self) -> str | None:
        """What the game's back end calls this player, such as the number of its account; None
        where the join token does not say, and where there are no tokens."""
        return None if self.identity is None else self.identity.subject

    @property
    def connected(self) -> bool:
        """Whether the player is in the game; also while `reconnecting`."""
        return self.left_because is None

    @property
    def reconnecting(self) -> bool:
        """Whether the link has failed and the place is kept for a while. The player's inputs are at
        rest, and messages to it wait."""
        return self.connection.lost_at is not None

    def __repr__(self) -> str:
        return f"<Player {self.id} {self.name!r}>"

    # -- entities ----------------------------------------------------------------------------

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The living entities that this player controls, in the order of taking control."""
        self._entities = [entity for entity in self._entities if entity.alive]
        return tuple(self._entities)

    def control(self, entity: Entity) -> None:
        """Give the player control of an entity: its inputs move it, and its client predicts it.

        Raises `UsageError` for an entity that is gone or that another player controls, and once
        the player has left.
        """
        if not self.connected:
            raise UsageError(f"{self.name} has left and controls nothing any more")
        table = self._table_of(entity)
        owner = int(table.owner[entity._row])
        if owner not in (NOBODY, self.id):
            raise UsageError(
                f"player {owner} controls {entity!r}: call release() on that player first"
            )
        table.own(entity._row, self.id)
        if entity not in self._entities:
            self._entities.append(entity)

    def release(self, entity: Entity) -> None:
        """Take control away again; harmless if the player does not have it."""
        if entity in self._entities:
            self._entities.remove(entity)
            if entity.alive:
                self._table_of(entity).own(entity._row, NOBODY)
                spawned = self._protocol.spawned.get(type(entity))
                if spawned is not None:  # another player may have spawned one of that name
                    entity._set(spawned, 0)

    def _table_of(self, entity: Entity) -> Any:
        if not entity.alive:
            raise UsageError(f"{entity!r} is gone: control it before it despawns")
        return self._world.table(type(entity))

    @property
    def viewpoint(self) -> tuple[float, ...] | None:
        """Where the player looks from, (x, y) or (x, y, z); None follows the first entity with a
        position, in the order of taking control."""
        return self._viewpoint

    @viewpoint.setter
    def viewpoint(self, point: tuple[float, ...] | None) -> None:
        if point is not None and not 2 <= len(point) <= 3:
            raise UsageError(f"a viewpoint has two or three numbers, not {point!r}")
        self._viewpoint = None if point is None else tuple(float(part) for part in point)

    def place(self) -> tuple[float, ...] | None:
        """Where the player looks from, whether that has been set or follows an entity."""
        return self._viewpoint or self._place()

    def _place(self) -> tuple[float, ...] | None:
        """Where the first entity is that has a position, shots and the like left out."""
        for entity in self.entities:
            if type(entity) in self._protocol.spawned:
                continue
            names = position_names(type(entity))
            if names:
                table, row = self._table_of(entity), entity._row
                return tuple(float(x) for name in names for x in np.ravel(table[name][row]))
        return None

    @property
    def groups(self) -> frozenset[int]:
        """The groups that the player has joined, for the interest policy `Groups`."""
        return self.peer.groups

    def join_group(self, group: int) -> None:
        """See the entities of this group from now on (see `Groups`). Doing so twice is harmless.

        Raises `UsageError` for anything but a whole number.
        """
        if not isinstance(group, int) or isinstance(group, bool) or abs(group) > MAX_GROUP:
            raise UsageError(f"a group is a whole number below 2**53, not {group!r}")
        self.peer.groups |= {group}

    def leave_group(self, group: int) -> None:
        """See the entities of this group no more; harmless if the player is not in it."""
        self.peer.groups -= {group}

    # -- talking -----------------------------------------------------------------------------

    def send(self, message: Message) -> None:
        """Send a message. Raises `SendQueueFull` if this player's queue is full.

        Does nothing once the player has left. While the player is reconnecting, reliable messages
        wait for it, and others grow stale.
        """
        if self.connected:
            self.connection.send(*self.mailbox.encode(message, self._tick()))

    def try_send(self, message: Message) -> bool:
        """Send a message unless the queue is full; whether it was taken."""
        try:
            self.send(message)
        except SendQueueFull:
            return False
        return True

    def request(self, message: Message) -> Reply[Message]:
        """Send a message whose handler's return value comes back: ``await player.request(…)``.

        Raises `SendQueueFull` if this player's queue is full.
        """
        if not self.connected:
            return Reply.failed(Disconnected(self.left_because or "left"))
        return self.mailbox.request(message, self.connection.send)

    def reply(self, message: Message | None, request: int) -> bool:
        """Answer a request of this player's, with None if there is no answer. Returns True."""
        self.connection.send(*self.mailbox.encode_reply(message, request))
        return True

    def kick(self, reason: str) -> None:
        """End this player's game; the client raises `Disconnected` with the reason. One that is
        reconnecting learns that the game has gone on without it, when it comes back."""
        self.connection.close(f"kicked: {reason}")

    # -- for the host ------------------------------------------------------------------------

    def tell(self, word: Draining) -> None:
        """Say something on the channel on which the player has joined."""
        with suppress(SendQueueFull):
            if self.connected:
                self.connection.send(self.control_channel, encode(word))

    def send_datagram(self, data: bytes) -> bool:
        """Hand a state packet over; False if there is no room for it, or no link."""
        link = self.connection.link
        return link is not None and link.send_datagram(data)

    def rest(self) -> None:
        """The player wants nothing any more, until it says so again: its link has failed."""
        self.inputs.rest()
        self._offsets.clear()

    def take_inputs(self, packet: InputPacket, tick: int, now: float, stats: ServerStats) -> bool:
        """Take in an input packet; whether it is newer than all before."""
        sequence = unwrap(packet.sequence, self.newest_packet)
        fresh = sequence > self.newest_packet
        if packet.inputs:
            self.inputs.put(packet, tick, now, stats, fresh)
        if fresh:
            self.newest_packet = sequence
            if packet.inputs and 0 <= packet.newest_tick - tick <= MAX_INPUT_LEAD:
                self._offsets.append(now - packet.newest_tick / self._tick_rate)
        return fresh

    def lag(self, interval: float, limit: float) -> float:
        """Ticks by which what the player saw lay behind the newest tick: what the client claims,
        as far as that is plausible; ``interval`` is from one broadcast to the next, and ``limit``
        what is believed at most, both in seconds."""
        offsets = sorted(self._offsets)
        spread = offsets[int(0.95 * (len(offsets) - 1))] - offsets[0] if offsets else 0.0
        claimed = self.inputs.lag / LAG_STEPS / self._tick_rate
        inputs = self.inputs
        believed = believed_lag(
            claimed,
            waited=inputs.waited,
            silence=min(inputs.silence, MAX_SILENCE),
            rtt=self.rtt,
            spread=min(spread, MAX_SPREAD),
            interval=interval,
            limit=limit,
        )
        return believed * self._tick_rate

    def whole_sequence(self, low: int) -> int:
        """The number of a state packet of which 16 bits travelled."""
        return unwrap(low, self.peer.sequence)

    def prepare(self, now: float, tick_rate: float, broadcast_rate: float) -> None:
        """Fill in what the next state packets tell this player about its inputs, and how large
        they may be."""
        connection = self.connection
        backlog = connection.link.transport.backlog() if connection.link is not None else 0
        rate = self.budget.review(now, connection.rtt, self.peer.loss, backlog)
        self.peer.away = not connection.is_up
        self.peer.budget = 0 if self.peer.away else round(rate / broadcast_rate)
        self.peer.viewpoint = self.place()
        self.peer.input_tick = self.inputs.consumed_tick
        self.peer.earliness = self.inputs.report()
        # An acknowledgement waits for the client's next packet, and then for the next broadcast.
        self.peer.rtt = 1.0 + (1.2 * (connection.rtt or 0.2) + 1 / 30) * broadcast_rate


class Guestbook:
    """The players in the game, by id. Ids are never used twice."""

    def __init__(self) -> None:
        self.by_id: dict[int, Player] = {}
        self._last = NOBODY

    def __len__(self) -> int:
        return len(self.by_id)

    def __iter__(self) -> Iterator[Player]:
        return iter(self.by_id.values())

    def next_id(self) -> int:
        self._last += 1
        return self._last

    def add(self, player: Player) -> None:
        self.by_id[player.id] = player

    def remove(self, player: Player) -> None:
        self.by_id.pop(player.id, None)
