"""The host: runs the world, and tells every player about it."""

import logging
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from netcode.core.arrivals import Arrival, Arrivals
from netcode.core.host_voice import HostVoice
from netcode.core.join import (
    MAX_GRACE,
    MAX_TICK_RATE,
    Draining,
    Hello,
    Identity,
    Welcome,
    clean_name,
    encode,
)
from netcode.core.messaging import Handlers
from netcode.core.player import Guestbook, Player
from netcode.core.simulation import Simulation
from netcode.core.stats import Meter, ServerStats
from netcode.declarations import Entity, Message
from netcode.errors import SendQueueFull, UsageError, WireError
from netcode.link.connection import Connection
from netcode.link.frames import FIRST_DATAGRAM
from netcode.link.link import Link
from netcode.link.liveness import HEARTBEAT_INTERVAL
from netcode.link.session import Channel
from netcode.link.tickets import Tickets
from netcode.play.motion import Motion
from netcode.play.rewind import Past
from netcode.play.step import Step
from netcode.play.tick_clock import TickLoop
from netcode.protocol import Protocol
from netcode.sync.budget import Budget, BudgetControl
from netcode.sync.explain import Explanation, StateStats, explain, state_stats
from netcode.sync.interest import Interest
from netcode.sync.priority import Priority
from netcode.sync.sender import Sender
from netcode.transports.base import Transport
from netcode.voice.policies import VoicePolicy
from netcode.wire.packets import INPUT, decode_inputs
from netcode.world.history import History
from netcode.world.world import World

log = logging.getLogger("netcode")
F = TypeVar("F", bound=Callable[..., Any])

MAX_REWIND = 0.4
"""Seconds that the world is rewound for a player at most, whatever its line: those who are hit
should not have been behind a wall for longer than that."""

GRACE = 10.0
"""Seconds for which a player whose link has failed keeps the place in the game, unless told."""

MAX_SEED = 1 << 53
"""Every player is told the seed; a browser counts no farther."""


