"""The guest: one player's end of a game.

Two callers share it. The network's (`attach`, `pump`, and the transport's callbacks) keeps the
link alive, decodes packets into history as they arrive, and acknowledges them. The game's
(`update`, and reading `world`) runs once a frame. One lock stands between them and is held for
the time of one packet, or of one look into history; never while the game's own code runs.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from netcode.core.display import Display, Events
from netcode.core.guest_voice import GuestVoice
from netcode.core.inbox import MAX_INBOX, Inbox
from netcode.core.inputs import InputSampler
from netcode.core.join import (
    CONTROL,
    Draining,
    Hello,
    Refusal,
    Welcome,
    clean_name,
    decode_answer,
    encode,
)
from netcode.core.messaging import Handlers, Mailbox, Reply
from netcode.core.received import show_as_received
from netcode.core.stats import Meter, NetworkStats, Traffic
from netcode.declarations import Entity, Input, Message
from netcode.errors import (
    Disconnected,
    JoinError,
    NetcodeError,
    ProtocolMismatch,
    Refused,
    WireError,
)
from netcode.link.connection import Connection
from netcode.link.delivery import RELIABLE
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.protocol import Protocol, difference
from netcode.sync.receiver import Receiver
from netcode.transports.base import Transport
from netcode.wire.packets import STATE, InputPacket, encode_inputs
from netcode.world.history import History
from netcode.world.world import World

E = TypeVar("E", bound=Entity)

INPUT_RATE = 30.0
"""Input packets a second: packets are what costs, and each repeats what may have been lost."""

LOSS_WINDOW = 64
"""State packets over which the loss is taken: three seconds of them."""

EAGER = 0.3
"""Share of the time between two input packets by which one may go out earlier. The mean rate stays,
since inputs are sampled no faster."""

MAX_MOMENT = 2.0
"""Seconds that a message may wait for its tick; one that claims more is delivered at once."""

LOST_ROUND_TRIP = 0.1
"""Seconds assumed for the round trip until it has been measured."""


class Guest:
    """One player's end of a game. ``clock`` gives monotonic seconds."""

    def __init__(
        self,
        protocol: Protocol,
        name: str,
        clock: Callable[[], float],
        wake: Callable[[], None] = lambda: None,
        input_rate: float = INPUT_RATE,
    ) -> None:
        self.protocol = protocol
        self.clock = clock
        self._input_interval = 1.0 / input_rate
        self.lock = threading.RLock()
        self.world = World(protocol.entities)
        self.history = History(self.world.tables)
        self.handlers = Handlers(protocol)
        self.events = Events()
        self.display: Display | None = None
        """What arranges ``world``; None until the player is in."""
        self.prediction = True
        """Whether own entities run ahead, or are shown like all others."""
        self.interpolation = True
        """Whether others move evenly, or are shown as they were last received."""
        self.player_id = 0
        self.name = name
        self.joined = False
        self.ended: NetcodeError | None = None
        """Why the game is over, or why it could not be joined; None while it goes on."""
        self.ends_at: float | None = None
        """When the server goes away, if it has said so."""
        self.on_state_change: Callable[[], None] = lambda: None
        """Called, on the network's side, when the guest has joined or the game has ended."""
        self.on_reconnecting: list[Callable[[], object]] = []
        self.on_resumed: list[Callable[[], object]] = []
        self.on_lost: list[Callable[[str], object]] = []
        self.on_link_retired: Callable[[Link], None] = lambda link: link.transport.close()
        """Called once for every link that has ended or been replaced."""
        self._news: deque[list[Callable[[], object]]] = deque()
        """Whose handlers the next update calls."""
        self._lost_told = False
        self._wake = wake
        session = Session()
        self.connection = Connection(
            session,
            clock,
            on_message=self._message,
            on_datagram=self._datagram,
            on_lost=lambda reason: self._tell(self.on_reconnecting),
            on_resumed=lambda: self._tell(self.on_resumed),
            on_over=lambda reason: self.end(Disconnected(reason)),
            on_retired=lambda link: self.on_link_retired(link),
            lock=self.lock,
        )
        self._control = session.open(CONTROL, RELIABLE)[0]
        self.voice = GuestVoice(self.connection)
        self._mailbox = Mailbox(protocol, session, self.world)
        self._receiver = Receiver(self.world.tables, self.history, self.world.texts)
        self._authoritative: World | None = None
        self._inbox = Inbox(self.lock)
        self._welcome: Welcome | None = None
        self._sampler = InputSampler(protocol, self.world)
        self._packet = 0
        self._next_input_at = 0.0
        self._traffic = Traffic()
        self._snapshots = Meter()
        self._newest_snapshot = -1

    # -- the network's side ------------------------------------------------------------------

    def attach(self, transport: Transport) -> Link:
        """A transport to the host: say hello on it."""
        with self.lock:
            link = self.connection.begin(transport)
            hello = Hello(self.protocol.hash, clean_name(self.name))
            link.send(self._control, encode(hello))
            link.start()
        return link

    def come_back(self, transport: Transport) -> Link | None:
        """Another transport to the same host: go on there, as soon as the host agrees.

        None if there is nothing to go on with: not in the game, or no ticket yet.
        """
        with self.lock:
            if self.ended is not None or self.connection.ticket is None:
                return None
            return self.connection.come_back(transport)

    def give_up_waiting(self) -> None:
        """Wait no longer for the host's answer on another link."""
        with self.lock:
            self.connection.give_up_waiting()

    @property
    def link(self) -> Link | None:
        """What carries the connection to the host, or did so last."""
        return self.connection.link

    @property
    def reconnecting(self) -> bool:
        """Whether the link has failed, and the host keeps the place for a while."""
        return self.connection.lost_at is not None

    def pump(self) -> None:
        """Keep the link alive, and send inputs and acknowledgements when they are due."""
        with self.lock:
            if self.link is None or self.ended is not None:
                return
            self.connection.pump()
            now = self.clock()
            if self.joined and self.connection.is_up and now >= self._inputs_due(now):
                self._next_input_at = now + self._input_interval
                self._send_inputs()
            self._traffic.count(now, self.link.transport.stats)

    def _inputs_due(self, now: float) -> float:
        """When to send inputs: in time, or somewhat before when as many as go into a packet have
        just been sampled, which otherwise would wait for nothing."""
        if not self._has_a_packet:
            return self._next_input_at
        return self._next_input_at - EAGER * self._input_interval

    @property
    def _has_a_packet(self) -> bool:
        """Whether as many ticks as go into a packet wait to be sent."""
        ticks = self._tick_rate * self._input_interval
        return ticks >= 1.0 and self._sampler.unsent + 0.5 >= ticks

    def next_timer(self) -> float:
        """When to call `pump` next."""
        now = self.clock()
        if self.link is None:
            return now + self._input_interval
        if not (self.joined and self.connection.is_up):
            return self.connection.next_timer()
        return min(self.connection.next_timer(), self._inputs_due(now))

    def close(self, reason: str = "left") -> None:
        """Leave the game."""
        with self.lock:
            self.connection.close(reason)
            self.end(Disconnected(reason))

    def end(self, error: NetcodeError) -> None:
        """The game is over for this guest; the first reason counts."""
        with self.lock:
            if self.ended is None:
                self.ended = error
                self._mailbox.close(str(error))
                self.on_state_change()

    # -- the game's side ---------------------------------------------------------------------

    def update(self, *inputs: Input) -> None:
        """One frame: take this input, run the ticks that are due, and arrange the display.

        Handlers run in here, in the caller's thread. Raises `Disconnected` (or a `JoinError`)
        once the session is over and everything that came before its end has been handled.
        """
        while self._news:
            for tell in self._news.popleft():
                tell()
        display = self.display
        self._sampler.latch(inputs, None if display is None else display.seen)
        arrived = self._inbox.arrived
        if display is not None and self._receiver.heard:
            watched = display.watched()
            display.prediction, display.interpolation = self.prediction, self.interpolation
            display.show(self.clock(), self._rtt(), self._sampler)
            display.tell_changes(watched)
            if self._has_a_packet:
                self._wake()
        seen = None if self.display is None else self.display.seen
        latest = 0.0 if seen is None else seen + MAX_MOMENT * self._tick_rate
        for message, request in self._inbox.due(arrived, seen, latest, self.ended is not None):
            self._handle(message, request)
        if self.ended is not None:
            if self.joined and not self._lost_told:
                self._lost_told = True
                for handler in self.on_lost:
                    handler(str(self.ended))
            raise self.ended

    def _tell(self, handlers: list[Callable[[], object]]) -> None:
        self._news.append(handlers)
        self._wake()

    def own(self, kind: type[E]) -> E | None:
        """The first entity of a class that this player controls, or None."""
        return next((entity for entity in self.world[kind] if entity.mine), None)

    @property
    def authoritative(self) -> World:
        """The world as last received, neither interpolated nor predicted; made when asked for."""
        with self.lock:
            if self._authoritative is None:
                self._authoritative = World(self.protocol.entities, self.world.texts)
            show_as_received(self._authoritative, self._receiver, self.player_id)
            return self._authoritative

    @property
    def tick(self) -> int:
        """The tick that this client simulates; 0 before the first snapshot."""
        return max(0, self._sampler.tick)

    @property
    def display_tick(self) -> float:
        """The tick of what is seen of others; 0 before the first snapshot."""
        seen = None if self.display is None else self.display.seen
        return 0.0 if seen is None else seen

    @property
    def authoritative_tick(self) -> int:
        """The newest tick of which anything has arrived; -1 before that."""
        return self._receiver.tick

    @property
    def draining(self) -> float | None:
        """Seconds until the server goes away; None while it has not said that it does."""
        return None if self.ends_at is None else max(0.0, self.ends_at - self.clock())

    def send(self, message: Message) -> None:
        """Send a message. Raises `SendQueueFull`, or the reason if the session is over."""
        with self.lock:
            self._raise_if_over()
            self._queue(*self._mailbox.encode(message))
        self._wake()

    def request(self, message: Message) -> Reply[Message]:
        """Send a message whose handler's return value comes back."""
        with self.lock:
            self._raise_if_over()
            reply = self._mailbox.request(message, self._queue)
        self._wake()
        return reply

    def _queue(self, channel: Channel, payload: bytes) -> None:
        channel.outgoing.send(payload, self.clock())

    def stats(self) -> NetworkStats:
        """The connection at this moment."""
        with self.lock:
            now = self.clock()
            link, display = self.link, self.display
            if link is None:
                return NetworkStats()
            stats = NetworkStats(
                rtt=self.connection.rtt or 0.0,
                loss=self._loss(),
                bytes_in=self._traffic.bytes_in.rate(now),
                bytes_out=self._traffic.bytes_out.rate(now),
                packets_in=self._traffic.packets_in.rate(now),
                packets_out=self._traffic.packets_out.rate(now),
                broadcast_hz=self._snapshots.rate(now),
                bytes_received=self._traffic.bytes_received,
                bytes_sent=self._traffic.bytes_sent,
                transport=link.transport.kind,
                rung=link.transport.rung,
                path=link.transport.path(),
            )
            if display is None or not display.clock.is_set:
                return stats
            clock, predictor = display.clock, display.predictor
            return replace(
                stats,
                jitter=clock.jitter,
                interpolation_delay=clock.display_lag,
                lead=clock.lead - stats.rtt / 2,
                corrections=predictor.corrections,
                mispredictions=predictor.mispredictions,
            )

    # -- arriving ----------------------------------------------------------------------------

    def _message(self, channel: Channel, payload: bytes) -> None:
        if channel is self._control:
            self._answer(payload)
            return
        if self.voice.carries(channel):
            self.voice.take(payload)
            return
        if not self._mailbox.carries(channel):
            return
        received = self._mailbox.receive(payload)
        if received is None:
            return
        if not self._inbox.put(*received):
            self.close(f"{MAX_INBOX} messages came without a call of update()")

    def _answer(self, payload: bytes) -> None:
        answer = decode_answer(payload)
        if isinstance(answer, Draining):
            self.ends_at = self.clock() + answer.seconds
            return
        if self._welcome is not None:
            raise WireError("welcomed twice")
        if isinstance(answer, Refusal):
            self.end(self._refused(answer))
            return
        self._welcome = answer
        self.connection.grace = answer.grace
        self.player_id, self.name = answer.player, answer.name
        for table in self.world.tables:
            table.me = answer.player
        self.history.every = answer.broadcast_every
        self.display = Display(
            self.protocol,
            self.world,
            self.history,
            self._receiver,
            self.events,
            answer,
            self.lock,
        )
        self.joined = True
        self.on_state_change()

    def _refused(self, answer: Refusal) -> JoinError:
        if answer.description is None:
            return Refused(f"the server does not take this player: {answer.reason}")
        found = difference(self.protocol.description, answer.description)
        return ProtocolMismatch(
            f"client and server declare the game differently: {found}. "
            "Run the same version of the game's module on both ends"
        )

    def _datagram(self, data: bytes) -> None:
        if data[0] != STATE:
            raise WireError(f"datagram {data[0]} is not for a client")
        if self.display is None:
            return  # it overtook the welcome; it will be said again
        tick = self._receiver.receive(data)
        if tick > self._newest_snapshot:
            self._newest_snapshot = tick
            now = self.clock()
            self._snapshots.add(now)
            told = self._receiver.input_tick is not None
            self.display.clock.arrived(tick, now, self._receiver.earliness if told else None)

    def _send_inputs(self) -> None:
        assert self.link is not None
        self._packet += 1
        inputs = self._sampler.to_send(self._receiver.tick)
        newest_state, window = self._receiver.acknowledge(self._packet)
        packet = InputPacket(
            sequence=self._packet,
            heard=self._receiver.heard,
            newest_state=newest_state,
            window=window,
            newest_tick=inputs[-1].tick if inputs else 0,
            inputs=[sampled.inputs for sampled in inputs],
            lags=[sampled.lag for sampled in inputs],
        )
        self.link.send_datagram(encode_inputs(packet, self.world))

    # -- the game's ----------------------------------------------------------------------------

    @property
    def _tick_rate(self) -> float:
        return self._welcome.tick_rate if self._welcome is not None else 60.0

    def _rtt(self) -> float:
        rtt = self.connection.rtt
        return LOST_ROUND_TRIP if rtt is None else rtt

    def _handle(self, message: Message, request: int) -> None:
        handler = self.handlers.get(message)
        answer = None
        try:
            answer = None if handler is None else handler(message)
        finally:
            if request and self.ended is None:
                reply = answer if isinstance(answer, Message) else None
                with self.lock:
                    self._queue(*self._mailbox.encode_reply(reply, request))
                self._wake()

    # -- figures -----------------------------------------------------------------------------

    def _loss(self) -> float:
        sent = min(LOSS_WINDOW, max(0, self._receiver.newest_packet - 1))
        if sent == 0:
            return 0.0
        arrived = self._receiver.window & ((1 << sent) - 1)
        return 1.0 - arrived.bit_count() / sent

    def _raise_if_over(self) -> None:
        if self.ended is not None:
            raise self.ended
