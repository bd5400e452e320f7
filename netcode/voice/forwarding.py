"""Forwarding: a server passes voices on, without decoding them.

A packet that a player sends is looked at (whose, how loud) and goes out again to those who hear
that player, encrypted for each. Who that is, is worked out a few times a second for all players at
once, and when somebody begins to speak. Costs some 10 µs a packet and listener.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from netcode.errors import WireError
from netcode.voice.headers import FLAT, PLACED, numbered, peek
from netcode.voice.policies import Company, VoicePolicy

log = logging.getLogger("netcode.voice")

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

SEQUENCES = 1 << 16
WINDOW = 64
"""Packets behind the newest of a speaker within which one that was overtaken is still passed on."""

MOST_MISSING = 200
"""Packets of a speaker (four seconds) that may be missing in a row; more are taken for a pause."""


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


@dataclass(slots=True)
class _Line:
    """One voice on its way to one listener, whose packets get numbers of their own: whoever is not
    sent a voice for a while must not take what comes then for very old, or for lost."""

    send: Callable[[bytes], None]
    kind: int
    """`FLAT` or `PLACED`."""
    offset: int = 0
    """What is added to the speaker's numbers in this run of packets."""
    first: int = 0
    """The speaker's number of the first packet of this run."""
    newest: int = -1
    """The highest number sent so far."""
    turn: int = -1
    """Which of the speaker's packets was sent last, counted as they came."""

    def pass_on(self, packet: bytes, sequence: int, turn: int) -> bool:
        """Send a packet of the speaker's; False if it came too late for this listener."""
        begins = turn != self.turn + 1 or self.newest < 0
        if begins or 0 < ahead_of(sequence, self.newest - self.offset) > MOST_MISSING:
            begins = True
            self.offset = self.newest + 1 - sequence
            self.first = sequence
        elif ahead_of(sequence, self.first) < 0:
            self.turn = turn
            return False
        self.turn = turn
        number = sequence + self.offset
        if ahead_of(number, self.newest) > 0 or self.newest < 0:
            self.newest = number % SEQUENCES
        self.send(numbered(packet, number % SEQUENCES, self.kind, begins))
        return True


class _Speaker:
    """One player's voice on its way in."""

    def __init__(self) -> None:
        self.heard_at = float("-inf")
        self.strength = 0.0
        """Smoothed level, 0 to 1."""
        self.turn = 0
        """Packets that were passed on so far."""
        self.listeners: dict[int, _Line] = {}
        """Who is sent this voice now."""
        self.lines: dict[int, _Line] = {}
        """And who has been, as long as both are there."""
        self._allowance = PACKET_BURST
        self._counted_at = float("-inf")
        self._newest = -1
        self._seen = 0

    def allows(self, now: float) -> bool:
        """Whether one more packet is passed on: there is a limit to how many come in a second."""
        since = min(60.0, now - self._counted_at)
        self._counted_at = now
        self._allowance = min(PACKET_BURST, self._allowance + since * PACKET_RATE)
        if self._allowance < 1.0:
            return False
        self._allowance -= 1.0
        return True

    def is_new(self, sequence: int) -> bool:
        """Whether a packet of this number has not been here yet, and is not very late."""
        ahead = 1 if self._newest < 0 else ahead_of(sequence, self._newest)
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self._newest = sequence
            return True
        if -ahead >= WINDOW or self._seen >> -ahead & 1:
            return False
        self._seen |= 1 << -ahead
        return True


def ahead_of(sequence: int, other: int) -> int:
    """By how many packets a number is ahead of another, modulo 2**16; negative if it is behind."""
    return (sequence - other + SEQUENCES // 2) % SEQUENCES - SEQUENCES // 2


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
        self._has_complained = False
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
            speaker.listeners.pop(number, None)
            speaker.lines.pop(number, None)

    def listen(self, number: int, listens: bool) -> None:
        """A player wants to hear others, or nobody."""
        member = self._members.get(number)
        if member is None or member.listens == listens:
            return
        member.listens = listens  # who wants to hear again does so from the next look on
        if not listens:
            for speaker in self._speakers.values():
                speaker.listeners.pop(number, None)

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
        sequence = int.from_bytes(packet[2:4], "big")
        if not (speaker.allows(now) and member.may_speak() and speaker.is_new(sequence)):
            self.stats.dropped += 1
            return
        begins = now - speaker.heard_at > SPEAKING
        speaker.heard_at = now
        strength = 1.0 - level / SILENCE_LEVEL
        speaker.strength += (strength - speaker.strength) * (1.0 if begins else 0.1)
        if begins or now - self._reviewed_at >= REVIEW:
            self._review(now)
        speaker.turn += 1
        for line in speaker.listeners.values():
            self.stats.forwarded += line.pass_on(packet, sequence, speaker.turn)
        if self.on_packet is not None:
            self.on_packet(number, packet, now)

    def listeners_of(self, number: int) -> list[int]:
        """Who is sent a player's voice, as of the last look."""
        speaker = self._speakers.get(number)
        return [] if speaker is None else list(speaker.listeners)

    # ----------------------------------------------------------------------------------------

    def _review(self, now: float) -> None:
        """Look who hears whom. What a policy raises must not end a player's link: all stays as it
        was then."""
        self._reviewed_at = now
        try:
            self._decide(now)
        except Exception:
            if not self._has_complained:
                self._has_complained = True
                log.exception("the voice policy raised; who hears whom stays as it was")

    def _decide(self, now: float) -> None:
        """Work out who is sent whom: for each listener the strongest of those who speak now."""
        members = list(self._members.values())
        talking = [
            index
            for index, member in enumerate(members)
            if now - self._speakers[member.number].heard_at <= SPEAKING
        ]
        if not talking:
            for speaker in self._speakers.values():
                speaker.listeners = {}
            self._sent.clear()
            return
        audience = self.policy.audience(_company(members))
        hears = audience.hears[talking].copy()
        hears[np.arange(len(talking)), talking] = False
        hears &= np.array([member.listens for member in members])
        strength = np.array([self._speakers[members[index].number].strength for index in talking])
        score = np.repeat(strength[:, None], len(members), axis=1)
        if audience.closeness is not None:
            score += audience.closeness[talking]
        placed = audience.placed[talking]
        for speaker in self._speakers.values():
            speaker.listeners = {}
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
                kind = PLACED if placed[row, column] else FLAT
                speaker = self._speakers[number]
                line = speaker.lines.setdefault(listener.number, _Line(listener.send, kind))
                line.kind = kind
                speaker.listeners[listener.number] = line
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
