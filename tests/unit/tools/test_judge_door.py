"""From what was seen on the way to a server's door to causes and words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netcode.tools import judge_door as judge
from netcode.tools.findings import Mark

NOW = datetime(2030, 5, 1, tzinfo=UTC)
GOOD = judge.Certificate(
    names=("game.example", "*.play.example"),
    issuer="Let's Encrypt",
    begins=NOW - timedelta(days=10),
    ends=NOW + timedelta(days=80),
    self_signed=False,
)
UNTRUSTED = "the certificate is not trusted: …"


def test_a_name_that_is_not_known_may_be_misspelt() -> None:
    assert judge.on_name("game.example", ["192.0.2.1"]).mark is Mark.OK
    unknown = judge.on_name("gmae.example", [], "Name or service not known")
    assert unknown.mark is Mark.FAILED
    assert "misspelt" in unknown.cause


def test_a_port_where_nobody_listens_and_one_behind_a_firewall_are_two_things() -> None:
    refused = judge.on_tcp(8080, [], [("192.0.2.1", "refused")], "")
    silent = judge.on_tcp(8080, [], [("192.0.2.1", "no answer")], "")
    assert refused.mark is silent.mark is Mark.FAILED
    assert "no server listens" in refused.cause
    assert "-p 8080:8080/tcp" in refused.fix
    assert "firewall" in silent.cause
    lost = judge.on_tcp(8080, [], [("10.9.9.9", "no route")], "")
    assert "not in that network" in lost.cause


def test_one_address_that_answers_is_enough_and_the_other_is_named() -> None:
    found = judge.on_tcp(80, [("192.0.2.1", 0.02)], [("2001:db8::1", "no answer")], "")
    assert found.mark is Mark.OK
    assert "2001:db8::1 does not answer" in found.text


def test_behind_a_proxy_no_direct_way_is_no_failure() -> None:
    assert judge.on_tcp(80, [], [("192.0.2.1", "no answer")], "proxy:3128").mark is Mark.SKIPPED
    [failed] = judge.on_entering("HTTP 403", "", proxy="proxy:3128", room="game")
    assert "proxy:3128" in failed.cause
    assert "no_proxy" in failed.fix


def tls(seen: judge.Certificate | None, refused: str = UNTRUSTED, host: str = "game.example"):  # type: ignore[no-untyped-def]
    return judge.on_tls(host, seen, refused, NOW, own_authority=False)


def test_a_certificate_that_is_trusted_says_until_when() -> None:
    assert tls(GOOD, "").mark is Mark.OK
    assert "2030-07-20" in tls(GOOD, "").text
    assert "only 3 days" in tls(replace(GOOD, ends=NOW + timedelta(days=3)), "").text


@pytest.mark.parametrize(
    ("seen", "host", "cause"),
    [
        (None, "game.example", "does not speak TLS"),
        (replace(GOOD, ends=NOW - timedelta(days=1)), "game.example", "ran out on 2030-04-30"),
        (replace(GOOD, begins=NOW + timedelta(days=1)), "game.example", "clock is wrong"),
        (GOOD, "other.example", "not for other.example"),
        (GOOD, "deep.er.play.example", "not for deep.er.play.example"),
        (replace(GOOD, self_signed=True), "game.example", "signed its certificate itself"),
        (GOOD, "one.play.example", "nobody here knows Let's Encrypt"),
    ],
)
def test_why_a_certificate_is_not_trusted(
    seen: judge.Certificate | None, host: str, cause: str
) -> None:
    finding = tls(seen, host=host)
    assert finding.mark is Mark.FAILED
    assert cause in finding.cause
    assert finding.fix


def test_a_clock_that_is_an_hour_off_is_told() -> None:
    assert judge.on_clock(None).mark is Mark.SKIPPED
    assert judge.on_clock(-2.0).mark is Mark.OK
    ahead, behind = judge.on_clock(3_600.0), judge.on_clock(-3_600.0)
    assert "ahead of" in ahead.text
    assert "behind" in behind.text
    assert behind.facts == {"ahead_s": -3_600}


@pytest.mark.parametrize("code", judge.REFUSALS)
def test_each_refusal_has_a_cause_and_a_fix(code: str) -> None:
    websocket, room = judge.on_entering("no", code, proxy="", room="game")
    assert websocket.mark is Mark.OK
    assert room.mark is Mark.FAILED
    assert room.cause
    assert room.fix
    assert room.facts == {"room": "game", "code": code}


def test_a_refusal_that_is_not_known_is_one_nevertheless() -> None:
    _, room = judge.on_entering("no", "moon_is_full", proxy="", room="game")
    assert room.mark is Mark.FAILED


def test_a_room_without_a_host_has_no_game() -> None:
    assert judge.on_host("game", True).mark is Mark.OK
    assert "--room" in judge.on_host("game", False).fix
