"""The pictures of a report, as SVG: text stays text, and no library draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from .ratings import Curve, Mean
from .responses import Scale

INK, FAINT, LINE = "#222", "#c8c8c8", "#1f5fa8"
_FONT = "font-family='system-ui, sans-serif'"
_LETTER = 7.2  # px that a letter of 13 px takes, at most


def _svg(width: float, height: float, parts: Sequence[str], title: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' "
        f"width='{width:.0f}' height='{height:.0f}' role='img' {_FONT} font-size='13' "
        f"fill='{INK}'><title>{escape(title)}</title>\n"
        f"<rect width='100%' height='100%' fill='#fff'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' {more}>{escape(text)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    return (
        f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}' "
        f"stroke-width='{width}'/>"
    )


def _path(points: Sequence[tuple[float, float]], colour: str, width: float, more: str = "") -> str:
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f"<polyline points='{drawn}' fill='none' stroke='{colour}' stroke-width='{width}' {more}/>"
    )


def confusion(matrix: NDArray[np.int64], rows: Sequence[str], answers: Sequence[str]) -> str:
    """What was shown (rows) and what was said (columns), in percent of each row."""
    cell, top = 54, 40 + _LETTER * 0.75 * max(map(len, answers))
    left = 24 + _LETTER * max([len(row) for row in rows] + [5])
    width, height = left + cell * len(answers) + 70, top + cell * len(rows) + 16
    parts = [_text(left - 8, top - 8, "shown", "end", "font-style='italic'")]
    for j, answer in enumerate(answers):
        x, y = left + cell * (j + 0.5), top - 8
        turn = f"transform='rotate(-40 {x:.1f} {y:.1f})'"
        parts.append(_text(x, y, answer, "start", turn))
    for i, row in enumerate(rows):
        total = int(matrix[i].sum())
        y = top + cell * i
        parts.append(_text(left - 8, y + cell / 2 + 5, row, "end"))
        parts.append(_text(left + cell * len(answers) + 8, y + cell / 2 + 5, f"n {total}"))
        for j, answer in enumerate(answers):
            share = matrix[i, j] / total if total else 0.0
            # From white to the dark blue of LINE.
            colour = [round(255 + share * (end - 255)) for end in (31, 95, 168)]
            x = left + cell * j
            edge = INK if row == answer else FAINT
            parts.append(
                f"<rect x='{x + 1:.1f}' y='{y + 1:.1f}' width='{cell - 2}' height='{cell - 2}' "
                f"fill='rgb({colour[0]},{colour[1]},{colour[2]})' stroke='{edge}'/>"
            )
            ink = "#fff" if share > 0.5 else INK
            shown = f"{100 * share:.0f}" if matrix[i, j] else "·"
            parts.append(_text(x + cell / 2, y + cell / 2 + 5, shown, "middle", f"fill='{ink}'"))
    return _svg(width, height, parts, "Confusion matrix, percent of each row")


def intensity(curves: Sequence[Curve], scale: Scale) -> str:
    """A panel a condition: raters thin, their mean bold with 95 % intervals; dotted, as asked."""
    side, gap, left, top, across = 190, 46, 52, 34, 3
    rows = -(-len(curves) // across)
    columns = min(across, len(curves))
    width, height = left + columns * (side + gap), top + rows * (side + gap + 22) + 6
    parts: list[str] = []
    for n, curve in enumerate(curves):
        x0 = left + (n % across) * (side + gap)
        y0 = top + (n // across) * (side + gap + 22)

        def place(
            asked: float, rated: float, x0: float = x0, y0: float = y0
        ) -> tuple[float, float]:
            part = (rated - scale.least) / (scale.most - scale.least)
            return x0 + asked * side, y0 + side * (1 - part)

        parts.append(
            f"<rect x='{x0}' y='{y0}' width='{side}' height='{side}' fill='none' stroke='{FAINT}'/>"
        )
        rho = "" if curve.rho is None else f"  ρ {curve.rho:.2f}"
        parts.append(_text(x0, y0 - 8, curve.condition + rho, "start", "font-weight='600'"))
        for step in range(scale.least, scale.most + 1):
            y = place(0, step)[1]
            parts.append(_text(x0 - 7, y + 4, str(step), "end", "font-size='11'"))
        for asked in (0, 0.5, 1):
            parts.append(
                _text(x0 + asked * side, y0 + side + 15, f"{asked:g}", "middle", "font-size='11'")
            )
        ends = [place(0, scale.least), place(1, scale.most)]
        parts.append(_path(ends, INK, 1, "stroke-dasharray='2 4'"))
        for levels in curve.by_rater.values():
            points = [place(asked, rated) for asked, rated in levels.items()]
            parts.append(_path(points, "#999", 1, "opacity='0.7'"))
        means = [place(point.asked, point.rated.mean) for point in curve.points]
        parts.append(_path(means, LINE, 2.5))
        for point, (x, y) in zip(curve.points, means, strict=True):
            parts.append(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{LINE}'/>")
            if point.rated.low is not None and point.rated.high is not None:
                low = np.clip([point.rated.low, point.rated.high], scale.least, scale.most)
                parts.append(_line(x, place(0, low[0])[1], x, place(0, low[1])[1], LINE, 1.5))
        parts.append(_text(x0 + side / 2, y0 + side + 32, "asked", "middle", "font-size='11'"))
    return _svg(width, height, parts, "Rated against asked intensity")


def realism(means: Mapping[str, Mean], scale: Scale) -> str:
    """A row a condition: the mean over raters with its 95 % interval."""
    left, width, step, top = 24 + _LETTER * max(map(len, means)), 360, 30, 20
    height = top + step * len(means) + 34

    def place(value: float) -> float:
        return left + width * (value - scale.least) / (scale.most - scale.least)

    parts = []
    for value in range(scale.least, scale.most + 1):
        x = place(value)
        parts.append(_line(x, top, x, height - 30, "#eee"))
        parts.append(_text(x, height - 12, str(value), "middle", "font-size='11'"))
    for i, (name, mean) in enumerate(means.items()):
        y = top + step * (i + 0.5)
        parts.append(_text(left - 14, y + 5, name, "end"))
        if mean.low is not None and mean.high is not None:
            ends = np.clip([mean.low, mean.high], scale.least, scale.most)
            parts.append(_line(place(ends[0]), y, place(ends[1]), y, LINE, 2))
        parts.append(f"<circle cx='{place(mean.mean):.1f}' cy='{y:.1f}' r='5' fill='{LINE}'/>")
        parts.append(_text(left + width + 18, y + 5, f"{mean.mean:.1f}"))
    return _svg(left + width + 70, height, parts, "Realism by condition")
