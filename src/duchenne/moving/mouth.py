"""The inside of an open mouth: which of its parts go with the head, and which with the jaw.

Upper teeth are part of the skull. When a mouth opens they stay where they are, the lower teeth go
with the jaw, and what lies between is drawn out, or drawn anew where the photo shows none of it. So
a mouth is a grid: columns from corner to corner, and as rows the lips' outlines and the edges of
both rows of teeth. Each of its strips goes to a strip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..faces.landmarks import INNER_LIPS, LEFT_EYE, OUTER_LIPS, RIGHT_EYE
from .change import OPEN, lip_gap
from .correspondence import Array, blur, sample

Curve = NDArray[np.float64]
"""[COLUMNS, 2]: a row of the grid, from the right corner of the mouth to the left, in pixels."""
Numbers = NDArray[np.float64]

PER_POINT = 3  # columns from one point of the lips to the next
COLUMNS = 10 * PER_POINT + 1
MIDDLE = slice(COLUMNS // 3, -(COLUMNS // 3))
LEVELS = 64  # places from lip to lip, and a little beyond, at which teeth are looked for
BEYOND, WITHIN = 4.0, 0.25  # px, and of the height, by which the mesh's inner lips may be wrong
GUM = 2.0  # px
CHEEKS = (205, 425, 50, 280, 187, 411)  # points of the mesh whose skin says how light it is
# Of the skin's green: teeth are lighter, the hollow of the mouth is darker, gums and lips between.
HOLLOW, NO_HOLLOW, NO_TOOTH, TOOTH = 0.35, 0.5, 0.6, 0.75
REDDER, RED = 0.0, 0.08  # (red - green) / (red + green) more than the skin's: lips, not teeth
NEAR_THE_MESH = 0.1  # of a surely seen place, for each level that the lip is moved
# Of the middle columns: where fewer show a row of teeth there is none. In a film one that was there
# stays while so many show it, and one that was not comes with so many.
FEW, FEW_LEFT, FEW_NEW = 0.4, 0.2, 0.6
# px: less dark than this in a column is a shadow between teeth, less light a glint.
LEAST_HOLLOW, LEAST_TEETH = 2.0, 2.0
WHOLE = 2.0  # px of hollow that an edge takes along, so that no piece of a tooth is drawn out


@dataclass(frozen=True)
class Mouth:
    """The mouth of one picture: its rows from above, in pixels.

    outer_upper, outer_lower: the outer outlines of the lips. upper, lower: the inner ones.
    upper_edge, lower_edge: where the upper teeth end, and where the lower ones, or without them the
    lower lip, begin. eyes: px between the eyes. open: whether it is. rows: whether upper teeth are
    seen, and lower ones.
    """

    outer_upper: Curve
    upper: Curve
    upper_edge: Curve
    lower_edge: Curve
    lower: Curve
    outer_lower: Curve
    eyes: float
    open: bool
    rows: tuple[bool, bool]

    @property
    def teeth(self) -> bool:
        """Whether any are seen."""
        return any(self.rows)

    @property
    def down(self) -> Curve:
        """[2], the direction from the upper lip to the lower one."""
        return _down(self.upper, self.lower)

    @staticmethod
    def find(picture: Array, mesh: NDArray[np.floating], before: Mouth | None = None) -> Mouth:
        """In a picture [S, S, 3], 0 to 255, with a mesh [468, 2]; before: as it was earlier."""
        upper, lower = rows_of(mesh, INNER_LIPS)
        height = np.linalg.norm(lower - upper, axis=1)
        down = (lower - upper) / np.maximum(height, 1e-6)[:, None]
        outer = rows_of(mesh, OUTER_LIPS)
        eyes = mesh[list(LEFT_EYE), :2].mean(axis=0) - mesh[list(RIGHT_EYE), :2].mean(axis=0)
        apart = float(np.linalg.norm(eyes))
        if lip_gap(mesh) < OPEN:
            return Mouth(
                outer[0], upper, upper, lower, lower, outer[1], apart, False, (False, False)
            )
        depths = np.linspace(-BEYOND, height + BEYOND, LEVELS)  # [LEVELS, COLUMNS]
        seen = sample(picture, _places(upper + depths[..., None] * down))
        cheeks = sample(picture, _places(mesh[list(CHEEKS), None, :2]))
        skin = np.median(cheeks.reshape(-1, 3), axis=0)
        tooth, hollow = _kinds(seen, skin)
        first, last = _lips(tooth, hollow, height)
        above, below = _edges(tooth, hollow, first, last, height)
        levels = np.arange(LEVELS)

        def row(level: Numbers) -> Curve:
            depth = [np.interp(at, levels, depths[:, c]) for c, at in enumerate(level)]
            return np.asarray(upper + np.array(depth)[:, None] * down)

        begin, end = row(first), row(last)
        way = _down(upper, lower)
        low, high = begin @ way, end @ way
        few = [FEW, FEW]
        if before is not None and before.open:
            few = [FEW_LEFT if there else FEW_NEW for there in before.rows]
        arcs = [
            _arc(row(edge) @ way, sign, least)
            for edge, sign, least in zip((above, below), (1, -1), few, strict=True)
        ]
        edges = [
            np.clip(lips if arc is None else arc, low, high)
            for arc, lips in zip(arcs, (low, high), strict=True)
        ]
        crossed = np.maximum(edges[0] - edges[1], 0) / 2
        upper_edge, lower_edge = (
            begin + ((edge - low) / np.maximum(high - low, 1e-6))[:, None] * (end - begin)
            for edge in (edges[0] - crossed, edges[1] + crossed)
        )
        return Mouth(
            outer[0], begin, upper_edge, lower_edge, end, outer[1],
            apart, True, (arcs[0] is not None, arcs[1] is not None),
        )  # fmt: skip


def rows_of(points: NDArray[np.floating], contour: tuple[int, ...]) -> tuple[Curve, Curve]:
    """The upper and the lower row of a contour of the lips, from corner to corner.

    points: [468, 2], the mesh or how far each point of it goes.
    """
    half = len(contour) // 2
    at, known = np.linspace(0, half, COLUMNS), np.arange(half + 1)
    upper, lower = contour[:1] + contour[: half - 1 : -1], contour[: half + 1]

    def row(chosen: tuple[int, ...]) -> Curve:
        return np.stack([np.interp(at, known, points[list(chosen), k]) for k in (0, 1)], axis=1)

    return row(upper), row(lower)


def _down(upper: Curve, lower: Curve) -> Curve:
    way = (lower - upper)[MIDDLE].mean(axis=0)
    return np.asarray(way / max(float(np.linalg.norm(way)), 1e-6))


def _places(points: NDArray[np.floating]) -> Array:
    """As OpenCV counts: centres of pixels at integers."""
    return np.ascontiguousarray(points - 0.5, np.float32)


def _kinds(seen: Array, skin: NDArray[np.floating]) -> tuple[Numbers, Numbers]:
    """[LEVELS, COLUMNS] twice, 0 to 1: what is tooth, and what is the dark of the mouth."""
    green = blur(seen[..., 1], 0.7) / max(float(skin[1]), 1.0)
    red = (seen[..., 0] - seen[..., 1]) / (seen[..., 0] + seen[..., 1] + 1)
    redder = red - float((skin[0] - skin[1]) / (skin[0] + skin[1] + 1))
    light = np.clip((green - NO_TOOTH) / (TOOTH - NO_TOOTH), 0, 1)
    tooth = light * (1 - np.clip((redder - REDDER) / (RED - REDDER), 0, 1))
    hollow = np.clip((NO_HOLLOW - green) / (NO_HOLLOW - HOLLOW), 0, 1)
    return tooth.astype(float), hollow.astype(float)


def _lips(tooth: Numbers, hollow: Numbers, height: Numbers) -> tuple[Numbers, Numbers]:
    """[COLUMNS] twice: levels at which the lips end and begin again, near those of the mesh."""
    step = (height + 2 * BEYOND) / (LEVELS - 1)  # px from level to level
    inside = np.maximum(tooth, hollow) - 0.5
    so_far = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(inside, axis=0)])
    levels = np.arange(LEVELS + 1)[:, None]
    # Within the upper lip lies the gum, which looks like a lip and belongs to the teeth.
    most = np.minimum(WITHIN * height, [[GUM], [2 * BEYOND]]) / step
    edges = []
    for sign, mesh, farthest in (
        (-1, BEYOND / step, most[0]), (1, LEVELS - 1 - BEYOND / step, most[1])
    ):  # fmt: skip
        off = levels - mesh
        worth = sign * so_far - NEAR_THE_MESH * np.abs(off)
        worth[sign * off < -farthest] = -np.inf  # farther inside than the mesh can be wrong
        worth[sign * off > BEYOND / step] = -np.inf
        found = worth.argmax(axis=0) - mesh
        edges.append(mesh + _smooth(found))
    return edges[0], edges[1]


def _edges(
    tooth: Numbers, hollow: Numbers, first: Numbers, last: Numbers, height: Numbers
) -> tuple[Numbers, Numbers]:
    """[COLUMNS] twice: levels where upper teeth end and lower ones begin; NaN without them.

    Between them lies the darkest run of each column; without one it is all upper teeth.
    """
    levels = np.arange(LEVELS)[:, None]
    kind = np.where((levels >= first) & (levels <= last), tooth - hollow, 0)
    so_far = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(kind, axis=0)])
    fall = np.maximum.accumulate(so_far, axis=0) - so_far
    end = fall.argmax(axis=0)
    step = (height + 2 * BEYOND) / (LEVELS - 1)
    deep = fall.max(axis=0) * step > LEAST_HOLLOW
    start = np.array([so_far[: e + 1, c].argmax() for c, e in enumerate(end)])
    above = np.clip(np.where(deep, start, last), first, last)
    below = np.clip(np.where(deep, end, last), first, last)
    of_teeth = np.where((levels >= first) & (levels <= last), tooth, 0) * step
    has_upper = (of_teeth * (levels < above)).sum(axis=0) > LEAST_TEETH
    has_lower = (of_teeth * (levels >= below)).sum(axis=0) > LEAST_TEETH
    return np.where(has_upper, above, np.nan), np.where(has_lower, below, np.nan)


def _smooth(row: Numbers) -> Numbers:
    """Without outliers, and then by 1-4-6-4-1."""
    windows = np.lib.stride_tricks.sliding_window_view
    row = np.median(windows(np.pad(row, 2, mode="edge"), 5), axis=1)
    return np.asarray(windows(np.pad(row, 2, mode="edge"), 5) @ [1, 4, 6, 4, 1] / 16)


def _arc(row: Numbers, sign: int, few: float) -> Numbers | None:
    """[COLUMNS], the arc along what is known of a row of teeth, NaN elsewhere; WHOLE beyond it.

    sign: on which side of it no tooth is to be left. few: of the columns, see FEW. None where there
    is no row of teeth.
    """
    known = np.flatnonzero(np.isfinite(row))
    if np.isfinite(row[MIDDLE]).mean() < few:
        return None
    x = np.linspace(-1, 1, COLUMNS)
    fit, at = np.polynomial.polynomial.polyfit, np.polynomial.polynomial.polyval
    off = np.abs(row[known] - at(x[known], fit(x[known], row[known], 2)))
    known = known[off <= 2 * max(float(np.median(off)), 1.0)]  # once more without what lies far off
    arc = at(x, fit(x[known], row[known], 2))
    beyond = float(np.percentile(sign * (row[known] - arc[known]), 90))
    return np.asarray(arc + sign * (max(beyond, 0.0) + WHOLE))
