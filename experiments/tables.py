"""Beyond the paper: response, leakage, identity and background for every AU, on held-out people."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.evaluate import harness, metrics, report
from duchenne.evaluate.bars import OF_THE_TARGET, SPEARMAN, Bar, bars, tied
from duchenne.evaluate.harness import LEVELS, Measured
from duchenne.fit import baselines
from duchenne.measuring.identity import DLIB, JUDGES, Judge

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import DESCRIBE, ENCODE, FRAME, OPEN, SCORE, Context, Settings

NAME = "tables"
METHODS = ("default", *baselines.NAMES)
FIGURES = ("leakage", "agreement")
STAYS = 0.5  # grey levels by which the background may change in the mean
GROUPS = {"generated": "generated people", "photos": "photos"}


def seconds(settings: Settings) -> float:
    """Estimated on two free cores: all units, recipes and encodings included."""
    people = settings.identities + len(settings.photos) + 1
    edits = len(facs.CODES) * ((len(LEVELS) - 1) * (FRAME + SCORE) + DESCRIBE + SCORE)
    lengths = (
        settings.lengths_on * len(facs.CODES) * 9 * (FRAME + SCORE)
    )  # of the conditional recipe
    return len(METHODS) * people * (OPEN + edits) + ENCODE * len(settings.photos) + lengths


def run(context: Context) -> dict[str, Any]:
    """Measure everybody under every method."""
    groups = {
        "generated": context.held_out(context.settings.identities),
        "photos": context.photos,
    }
    measured = {
        group: {
            name: harness.evaluate(
                context.under(name, people),
                context.judges,
                context.results,
                progress=partial(context.progress, f"{NAME}: {name}, {group}"),
            )
            for name in METHODS
        }
        for group, people in groups.items()
    }
    record: dict[str, Any] = {
        group: {name: summary(edits) for name, edits in methods.items()}
        for group, methods in measured.items()
    }
    record["bars"] = {
        group: [b.as_json() for b in bars(methods["default"], methods["paper"])]
        for group, methods in measured.items()
    }
    generated = measured["generated"]
    record["files"] = [
        *context.save(_leakage_figure(generated), FIGURES[0]),
        *context.save(_agreement_figure(generated["default"]), FIGURES[1]),
    ]
    return record


def summary(measured: Measured) -> dict[str, Any]:
    """What the page shows of one method."""
    correlation, slope = metrics.agreement(measured.scores, LEVELS)
    curves = (measured.scores - measured.scores[:, :, :1]) / facs.FULL
    target = np.stack([curves[:, i, :, i] for i in range(len(facs.CODES))])  # [U, F, K]
    return {
        "faces": len(measured),
        "table": {name: dict(values) for name, values in measured.table().items()},
        **{
            f"{judge.key}_95": round(float(np.quantile(measured.last[judge.key], 0.95)), 4)
            for judge in JUDGES.values()
        },
        "leakage_matrix": np.round(metrics.leakage_matrix(measured.scores), 3).tolist(),
        "agreement": {
            code: {
                "r": round(float(correlation[i]), 4),
                "slope": round(float(slope[i]), 4),
                "mean": np.round(target[i].mean(axis=0), 4).tolist(),
                "deviation": np.round(target[i].std(axis=0), 4).tolist(),
            }
            for i, code in enumerate(facs.CODES)
        },
        "means": {name: round(float(np.mean(list(v.values()))), 4)
                  for name, v in measured.table().items()},
    }  # fmt: skip


def _leakage_figure(methods: Mapping[str, Measured]) -> Any:
    figure = figures.new(3.6 * len(methods) + 0.6, 3.9)
    for axes, (name, measured) in zip(
        figure.subplots(1, len(methods), squeeze=False)[0], methods.items(), strict=True
    ):
        drawn = axes.imshow(metrics.leakage_matrix(measured.scores), vmin=0, vmax=1, cmap="magma_r")
        axes.set_title(f"{name}: {metrics.leakage(measured.scores).mean():.2f}", fontsize=10)
        numbers = [code.removeprefix("AU") for code in facs.CODES]
        axes.set_xticks(range(len(numbers)), numbers, fontsize=7)
        axes.set_yticks(range(len(numbers)), numbers, fontsize=7)
    figure.colorbar(drawn, ax=figure.axes, shrink=0.8)
    figure.supxlabel("measured AU", fontsize=9)
    figure.supylabel("asked AU", fontsize=9)
    return figure


def _agreement_figure(measured: Measured) -> Any:
    figure = figures.new(10, 7)
    curves = (measured.scores - measured.scores[:, :, :1]) / facs.FULL
    for i, (axes, code) in enumerate(figures.of_units(figure)):
        mine = curves[:, i, :, i]
        axes.plot(LEVELS, mine.T, color="0.8", linewidth=0.6)
        axes.plot(LEVELS, mine.mean(axis=0), color="tab:blue", linewidth=2)
        axes.plot([0, 1], [0, 1], color="red", linewidth=0.8)
        axes.set_title(code, fontsize=9)
        axes.tick_params(labelsize=7)
    figure.supxlabel("asked intensity", fontsize=9)
    figure.supylabel("measured change of intensity", fontsize=9)
    return figure


def claims(records: Records) -> list[Claim]:
    """The paper's general statements that these tables decide."""
    if NAME not in records:
        return []
    ours, theirs = (records[NAME]["generated"][name] for name in ("default", "paper"))
    monotone = min(ours["table"]["monotone"].values())
    leak, their_leak = ours["means"]["leakage"], theirs["means"]["leakage"]
    far, their_far = ours["identity_95"], theirs["identity_95"]
    behind, their_behind = ours["means"]["background"], theirs["means"]["background"]
    return [
        Claim(
            "3.1, 3.4",
            "the expression changes gradually along the linear interpolation",
            f"rank correlation of level and score, worst AU: {monotone:.3f}",
            f"below {SPEARMAN:g} for an AU",
            judged(monotone >= SPEARMAN, monotone > min(theirs["table"]["monotone"].values())),
        ),
        Claim(
            "3.3",
            "f(z) holds the same face except for the additional AU: other AUs stay",
            f"leakage {leak:.2f} of the asked change; paper's recipe {their_leak:.2f}",
            f"more than {OF_THE_TARGET:g} of the asked change",
            judged(leak <= OF_THE_TARGET, leak < their_leak),
        ),
        Claim(
            "3.3",
            "f(z) holds the same face except for the additional AU: the person stays",
            f"95 % of all edits at E = 1 within {far:.2f} ({DLIB.same_person:g} would be another "
            f"person); paper's recipe {their_far:.2f}",
            f"{DLIB.same_person:g} or farther in more than 5 % of the edits",
            judged(far < DLIB.same_person, far < their_far),
        ),
        Claim(
            "3.3",
            "f(z) holds the same face except for the additional AU: the background stays",
            f"mean change outside the region {behind:.2f} grey levels; paper's recipe "
            f"{their_behind:.2f}",
            f"{STAYS:g} grey levels or more",
            judged(behind < STAYS, behind < their_behind),
        ),
    ]


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    measured = record["generated"]["default"]["agreement"]
    parts = [f"Tied by anatomy, and not held against one another: {tied(measured)}."]
    for group, name in GROUPS.items():
        methods = record[group]
        lines = [Bar(**bar) for bar in record["bars"][group]]
        parts += [
            f"**Requirements on our boundaries, {methods['default']['faces']} {name}**",
            "\n".join(report.requirement_table(lines)),
            f"**Means over the twelve AUs, {name}**",
            _means(methods),
        ]
    parts += [
        verdicts.picture(
            FIGURES[0],
            "Change of every AU (columns) relative to the change of the asked AU (rows); the "
            "titles are means over the AUs that are not tied",
            ".png",
        ),
        " ".join(["Identity is the distance of two descriptors.", *map(_about, _asked(record))]),
        "**Every AU, generated people, ours (the paper's recipe in brackets)**",
        _units(record["generated"]),
        "**Asked and measured intensity**: grey are the people, blue is their mean, red would be "
        "exact. r and slope in the table above are over all people and levels.",
        verdicts.picture(FIGURES[1], "Asked against measured intensity", ".png"),
    ]
    return "\n\n".join(parts)


