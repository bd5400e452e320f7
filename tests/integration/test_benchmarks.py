"""The runner's output, and whether the virtual cable does to packets what it is told."""

import json
import random
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from benchmarks import busy_game, cable, connect, latency, report, voice
from benchmarks.__main__ import main, questions
from benchmarks.cable import ADDRESSES, Cable
from benchmarks.connect_ends import Try
from benchmarks.latency import Measured, staleness
from benchmarks.voice_marks import Ear, MarkedVoice, delays
from netcode.transports.link_model import Conditions, LinkModel

NO_CABLE = cable.unavailable()
needs_cable = pytest.mark.skipif(
    NO_CABLE is not None,
    reason=f"needs the Debian package iproute2 and network namespaces: {NO_CABLE}",
)

# Receives datagrams of (sequence, time of sending) until none has come for a second.
UDP_RECEIVER = """
import json, socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 7777))
print("ready", flush=True)
arrived = []
sock.settimeout(5)
try:
    while True:
        data = sock.recv(2000)
        now = time.monotonic()
        sequence, sent = struct.unpack_from("!Id", data)
        arrived.append((sequence, now - sent))
        sock.settimeout(1)
except TimeoutError:
    print(json.dumps(arrived))
"""

# Sends 1,000 datagrams, 500 a second.
UDP_SENDER = """
import socket, struct, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for sequence in range(1000):
    time.sleep(max(0, start + sequence / 500 - time.monotonic()))
    sock.sendto(struct.pack("!Id", sequence, time.monotonic()) + bytes(188), (sys.argv[1], 7777))
"""


def send_datagrams(joined: Cable, sender: int) -> list[tuple[int, float]]:
    """Send 1,000 datagrams from one host; return (sequence, delay) of those that arrived."""
    there = 1 - sender
    python = [sys.executable, "-c"]
    receiver = subprocess.Popen(
        joined.command(there, [*python, UDP_RECEIVER, ADDRESSES[there]]),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "ready\n"
        subprocess.run(
            joined.command(sender, [*python, UDP_SENDER, ADDRESSES[there]]), check=True, timeout=30
        )
        output, _ = receiver.communicate(timeout=30)
    finally:
        receiver.kill()
        receiver.communicate()
    return [(sequence, delay) for sequence, delay in json.loads(output)]


@needs_cable
@pytest.mark.parametrize("seed", [1, 2])
def test_cable_delays_and_loses_what_it_is_told(seed: int) -> None:
    forth = Conditions(delay=0.03, loss=0.1, burst=3)
    with Cable(forth, Conditions(), seed=seed) as joined:
        arrived = send_datagrams(joined, sender=0)

    # The seed says which ones are lost: nothing else has crossed the cable.
    model = LinkModel(forth, random.Random(f"{seed} forth"))
    expected = [n for n in range(1_000) if model.plan(float(n), 228)]
    assert [sequence for sequence, _ in arrived] == expected
    assert 20 < 1_000 - len(expected) < 220
    assert joined.stats is not None
    assert joined.stats.lost == (1_000 - len(expected), 0)

    delays = [delay for _, delay in arrived]
    assert min(delays) >= 0.03
    assert median(delays) == pytest.approx(0.03, abs=0.004)


@needs_cable
def test_cable_has_its_own_weather_on_the_way_back() -> None:
    with Cable(Conditions(loss=1), Conditions(delay=0.01), seed=1) as joined:
        assert send_datagrams(joined, sender=0) == []
        back = send_datagrams(joined, sender=1)
    assert [sequence for sequence, _ in back] == list(range(1_000))
    assert median(delay for _, delay in back) == pytest.approx(0.01, abs=0.004)


@needs_cable
def test_nothing_of_a_cable_is_left() -> None:
    with Cable(Conditions(), Conditions(), seed=1) as joined:
        hosts = joined._hosts
        assert all(Path(f"/proc/{pid}").exists() for pid in hosts)
        addresses = subprocess.run(
            joined.command(1, ["cat", "/proc/net/fib_trie"]), capture_output=True, text=True
        )
        assert ADDRESSES[1] in addresses.stdout
        assert ADDRESSES[1] not in Path("/proc/net/fib_trie").read_text()
    assert not any(Path(f"/proc/{pid}").exists() for pid in hosts)
    joined.close()


def test_a_cable_that_cannot_be_laid_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cable, "_find", lambda program: None if program == "ip" else program)
    with (
        pytest.raises(cable.CableError, match=r"Debian package iproute2|need Linux"),
        Cable(Conditions(), Conditions(), seed=1),
    ):
        pass


