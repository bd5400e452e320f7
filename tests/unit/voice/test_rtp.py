"""Voice packets: every packet comes back, as aiortc reads it, too; nothing else gets in."""

import struct

import pytest
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from netcode.errors import UsageError, WireError
from netcode.voice.rtp import MAX_SPEAKER, SILENT, VoicePacket, decode

PACKETS = st.builds(
    VoicePacket,
    speaker=st.integers(0, MAX_SPEAKER),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    level=st.integers(0, SILENT),
    marker=st.booleans(),
    payload=st.binary(min_size=1, max_size=1_276),
)
GOLDEN = VoicePacket(0xDEADBEEF, 0x1234, 0x89ABCDEF, 37, True, b"opus")
GOLDEN_BYTES = bytes.fromhex("90ef1234 89abcdef deadbeef bede0001 10a50000 6f707573")


@given(PACKETS)
def test_every_packet_comes_back(packet: VoicePacket) -> None:
    assert decode(packet.encode()) == packet


def test_the_bytes_are_those_of_the_page() -> None:
    assert GOLDEN.encode() == GOLDEN_BYTES
    assert decode(GOLDEN_BYTES) == GOLDEN


@given(PACKETS)
def test_aiortc_reads_the_same(packet: VoicePacket) -> None:
    extensions = HeaderExtensionsMap()
    extensions.configure(_Parameters())
    theirs = RtpPacket.parse(packet.encode(), extensions)
    assert theirs.payload_type == 111
    assert theirs.ssrc == packet.speaker
    assert theirs.sequence_number == packet.sequence
    assert theirs.timestamp == packet.timestamp
    assert theirs.marker == packet.marker
    assert theirs.payload == packet.payload
    assert theirs.extensions.audio_level == (packet.level < SILENT, packet.level)


class _Parameters:
    """What aiortc negotiates: the level has number 1."""

    class _Level:
        id = 1
        uri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

    headerExtensions = (_Level,)  # noqa: N815


def rtp(flags: int, middle: bytes, payload: bytes = b"opus") -> bytes:
    return struct.pack(">BBHII", flags, 111, 5, 6, 7) + middle + payload


@pytest.mark.parametrize(
    ("data", "level"),
    [
        (rtp(0x80, b""), SILENT),
        (rtp(0x83, bytes(12)), SILENT),
        (rtp(0x92, bytes(8) + b"\xbe\xde\0\1\x10\x85\0\0"), 5),
        (rtp(0x90, b"\xbe\xde\0\2\x31ab\x00\x10\x05\0\0"), 5),
        (rtp(0x90, b"\xbe\xde\0\1\xf0\x10\x05\0"), SILENT),
        (rtp(0x90, b"\x10\x00\0\1\x01\x01\x05\0"), SILENT),
        (rtp(0x90, b"\xbe\xde\0\0"), SILENT),
        (rtp(0xA0, b"", b"opus\0\0\3"), SILENT),
    ],
)
def test_what_others_add_is_skipped(data: bytes, level: int) -> None:
    packet = decode(data)
    assert (packet.level, packet.payload) == (level, b"opus")
    assert (packet.sequence, packet.timestamp, packet.speaker) == (5, 6, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOLDEN_BYTES[:11],
        GOLDEN_BYTES[:14],
        GOLDEN_BYTES[:18],
        GOLDEN_BYTES[:20],
        b"\x50" + GOLDEN_BYTES[1:],
        GOLDEN_BYTES[:1] + b"\x60" + GOLDEN_BYTES[2:],
        rtp(0x8F, b""),
        rtp(0x90, b"\xbe\xde\0\1\x1f\1\1\1"),
        rtp(0xA0, b"", b"opus\0"),
        rtp(0xA0, b"", b"opus\xff"),
        rtp(0x80, b"", bytes(1_277)),
    ],
)
def test_what_is_no_voice_packet_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@pytest.mark.parametrize(
    "wrong",
    [
        {"level": 128},
        {"level": -1},
        {"sequence": 65_536},
        {"timestamp": -1},
        {"speaker": 2**32},
        {"payload": b""},
        {"payload": bytes(1_277)},
    ],
)
def test_what_does_not_fit_is_not_sent(wrong: dict[str, object]) -> None:
    values = {name: getattr(GOLDEN, name) for name in VoicePacket.__slots__} | wrong
    with pytest.raises(UsageError):
        VoicePacket(**values).encode()
