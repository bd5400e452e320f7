"""One player's voice on its way out: from frames of a microphone to packets, or to nothing. Pure.

Every frame of the microphone is taken, and most of them end here: nothing is sent while the key is
up, while nobody speaks, or while the player is muted. What is sent is encoded once, however many
listen, since every listener can be sent the same packet.

The clock of the packets is that of the microphone and goes on while nothing is sent; so who listens
can tell a pause (the timestamp has jumped, the sequence has not) from a loss (both have).
"""

from typing import Literal

import numpy as np

from netcode.errors import UsageError
from netcode.voice.activity import Activity, audio_level
from netcode.voice.opus import FRAME, RATE, Encoder, Pcm
from netcode.voice.rtp import MAX_SPEAKER, VoicePacket

Mode = Literal["push", "open"]

TAIL = 0.2
"""Seconds for which a voice is still sent after the key went up: people let go too early."""

GOOD_LINE = 0.01
"""Share of lost packets up to which nothing is said twice: a lost frame is made up well enough."""

LEAST_LOSS, MOST_LOSS = 0.1, 0.2
"""Shares of lost packets that the encoder is told on other lines. At 28 kbit/s libopus repeats
nothing at all when it expects to lose less than 8 %; and beyond a fifth, saying everything twice
costs more of the voice than it saves."""

NARROWED = 6 / 7
"""Share of the bitrate that is left on a line that loses `MOST_LOSS`, which is most often full.
28 kbit/s become 24; with less, libopus would leave out what lies above 8 kHz, and then above 6,
to have room for repeating."""

LOUDEST_GAIN = 8.0

STOOD_STILL = 0.1
"""Seconds without a frame after which the packets' clock is set forward: the microphone was
away."""

_TIMESTAMPS = 2**32
_SEQUENCES = 2**16


class Talker:
    """The outgoing voice of player number ``speaker``.

    - ``mode``: ``"push"`` sends while `pressed` and `TAIL` seconds longer, ``"open"`` while
      somebody is heard to speak. It may be changed at any time.
    - ``bitrate``: bits a second while the line is good, 6,000 to 128,000.
    - ``first``: the number of the first packet, and of its frame. One chosen at random keeps the
      packets of a new session apart from those of an old one that are still under way.

    Raises `UsageError` for values that cannot be, and where there is no libopus.
    """

    def __init__(
        self, speaker: int, *, mode: Mode = "push", bitrate: int = 28_000, first: int = 0
    ) -> None:
        if not 0 <= speaker <= MAX_SPEAKER:
            raise UsageError(f"speaker is a number of 32 bits, not {speaker!r}")
        self.speaker = speaker
        self.mode = mode
        self.pressed = False
        """Whether the key is down. Only the mode ``"push"`` looks at it."""
        self.muted = False
        """Nothing is sent while this is True, whatever else; a tail is cut off."""
        self.speaking = False
        """Whether the last frame was sent."""
        self._gain = 1.0
        self._loss = LEAST_LOSS
        self._bitrate = bitrate
        self._encoder = Encoder(bitrate)
        self._activity = Activity()
        self._frame = np.empty(FRAME, np.float32)
        self._sequence = first % _SEQUENCES
        self._timestamp = first * FRAME % _TIMESTAMPS
        self._pressed_at: float | None = None
        self._taken_at: float | None = None

    @property
    def mode(self) -> Mode:
        """What decides whether a frame is sent: ``"push"`` or ``"open"``."""
        return self._mode

    @mode.setter
    def mode(self, value: Mode) -> None:
        if value not in ("push", "open"):
            raise UsageError(f'mode is "push" (to talk) or "open" (the microphone), not {value!r}')
        self._mode: Mode = value

    @property
    def gain(self) -> float:
        """By what the microphone's samples are multiplied: 1 as it is, 2 is 6 dB louder; 0 to 8.

        What gets louder than full scale is clipped.
        """
        return self._gain

    @gain.setter
    def gain(self, value: float) -> None:
        if not 0 <= value <= LOUDEST_GAIN:
            raise UsageError(f"gain is a factor, 0 to {LOUDEST_GAIN:g}, not {value!r}")
        self._gain = float(value)

    @property
    def level(self) -> float:
        """dBFS of the last frame, after the gain, sent or not: for a display of the microphone."""
        return self._activity.level

    @property
    def loss(self) -> float:
        """Share of packets that the line loses, 0 to 1. The owner tells it whenever it learns more.

        On a line that loses more than `GOOD_LINE`, each packet says again in few bits what was in
        the one before, the better the more is lost; from a tenth on, fewer bits are sent. Before
        anything is told, a tenth is prepared for.
        """
        return self._loss

    @loss.setter
    def loss(self, value: float) -> None:
        if not 0 <= value <= 1:
            raise UsageError(f"loss is a share, 0 to 1, not {value!r}")
        self._loss = float(value)
        expected = min(max(value, LEAST_LOSS), MOST_LOSS) if value > GOOD_LINE else 0.0
        if round(expected * 100) != round(self._encoder.expected_loss * 100):
            self._encoder.expected_loss = expected
        harm = max(0.0, expected - LEAST_LOSS) / (MOST_LOSS - LEAST_LOSS)
        bitrate = max(6_000, round(self._bitrate * (1.0 - harm * (1.0 - NARROWED))))
        if bitrate != self._encoder.bitrate:
            self._encoder.bitrate = bitrate

    @property
    def bitrate(self) -> int:
        """Bits a second that a voice takes now, without the packets around it."""
        return self._encoder.bitrate

    def take(self, pcm: Pcm, now: float) -> VoicePacket | None:
        """The next frame of the microphone, at ``now`` seconds: the packet to send, or None.

        ``pcm`` is float32[960], -1 to 1, and is not kept. Raises `UsageError` for other arrays.
        """
        if pcm.shape != (FRAME,) or pcm.dtype != np.float32:
            raise UsageError(
                f"take() takes float32 of shape ({FRAME},), not {pcm.dtype} of shape {pcm.shape}"
            )
        timestamp = self._next_timestamp(now)
        frame = self._amplified(pcm)
        was_speaking = self.speaking
        heard = self._activity.take(frame)
        self.speaking = self._is_sent(heard, now)
        if not self.speaking:
            return None
        packet = VoicePacket(
            self.speaker,
            self._sequence,
            timestamp,
            audio_level(self.level),
            not was_speaking,
            self._encoder.encode(frame),
        )
        self._sequence = (self._sequence + 1) % _SEQUENCES
        return packet

    def _is_sent(self, heard: bool, now: float) -> bool:
        if self.muted:
            self._pressed_at = None
            return False
        if self._mode == "open":
            return heard
        if self.pressed:
            self._pressed_at = now
        return self._pressed_at is not None and now - self._pressed_at <= TAIL

    def _next_timestamp(self, now: float) -> int:
        """That of this frame; by whole frames, so that none ever lies between two others."""
        timestamp = self._timestamp
        if self._taken_at is not None:
            missing = now - self._taken_at - FRAME / RATE
            if missing > STOOD_STILL:
                timestamp += round(missing * RATE / FRAME) * FRAME
        self._taken_at = now
        self._timestamp = (timestamp + FRAME) % _TIMESTAMPS
        return timestamp % _TIMESTAMPS

    def _amplified(self, pcm: Pcm) -> Pcm:
        frame = self._frame
        np.multiply(pcm, self._gain, out=frame)
        np.clip(frame, -1.0, 1.0, out=frame)
        if not np.isfinite(np.dot(frame, frame)):
            frame[:] = 0.0  # a driver's nonsense, which would be remembered as the room's sound
        return frame
