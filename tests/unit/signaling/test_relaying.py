"""Relaying, without sockets: who is told that it has ended, and how often."""

import itertools
from contextlib import suppress

import pytest

from signaling.errors import Refused
from signaling.limits import SignalingLimits
from signaling.messages import Error, Join, ServerMessage
from signaling.outgoing import Outgoing
from signaling.parcels import encode_parcel
from signaling.relaying import Relaying
from signaling.rooms import Rooms

LIMITS = SignalingLimits()


class Reader:
    """A connection whose socket takes nothing until it is told to."""

    def __init__(self) -> None:
        self.outgoing = Outgoing(LIMITS)

    def send_parcel(self, sender: str, frame: bytes) -> bool:
        return self.outgoing.put_parcel(sender, frame)

    def has_parcels_of(self, sender: str) -> bool:
        return self.outgoing.has_parcels_of(sender)

    def drain(self) -> None:
        while self.outgoing.take() is not None:
            pass


def test_a_reader_is_told_once_however_often_its_sender_begins_anew() -> None:
    numbers = itertools.count()
    rooms = Rooms(LIMITS, lambda: f"p{next(numbers)}")
    sender, _ = rooms.join(Join("room", "sender"))
    to, _ = rooms.join(Join("room", "reader"))
    reader, told = Reader(), list[ServerMessage]()
    relaying = Relaying(
        LIMITS,
        rooms,
        {sender: Reader(), to: reader},  # type: ignore[dict-item]
        tell=lambda peer, message: told.append(message),
        hand_over=lambda member, message: None,
    )
    while not told:
        with suppress(Refused):
            relaying.take(sender, encode_parcel(to, bytes(16_384)))
    for _ in range(100):
        with pytest.raises(Refused, match="still reads"):
            relaying.take(sender, encode_parcel(to, b""))
        relaying.take(sender, encode_parcel(to, b"x"))  # dropped: nothing has begun anew
    assert [type(each) for each in told] == [Error]
    reader.drain()
    relaying.take(sender, encode_parcel(to, b""))
    relaying.take(sender, encode_parcel(to, b"x"))
    assert reader.outgoing.has_parcels_of(sender)
