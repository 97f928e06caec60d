"""Beyond the paper: the figures that other editors of expressions report, measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duchenne import facs
from duchenne.animate import Subject
from duchenne.encoding.settings import LOOK_ALIKE
from duchenne.evaluate import harness
from duchenne.faces.landmarks import FACE_OVAL
from duchenne.faces.warp import shrink
from duchenne.measuring.expression_classifier import LABELS, NO_LABEL
from duchenne.measuring.identity import JUDGES
from duchenne.moving.change import SIDE, inside
from duchenne.types import Pixels

from . import claims as verdicts
from .claims import Claim, Records
from .context import DESCRIBE, FRAME, OPEN, SCORE, Context, Settings

NAME = "comparable"
LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)  # the first is the unedited face
EXPRESSIONS = tuple(name for name in facs.EXPRESSIONS if name not in NO_LABEL)
FIRST = 100  # of the held-out people: the tables' are others
GROUPS = {"generated": "generated people", "photos": "photos"}
VERSION = 1  # of what `measure` does
ENDING = 5  # drawings of a face before its ending is known, for the estimate

Array = NDArray[np.float64]


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    steps = len(LEVELS) - 1
    units = len(facs.PAPER) * (steps * (FRAME + SCORE) + 3 * DESCRIBE)
    expressions = len(EXPRESSIONS) * ((steps + ENDING) * (FRAME + SCORE) + 3 * DESCRIBE)
    return (settings.others + len(settings.photos)) * (OPEN + units + expressions)


def run(context: Context) -> dict[str, Any]:
    """Every paper's Action Unit and every expression at five levels on people that no fit saw."""
    settings = context.settings
    people = context.held_out(settings.others, FIRST)
    quick = context.studio.replace(settings=LOOK_ALIKE)
    groups = {"generated": people, "photos": [quick.face(path) for path in settings.photos]}
    record: dict[str, Any] = {"levels": list(LEVELS)}
    for group, subjects in groups.items():
        found = []
        for n, subject in enumerate(subjects):
            inputs = {
                **harness.inputs_of(subject, LEVELS),
                "of": VERSION,
                "judges of expressions": list(context.classifiers),
                "descriptors": {name: dict(facs.EXPRESSIONS[name]) for name in EXPRESSIONS},
            }
            found.append(context.keep(NAME, inputs, partial(measure, context, subject)))
            context.progress(f"{NAME}: {group}", n + 1, len(subjects))
        if found:
            record[group] = summary([of_person(person) for person in found])
    return record


def measure(context: Context, subject: Subject) -> dict[str, Any]:
    """One person: what `of_person` makes figures of, JSON-ready."""
    scorer, judges = context.studio.scorer, context.judges
    subject = replace(subject)  # a copy, so that its scene is not kept
    before = harness.unedited(subject)
    person = {key: network.describe(before) for key, network in judges.items()}
    columns = [facs.INDEX[code] for code in facs.PAPER]
    rest = harness.scores(before, scorer)[columns]

    def identity(picture: Pixels) -> dict[str, float]:
        return {key: cosine(n.describe(picture), person[key]) for key, n in judges.items()}

    scores, last = [], []
    for code in facs.PAPER:
        drawn = [subject.edit({code: level}) for level in LEVELS[1:]]
        scores.append([rest, *(harness.scores(picture, scorer)[columns] for picture in drawn)])
        turned = harness.pose_of(drawn[-1], scorer) - harness.pose_of(before, scorer)
        last.append(
            {
                **identity(drawn[-1]),
                "background": behind(before, drawn[-1]),
                "turned": float(np.sqrt((turned**2).mean())),
            }
        )
    expressions = {}
    for name in EXPRESSIONS:
        end = subject.ending(facs.EXPRESSIONS[name])
        steps = [{code: level * value for code, value in end.items()} for level in LEVELS[1:]]
        drawn = [before, *map(subject.edit, steps)]
        place = LABELS.index(name)
        expressions[name] = {
            "seen": {
                judge: [round(float(n.probabilities(picture)[place]), 4) for picture in drawn]
                for judge, n in context.classifiers.items()
            },
            **identity(drawn[-1]),
        }
    return {
        "scores": np.round(scores, 3).tolist(),
        "last": last,
        "expressions": expressions,
    }


def behind(before: Pixels, after: Pixels) -> float:
    """Root mean square change in grey levels outside the outlines of both faces."""
    face = np.zeros((SIDE, SIDE), bool)
    for picture in (before, after):
        mesh = harness.mesh_of(picture)[:, :2] * (SIDE / len(picture))
        face |= inside(mesh, FACE_OVAL, 1) > 0.5
    one, other = (shrink(picture, (SIDE, SIDE)).astype(float) for picture in (before, after))
    return float(np.sqrt(((one - other)[~face] ** 2).mean()))


