"""Ratings of intensity and of realism: against what was asked, by condition, by picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from .agreement import ICC, icc
from .responses import Response, Scale

Value = Callable[[Response], float | None]


@dataclass(frozen=True)
class Mean:
    """Over raters, each of whom counts once. low, high: 95 % by Student's t; None for one rater."""

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    raters: int
    answers: int


def mean_of(responses: Iterable[Response], value: Value) -> Mean | None:
    """None if nobody rated."""
    from scipy import stats

    by_rater = _by_rater(responses, value)
    if not by_rater:
        return None
    means = np.array([fmean(values) for values in by_rater.values()])
    count, answers = len(means), sum(map(len, by_rater.values()))
    mean = float(means.mean())
    if count < 2:
        return Mean(mean, None, None, None, count, answers)
    sd = float(means.std(ddof=1))
    half = float(stats.t.ppf(0.975, count - 1)) * sd / count**0.5
    return Mean(mean, sd, mean - half, mean + half, count, answers)


def _by_rater(responses: Iterable[Response], value: Value) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for response in responses:
        number = value(response)
        if number is not None:
            found.setdefault(response.participant, []).append(number)
    return found


def intensity(response: Response) -> float | None:
    return response.intensity


def realism(response: Response) -> float | None:
    return response.realism


def right(response: Response) -> float | None:
    """1 or 0; None where no answer is right."""
    return float(response.answer == response.expected) if response.expected else None


# ---------------------------------------------------------------- intensity, asked and rated


@dataclass(frozen=True)
class Point:
    """One intensity of a condition. hits: share of right answers over raters, if one is right."""

    asked: float
    rated: Mean
    hits: float | None


@dataclass(frozen=True)
class Curve:
    """Rated against asked intensity, of one condition; pictures at rest stand for 0.

    by_rater, by_identity: name -> asked -> mean rating. rho: Spearman's, of each rater's answers,
    averaged over raters; None where it is not defined for anybody. picture_rho: of the pictures'
    mean ratings. offset: mean of rating minus what was asked, in steps of the scale.
    """

    condition: str
    points: Sequence[Point]
    by_rater: Mapping[str, Mapping[float, float]]
    by_identity: Mapping[str, Mapping[float, float]]
    rho: float | None
    picture_rho: float | None
    offset: float


def curves(responses: Sequence[Response], scale: Scale) -> list[Curve]:
    """One for each condition with an intensity above 0."""
    rest = [response for response in responses if response.asked == 0]
    names = dict.fromkeys(response.condition for response in responses if response.asked > 0)
    return [
        _curve(name, [*rest, *(r for r in responses if r.condition == name and r.asked > 0)], scale)
        for name in names
    ]


def _curve(name: str, responses: Sequence[Response], scale: Scale) -> Curve:
    asked = sorted({response.asked for response in responses})
    points = []
    for level in asked:
        here = [response for response in responses if response.asked == level]
        rated, hits = mean_of(here, intensity), mean_of(here, right)
        assert rated is not None
        points.append(Point(level, rated, hits.mean if hits else None))
    own = [r.intensity - scale.of_share(r.asked) for r in responses if r.intensity is not None]
    return Curve(
        condition=name,
        points=points,
        by_rater=_levels(responses, lambda response: response.participant),
        by_identity=_levels(responses, lambda response: response.identity),
        rho=rater_rho(responses),
        picture_rho=picture_rho(responses),
        offset=fmean(own),
    )


def _levels(
    responses: Sequence[Response], name: Callable[[Response], str]
) -> dict[str, dict[float, float]]:
    """name -> asked -> mean rating of intensity."""
    found: dict[str, dict[float, list[float]]] = {}
    for response in responses:
        if response.intensity is not None:
            levels = found.setdefault(name(response), {})
            levels.setdefault(response.asked, []).append(response.intensity)
    return {
        who: {level: fmean(values) for level, values in sorted(levels.items())}
        for who, levels in sorted(found.items())
    }


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation; None for fewer than three pairs, or where one side does not vary."""
    from scipy import stats

    if len(first) < 3 or not np.ptp(first) or not np.ptp(second):
        return None
    return float(stats.spearmanr(first, second).statistic)


def rater_rho(responses: Iterable[Response]) -> float | None:
    """Spearman's rho of asked and rated intensity, averaged over the raters who have one."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for response in responses:
        if response.intensity is not None:
            pairs.setdefault(response.participant, []).append((response.asked, response.intensity))
    found = [spearman(*zip(*values, strict=True)) for values in pairs.values()]
    known = [rho for rho in found if rho is not None]
    return fmean(known) if known else None


def picture_rho(responses: Iterable[Response]) -> float | None:
    """Spearman's rho of the asked intensity and the pictures' mean ratings."""
    ratings: dict[tuple[str, float], list[float]] = {}
    for response in responses:
        if response.intensity is not None:
            ratings.setdefault((response.file, response.asked), []).append(response.intensity)
    return spearman([asked for _, asked in ratings], [fmean(values) for values in ratings.values()])


# ---------------------------------------------------------------- conditions, reliability


def by_condition(responses: Sequence[Response], value: Value) -> dict[str, Mean]:
    """condition -> mean over raters, for those that were rated."""
    names = dict.fromkeys(response.condition for response in responses)
    found = {n: mean_of((r for r in responses if r.condition == n), value) for n in names}
    return {name: mean for name, mean in found.items() if mean is not None}


def table_of(
    responses: Sequence[Response], value: Value
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """(pictures, raters, [pictures, raters]); NaN where a rater has not rated a picture."""
    files = sorted({response.file for response in responses})
    raters = sorted({response.participant for response in responses})
    rows, columns = ({name: i for i, name in enumerate(names)} for names in (files, raters))
    table = np.full((len(files), len(raters)), np.nan)
    for response in responses:
        number = value(response)
        if number is not None:
            table[rows[response.file], columns[response.participant]] = number
    return files, raters, table


def reliability(responses: Sequence[Response], value: Value) -> ICC | None:
    """The intraclass correlation over the pictures that every rater has rated."""
    _, _, table = table_of(responses, value)
    return icc(table[~np.isnan(table).any(axis=1)])
