"""The host: runs the world, and tells every player about it."""

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from netcode.core.join import (
    CONTROL,
    MAX_TICK_RATE,
    Draining,
    Identity,
    Refusal,
    Welcome,
    clean_name,
    decode_hello,
    encode,
)
from netcode.core.messaging import Handlers
from netcode.core.player import Guestbook, Player
from netcode.core.simulation import Simulation
from netcode.core.stats import Meter, ServerStats
from netcode.declarations import Entity, Message
from netcode.errors import SendQueueFull, UsageError, WireError
from netcode.link.delivery import RELIABLE
from netcode.link.frames import FIRST_DATAGRAM
from netcode.link.link import Link
from netcode.link.liveness import HEARTBEAT_INTERVAL
from netcode.link.session import Channel, Session
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
from netcode.wire.packets import INPUT, decode_inputs
from netcode.world.history import History
from netcode.world.world import World

log = logging.getLogger("netcode")
F = TypeVar("F", bound=Callable[..., Any])

HELLO_TIMEOUT = 5.0
"""Seconds that a fresh link has for saying who it is."""

MAX_REWIND = 0.4
"""Seconds that the world is rewound for a player at most, whatever its line: those who are hit
should not have been behind a wall for longer than that."""

MAX_SEED = 1 << 53
"""Every player is told the seed; a browser counts no farther."""


