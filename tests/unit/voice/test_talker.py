"""What of a microphone is sent, and how it is marked."""

from itertools import pairwise

import numpy as np
import pytest

from netcode.errors import UsageError
from netcode.voice.activity import HOLD, QUIETEST
from netcode.voice.opus import FRAME, Decoder, carries_recovery
from netcode.voice.rtp import VoicePacket, decode
from netcode.voice.talker import TAIL, Talker
from tests.unit.voice.sounds import voiced

TICK = 0.02
SILENCE = np.zeros(FRAME, np.float32)
VOICE = voiced(100)


class Speaking:
    """A talker with a clock: 20 ms a frame."""

    def __init__(self, talker: Talker) -> None:
        self.talker = talker
        self.now = 1_000.0

    def say(self, frames: np.ndarray) -> list[VoicePacket | None]:
        return [self._one(frame) for frame in frames]

    def be_silent(self, count: int) -> list[VoicePacket | None]:
        return [self._one(SILENCE) for _ in range(count)]

    def _one(self, frame: np.ndarray) -> VoicePacket | None:
        self.now += TICK
        return self.talker.take(frame, self.now)


def sent(packets: list[VoicePacket | None]) -> list[VoicePacket]:
    return [packet for packet in packets if packet is not None]


def test_push_sends_while_pressed_and_a_tail() -> None:
    player = Speaking(Talker(7))
    assert sent(player.say(VOICE[:10])) == []
    player.talker.pressed = True
    assert len(sent(player.say(VOICE[:10]))) == 10
    assert player.talker.speaking
    player.talker.pressed = False
    after = player.say(VOICE[:30])
    assert abs(len(sent(after)) - TAIL / TICK) <= 1
    assert after[0] is not None
    assert not player.talker.speaking


def test_pressing_again_within_the_tail_is_the_same_spurt() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    packets = player.say(VOICE[:5])
    player.talker.pressed = False
    packets += player.say(VOICE[5:10])
    player.talker.pressed = True
    packets += player.say(VOICE[10:15])
    assert [packet.marker for packet in sent(packets)] == [True] + 14 * [False]


def test_open_sends_speech_and_nothing_of_silence() -> None:
    player = Speaking(Talker(7, mode="open"))
    assert sent(player.be_silent(100)) == []
    packets = player.say(VOICE[:50]) + player.be_silent(100)
    assert packets[1] is not None
    assert 49 <= len(sent(packets)) <= 50 + HOLD
    assert packets[-1] is None
    assert not player.talker.speaking


def test_a_spurt_begins_with_a_marker_and_the_clock_goes_on_in_silence() -> None:
    player = Speaking(Talker(7, mode="open", first=65_530))
    first = sent(player.say(VOICE[:50]) + player.be_silent(200))
    second = sent(player.say(VOICE[:50]))
    for spurt in (first, second):
        assert [packet.marker for packet in spurt] == [True] + [False] * (len(spurt) - 1)
    packets = first + second
    numbers = [(65_530 + n) % 65_536 for n in range(len(packets))]
    assert [packet.sequence for packet in packets] == numbers
    frames = (second[0].timestamp - first[0].timestamp) / FRAME
    assert abs(frames - 250) <= 1
    assert {packet.speaker for packet in packets} == {7}


