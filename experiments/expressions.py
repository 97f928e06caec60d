"""Fig. 10: the discrete expressions as combinations of AUs, and what an outside judge sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.animate import Subject
from duchenne.evaluate import harness, kept
from duchenne.files.pictures import SourceType
from duchenne.measuring import expression_classifier
from duchenne.measuring.target import RENDERS

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import FRAME, OPEN, Context, Settings

NAME = "expressions"
FIGURES = ("fig10_expressions", "fig10_from_rest")
RECOGNISED = 0.5  # of the faces: an expression that most see; chance is 1/7
CHANCE = 1 / len(expression_classifier.LABELS)
# What "at rest" means: the smile of the generator's faces is taken out first, by measurement.
REST: Mapping[str, float] = {"AU12": 0.0, "AU25": 0.0, "AU6": 0.0}
PROTOCOLS = ("as it is", "from rest", "paper's recipe, as it is")


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    judged = len(PROTOCOLS) * (len(facs.EXPRESSIONS) + 1) + RENDERS  # frames for each person
    drawn = settings.identities * judged + settings.shown * 2 * len(facs.EXPRESSIONS)
    return drawn * FRAME + settings.identities * len(PROTOCOLS) * OPEN


def run(context: Context) -> dict[str, Any]:
    """Pictures of some people, and the outside judge's confusion table over all of them."""
    people = context.held_out(context.settings.identities)
    record: dict[str, Any] = {"descriptors": {k: dict(v) for k, v in facs.EXPRESSIONS.items()}}
    columns = ["as it is", *facs.EXPRESSIONS]
    shown = people[: context.settings.shown]
    labels = [f"person {n + 1}" for n in range(len(shown))]
    rows = [
        [s.scene.base, *(s.edit(d) for d in facs.EXPRESSIONS.values())] for s in map(replace, shown)
    ]
    figure = figures.strips(rows, labels, columns)
    record["files"] = context.save(figure, FIGURES[0], SourceType.GENERATED)
    rows = [_from_rest(context, s) for s in map(replace, shown)]
    figure = figures.strips(rows, labels, ["at rest", *columns[1:]])
    record["files"] += context.save(figure, FIGURES[1], SourceType.GENERATED)
    record["judged"] = None if context.classifier is None else _judged(context, people)
    return record


def rest(context: Context, subject: Subject) -> dict[str, float]:
    """Offsets that take the smile out of a face, found by measuring it; kept."""
    shares: dict[str, float] = context.keep(
        "rest",
        {"code": kept.of_code(subject.code), "targets": dict(REST), "lowest": facs.LOWEST},
        lambda: dict(subject.reach(REST).offsets),
    )
    return shares


def onto(offsets: Mapping[str, float], descriptor: Mapping[str, float]) -> dict[str, float]:
    """The sum of two sets of offsets, none beyond what `edit` takes.

    A side gets its whole AU's offset.
    """
    sum_: dict[str, float] = {}
    for code, value in descriptor.items():
        whole, side = facs.split_side(code)
        if side:
            other = whole + ("R" if side == "L" else "L")
            sum_[other] = offsets.get(whole, 0.0)
        sum_[code] = float(np.clip(value + offsets.get(whole, 0.0), facs.LOWEST, 1))
    wholes = {facs.split_side(code)[0] for code in descriptor}
    return {**{c: v for c, v in offsets.items() if c not in wholes}, **sum_}


def _from_rest(context: Context, subject: Subject) -> list[np.ndarray]:
    offsets = rest(context, subject)
    return [
        subject.edit(offsets),
        *(subject.edit(onto(offsets, d)) for d in facs.EXPRESSIONS.values()),
    ]


