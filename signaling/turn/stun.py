"""STUN messages as a TURN server needs them (RFC 8489, 5; RFC 8656, 18).

aioice has the codec. Around it stands here what a server that faces the network needs on top:
whatever is wrong with a message raises one error; several peers in one request are all read;
attributes that must be understood and are not are listed; and a few attributes that aioice does
not know are added. This module is pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from aioice import stun as codec

from signaling.errors import PacketError

Address = tuple[str, int]
"""An IP address in its shortest text, and a port."""

Method = codec.Method
Class = codec.Class

HEADER_BYTES = codec.HEADER_LENGTH
UDP: Final = 17
"""The number of UDP in REQUESTED-TRANSPORT."""

MAX_ATTRIBUTES = 64
"""Attributes of one message. Requests have about eight; one may list several peers."""

ICE_IN_BINDINGS = (0x0024, 0x0025)
"""PRIORITY and USE-CANDIDATE."""


class Family(IntEnum):
    """Address families, by their numbers in STUN."""

    IPV4 = 1
    IPV6 = 2


class Attribute(IntEnum):
    """Types of attributes that this file reads itself."""

    ERROR_CODE = 0x0009
    MESSAGE_INTEGRITY = 0x0008
    UNKNOWN_ATTRIBUTES = 0x000A
    XOR_PEER_ADDRESS = 0x0012
    REQUESTED_ADDRESS_FAMILY = 0x0017
    EVEN_PORT = 0x0018
    RESERVATION_TOKEN = 0x0022
    FINGERPRINT = 0x8028


_OPTIONAL = 0x8000
"""Attributes from here on may be ignored by those who do not know them."""

_UNDERSTOOD = frozenset(
    codec.ATTRIBUTES_BY_NAME[name][0]
    for name in (
        "USERNAME",
        "MESSAGE-INTEGRITY",
        "CHANNEL-NUMBER",
        "LIFETIME",
        "XOR-PEER-ADDRESS",
        "DATA",
        "REALM",
        "NONCE",
        "REQUESTED-TRANSPORT",
    )
) | {
    Attribute.REQUESTED_ADDRESS_FAMILY,
    Attribute.EVEN_PORT,
    Attribute.RESERVATION_TOKEN,
    *ICE_IN_BINDINGS,
}

REASONS: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    420: "Unknown Attribute",
    437: "Allocation Mismatch",
    438: "Stale Nonce",
    440: "Address Family not Supported",
    441: "Wrong Credentials",
    442: "Unsupported Transport",
    443: "Peer Address Family Mismatch",
    486: "Allocation Quota Reached",
    508: "Insufficient Capacity",
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received, in a well-formed state."""

    method: Method
    kind: Class
    transaction_id: bytes
    peers: tuple[Address, ...]
    """Every XOR-PEER-ADDRESS, in order."""
    unknown: tuple[int, ...]
    """Types of attributes that must be understood and are not."""
    username: str | None
    realm: str | None
    nonce: bytes | None
    lifetime: int | None
    channel: int | None
    data: bytes | None
    transport: int | None
    """The protocol number in REQUESTED-TRANSPORT."""
    family: int | None
    """The number in REQUESTED-ADDRESS-FAMILY, which may be one that nobody knows."""
    wants_even_port: bool
    """Whether there is an EVEN-PORT."""
    wants_next_port: bool
    """Whether that asks to keep the port after it as well."""
    has_token: bool
    """Whether there is a RESERVATION-TOKEN."""
    signed: bool
    """Whether there is a MESSAGE-INTEGRITY; `is_signed_with` says whether it is right."""
    _decoded: codec.Message

    def is_signed_with(self, key: bytes) -> bool:
        """Say whether MESSAGE-INTEGRITY was made with this key."""
        return self._decoded.check_message_integrity(key)


