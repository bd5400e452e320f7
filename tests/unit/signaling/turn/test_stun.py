"""STUN messages: what a server reads in them, and the one error for all that is wrong."""

import pytest
from aioice import stun as codec

from signaling.credentials import long_term_key
from signaling.errors import PacketError
from signaling.turn import stun
from signaling.turn.stun import Class, Message, Method
from tests.unit.signaling.turn.turn_lab import PEER, PEER_V6, RawMessage, attribute, xor_peer

RFC5769_LONG_TERM = bytes.fromhex(
    "0001 0060 2112a442 78ad3433c6ad72c029da412e"
    "0006 0012 e3839ee38388e383aae38383e382afe382b9 0000"
    "0015 001c 662f2f3439396b3935346436 4f4c33346f4c3946535476793634734 1"
    "0014 000b 6578616d706c652e6f7267 00"
    "0008 0014 f67024656dd64a3e02b8e0712e85c9a28ca89666".replace(" ", "")
)
"""The message of RFC 5769, 2.4."""


def request(raw: bytes = b"", **attributes: object) -> bytes:
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    message = RawMessage(Method.ALLOCATE, Class.REQUEST, bytes(range(12)), named)
    message.raw = raw
    return bytes(message)


def test_the_message_of_rfc_5769() -> None:
    message = stun.parse(RFC5769_LONG_TERM)
    assert message.method is Method.BINDING
    assert message.username == "マトリックス"
    assert message.realm == "example.org"
    assert message.nonce == b"f//499k954d6OL34oL9FSTvy64sA"
    assert message.signed
    assert message.is_signed_with(long_term_key("マトリックス", "example.org", "TheMatrIX"))
    assert not message.is_signed_with(long_term_key("マトリックス", "example.org", "thematrix"))


def test_every_attribute_of_a_request_is_read() -> None:
    message = stun.parse(
        request(
            xor_peer(PEER)
            + xor_peer(PEER_V6)
            + attribute(0x0017, b"\x02\0\0\0")
            + attribute(0x0018, b"\x80"),
            LIFETIME=777,
            CHANNEL_NUMBER=0x4001,
            REQUESTED_TRANSPORT=17 << 24,
            DATA=b"hello",
        )
    )
    assert message.peers == (PEER, PEER_V6)
    assert (message.lifetime, message.channel, message.transport) == (777, 0x4001, 17)
    assert (message.family, message.wants_even_port, message.wants_next_port) == (2, True, True)
    assert message.data == b"hello"
    assert message.unknown == ()
    assert not message.has_token
    assert stun.parse(request(attribute(0x0022, bytes(8)))).has_token


def test_what_must_be_understood_and_is_not_is_listed_once() -> None:
    raw = attribute(0x001A, b"") + attribute(0x7FFF, b"x") * 2 + attribute(0x8001, b"y")
    assert stun.parse(request(raw)).unknown == (0x001A, 0x7FFF)


def test_what_follows_the_signature_does_not_count() -> None:
    message = RawMessage(Method.ALLOCATE, Class.REQUEST, bytes(12), {"LIFETIME": 600})
    message.attributes["MESSAGE-INTEGRITY"] = codec.message_integrity(bytes(message), b"key")
    packet = bytes(message)
    smuggled = attribute(0x7FFF, b"") + xor_peer(PEER)
    longer = codec.set_body_length(packet + smuggled, len(packet) + len(smuggled) - 20)
    parsed = stun.parse(longer)
    assert parsed.is_signed_with(b"key")
    assert parsed.unknown == ()
    assert parsed.peers == ()


GOOD = request(LIFETIME=600)


def lying(kind: int, size: int) -> bytes:
    """A message whose one attribute says that it is longer than the message."""
    return b"\x00\x03\x00\x08" + GOOD[4:20] + kind.to_bytes(2, "big") + bytes([0, size]) + bytes(4)


BAD = {
    "nothing": b"",
    "less than a header": GOOD[:19],
    "shorter than it says": GOOD[:-4],
    "longer than it says": GOOD + bytes(4),
    "DTLS": b"\x80" + GOOD[1:],
    "ChannelData": b"\x40" + GOOD[1:],
    "no cookie": GOOD[:4] + bytes(4) + GOOD[8:],
    "a method that nobody knows": b"\x3e\xef" + GOOD[2:],
    "a number without bytes": request(attribute(0x000D, b"")),
    "a number of five bytes": request(attribute(0x000D, b"12345")),
    "text that is no UTF-8": request(attribute(0x0006, b"\xff\xfe\xfd\xfc")),
    "an attribute beyond the end": lying(0x000D, 255),
    "an address of no family": lying(0x0012, 4),
    "a fingerprint that does not fit": request(attribute(0x8028, b"1234")),
    "too many attributes": request(attribute(0x8000, b"") * 65),
}


@pytest.mark.parametrize("packet", BAD.values(), ids=BAD.keys())
def test_whatever_is_wrong_is_one_error(packet: bytes) -> None:
    with pytest.raises(PacketError):
        stun.parse(packet)


def parsed(packet: bytes = GOOD) -> Message:
    return stun.parse(packet)


def test_answers_are_signed_if_there_is_a_key() -> None:
    signed = codec.parse_message(stun.success(parsed(), {"LIFETIME": 600}, b"key"))
    assert signed.check_message_integrity(b"key")
    assert signed.transaction_id == bytes(range(12))
    plain = stun.success(parsed(), {"LIFETIME": 600})
    assert codec.parse_message(plain).attributes == {"LIFETIME": 600}


def test_420_lists_what_was_not_understood() -> None:
    question = parsed(request(attribute(0x001A, b"") + attribute(0x7FFF, b"")))
    packet = stun.refusal(question, 420, key=b"key")
    assert attribute(0x000A, b"\x00\x1a\x7f\xff") in packet
    answer = codec.parse_message(packet)
    assert answer.error_code == 420
    assert answer.check_message_integrity(b"key")


def test_a_challenge_is_small() -> None:
    packet = stun.refusal(parsed(), 401, {"REALM": "signaling", "NONCE": b"x" * 32})
    assert len(packet) <= 100
