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
from netcode.sync import baselines, receiver
from netcode.sync.sender import Sender
from netcode.wire import bits
from netcode.wire.messages import encode_message
from netcode.wire.packets import (
    MAX_INPUT_BITS,
    MAX_PACKETS,
    STATE_HEADER_BYTES,
    InputPacket,
    encode_inputs,
)
from netcode.world.history import History
from netcode.world.world import World
from tests.unit.wire import independent_body, independent_decoder
from tests.unit.wire.independent_body import Bits, Packet, Section, parts_of, read_packet
from tests.unit.wire.independent_decoder import (
    Client,
    as_angle,
    as_float,
    as_int,
    as_quaternion,
    as_reference,
)
from tests.vectors.line import PLAYER, schema_of

DOCUMENT = (Path(nc.__file__).parent / "wire" / "WIRE_FORMAT.md").read_text(encoding="utf-8")
BROADCAST_EVERY = 3
STATE_EXAMPLES = ("entry", "change", "prediction")


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


def chat() -> bytes:
    world = World([Ship])
    world.spawn(Ship)
    message = Chat(text="hé", to=world.spawn(Ship), spot=(10, -100))
    return encode_message(0, message, world, request=3)


def spelled_out(name: str) -> str:
    """The bits of the table that explains the block of this name."""
    (after,) = re.findall(rf"```hex {name}\n.*?```\n(.*?)\n###", DOCUMENT, re.DOTALL)
    cells = re.findall(r"^\| (`[01` ]+`) \|", after, re.MULTILINE)
    return "".join(re.findall("[01]+", "".join(cells)))


def as_bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def input_packet(sequence: int, newest: int, window: int) -> bytes:
    return encode_inputs(InputPacket(sequence, True, newest, window, 0, [], []), World([]))


def test_the_state_packets_are_what_the_program_sends() -> None:
    world = World([Ship])
    history = History(world.tables, every=BROADCAST_EVERY)
    sender = Sender(world.tables, history, nc.Everything())
    peer = sender.add(PLAYER)
    peer.input_tick, peer.earliness = 40, 0.012
    ada = world.spawn(Ship, x=10, heading=math.pi / 2, name="Ada", ammo=7)
    other = world.spawn(Ship, x=-100, name="é", target=ada, ammo=9)
    world.table(Ship).own(0, PLAYER)
    assert sender.broadcast(history.record(42, world.tables)) == {1: [example("entry")]}
    sender.acknowledge(peer, 1, 1, 0)
    ada.x = 11.5
    world.despawn(other)
    assert sender.broadcast(history.record(45, world.tables)) == {1: [example("change")]}
    sender.acknowledge(peer, 2, 2, 0b1)
    ada.x, ada.heading, ada.name = 13.5, 69 * math.tau / 256, "Bo"
    assert sender.broadcast(history.record(48, world.tables)) == {1: [example("prediction")]}


def test_the_input_packet_is_what_the_program_sends() -> None:
    steady, turn = (Steer(turn=0, thrust=True),), (Steer(turn=1),)
    packet = InputPacket(7, True, 2, 0b1, 47, [steady, steady, turn], [608, 607, 624])
    assert encode_inputs(packet, World([Ship])) == example("inputs")


@pytest.mark.parametrize("name", STATE_EXAMPLES)
def test_the_tables_spell_out_every_bit_of_the_state_packets(name: str) -> None:
    assert spelled_out(name) == as_bits(example(name)[STATE_HEADER_BYTES:])


def test_the_table_spells_out_every_bit_of_the_inputs() -> None:
    assert spelled_out("inputs") == as_bits(example("inputs")[13:])


def test_the_message_is_what_the_program_sends() -> None:
    assert chat() == example("message")
    frame = Piece(channel_id("netcode/messages", "RELIABLE"), 0, 0, 1, chat())
    assert frame.encode() == example("whole")


def test_the_document_is_of_this_version() -> None:
    assert DOCUMENT.startswith(f"# The wire format, version {WIRE_VERSION}\n")
    assert f"| bits of all inputs of one tick | {MAX_INPUT_BITS} |" in DOCUMENT


def test_the_numbers_of_the_document_are_the_programs() -> None:
    """What the independent decoder was given by hand, and the program's own."""
    assert independent_decoder.REACH == baselines.REACH
    assert independent_decoder.RESTING_AGE == baselines.RESTING
    assert independent_decoder.WINDOW == baselines.WINDOW
    assert independent_decoder.PREDICTORS == baselines.PREDICTORS
    assert independent_decoder.LATEST == receiver.LATEST
    assert independent_decoder.CLIENT_PACKETS == receiver.SENT_KEPT
    assert independent_body.ESCAPE == bits.ESCAPE
    assert independent_body.MAX_PACKETS == MAX_PACKETS
    for words in (
        f"**shared** if a is in 1 … {baselines.REACH} and",
        f"uses its value *at* broadcast n − {baselines.RESTING} instead",
        f"if n is more than {receiver.LATEST} below the newest broadcast",
        f"and for each of the {baselines.WINDOW} before it",
        f"or if it is more than {baselines.WINDOW} behind the newest",
        f"the first packet of broadcast `newest broadcast − {baselines.REACH - 1}`",
        f"keeps its last {receiver.SENT_KEPT} acknowledgements",
        f"`count` 1 … {MAX_PACKETS}",
        f"`q` zeros and a one, q at most {bits.ESCAPE}",
    ):
        assert words in " ".join(DOCUMENT.split())
    degrees, distances = zip(*baselines.PREDICTORS, strict=True)
    assert f"| degree | {' | '.join(map(str, degrees))} |" in DOCUMENT
    assert f"| distance | {' | '.join(map(str, distances))} |" in DOCUMENT


