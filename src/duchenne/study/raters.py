"""What single raters do otherwise than the rest: names that they confuse, shifted ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .ratings import Value, intensity, rater_rho, realism, table_of
from .responses import Response

LEVEL = 0.05  # of a test, after the correction for how many there are (Bonferroni)
LEAST_SHIFT = 0.5  # steps of a scale that are worth a word
LEAST_CONFUSED = 3  # pictures


@dataclass(frozen=True)
class Confusion:
    """A rater takes pictures of `shown` for `answer` more often than the others do.

    share, others: of the pictures of `shown`. p: Fisher's exact test, one-sided, corrected.
    """

    shown: str
    answer: str
    share: float
    others: float
    p: float


@dataclass(frozen=True)
class Shift:
    """How far a rater's ratings lie from the median of the others', in steps of the scale.

    p: sign test over the pictures, corrected.
    """

    steps: float
    p: float

    @property
    def clear(self) -> bool:
        return self.p < LEVEL and abs(self.steps) >= LEAST_SHIFT


@dataclass(frozen=True)
class Rater:
    """One participant. agreement: share of other raters' answers to the same pictures that are the
    same as theirs. rho: Spearman's, of asked and rated intensity."""

    participant: str
    pictures: int
    hits: float | None
    agreement: float | None
    rho: float | None
    confusions: Sequence[Confusion] = ()
    shifts: Mapping[str, Shift] = field(default_factory=dict)

    @property
    def remarks(self) -> list[str]:
        """What is clearly other than with the rest, in words."""
        said = [
            f"takes {c.shown} for {c.answer}: {c.share:.0%} of its pictures, others {c.others:.0%}"
            for c in self.confusions
        ]
        return said + [
            f"rates {name} {abs(shift.steps):.1f} steps {'higher' if shift.steps > 0 else 'lower'}"
            " than the others"
            for name, shift in self.shifts.items()
            if shift.clear
        ]


def describe(
    responses: Sequence[Response], rows: Sequence[str], answers: Sequence[str]
) -> list[Rater]:
    """Every rater beside the others, sorted by name."""
    names = sorted({response.participant for response in responses})
    confusions = _confusions(responses, names, rows, answers)
    shifts = {
        name: _shifts(responses, value)
        for name, value in (("intensity", intensity), ("realism", realism))
    }
    agreed = _agreement(responses)
    found = []
    for who in names:
        own = [response for response in responses if response.participant == who]
        judged = [response.answer == response.expected for response in own if response.expected]
        found.append(
            Rater(
                participant=who,
                pictures=len(own),
                hits=sum(judged) / len(judged) if judged else None,
                agreement=agreed.get(who),
                rho=rater_rho(own),
                confusions=confusions[who],
                shifts={name: found[who] for name, found in shifts.items() if who in found},
            )
        )
    return found


def _agreement(responses: Sequence[Response]) -> dict[str, float]:
    by_file: dict[str, list[Response]] = {}
    for response in responses:
        by_file.setdefault(response.file, []).append(response)
    same: dict[str, list[int]] = {}
    for group in by_file.values():
        for response in group:
            answers = [other.answer for other in group if other is not response]
            tally = same.setdefault(response.participant, [0, 0])
            tally[0] += answers.count(response.answer)
            tally[1] += len(answers)
    return {who: equal / total for who, (equal, total) in same.items() if total}


def _confusions(
    responses: Sequence[Response], names: Sequence[str], rows: Sequence[str], answers: Sequence[str]
) -> dict[str, list[Confusion]]:
    """Every rater's; a name of a face is tested against what the others call the same faces."""
    from scipy import stats

    counts = np.zeros((len(names), len(rows), len(answers)), np.int64)
    for r in responses:
        counts[names.index(r.participant), rows.index(r.row), answers.index(r.answer)] += 1
    tests = max(1, len(names) * sum(len(answers) - (row in answers) for row in rows))
    everybody = counts.sum(axis=0)
    found: dict[str, list[Confusion]] = {name: [] for name in names}
    for (i, j, k), count in np.ndenumerate(counts):
        total = int(counts[i, j].sum())
        rest, rest_total = int(everybody[j, k] - count), int(everybody[j].sum() - total)
        if rows[j] == answers[k] or count < LEAST_CONFUSED or not rest_total:
            continue
        table = [[int(count), total - int(count)], [rest, rest_total - rest]]
        p = min(1.0, tests * float(stats.fisher_exact(table, alternative="greater")[1]))
        if p < LEVEL:
            shares = int(count) / total, rest / rest_total
            found[names[i]].append(Confusion(rows[j], answers[k], *shares, p))
    return found


def _shifts(responses: Sequence[Response], value: Value) -> dict[str, Shift]:
    """rater -> shift, of those who share pictures with at least two others."""
    from scipy import stats

    _, names, table = table_of(responses, value)
    found = {}
    for i, who in enumerate(names):
        apart = _apart(table, i)
        above, below = int((apart > 0).sum()), int((apart < 0).sum())
        if not len(apart):
            continue
        p = float(stats.binomtest(above, above + below).pvalue) if above + below else 1.0
        found[who] = Shift(float(apart.mean()), min(1.0, p * len(names)))
    return found


def _apart(table: NDArray[np.float64], rater: int) -> NDArray[np.float64]:
    """[n] a rater's rating less the median of the others', where two or more others rated."""
    others = np.delete(table, rater, axis=1)
    usable = ~np.isnan(table[:, rater]) & ((~np.isnan(others)).sum(axis=1) >= 2)
    return np.asarray(table[usable, rater] - np.nanmedian(others[usable], axis=1))
