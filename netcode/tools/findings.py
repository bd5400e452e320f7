"""Findings: what a doctor has to say, for people and for programs. This module is pure.

The form of `Report.as_json` is documented in docs/getting-through.md, and stays: names of checks
and facts may be added, and none changes its meaning without another `VERSION`.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

VERSION = 1
"""Of the form of the JSON."""

Fact = str | int | float | bool | None | Sequence["Fact"] | Mapping[str, "Fact"]
"""What JSON can say."""


class Mark(enum.StrEnum):
    """How it stands with one thing."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It is not there, was not looked at, or cannot be known: neither good nor bad."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    """What was looked at, for programs: ``"tcp"``, ``"rung.turn_udp"``."""
    mark: Mark
    text: str
    """What was seen, in one line."""
    cause: str = ""
    """What is most likely behind it."""
    fix: str = ""
    """What to do about it, and where."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """The same for programs. Times are in milliseconds and say so in their names."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that a doctor has found."""

    url: str | None
    findings: tuple[Finding, ...]
    rung: str | None = None
    """The rung that a game would use; None if it would not get through, or without a server."""

    @property
    def ok(self) -> bool:
        """Whether a game would get through; without a server, whether this machine could play."""
        if self.url is not None:
            return self.rung is not None
        return all(finding.mark is not Mark.FAILED for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The last line."""
        if self.url is None:
            return (
                "this machine can play" if self.ok else "this machine is not ready to play: see ✗"
            )
        if self.rung is not None:
            return f"a game gets through, by {self.rung}"
        return "a game does not get through: see ✗"

    def as_json(self) -> dict[str, Fact]:
        """The whole report for programs."""
        return {
            "version": VERSION,
            "url": self.url,
            "ok": self.ok,
            "rung": self.rung,
            "findings": [
                {
                    "check": finding.check,
                    "mark": finding.mark.value,
                    "text": finding.text,
                    "cause": finding.cause,
                    "fix": finding.fix,
                    "facts": dict(finding.facts),
                }
                for finding in self.findings
            ],
        }