class Host:
    """A world, its players and its ticks. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        protocol: Protocol,
        clock: Callable[[], float],
        *,
        tick_rate: float = 60,
        broadcast_rate: float = 20,
        interest: Interest | None = None,
        priority: Priority | None = None,
        budget: Budget | None = None,
        max_players: int = 64,
        max_rewind: float = MAX_REWIND,
        grace: float = GRACE,
        voice: VoicePolicy | None = None,
        seed: int = 0,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if not isinstance(protocol, Protocol):
            raise UsageError(f"a server takes the game's Protocol first, not {protocol!r}")
        if not isinstance(interest, Interest | None):
            raise UsageError(f"interest takes a policy such as nc.Radius(600), not {interest!r}")
        if not isinstance(priority, Priority | None):
            raise UsageError(f"priority takes nc.Priority({{Ship: 4}}), not {priority!r}")
        if not isinstance(budget, Budget | None):
            raise UsageError(f"budget takes nc.Budget(ceiling=...), not {budget!r}")
        if not isinstance(voice, VoicePolicy | None):
            raise UsageError(f"voice takes a policy such as nc.EveryoneVoice(), not {voice!r}")
        if not 1 <= tick_rate <= MAX_TICK_RATE:
            raise UsageError(
                f"tick_rate must be 1 to {MAX_TICK_RATE} ticks a second, not {tick_rate}"
            )
        every = tick_rate / broadcast_rate if broadcast_rate > 0 else 0.0
        if every < 1 or abs(every - round(every)) > 1e-6:
            raise UsageError(
                f"broadcast_rate must divide tick_rate: {tick_rate} ticks a second can be "
                f"broadcast at {tick_rate}, {tick_rate / 2:g}, {tick_rate / 3:g} … a second, "
                f"not at {broadcast_rate}"
            )
        if max_players < 1:
            raise UsageError(f"max_players must be at least 1, not {max_players}")
        if not 0 <= max_rewind <= 1.0:
            raise UsageError(f"max_rewind is 0 to 1 second, not {max_rewind!r}")
        if not 0 <= grace <= MAX_GRACE:
            raise UsageError(f"grace is 0 to {MAX_GRACE:.0f} seconds, not {grace!r}")
        if not (isinstance(seed, int) and 0 <= seed < MAX_SEED):
            raise UsageError(f"seed must be a whole number from 0 to 2**53 - 1, not {seed!r}")
        self.protocol = protocol
        self.clock = clock
        self.tick_rate = float(tick_rate)
        self.broadcast_every = round(every)
        self.max_players = max_players
        self.world = World(protocol.entities)
        self.history = History(self.world.tables, self.broadcast_every)
        self.tick = 0
        self.stats = ServerStats()
        self.guests = Guestbook()
        self.handlers = Handlers(protocol)
        self.on_join: list[Callable[[Player], Any]] = []
        self.on_leave: list[Callable[[Player], Any]] = []
        self.on_reconnecting: list[Callable[[Player], Any]] = []
        self.on_resumed: list[Callable[[Player], Any]] = []
        self.on_tick: list[Callable[[Step], Any]] = []
        self.on_drain: list[Callable[[float], Any]] = []
        self.is_draining = False
        self.on_link_closed: Callable[[Link], None] = lambda link: link.transport.close()
        """Called once for every link that has ended: whoever made the transport closes it."""
        self._seed = seed
        self._simulation = Simulation(protocol, self.world, 1.0 / self.tick_rate, seed)
        self._max_rewind = max_rewind
        self._motions = [
            Motion(table, self.tick_rate, self.broadcast_every) for table in self.world.tables
        ]
        self._budget = budget or Budget()
        self._sender = Sender(self.world.tables, self.history, interest, priority)
        self._loop: TickLoop | None = None
        self.voice = None if voice is None else HostVoice(voice, clock, lambda: list(self.guests))
        self._grace = float(grace)
        self._tickets = Tickets(entropy)
        self._arrivals = Arrivals(
            clock,
            on_hello=self._hello,
            on_resume=self._resume,
            on_retired=lambda link: self.on_link_closed(link),
        )
        self._broadcasts = Meter()

    # -- driving -----------------------------------------------------------------------------

    def attach(
        self, transport: Transport, identity: Identity | None = None, caller: str = ""
    ) -> Link:
        """A transport to somebody who may become a player. Returns the link.

        With an ``identity`` it is known who that is, whatever the other end says. ``caller`` says
        whose links belong together, so that nobody takes up all the room there is for newcomers.
        """
        return self._arrivals.attach(transport, identity, caller)

    def advance(self) -> None:
        """Simulate the ticks that are due, broadcast, and keep the links alive."""
        now = self.clock()
        if self._loop is None:
            self._loop = TickLoop(self.tick_rate, now)
        for _ in range(self._loop.due(now)):
            self._run_tick()
        self.stats.late_ticks, self.stats.skipped_ticks = self._loop.late, self._loop.skipped
        self.stats.broadcast_hz = self._broadcasts.rate(now)
        for player in list(self.guests):
            player.connection.pump()
        self._arrivals.pump(now)
        if self.voice is not None:
            self.voice.step(now)

    @property
    def waiting(self) -> int:
        """Links that have not said who they are yet."""
        return len(self._arrivals)

    def next_timer(self) -> float:
        """When to call `advance` next: for the next tick, or for the links between seldom ones."""
        now = self.clock()
        return now if self._loop is None else min(self._loop.next_at, now + HEARTBEAT_INTERVAL)

    def drain(self, seconds: float) -> None:
        """Let nobody in any more, and tell the game and every player that it ends in a while."""
        self.is_draining = True
        for player in list(self.guests):
            player.tell(Draining(seconds))
        for handler in self.on_drain:
            self._guarded(handler, seconds)

    def close(self, reason: str) -> None:
        """Say goodbye to everybody."""
        for player in list(self.guests):
            player.connection.close(reason)
        self._arrivals.close(reason)

    def holder(self, ticket: bytes) -> Player | None:
        """Who may come back with this ticket, if anybody."""
        number = self._tickets.holder(ticket)
        return None if number is None else self.guests.by_id.get(number)

    # -- for the game ------------------------------------------------------------------------

    def broadcast(self, message: Message, to: Iterable[Player] | None = None) -> None:
        """Send a message to these players, or to all. A player whose queue is full is left out."""
        for player in list(self.guests) if to is None else to:
            player.try_send(message)

    def rewind(self, player: Player) -> Past:
        """The world as this player saw it when it gave the input of the newest tick."""
        if not player.connected:
            raise UsageError(f"{player.name} has left and sees nothing any more")
        lag = player.lag(self.broadcast_every / self.tick_rate, self._max_rewind)
        return Past(self.world, self.history, self._motions, self.tick - lag, player.id)

    def explain(self, player: Player, entity: Entity) -> Explanation:
        """Why an entity was or was not sent to a player in the last broadcast."""
        if not player.connected:
            return Explanation("gone", f"{player.name} has left: {player.left_because}")
        table = self.world.table(type(entity))
        if entity.alive and entity._table is not table:
            raise UsageError(f"{entity!r} lives in another world: explain one of the server's")
        row = entity._row if entity.alive else table.size
        return explain(self._sender, player.peer, self.world.tables.index(table), row)

    def state_stats(self, player: Player) -> StateStats:
        """What the state sent to a player is made of; nothing once the player has left."""
        if not player.connected:
            return StateStats()
        return state_stats(self._sender, player.peer, player.budget.rate, player.budget.held_back)

    # -- a tick ------------------------------------------------------------------------------

    def _run_tick(self) -> None:
        self.tick += 1
        self.stats.ticks += 1
        now = self.clock()
        for player in list(self.guests):
            inputs = player.inputs.consume(self.tick, now, self.stats)
            self._simulation.move(self.tick, player.entities, inputs, player.control)
        step = self._simulation.step(self.tick)
        for handler in self.on_tick:
            handler(step)
        if self.tick % self.broadcast_every == 0:
            self._broadcast()

    def _broadcast(self) -> None:
        self._simulation.round()
        frame = self.history.record(self.tick, self.world.tables)
        now = self.clock()
        broadcast_rate = self.tick_rate / self.broadcast_every
        for player in self.guests:
            player.prepare(now, self.tick_rate, broadcast_rate)
        for number, packets in self._sender.broadcast(frame).items():
            receiver = self.guests.by_id.get(number)
            if receiver is None:
                continue  # left while others were being told
            sent = 0
            for packet in packets:
                if receiver.send_datagram(packet):
                    sent += len(packet)
            self.stats.bytes_sent += sent
            receiver.budget.note(sent, receiver.peer.deferred > 0, broadcast_rate)
        self.stats.broadcasts += 1
        self._broadcasts.add(now)

    # -- links -------------------------------------------------------------------------------

    def _message(self, player: Player, channel: Channel, payload: bytes) -> None:
        if channel is player.control_channel:
            raise WireError("said hello twice")
        if self.voice is not None and self.voice.carries(player, channel):
            self.voice.take(player, payload)
        elif player.mailbox.carries(channel):
            self._said(player, payload)

    def _said(self, player: Player, payload: bytes) -> None:
        received = player.mailbox.receive(payload)
        if received is not None:
            message, request, _ = received
            self._handle(player, message, request)

    def _handle(self, player: Player, message: Message, request: int) -> None:
        handler = self.handlers.get(message)
        answer = None if handler is None else self._guarded(handler, player, message)
        if not request or not player.connected:
            return
        answered = isinstance(answer, Message) and self._guarded(player.reply, answer, request)
        if not answered:
            with suppress(SendQueueFull):
                player.reply(None, request)

    def _guarded(self, handler: Callable[..., Any], *arguments: Any) -> Any:
        """Call a handler of the game's; what it raises must not end other players' game."""
        try:
            return handler(*arguments)
        except Exception:
            self.stats.handler_errors += 1
            log.exception("the handler %s raised", getattr(handler, "__name__", handler))
            return None

    def _hello(self, arrival: Arrival, hello: Hello) -> None:
        if hello.hash != self.protocol.hash:
            arrival.refuse("the game is declared differently", self.protocol.description)
            return
        if self.is_draining:
            arrival.refuse("the server is going away: try another one, or later")
            return
        self._displace(arrival.identity)
        if len(self.guests) >= self.max_players:
            arrival.refuse(f"the game is full ({self.max_players} players)")
            return
        name = hello.name if arrival.identity is None else arrival.identity.name
        self._join(arrival, clean_name(name))

    def _displace(self, newcomer: Identity | None) -> None:
        """One token is one seat: whoever came with a newcomer's has to go."""
        for player in list(self.guests):
            if newcomer and player.identity and player.identity.seat == newcomer.seat:
                player.connection.close("displaced: somebody has joined with the same token")

    def _join(self, arrival: Arrival, name: str) -> None:
        number = self.guests.next_id()
        player = Player(
            id=number,
            name=name or f"Player {number}",
            connection=Connection(
                arrival.session,
                self.clock,
                on_message=lambda channel, payload: self._message(player, channel, payload),
                on_datagram=lambda data: self._datagram(player, data),
                on_lost=lambda reason: self._lost(player),
                on_resumed=lambda: self._resumed(player),
                on_confirmed=lambda: self._tickets.confirm(number),
                on_over=lambda reason: self._left(player, reason),
                on_retired=lambda link: self.on_link_closed(link),
            ),
            world=self.world,
            protocol=self.protocol,
            peer=self._sender.add(number),
            budget=BudgetControl(self._budget),
            tick_rate=self.tick_rate,
            tick=lambda: self.tick,
            identity=arrival.identity,
        )
        player.connection.grace = self._grace
        self._arrivals.remove(arrival)
        player.connection.adopt(arrival.link)
        self.guests.add(player)
        welcome = Welcome(
            player=number,
            name=player.name,
            tick=self.tick,
            tick_rate=self.tick_rate,
            broadcast_every=self.broadcast_every,
            seed=self._seed,
            grace=self._grace,
        )
        arrival.link.send(arrival.control, encode(welcome))
        if self._grace:
            arrival.link.give_ticket(self._tickets.issue(number))
        if self.voice is not None:
            self.voice.add(player)
        for handler in self.on_join:
            if player.connected:  # no handler before has kicked the player
                self._guarded(handler, player)
        for payload in player.mailbox.early:
            if player.connected:
                self._said(player, payload)
        player.mailbox.early.clear()

    def _datagram(self, player: Player, data: bytes) -> None:
        if data[0] != INPUT:
            raise WireError(f"datagram {data[0] - FIRST_DATAGRAM} is not for a server")
        self.stats.bytes_received += len(data)
        now = self.clock()
        if not player.inputs.allows(now, self.stats):
            return
        packet = decode_inputs(data, self.protocol.inputs, self.world)
        newest = player.take_inputs(packet, self.tick, now, self.stats)
        if newest and packet.heard:
            newest_state = player.whole_sequence(packet.newest_state)
            self._sender.acknowledge(player.peer, player.newest_packet, newest_state, packet.window)

    # -- losing a link and coming back -------------------------------------------------------

    def _resume(self, arrival: Arrival, ticket: bytes) -> None:
        player = self.holder(ticket)
        if player is None or not _same_person(player.identity, arrival.identity):
            arrival.link.close("the game has gone on without this player")
            return
        self._arrivals.remove(arrival)
        arrival.link.give_ticket(self._tickets.issue(player.id, shown=ticket))
        player.connection.adopt(arrival.link)

    def _lost(self, player: Player) -> None:
        player.rest()
        for handler in self.on_reconnecting:
            self._guarded(handler, player)

    def _resumed(self, player: Player) -> None:
        for handler in self.on_resumed:
            if player.connected:
                self._guarded(handler, player)

    def _left(self, player: Player, reason: str) -> None:
        self._tickets.drop(player.id)
        if player.id not in self.guests.by_id:
            return
        player.left_because = reason
        self.guests.remove(player)
        self._sender.remove(player.id)
        player.mailbox.close(reason)
        for handler in self.on_leave:
            self._guarded(handler, player)
        for entity in player.entities:
            player.release(entity)
        if self.voice is not None:
            self.voice.remove(player)


def _same_person(player: Identity | None, caller: Identity | None) -> bool:
    """Whether the back end says the same of both. It says nothing where there are no tokens."""
    if player is None or caller is None:
        return player is caller
    return player.seat == caller.seat or (
        player.subject is not None and player.subject == caller.subject
    )
