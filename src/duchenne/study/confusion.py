"""Which expression was taken for which, and how far that is more than guessing. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .responses import Response

Counts = NDArray[np.int64]


def rows_of(responses: Sequence[Response], answers: Sequence[str]) -> list[str]:
    """What the rows of the matrix are called: right answers first, in the answers' order."""
    found = list(dict.fromkeys(response.row for response in responses))
    return [a for a in answers if a in found] + [name for name in found if name not in answers]


def matrix(responses: Sequence[Response], rows: Sequence[str], answers: Sequence[str]) -> Counts:
    """[rows, answers] how often pictures of each row got each answer."""
    counts = np.zeros((len(rows), len(answers)), np.int64)
    for response in responses:
        counts[rows.index(response.row), answers.index(response.answer)] += 1
    return counts


@dataclass(frozen=True)
class HitRate:
    """Of one expression. None where there is nothing to divide by.

    hits: share of its pictures that were named right. unbiased: Hu, that times the share of the
    uses of its name that were right (Wagner 1993). chance: pc, the Hu of somebody who guesses with
    the same habits.
    """

    answer: str
    pictures: int
    hits: float | None
    unbiased: float | None
    chance: float | None


def hit_rates(counts: Counts, rows: Sequence[str], answers: Sequence[str]) -> list[HitRate]:
    """For every row that has its answer among the columns.

    counts: [rows, answers]. A name that nobody used has no hits and Hu 0.
    """
    shown, used, total = counts.sum(axis=1), counts.sum(axis=0), int(counts.sum())
    found = []
    for i, row in enumerate(rows):
        if row not in answers:
            continue
        j = answers.index(row)
        right = int(counts[i, j])
        found.append(
            HitRate(
                answer=row,
                pictures=int(shown[i]),
                hits=right / int(shown[i]) if shown[i] else None,
                unbiased=right**2 / int(shown[i] * used[j])
                if right
                else (0.0 if shown[i] else None),
                chance=int(shown[i] * used[j]) / total**2 if total else None,
            )
        )
    return found


@dataclass(frozen=True)
class AboveChance:
    """Hu against pc over raters: the means, and a paired t test of their arcsines (Wagner 1993).

    p: two-sided; None for fewer than two raters, or if all differ by the same.
    """

    answer: str
    unbiased: float
    chance: float
    raters: int
    t: float | None
    p: float | None


def above_chance(
    by_rater: Mapping[str, Counts], rows: Sequence[str], answers: Sequence[str]
) -> list[AboveChance]:
    """For every row with its answer among the columns. by_rater: participant -> their matrix."""
    from scipy import stats

    pairs: dict[str, list[tuple[float, float]]] = {}
    for counts in by_rater.values():
        for rate in hit_rates(counts, rows, answers):
            if rate.unbiased is not None and rate.chance is not None:
                pairs.setdefault(rate.answer, []).append((rate.unbiased, rate.chance))
    found = []
    for answer, values in pairs.items():
        table = np.array(values)
        arcs = np.arcsin(np.sqrt(table))
        t = p = None
        if len(values) > 1 and np.ptp(arcs[:, 0] - arcs[:, 1]) > 1e-12:
            test = stats.ttest_rel(arcs[:, 0], arcs[:, 1])
            t, p = float(test.statistic), float(test.pvalue)
        means = table.mean(axis=0)
        found.append(AboveChance(answer, float(means[0]), float(means[1]), len(values), t, p))
    return found
