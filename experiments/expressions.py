"""Fig. 10: the discrete expressions as combinations of AUs, and what outside judges see."""

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
from duchenne.measuring import ending, expression_classifier
from duchenne.types import Pixels

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import FRAME, OPEN, Classifier, Context, Settings

NAME = "expressions"
FIGURES = ("fig10_expressions", "fig10_ending")
RECOGNISED = 0.5  # of the faces: an expression that most see; chance is 1/7
CHANCE = 1 / len(expression_classifier.LABELS)
ADDED, ENDING, PAPER = "added", "ending there", "paper's recipe, added"
PROTOCOLS = (ADDED, ENDING, PAPER)
VERSION = 2  # of what is done to a face: results of another one are not taken for these


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    edits = (len(facs.EXPRESSIONS) + 1) * (len(PROTOCOLS) + ending.ROUNDS)
    drawn = settings.identities * edits + settings.shown * 2 * len(facs.EXPRESSIONS)
    return drawn * FRAME + settings.identities * len(PROTOCOLS) * OPEN


def run(context: Context) -> dict[str, Any]:
    """Pictures of some people, and the outside judges' confusion tables over all of them."""
    people = context.held_out(context.settings.identities)
    record: dict[str, Any] = {"descriptors": {k: dict(v) for k, v in facs.EXPRESSIONS.items()}}
    columns = ["neutral", *facs.EXPRESSIONS]
    shown = people[: context.settings.shown]
    labels = [f"person {n + 1}" for n in range(len(shown))]
    record["files"] = []
    for stem, protocol in zip(FIGURES, (ADDED, ENDING), strict=True):
        rows = [list(pictures(replace(person), protocol).values()) for person in shown]
        first = "as it is" if protocol == ADDED else columns[0]
        figure = figures.strips(rows, labels, [first, *columns[1:]])
        record["files"] += context.save(figure, stem, SourceType.GENERATED)
    record["judged"] = _judged(context, people) if context.classifiers else None
    return record


def pictures(person: Subject, protocol: str) -> dict[str, Pixels]:
    """ "neutral" and each expression -> the picture. Added, neutral is the face as it is."""
    asked: Mapping[str, facs.Descriptor] = {"neutral": {}, **facs.EXPRESSIONS}
    if protocol == ENDING:
        return {name: person.edit(person.ending(d)) for name, d in asked.items()}
    before = harness.unedited(person)
    return {name: person.edit(d) if d else before for name, d in asked.items()}


def _judged(context: Context, people: list[Subject]) -> dict[str, Any]:
    """Judge -> protocol -> {"neutral" or expression: [[7] probabilities]}.

    The paper's recipe is fitted anew for every scale, which takes longest; without samples it is
    left out.
    """
    result: dict[str, Any] = {judge: {} for judge in context.classifiers}
    for protocol in PROTOCOLS if context.settings.samples else (ADDED, ENDING):
        method = "paper" if protocol == PAPER else "default"
        found = []
        for n, person in enumerate(context.under(method, people)):
            inputs: dict[str, Any] = {
                "version": VERSION,
                "code": kept.of_code(person.code),
                "method": kept.of_boundaries(person.studio.boundaries),
                "protocol": protocol,
                "judges": list(context.classifiers),
                "descriptors": {k: dict(v) for k, v in facs.EXPRESSIONS.items()},
            }
            if protocol == ENDING:
                inputs["bounds"] = [ending.MOST, facs.HIGHEST, list(ending.TAKEN)]
            judge = partial(_judge_one, context.classifiers, person, protocol)
            found.append(context.keep(NAME, inputs, judge))
            context.progress(f"{NAME}: {protocol}", n + 1, len(people))
        for judge_name, protocols in result.items():
            protocols[protocol] = {
                name: [one[judge_name][name] for one in found]
                for name in ("neutral", *facs.EXPRESSIONS)
            }
    return result


