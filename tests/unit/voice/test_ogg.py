"""Ogg pages with Opus in them, as others read them."""

import io
import struct

import av
import numpy as np
import pytest

from netcode.voice import ogg
from netcode.voice.opus import FRAME, Encoder
from netcode.voice.sources import Tone


def crc(data: bytes) -> int:
    """Ogg's checksum as RFC 3533 has it, bit by bit."""
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1) ^ (0x04C11DB7 if register & 0x80000000 else 0)
            register &= 0xFFFFFFFF
    return register


def pages_of(data: bytes) -> list[tuple[int, int, int, list[bytes]]]:
    """Flags, granule, number and packets of each page; their checksums are right."""
    found = []
    while data:
        capture, version, flags, granule, _, number, checksum, count = struct.unpack_from(
            "<4sBBqIIIB", data
        )
        assert (capture, version) == (b"OggS", 0)
        lengths = data[27 : 27 + count]
        size = 27 + count + sum(lengths)
        assert crc(data[:22] + bytes(4) + data[26:size]) == checksum
        packets, packet, at = [], b"", 27 + count
        for length in lengths:
            packet += data[at : at + length]
            at += length
            if length < 255:
                packets.append(packet)
                packet = b""
        assert packet == b"", "no packet goes on in the next page"
        found.append((flags, granule, number, packets))
        data = data[size:]
    return found


def decode(data: bytes, decoder: str) -> np.ndarray:
    """The samples of the left side, as one of FFmpeg's two decoders has them."""
    with av.open(io.BytesIO(data)) as file:
        stream = file.streams.audio[0]
        codec = av.CodecContext.create(decoder, "r")
        codec.extradata = stream.codec_context.extradata
        pieces = []
        for packet in file.demux(stream):
            for frame in codec.decode(packet):
                samples = frame.to_ndarray()
                if samples.dtype == np.int16:
                    samples = samples.astype(np.float32) / 32_768
                pieces.append(samples.reshape(-1) if len(samples) == 1 else samples[0])
    return np.concatenate(pieces)


def tone(count: int, hz: float = 440.0) -> list[bytes]:
    encoder, source = Encoder(), Tone(hz)
    return [encoder.encode(source.next()) for _ in range(count)]


def levels(samples: np.ndarray) -> np.ndarray:
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return np.sqrt(np.mean(frames**2, axis=1))


def test_pages_are_those_of_the_rfcs() -> None:
    stream = ogg.OpusStream("Ada")
    packets = tone(60)
    data = stream.head() + stream.pages(packets[:50]) + stream.pages(packets[50:], last=True)
    head, tags, first, last = pages_of(data)
    assert [head[0], tags[0], first[0], last[0]] == [2, 0, 0, 4]
    assert [page[2] for page in (head, tags, first, last)] == [0, 1, 2, 3]
    assert [page[1] for page in (head, tags, first, last)] == [0, 0, 48_000, 57_600]
    assert head[3] == [b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"]
    assert tags[3] == [b"OpusTags\x07\0\0\0netcode\x01\0\0\0\x09\0\0\0TITLE=Ada"]
    assert first[3] + last[3] == packets


@pytest.mark.parametrize("size", [1, 254, 255, 256, 510, 1_276])
def test_packets_of_any_size_come_back(size: int) -> None:
    packets = [bytes([31 << 3]) + bytes(size - 1) for _ in range(120)]
    pages = pages_of(ogg.OpusStream("").pages(packets))
    assert [packet for page in pages for packet in page[3]] == packets
    assert pages[-1][1] == 120 * FRAME


@pytest.mark.parametrize("decoder", ["opus", "libopus"])
def test_silence_and_losses_last_as_long_as_they_should(decoder: str) -> None:
    sound = tone(100)
    stream = ogg.OpusStream("")
    packets = [*sound[:50], *ogg.silence(331), *sound[50:60]]
    packets += [*([ogg.lost(sound[59])] * 2), *sound[62:]]
    samples = decode(stream.head() + stream.pages(packets, last=True), decoder)
    loud = levels(samples)
    assert abs(len(samples) - (431 * FRAME - ogg.PRE_SKIP)) <= ogg.PRE_SKIP
    assert loud[5:49].min() > 0.08
    assert loud[52:379].max() < 0.001
    assert loud[400:].min() > 0.08


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"", 0),
        (b"\x08", 960),  # SILK, 20 ms
        (b"\x18", 2_880),  # SILK, 60 ms
        (b"\x60", 480),  # hybrid, 10 ms
        (b"\x78", 960),  # hybrid, 20 ms
        (b"\xe0", 120),  # CELT, 2.5 ms
        (b"\xf9", 1_920),  # CELT, two of 20 ms
        (b"\xfb", 0),  # some of them, but not how many
        (b"\xfb\x06", 5_760),
    ],
)
def test_a_packet_says_how_long_it_is(packet: bytes, samples: int) -> None:
    assert ogg.samples_of(packet) == samples


@pytest.mark.parametrize("frames", [0, 1, 5, 6, 7, 50])
def test_silence_has_its_length(frames: int) -> None:
    assert sum(map(ogg.samples_of, ogg.silence(frames))) == frames * FRAME