def test_the_clock_of_the_packets_runs_over_at_32_bits() -> None:
    player = Speaking(Talker(7, first=2**32 // FRAME - 1))
    player.talker.pressed = True
    packets = sent(player.say(VOICE[:5]))
    steps = [(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(packets)]
    assert steps == [FRAME] * 4
    assert packets[-1].timestamp < packets[0].timestamp


def test_a_microphone_that_was_away_leaves_a_gap_in_the_clock() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    before = sent(player.say(VOICE[:1]))[0]
    player.now += 3.0
    after = sent(player.say(VOICE[:1]))[0]
    assert (after.timestamp - before.timestamp) / FRAME == pytest.approx(151, abs=1)
    assert (after.timestamp - before.timestamp) % FRAME == 0
    # Frames that come in a bunch are frames like all others.
    player.now -= TICK
    assert sent(player.say(VOICE[:1]))[0].timestamp - after.timestamp == FRAME


def test_muted_is_muted() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    player.say(VOICE[:5])
    player.talker.muted = True
    assert sent(player.say(VOICE[:5])) == []
    assert not player.talker.speaking
    assert player.talker.level > -40  # who forgets it can be told so
    player.talker.pressed = False
    player.talker.muted = False
    assert sent(player.say(VOICE[:5])) == []
    player.talker.pressed = True
    assert sent(player.say(VOICE[:5]))[0].marker


def test_each_packet_says_how_loud_it_is() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    assert player.talker.level == QUIETEST
    loud, silent = sent(player.say([np.full(FRAME, 0.1, np.float32), SILENCE]))
    assert (loud.level, silent.level) == (20, 127)
    assert decode(loud.encode()) == loud


def test_the_gain_makes_it_louder_up_to_full_scale() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    player.talker.gain = 2.0
    quiet = np.full(FRAME, 0.05, np.float32)
    assert sent(player.say([quiet]))[0].level == 20
    assert quiet[0] == np.float32(0.05)  # the microphone's own
    player.talker.gain = 8.0
    assert sent(player.say([np.full(FRAME, 0.9, np.float32)]))[0].level == 0


def test_what_is_sent_is_the_voice() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    decoder = Decoder()
    heard = np.concatenate([decoder.decode(p.payload).copy() for p in sent(player.say(VOICE))])
    # Loud where it was loud, and as loud: the form of a wave is not what Opus keeps.
    said = np.sqrt(np.mean(VOICE[2:-1] ** 2, axis=1))
    got = np.sqrt(np.mean(heard[312:][: -(960 - 312)].reshape(-1, FRAME)[2:] ** 2, axis=1))
    assert np.corrcoef(said, got)[0, 1] > 0.9
    assert 0.7 < got.mean() / said.mean() < 1.3


def test_a_bad_line_gets_fewer_bits_that_say_more_twice() -> None:
    talker = Talker(7, bitrate=28_000)
    player = Speaking(talker)
    talker.pressed = True
    bits = {}
    for loss in (0.0, 0.02, 0.1, 0.2, 0.9, 0.005):
        talker.loss = loss
        packets = sent(player.say(VOICE))[20:]
        recoverable = np.mean([carries_recovery(packet.payload) for packet in packets])
        assert recoverable > 0.5 if loss > 0.01 else recoverable == 0, loss
        bits[loss] = talker.bitrate
    assert bits == {0.0: 28_000, 0.02: 28_000, 0.1: 28_000, 0.2: 24_000, 0.9: 24_000, 0.005: 28_000}


def test_a_tenth_is_prepared_for_before_anything_is_told() -> None:
    player = Speaking(Talker(7))
    player.talker.pressed = True
    packets = sent(player.say(VOICE))
    assert player.talker.loss == 0.1
    assert np.mean([carries_recovery(packet.payload) for packet in packets]) > 0.4


def test_a_drivers_nonsense_is_silence() -> None:
    player = Speaking(Talker(7, mode="open"))
    player.say(np.full((5, FRAME), np.nan, np.float32))
    assert sent(player.be_silent(50)) == []
    assert len(sent(player.say(VOICE[:20]))) >= 19


@pytest.mark.parametrize(
    ("name", "value"),
    [("mode", "shout"), ("gain", -1), ("gain", 9), ("gain", float("nan")), ("loss", 1.5)],
)
def test_values_that_cannot_be_are_refused(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        setattr(Talker(7), name, value)


def test_frames_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="speaker"):
        Talker(-1)
    with pytest.raises(UsageError, match="960"):
        Talker(7).take(np.zeros(480, np.float32), 0.0)
    with pytest.raises(UsageError, match="float32"):
        Talker(7).take(np.zeros(FRAME), 0.0)  # type: ignore[arg-type]
