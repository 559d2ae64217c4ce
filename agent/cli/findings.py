"""What ``check`` finds, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """it works, but somebody should know"""
    PROBLEM = "problem"
    """it does not work until somebody acts"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: how bad it is.
        part: what was looked at.
        said: what was found, in words.
        advice: what to do; empty when all is well.
    """

    level: Level
    part: str
    said: str
    advice: str = ""


def ok(part: str, said: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, part, said)


def warning(part: str, said: str, advice: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(Level.WARNING, part, said, advice)


def problem(part: str, said: str, advice: str) -> Finding:
    """It does not work until somebody acts."""
    return Finding(Level.PROBLEM, part, said, advice)


def told(findings: Sequence[Finding]) -> str:
    """The findings for a person, in their order, and what it comes to."""
    lines = []
    for finding in findings:
        lines.append(f"[{finding.level:^7}] {finding.part}: {finding.said}")
        if finding.advice:
            lines.append(f"          -> {finding.advice}")
    counts = {level: sum(finding.level is level for finding in findings) for level in Level}
    lines.append(f"\n{counts[Level.OK]} ok, {counts[Level.WARNING]} warning(s), {counts[Level.PROBLEM]} problem(s)")
    return "\n".join(lines)


def failed(findings: Sequence[Finding]) -> bool:
    """Whether there is a problem among them."""
    return any(finding.level is Level.PROBLEM for finding in findings)
