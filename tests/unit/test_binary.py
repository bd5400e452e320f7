"""Bytes: a field for what a game has packed itself."""

from typing import cast

import msgpack  # type: ignore[import-untyped]
import pytest

import netcode as nc
from netcode.errors import WireError
from netcode.fields import Context
from netcode.wire.messages import decode_message, encode_message
from netcode.world.world import World


class Map(nc.Message):
    tiles = nc.Bytes(max_bytes=70_000)


CONTEXT = cast(Context, World([]))


@pytest.mark.parametrize("data", [b"", b"\x00\xff", bytes(70_000)])
def test_it_arrives_as_it_was(data: bytes) -> None:
    arrived, *_ = decode_message(encode_message(0, Map(tiles=data), CONTEXT), [Map], CONTEXT)
    assert isinstance(arrived, Map)
    assert arrived.tiles == data


def test_other_kinds_of_bytes_are_taken() -> None:
    assert Map(tiles=memoryview(b"abc")).tiles == b"abc"


@pytest.mark.parametrize("wrong", ["text", 7, None, bytes(70_001)])
def test_what_does_not_fit_raises(wrong: object) -> None:
    with pytest.raises(nc.UsageError):
        Map(tiles=wrong)


@pytest.mark.parametrize("wrong", ["text", 7, None, [], bytes(70_001)])
def test_what_does_not_fit_does_not_arrive(wrong: object) -> None:
    with pytest.raises(WireError):
        decode_message(msgpack.packb([0, 0, [wrong]]), [Map], CONTEXT)


@pytest.mark.parametrize("most", [0, 1 << 21])
def test_its_length_has_bounds(most: int) -> None:
    with pytest.raises(nc.ProtocolError):
        nc.Bytes(max_bytes=most)


def test_only_messages_hold_bytes() -> None:
    class Rock(nc.Entity):
        map = nc.Bytes(max_bytes=10)

    with pytest.raises(nc.ProtocolError, match="only a message"):
        nc.Protocol(entities=[Rock], inputs=[], messages=[])


def test_both_ends_agree_about_its_length() -> None:
    assert (
        nc.Protocol(messages=[Map]).description["messages"]["Map"]["tiles"]["max_bytes"] == 70_000
    )
