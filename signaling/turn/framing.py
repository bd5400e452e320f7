"""ChannelData, and packets on a stream (RFC 8656, 12.4 and 12.5; RFC 8489, 6.2.2).

A datagram is one packet. On TCP and TLS packets follow each other, each as long as its header
says, ChannelData padded to four bytes. This module is pure.

    ChannelData   0x4000–0x7FFF (2)  length of the data (2)  data
    STUN          type below 0x4000 (2)  length of the attributes (2)  16 more bytes  attributes
"""

from collections.abc import Iterator

from signaling.errors import PacketError

CHANNELS = range(0x4000, 0x8000)
"""Numbers that a channel may have.

RFC 8656 ends them at 0x4FFF, since other protocols may share the client's port; RFC 5766 did not,
and clients of that time, coturn's own among them, take any. Nothing else comes to this port.
"""

CHANNEL_BYTES = range(0x40, 0x80)
"""First bytes of ChannelData. Those of STUN are below."""

CHANNEL_HEADER = 4
STUN_HEADER = 20

LARGEST_OF_STRANGER = 2_048
"""Bytes of a packet on a connection without allocation. A signed request has about 200."""

LARGEST = CHANNEL_HEADER + 65_535
"""Bytes of any packet that a length of 16 bits can announce as data."""


def is_channel_data(packet: bytes) -> bool:
    """Say whether a packet begins like ChannelData."""
    return bool(packet) and packet[0] in CHANNEL_BYTES


def channel_data(number: int, data: bytes) -> bytes:
    """Return data as ChannelData, without padding."""
    return number.to_bytes(2, "big") + len(data).to_bytes(2, "big") + data


def read_channel_data(packet: bytes) -> tuple[int, bytes]:
    """Return the channel's number and the data. Bytes after the data are padding.

    Raises:
        PacketError: if this is no ChannelData, or less than its header says.
    """
    if len(packet) < CHANNEL_HEADER or not is_channel_data(packet):
        raise PacketError("no ChannelData")
    end = CHANNEL_HEADER + int.from_bytes(packet[2:4], "big")
    if len(packet) < end:
        raise PacketError("ChannelData is shorter than it says")
    return int.from_bytes(packet[:2], "big"), packet[CHANNEL_HEADER:end]


def padded(packet: bytes) -> bytes:
    """Return a packet as it travels on a stream."""
    return packet + bytes(-len(packet) % 4)


class StreamPackets:
    """Cuts a stream into packets. Keeps less than one packet of ``largest`` bytes."""

    def __init__(self, largest: int = LARGEST_OF_STRANGER) -> None:
        self.largest = largest
        """Bytes of the longest packet that is accepted; may grow while the stream flows."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield every packet that is complete now. Take all of them before feeding again.

        Raises:
            PacketError: if what follows can be no packet. The stream is then lost.
        """
        stream = self._rest + data if self._rest else data
        self._rest = b""
        at = 0
        while len(stream) - at >= CHANNEL_HEADER:
            size = int.from_bytes(stream[at + 2 : at + 4], "big")
            first = stream[at]
            if first < CHANNEL_BYTES.start:
                size += STUN_HEADER
            elif first in CHANNEL_BYTES:
                size += CHANNEL_HEADER
            else:
                raise PacketError(f"no packet begins with {first:#x}")
            if size > self.largest:
                raise PacketError(f"a packet of {size} bytes; {self.largest} are allowed")
            end = at + size + -size % 4
            if len(stream) < end:
                break
            yield stream[at : at + size]
            at = end
        self._rest = stream[at:]
