"""Fig. 1: several people from neutral to happy, with the paper's descriptor."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from duchenne import demo, facs
from duchenne.evaluate import harness, kept, metrics
from duchenne.files.pictures import SourceType
from duchenne.motion.timeline import from_descriptor

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, columns_of, judged
from .context import ENCODE, FRAME, OPEN, SCORE, Context, Settings

NAME = "happiness"
FIGURE = "fig1_happiness"
SHARE = 0.9  # part of the people in whom the animation must work
MONOTONE = 0.95  # least rank correlation of the mean score with λ


def seconds(settings: Settings) -> float:
    """Estimated on two free cores, the photo's encoding included."""
    return ENCODE + (settings.shown + 1) * (OPEN + settings.frames * (FRAME + SCORE))


def run(context: Context) -> dict[str, Any]:
    """Animate, measure every frame, and draw the strips."""
    people = [*context.held_out(context.settings.shown), context.photo]
    labels = [f"person {n + 1}" for n in range(context.settings.shown)] + ["photo"]
    wanted = facs.parse_vector(demo.DESCRIPTOR)
    timeline = from_descriptor(wanted, frames=context.settings.frames)
    rows, records = [], []
    for n, (person, label) in enumerate(zip(people, labels, strict=True)):
        frames = list(person.animate(timeline))
        rows.append(frames)
        record = context.keep(
            "happiness",
            {
                "code": kept.of_code(person.code),
                "frames": len(timeline),
                "judge": context.classifier is not None,
            },
            partial(_measure, context, frames),
        )
        records.append({"who": label, **record})
        context.progress(NAME, n + 1, len(people))
    levels = [f"λ = {value:.2g}" for value in np.linspace(0, 1, len(timeline))]
    figure = figures.strips(rows, labels, levels)
    files = context.save(figure, FIGURE, SourceType.GENERATED)
    return {
        "descriptor": demo.DESCRIPTOR,
        "asked": list(wanted),
        "columns": list(facs.CODES),
        "people": records,
        "files": files,
    }


def _measure(context: Context, frames: list[np.ndarray]) -> dict[str, Any]:
    scores = np.array([harness.scores(frame, context.studio.scorer) for frame in frames])
    result: dict[str, Any] = {
        "scores": np.round(scores, 3).tolist(),
        "identity": round(context.recogniser.distance(frames[0], frames[-1]), 4),
    }
    if context.classifier is not None:
        result["judged"] = [
            context.classifier.label(frames[0]),
            context.classifier.label(frames[-1]),
        ]
    return result


def summary(record: Mapping[str, Any]) -> dict[str, float]:
    """Numbers over the people: how the three asked AUs rise, and the identity distance."""
    asked = [columns_of(record).index(code) for code in record["asked"]]
    rises, orders = [], []
    for person in record["people"]:
        curves = np.array(person["scores"])[:, asked]
        rises.append((curves[-1] - curves[0]).min())
        mean = curves.mean(axis=1)
        orders.append(spearmanr(np.arange(len(mean)), mean).statistic)
    return {
        "people": len(rises),
        "share": float(np.mean(np.array(rises) >= metrics.RESPONDS)),
        "monotone": float(np.min(orders)),
        "identity": float(np.max([person["identity"] for person in record["people"]])),
    }


def claims(records: Records) -> list[Claim]:
    """What Fig. 1 and its paragraph in 4.3 say."""
    if NAME not in records:
        return []
    rising = summary(records[NAME])
    works = rising["share"] >= SHARE and rising["monotone"] >= MONOTONE
    text = (
        f"AU6, AU12 and AU25 all rise by {metrics.RESPONDS:g} or more in {rising['share']:.0%} of "
        f"{rising['people']:.0f} people, worst rank correlation with λ {rising['monotone']:.3f}; "
        f"[picture]({FIGURE}.jpg)"
    )
    return [
        Claim("Fig. 1", "the descriptor animates neutral to happy, person by person", text,
              f"one of the three rises by less than {metrics.RESPONDS:g} in more than "
              f"{1 - SHARE:.0%} of the people, or a rank correlation is below {MONOTONE:g}",
              judged(works))
    ]  # fmt: skip


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    rows = []
    asked = [columns_of(record).index(code) for code in record["asked"]]
    for person in record["people"]:
        curves = np.array(person["scores"])[:, asked]
        cells = [f"{a:.1f} → {b:.1f}" for a, b in zip(curves[0], curves[-1], strict=True)]
        judged_as = " → ".join(person["judged"]) if "judged" in person else "-"
        rows.append([person["who"], *cells, f"{person['identity']:.2f}", judged_as])
    header = ["", *record["asked"], "identity distance", "outside judge of expressions"]
    return "\n\n".join(
        [
            f"Descriptor [{record['descriptor']}], linear λ. The scores, on the scale 0 to 5 "
            "but not clipped, are of the first and the last frame. The last person is the "
            "public-domain photo of the demo, encoded.",
            verdicts.picture(FIGURE, "Neutral to happy; compare with the paper's Fig. 1"),
            verdicts.table(rows, header),
        ]
    )
