"""All numbers of a report, from the answers of a study."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import agreement, confusion, ratings
from .agreement import ICC
from .confusion import AboveChance, HitRate
from .raters import Rater, describe
from .ratings import Curve, Mean
from .responses import Response, Responses
from .settings import OTHER


@dataclass(frozen=True)
class Agreement:
    """On the expressions. Shares are 0 to 1; None where it is not defined.

    kappa: Fleiss', which needs as many raters for every picture. alpha: Krippendorff's.
    """

    percent: float | None
    kappa: float | None
    alpha: float | None


@dataclass(frozen=True)
class PictureSummary:
    """One picture. answer: the commonest; share: of raters who gave it; hits: who were right."""

    file: str
    identity: str
    condition: str
    asked: float
    raters: int
    answer: str
    share: float
    hits: float | None
    intensity: Mean | None
    realism: Mean | None


@dataclass(frozen=True)
class Analysis:
    """What a report shows.

    excluded: participant -> attention checks missed. rows, answers: of the matrix [rows, answers].
    hit_rates: of everybody's answers together; above_chance: over raters.
    """

    responses: Responses
    tolerated: int
    excluded: Mapping[str, int]
    rows: Sequence[str]
    answers: Sequence[str]
    matrix: NDArray[np.int64]
    hit_rates: Sequence[HitRate]
    above_chance: Sequence[AboveChance]
    agreement: Agreement
    curves: Sequence[Curve]
    realism: Mapping[str, Mean]
    icc: Mapping[str, ICC | None]
    raters: Sequence[Rater]
    pictures: Sequence[PictureSummary]


def analyse(responses: Responses, tolerated: int = 0) -> Analysis:
    """tolerated: attention checks that a rater may miss; who missed more is left out.

    If everybody did, nothing but that is reported: all tables are empty.
    """
    excluded = {who: n for who, n in sorted(responses.missed.items()) if n > tolerated}
    used = responses.without(excluded)
    answers = _answers(responses)
    rows = confusion.rows_of(used, answers)
    counts = confusion.matrix(used, rows, answers)
    by_rater = {
        who: confusion.matrix([r for r in used if r.participant == who], rows, answers)
        for who in sorted({response.participant for response in used})
    }
    names = ("intensity", "realism")
    values = (ratings.intensity, ratings.realism)
    asked = [responses.intensity, responses.realism]
    return Analysis(
        responses=responses,
        tolerated=tolerated,
        excluded=excluded,
        rows=rows,
        answers=answers,
        matrix=counts,
        hit_rates=confusion.hit_rates(counts, rows, answers),
        above_chance=confusion.above_chance(by_rater, rows, answers),
        agreement=_agreement(used, answers),
        curves=ratings.curves(used, responses.intensity) if responses.intensity else [],
        realism=ratings.by_condition(used, ratings.realism),
        icc={
            name: ratings.reliability(used, value)
            for name, value, scale in zip(names, values, asked, strict=True)
            if scale is not None
        },
        raters=describe(used, rows, answers),
        pictures=_pictures(used),
    )


def _answers(responses: Responses) -> list[str]:
    """The answers in an order that no participant's shuffling has made: that of the conditions."""
    conditions = dict.fromkeys(row.expected for row in responses.rows)
    first = [name for name in conditions if name in responses.offered]
    rest = [name for name in responses.offered if name not in first]
    return first + sorted(rest, key=lambda name: (name == OTHER, name))


def _agreement(used: Sequence[Response], answers: Sequence[str]) -> Agreement:
    files = {name: i for i, name in enumerate(dict.fromkeys(response.file for response in used))}
    counts = np.zeros((len(files), len(answers)), np.int64)
    for response in used:
        counts[files[response.file], answers.index(response.answer)] += 1
    values = (
        agreement.percent_agreement(counts),
        agreement.fleiss_kappa(counts),
        agreement.krippendorff_alpha(counts),
    )
    return Agreement(*(None if np.isnan(value) else value for value in values))


def _pictures(used: Sequence[Response]) -> list[PictureSummary]:
    by_file: dict[str, list[Response]] = {}
    for response in used:
        by_file.setdefault(response.file, []).append(response)
    found = []
    for file, group in sorted(by_file.items()):
        answer, count = Counter(response.answer for response in group).most_common(1)[0]
        hits = ratings.mean_of(group, ratings.right)
        first = group[0]
        found.append(
            PictureSummary(
                file=file,
                identity=first.identity,
                condition=first.condition,
                asked=first.asked,
                raters=len(group),
                answer=answer,
                share=count / len(group),
                hits=hits.mean if hits else None,
                intensity=ratings.mean_of(group, ratings.intensity),
                realism=ratings.mean_of(group, ratings.realism),
            )
        )
    return found