# -- the runner ------------------------------------------------------------------------------


def test_every_question_has_a_page_and_tools_are_no_questions() -> None:
    known = questions()
    assert "latency" in known
    assert not {"cable", "report", "latency_end", "__main__"} & set(known)
    assert all("?" in page.partition("\n\n")[0] for page in known.values())


def test_without_a_name_the_questions_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "latency" in capsys.readouterr().out


def test_an_unknown_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lateness"]) == 2
    assert "latency" in capsys.readouterr().err


def test_json_has_exactly_the_documented_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "rows.json"
    assert main(["latency", "--quick", "--case", "ideal", "--json", str(file)]) == 0
    answer = json.loads(file.read_text())
    assert set(answer) == {"benchmark", "machine", "rows"}
    assert answer["benchmark"] == "latency"
    assert set(answer["machine"]) == {"cpu", "cores", "python", "os"}
    assert answer["rows"]
    for row in answer["rows"]:
        assert set(row) == {"case", "metric", "value", "unit"}
        assert isinstance(row["value"], float)
    figures = {(row["case"], row["metric"]): row["value"] for row in answer["rows"]}
    assert 0.04 < figures["ideal/loss5", "latency_p50_ms"] / 1000 < 0.06

    output = capsys.readouterr()
    assert "ideal/loss5" in output.out
    assert "absent: */lte" in output.err


