"""Opus packets in an Ogg file, page by page (RFC 3533, RFC 7845). Pure: makes bytes.

PyAV's muxer would do the same, but decides itself when a page is full and when it is written. Here
a page is made when it is asked for, and is complete in itself, so that a file is whole as far as it
goes, wherever it ends.

A page:

    "OggS" version=0 flags granule(8) serial(4) number(4) checksum(4) n, n lengths, the packets

The granule is how many samples at 48 kHz the stream has had when the page ends. It must be exactly
what the packets last, so silence has to be packets, too; they are tiny.
"""

import struct
import zlib
from collections.abc import Iterable

from netcode.voice.opus import RATE

PRE_SKIP = 312
"""Samples that libopus needs to get going, and that players leave out."""

SILENT_FRAMES = 6
"""Frames of 20 ms in a packet of silence: 120 ms, the longest that there may be."""

_FIRST, _LAST = 2, 4
_SERIAL = 1
_PAGE = struct.Struct("<4sBBqIIIB")
_HEAD = struct.Struct("<8sBBHIhB")
_MOST_LENGTHS = 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class OpusStream:
    """The pages of a file with one Opus stream. ``title`` is what players show."""

    def __init__(self, title: str, channels: int = 1) -> None:
        self._title = title
        self._channels = channels
        self._number = 0
        self.samples = 0
        """Samples at 48 kHz on the pages made so far, with those that players leave out."""

    def head(self) -> bytes:
        """The two pages that come first. Ask once."""
        head = _HEAD.pack(b"OpusHead", 1, self._channels, PRE_SKIP, RATE, 0, 0)
        vendor, title = b"netcode", f"TITLE={self._title}".encode()
        tags = struct.pack(
            f"<8sI{len(vendor)}sII{len(title)}s",
            *(b"OpusTags", len(vendor), vendor, 1, len(title), title),
        )
        return self._page([head], _FIRST) + self._page([tags], 0)

    def pages(self, packets: Iterable[bytes], last: bool = False) -> bytes:
        """Pages with these packets, as few as possible: one, unless they are large.

        Each packet lasts as long as its first bytes say. ``last`` ends the stream.
        """
        made = []
        page: list[bytes] = []
        lengths = 0
        for packet in packets:
            needed = len(packet) // 255 + 1
            if lengths + needed > _MOST_LENGTHS:
                made.append(self._page(page, 0))
                page, lengths = [], 0
            page.append(packet)
            lengths += needed
            self.samples += samples_of(packet)
        if page or last:
            made.append(self._page(page, _LAST if last else 0))
        return b"".join(made)

    def _page(self, packets: list[bytes], flags: int) -> bytes:
        lengths = bytearray()
        for packet in packets:
            whole, rest = divmod(len(packet), 255)
            lengths += b"\xff" * whole
            lengths.append(rest)
        header = [b"OggS", 0, flags, self.samples, _SERIAL, self._number, 0, len(lengths)]
        body = bytes(lengths) + b"".join(packets)
        header[6] = checksum(_PAGE.pack(*header) + body)
        self._number += 1
        return _PAGE.pack(*header) + body


def samples_of(packet: bytes) -> int:
    """How long an Opus packet says that it lasts (RFC 6716, section 3.1); 0 if it does not say."""
    if not packet:
        return 0
    config, code = packet[0] >> 3, packet[0] & 0b11
    if config < 12:
        frame = (480, 960, 1_920, 2_880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    if code == 3:
        return frame * (packet[1] & 0x3F) if len(packet) > 1 else 0
    return frame * (1, 2, 2)[code]


def silence(frames: int) -> list[bytes]:
    """Packets that are silent for so many frames of 20 ms."""
    long, rest = divmod(frames, SILENT_FRAMES)
    return [_silent(SILENT_FRAMES)] * long + ([_silent(rest)] if rest else [])


def lost(before: bytes) -> bytes:
    """The packet that stands for one that was lost after ``before``: a frame of nothing, of the
    same kind, in which a decoder makes up 20 ms (RFC 7845, section 4.1)."""
    return bytes([before[0] & 0b1111_1100])


def checksum(page: bytes) -> int:
    """Ogg's CRC of a page whose own is 0: zlib's with all bits the other way round, from 0."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


def _silent(frames: int) -> bytes:
    """One packet of CELT alone, at full band, in which each frame says no more than "silent"."""
    kind = 31 << 3
    if frames == 1:
        return bytes([kind, 0xFF, 0xFE])
    return bytes([kind | 3, frames]) + b"\xff\xfe" * frames
