"""WIRE_FORMAT.md is checked: its bytes against the program, its words by a decoder made of them."""

import math
import random
import re
import struct
from pathlib import Path

import msgpack
import pytest

import netcode as nc
from netcode.link.frames import Piece, channel_id
from netcode.protocol import WIRE_VERSION
from netcode.sync.sender import Sender
from netcode.wire.messages import encode_message
from netcode.wire.packets import MAX_INPUT_BITS, InputPacket, encode_inputs
from netcode.world.history import History
from netcode.world.world import World
from tests.unit.wire.independent_decoder import (
    TEXT,
    as_angle,
    as_float,
    as_int,
    as_quaternion,
    as_reference,
    decode_state,
)

DOCUMENT = (Path(nc.__file__).parent / "wire" / "WIRE_FORMAT.md").read_text(encoding="utf-8")


def example(name: str) -> bytes:
    """The bytes of the document's block of this name."""
    (block,) = re.findall(rf"```hex {name}\n(.*?)```", DOCUMENT, re.DOTALL)
    return bytes.fromhex(block)


class Ship(nc.Entity):
    x = nc.Float(-100, 100, step=0.5)
    heading = nc.Angle(bits=8)
    name = nc.Text(max_bytes=8)
    target = nc.Ref("Ship")
    ammo = nc.Int(0, 255, only_owner=True)


class Steer(nc.Input):
    turn = nc.Int(-1, 1)
    thrust = nc.Bool()


class Chat(nc.Message):
    text = nc.Text(max_bytes=20)
    to = nc.Ref("Ship")
    spot = nc.Vec2(-100, 100, step=0.5)


LAYOUT = [[("x", [9]), ("heading", [8]), ("name", TEXT), ("target", [31]), ("ammo", [8])]]


def chat() -> bytes:
    world = World([Ship])
    world.spawn(Ship)
    message = Chat(text="hé", to=world.spawn(Ship), spot=(10, -100))
    return encode_message(0, message, world, request=3)


def test_the_state_packets_are_what_the_program_sends() -> None:
    world = World([Ship])
    history = History(world.tables)
    sender = Sender(world.tables, nc.Everything())
    peer = sender.add(1)
    peer.client_packet, peer.input_tick, peer.earliness = 5, 40, 0.012
    ada = world.spawn(Ship, x=10, heading=math.pi / 2, name="Ada", ammo=7)
    other = world.spawn(Ship, x=-100, name="é", target=ada, ammo=9)
    world.table(Ship).own(0, 1)
    assert sender.broadcast(history.record(42, world.tables)) == {1: [example("entry")]}
    sender.acknowledge(peer, 1, 0)
    ada.x = 11.5
    world.despawn(other)
    assert sender.broadcast(history.record(45, world.tables)) == {1: [example("change")]}


def test_the_input_packet_is_what_the_program_sends() -> None:
    steady, turn = (Steer(turn=0, thrust=True),), (Steer(turn=1),)
    packet = InputPacket(7, True, 2, 0b1, 47, [steady, steady, turn])
    assert encode_inputs(packet, World([Ship])) == example("inputs")


def test_the_message_is_what_the_program_sends() -> None:
    assert chat() == example("message")
    frame = Piece(channel_id("netcode/messages", "RELIABLE"), 0, 0, 1, chat())
    assert frame.encode() == example("whole")


def test_the_document_is_of_this_version() -> None:
    assert DOCUMENT.startswith(f"# The wire format, version {WIRE_VERSION}\n")
    assert f"| bits of all inputs of one tick | {MAX_INPUT_BITS} |" in DOCUMENT


