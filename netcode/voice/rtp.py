"""Voice packets: RTP (RFC 3550) with Opus in it (RFC 7587) and how loud it is (RFC 6464).

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    |V=2|P|X|  CC   |M|  PT = 111   |           sequence            |
    |                 timestamp, in samples at 48 kHz               |
    |                      speaker (SSRC)                           |
    |            0xBEDE             |       length, in words        |
    | id=1  | len=0 |1|   level     |      0        |      0        |
    |                          Opus packet                          |

The level stands outside the codec, so that a server can tell who is loud without decoding. Others
may put in more than this: contributing sources, other extensions and padding are skipped.
"""

import struct
from dataclasses import dataclass

from netcode.errors import UsageError, WireError
from netcode.voice.opus import MAX_PACKET

PAYLOAD_TYPE = 111
"""Opus, by the number that browsers give it."""

SILENT = 127
"""The level of silence; 0 is as loud as samples can be."""

MAX_SPEAKER = 2**32 - 1

_HEADER = struct.Struct(">BBHII")
_LEVEL = struct.Struct(">HHBBxx")
_LENGTH = struct.Struct(">HH")
_VERSION = 0b1000_0000
_PADDED = 0b0010_0000
_EXTENDED = 0b0001_0000
_ONE_BYTE_EXTENSIONS = 0xBEDE
_LEVEL_ID = 1
_IS_VOICE = 0x80


@dataclass(frozen=True, slots=True)
class VoicePacket:
    """20 ms of one voice.

    - ``speaker``: whose voice it is, 32 bits.
    - ``sequence``: one more than in the packet sent before, 16 bits.
    - ``timestamp``: of the first sample, at 48 kHz, 32 bits. It goes on while nothing is sent.
    - ``level``: how loud, in -dB of the loudest possible: 0 is loudest, 127 is silence. A packet
      that does not say is taken for silent.
    - ``marker``: the first packet after silence, in which nothing was sent.
    - ``payload``: the Opus packet, 1 to 1,276 bytes.
    """

    speaker: int
    sequence: int
    timestamp: int
    level: int
    marker: bool
    payload: bytes

    def encode(self) -> bytes:
        """The packet's bytes. Raises `UsageError` if something does not fit into its bits."""
        if not 0 <= self.level <= SILENT:
            raise UsageError(f"level must be 0 to {SILENT}, not {self.level!r}")
        if not 1 <= len(self.payload) <= MAX_PACKET:
            raise UsageError(f"payload must be 1 to {MAX_PACKET:,} bytes, not {len(self.payload)}")
        voice = _IS_VOICE if self.level < SILENT else 0
        try:
            header = _HEADER.pack(
                _VERSION | _EXTENDED,
                self.marker << 7 | PAYLOAD_TYPE,
                self.sequence,
                self.timestamp,
                self.speaker,
            )
        except struct.error as error:
            raise UsageError(
                f"sequence has 16 bits, timestamp and speaker have 32: {self!r:.120}"
            ) from error
        level = _LEVEL.pack(_ONE_BYTE_EXTENSIONS, 1, _LEVEL_ID << 4, voice | self.level)
        return header + level + self.payload


def decode(data: bytes) -> VoicePacket:
    """The packet that these bytes are. Raises `WireError` if they are none with a voice in it."""
    if len(data) < _HEADER.size:
        raise WireError("shorter than an RTP header")
    flags, kind, sequence, timestamp, speaker = _HEADER.unpack_from(data)
    if flags >> 6 != 2 or kind & 0x7F != PAYLOAD_TYPE:
        raise WireError("not RTP with Opus in it")
    start = _HEADER.size + 4 * (flags & 0x0F)
    end = len(data)
    level = SILENT
    if flags & _EXTENDED:
        if start + _LENGTH.size > end:
            raise WireError("RTP extensions are cut off")
        profile, words = _LENGTH.unpack_from(data, start)
        first, start = start + _LENGTH.size, start + _LENGTH.size + 4 * words
        if start > end:
            raise WireError("RTP extensions are cut off")
        if profile == _ONE_BYTE_EXTENSIONS:
            level = _find_level(data[first:start])
    if flags & _PADDED:
        padding = data[-1]
        if padding == 0:
            raise WireError("RTP padding without length")
        end -= padding
    if not start < end <= start + MAX_PACKET:
        raise WireError("no RTP payload, or too much of it")
    return VoicePacket(speaker, sequence, timestamp, level, bool(kind >> 7), data[start:end])


def _find_level(extensions: bytes) -> int:
    """The level among one-byte extensions (RFC 8285, section 4.2)."""
    at = 0
    while at < len(extensions):
        number, size = extensions[at] >> 4, (extensions[at] & 0x0F) + 1
        if number == 0:  # padding, a byte long
            at += 1
            continue
        if number == 15:  # reserved: nothing behind it may be read
            break
        if at + 1 + size > len(extensions):
            raise WireError("an RTP extension is cut off")
        if number == _LEVEL_ID:
            return extensions[at + 1] & 0x7F
        at += 1 + size
    return SILENT