def cosine(one: Array, other: Array) -> float:
    """Of the angle between two descriptors: 1 is the same."""
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def correlation(levels: Array, values: Array) -> float:
    """Pearson's; 0 where the values do not move at all."""
    return 0.0 if np.ptp(values) < 1e-9 else float(np.corrcoef(levels, values)[0, 1])


def harmonic(one: float, other: float) -> float:
    """Harmonic mean of two shares; 0 where one of them is not above 0."""
    return 2 * one * other / (one + other) if min(one, other) > 0 else 0.0


def of_person(found: Mapping[str, Any]) -> dict[str, float]:
    """Name of a figure -> its mean over the edits of one person."""
    scores = np.array(found["scores"])  # [U, K, U]
    units, levels = len(scores), np.array(LEVELS)
    own = scores[np.arange(units), :, np.arange(units)]  # [U, K]
    wanted = scores[:, :1] + facs.FULL * levels[:, None] * np.eye(units)[:, None]
    error = (np.clip(scores, 0, facs.FULL) - np.clip(wanted, 0, facs.FULL))[:, 1:] ** 2
    tied = np.array([np.isin(facs.PAPER, facs.UNITS[code].kin) for code in facs.PAPER])  # [U, U]
    own_error = error[np.arange(units), :, np.arange(units)]
    told = np.clip((own[:, -1] - own[:, 0]) / facs.FULL, 0, 1)
    still = (np.clip(scores[:, :1], 0, facs.FULL) - np.clip(wanted, 0, facs.FULL))[:, 1:] ** 2
    result = {
        "error": float(error.mean()),
        "error of no edit": float(still.mean()),
        "untied error": float(np.mean([error[i][:, ~tied[i]].mean() for i in range(units)])),
        "own error": float(own_error.mean()),
        "r": float(np.mean([correlation(levels, curve) for curve in own])),
        "r clipped": float(
            np.mean([correlation(levels, np.clip(curve, 0, facs.FULL)) for curve in own])
        ),
        "background": float(np.mean([edit["background"] for edit in found["last"]])),
        "turned": float(np.mean([edit["turned"] for edit in found["last"]])),
    }
    expressions = found["expressions"].values()
    for judge in next(iter(expressions))["seen"]:
        curves = [np.array(one["seen"][judge]) for one in expressions]
        result[f"r by {judge}"] = float(np.mean([correlation(levels, curve) for curve in curves]))
    for judge in JUDGES.values():
        key = judge.key
        alike = [edit[key] for edit in found["last"]]
        result[f"{key} of units"] = float(np.mean(alike))
        result[f"{key} of expressions"] = float(np.mean([one[key] for one in expressions]))
        result[f"balance of units, {key}"] = float(np.mean(list(map(harmonic, told, alike))))
        if next(iter(expressions))["seen"]:
            seen = [np.mean([p[-1] for p in one["seen"].values()]) for one in expressions]
            result[f"balance of expressions, {key}"] = float(
                np.mean(list(map(harmonic, seen, (one[key] for one in expressions))))
            )
    return result


