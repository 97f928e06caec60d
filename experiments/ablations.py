"""Beyond the paper: what each part of the method earns, at the same strength of the asked AU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.animate import Subject
from duchenne.editing.boundaries import Boundaries
from duchenne.evaluate import harness, kept, metrics
from duchenne.evaluate.harness import Measured
from duchenne.files.pictures import SourceType
from duchenne.measuring.identity import JUDGES
from duchenne.weights.store import cache_root

from . import claims as verdicts
from . import figures, variants
from .claims import Claim, Records, judged
from .context import DESCRIBE, FRAME, OPEN, SCORE, Context, Settings

NAME = "ablations"
FIGURE = "ablations"
SHIPPED, PAPER = "as shipped", "paper's recipe"
CALIBRATED_ON = 2  # people on whom the strengths are matched
LEVELS = (0.0, 1.0)
RESPONSE = 12.0  # seconds for the slopes of one face
SHOWN = ("AU4", "AU12", "AU26")
ROWS = {
    "leakage": "leakage into other AUs",
    **{j.key: f"identity distance ({j.name}), mean" for j in JUDGES.values()},
    **{f"{j.key}_95": f"identity distance ({j.name}), 95 %" for j in JUDGES.values()},
    "background": "mean change outside (levels)",
    "turned": "head turned (degrees)",
    "reached": "strength reached",
}


def seconds(settings: Settings) -> float:
    """Estimated on two free cores, with all responses to be collected."""
    drawn = len(facs.CODES) * (CALIBRATED_ON * len(variants.STEPS) + settings.compared)
    each = drawn * (FRAME + SCORE) + settings.compared * (OPEN + len(facs.CODES) * DESCRIBE)
    collecting = 0 if settings.responses_folder else settings.responses * RESPONSE
    return collecting + 60 + (len(variants.NAMES) + 2) * each


def run(context: Context) -> dict[str, Any]:
    """Fit, match the strengths, and measure every variant on the same people."""
    people = context.held_out(context.settings.compared)
    folder = context.settings.responses_folder or default_responses(context)
    answers = variants.collect(context.studio, folder, context.settings.responses, context.progress)
    shipped = _measure(context, context.studio.boundaries, people, SHIPPED)
    wanted = metrics.own_change(shipped.scores)[:CALIBRATED_ON].mean(axis=0)
    candidates = {
        **variants.fit(context.studio, answers),
        PAPER: context.method("paper").boundaries,
    }
    record: dict[str, Any] = {
        "responses": len(answers.w),
        "people": len(people),
        "variants": {SHIPPED: summary(shipped, np.ones(len(wanted)))},
    }
    shown = {SHIPPED: context.studio.boundaries}
    for name, boundaries in candidates.items():
        inputs = {"variant": kept.of_boundaries(boundaries), "wanted": np.round(wanted, 3).tolist()}
        match = context.keep(
            "matched",
            {**inputs, "people": [kept.of_code(p.code) for p in people[:CALIBRATED_ON]]},
            lambda b=boundaries: {  # type: ignore[misc]
                key: values.tolist()
                for key, values in variants.matched(b, people[:CALIBRATED_ON], wanted).items()
            },
        )
        lengths = np.array(match["lengths"], np.float32)[:, None]
        shown[name] = replace(boundaries, lengths=lengths)
        measured = _measure(context, shown[name], people, name)
        record["variants"][name] = summary(measured, np.array(match["reached"]))
    record["files"] = context.save(_figure(context, shown, people[0]), FIGURE, SourceType.GENERATED)
    return record


def default_responses(context: Context) -> Path:
    """Where `duchenne fit boundaries` keeps the responses of its faces unless told otherwise."""
    return cache_root() / "fit" / context.studio.generator.fingerprint


def _measure(
    context: Context, boundaries: Boundaries, people: Sequence[Subject], name: str
) -> Measured:
    studio = context.studio.replace(boundaries=boundaries)
    return harness.evaluate(
        [replace(person, studio=studio) for person in people],
        context.judges,
        context.results,
        levels=LEVELS,
        progress=partial(context.progress, f"{NAME}: {name}"),
    )


def summary(measured: Measured, reached: np.ndarray) -> dict[str, float]:
    """Means over AUs and people."""
    values = {
        "leakage": metrics.leakage(measured.scores).mean(),
        **{f"{j.key}_95": np.quantile(measured.last[j.key], 0.95) for j in JUDGES.values()},
        **{
            name: distances.mean() for name, distances in measured.last.items() if name != "outside"
        },
        "reached": reached.mean(),
    }
    return {name: round(float(value), 4) for name, value in values.items()}


def _figure(context: Context, shown: dict[str, Boundaries], person: Subject) -> Any:
    rows = []
    for boundaries in shown.values():
        studio = context.studio.replace(boundaries=boundaries)
        mine = replace(person, studio=studio)
        rows.append([harness.unedited(mine), *(mine.edit({code: 1.0}) for code in SHOWN)])
    labels = [name.replace(", ", ",\n").replace(" of influence", "") for name in shown]
    return figures.strips(rows, labels, ["as it is", *SHOWN])


def claims(records: Records) -> list[Claim]:
    """What 4.1 says of the latent spaces, and 1 of the projection."""
    if NAME not in records:
        return []
    variant = records[NAME]["variants"]
    full, one_row = variant[variants.FULL_METHOD], variant[variants.ONE_ROW]
    impure = variant[variants.NO_PROJECTION]
    return [
        Claim(
            "4.1",
            "the extended space (a row for every layer) suits expressions better than W",
            f"leakage {full['leakage']:.2f} in W+ against {one_row['leakage']:.2f} in W, identity "
            f"distance {full['identity']:.2f} against {one_row['identity']:.2f}; W reaches "
            f"{one_row['reached']:.2f} of the strength",
            "leakage in W+ as large as in W",
            judged(full["leakage"] < one_row["leakage"]),
        ),
        Claim(
            "1",
            "subspace projection decouples entangled attributes",
            f"leakage {full['leakage']:.2f} with the projection, {impure['leakage']:.2f} without",
            "as much leakage with the projection as without",
            judged(full["leakage"] < impure["leakage"]),
        ),
    ]


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    # The record may be older than a judge of identity.
    columns = {key: title for key, title in ROWS.items() if key in record["variants"][SHIPPED]}
    rows = [
        [name, *(f"{values[key]:.3f}" for key in columns)]
        for name, values in record["variants"].items()
    ]
    return "\n\n".join(
        [
            f"{record['people']} held-out people, every AU at the strength of the shipped "
            f"boundaries (the length is matched on {CALIBRATED_ON} of them). All variants between "
            f"the first row and the last are fitted on the same {record['responses']} faces; the "
            "shipped boundaries saw more, and only they are refined and go farther on far faces. "
            "Strength reached under 1: the variant cannot go so far within its reach, and looks "
            "better than it is.",
            verdicts.table(rows, ["", *columns.values()]),
            verdicts.picture(FIGURE, f"One person under every variant: {', '.join(SHOWN)}"),
        ]
    )
