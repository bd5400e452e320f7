"""All voices that one player hears.

Packets come in from the network (`Listener.receive`), and every 20 ms somebody asks for what is to
be heard next (`Listener.mix`): a sound card's thread, or a loop that stands in for one. One lock
stands between the two, and is held for one packet or one frame of one voice, never for all of
them, so neither side keeps the other waiting.

A speaker is known from the first packet on, and forgotten when more than 64 speak and it was
silent for longest.
"""

import logging
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from netcode.errors import UsageError
from netcode.voice.jitter_buffer import Decodes, JitterBuffer, VoiceStats
from netcode.voice.mixing import Mixer, Panner, Stereo
from netcode.voice.opus import FRAME, Decoder, Pcm
from netcode.voice.rtp import VoicePacket

MOST_SPEAKERS = 64
LOUDEST = 4.0
"""The largest volume, and the largest gain that `Listener.place` may answer."""

HOLD = 0.3
"""Seconds for which a speaker counts as speaking after it was last heard."""

_FLOOR_DB = 60.0
_FALL = 0.8
_log = logging.getLogger(__name__)

Place = Callable[[int], tuple[float, float]]
"""Gain and pan of a speaker, as `mixing.placed` works them out."""


@dataclass(slots=True)
class _Speaker:
    buffer: JitterBuffer
    panner: Panner = field(default_factory=Panner)
    received: float = 0.0
    heard: float = -math.inf
    level: float = 0.0


class Listener:
    """What one player hears of all others. Methods may be called from any thread.

    - ``deafened``: while it is true nothing is heard, and what comes is not kept.
    - ``place``: asked in each frame for where a speaker is: a gain (0 to 4) and a pan (-1 to 1).
      It runs in the thread that mixes, so it should do no more than look something up. As long as
      it is None all voices come from the middle. If it raises, that is logged once, and the voice
      comes from the middle.

    ``decoder`` makes what a speaker's packets are decoded with. Raises `UsageError` where there is
    no libopus.
    """

    def __init__(self, decoder: Callable[[], Decodes] = Decoder) -> None:
        self.deafened = False
        self.place: Place | None = None
        self._make_decoder = decoder
        self._spare: Decodes | None = decoder()  # now, not in the midst of the first packet
        self._lock = threading.Lock()
        self._speakers: dict[int, _Speaker] = {}
        self._volumes: dict[int, float] = {}
        self._muted: set[int] = set()
        self._mixer = Mixer()
        self._has_complained = False
        self._now = -math.inf

    def receive(self, packet: VoicePacket, now: float) -> None:
        """A packet has come. ``now`` is in seconds, of any clock that only goes forwards."""
        with self._lock:
            if self.deafened or packet.speaker in self._muted:
                return
            speaker = self._speakers.get(packet.speaker)
            if speaker is None:
                speaker = self._welcome(packet.speaker)
            speaker.received = now
            speaker.buffer.receive(packet, now)

    def mix(self, now: float) -> Stereo:
        """The next 20 ms: float32 of shape (960, 2), -1 to 1, filled anew by the next call.

        ``now`` is of the clock that `receive` is given. Call it from one thread only.
        """
        with self._lock:
            self._now = now
            numbers = [] if self.deafened else list(self._speakers)
            if self.deafened:
                self._speakers.clear()
        for number in numbers:
            with self._lock:
                speaker = self._speakers.get(number)
                if speaker is None or speaker.buffer.is_idle:
                    continue
                # The buffer's own array, which nobody but this thread has filled anew.
                pcm = speaker.buffer.pull(now)
                volume = self._volumes.get(number, 1.0)
            gain, pan = self._where(number)
            gain *= volume
            self._mixer.add(speaker.panner, pcm, gain, pan)
            self._note_level(speaker, pcm, gain, now)
        return self._mixer.finish()

    @property
    def speaking(self) -> dict[int, float]:
        """Who is heard now, and how loud: 0 is -60 dB and less, 1 is as loud as can be.

        It is the voice's own level, before volume and place; but who is not heard at all, because
        it is muted or too far away, is not in it.
        """
        with self._lock:
            return {
                number: speaker.level
                for number, speaker in self._speakers.items()
                if self._now - speaker.heard < HOLD
            }

    def set_volume(self, speaker: int, volume: float) -> None:
        """How loud a speaker is for this listener: 1 as it comes, 0 to 4.

        It may be set before anything is heard, and is kept until `forget`. Raises `UsageError` for
        other values.
        """
        if not 0 <= volume <= LOUDEST:
            raise UsageError(f"volume must be 0 to {LOUDEST:g}, not {volume!r}")
        with self._lock:
            self._volumes[speaker] = float(volume)

    def volume_of(self, speaker: int) -> float:
        """What was set for a speaker, or 1."""
        with self._lock:
            return self._volumes.get(speaker, 1.0)

    def mute(self, speaker: int, muted: bool = True) -> None:
        """Hears nothing of a speaker any more, or with ``muted=False`` hears it again."""
        with self._lock:
            if muted:
                self._muted.add(speaker)
                self._speakers.pop(speaker, None)
            else:
                self._muted.discard(speaker)

    def is_muted(self, speaker: int) -> bool:
        """Whether this listener has muted the speaker."""
        with self._lock:
            return speaker in self._muted

    def stats(self, speaker: int) -> VoiceStats:
        """What became of a speaker's packets; all zero if none have come lately."""
        with self._lock:
            known = self._speakers.get(speaker)
            return replace(known.buffer.stats) if known else VoiceStats()

    def forget(self, speaker: int) -> None:
        """A speaker has left: its packets, its volume and that it was muted are forgotten."""
        with self._lock:
            self._speakers.pop(speaker, None)
            self._volumes.pop(speaker, None)
            self._muted.discard(speaker)

    def _welcome(self, number: int) -> _Speaker:
        if len(self._speakers) >= MOST_SPEAKERS:
            del self._speakers[min(self._speakers, key=lambda n: self._speakers[n].received)]
        decoder, self._spare = self._spare or self._make_decoder(), None
        speaker = self._speakers[number] = _Speaker(JitterBuffer(decoder))
        return speaker

    def _where(self, number: int) -> tuple[float, float]:
        if self.place is None:
            return 1.0, 0.0
        try:
            gain, pan = map(float, self.place(number))
            if not (math.isfinite(gain) and math.isfinite(pan)):
                raise UsageError(f"place({number}) must be two finite numbers, not {gain}, {pan}")
        except Exception:
            if not self._has_complained:
                _log.exception("Listener.place has failed; the voice comes from the middle")
                self._has_complained = True
            return 1.0, 0.0
        return min(max(gain, 0.0), LOUDEST), min(max(pan, -1.0), 1.0)

    def _note_level(self, speaker: _Speaker, pcm: Pcm, gain: float, now: float) -> None:
        power = float(np.dot(pcm, pcm)) / FRAME
        level = min(1.0, max(0.0, 1.0 + 10.0 * math.log10(power + 1e-12) / _FLOOR_DB))
        speaker.level = max(level, _FALL * speaker.level)
        if gain > 0.0 and level > 0.0:
            speaker.heard = now
