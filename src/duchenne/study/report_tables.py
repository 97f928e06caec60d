"""The tables of a report, with all digits."""

from __future__ import annotations

from collections.abc import Sequence

from .analysis import Analysis
from .ratings import Mean

Cell = str | int | float | None
Table = tuple[Sequence[str], Sequence[Sequence[Cell]]]


def tables(analysis: Analysis) -> dict[str, Table]:
    """Name -> (columns, rows)."""
    counts = analysis.matrix.tolist()
    found: dict[str, Table] = {
        "confusion": (
            ["shown", *analysis.answers],
            [[row, *counts[i]] for i, row in enumerate(analysis.rows)],
        ),
        "hit_rates": hit_rates(analysis),
        "intensity": (
            ["condition", "asked", *_mean_columns("rated"), "hits"],
            [
                [curve.condition, point.asked, *_mean_cells(point.rated), point.hits]
                for curve in analysis.curves
                for point in curve.points
            ],
        ),
        "realism": (
            ["condition", *_mean_columns("realism")],
            [[name, *_mean_cells(mean)] for name, mean in analysis.realism.items()],
        ),
        "raters": raters_table(analysis),
        "pictures": (
            ["file", "identity", "condition", "asked", "raters", "answer", "share", "hits",
             "intensity", "intensity_sd", "realism", "realism_sd"],
            [
                [p.file, p.identity, p.condition, p.asked, p.raters, p.answer, p.share, p.hits,
                 *_short(p.intensity), *_short(p.realism)]
                for p in analysis.pictures
            ],
        ),
        "set_aside": (
            ["file", "line", "reason"],
            [[one.path, one.line or None, one.reason] for one in analysis.responses.set_aside],
        ),
    }  # fmt: skip
    return found


def hit_rates(analysis: Analysis) -> Table:
    tests = {test.answer: test for test in analysis.above_chance}
    rows: list[list[Cell]] = []
    for rate in analysis.hit_rates:
        test = tests.get(rate.answer)
        rest: list[Cell] = [None] * 5
        if test is not None:
            rest = [test.unbiased, test.chance, test.raters, test.t, test.p]
        rows.append([rate.answer, rate.pictures, rate.hits, rate.unbiased, rate.chance, *rest])
    columns = ["answer", "answers", "hits", "Hu", "pc", "mean_Hu", "mean_pc", "raters", "t", "p"]
    return columns, rows


def raters_table(analysis: Analysis) -> Table:
    checks, missed = analysis.responses.checks, analysis.responses.missed
    rows: list[list[Cell]] = []
    for rater in analysis.raters:
        who = rater.participant
        shifts = [rater.shifts.get(name) for name in ("intensity", "realism")]
        steps = [shift.steps if shift else None for shift in shifts]
        rows.append(
            [who, "yes", checks.get(who, 0), missed.get(who, 0), rater.pictures, rater.hits,
             rater.agreement, rater.rho, *steps, "; ".join(rater.remarks)]
        )  # fmt: skip
    for who, count in analysis.excluded.items():
        rows.append([who, "no", checks.get(who, 0), count, *[None] * 6, "missed attention checks"])
    columns = ["participant", "used", "checks", "missed", "pictures", "hits", "agreement", "rho",
               "intensity_shift", "realism_shift", "remarks"]  # fmt: skip
    return columns, rows


def _mean_columns(name: str) -> list[str]:
    return [name, "sd", "low_95", "high_95", "raters", "answers"]


def _mean_cells(mean: Mean) -> list[Cell]:
    return [mean.mean, mean.sd, mean.low, mean.high, mean.raters, mean.answers]


def _short(mean: Mean | None) -> list[Cell]:
    return [mean.mean, mean.sd] if mean else [None, None]
