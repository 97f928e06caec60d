"""Fig. 5: signed distances e = d(b, z) of the codes of AU faces and of neutral faces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from duchenne import facs
from duchenne.editing.boundaries import Boundaries
from duchenne.editing.edit import signed_distances
from duchenne.errors import InputError
from duchenne.fit import baselines, paper
from duchenne.fit import boundaries as svm

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import FRAME, SCORE, Context, Settings

NAME = "distances"
FIGURES = ("fig5_distances", "fig5_roc")
METHODS = ("default", "paper")
SEPARATES = 0.75  # held-out accuracy from which a boundary is said to separate

Array = NDArray[np.float64]


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    return (settings.samples + settings.lengths_on * len(facs.CODES) * 9) * (FRAME + SCORE)


def run(context: Context) -> dict[str, Any]:
    """Distances of the codes that neither method was fitted on."""
    samples = baselines.samples(
        context.studio, context.results, context.settings.samples, context.progress
    )
    held_out = np.arange(len(samples.w)) % 4 == 3  # those of `fit.paper.fit`
    record: dict[str, Any] = {"samples": len(samples.w), "held_out": int(held_out.sum())}
    for name in METHODS:
        boundaries = context.method(name).boundaries
        record[name] = {
            code: separation(samples, held_out, boundaries, i) for i, code in enumerate(facs.CODES)
        }
    record["files"] = [
        *context.save(_distances_figure(record), FIGURES[0]),
        *context.save(_roc_figure(record), FIGURES[1]),
    ]
    return record


def separation(
    samples: paper.Samples, held_out: NDArray[np.bool_], boundaries: Boundaries, unit: int
) -> dict[str, Any]:
    """How one boundary parts the held-out faces that show an AU from those that do not.

    The labels are the paper recipe's: the strongest and the weakest SHARE of all samples by score.
    Distances are in units of their standard deviation over the held-out samples.
    """
    strength = samples.scores[:, unit]
    low, high = np.quantile(strength, [paper.SHARE, 1 - paper.SHARE])
    chosen = held_out & ((strength <= low) | (strength >= high))
    shown = strength[chosen] >= high
    if shown.all() or not shown.any():
        raise InputError(
            f"{facs.CODES[unit]}: among {len(shown)} held-out faces all or none show it; the "
            "distances need more samples"
        )
    one = slice(unit, unit + 1)
    signed = signed_distances(samples.w, boundaries.normals[one], boundaries.biases[one])[:, 0]
    distances = signed[chosen] / signed[held_out].std()
    metrics = svm.scikit_learn("metrics")
    false, true, _ = metrics.roc_curve(shown, distances)
    return {
        "accuracy": round(float(((distances > 0) == shown).mean()), 4),
        "auc": round(float(metrics.roc_auc_score(shown, distances)), 4),
        "neutral": np.round(distances[~shown], 3).tolist(),
        "shows": np.round(distances[shown], 3).tolist(),
        "roc": [np.round(false, 3).tolist(), np.round(true, 3).tolist()],
        "correlation": round(float(np.corrcoef(signed[held_out], strength[held_out])[0, 1]), 4),
    }


def _distances_figure(record: dict[str, Any]) -> Any:
    figure = figures.new(10, 7)
    rng = np.random.default_rng(0)  # only spreads the marks up and down
    for axes, code in figures.of_units(figure):
        for y, name in enumerate(reversed(METHODS)):
            for part, colour, mark in (("neutral", "#2a9d4a", "o"), ("shows", "#e0b000", "s")):
                values = np.array(record[name][code][part])
                heights = y + rng.uniform(-0.3, 0.3, len(values))
                axes.scatter(values, heights, s=9, c=colour, marker=mark, linewidths=0)
        axes.axvline(0, color="red", linewidth=1)
        accuracy = ", ".join(f"{record[name][code]['accuracy']:.0%}" for name in METHODS)
        axes.set_title(f"{code}: {accuracy}", fontsize=9)
        axes.set_yticks(range(len(METHODS)), list(reversed(METHODS)), fontsize=7)
        axes.set_ylim(-0.6, len(METHODS) - 0.4)
        axes.tick_params(labelsize=7)
    figure.supxlabel("signed distance e = d(b, z), in standard deviations", fontsize=9)
    return figure


def _roc_figure(record: dict[str, Any]) -> Any:
    figure = figures.new(10, 7)
    for axes, code in figures.of_units(figure):
        for name in METHODS:
            curve = record[name][code]
            axes.plot(*curve["roc"], label=f"{name} {curve['auc']:.2f}", linewidth=1.2)
        axes.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
        axes.set_title(code, fontsize=9)
        axes.legend(fontsize=7, loc="lower right", frameon=False)
        axes.tick_params(labelsize=7)
    figure.supxlabel("faces without the AU taken for faces with it", fontsize=9)
    figure.supylabel("faces with the AU found", fontsize=9)
    return figure


def _means(record: Any, key: str) -> dict[str, float]:
    return {name: float(np.mean([one[key] for one in record[name].values()])) for name in METHODS}


def claims(records: Records) -> list[Claim]:
    """What Fig. 5 and section 3.3 say."""
    if NAME not in records:
        return []
    record = records[NAME]
    accuracy, area = _means(record, "accuracy"), _means(record, "auc")
    ours = judged(accuracy["default"] >= SEPARATES, accuracy["default"] > accuracy["paper"])
    theirs = judged(accuracy["paper"] >= SEPARATES)
    link = f"[plot]({FIGURES[0]}.png)"
    refuted = f"held-out accuracy below {SEPARATES:.0%}, mean over AUs"
    return [
        Claim(
            "Fig. 5",
            "a hyperplane of W that is fitted to part AU codes from neutral codes does so (the "
            "paper's recipe): d(b, z) > 0 where the face shows the AU, < 0 where it is neutral",
            f"held-out accuracy {accuracy['paper']:.0%}, area under the ROC {area['paper']:.2f}, "
            f"means over AUs; {link}",
            refuted,
            theirs,
        ),
        Claim(
            "Fig. 5",
            "the boundary that animates is the boundary that parts them (our boundaries, which are "
            "fitted to change one person's AU and not to part strangers)",
            f"held-out accuracy {accuracy['default']:.0%}, area under the ROC "
            f"{area['default']:.2f}; {link}",
            refuted,
            ours,
        ),
    ]


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    rows = []
    for code in record[METHODS[0]]:
        cells = [
            f"{record[name][code][key]:.2f}"
            for name in METHODS
            for key in ("accuracy", "auc", "correlation")
        ]
        rows.append([code, *cells])
    header = ["", *(f"{n}: {k}" for n in METHODS for k in ("accuracy", "ROC area", "r"))]
    return "\n\n".join(
        [
            f"{record['samples']} random faces, scored; the {record['held_out']} of them that the "
            "paper's recipe was not fitted on are shown (our boundaries saw none of them). A face "
            f"shows an AU if its score is among the highest {paper.SHARE:.0%}, and is neutral if "
            f"among the lowest {paper.SHARE:.0%}. r is the correlation of the distance with the "
            "score. The paper's recipe is fitted to tell random faces apart, and may use whatever "
            "goes along with an AU among them, such as glasses, age or pose; ours is fitted to "
            "change the AU and nothing else, so that telling strangers apart is not its task.",
            verdicts.picture(
                FIGURES[0],
                "Signed distances of AU codes (yellow squares) and neutral codes (green circles); "
                "the red line is the boundary, the titles are accuracies (default, paper)",
                ".png",
            ),
            verdicts.picture(FIGURES[1], "ROC of the signed distances, areas in the legends",
                             ".png"),
            verdicts.table(rows, header),
        ]
    )  # fmt: skip
