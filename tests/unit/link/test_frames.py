"""What a link's messages look like, and that nothing else is taken for one."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netcode.errors import WireError
from netcode.link import frames
from netcode.link.frames import Acknowledgement, Heartbeat, Piece
from netcode.transports.base import MAX_DATAGRAM

U32 = st.integers(0, 2**32 - 1)
U16 = st.integers(0, 2**16 - 1)
ACKNOWLEDGEMENTS = st.builds(Acknowledgement, U32, U32, U32)


@given(
    st.builds(
        Heartbeat,
        U32,
        U32,
        U16,
        st.lists(ACKNOWLEDGEMENTS, max_size=frames.MAX_ACKNOWLEDGEMENTS).map(tuple),
    )
)
def test_a_heartbeat_reads_as_it_was_written_and_fits_one_packet(beat: Heartbeat) -> None:
    data = beat.encode()
    assert len(data) <= MAX_DATAGRAM
    assert frames.decode(data) == beat


@given(U32, U32, st.binary(max_size=300))
def test_a_whole_message_reads_as_it_was_written(
    channel: int, sequence: int, payload: bytes
) -> None:
    piece = Piece(channel, sequence, 0, 1, payload)
    assert frames.decode(piece.encode()) == piece


@given(U32, U32, st.integers(2, 900), st.data())
def test_a_piece_reads_as_it_was_written(
    channel: int, sequence: int, count: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, count - 1))
    size = frames.PIECE_BYTES if index < count - 1 else data.draw(st.integers(0, 1085))
    piece = Piece(channel, sequence, index, count, bytes(size))
    assert len(piece.encode()) <= MAX_DATAGRAM
    assert frames.decode(piece.encode()) == piece


def test_the_longest_whole_message_fits_one_packet() -> None:
    assert len(Piece(1, 1, 0, 1, bytes(frames.WHOLE_BYTES)).encode()) == MAX_DATAGRAM


@pytest.mark.parametrize("reason", ["", "left", "kicked: spamming", "früh genug", "再见"])
def test_a_goodbye_says_why(reason: str) -> None:
    assert frames.decode(frames.encode_bye(reason)) == reason


@pytest.mark.parametrize("kind", [frames.Resume, frames.Ticket])
def test_a_ticket_reads_as_it_was_written(kind: type[frames.Resume | frames.Ticket]) -> None:
    shown = kind(bytes(range(24)))
    assert frames.decode(shown.encode()) == shown


def test_a_long_goodbye_is_cut_between_characters() -> None:
    said = frames.decode(frames.encode_bye("再" * 200))
    assert isinstance(said, str)
    assert said == "再" * len(said)
    assert frames.MAX_REASON_BYTES - 3 < len(said.encode()) <= frames.MAX_REASON_BYTES


def test_a_goodbye_from_the_network_cannot_drive_a_terminal() -> None:
    hostile = bytes([frames.BYE]) + b"\x1b[2Jgone\r\n\x00" + "\u202e!".encode()
    assert frames.decode(hostile) == "[2Jgone!"


PIECE = struct.Struct("<BIIHH")
MALFORMED = {
    "unknown kind": bytes([7]) + bytes(40),
    "a short ticket": frames.Ticket(bytes(23)).encode(),
    "a long ticket": frames.Resume(bytes(25)).encode(),
    "kind 0": bytes(40),
    "heartbeat without a body": bytes([frames.HEARTBEAT]),
    "heartbeat that promises more": Heartbeat(1, 2, 3, ()).encode()[:-1] + b"\x02",
    "heartbeat with a tail": Heartbeat(1, 2, 3, ()).encode() + b"x",
    "whole message without a header": bytes([frames.WHOLE, 1, 2, 3]),
    "piece without a header": bytes([frames.PIECE, 1, 2, 3]),
    "piece of none": PIECE.pack(frames.PIECE, 1, 1, 0, 0),
    "piece of one": PIECE.pack(frames.PIECE, 1, 1, 0, 1),
    "piece beyond its count": PIECE.pack(frames.PIECE, 1, 1, 2, 2),
    "piece too short for the middle": PIECE.pack(frames.PIECE, 1, 1, 0, 2) + b"short",
    "piece too long for the end": PIECE.pack(frames.PIECE, 1, 1, 1, 2) + bytes(2000),
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_a_wire_error(data: bytes) -> None:
    with pytest.raises(WireError):
        frames.decode(data)


def test_a_channel_number_tells_names_and_deliveries_apart() -> None:
    numbers = {
        frames.channel_id(name, delivery)
        for name in ("chat", "files", "")
        for delivery in ("RELIABLE", "UNORDERED", "EXPIRING(100)")
    }
    assert len(numbers) == 9
