"""One speaker's packets, as they come, made an even stream of 20 ms frames again.

A frame is played when it has waited as long as 95 % of packets need (`arrivals`), so packets that
are lost, late, doubled or out of order cost as little as this line allows. Where a packet is not
there in time, the frame is taken from what the next packet says of it, or else made up; what is
made up fades within 80 ms.

Three times are kept apart, all in seconds after the fastest packet of the same frame could have
been there:

- *need*: how long packets take, by the 95th percentile;
- *wait*: how long after that a packet is looked for. It should be `need` or more, but by less than
  a frame: frames are asked for in steps of 20 ms, and it is chance where in a step packets come;
- *delay*: when the frame is really heard. What was lengthened is in front of it: ``delay`` is
  ``wait`` plus those samples.

Too short a wait grows at once: frames are lengthened by a period of the voice, or what is made up
in a gap takes up no time of the speaker's. Too long a delay shrinks gently, by leaving out periods
of the voice, and only after half a second in which less would have done. Between talk spurts, when
nothing is sent, it is simply put right. Clocks that drift apart are the same question.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np

from netcode.errors import WireError
from netcode.voice.arrivals import Arrivals
from netcode.voice.opus import FRAME, RATE, Pcm, carries_recovery
from netcode.voice.rtp import VoicePacket
from netcode.voice.stretching import lengthen, shorten

MOST_PACKETS = 50
"""Packets that wait at most: a second."""

STEP = FRAME / RATE
_EDGES = (1.0, 1.0, 0.66, 0.33, 0.0)
_FADES = [np.linspace(begin, end, FRAME, dtype=np.float32) for begin, end in pairwise(_EDGES)]
"""How loud what is made up is, frame after frame, until there is silence."""

_RISES = [np.linspace(begin, 1.0, FRAME // 4, dtype=np.float32) for begin in _EDGES]
"""How what is real begins after so many frames that were made up."""

_RECENT = 25
"""Frames in which a shorter delay must have done before it becomes shorter: half a second."""

_MARGIN = 0.002
"""Seconds more than a frame that must be spare before a frame less is waited, against see-saw."""

_LITTLE = 0.010
_MUCH = 0.060
"""Seconds too much that are left alone, and that are hurried: a period a frame instead of one in
`_PAUSE` frames."""

_PAUSE = 5
_LIKE, _LIKE_ENOUGH = 0.8, 0.4
"""How like each other two periods must be, when there is time and when there is none."""

_CLOCK_SET_ANEW = 2.0
_ELSEWHERE = 1_000
"""Seconds and packets away from the others at which a packet is of a voice begun anew."""


class Decodes(Protocol):
    """What a frame is decoded with: `opus.Decoder`."""

    def decode(self, packet: bytes) -> Pcm: ...
    def recover(self, packet_after: bytes) -> Pcm: ...
    def conceal(self) -> Pcm: ...
    def reset(self) -> None: ...


@dataclass(slots=True)
class VoiceStats:
    """What became of one speaker's packets, in all.

    - ``target_delay``, ``delay``: seconds from when the fastest packets are here until they are
      heard, as it should be at most and as it is.
    - ``played``, ``recovered``, ``concealed``: frames decoded, taken from the packet after, and
      made up (or silent in the midst of talking).
    - ``lost``: packets that have not come; ``late``: that came when their time was over.
    - ``stretched``: frames that were shortened or lengthened.
    """

    target_delay: float = 0.0
    delay: float = 0.0
    played: int = 0
    recovered: int = 0
    concealed: int = 0
    lost: int = 0
    late: int = 0
    stretched: int = 0

    @property
    def concealed_share(self) -> float:
        """Which part of what should have been heard was made up, 0 to 1."""
        return self.concealed / max(1, self.played + self.recovered + self.concealed)


class JitterBuffer:
    """Adaptive playout of one speaker. Not for several threads at once."""

    def __init__(self, decoder: Decodes) -> None:
        self.stats = VoiceStats()
        self._decoder = decoder
        self._arrivals = Arrivals()
        # By time of capture: sequence and packet. Times and sequences are counted on without wrap.
        self._packets: dict[int, tuple[int, VoicePacket]] = {}
        self._newest: tuple[int, int] | None = None  # sequence and time of capture
        self._seen = 0  # bit n: the packet n before the newest has come
        self._stray: int | None = None
        self._out = np.zeros(4 * FRAME, np.float32)
        self._left = 0
        self._frame = np.zeros(FRAME, np.float32)
        self._is_playing = False
        self._next = 0  # time of capture of the frame that is next
        self._unplayed = 0  # of the first frame of a gap
        self._gap = 0  # frames made up in a row
        self._first_sequence = 0
        self._last_sequence = 0
        self._recovered_in_gap = 0
        self._delays = np.full(_RECENT, -np.inf)
        self._needs = np.zeros(_RECENT)
        self._turn = 0
        self._since_shortened = 0

    @property
    def is_playing(self) -> bool:
        """Whether something of the speaker's is heard, or made up in its place."""
        return self._is_playing

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing but silence to pull, now and until a packet comes."""
        return not self._is_playing and not self._packets and not self._left

    def receive(self, packet: VoicePacket, now: float) -> None:
        """A packet of this speaker's has come, at this time of the listener's clock."""
        place = self._place(packet, now)
        if place is None:
            return
        sequence, time = place
        self._arrivals.add(now, time / RATE)
        if time < self._unplayed:
            self.stats.late += 1
            return
        self._packets[time] = sequence, packet
        if len(self._packets) > MOST_PACKETS:
            self._skip(min(self._packets))

    def pull(self, now: float) -> Pcm:
        """The next 20 ms: float32 of shape (960,), filled anew by the next call."""
        while self._left < FRAME:
            self._fill(now)
        np.copyto(self._frame, self._out[:FRAME])
        self._left -= FRAME
        self._out[: self._left] = self._out[FRAME : FRAME + self._left].copy()
        self.stats.target_delay = self._arrivals.need + STEP
        return self._frame

    # Where a packet belongs

    def _place(self, packet: VoicePacket, now: float) -> tuple[int, int] | None:
        """Its sequence and time, counted on without wrapping; None if it is to be ignored."""
        if self._newest is None:
            return self._begin(packet)
        newest, newest_time = self._newest
        ahead = _signed(packet.sequence - newest, 16)
        time = newest_time + _signed(packet.timestamp - newest_time, 32)
        if abs(ahead) > _ELSEWHERE or self._arrivals.is_far_off(now, time / RATE, _CLOCK_SET_ANEW):
            # The speaker has begun anew. Two packets in a row must say so, since one may have gone
            # astray.
            stray, self._stray = self._stray, packet.sequence
            if stray is None or not 0 < _signed(packet.sequence - stray, 16) <= 8:
                return None
            return self._begin(packet)
        self._stray = None
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & ((1 << 2 * MOST_PACKETS) - 1)
            self._newest = newest + ahead, time
            self.stats.lost += ahead - 1
            if ahead > 1 and not packet.marker and carries_recovery(packet.payload):
                self._arrivals.add_told(now, (time - FRAME) / RATE)
        elif self._seen >> -ahead & 1:
            return None
        elif -ahead < 2 * MOST_PACKETS:
            self._seen |= 1 << -ahead
            if newest + ahead > self._first_sequence:
                self.stats.lost -= 1
        else:
            self.stats.late += 1
            return None
        return newest + ahead, time

    def _begin(self, packet: VoicePacket) -> tuple[int, int]:
        self._packets.clear()
        self._arrivals.forget_base()
        self._seen, self._stray = 1, None
        self._newest = packet.sequence, packet.timestamp
        self._first_sequence = packet.sequence
        self._last_sequence = packet.sequence - 1
        # The first may have been overtaken: what was sent before it is welcome.
        self._unplayed = packet.timestamp - MOST_PACKETS * FRAME
        self._rest()
        return self._newest

    # What is heard next

    def _fill(self, now: float) -> None:
        """Appends a frame, or a period more or less."""
        if not self._is_playing and not self._start(now):
            self._out[:FRAME] = 0.0  # what was left is silence, too
            self._left = FRAME
            return
        if self._gap:
            self._step_back(now)
        for time in [time for time in self._packets if time < self._unplayed]:
            self._skip(time)
        ahead = min((time for time in self._packets if time >= self._next), default=None)
        if ahead is not None and ahead - self._next < FRAME // 2:
            self._play(ahead, now)
        elif ahead is not None and self._may_recover(ahead):
            self._recover(ahead, now)
        else:
            self._conceal(now)

    def _wait(self, time: int, now: float) -> float:
        return now - time / RATE - self._arrivals.base

    def _start(self, now: float) -> bool:
        """Begins a talk spurt if its first packet has waited long enough."""
        need = self._arrivals.need
        due = sorted(time for time in self._packets if self._wait(time, now) >= need)
        if not due:
            return False
        # Of what has piled up while the line stood still only as much is said as may be waited.
        while len(due) > 1 and self._wait(due[0], now) >= need + STEP:
            self._skip(due.pop(0))
        self._is_playing = True
        self._decoder.reset()
        self._next = self._unplayed = due[0]
        self._gap = len(_FADES)
        self._left = 0
        self._delays.fill(-np.inf)
        return True

    def _rest(self) -> None:
        self._is_playing = False
        self._gap = 0
        self._recovered_in_gap = 0

    def _step_back(self, now: float) -> None:
        """In a gap: what has come too late is still said, as far as the delay shall grow."""
        short = self._arrivals.need - self._wait(self._next, now)
        if short <= 0:
            return
        earliest = max(self._unplayed, self._next - FRAME * int(np.ceil(short / STEP)))
        came = [time for time in self._packets if earliest <= time < self._next]
        if came:
            self._next = min(came)

    def _play(self, time: int, now: float) -> None:
        sequence, packet = self._packets.pop(time)
        try:
            frame = self._decoder.decode(packet.payload)
        except WireError:
            self._conceal(now)
            return
        self._count_concealed(sequence, time)
        self.stats.played += 1
        self._rise(frame)
        self._last_sequence = sequence
        self._gap = self._recovered_in_gap = 0
        self._next = self._unplayed = time + FRAME
        self._append(self._fit(frame, time, now))

    def _count_concealed(self, sequence: int, time: int) -> None:
        """What the frames of a gap were is known from the packet behind it."""
        missing = sequence - self._last_sequence - 1 - self._recovered_in_gap
        if missing > 0:
            self.stats.concealed += missing
        elif self._gap < len(_FADES) and time - self._unplayed < FRAME // 2:
            self.stats.concealed += self._gap  # nothing is missing: it came late, and is still said
        # Otherwise the speaker said nothing, and nothing was concealed.

    def _may_recover(self, ahead: int) -> bool:
        _, packet = self._packets[ahead]
        one_missing = abs(ahead - self._next - FRAME) < FRAME // 2
        return one_missing and not packet.marker and carries_recovery(packet.payload)

    def _recover(self, ahead: int, now: float) -> None:
        try:
            frame = self._decoder.recover(self._packets[ahead][1].payload)
        except WireError:
            self._conceal(now)
            return
        self.stats.recovered += 1
        self._recovered_in_gap += 1
        self._rise(frame)
        self._gap = 0
        self._next = self._unplayed = ahead
        self._append(frame)

    def _rise(self, frame: Pcm) -> None:
        if self._gap:
            frame[: FRAME // 4] *= _RISES[self._gap]

    def _conceal(self, now: float) -> None:
        if self._gap >= len(_FADES):
            self._rest()
            self._append(np.zeros(FRAME, np.float32))
            return
        self._append(self._decoder.conceal() * _FADES[self._gap])
        self._gap += 1
        if self._wait(self._next, now) >= self._arrivals.need:
            self._next += FRAME
        # Otherwise it has not been waited for as long as it may take: the delay grows by a frame.

    def _skip(self, time: int) -> None:
        del self._packets[time]
        self.stats.late += 1

    def _append(self, samples: Pcm) -> None:
        self._out[self._left : self._left + len(samples)] = samples
        self._left += len(samples)

    # How long it takes

    def _fit(self, frame: Pcm, time: int, now: float) -> Pcm:
        """The frame, shorter or longer if the delay is not what it should be."""
        wait, need = self._wait(time, now), self._arrivals.need
        ahead = self._left / RATE
        self.stats.delay = wait + ahead
        self._turn = (self._turn + 1) % _RECENT
        self._delays[self._turn] = wait + ahead + self._arrivals.base
        self._needs[self._turn] = need
        self._since_shortened += 1
        if wait < need:
            return self._stretched(lengthen(frame, FRAME, _LIKE_ENOUGH), frame)
        spare = float(self._delays.min()) - self._arrivals.base - ahead - float(self._needs.max())
        excess = ahead + STEP * max(0.0, np.floor((spare - _MARGIN) / STEP))
        if excess < _LITTLE or (excess < _MUCH and self._since_shortened < _PAUSE):
            return frame
        like = _LIKE if excess < _MUCH else _LIKE_ENOUGH
        shorter = shorten(frame, int(excess * RATE), like)
        if shorter is not frame:
            self._since_shortened = 0
        return self._stretched(shorter, frame)

    def _stretched(self, made: Pcm, frame: Pcm) -> Pcm:
        if made is not frame:
            self.stats.stretched += 1
            self._delays += (len(made) - FRAME) / RATE
        return made


def _signed(difference: int, bits: int) -> int:
    """The shorter way round a circle of so many bits."""
    half = 1 << bits - 1
    return (difference + half) % (2 * half) - half