def parse(packet: bytes) -> Message:
    """Return the message in a packet.

    Raises:
        PacketError: whatever is wrong with it. A FINGERPRINT that does not fit is wrong.
    """
    if len(packet) < HEADER_BYTES or packet[0] & 0xC0 or len(packet) % 4:
        raise PacketError("no STUN message")
    if int.from_bytes(packet[4:8], "big") != codec.COOKIE:
        raise PacketError("no magic cookie")
    raw = _attributes(packet)
    try:
        decoded = codec.parse_message(packet)
        transaction_id = decoded.transaction_id
        peers = tuple(
            codec.unpack_xor_address(value, transaction_id)
            for kind, value in raw
            if kind == Attribute.XOR_PEER_ADDRESS
        )
    except Exception as error:
        # aioice promises ValueError, and raises struct.error and UnicodeDecodeError as well. What
        # it raises next must not take down a server either.
        raise PacketError(f"no STUN message: {error}") from None
    known = decoded.attributes
    types = [kind for kind, _ in raw]
    transport = known.get("REQUESTED-TRANSPORT")
    even_port = _first_byte(raw, Attribute.EVEN_PORT)
    return Message(
        method=decoded.message_method,
        kind=decoded.message_class,
        transaction_id=transaction_id,
        peers=peers,
        unknown=tuple(
            dict.fromkeys(kind for kind in types if kind < _OPTIONAL and kind not in _UNDERSTOOD)
        ),
        username=known.get("USERNAME"),
        realm=known.get("REALM"),
        nonce=known.get("NONCE"),
        lifetime=known.get("LIFETIME"),
        channel=known.get("CHANNEL-NUMBER"),
        data=known.get("DATA"),
        transport=None if transport is None else transport >> 24,
        family=_first_byte(raw, Attribute.REQUESTED_ADDRESS_FAMILY),
        wants_even_port=even_port is not None,
        wants_next_port=bool(even_port and even_port & 0x80),
        has_token=Attribute.RESERVATION_TOKEN in types,
        signed="MESSAGE-INTEGRITY" in known,
        _decoded=decoded,
    )


def success(request: Message, attributes: Mapping[str, Any], key: bytes | None = None) -> bytes:
    """Return the response that says yes, signed if there is a key.

    ``attributes`` are named and valued as in aioice.
    """
    answer = _Outgoing(request.method, Class.RESPONSE, request.transaction_id, dict(attributes))
    return answer.sealed(key)


def refusal(
    request: Message,
    code: int,
    attributes: Mapping[str, Any] | None = None,
    key: bytes | None = None,
) -> bytes:
    """Return the response that says no, with one of the codes in `REASONS`."""
    answer = _Outgoing(
        request.method,
        Class.ERROR,
        request.transaction_id,
        {"ERROR-CODE": (code, REASONS[code]), **(attributes or {})},
    )
    if code == 420:
        answer.unknown = request.unknown
    return answer.sealed(key)


def data_indication(peer: Address, data: bytes) -> bytes:
    """Return what a client gets from a peer that has no channel (RFC 8656, 11.4)."""
    message = codec.Message(
        Method.DATA, Class.INDICATION, attributes={"XOR-PEER-ADDRESS": peer, "DATA": data}
    )
    return bytes(message)


class _Outgoing(codec.Message):
    """A message that can carry UNKNOWN-ATTRIBUTES, which aioice does not know."""

    unknown: tuple[int, ...] = ()

    def sealed(self, key: bytes | None) -> bytes:
        """Return the bytes, signed and with a FINGERPRINT if there is a key."""
        if key is not None:
            self.add_message_integrity(key)
        return bytes(self)

    def __bytes__(self) -> bytes:
        packet = super().__bytes__()
        if not self.unknown:
            return packet
        types = b"".join(kind.to_bytes(2, "big") for kind in self.unknown)
        extra = Attribute.UNKNOWN_ATTRIBUTES.to_bytes(2, "big") + len(types).to_bytes(2, "big")
        extra += types + bytes(-len(types) % 4)
        body = extra + packet[HEADER_BYTES:]
        return packet[:2] + len(body).to_bytes(2, "big") + packet[4:HEADER_BYTES] + body


def _attributes(packet: bytes) -> list[tuple[int, bytes]]:
    """Return type and value of every attribute that counts.

    What follows MESSAGE-INTEGRITY is not signed and is ignored, FINGERPRINT excepted
    (RFC 8489, 14.5).
    """
    if int.from_bytes(packet[2:4], "big") != len(packet) - HEADER_BYTES:
        raise PacketError("the length is wrong")
    found: list[tuple[int, bytes]] = []
    signed = False
    at = HEADER_BYTES
    while at < len(packet):
        kind = int.from_bytes(packet[at : at + 2], "big")
        size = int.from_bytes(packet[at + 2 : at + 4], "big")
        end = at + 4 + size
        if end > len(packet):
            raise PacketError("an attribute is longer than its message")
        if not signed or kind == Attribute.FINGERPRINT:
            found.append((kind, packet[at + 4 : end]))
        signed = signed or kind == Attribute.MESSAGE_INTEGRITY
        if len(found) > MAX_ATTRIBUTES:
            raise PacketError(f"more than {MAX_ATTRIBUTES} attributes")
        at = end + -size % 4
    return found


def _first_byte(raw: list[tuple[int, bytes]], kind: Attribute) -> int | None:
    """Return the first byte of an attribute, which is 0 if it is empty; None if it is missing."""
    for found, value in raw:
        if found == kind:
            return value[0] if value else 0
    return None
