"""What a doctor's findings look like to a person: aligned lines that come as things are found."""

import shutil
import textwrap
from typing import TextIO

from netcode.tools.findings import Finding, Mark, Report

LABELS = {
    "address": "addresses",
    "address.ipv4": "IPv4",
    "address.ipv6": "IPv6",
    "package.google-crc32c": "checksums",
    "udp": "UDP",
    "webrtc": "WebRTC",
    "tcp": "TCP",
    "tls": "TLS",
    "websocket": "WebSocket",
    "servers": "relays told",
    "stun": "NAT",
    "turn.udp": "relay, UDP",
    "turn.tcp": "relay, TCP",
    "turn.tls": "relay, TLS",
}
"""Checks whose names are for programs. Of the others, what comes after the point is shown."""

LABEL_WIDTH = 13
MAX_WIDTH = 100

MARKS = {Mark.OK: "✓", Mark.FAILED: "✗", Mark.SKIPPED: "–"}
ASCII_MARKS = {Mark.OK: "ok", Mark.FAILED: "NO", Mark.SKIPPED: "--"}
ASCII = str.maketrans({"✓": "ok", "✗": "NO", "–": "-", "…": "..."})


class Page:
    """Findings on a terminal, or in a file, as text. What cannot be encoded there is written in
    ASCII. On a terminal, the last line says what is being looked at."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._plain = not _can_encode(out, "".join(MARKS.values()) + "…")
        self._marks = ASCII_MARKS if self._plain else MARKS
        self._width = min(MAX_WIDTH, shutil.get_terminal_size().columns) - 1
        self._waiting = 0

    def begin(self, title: str) -> None:
        """A new part of the page."""
        self._clear()
        self._write(f"\n{title}\n")
        self._wait()

    def show(self, finding: Finding) -> None:
        """One finding, with its cause and its fix."""
        self._clear()
        mark = self._marks[finding.mark]
        self._line(f"  {mark:<{len(self._marks[Mark.OK])}} {label_of(finding.check)}", finding.text)
        if finding.cause:
            self._line("", f"likely: {finding.cause}")
        if finding.fix:
            self._line("", f"to do: {finding.fix}")
        self._wait()

    def end(self, report: Report) -> None:
        """The verdict."""
        self._clear()
        mark = self._marks[Mark.OK if report.ok else Mark.FAILED]
        self._write(f"\n{mark} {report.verdict}\n")

    # ----------------------------------------------------------------------------------------

    def _line(self, head: str, text: str) -> None:
        indent = len(f"  {self._marks[Mark.OK]} ") + LABEL_WIDTH
        wrapped = textwrap.wrap(
            text, max(30, self._width - indent), break_on_hyphens=False, break_long_words=False
        )
        for number, line in enumerate(wrapped or [""]):
            self._write(f"{(head if number == 0 else ''):<{indent}}{line}\n")

    def _wait(self) -> None:
        if self._is_terminal:
            text = "  …"
            self._write(text)
            self._waiting = len(text)
            self._out.flush()

    def _clear(self) -> None:
        if self._waiting:
            self._write("\r" + " " * (self._waiting + 2) + "\r")
            self._waiting = 0

    def _write(self, text: str) -> None:
        if self._plain:
            # Names and errors of systems may be in any script.
            encoding = self._out.encoding or "ascii"
            text = text.translate(ASCII).encode(encoding, "replace").decode(encoding)
        self._out.write(text)
        self._out.flush()


def label_of(check: str) -> str:
    """What a person reads for a check."""
    return LABELS.get(check, check.rpartition(".")[2])


def _can_encode(out: TextIO, text: str) -> bool:
    try:
        text.encode(out.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