def _asked(record: Mapping[str, Any]) -> list[Judge]:
    """The judges of a record, which may be older than one of them."""
    return [j for j in JUDGES.values() if f"{j.key}_ok" in record["generated"]["default"]["means"]]


def _about(judge: Judge) -> str:
    asked = (
        "the fit of our boundaries asks it, about other people" if judge.asked else "no fit asks it"
    )
    return f"To {judge.name}, {judge.same_person:g} would be another person; {asked}."


def _means(methods: Mapping[str, Any]) -> str:
    rows = [
        [title, *(f"{methods[name]['means'][metric]:.3f}" for name in METHODS)]
        for metric, title in report.COLUMNS.items()
        if metric in methods["default"]["means"]  # see `_asked`
    ]
    for judge in JUDGES.values():
        key, title = f"{judge.key}_95", f"identity ({judge.name}), 95 % of all edits"
        if key in methods["default"]:
            rows.append([title, *(f"{methods[name][key]:.3f}" for name in METHODS)])
    return verdicts.table(rows, ["", *METHODS])


def _units(methods: Mapping[str, Any]) -> str:
    shown = ("responds", "leads", "leakage", "identity_95", "background", "turned")
    ours, theirs = methods["default"], methods["paper"]
    rows = []
    for code in ours["agreement"]:
        cells = [f"{ours['table'][m][code]:.2f} ({theirs['table'][m][code]:.2f})" for m in shown]
        cells += [
            f"{ours['agreement'][code][k]:.2f} ({theirs['agreement'][code][k]:.2f})"
            for k in ("r", "slope")
        ]
        rows.append([code, *cells])
    header = ["", *(report.COLUMNS[m] for m in shown), "asked/measured r", "slope"]
    return verdicts.table(rows, header)
