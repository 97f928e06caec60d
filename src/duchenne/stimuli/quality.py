"""Which files are not what was asked for, and what the measures say of the whole set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import facs
from .design import Cell, Design, Quality

Row = Mapping[str, Any]


def outlier(row: Row, rest: Row, cell: Cell, quality: Quality, *, target: bool) -> str:
    """Why a file is an outlier, "" if it is none or nothing was measured.

    row: its measures. rest: those of the person at rest. target: the intensities were asked of the
    picture and not added to the face.
    """
    if "height" not in row:
        return ""
    reasons = []
    for code, asked in facs.by_unit(cell.descriptor).items():
        measured, before = row.get(f"measured_{code}"), rest.get(f"rest_{code}")
        if asked < quality.asked_at_least or measured is None or before is None:
            continue
        got = measured if target else measured - before
        if got < quality.reached * asked:
            reasons.append(f"{code} missed ({got:+.2f} of {asked:.2f})")
    distance = row.get("identity_distance")
    if distance is not None and distance > quality.identity:
        reasons.append(f"identity drifted ({distance:.2f})")
    if "rest_AU12" in rest and "measured_AU12" not in row:
        reasons.append("no face found in it any more")
    return "; ".join(reasons)


def too_many(rows: Sequence[Row], quality: Quality) -> bool:
    """Whether a person has more outliers than are tolerated."""
    share = sum(bool(row.get("outlier")) for row in rows) / max(1, len(rows))
    return share > quality.tolerated


def report(
    design: Design, rows: Sequence[Row], rejected: Sequence[Row], facts: Mapping[str, Any]
) -> str:
    """The quality report of a finished set, as Markdown. facts: see `papers.fingerprints`."""
    lines = [f"# Quality of “{design.title}”", ""]
    made = [row for row in rows if row.get("file") and not row.get("error")]
    flagged = [row for row in made if row.get("outlier")]
    failed = [row for row in rows if row.get("error")]
    lines += [
        f"{len(made)} files, {len(flagged)} outliers, {len(failed)} not made, "
        f"{len(rejected)} people rejected and replaced.",
        "",
        "A file is an outlier if an Action Unit of which at least "
        f"{design.quality.asked_at_least:g} was asked changes by less than "
        f"{design.quality.reached:g} of that, or if the identity distance is above "
        f"{design.quality.identity:g} (dlib's distance to the same person at rest; different "
        "people are 0.6 and more apart). The scores are this program's own and no substitute for "
        "raters or a FACS coder.",
        "",
    ]
    lines += _missing(facts)
    lines += _reasons(made)
    lines += _responses(made)
    lines += _spread(made)
    lines += _listed("Outliers", ((row["file"], row["outlier"]) for row in flagged))
    lines += _listed("Not made", ((str(row["key"]), row["error"]) for row in failed))
    lines += _listed("Rejected people", ((row["identity"], row["reason"]) for row in rejected))
    return "\n".join(lines) + "\n"


def _missing(facts: Mapping[str, Any]) -> list[str]:
    lines = []
    if not facts["scores"]:
        lines += ["Action Units were not measured: face_landmarker.task was not there.", ""]
    if not facts["identity"]:
        lines += ["Identity was not measured: dlib was not installed.", ""]
    return lines


def _reasons(rows: Sequence[Row]) -> list[str]:
    """A table: of each condition, how many files are outliers, and why (one may have two)."""
    lines = []
    for condition in dict.fromkeys(str(row["condition"]) for row in rows):
        own = [row for row in rows if row["condition"] == condition]
        flagged = [str(row["outlier"]) for row in own if row.get("outlier")]
        if flagged:
            # "AU1 missed (+0.02 of 0.40); identity drifted (0.61)" without what is in brackets
            why = Counter(one.split(" (")[0] for text in flagged for one in text.split("; "))
            told = ", ".join(f"{reason} {count}" for reason, count in why.most_common())
            lines.append(f"| {condition} | {len(own)} | {len(flagged)} | {told} |")
    head = ["| Condition | Files | Outliers | Why |", "| --- | --- | --- | --- |"]
    return [*head, *lines, ""] if lines else []


def _responses(rows: Sequence[Row]) -> list[str]:
    """A table: of each Action Unit, how much was asked and how much the faces changed."""
    lines = []
    for code in facs.CODES:
        pairs = [
            (row[f"asked_{code}"], row[f"measured_{code}"] - row[f"rest_{code}"])
            for row in rows
            if row.get(f"asked_{code}") and f"measured_{code}" in row and f"rest_{code}" in row
        ]
        if len(pairs) < 2:
            continue
        asked, change = np.array(pairs).T
        slope = float((asked @ change) / (asked @ asked))
        both_vary = asked.std() > 0 and change.std() > 0
        r = f"{np.corrcoef(asked, change)[0, 1]:.2f}" if both_vary else "-"
        lines.append(f"| {code} | {len(pairs)} | {slope:.2f} | {r} |")
    if not lines:
        return []
    return [
        "| AU | Files that ask for it | Change for each unit asked | Correlation |",
        "| --- | --- | --- | --- |",
        *lines,
        "",
    ]


def _spread(rows: Sequence[Row]) -> list[str]:
    """Median and range of what a set should have in common."""
    lines = []
    for name, title in (
        ("identity_distance", "Identity distance"),
        ("luminance", "Mean L* of the face"),
        ("contrast", "Standard deviation of L*"),
    ):
        values = [row[name] for row in rows if name in row]
        if values:
            low, middle, high = np.quantile(values, [0, 0.5, 1])
            lines.append(f"| {title} | {low:.2f} | {middle:.2f} | {high:.2f} |")
    head = ["| Measure | Least | Median | Most |", "| --- | --- | --- | --- |"]
    return [*head, *lines, ""] if lines else []


def _listed(title: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"- `{name}`: {reason}" for name, reason in entries]
    return [f"## {title}", "", *lines, ""] if lines else []