def summary(people: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean over the people and its standard error (None of one person), for every figure."""
    values = {name: np.array([person[name] for person in people]) for name in people[0]}
    many = len(people) > 1
    return {
        "people": len(people),
        "figures": {
            name: {
                "mean": round(float(v.mean()), 4),
                "error": round(float(v.std(ddof=1) / np.sqrt(len(v))), 4) if many else None,
            }
            for name, v in values.items()
        },
    }


def claims(records: Records) -> list[Claim]:
    """None: the paper says nothing about these figures."""
    return []


# Key of `of_person` -> what it is called.
TITLES: Mapping[str, str] = {
    "error": "AU mean square error of an edit, over all twelve AUs",
    "error of no edit": "the same, if nothing were edited",
    "untied error": "AU mean square error of an edit, without the AUs tied to it by anatomy",
    "own error": "AU mean square error of an edit, of the asked AU alone",
    "r": "Pearson r of asked and measured intensity, one AU of one person",
    "r clipped": "the same, scores clipped to 0 to 5 as coders give them",
    **{
        f"{j.key} of units": f"cosine of identity by {j.name}, one AU at 1" for j in JUDGES.values()
    },
    **{
        f"{j.key} of expressions": f"cosine of identity by {j.name}, expressions at 1"
        for j in JUDGES.values()
    },
    **{
        f"balance of units, {j.key}": f"harmonic mean of AU response and identity ({j.name})"
        for j in JUDGES.values()
    },
    **{
        f"balance of expressions, {j.key}": "harmonic mean of expression (outside judges) and "
        f"identity ({j.name})"
        for j in JUDGES.values()
    },
    "background": "background RMSE, grey levels of 255",
    "turned": "head-pose RMSE, degrees",
}
MAGICFACE = "[MagicFace](https://arxiv.org/abs/2501.02260)"
PIXELSMILE = "[PixelSmile](https://arxiv.org/abs/2603.25728)"
SECOND_HAND = "quoted at second hand: we have not seen the table it stands in"
# What they report, our figures beside it, and what differs.
REPORTED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        f"AU mean square error: {MAGICFACE} 0.261 ({SECOND_HAND})",
        ("error", "untied error", "own error"),
        "The twelve AUs are the same (its README). It learned from pairs of pictures of one "
        "person (its abstract), and its coder is another; ours ask one AU at a time, so that "
        "eleven of twelve should stay and a mean over twelve is small from the start, and are "
        "scored by the scorer that the boundaries were fitted with.",
    ),
    (
        f"CLS, the linearity of control: {PIXELSMILE} 0.81 ({SECOND_HAND})",
        ("r", "r by FER2013", "r by face-api"),
        "Its control is of whole expressions, on 98 photos of people and 100 of drawn figures (the "
        "README of its benchmark). Beside the r of AUs stands the one that is nearer to it: that "
        "of the asked expression and what an outside judge sees of it, from the face as it is to "
        "the face that ends there. Those judges leap from one label to the next, which a straight "
        "line does not fit.",
    ),
    (
        f"HES, the harmonic mean of expression and identity: {PIXELSMILE} (no figure at hand)",
        tuple(f"balance of expressions, {j.key}" for j in JUDGES.values()),
        "Both parts come from other networks. Ours hangs on weak judges of expressions, and a "
        "cosine means another thing to every network of identity.",
    ),
    (
        f"Background and head-pose RMSE: {MAGICFACE} (no figure at hand)",
        ("background", "turned"),
        "Background is here what lies outside the outlines of both faces, hair and neck too, on "
        f"pictures of {SIDE} px; degrees are the mean over yaw, pitch and roll, by MediaPipe's "
        "landmarks, which the edit itself moves.",
    ),
)


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    groups = [group for group in GROUPS if group in record]
    people = ", ".join(f"{record[group]['people']} {GROUPS[group]}" for group in groups)
    first = record[groups[0]]["figures"]
    titles = {**TITLES, **{key: _by_judge(key) for key in first if key.startswith("r by ")}}
    rows = [
        [title, *(_figure(record[group]["figures"].get(key)) for group in groups)]
        for key, title in titles.items()
        if key in first
    ]
    beside = [
        [
            published,
            "; ".join(f"{titles[key]}: {_figure(first[key])}" for key in figures if key in first),
            differs,
        ]
        for published, figures, differs in REPORTED
    ]
    return "\n\n".join(
        [
            f"{people}, the paper's twelve AUs one at a time and six expressions at "
            f"{', '.join(f'{level:g}' for level in record['levels'][1:])}, as they go from the "
            "face as it is. Mean over people and standard error. Squared errors and r are on the "
            "scale 0 to 5; RMSE and identity are of full intensity. An expression's response is "
            "what the outside judges give the asked label, in the mean.",
            verdicts.table(rows, ["", *(GROUPS[group] for group in groups)]),
            _told(first),
            "**Beside what others report.** Faces, coders and what is asked differ, so that no row "
            "says who is better.",
            verdicts.table(beside, ["Reported", "Here, generated people", "What differs"]),
        ]
    )


def _told(figures: Mapping[str, Any]) -> str:
    """What the first rows mean, in words."""
    error, still = figures["error"], figures["error of no edit"]
    noise = np.hypot(error["error"] or 0, still["error"] or 0)
    if error["mean"] > still["mean"] - 2 * noise:
        return (
            "Over all twelve AUs an edit is no nearer to what was asked than no edit would be: AUs "
            "that are tied by anatomy go along, and small changes of the others add up. The asked "
            "AU itself comes near."
        )
    return "Over all twelve AUs an edit is nearer to what was asked than no edit would be."


def _by_judge(key: str) -> str:
    judge = key.removeprefix("r by ")
    return f"Pearson r of asked intensity and what {judge} sees, one expression of one person"


def _figure(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    error = "" if found["error"] is None else f" ± {found['error']:.3f}"
    return f"{found['mean']:.3f}{error}"
