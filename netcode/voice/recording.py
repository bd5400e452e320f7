"""Records voices: each speaker as it came, without decoding, or the mix that somebody hears.

A program that is killed loses the last second of a recording and nothing else: what is older has
been handed to the operating system, in pages that are complete in themselves (`ogg`), or with the
header put right (`FileSink`).

**Each speaker** has a file of its own, which begins when the recording does, so that all files of a
folder lie side by side in an editor without being moved. Where nothing was sent there is silence,
and a packet that was lost is a gap in which players make something up. Positions are those of the
sender's timestamps, as long as they are within a second of when packets come: whose clock says
something else is put where it was heard, so that nobody can make a file long.
"""

from collections.abc import Iterator
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

from netcode.errors import UsageError
from netcode.voice import ogg
from netcode.voice.opus import FRAME, MAX_PACKET, RATE
from netcode.voice.rtp import VoicePacket
from netcode.voice.sinks import SECOND, FileSink, Sink, Stereo

PAGE = 0.8
"""Seconds that the oldest packet waits before its page is written."""

LATE = 5
"""Frames (100 ms) that the newest packets wait for those that they have overtaken."""

ASTRAY, ASTRAY_AT_FIRST = SECOND, SECOND // 5
"""Frames by which a timestamp may differ from when the packet came. Less for the first packet after
silence, where nobody hears that a clock which runs a little fast or slow is set."""

SET_AFTER = 5
"""Packets in a row that are astray, after which the sender's clock is believed to have been set."""

SHORT_GAP = 5
"""Frames that players are left to make up, at most. Longer gaps are silent."""

MOST_SPEAKERS = 1_024
"""Speakers of one recording. Packets of others are counted and left out."""


class Recorder:
    """Writes the packets of each speaker to ``folder/voice-NUMBER.opus``.

    The recording begins with the first `now` that it is told. The folder is made if it is not
    there. Raises `UsageError` if it cannot be, or holds another
    recording already. `take` and `step` raise `OSError` when the disk takes no more.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self._folder} cannot be made: {error}") from error
        if any(self._folder.glob("voice-*.opus")):
            raise UsageError(f"{self._folder} holds a recording already: choose another folder")
        self._begun: float | None = None
        self._tracks: dict[int, _Track] = {}
        self._closed = False
        self.left_out = 0
        """Packets that came twice or too late, that are no frame of 20 ms, or of too many
        speakers."""

    def take(self, speaker: int, packet: VoicePacket, now: float) -> None:
        """Adds a packet that ``speaker`` sent, in whatever order they come, at ``now`` seconds.

        What is wrong with it leads to its being left out, and counted, and to nothing else.
        """
        if self._closed:
            return
        begun = self._begin(now)
        track = self._tracks.get(speaker)
        if not _is_frame(packet.payload) or (track is None and len(self._tracks) == MOST_SPEAKERS):
            self.left_out += 1
            return
        if track is None:
            path = self._folder / f"voice-{speaker}.opus"
            track = self._tracks[speaker] = _Track(path, speaker, begun)
        self.left_out += not track.take(packet, now)
        track.step(now)

    def step(self, now: float) -> None:
        """Writes what is due of speakers who have become silent. Call it ten times a second."""
        self._begin(now)
        for track in self._tracks.values():
            track.step(now)

    def _begin(self, now: float) -> float:
        if self._begun is None:
            self._begun = now
        return self._begun

    def close(self) -> None:
        """Writes what is left. More than once does no harm; packets that come later are ignored."""
        if not self._closed:
            self._closed = True
            failures: list[OSError] = []
            for track in self._tracks.values():
                try:
                    track.close()
                except OSError as error:  # the others may be on another disk, or shorter
                    failures.append(error)
            if failures:
                raise failures[0]


class _Track:
    """One speaker's file. Places in it are frames since the recording began."""

    def __init__(self, path: Path, speaker: int, begun: float) -> None:
        self._path = path
        self._begun = begun
        self._stream = ogg.OpusStream(f"speaker {speaker}")
        self._waiting: dict[int, bytes] = {}
        self._oldest_at = self._newest_at = 0.0
        self._written = 0
        self._last_payload = b""
        self._anchor: tuple[int, int] | None = None
        self._astray = 0
        self._append(self._stream.head())

    def take(self, packet: VoicePacket, now: float) -> bool:
        """Keeps a packet in its place. False if it has none, or that is written or taken."""
        place = self._place_of(packet, now)
        if place is None or place < self._written or place in self._waiting:
            return False
        if not self._waiting:
            self._oldest_at = now
        self._newest_at = now
        self._waiting[place] = packet.payload
        return True

    def step(self, now: float) -> None:
        """Writes a page if one is due."""
        if self._waiting and now - self._oldest_at >= PAGE:
            before = max(self._waiting) + 1
            if now - self._newest_at < LATE / SECOND:
                before -= LATE  # these may have overtaken others, which are still under way
            self._write(before)
            self._oldest_at = now - LATE / SECOND

    def close(self) -> None:
        if self._waiting:
            self._write(max(self._waiting) + 1)
        self._append(self._stream.pages([], last=True))

    def _place_of(self, packet: VoicePacket, now: float) -> int | None:
        """Where a packet belongs; None if its timestamp makes no sense (yet)."""
        heard = round((now - self._begun) * SECOND)
        if self._anchor is None:
            self._anchor = (packet.timestamp, heard)
        timestamp, place = self._anchor
        ahead = (packet.timestamp - timestamp + 2**31) % 2**32 - 2**31
        place += ahead // FRAME
        if abs(place - heard) <= (ASTRAY_AT_FIRST if packet.marker else ASTRAY):
            self._astray = 0
            if ahead > 0:
                self._anchor = (packet.timestamp, place)
            return place
        # One packet may be very late; when several are, their sender's clock was set.
        self._astray += 1
        if not packet.marker and self._astray < SET_AFTER:
            return None
        self._astray = 0
        self._anchor = (packet.timestamp, heard)
        return heard

    def _write(self, before: int) -> None:
        pages: list[bytes] = []
        packets: list[bytes] = []
        for place in sorted(place for place in self._waiting if place < before):
            filler = self._filler(place - self._written)
            if filler is None:  # silence has pages of its own, none longer than a second
                pages.append(self._stream.pages(packets))
                packets = []
                for begin in range(self._written, place, SECOND):
                    silent = ogg.silence(min(SECOND, place - begin))
                    pages.append(self._stream.pages(silent))
            else:
                packets += filler
            self._last_payload = self._waiting.pop(place)
            packets.append(self._last_payload)
            self._written = place + 1
        pages.append(self._stream.pages(packets))
        self._append(b"".join(pages))

    def _filler(self, lost: int) -> list[bytes] | None:
        """What stands for so many frames that were lost; None if they should be silent."""
        if lost == 0:
            return []
        if lost > SHORT_GAP or not self._last_payload:
            return None
        packet = ogg.lost(self._last_payload)
        return [packet] * lost if ogg.samples_of(packet) == FRAME else None

    def _append(self, pages: bytes) -> None:
        # Opened for each page: there may be more speakers than files that a process can have open.
        with self._path.open("ab", buffering=0) as file:
            file.write(pages)


