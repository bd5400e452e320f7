"""What a server reads and writes in a voice packet: a few bytes of its RTP header (RFC 3550).

    0   version, padding, extension, CSRC count      0x90: version 2, an extension, nothing else
    1   marker, payload type                         `FLAT` or `PLACED`
    8   synchronisation source, 4 bytes              the player's number
    12  0xBEDE, 1: one word of extensions of one byte each (RFC 8285)
    16  0x10, level                                  extension 1 is the audio level (RFC 6464)

`netcode.voice.rtp` makes and reads whole packets.
"""

from netcode.errors import WireError

FLAT = 111
"""Payload type of a voice that is heard wherever its speaker is."""
PLACED = 112
"""Payload type of a voice that fades and pans with the place of its speaker."""

MARKER = 0x80
FIRST_BYTE = 0x90
EXTENSION = bytes((0xBE, 0xDE, 0, 1, 0x10))
HEADER_BYTES = 20


def peek(packet: bytes, number: int) -> int:
    """The level, 0 (loudest) to 127 (silence), of a packet of this player's.

    Raises `WireError` for anything but a voice packet, and for one in another's name.
    """
    if len(packet) <= HEADER_BYTES or packet[0] != FIRST_BYTE or packet[12:17] != EXTENSION:
        raise WireError("not a voice packet")
    if packet[1] & ~MARKER not in (FLAT, PLACED):
        raise WireError(f"payload type {packet[1] & ~MARKER} is no voice")
    if int.from_bytes(packet[8:12], "big") != number:
        raise WireError("a voice in another's name")
    return packet[17] & 0x7F


def stamped(packet: bytes, payload_type: int) -> bytes:
    """The packet with this payload type."""
    kind = packet[1] & MARKER | payload_type
    return packet if packet[1] == kind else packet[:1] + bytes((kind,)) + packet[2:]


def numbered(packet: bytes, sequence: int, payload_type: int, begins: bool) -> bytes:
    """The packet with this sequence number and payload type, and marked if it begins something."""
    kind = packet[1] & MARKER | payload_type | (MARKER if begins else 0)
    return packet[:1] + bytes((kind,)) + sequence.to_bytes(2, "big") + packet[4:]


def renumbered(packet: bytes, number: int) -> bytes:
    """The packet as one of the speaker with this number. Raises `WireError` if it is too short."""
    if len(packet) <= HEADER_BYTES:
        raise WireError("not a voice packet")
    return packet[:8] + number.to_bytes(4, "big") + packet[12:]


def is_placed(packet: bytes) -> bool:
    """Whether a packet's voice fades and pans with the place of its speaker."""
    return packet[1] & ~MARKER == PLACED
