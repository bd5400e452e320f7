"""Parcels: opaque bytes from one member of a room to another, through the signaling server.

For two peers whose network lets nothing pass but this WebSocket. A parcel is one binary frame:

    1 byte      how many bytes the id has, 1 to 64
    the id      in UTF-8; from a client the receiver's, from the server the sender's
    payload     up to 16,640 bytes: a transport's largest message, and 256 for its headers

The server replaces the one id by the other, so nobody can speak in another's name, and passes
parcels on within a room only. From one sender to one receiver they arrive in order and without a
gap, until an `Error` with the code ``relaying_ended`` and the other's id says to both that there
was no room for one of them. From then on the server drops what the sender still sends to that
receiver, until a parcel with an empty payload comes. That one is for the server alone: it says
that the sender has heard of the end, and begins anew. `SignalingClient.send_to` does so by itself.

TLS (``wss://``) protects parcels on the way to the server and from it; the server sees them. Pure.
"""

from dataclasses import dataclass

from signaling.errors import MessageError, UsageError
from signaling.messages import MAX_ID_BYTES, ServerMessage

MAX_PARCEL_BYTES = 16_640
"""Bytes of a payload: 16 KiB, and 256 for headers of those who send each other parcels."""

MAX_PARCEL_FRAME_BYTES = 1 + MAX_ID_BYTES + MAX_PARCEL_BYTES


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a peer of the room has sent through the server."""

    sender: str
    """Its id, written by the server."""
    data: bytes


Incoming = ServerMessage | Parcel
"""What a member of a room hears."""


def encode_parcel(peer: str, data: bytes) -> bytes:
    """Return the binary frame of a parcel to, or from, a peer.

    Raises:
        UsageError: if the payload is no ``bytes`` or too long, or if this could be nobody's id.
    """
    if type(data) is not bytes or len(data) > MAX_PARCEL_BYTES:
        raise UsageError(f"a parcel is a bytes object of at most {MAX_PARCEL_BYTES} bytes")
    try:
        name = peer.encode()
    except UnicodeEncodeError:
        name = b""
    if not 0 < len(name) <= MAX_ID_BYTES:
        raise UsageError(f"a peer's id has 1 to {MAX_ID_BYTES} bytes, not {peer!r:.80}")
    return bytes((len(name),)) + name + data


def decode_parcel(frame: bytes) -> tuple[str, bytes]:
    """Return the peer's id and the payload of a binary frame. Raises only `MessageError`."""
    size = frame[0] if frame else 0
    if not 0 < size <= MAX_ID_BYTES or len(frame) < 1 + size:
        raise MessageError(
            "bad_parcel", f"a binary frame begins with the length of an id, 1 to {MAX_ID_BYTES}"
        )
    if len(frame) - 1 - size > MAX_PARCEL_BYTES:
        raise MessageError("bad_parcel", f"a parcel has at most {MAX_PARCEL_BYTES} bytes")
    try:
        return frame[1 : 1 + size].decode(), frame[1 + size :]
    except UnicodeDecodeError:
        raise MessageError("bad_parcel", "a peer's id is UTF-8") from None
