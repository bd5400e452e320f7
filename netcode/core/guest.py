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
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from netcode.core.inputs import InputSampler
from netcode.core.join import (
    CONTROL,
    Hello,
    Refusal,
    Welcome,
    clean_name,
    decode_answer,
    encode,
)
from netcode.core.messaging import Handlers, Mailbox, Reply
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
from netcode.fields import Field
from netcode.link.delivery import RELIABLE
from netcode.link.link import Link
from netcode.link.session import Channel, Session
from netcode.play.interpolation import Interpolator
from netcode.play.prediction import Predictor
from netcode.play.step import Step
from netcode.play.tick_clock import TickClock
from netcode.protocol import Protocol, difference
from netcode.sync.receiver import Receiver
from netcode.transports.base import Transport
from netcode.wire.packets import STATE, InputPacket, encode_inputs
from netcode.world.history import ABSENT, History
from netcode.world.world import World

E = TypeVar("E", bound=Entity)

INPUT_RATE = 30.0
"""Input packets a second: packets are what costs, and each repeats what may have been lost."""

MAX_INBOX = 4_096
"""Messages that wait for the next update. A game that does not update for so long is gone."""

LOSS_WINDOW = 64
"""State packets over which the loss is taken: three seconds of them."""

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
    ) -> None:
        self.protocol = protocol
        self.clock = clock
        self.lock = threading.RLock()
        self.world = World(protocol.entities)
        self.history = History(self.world.tables)
        self.handlers = Handlers(protocol)
        self.on_enter: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_leave: dict[type[Entity], list[Callable[[Any], Any]]] = {}
        self.on_change: dict[Field[Any], list[Callable[[Any, Any, Any], Any]]] = {}
        self.player_id = 0
        self.name = name
        self.link: Link | None = None
        self.joined = False
        self.ended: NetcodeError | None = None
        """Why the game is over, or why it could not be joined; None while it goes on."""
        self.on_state_change: Callable[[], None] = lambda: None
        """Called, on the network's side, when the guest has joined or the game has ended."""
        self._wake = wake
        self._session = Session()
        self._control = self._session.open(CONTROL, RELIABLE)[0]
        self._mailbox = Mailbox(protocol, self._session, self.world)
        self._receiver = Receiver(self.world.tables, self.history, self.world.texts)
        self._interpolator = Interpolator(self.history, self.world.tables)
        self._authoritative: World | None = None
        self._inbox: deque[tuple[Message, int]] = deque()
        self._clock: TickClock | None = None
        self._predictor: Predictor | None = None
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
        self.link = Link(
            transport,
            self._session,
            self.clock,
            on_message=self._message,
            on_datagram=self._datagram,
            on_closed=self._closed,
            lock=self.lock,
        )
        with self.lock:
            hello = Hello(self.protocol.hash, clean_name(self.name))
            self.link.send(self._control, encode(hello))
            self.link.start()
        return self.link

    def pump(self) -> None:
        """Keep the link alive, and send inputs and acknowledgements when they are due."""
        with self.lock:
            if self.link is None or not self.link.is_open:
                return
            self.link.pump()
            now = self.clock()
            if self.joined and now >= self._next_input_at:
                self._next_input_at = max(self._next_input_at + 1.0 / INPUT_RATE, now)
                self._send_inputs()
            self._traffic.count(now, self.link.transport.stats)

    def next_timer(self) -> float:
        """When to call `pump` next."""
        if self.link is None:
            return self.clock() + 1.0 / INPUT_RATE
        if not self.joined:
            return self.link.next_timer()
        return min(self.link.next_timer(), self._next_input_at)

    def close(self, reason: str = "left") -> None:
        """Leave the game."""
        with self.lock:
            if self.link is not None:
                self.link.close(reason)
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
        self._sampler.latch(inputs)
        watched = self._watched_columns()
        now = self.clock()
        with self.lock:
            arrived = len(self._inbox)
            moved = self._clock is not None and self._receiver.heard
            if moved and self._clock is not None:
                self._clock.advance(now, self._rtt())
        if moved:
            self._display()
            self._tell_changes(watched)
        for _ in range(arrived):
            with self.lock:
                message, request = self._inbox.popleft()
            self._handle(message, request)
        if self.ended is not None:
            raise self.ended

    def own(self, kind: type[E]) -> E | None:
        """The first entity of a class that this player controls, or None."""
        return next((entity for entity in self.world[kind] if entity.mine), None)

    @property
    def authoritative(self) -> World:
        """The world as last received, neither interpolated nor predicted; made when asked for."""
        with self.lock:
            if self._authoritative is None:
                self._authoritative = World(self.protocol.entities, self.world.texts)
            world = self._authoritative
            for known, table in zip(self._receiver.known, world.tables, strict=True):
                table.me = self.player_id
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
                    table.own(row, self.player_id if known.controlled[row] else 0)
            return world

    @property
    def tick(self) -> int:
        """The tick that this client simulates; 0 before the first snapshot."""
        return max(0, self._sampler.tick)

    @property
    def authoritative_tick(self) -> int:
        """The newest tick of which anything has arrived; -1 before that."""
        return self._receiver.tick

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
            link, clock = self.link, self._clock
            if link is None:
                return NetworkStats()
            carried = link.transport.stats
            stats = NetworkStats(
                rtt=link.rtt or 0.0,
                loss=self._loss(),
                bytes_in=self._traffic.bytes_in.rate(now),
                bytes_out=self._traffic.bytes_out.rate(now),
                packets_in=self._traffic.packets_in.rate(now),
                packets_out=self._traffic.packets_out.rate(now),
                broadcast_hz=self._snapshots.rate(now),
                bytes_received=carried.bytes_received,
                bytes_sent=carried.bytes_sent,
                transport=link.transport.kind,
            )
            if clock is None or not clock.is_set:
                return stats
            lead = (clock.input_tick - self._receiver.tick) / self._tick_rate
            return replace(stats, jitter=clock.jitter, interpolation_delay=clock.delay, lead=lead)

    # -- arriving ----------------------------------------------------------------------------

    def _message(self, channel: Channel, payload: bytes) -> None:
        if channel is self._control:
            self._answer(payload)
            return
        if not self._mailbox.carries(channel):
            return
        received = self._mailbox.receive(payload)
        if received is None:
            return
        if len(self._inbox) >= MAX_INBOX:
            self.close(f"{MAX_INBOX} messages came without a call of update()")
            return
        self._inbox.append(received)

    def _answer(self, payload: bytes) -> None:
        if self._welcome is not None:
            raise WireError("welcomed twice")
        answer = decode_answer(payload)
        if isinstance(answer, Refusal):
            self.end(self._refused(answer))
            return
        self._welcome = answer
        self.player_id, self.name = answer.player, answer.name
        for table in self.world.tables:
            table.me = answer.player
        self.history.every = answer.broadcast_every
        broadcast_rate = answer.tick_rate / answer.broadcast_every
        self._clock = TickClock(answer.tick_rate, broadcast_rate)
        self._predictor = Predictor(
            self.protocol, self.world, answer.broadcast_every, self._make_step
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
        if self._clock is None:
            return  # it overtook the welcome; it will be said again
        tick = self._receiver.receive(data)
        if tick > self._newest_snapshot:
            self._newest_snapshot = tick
            now = self.clock()
            self._snapshots.add(now)
            told = self._receiver.input_tick is not None
            self._clock.arrived(tick, now, self._receiver.earliness if told else None)

    def _closed(self, reason: str) -> None:
        self.end(Disconnected(reason))

    def _send_inputs(self) -> None:
        assert self.link is not None
        self._packet += 1
        newest_tick, inputs = self._sampler.to_send(self._receiver.tick)
        newest_state, window = self._receiver.acknowledge(self._packet)
        packet = InputPacket(
            sequence=self._packet,
            heard=self._receiver.heard,
            newest_state=newest_state,
            window=window,
            newest_tick=newest_tick,
            inputs=inputs,
        )
        self.link.send_datagram(encode_inputs(packet, self.world))

    # -- the display -------------------------------------------------------------------------

    @property
    def _tick_rate(self) -> float:
        return self._welcome.tick_rate if self._welcome is not None else 60.0

    def _rtt(self) -> float:
        rtt = None if self.link is None else self.link.rtt
        return LOST_ROUND_TRIP if rtt is None else rtt

    def _make_step(self, tick: int, replaying: bool) -> Step:
        assert self._welcome is not None
        return Step(
            tick=tick,
            dt=1.0 / self._welcome.tick_rate,
            world=self.world,
            seed=self._welcome.seed,
            replaying=replaying,
        )

    def _display(self) -> None:
        """Show others at the display tick and own entities at the input tick."""
        assert self._clock is not None
        assert self._predictor is not None
        with self.lock:
            own_life = [
                np.where(known.controlled, known.life, ABSENT) for known in self._receiver.known
            ]
            arrangement = self._interpolator.arrange(self._clock.display_tick, own_life)
            own = {
                index: np.flatnonzero(life != ABSENT)
                for index, life in enumerate(own_life)
                if (life != ABSENT).any()
            }
            # A snapshot corrects the prediction only if it holds all that is predicted: of a
            # tick whose packets have come in part, the rest is older than it says.
            confirmed = self._predictor.confirmed_tick
            newest = self.history.newest
            if newest is not None and all(
                newest.tables[index].known[rows].all() for index, rows in own.items()
            ):
                confirmed = newest.tick
            own_lanes = [
                known.lanes[life != ABSENT]
                for known, life in zip(self._receiver.known, own_life, strict=True)
            ]
        if arrangement is None:
            return
        for entity in arrangement.leaving:
            for handler in self.on_leave.get(type(entity), ()):
                handler(entity)
            self.world.despawn(entity)
        placed = [table.place(row, generation) for table, row, generation in arrangement.entering]
        predicted = self._save(own) if confirmed == self._predictor.confirmed_tick else None
        self._interpolator.show(arrangement)
        self._mark_own(own)
        if predicted is None or any(entity.mine for entity in placed):
            for index, rows in own.items():
                self.world.tables[index].load(rows, own_lanes[index])
            self._predictor.correct(confirmed, own)
        else:
            self._restore(own, predicted)
        self._run_ticks(own)
        for entity in placed:
            for handler in self.on_enter.get(type(entity), ()):
                handler(entity)

    def _run_ticks(self, own: dict[int, NDArray[np.intp]]) -> None:
        """Sample the input for every tick that has become due, and predict with it."""
        assert self._clock is not None
        assert self._predictor is not None
        with self.lock:
            due = self._sampler.sample(int(self._clock.input_tick))
        for tick, inputs in due:
            self._predictor.advance(tick, inputs, own)

    def _mark_own(self, own: dict[int, NDArray[np.intp]]) -> None:
        for index, table in enumerate(self.world.tables):
            table.owner[:] = 0
            if index in own:
                table.owner[own[index]] = self.player_id

    def _save(self, own: dict[int, NDArray[np.intp]]) -> list[NDArray[Any]]:
        return [
            self.world.tables[index][field.name][rows]
            for index, rows in own.items()
            for field in self.world.tables[index].fields
        ]

    def _restore(self, own: dict[int, NDArray[np.intp]], saved: list[NDArray[Any]]) -> None:
        columns = iter(saved)
        for index, rows in own.items():
            for field in self.world.tables[index].fields:
                self.world.tables[index][field.name][rows] = next(columns)

    # -- events ------------------------------------------------------------------------------

    def _watched_columns(self) -> list[tuple[Field[Any], Any, NDArray[Any], NDArray[np.int32]]]:
        watched = []
        for field in self.on_change:
            for table in self.world.tables:
                if field in table.fields:
                    life = np.where(table.alive, table.generation, ABSENT)
                    watched.append((field, table, table[field.name].copy(), life))
        return watched

    def _tell_changes(
        self, watched: list[tuple[Field[Any], Any, NDArray[Any], NDArray[np.int32]]]
    ) -> None:
        for field, table, before, life in watched:
            size = len(life)
            after = table[field.name][:size].copy()
            same = (life != ABSENT) & table.alive[:size] & (table.generation[:size] == life)
            changed = before != after
            if changed.ndim > 1:
                changed = changed.any(axis=1)
            for row in np.flatnonzero(same & changed).tolist():
                entity = table.at(row)
                old = field.from_cell(before[row].tolist(), table.context)
                new = field.from_cell(after[row].tolist(), table.context)
                for handler in self.on_change[field]:
                    if entity is not None and entity.alive:
                        handler(entity, old, new)

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