class _Newcomer:
    """A link that has not said hello yet."""

    def __init__(self, since: float, identity: Identity | None) -> None:
        self.since = since
        self.identity = identity
        self.session = Session()
        self.control: Channel = self.session.open(CONTROL, RELIABLE)[0]
        self.link: Link | None = None
        self.player: Player | None = None
        self.refused: str | None = None


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
        seed: int = 0,
    ) -> None:
        if not isinstance(protocol, Protocol):
            raise UsageError(f"a server takes the game's Protocol first, not {protocol!r}")
        if not isinstance(interest, Interest | None):
            raise UsageError(f"interest takes a policy such as nc.Radius(600), not {interest!r}")
        if not isinstance(priority, Priority | None):
            raise UsageError(f"priority takes nc.Priority({{Ship: 4}}), not {priority!r}")
        if not isinstance(budget, Budget | None):
            raise UsageError(f"budget takes nc.Budget(ceiling=...), not {budget!r}")
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
        self.on_tick: list[Callable[[Step], Any]] = []
        self.on_drain: list[Callable[[float], Any]] = []
        self.is_draining = False
        self.on_link_closed: Callable[[Link], None] = lambda link: link.transport.close()
        """Called once for every link that has closed: whoever made the transport ends it."""
        self._seed = seed
        self._simulation = Simulation(protocol, self.world, 1.0 / self.tick_rate, seed)
        self._max_rewind = max_rewind
        self._motions = [
            Motion(table, self.tick_rate, self.broadcast_every) for table in self.world.tables
        ]
        self._budget = budget or Budget()
        self._sender = Sender(self.world.tables, self.history, interest, priority)
        self._loop: TickLoop | None = None
        self._newcomers: list[_Newcomer] = []
        self._broadcasts = Meter()

    # -- driving -----------------------------------------------------------------------------

    def attach(self, transport: Transport, identity: Identity | None = None) -> Link:
        """A transport to somebody who may become a player. Returns the link.

        With an ``identity`` it is known who that is, whatever the other end says.
        """
        newcomer = _Newcomer(self.clock(), identity)
        newcomer.link = Link(
            transport,
            newcomer.session,
            self.clock,
            on_message=lambda channel, payload: self._message(newcomer, channel, payload),
            on_datagram=lambda data: self._datagram(newcomer, data),
            on_closed=lambda reason: self._closed(newcomer, reason),
        )
        self._newcomers.append(newcomer)
        newcomer.link.start()
        return newcomer.link

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
            player.link.pump()
        for newcomer in list(self._newcomers):
            assert newcomer.link is not None
            newcomer.link.pump()
            if newcomer.refused and newcomer.control.outgoing.is_idle:
                newcomer.link.close(f"refused: {newcomer.refused}")
            elif now - newcomer.since > HELLO_TIMEOUT:
                newcomer.link.close("said nothing after connecting")

    @property
    def waiting(self) -> int:
        """Links that have not said who they are yet."""
        return len(self._newcomers)

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
            player.link.close(reason)
        for newcomer in list(self._newcomers):
            if newcomer.link is not None:
                newcomer.link.close(reason)

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
                if receiver.link.send_datagram(packet):
                    sent += len(packet)
            self.stats.bytes_sent += sent
            receiver.budget.note(sent, receiver.peer.deferred > 0, broadcast_rate)
        self.stats.broadcasts += 1
        self._broadcasts.add(now)

    # -- links -------------------------------------------------------------------------------

    def _message(self, newcomer: _Newcomer, channel: Channel, payload: bytes) -> None:
        player = newcomer.player
        if channel is newcomer.control:
            if player is not None or newcomer.refused:
                raise WireError("said hello twice")
            self._hello(newcomer, payload)
        elif player is not None and player.mailbox.carries(channel):
            self._said(player, payload)

    def _said(self, player: Player, payload: bytes) -> None:
        received = player.mailbox.receive(payload)
        if received is not None:
            message, request, _ = received
            self._handle(player, message, request)

    def _handle(self, player: Player, message: Message, request: int) -> None:
        handler = self.handlers.get(message)
        answer = None if handler is None else self._guarded(handler, player, message)
        if not request or not player.link.is_open:
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

    def _hello(self, newcomer: _Newcomer, payload: bytes) -> None:
        hello = decode_hello(payload)
        assert newcomer.link is not None
        if hello.hash != self.protocol.hash:
            self._refuse(newcomer, "the game is declared differently", self.protocol.description)
        elif self.is_draining:
            self._refuse(newcomer, "the server is going away: try another one, or later", None)
        else:
            self._displace(newcomer.identity)
            if len(self.guests) >= self.max_players:
                self._refuse(newcomer, f"the game is full ({self.max_players} players)", None)
            else:
                name = hello.name if newcomer.identity is None else newcomer.identity.name
                self._join(newcomer, newcomer.link, clean_name(name))

    def _displace(self, newcomer: Identity | None) -> None:
        """One token is one seat: whoever came with a newcomer's has to go."""
        for player in list(self.guests):
            if newcomer and player.identity and player.identity.seat == newcomer.seat:
                player.link.close("displaced: somebody has joined with the same token")

    def _refuse(self, newcomer: _Newcomer, reason: str, description: dict[str, Any] | None) -> None:
        assert newcomer.link is not None
        # The description may be long: the link is closed when all of it has been handed over.
        newcomer.refused = reason
        newcomer.link.send(newcomer.control, encode(Refusal(reason, description)))

    def _join(self, newcomer: _Newcomer, link: Link, name: str) -> None:
        number = self.guests.next_id()
        player = Player(
            id=number,
            name=name or f"Player {number}",
            link=link,
            session=newcomer.session,
            world=self.world,
            protocol=self.protocol,
            peer=self._sender.add(number),
            budget=BudgetControl(self._budget),
            tick_rate=self.tick_rate,
            tick=lambda: self.tick,
            identity=newcomer.identity,
        )
        newcomer.player = player
        self._newcomers.remove(newcomer)
        self.guests.add(player)
        welcome = Welcome(
            player=number,
            name=player.name,
            tick=self.tick,
            tick_rate=self.tick_rate,
            broadcast_every=self.broadcast_every,
            seed=self._seed,
        )
        link.send(newcomer.control, encode(welcome))
        for handler in self.on_join:
            if player.connected:  # no handler before has kicked the player
                self._guarded(handler, player)
        for payload in player.mailbox.early:
            if player.connected:
                self._said(player, payload)
        player.mailbox.early.clear()

    def _datagram(self, newcomer: _Newcomer, data: bytes) -> None:
        player = newcomer.player
        if player is None or data[0] != INPUT:
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

    def _closed(self, newcomer: _Newcomer, reason: str) -> None:
        if newcomer.link is not None:
            self.on_link_closed(newcomer.link)
        if newcomer in self._newcomers:
            self._newcomers.remove(newcomer)
        player = newcomer.player
        if player is None or player.id not in self.guests.by_id:
            return
        player.left_because = reason
        self.guests.remove(player)
        self._sender.remove(player.id)
        player.mailbox.close(reason)
        for handler in self.on_leave:
            self._guarded(handler, player)
        for entity in player.entities:
            player.release(entity)