def _judge_one(
    judges: Mapping[str, Classifier], person: Subject, protocol: str
) -> dict[str, dict[str, list[float]]]:
    drawn = pictures(replace(person), protocol)  # a copy, so that its scene is not kept
    return {
        name: {
            asked: np.round(judge.probabilities(picture), 4).tolist()
            for asked, picture in drawn.items()
        }
        for name, judge in judges.items()
    }


def confusion(record: Mapping[str, Any], judge: str, protocol: str) -> dict[str, dict[str, float]]:
    """Asked ("neutral" too) -> label -> part of the faces."""
    pairs = [
        (name, np.array(p))
        for name, faces in record["judged"][judge][protocol].items()
        for p in faces
    ]
    return expression_classifier.confusion([name for name, _ in pairs], [p for _, p in pairs])


def claims(records: Records) -> list[Claim]:
    """What Fig. 10 and its paragraph in 4.3 say. A share is the mean of the judges'."""
    if NAME not in records:
        return []
    record = records[NAME]
    says = "the discrete expressions, as combinations of AUs, are recognised"
    if record["judged"] is None:
        return []  # nobody judged: the pictures are on the page, without a verdict
    decided = []
    judges = record["judged"]
    tables = {
        protocol: [confusion(record, judge, protocol) for judge in judges]
        for protocol in next(iter(judges.values()))
    }
    for name in facs.EXPRESSIONS:
        if name in expression_classifier.NO_LABEL:
            continue
        shares = {
            protocol: [table[name][name] for table in each] for protocol, each in tables.items()
        }
        mine = float(np.mean(shares[ENDING]))
        before = float(np.mean([table["neutral"][name] for table in tables[ENDING]]))
        parts = [
            f"{protocol} {' and '.join(f'{share:.0%}' for share in each)}"
            for protocol, each in shares.items()
        ]
        text = f"{', '.join(parts)}; taken to neutral: {before:.0%}"
        better = PAPER in shares and mine > np.mean(shares[PAPER])
        decided.append(
            Claim("Fig. 10", f"{says}: {name}", f"outside judges: {text}",
                  f"they see it in fewer than {RECOGNISED:.0%} of the faces that end there (mean "
                  "of the judges), or no more often than in faces taken to neutral",
                  judged(mine >= RECOGNISED and mine > before, bool(better)))
        )  # fmt: skip
    return decided


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    parts = [
        "The descriptors are those of `--expression`. Generated people mostly smile at rest, and "
        "what is added leaves the smile there. So `--expression` says where a face ends: what it "
        "shows and the expression lacks is measured and taken out "
        "([method](../method.md#where-a-face-ends)). The first picture and table show the "
        "expressions added (`--add`), the second ones faces that end there.",
        verdicts.picture(FIGURES[0], "Expressions added to faces as they are"),
        verdicts.picture(FIGURES[1], "Faces that end at the expressions"),
    ]
    if record["judged"] is None:
        return "\n\n".join([*parts, "No outside judge was at hand, so that nothing is counted."])
    parts.append(
        "The outside judges are two small networks trained by others, used in no fit: a "
        "mini-Xception of FER2013 (`measuring/expression_classifier.py`) and the classifier of "
        "face-api (`measuring/face_api.py`). Rows: what was asked (added, neutral is the face "
        "before); columns: what the judge sees, part of the faces. They know no contempt, and "
        f"chance is {CHANCE:.0%}. The first takes nearly every face with a trace of a smile for "
        "happiness; both are weak. On posed photographs people agree with what was meant in "
        "72 % (KDEF; Goeleven et al. 2008) to 82 % (Radboud; Langner et al. 2010)."
    )
    for judge in record["judged"]:
        for protocol in record["judged"][judge]:
            rows = [
                [name, *(f"{row[label]:.2f}" for label in expression_classifier.LABELS)]
                for name, row in confusion(record, judge, protocol).items()
            ]
            table = verdicts.table(rows, ["asked", *expression_classifier.LABELS])
            parts += [f"**{judge}: {protocol}**", table]
    return "\n\n".join(parts)
