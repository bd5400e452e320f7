"""The binary frame of a parcel, and the queue in which parcels wait for a slow reader."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.errors import MessageError, UsageError
from signaling.limits import SignalingLimits
from signaling.outgoing import Outgoing
from signaling.parcels import MAX_PARCEL_BYTES, decode_parcel, encode_parcel


def outgoing(**limits: Any) -> Outgoing:
    return Outgoing(SignalingLimits(**limits))


ids = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda t: len(t.encode()) <= 64)


@given(ids, st.binary(max_size=200))
def test_what_one_end_encodes_the_other_decodes(peer: str, data: bytes) -> None:
    assert decode_parcel(encode_parcel(peer, data)) == (peer, data)


def test_the_layout_is_as_documented() -> None:
    assert encode_parcel("ada", b"\x00hello") == b"\x03ada\x00hello"


def test_the_largest_parcel_passes_and_a_larger_one_does_not() -> None:
    frame = encode_parcel("i" * 64, bytes(MAX_PARCEL_BYTES))
    assert decode_parcel(frame) == ("i" * 64, bytes(MAX_PARCEL_BYTES))
    with pytest.raises(MessageError, match="at most"):
        decode_parcel(frame + b"x")


@pytest.mark.parametrize(
    "frame", [b"", b"\x00", b"\x00abc", b"\x41" + b"a" * 80, b"\x05ada", b"\x01\xff"]
)
def test_a_frame_without_an_id_is_no_parcel(frame: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        decode_parcel(frame)
    assert caught.value.code == "bad_parcel"


@pytest.mark.parametrize(
    ("peer", "data"),
    [
        ("", b"x"),
        ("i" * 65, b"x"),
        ("\ud800", b"x"),
        ("ada", bytes(MAX_PARCEL_BYTES + 1)),
        ("ada", "text"),
        ("ada", bytearray(3)),
    ],
)
def test_misuse_names_the_bound(peer: str, data: Any) -> None:
    with pytest.raises(UsageError, match=r"at most|1 to 64"):
        encode_parcel(peer, data)


def test_messages_go_before_parcels() -> None:
    queue = outgoing()
    assert queue.take() is None
    assert queue.put_parcel("ada", b"1")
    assert queue.put_message("later, and first")
    assert [queue.take() for _ in range(3)] == ["later, and first", b"1", None]


def test_senders_take_turns_and_each_keeps_its_order() -> None:
    queue = outgoing()
    for number in range(4):
        assert queue.put_parcel("flood", b"f%d" % number)
    assert queue.put_parcel("ada", b"a0")
    assert queue.put_parcel("ada", b"a1")
    order = []
    while (frame := queue.take()) is not None:
        order.append(frame)
    assert order == [b"f0", b"a0", b"f1", b"a1", b"f2", b"f3"]


def test_one_sender_cannot_take_the_room_of_another() -> None:
    queue = outgoing(parcel_queue_bytes=100_000, parcel_queue_bytes_per_sender=40_000)
    assert queue.put_parcel("flood", bytes(30_000))
    assert not queue.put_parcel("flood", bytes(20_000))
    assert queue.put_parcel("ada", bytes(40_000))
    assert queue.put_parcel("bob", bytes(30_000))
    assert not queue.put_parcel("eve", b"x")
    queue.take()
    assert queue.put_parcel("eve", b"x")
    assert queue.put_parcel("flood", bytes(20_000))


def test_a_message_that_finds_no_room_says_so() -> None:
    queue = outgoing(send_queue_messages=2)
    assert [queue.put_message("x") for _ in range(3)] == [True, True, False]
    assert queue.messages == 2
