"""The paper's statements and what becomes of them here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from duchenne import facs

Records = Mapping[str, Mapping[str, Any]]
"""Name of an experiment -> its record, as JSON gives it; experiments not run are not there."""


class Verdict(StrEnum):
    """What the records say about a statement of the paper."""

    IMPROVED = "improved"
    REPRODUCED = "reproduced"
    NOT = "not reproduced"
    IMPOSSIBLE = "not possible here"


@dataclass(frozen=True)
class Claim:
    """where: figure or section; says: the paper's statement; found: the number that decides.

    refuted: what would have to be found for the verdict to be "not reproduced".
    """

    where: str
    says: str
    found: str
    refuted: str
    verdict: Verdict


def columns_of(record: Mapping[str, Any]) -> list[str]:
    """The Action Units of its arrays of scores; the paper's, where an older record does not say."""
    return list(record.get("columns", facs.PAPER))


def judged(reproduced: bool, improved: bool = False) -> Verdict:
    """The verdict: an improvement counts only of what is reproduced."""
    if not reproduced:
        return Verdict.NOT
    return Verdict.IMPROVED if improved else Verdict.REPRODUCED


def table(rows: list[list[str]], header: list[str]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def picture(stem: str, caption: str, suffix: str = ".jpg") -> str:
    """Markdown: a figure with a link to its SVG."""
    return f"![{caption}]({stem}{suffix})\n\n*{caption} ([SVG]({stem}.svg))*"
