"""How findings look, and what programs are told."""

import io
import json

from netcode.tools.findings import Finding, Mark, Report
from netcode.tools.page import Page

GOOD = Finding("tcp", Mark.OK, "port 8080 in 3 ms", facts={"port": 8080})
BAD = Finding("rung.direct", Mark.FAILED, "no path", cause="a firewall", fix="open it")
ABSENT = Finding("address.ipv6", Mark.SKIPPED, "no IPv6 – none")


def shown(encoding: str, report: Report) -> str:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    page = Page(out)
    page.begin("this machine")
    for finding in report.findings:
        page.show(finding)
    page.end(report)
    out.flush()
    return raw.getvalue().decode(encoding)


def test_marks_stand_in_one_column_and_texts_in_another() -> None:
    lines = shown("utf-8", Report("ws://a", (GOOD, BAD, ABSENT), "websocket")).splitlines()
    assert lines[2].startswith("  ✓ TCP")
    assert lines[3].startswith("  ✗ direct")
    column = lines[2].index("port 8080")
    assert lines[3].index("no path") == column
    assert lines[4] == " " * column + "likely: a firewall"
    assert lines[5] == " " * column + "to do: open it"
    assert lines[-1] == "✓ a game gets through, by websocket"


def test_where_marks_cannot_be_encoded_there_is_ascii() -> None:
    page = shown("ascii", Report("ws://a", (GOOD, BAD, ABSENT)))
    assert "  ok TCP" in page
    assert "  NO direct" in page
    assert "  -- IPv6" in page
    assert page.endswith("NO a game does not get through: see NO\n")


def test_long_texts_are_wrapped_and_keep_their_column() -> None:
    long = Finding("tcp", Mark.OK, "word " * 60)
    lines = shown("utf-8", Report(None, (long,))).splitlines()
    words = [line for line in lines if "word" in line]
    assert len(words) > 2
    assert len({line.index("word") for line in words}) == 1
    assert max(map(len, lines)) <= 100


def test_with_a_server_only_the_rungs_count_and_without_one_everything_does() -> None:
    assert Report("ws://a", (BAD,), "direct").ok
    assert not Report("ws://a", (GOOD,), None).ok
    assert Report(None, (GOOD, ABSENT)).ok
    assert not Report(None, (GOOD, BAD)).ok


def test_programs_are_told_the_documented_form() -> None:
    told = json.loads(json.dumps(Report("ws://a", (GOOD, BAD), "direct").as_json()))
    assert {key: told[key] for key in ("version", "url", "ok", "rung")} == {
        "version": 1,
        "url": "ws://a",
        "ok": True,
        "rung": "direct",
    }
    assert told["findings"] == [
        {
            "check": "tcp",
            "mark": "ok",
            "text": "port 8080 in 3 ms",
            "cause": "",
            "fix": "",
            "facts": {"port": 8080},
        },
        {
            "check": "rung.direct",
            "mark": "failed",
            "text": "no path",
            "cause": "a firewall",
            "fix": "open it",
            "facts": {},
        },
    ]