def parsed(name: str) -> Packet:
    return read_packet(example(name), parts_of(schema_of([Ship])))


def test_the_headers_decode_to_their_values() -> None:
    first, second, third = (parsed(name) for name in STATE_EXAMPLES)
    assert (first.sequence, first.tick, first.index, first.count) == (1, 42, 0, 1)
    assert (first.deferred, first.client_packet, first.input_tick) == (False, 0, 40)
    assert first.earliness == 12
    assert (second.sequence, second.tick, second.client_packet) == (2, 45, 1)
    assert (third.sequence, third.tick, third.client_packet) == (3, 48, 2)


def test_the_prediction_is_made_of_what_its_table_says() -> None:
    (section,) = parsed("prediction").sections
    x, heading, name = section.lanes
    assert isinstance(section, Section)
    assert (x.mode, x.predictor, x.codes) == ("dense", 1, {0: 2})
    assert (heading.mode, heading.predictor, heading.codes) == ("dense", 1, {0: 10})
    assert (name.mode, name.values) == ("sparse", {0: "Bo"})


def test_a_client_of_the_document_holds_what_the_examples_say() -> None:
    client = Client(schema_of([Ship]), BROADCAST_EVERY)
    client.receive(example("entry"))
    (ships,) = client.held()
    mine, other = ships[0]["fields"], ships[1]["fields"]
    assert (ships[0]["generation"], ships[0]["controlled"]) == (0, True)
    assert (ships[1]["generation"], ships[1]["controlled"]) == (0, False)
    assert as_float(*mine["x"], -100, 100, 0.5) == 10
    assert as_float(*other["x"], -100, 100, 0.5) == -100
    assert as_angle(*mine["heading"], 8) == math.pi / 2
    assert [mine["name"], other["name"]] == ["Ada", "é"]
    assert as_reference(*mine["target"]) is None
    assert as_reference(*other["target"]) == (0, 0)
    assert as_int(*mine["ammo"], 0, 255) == 7
    assert as_int(*other["ammo"], 0, 255) == Ship.ammo.default
    client.sent(input_packet(1, 1, 0))
    client.receive(example("change"))
    (ships,) = client.held()
    assert list(ships) == [0]
    assert ships[0]["fields"] == {**mine, "x": [223]}
    client.sent(input_packet(2, 2, 0b1))
    client.receive(example("prediction"))
    (ships,) = client.held()
    assert ships[0]["fields"] == {**mine, "x": [227], "heading": [69], "name": "Bo"}
    assert as_float(227, -100, 100, 0.5) == 13.5


def unfolded(read: "Bits") -> int:
    """The change of a lag: never so large here that the lag itself would follow."""
    quotient = 0
    while read.take(1):
        quotient += 1
    assert quotient < 16
    folded = 8 * quotient + read.take(3)
    return folded // 2 if folded % 2 == 0 else -(folded + 1) // 2


def test_the_inputs_decode_to_their_values() -> None:
    data = example("inputs")
    assert struct.unpack("<BHBHBIB", data[:12]) == (17, 7, 1, 2, 1, 47, 3)
    assert data[12] == 0b1
    read = Bits(data[13:])
    inputs: list[tuple[int, bool]] = []
    lags: list[int] = []
    for _ in range(3):
        lags.append(lags[-1] + unfolded(read) if lags else read.take(16))
        if read.take(1):
            inputs.append(inputs[-1])
        else:
            inputs.append((as_int(read.take(2), -1, 1), read.take(1) == 1))
    assert inputs == [(0, True), (0, True), (1, False)]
    assert lags == [608, 607, 624]
    assert set(read.text[read.at :]) == {"0"}


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
    for _ in range(200):
        world.spawn(
            Rover,
            speed=rng.uniform(-8, 13),
            turn=tuple(rng.gauss(0, 1) for _ in range(4)),
            place=tuple(rng.uniform(-51, 51) for _ in range(3)),
            gear=rng.randint(-20, 1100),
        )
    table = world.table(Rover)
    history = History(world.tables, every=BROADCAST_EVERY)
    sender = Sender(world.tables, history, nc.Everything())
    sender.add(PLAYER)
    client = Client(schema_of([Rover]), BROADCAST_EVERY)
    for data in sender.broadcast(history.record(3, world.tables))[PLAYER]:
        client.receive(data)
    table.round_rows(table.rows())
    (rows,) = client.held()
    assert sorted(rows) == list(range(200))
    for row, held in rows.items():
        rover, lanes = table.at(row), held["fields"]
        assert rover is not None
        assert as_float(*lanes["speed"], -7.3, 11.9, 0.037) == rover.speed
        assert tuple(as_quaternion(lanes["turn"], 9)) == pytest.approx(rover.turn, abs=1e-15)
        place = tuple(as_float(lane, -50, 50, 0.01) for lane in lanes["place"])
        assert place == rover.place
        assert as_int(*lanes["gear"], -5, 1000) == max(-5, min(1000, rover.gear))
