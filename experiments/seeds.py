"""Beyond the paper: how much hangs on who was looked at. The bars on three sets of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.evaluate import harness, report
from duchenne.evaluate.bars import bars
from duchenne.evaluate.harness import LEVELS, Measured

from . import claims as verdicts
from .claims import Claim, Records
from .context import DESCRIBE, FRAME, OPEN, SCORE, Context, Settings

NAME = "seeds"
SETS = 3
ASKED: Mapping[str, tuple[str, ...]] = {
    "the paper's twelve AUs, among themselves": facs.PAPER,
    "all AUs, among all": facs.CODES,
}
SHOWN = ("responds", "leads", "leakage", "identity_95")  # of every AU, as in the tables


def seconds(settings: Settings) -> float:
    """Estimated on two free cores; the people of the tables are among them, and are kept."""
    edits = len(facs.CODES) * ((len(LEVELS) - 1) * (FRAME + SCORE) + 3 * DESCRIBE)
    return max(SETS * settings.of_set - settings.identities, 0) * (OPEN + edits)


def run(context: Context) -> dict[str, Any]:
    """Measure SETS disjoint sets of people that no fit has seen, with our boundaries."""
    count = context.settings.of_set
    measured = []
    for k in range(SETS):
        people = context.held_out(count, k * count)
        told = partial(context.progress, f"{NAME}: set {k + 1}")
        measured.append(harness.evaluate(people, context.judges, context.results, progress=told))
    return {"people": count, **summary(measured)}


def summary(sets: Sequence[Measured]) -> dict[str, Any]:
    """What the page shows: the bars of every set, and some columns of its table."""
    tables = [measured.table() for measured in sets]
    return {
        "bars": {
            asked: [[bar.as_json() for bar in bars(one.among(codes))] for one in sets]
            for asked, codes in ASKED.items()
        },
        "units": {
            metric: {code: [table[metric][code] for table in tables] for code in facs.CODES}
            for metric in SHOWN
        },
    }


def claims(records: Records) -> list[Claim]:
    """None: the paper shows single people."""
    return []


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    count = record["people"]
    parts = [
        f"The requirements of the tables on {SETS} disjoint sets of {count} people that no fit has "
        "seen, with the present boundaries; the spread is the largest value less the smallest. "
        "Where it is wide, a margin in the tables may be luck. Worst AUs may differ from set to "
        f"set; with {count} people one of them is {1 / count:.0%}. Among all AUs fewer move most: "
        "gaze to the left is the opposite of gaze to the right, up of down, and a closed eye of a "
        "raised lid, each as strong as the other and none declared tied; lids follow brows and "
        "gaze; and AU23, 24 and 28 look alike.",
    ]
    for asked, sets in record["bars"].items():
        parts += [f"**Requirements, {asked}**", _bars(sets)]
    header = ["", *(report.COLUMNS[metric] for metric in record["units"])]
    rows = [
        [code, *(_three(values[code]) for values in record["units"].values())]
        for code in next(iter(record["units"].values()))
    ]
    parts += ["**Every AU among all, set by set**", verdicts.table(rows, header)]
    return "\n\n".join(parts)


def _bars(sets: Sequence[Sequence[Mapping[str, Any]]]) -> str:
    rows = []
    for lines in zip(*sets, strict=True):
        values = [line["value"] for line in lines]
        passed = [line["passed"] for line in lines]
        verdict = "pass" if all(passed) else f"**fails in {passed.count(False)} of {len(passed)}**"
        found = [line["found"] for line in lines]
        rows.append(
            [lines[0]["name"], lines[0]["wanted"], *found, f"{np.ptp(values):.3f}", verdict]
        )
    header = ["requirement", "wanted", *(f"set {k + 1}" for k in range(len(sets))), "spread", ""]
    return verdicts.table(rows, header)


def _three(values: Sequence[float]) -> str:
    return f"{' / '.join(f'{value:.2f}' for value in values)} ({np.ptp(values):.2f})"
