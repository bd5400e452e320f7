"""From what STUN, TURN and the rungs did to causes and words."""

import pytest

from netcode.rungs import Rung
from netcode.tools import judge_paths as judge
from netcode.tools.findings import Mark
from netcode.tools.judge_paths import Mapped, Opened, Relayed

HERE = ("192.168.1.5", 40_000)
THERE = ("198.51.100.7", 40_000)
URL = "turn:game.example:8080?transport=udp"
TOLD = ["stun:game.example:8080", URL]


def test_a_server_that_tells_no_relay_has_none_or_could_not_start_it() -> None:
    for urls in ([], ["stun:a:1"]):
        finding = judge.on_told(urls, None, 0.0)
        assert finding.mark is Mark.FAILED
        assert "relay=None" in finding.cause


def test_a_credential_that_has_run_out_is_a_matter_of_clocks() -> None:
    assert judge.on_told(TOLD, 100.0, 50.0).facts["credential_s"] == 50
    late = judge.on_told(TOLD, 100.0, 160.0)
    assert late.mark is Mark.FAILED
    assert "60 s ago" in late.text
    assert "clock" in late.cause


@pytest.mark.parametrize(
    ("answers", "nat"),
    [
        ([Mapped("a", HERE)], "none"),
        ([Mapped("a", THERE)], "unknown"),
        ([Mapped("a", THERE), Mapped("b", THERE)], "cone"),
        ([Mapped("a", THERE), Mapped("b", (THERE[0], 40_001))], "symmetric"),
        ([Mapped("a", THERE), Mapped("b", None, "it does not answer")], "unknown"),
    ],
)
def test_how_a_nat_shows_itself(answers: list[Mapped], nat: str) -> None:
    finding = judge.on_nat(HERE, answers)
    assert finding.mark is Mark.OK
    assert finding.facts["nat"] == nat


def test_one_server_cannot_tell_what_others_see_and_it_is_said() -> None:
    assert "one server cannot tell" in judge.on_nat(HERE, [Mapped("a", THERE)]).text


def test_silence_of_stun_points_at_udp() -> None:
    finding = judge.on_nat(HERE, [Mapped("a", None, "it does not answer")])
    assert finding.mark is Mark.FAILED
    assert "lets no UDP out" in finding.cause
    assert "-p 8080:8080/udp" in finding.fix
    assert judge.on_nat(("", 0), []).mark is Mark.SKIPPED


@pytest.mark.parametrize(
    ("why", "way", "cause"),
    [
        ("the credential is wrong or has run out (401)", "udp", "do not share one secret"),
        ("this credential has as many relayed addresses as it may (486)", "udp", "more players"),
        ("it forbids that (403)", "udp", "rules forbid"),
        ("its certificate is not trusted (expired)", "tls", "certificate"),
        ("its name is not known", "udp", "misspelt"),
        ("it does not answer", "udp", "lets no UDP out"),
        ("nobody listens there", "tcp", "port for TCP is not published"),
    ],
)
def test_why_a_relay_gives_nothing(why: str, way: str, cause: str) -> None:
    finding = judge.on_relay(Relayed(URL, way, None, why=why))
    assert (finding.check, finding.mark) == (f"turn.{way}", Mark.FAILED)
    assert why in finding.text
    assert cause in finding.cause
    assert finding.fix


def test_a_relay_that_gives_an_address_is_well_even_if_it_does_not_relay_to_itself() -> None:
    passed = judge.on_relay(Relayed(URL, "udp", THERE, 0.02, echo=0.03))
    silent = judge.on_relay(Relayed(URL, "udp", THERE, 0.02, echo_why="it forbids that (403)"))
    assert passed.mark is silent.mark is Mark.OK
    assert passed.facts["echo_ms"] == 30
    assert "not known" in silent.text
    assert "403" in silent.text


def test_a_rung_that_opens_tells_its_figures() -> None:
    opened = Opened(Rung.DIRECT, 0.08, path="host-host", rtts=(0.03, 0.01, 0.02), asked=3)
    finding = judge.on_rung(opened, TOLD)
    assert (finding.check, finding.mark, finding.cause) == ("rung.direct", Mark.OK, "")
    assert finding.facts == {
        "open_ms": 80.0,
        "path": "host-host",
        "rtt_ms": 20.0,
        "asked": 3,
        "lost": 0,
    }


def test_a_rung_that_loses_much_says_what_may_be_the_matter() -> None:
    finding = judge.on_rung(Opened(Rung.DIRECT, 0.08, rtts=(0.03,) * 15, asked=20), TOLD)
    assert finding.mark is Mark.OK
    assert "5 of 20" in finding.text
    assert "wireless" in finding.cause
    nothing = judge.on_rung(Opened(Rung.DIRECT, 0.08, asked=20), TOLD)
    assert nothing.facts["lost"] == 20


def test_no_relay_for_tcp_is_no_failure_since_the_websocket_stands_in() -> None:
    error = "no server for that is known"
    assert judge.on_rung(Opened(Rung.TURN_TCP, None, error), TOLD).mark is Mark.SKIPPED
    assert judge.on_rung(Opened(Rung.TURN_UDP, None, error), []).mark is Mark.FAILED


@pytest.mark.parametrize("rung", Rung)
def test_each_rung_that_does_not_open_has_a_cause_and_a_fix(rung: Rung) -> None:
    finding = judge.on_rung(Opened(rung, None, "no pair has answered"), TOLD)
    assert finding.mark is Mark.FAILED
    assert finding.cause
    assert finding.fix