def test_cases_without_a_cable_are_absent_and_said_to_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cable, "unavailable", lambda: "no namespaces today")
    file = tmp_path / "rows.json"
    assert main(["latency", "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    assert {row["case"].split("/")[0] for row in rows} == {"ideal"}
    assert "websocket" in (said := capsys.readouterr().err)
    assert "no namespaces today" in said


def test_table_is_never_too_narrow_for_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_table("x", [report.Row("case", f"metric{n}_ms", 1234.5, "ms") for n in range(30)])
    assert capsys.readouterr().out.count("1,234") == 30


# -- the latency question --------------------------------------------------------------------


def test_staleness_is_the_age_of_the_newest_state_known() -> None:
    # Sent each 0.1 s and 0.05 s under way; the second arrives with the third, the fourth never.
    arrivals = [(0, 0.0, 0.05), (1, 0.1, 0.26), (2, 0.2, 0.25), (4, 0.4, 0.45)]
    ages = staleness(Measured(arrivals, [], 0.0, 0.5), random.Random(1))
    # 30 looks, of which the first three saw nothing yet.
    assert len(ages) == 27
    # The age grows from 0.05 to 0.25 (nothing newer between 0.05 and 0.25), twice over.
    assert 0.05 <= min(ages) < 0.07
    assert 0.23 < max(ages) <= 0.25
    assert median(ages) == pytest.approx(0.145, abs=0.015)


@needs_cable
def test_latency_measures_real_programs_and_goes_on_when_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = ["raw_unreliable", "websocket"]
    # The end's own program does not know this case, and dies.
    monkeypatch.setattr(latency, "CASES", dict.fromkeys([*cases, "broken"]))
    file = tmp_path / "rows.json"
    assert main(["latency", "--seconds", "2", "--weather", "clean", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    figures = {(row["case"], row["metric"]): row["value"] for row in rows}
    for case in cases:
        assert figures[f"{case}/clean", "arrived_percent"] == 100
        assert 0 < figures[f"{case}/clean", "latency_p50_ms"] < 20
        # States come every 50 ms: on average the newest is 25 ms old, plus the latency.
        assert 20 < figures[f"{case}/clean", "staleness_p50_ms"] < 50
    assert not any(row["case"].startswith("broken") for row in rows)
    assert "absent: broken/clean" in capsys.readouterr().err


# -- the busy game question ------------------------------------------------------------------


def test_busy_game_measures_every_case_with_a_real_server_and_player(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    assert main(["busy_game", "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    figures = {(row["case"], row["metric"]): row["value"] for row in rows}
    cases = [case for group in busy_game.GROUPS for case in group]
    for case in cases:
        if case.network != "none":
            assert 0 < figures[case.name, "snapshot_delay_ms_p50"] < 1000
            assert 0 < figures[case.name, "input_delay_ms_p50"] < 1000
            assert 0 <= figures[case.name, "rtt_ms_p50"] < 1000
        assert ((case.name, "frame_ms_p50") in figures) == case.busy
    assert figures["busy/ours", "snapshot_p50_to_5ms"] > 0
    assert figures["busy/ours", "frame_p50_to_alone"] > 0


# -- the connect question --------------------------------------------------------------------


def test_connect_measures_each_rung_and_goes_on_when_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "WARM_UPS", 0)
    monkeypatch.setattr(connect, "QUICK_RESUMES", 1)
    monkeypatch.setattr(connect, "CONNECTS", [*connect.CONNECTS, Try("connect", "pigeon")])
    file = tmp_path / "rows.json"
    assert main(["connect", "--quick", "--runs", "2", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    figures = {(row["case"], row["metric"]): row["value"] for row in rows}
    for rung in ("direct", "turn_udp", "turn_tcp", "websocket"):
        assert 0 < figures[rung, "p50_ms"] <= figures[rung, "p95_ms"] < 5_000
        assert figures[rung, "p50_to_raw"] == pytest.approx(
            figures[rung, "p50_ms"] / figures["raw_aiortc", "p50_ms"]
        )
    # Before half a second has passed, nobody could know that a link is dead.
    assert 500 < figures["resume/direct", "p50_ms"] < 20_000
    assert not any(row["case"] == "pigeon" for row in rows)
    assert "absent: pigeon" in capsys.readouterr().err


# -- the voice question ----------------------------------------------------------------------


@pytest.mark.parametrize("late", [0, 777, 4_000])
def test_marks_are_found_where_they_are_heard(late: int) -> None:
    """A line without a codec that is late by so many samples, and whose frames end elsewhere."""
    now = 100.0
    source, ear = MarkedVoice(5.0, 1, clock=lambda: now), Ear(clock=lambda: now + 0.007)
    waiting = np.zeros(late, np.float32)
    for _ in range(300):
        waiting = np.concatenate((waiting, source.next()))
        ear.take(np.repeat(waiting[:960, None], 2, axis=1))
        waiting = waiting[960:]
        now += 0.02
    found = delays(source.captured(), ear.heard())
    assert len(found) == len(source.captured()) >= 8
    # A frame is there 20 ms after its first sample, and heard 7 ms after that.
    assert found == pytest.approx([0.027 + late / 48_000] * len(found), abs=1e-4)


def test_what_was_not_heard_is_not_found() -> None:
    source, ear = MarkedVoice(3.0, 1), Ear()
    for _ in range(150):
        source.next()
        ear.take(np.zeros((960, 2), np.float32))
    assert delays(source.captured(), ear.heard()) == []


def test_voice_measures_real_rooms(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voice, "QUICK", voice.Effort(1, 3.0, 5, 1, 1.0, 5, 10))
    file = tmp_path / "rows.json"
    assert main(["voice", "--quick", "--json", str(file)]) == 0
    rows = json.loads(file.read_text())["rows"]
    figures = {(row["case"], row["metric"]): row["value"] for row in rows}
    for case in ("loopback", "raw_aiortc"):
        # No frame is there before 20 ms have passed, and no codec is without delay.
        assert 20 < figures[case, "mouth_to_ear_ms_p50"] <= figures[case, "mouth_to_ear_ms_p95"]
        assert figures[case, "mouth_to_ear_ms_p95"] < 400
    assert 0 < figures["forwarding", "send_us_per_packet"] < 1_000
    assert figures["forwarding", "ratio_to_media_relay"] < 0.35
    assert figures["capacity/listeners", "listeners_measured"] in (0, 5, 10)
    assert "capacity/talkers 5: " in capsys.readouterr().err