def test_the_entry_decodes_to_its_values() -> None:
    packet = decode_state(example("entry"), LAYOUT)
    assert (packet.sequence, packet.tick, packet.index, packet.count) == (1, 42, 0, 1)
    assert (packet.deferred, packet.client_packet, packet.input_tick) == (False, 5, 40)
    assert packet.earliness == 12
    mine, other = packet.rows
    assert (mine.row, mine.told, mine.life, mine.controlled) == (0, True, 0, True)
    assert (other.row, other.told, other.life, other.controlled) == (1, True, 0, False)
    assert as_float(*mine.values["x"], -100, 100, 0.5) == 10
    assert as_float(*other.values["x"], -100, 100, 0.5) == -100
    assert as_angle(*mine.values["heading"], 8) == math.pi / 2
    assert [row.values["name"] for row in packet.rows] == ["Ada", "é"]
    assert as_reference(*mine.values["target"]) is None
    assert as_reference(*other.values["target"]) == (0, 0)
    assert as_int(*mine.values["ammo"], 0, 255) == 7
    assert "ammo" not in other.values


def test_the_change_decodes_to_its_values() -> None:
    packet = decode_state(example("change"), LAYOUT)
    moves, leaves = packet.rows
    assert (moves.row, moves.told, moves.values) == (0, False, {"x": [223]})
    assert as_float(*moves.values["x"], -100, 100, 0.5) == 11.5
    assert (leaves.row, leaves.told, leaves.life, leaves.values) == (1, True, None, {})


def test_the_inputs_decode_to_their_values() -> None:
    data = example("inputs")
    fields = struct.unpack("<BHBHIIIB", data[:19])
    assert fields == (17, 7, 1, 2, 0b1, 0, 47, 3)
    bits = iter("".join(f"{byte:08b}" for byte in data[19:]))
    inputs: list[tuple[int, bool]] = []
    for _ in range(3):
        if next(bits) == "1":
            inputs.append(inputs[-1])
        else:
            turn = as_int(int(next(bits) + next(bits), 2), -1, 1)
            inputs.append((turn, next(bits) == "1"))
    assert inputs == [(0, True), (0, True), (1, False)]
    assert set(bits) == {"0"}


def test_the_message_decodes_to_its_values() -> None:
    kind, request, (text, to, spot) = msgpack.unpackb(example("message"))
    assert (kind, request, text, as_reference(to)) == (0, 3, "hé", (1, 0))
    assert [as_float(lane, -100, 100, 0.5) for lane in spot] == [10, -100]


class Rover(nc.Entity):
    """The kinds of field that the document's own example leaves out."""

    speed = nc.Float(-7.3, 11.9, step=0.037)
    turn = nc.Quat(bits=9)
    place = nc.Vec3(-50, 50, step=0.01)
    gear = nc.Int(-5, 1000)


def test_the_documents_formulas_give_the_programs_values_bit_for_bit() -> None:
    rng = random.Random(3)
    world = World([Rover])
    layout = [[(field.name, field.lane_bits) for field in Rover.fields]]
    for _ in range(200):
        world.spawn(
            Rover,
            speed=rng.uniform(-8, 13),
            turn=tuple(rng.gauss(0, 1) for _ in range(4)),
            place=tuple(rng.uniform(-51, 51) for _ in range(3)),
            gear=rng.randint(-20, 1100),
        )
    table = world.table(Rover)
    sender = Sender(world.tables, nc.Everything())
    sender.add(1)
    packets = sender.broadcast(History(world.tables).record(3, world.tables))[1]
    table.round_rows(table.rows())
    rows = [row for data in packets for row in decode_state(data, layout).rows]
    assert [row.row for row in rows] == list(range(200))
    for row in rows:
        rover = table.at(row.row)
        assert rover is not None
        assert as_float(*row.values["speed"], -7.3, 11.9, 0.037) == rover.speed
        assert tuple(as_quaternion(row.values["turn"], 9)) == pytest.approx(rover.turn, abs=1e-15)
        place = tuple(as_float(lane, -50, 50, 0.01) for lane in row.values["place"])
        assert place == rover.place
        assert as_int(*row.values["gear"], -5, 1000) == max(-5, min(1000, rover.gear))
