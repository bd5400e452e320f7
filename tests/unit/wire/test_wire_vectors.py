"""The stored test vectors are what the program sends, and what two decoders make of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from netcode.protocol import WIRE_VERSION
from netcode.wire.packets import decode_inputs
from netcode.world.history import ABSENT
from tests.unit.wire.independent_body import Packet, parts_of, read_packet
from tests.unit.wire.independent_decoder import Client
from tests.vectors.line import End, Held
from tests.vectors.make import FOLDER, SCENARIOS

MOST_BYTES = 200_000

Vectors = dict[str, Any]


def load(name: str) -> Vectors:
    read: Vectors = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_stored_file_is_what_the_program_makes(name: str) -> None:
    stored = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert SCENARIOS[name]().text() == stored, "run python -m tests.vectors.make"


def test_there_are_no_other_files_and_they_are_small() -> None:
    files = list(FOLDER.glob("*.json"))
    assert {file.stem for file in files} == set(SCENARIOS)
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert {load(file.stem)["wire"] for file in files} == {WIRE_VERSION}


# -- two decoders ----------------------------------------------------------------------------


def take_over(expected: Held, event: Vectors, classes: list[Vectors]) -> None:
    """What is held after an event, given what was held before."""
    for table, kind in enumerate(classes):
        for row, held in event["held"].get(kind["name"], {}).items():
            if held is None:
                del expected[table][int(row)]
            else:
                expected[table][int(row)] = held


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_decoder_made_of_the_document_holds_what_they_say(name: str) -> None:
    vectors = load(name)
    client = Client(vectors["classes"], vectors["broadcast_every"])
    expected: Held = [{} for _ in vectors["classes"]]
    for event in vectors["events"]:
        if "sent" in event:
            client.sent(bytes.fromhex(event["sent"]))
            continue
        data = bytes.fromhex(event["received"])
        assert client.receive(data) is not event.get("dropped", False)
        take_over(expected, event, vectors["classes"])
        assert client.held() == expected
        if "known" in event:
            known = [sorted(rows) for rows in client.known(client.newest_broadcast)]
            assert known == list(event["known"].values())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_receiver_holds_and_acknowledges_what_they_say(name: str) -> None:
    vectors = load(name)
    end = End(SCENARIOS[name]().line.kinds)
    expected: Held = [{} for _ in vectors["classes"]]
    for event in vectors["events"]:
        if "sent" in event:
            packet = decode_inputs(bytes.fromhex(event["sent"]), [], end.world)
            assert packet.heard == end.receiver.heard
            said = packet.newest_state, packet.window
            assert end.receiver.acknowledge(packet.sequence) == said
            continue
        tick = end.receiver.receive(bytes.fromhex(event["received"]))
        take_over(expected, event, vectors["classes"])
        assert end.held() == expected
        if "known" in event:
            frame = end.history.at(tick)
            assert frame is not None
            rows = [(kept.known & (kept.life != ABSENT)).nonzero()[0] for kept in frame.tables]
            assert [found.tolist() for found in rows] == list(event["known"].values())


# -- each scenario shows what it is for ------------------------------------------------------


def _lanes(packets: list[Packet], mode: str) -> list[Any]:
    return [
        lane
        for packet in packets
        for section in packet.sections
        for lane in section.lanes
        if lane.mode == mode
    ]


def _entries(packets: list[Packet]) -> list[Any]:
    sections = [section for packet in packets for section in packet.sections]
    return [entry for section in sections for entry in section.entered.values()]


def _lost(packets: list[Packet]) -> bool:
    return {packet.sequence for packet in packets} != set(range(1, len(packets) + 1))


def _came_in_part(packets: list[Packet], one: Packet) -> bool:
    return len([other for other in packets if other.tick == one.tick]) < one.count


def _turned(packets: list[Packet]) -> bool:
    """Components are predicted in a packet that also says another component is left out."""
    return any(
        section.lanes[0].mode != "rest" and section.lanes[1].mode == "dense"
        for packet in packets
        for section in packet.sections
        if section.updated
    )


SHOWN: dict[str, Callable[[list[Packet], Vectors], bool]] = {
    "joining": lambda packets, _: packets[0].sequence > 1 and _entries(packets)[0].age > 0,
    "movement": lambda packets, _: (
        _lost(packets) and len({lane.predictor for lane in _lanes(packets, "dense")}) > 3
    ),
    "angles": lambda _, vectors: any(
        held and abs(held["fields"]["fine"][0] - (1 << 23)) > (1 << 23) - 400_000
        for event in vectors["events"]
        for held in event.get("held", {}).get("Dial", {}).values()
    ),
    "rotations": lambda packets, _: _lost(packets) and _turned(packets),
    "texts": lambda packets, _: (
        {value for lane in _lanes(packets, "sparse") for value in lane.values.values()}
        >= {"", "é" * 20, "x" * 40, "turned"}
    ),
    "leaving": lambda packets, vectors: (
        any(section.left for packet in packets for section in packet.sections)
        and any(entry.generation for entry in _entries(packets))
        and any(event.get("dropped") for event in vectors["events"])
        and [packet.tick for packet in packets] != sorted(packet.tick for packet in packets)
    ),
    "owners": lambda packets, _: (
        {section.part for packet in packets for section in packet.sections} == {0, 1, 2, 3, 4}
        and {entry.controlled for entry in _entries(packets)} == {True, False}
    ),
    "many_packets": lambda packets, _: (
        {packet.count for packet in packets} >= {1, 2}
        and any(packet.index == 1 for packet in packets)
        and any(_came_in_part(packets, packet) for packet in packets)
    ),
    "escapes": lambda packets, _: any(
        code >= 1 << 28 for lane in _lanes(packets, "dense") for code in lane.codes.values()
    ),
    "slower": lambda packets, _: {entry.interval for entry in _entries(packets)} == {1, 2, 4, 8},
    "tight": lambda packets, _: {packet.deferred for packet in packets} == {True, False},
    "resting": lambda packets, _: (
        len(_lanes(packets, "dense")) + len(_lanes(packets, "sparse")) > 2
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_shows_what_it_is_for(name: str) -> None:
    vectors = load(name)
    parts = parts_of(vectors["classes"])
    data = [event["received"] for event in vectors["events"] if "received" in event]
    assert SHOWN[name]([read_packet(bytes.fromhex(one), parts) for one in data], vectors)
