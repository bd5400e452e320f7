"""Forwarding: a server passes voices on, without decoding them.

A packet that a player sends is looked at (whose, how loud) and goes out again to those who hear
that player, encrypted for each. Who that is, is worked out a few times a second for all players at
once, and when somebody begins to speak. Costs some 10 µs a packet and listener.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from netcode.errors import WireError
from netcode.voice.headers import FLAT, PLACED, peek, stamped
from netcode.voice.policies import Company, VoicePolicy

REVIEW = 0.1
"""Seconds between looks at who hears whom."""

SPEAKING = 0.4
"""Seconds after a packet for which its speaker still takes up a slot."""

KEEP = 0.15
"""By how much (of 1: full scale and at the same place) a new voice has to be stronger than one that
is being heard to take its slot."""

PACKET_RATE = 55.0
PACKET_BURST = 25.0
"""Packets of a player that are passed on, a second and at once: 50 a second are an honest one's."""

MAX_PACKET_BYTES = 600
"""Of a packet: 20 ms at 128 kbit/s are 320."""

SILENCE_LEVEL = 127


@dataclass(slots=True)
class VoiceStats:
    """Counts of a server's forwarding."""

    received: int = 0
    """Packets that came from players."""
    forwarded: int = 0
    """Packets that went out to listeners."""
    dropped: int = 0
    """Packets that were malformed, in another's name, too many, or from one who may not speak."""


@dataclass(slots=True)
class Member:
    """A player, as far as voice is concerned."""

    number: int
    send: Callable[[bytes], None]
    place: Callable[[], Sequence[float] | None]
    groups: Callable[[], frozenset[int]]
    may_speak: Callable[[], bool]
    listens: bool = True
    """Whether it wants to hear anybody: False while deafened."""


class _Speaker:
    """One player's voice on its way in."""

    def __init__(self) -> None:
        self.heard_at = float("-inf")
        self.strength = 0.0
        """Smoothed level, 0 to 1."""
        self.allowance = PACKET_BURST
        self.listeners: list[tuple[int, Callable[[bytes], None], bool]] = []
        """Who is sent this voice: number, how, and whether it is placed."""


class Forwarding:
    """The voices of one server. Everything belongs to the thread of its event loop."""

    def __init__(self, policy: VoicePolicy) -> None:
        self.policy = policy
        self.stats = VoiceStats()
        self.on_packet: Callable[[int, bytes, float], None] | None = None
        """Called with each packet that is passed on, its speaker and the time: for recording."""
        self._members: dict[int, Member] = {}
        self._speakers: dict[int, _Speaker] = {}
        self._reviewed_at = float("-inf")
        self._sent: dict[int, set[int]] = {}
        """Whom each listener was sent when it was looked at last."""

    def add(self, member: Member) -> None:
        """A player has come."""
        self._members[member.number] = member
        self._speakers[member.number] = _Speaker()
        self._reviewed_at = float("-inf")

    def remove(self, number: int) -> None:
        """A player has gone. Harmless if it was not there."""
        self._members.pop(number, None)
        self._speakers.pop(number, None)
        self._sent.pop(number, None)
        for speaker in self._speakers.values():
            speaker.listeners = [each for each in speaker.listeners if each[0] != number]

    def listen(self, number: int, listens: bool) -> None:
        """A player wants to hear others, or nobody."""
        member = self._members.get(number)
        if member is not None:
            member.listens = listens
            self._reviewed_at = float("-inf")

    def take(self, number: int, packet: bytes, now: float) -> None:
        """Pass a player's packet on. What is wrong with it costs that packet alone."""
        member, speaker = self._members.get(number), self._speakers.get(number)
        if member is None or speaker is None:
            return
        self.stats.received += 1
        try:
            if len(packet) > MAX_PACKET_BYTES:
                raise WireError("a voice packet is smaller than that")
            level = peek(packet, number)
        except WireError:
            self.stats.dropped += 1
            return
        if not self._allows(speaker, now) or not member.may_speak():
            self.stats.dropped += 1
            return
        begins = now - speaker.heard_at > SPEAKING
        speaker.heard_at = now
        strength = 1.0 - level / SILENCE_LEVEL
        speaker.strength += (strength - speaker.strength) * (1.0 if begins else 0.1)
        if begins or now - self._reviewed_at >= REVIEW:
            self._review(now)
        versions = (stamped(packet, FLAT), stamped(packet, PLACED))
        for _, send, placed in speaker.listeners:
            send(versions[placed])
        self.stats.forwarded += len(speaker.listeners)
        if self.on_packet is not None:
            self.on_packet(number, packet, now)

    def listeners_of(self, number: int) -> list[int]:
        """Who is sent a player's voice, as of the last look."""
        speaker = self._speakers.get(number)
        return [] if speaker is None else [each for each, _, _ in speaker.listeners]

    # ----------------------------------------------------------------------------------------

    def _allows(self, speaker: _Speaker, now: float) -> bool:
        since = min(60.0, now - speaker.heard_at)
        speaker.allowance = min(PACKET_BURST, speaker.allowance + since * PACKET_RATE)
        if speaker.allowance < 1.0:
            return False
        speaker.allowance -= 1.0
        return True

    def _review(self, now: float) -> None:
        """Work out who is sent whom: for each listener the strongest of those who speak now."""
        self._reviewed_at = now
        members = list(self._members.values())
        talking = [
            index
            for index, member in enumerate(members)
            if now - self._speakers[member.number].heard_at <= SPEAKING
        ]
        for speaker in self._speakers.values():
            speaker.listeners = []
        if not talking:
            self._sent.clear()
            return
        audience = self.policy.audience(_company(members))
        hears = audience.hears[talking].copy()
        hears[np.arange(len(talking)), talking] = False
        hears &= np.array([member.listens for member in members])
        strength = np.array([self._speakers[members[index].number].strength for index in talking])
        score = strength[:, None] + audience.closeness[talking]
        sent: dict[int, set[int]] = {}
        for column in np.flatnonzero(hears.any(axis=0)).tolist():
            listener = members[column]
            before = self._sent.get(listener.number, set())
            rows = np.flatnonzero(hears[:, column])
            if len(rows) > self.policy.slots:
                kept = np.array([members[talking[row]].number in before for row in rows])
                order = np.argsort(-(score[rows, column] + KEEP * kept), kind="stable")
                rows = rows[order[: self.policy.slots]]
            for row in rows.tolist():
                number = members[talking[row]].number
                placed = bool(audience.placed[talking[row], column])
                to = (listener.number, listener.send, placed)
                self._speakers[number].listeners.append(to)
                sent.setdefault(listener.number, set()).add(number)
        self._sent = sent


def _company(members: Sequence[Member]) -> Company:
    places = np.full((len(members), 3), np.nan)
    for row, member in enumerate(members):
        place = member.place()
        if place is not None:
            places[row] = 0.0
            places[row, : len(place)] = place
    return Company(places, [member.groups() for member in members])