class MixRecorder:
    """Writes what somebody hears into one file: WAV or Opus, by the end of ``path``'s name.

    It is a sink: give it the frames of a mix. Opus has 64 kbit/s. Raises `UsageError` for other
    names, and if the file cannot be written.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        kind = Path(path).suffix.lower()
        if kind == ".wav":
            self._sink: Sink = FileSink(path)
        elif kind in (".opus", ".ogg"):
            self._sink = _OpusSink(path)
        else:
            raise UsageError(f"{fspath(path)}: a mix is written to a .wav or an .opus file")

    def take(self, frame: Stereo) -> None:
        """Adds 20 ms, float32[960, 2]. Raises `OSError` when the disk takes no more."""
        self._sink.take(frame)

    def close(self) -> None:
        """Writes what is left and closes the file. More than once does no harm."""
        self._sink.close()


class _OpusSink:
    """A stereo Opus file, written each second."""

    def __init__(self, path: str | PathLike[str]) -> None:
        try:
            self._file: BinaryIO = open(path, "wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise UsageError(f"{fspath(path)} cannot be written: {error}") from error
        self._encoder = av.AudioCodecContext.create("libopus", "w")
        self._encoder.sample_rate = RATE
        self._encoder.layout = "stereo"
        self._encoder.format = "flt"
        self._encoder.bit_rate = 64_000
        self._encoder.options = {"vbr": "constrained"}  # it takes twice as many for voices else
        self._stream = ogg.OpusStream("mix", channels=2)
        self._packets: list[bytes] = []
        self._file.write(self._stream.head())

    def take(self, frame: Stereo) -> None:
        samples = np.clip(frame, -1.0, 1.0, dtype=np.float32).reshape(1, -1)
        sound = av.AudioFrame.from_ndarray(samples, format="flt", layout="stereo")
        sound.sample_rate = RATE
        self._packets += self._encoded(sound)
        if len(self._packets) >= SECOND:
            self._write()

    def close(self) -> None:
        if not self._file.closed:
            with self._file:
                self._packets += self._encoded(None)
                self._write(last=True)

    def _encoded(self, sound: av.AudioFrame | None) -> Iterator[bytes]:
        return (bytes(packet) for packet in self._encoder.encode(sound))

    def _write(self, last: bool = False) -> None:
        self._file.write(self._stream.pages(self._packets, last))
        self._packets.clear()


def _is_frame(payload: bytes) -> bool:
    return len(payload) <= MAX_PACKET and ogg.samples_of(payload) == FRAME
