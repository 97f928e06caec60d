"""Beyond the paper: what goes wrong, chosen at random and shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.animate import Subject
from duchenne.evaluate import harness, metrics
from duchenne.evaluate.harness import Measured
from duchenne.files.pictures import SourceType
from duchenne.measuring.identity import JUDGES

from . import claims as verdicts
from . import figures
from .claims import Claim, Records
from .context import FRAME, OPEN, Context, Settings

NAME = "failures"
FIGURES = ("random_edits", "random_failures")
SHOWN = 12
ROW = 6  # edits in a row of the figures
TILE = 110


def seconds(settings: Settings) -> float:
    """Estimated on two free cores; the measurements are those of the tables."""
    return 2 * SHOWN * (OPEN + FRAME)


def run(context: Context) -> dict[str, Any]:
    """Draw random edits from all, and random failures from those that fail."""
    people = context.held_out(context.settings.identities)
    measured = harness.evaluate(
        people,
        context.judges,
        context.results,
        progress=partial(context.progress, f"{NAME}: measure"),
    )
    reasons = why(measured)
    every = [(f, i) for f in range(len(people)) for i in range(len(facs.CODES))]
    failing = [place for place in every if reasons[place]]
    rng = np.random.default_rng(context.settings.seed)
    record: dict[str, Any] = {
        "seed": context.settings.seed,
        "edits": len(every),
        "failing": len(failing),
        "reasons": _count(reasons),
        "per_unit": {
            code: sum(bool(reasons[f, i]) for f in range(len(people)))
            for i, code in enumerate(facs.CODES)
        },
        "files": [],
    }
    for stem, places in zip(FIGURES, (every, failing), strict=True):
        chosen = [places[k] for k in sorted(rng.permutation(len(places))[:SHOWN])]
        record[stem] = [
            {"seed": harness.FIRST_SEED + f, "unit": facs.CODES[i], "why": reasons[f, i]}
            for f, i in chosen
        ]
        if chosen:
            figure = _figure(people, chosen)
            record["files"] += context.save(figure, stem, SourceType.GENERATED)
    return record


def why(measured: Measured) -> dict[tuple[int, int], list[str]]:
    """(face, unit) -> what is wrong with that edit at E = 1; an empty list if nothing is."""
    own = metrics.own_change(measured.scores)
    other = metrics.strongest_other(measured.scores)
    result = {}
    for f in range(len(measured)):
        for i in range(len(facs.CODES)):
            reasons = []
            if own[f, i] < metrics.RESPONDS:
                reasons.append("does not respond")
            if own[f, i] <= other[f, i]:
                reasons.append("another AU moves more")
            if any(measured.last[j.key][f, i] >= j.same_person for j in JUDGES.values()):
                reasons.append("another person")
            result[f, i] = reasons
    return result


def _count(reasons: dict[tuple[int, int], list[str]]) -> dict[str, int]:
    names = sorted({reason for failed in reasons.values() for reason in failed})
    return {name: sum(name in failed for failed in reasons.values()) for name in names}


def _figure(people: Sequence[Subject], chosen: Sequence[tuple[int, int]]) -> Any:
    """Two strips for every ROW edits: before, under the names of the AUs, and after."""
    parts = [chosen[start : start + ROW] for start in range(0, len(chosen), ROW)]
    figure = figures.new(ROW + 0.9, 2 * len(parts) + 0.3 * len(parts))
    axes = figure.subplots(2 * len(parts), 1)
    for n, part in enumerate(parts):
        names = [facs.CODES[i] for _, i in part]
        before = [people[f].scene.base for f, _ in part]
        after = [people[f].edit({facs.CODES[i]: 1.0}) for f, i in part]
        figures.show_strip(axes[2 * n], figures.strip(before, TILE), "before", names)
        figures.show_strip(axes[2 * n + 1], figures.strip(after, TILE), "after")
    return figure


def claims(records: Records) -> list[Claim]:
    """The paper shows no failures."""
    return []


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    counted = ", ".join(f"{name}: {count}" for name, count in record["reasons"].items()) or "none"
    rows = [[code, str(count)] for code, count in record["per_unit"].items()]
    parts = [
        f"Of {record['edits']} edits at E = 1, {record['failing']} fail by one of these measures "
        f"or more: {counted}. The edits shown are drawn at random (seed {record['seed']}), in "
        "pairs of rows: before, after. All AUs are asked and seen, so that most of the failures "
        "are of those whose opposite or neighbour moves as much by its nature (gaze, lids; see the "
        "three sets of people).",
        verdicts.picture(FIGURES[0], f"Random edits: {_listed(record[FIGURES[0]])}"),
    ]
    if record[FIGURES[1]]:
        parts.append(
            verdicts.picture(FIGURES[1], f"Random failures: {_listed(record[FIGURES[1]])}")
        )
    return "\n\n".join([*parts, verdicts.table(rows, ["", "failing edits"])])


def _listed(chosen: Sequence[dict[str, Any]]) -> str:
    return "; ".join(c["unit"] + (f" ({', '.join(c['why'])})" if c["why"] else "") for c in chosen)
