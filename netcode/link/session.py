"""The session: the channels between two ends, across every link that carries them.

A link may die and be replaced; the session goes on. Sequence numbers, what is kept until it is
acknowledged, and what waits for a channel to be opened all live here.
"""

from collections import deque
from dataclasses import dataclass, field

from netcode.errors import UsageError, WireError
from netcode.link.channels import MAX_WAITING, Incoming, Outgoing
from netcode.link.delivery import RELIABLE, UNORDERED, UNRELIABLE, Delivery
from netcode.link.frames import MAX_ACKNOWLEDGEMENTS, Acknowledgement, Piece, channel_id
from netcode.transports.base import Lane

MAX_CHANNELS = 256
MAX_WAITING_BYTES = 1 << 20
"""What an end keeps for channels that it has not opened yet, per channel."""
MAX_UNOPENED_BYTES = 4 << 20
"""The same for all of them together, half messages included."""
TELLINGS = 4
"""Heartbeats in which an acknowledgement is told: three of them may be lost."""


@dataclass(slots=True, eq=False)
class Channel:
    """A named stream of messages with one delivery. Both ends open it under the same name."""

    name: str
    delivery: Delivery
    number: int
    outgoing: Outgoing
    incoming: Incoming


@dataclass(slots=True)
class _Unopened:
    """A channel of which messages have come before this end opened it."""

    incoming: Incoming
    messages: deque[tuple[int, bytes]] = field(default_factory=deque)
    """Sequence number (meant for unreliable ones) and payload."""
    size: int = 0

    @property
    def held_bytes(self) -> int:
        return self.size + self.incoming.held_bytes


class Session:
    """All channels of one end with one peer."""

    def __init__(self) -> None:
        self.channels: dict[int, Channel] = {}
        self.dropped = 0
        """Messages for channels never opened that found no place to wait."""
        self._unopened: dict[int, _Unopened] = {}
        self._to_tell: dict[int, int] = {}
        self._reminders: dict[int, None] = {}
        """Channels that have been told often enough, in turn."""

    def open(self, name: str, delivery: Delivery) -> tuple[Channel, list[bytes]]:
        """Open a channel, and take what has waited for it. Opening twice gives the same one.

        Raises `UsageError` for too many channels, or for a name that cannot be told from another.
        """
        number = channel_id(name, delivery.name)
        channel = self.channels.get(number)
        if channel is not None:
            if channel.name != name:
                raise UsageError(
                    f"channel names {name!r} and {channel.name!r} collide: rename one of them"
                )
            return channel, []
        if len(self.channels) >= MAX_CHANNELS:
            raise UsageError(f"no more than {MAX_CHANNELS} channels on one session")
        waiting = self._unopened.pop(number, None)
        incoming, messages = Incoming(number, delivery), []
        if waiting is not None and delivery.reliable:
            incoming, messages = waiting.incoming, [payload for _, payload in waiting.messages]
        elif waiting is not None:
            for sequence, payload in waiting.messages:
                messages += incoming.receive(Piece(number, sequence, 0, 1, payload))
        channel = Channel(name, delivery, number, Outgoing(number, delivery), incoming)
        self.channels[number] = channel
        return channel, messages

    def receive(self, lane: Lane, piece: Piece) -> list[tuple[Channel, bytes]]:
        """The messages that may be delivered now. Raises `WireError` if the peer misbehaves."""
        channel = self.channels.get(piece.channel)
        if channel is None:
            self._receive_unopened(lane, piece)
            return []
        if channel.delivery.lane != lane:
            raise WireError(f"channel {channel.name} came on lane {lane.name}")
        delivered = [(channel, payload) for payload in channel.incoming.receive(piece)]
        if channel.delivery.reliable:
            self._to_tell[piece.channel] = TELLINGS
        return delivered

    def acknowledgements(self) -> tuple[Acknowledgement, ...]:
        """What the next heartbeat tells; those that have been told least come first."""
        told = sorted(self._to_tell, key=lambda number: -self._to_tell[number])
        entries = self._reminder()
        for number in told[: MAX_ACKNOWLEDGEMENTS - len(entries)]:
            half = self._incoming(number)
            if half is not None:
                entries.append(half.acknowledgement())
            self._to_tell[number] -= 1
            if self._to_tell[number] == 0:
                del self._to_tell[number]
                self._reminders[number] = None
        return tuple(entries)

    def _reminder(self) -> list[Acknowledgement]:
        """One of those told before, in case a long burst of loss swallowed every telling."""
        for number in list(self._reminders):
            del self._reminders[number]
            half = self._incoming(number)
            if half is not None and number not in self._to_tell:
                self._reminders[number] = None  # behind all others
                return [half.acknowledgement()]
        return []

    def acknowledge(self, entries: tuple[Acknowledgement, ...]) -> None:
        """Take in what the other end says has arrived there."""
        for entry in entries:
            channel = self.channels.get(entry.channel)
            if channel is not None and channel.delivery.reliable:
                channel.outgoing.acknowledge(entry)

    def relink(self) -> None:
        """A new link carries the session from now on.

        What is here of half a message stays: its pieces come again, but on the unordered lane some
        of them may have overtaken the word that this is the link now.
        """
        for channel in self.channels.values():
            channel.outgoing.relink()
            if channel.delivery.reliable:
                self._to_tell[channel.number] = TELLINGS

    def _incoming(self, number: int) -> Incoming | None:
        if number in self.channels:
            return self.channels[number].incoming
        unopened = self._unopened.get(number)
        return None if unopened is None else unopened.incoming

    def _receive_unopened(self, lane: Lane, piece: Piece) -> None:
        delivery = _LIKELY.get(lane, UNRELIABLE)
        waiting = self._unopened.get(piece.channel)
        if waiting is None:
            if len(self._unopened) >= MAX_CHANNELS:
                self._refuse(delivery)
                return
            waiting = self._unopened[piece.channel] = _Unopened(Incoming(piece.channel, delivery))
        held = sum(unopened.held_bytes for unopened in self._unopened.values())
        if held + len(piece.payload) > MAX_UNOPENED_BYTES:
            self._refuse(delivery)
            return
        for payload in waiting.incoming.receive(piece):
            if (
                len(waiting.messages) >= MAX_WAITING
                or waiting.size + len(payload) > MAX_WAITING_BYTES
            ):
                self._refuse(delivery)
                return
            waiting.messages.append((piece.sequence, payload))
            waiting.size += len(payload)
        if delivery.reliable:
            self._to_tell[piece.channel] = TELLINGS

    def _refuse(self, delivery: Delivery) -> None:
        if delivery.reliable:
            raise WireError("the peer sends on channels that this end never opened")
        self.dropped += 1


_LIKELY = {Lane.RELIABLE: RELIABLE, Lane.UNORDERED: UNORDERED}
"""What is assumed of a channel before it is opened: the lane says whether it is reliable."""