def _judged(context: Context, people: list[Subject]) -> dict[str, Any]:
    """Protocol -> {"before": [label], "faces": {expression: [[7] probabilities]}}."""
    result: dict[str, Any] = {}
    for protocol in PROTOCOLS:
        method = "paper" if protocol == PROTOCOLS[2] else "default"
        labels = []
        for n, person in enumerate(context.under(method, people)):
            inputs: dict[str, Any] = {
                "code": kept.of_code(person.code),
                "method": kept.of_boundaries(person.studio.boundaries),
                "protocol": protocol,
                "rest": dict(REST),
                "descriptors": {k: dict(v) for k, v in facs.EXPRESSIONS.items()},
            }
            if protocol == "from rest":
                inputs["lowest"] = facs.LOWEST
            labels.append(
                context.keep(
                    "expressions",
                    inputs,
                    partial(_judge_one, context, person, protocol),
                )
            )
            context.progress(f"{NAME}: {protocol}", n + 1, len(people))
        result[protocol] = {
            "neutral": [one["neutral"] for one in labels],
            **{name: [one[name] for one in labels] for name in facs.EXPRESSIONS},
        }
    return result


def _judge_one(context: Context, person: Subject, protocol: str) -> dict[str, list[float]]:
    assert context.classifier is not None
    person = replace(person)  # a copy, so that its scene is not kept
    if protocol == "from rest":
        frames = _from_rest(context, person)
    else:
        before = harness.unedited(person)
        frames = [before, *(person.edit(d) for d in facs.EXPRESSIONS.values())]
    names = ["neutral", *facs.EXPRESSIONS]
    return {
        name: np.round(context.classifier.probabilities(frame), 4).tolist()
        for name, frame in zip(names, frames, strict=True)
    }


def confusion(record: Mapping[str, Any], protocol: str) -> dict[str, dict[str, float]]:
    """Asked ("neutral" for the face before) -> label -> part of the faces."""
    pairs = [
        (name, np.array(p)) for name, faces in record["judged"][protocol].items() for p in faces
    ]
    return expression_classifier.confusion([name for name, _ in pairs], [p for _, p in pairs])


def claims(records: Records) -> list[Claim]:
    """What Fig. 10 and its paragraph in 4.3 say."""
    if NAME not in records:
        return []
    record = records[NAME]
    says = "the discrete expressions, as combinations of AUs, are recognised"
    if record["judged"] is None:
        return []  # nobody judged: the pictures are on the page, without a verdict
    decided = []
    tables = {protocol: confusion(record, protocol) for protocol in PROTOCOLS}
    for name in facs.EXPRESSIONS:
        if name in expression_classifier.NO_LABEL:
            continue
        shares = {protocol: table[name][name] for protocol, table in tables.items()}
        mine, before = shares["from rest"], tables["from rest"]["neutral"][name]
        text = ", ".join(f"{protocol} {share:.0%}" for protocol, share in shares.items())
        text += f"; at rest, before: {before:.0%}"
        better = mine > shares[PROTOCOLS[2]]
        decided.append(
            Claim("Fig. 10", f"{says}: {name}", f"outside judge: {text}",
                  judged(mine >= RECOGNISED and mine > before, better))
        )  # fmt: skip
    return decided


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    parts = [
        "The descriptors are those of `--expression`. Generated people mostly smile at rest, and "
        "an offset leaves the smile there; in the second picture it was first taken out by "
        "measuring (AU6, AU12 and AU25 to 0, as `duchenne edit --target` does).",
        verdicts.picture(FIGURES[0], "Expressions added to faces as they are"),
        verdicts.picture(FIGURES[1], "Expressions added after the smile was taken out"),
    ]
    if record["judged"] is None:
        return "\n\n".join([*parts, "No outside judge was at hand, so that nothing is counted."])
    parts.append(
        "The outside judge is a small network trained on FER2013 by others "
        "(`measuring/expression_classifier.py`), used in no fit. Rows: what was asked, and the "
        "face before; columns: what the judge sees, part of the faces. It knows no contempt. It "
        "takes nearly every face with a trace of a smile for happiness, and is itself weak; chance "
        f"is {CHANCE:.0%}."
    )
    for protocol in PROTOCOLS:
        table = confusion(record, protocol)
        rows = [
            [name, *(f"{row[label]:.2f}" for label in expression_classifier.LABELS)]
            for name, row in table.items()
        ]
        parts += [f"**{protocol}**", verdicts.table(rows, ["asked", *expression_classifier.LABELS])]
    return "\n\n".join(parts)
