"""Records until it is killed: ``voice_recorder.py FOLDER FRAMES``.

Two speakers and the mix, on a clock that runs as fast as it can: what counts is what has been
taken, not when. Speaker 7 is lost in frames 100 and 101, speaker 9 is silent from 150 to 250.
"""

import sys
from pathlib import Path

import numpy as np

from netcode.voice.opus import FRAME
from netcode.voice.recording import MixRecorder, Recorder
from netcode.voice.sources import Tone
from netcode.voice.talker import Talker


def record(folder: Path, frames: int) -> None:
    recorder = Recorder(folder)
    mixes = [MixRecorder(folder / "mix.wav"), MixRecorder(folder / "mix.opus")]
    speakers = {7: (Talker(7), Tone(440)), 9: (Talker(9), Tone(660))}
    stereo = np.empty((FRAME, 2), np.float32)
    for number in range(frames):
        now = 1_000.0 + number * 0.02
        for side, (speaker, (talker, tone)) in enumerate(speakers.items()):
            sound = tone.next()
            stereo[:, side] = sound
            talker.pressed = speaker != 9 or not 150 <= number < 250
            packet = talker.take(sound, now)
            if packet is not None and not (speaker == 7 and number in (100, 101)):
                recorder.take(speaker, packet, now)
        recorder.step(now)
        for mix in mixes:
            mix.take(stereo)


record(Path(sys.argv[1]), int(sys.argv[2]))
print("taken", flush=True)
sys.stdin.read()
