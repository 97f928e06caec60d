"""A photo's open mouth, moved: its own pixels where it has them, and else the generator's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ..faces.landmarks import INNER_LIPS, OUTER_LIPS
from .change import OPEN, SEALED, Change, lip_gap, ramp
from .correspondence import Array, blur, pixel_centres
from .mouth import COLUMNS, MIDDLE, Curve, Mouth, Numbers, rows_of

JAW = (3.0, 8.0)  # px by which lips go apart, or together, from which it is the jaw that moves
TO_SHUT = (0.06, 0.15)  # of the distance between the eyes: less is left by lips that mean to close
UPPER_TEETH = 0.17  # of the distance between the eyes, 63 mm: 10 mm
LONGER = 1.6  # times as long may teeth become of which a lip hid a part
LITTLE, TOO_LITTLE = 2.5, 5.0  # times its height: a strip that is drawn out so far is not shown
# The mean of the hollow of 18 wide open generated mouths, from the upper teeth to the tongue. Less
# light comes in where it is lower than this part of the distance between the eyes.
DARK, TONGUE = np.array([56.0, 26.0, 30.0]), np.array([115.0, 69.0, 78.0])
LIT = 0.3
SLIT, SEAM = (1.5, 5.0), 1.5  # px: what is so low lies in shadow; so much of it stays
JITTER = 2.5  # of the COLUMNS, over which a lip's way is smooth
NOWHERE = 0.05  # px^2: smaller triangles are not seen


@dataclass(frozen=True)
class Opening:
    """How a photo's mouth changes, [S, S], of its target's places; zero outside the lips.

    motion: [S, S, 2], of the photo's own pixels. drawn: [S, S, 2], places of the edited picture.
    within: 0 to 1, where motion is believed. inside: 0 to 1, between the lips. appears: 0 to 1,
    where the photo has too little to show. hollow: [S, S, 3], what a mouth looks like there.
    """

    motion: Array
    drawn: Array
    within: Array
    inside: Array
    appears: Array
    hollow: Array


@dataclass(frozen=True)
class _Strip:
    """From a row to the next. target, photo, drawn: the two rows in each picture.

    within: how far it is believed at its rows. inside: whether it is between the lips.
    """

    target: tuple[Curve, Curve]
    photo: tuple[Curve, Curve]
    drawn: tuple[Curve, Curve]
    within: tuple[float, float] = (1.0, 1.0)
    inside: bool = True

    @property
    def heights(self) -> Numbers:
        return np.asarray(np.linalg.norm(self.target[1] - self.target[0], axis=1))

    @property
    def appears(self) -> float:
        """0 to 1, as the photo has too little to be drawn out."""
        height = self.heights.sum()
        if not self.inside or height < COLUMNS:  # lower than a pixel
            return 0.0
        known = max(float(np.linalg.norm(self.photo[1] - self.photo[0], axis=1).sum()), 1e-3)
        return float(ramp(height / known, LITTLE, TOO_LITTLE))


def open_mouth(photo: Mouth, change: Change, closed: float, side: int) -> Opening:
    """What the photo's mouth shows as the points of its mesh go where the change says.

    closed: 0 to 1, whether lips that leave a small gap are meant to meet. side: of the pictures.
    """
    inner, outer = (
        tuple(map(_smooth, rows_of(change.goes, contour))) for contour in (INNER_LIPS, OUTER_LIPS)
    )
    drawn = Mouth.find(change.drawn, change.drawn_mesh)
    rims = drawn.upper, drawn.lower
    upper, lower = photo.upper + inner[0], photo.lower + inner[1]
    lower = _from(upper, lower, photo.down)
    left = float(((lower - upper)[MIDDLE] @ photo.down).mean()) / photo.eyes
    lips_of_drawn = lip_gap(change.drawn_mesh)
    meet = closed * float((1 - ramp(left, *TO_SHUT)) * (1 - ramp(lips_of_drawn, SEALED, OPEN)))
    middle = (upper + lower) / 2
    upper, lower = upper + meet * (middle - upper), lower + meet * (middle - lower)
    slit = 1 - float(ramp(float(((lower - upper)[MIDDLE] @ photo.down).mean()), *SLIT))
    lower = _from(upper + slit * SEAM * photo.down, lower, photo.down)
    lips = [
        strip
        for outline, rim, target, way, at in (
            (photo.outer_upper, photo.upper, upper, outer[0], rims[0]),
            (photo.outer_lower, photo.lower, lower, outer[1], rims[1]),
        )
        for strip in _lip(outline, rim, target, way, at)
    ]
    if photo.teeth:
        between = _teeth(photo, upper, lower, inner, change.opened, rims)
    else:
        # Between lips that lie on each other the photo has nothing.
        inside = (photo.upper, photo.lower if photo.open else photo.upper)
        between = [_Strip((upper, lower), inside, rims)]
    return _raster([*lips, *between], photo.eyes, slit, side)


def _lip(outline: Curve, rim: Curve, target: Curve, way: Curve, at: Curve) -> list[_Strip]:
    """A lip, whose outline goes along `way`, and whose rim to `target`."""
    middle, goes_to = (outline + rim) / 2, (outline + way + target) / 2
    return [
        _Strip((outline + way, goes_to), (outline, middle), (at, at), (0, 1), inside=False),
        _Strip((goes_to, target), (middle, rim), (at, at), inside=False),
    ]


def _smooth(way: Curve) -> Curve:
    """A lip's way without the jitter of the mesh's points; its ends, the corners, stay."""
    before, after = 2 * way[0] - way[:0:-1], 2 * way[-1] - way[-2::-1]  # turned round at the ends
    whole = np.concatenate([before, way, after]).astype(np.float32)
    return np.asarray(blur(whole[None], JITTER)[0][len(before) : -len(after)], np.float64)


def _teeth(
    photo: Mouth,
    upper: Curve,
    lower: Curve,
    ways: Sequence[Curve],
    opened: float,
    rims: tuple[Curve, Curve],
) -> list[_Strip]:
    """The strips from one lip to the other. ways: by which the lips go."""
    down = photo.down
    # What both lips do the mouth does as a whole, and its teeth with it.
    one, other = (float((way[MIDDLE] @ down).mean()) for way in ways)
    along = (np.sign(one) * min(abs(one), abs(other))) if one * other > 0 else 0.0

    def depth(row: Curve) -> Numbers:
        return np.asarray(row @ down)

    def lowered(row: Curve, by: Numbers) -> Curve:
        return np.asarray(row + by[:, None] * down)

    # Upper teeth stay so; a part that a lip hid comes out, but they do not grow without end.
    length = depth(photo.upper_edge) - depth(photo.upper)
    hidden = np.clip(1 - (depth(photo.lower) - depth(photo.upper_edge)) / 2, 0, 1)
    whole = np.maximum(np.minimum(UPPER_TEETH * photo.eyes, LONGER * length), length)
    edge = lowered(photo.upper_edge, along + hidden * (whole - length))
    edge = lowered(edge, np.minimum(depth(upper) + whole - depth(edge), 0))
    upper_edge = _between(upper, edge, lower, down)
    # The jaw is one bone: the lower teeth go as its middle goes.
    far = float(np.clip((opened - JAW[0]) / (JAW[1] - JAW[0]), 0, 1))
    edge = photo.lower_edge + far * ways[1][MIDDLE].mean(axis=0) + (1 - far) * along * down
    lower_edge = _between(upper_edge, edge, lower, down)
    seen = np.clip((depth(photo.lower) - depth(photo.lower_edge) - 1) / 3, 0, 1)
    lower_edge = lower + seen[:, None] * (lower_edge - lower)
    # What lips come to cover is hidden, not squeezed.
    covered = np.maximum(depth(upper) - depth(photo.upper) - along, 0)
    top = _between(photo.upper, lowered(photo.upper, covered), photo.upper_edge, down)
    room = np.maximum(depth(lower) - depth(lower_edge), 0)
    bottom = _between(photo.lower_edge, lowered(photo.lower_edge, room), photo.lower, down)
    return [
        _Strip((upper, upper_edge), (top, photo.upper_edge), rims),
        _Strip((lower_edge, lower), (photo.lower_edge, bottom), rims),
        _Strip((upper_edge, lower_edge), (photo.upper_edge, photo.lower_edge), rims),
    ]


def _from(above: Curve, row: Curve, down: NDArray[np.floating]) -> Curve:
    """A row, no higher than another."""
    return np.asarray(np.where((row @ down < above @ down)[:, None], above, row))


def _between(above: Curve, row: Curve, below: Curve, down: NDArray[np.floating]) -> Curve:
    """A row, no higher than one row and no lower than another, which lies below the first."""
    row = _from(above, row, down)
    return np.asarray(np.where((row @ down > below @ down)[:, None], below, row))


def _raster(strips: list[_Strip], eyes: float, slit: float, side: int) -> Opening:
    """Strips as pixels; within each of their triangles everything is linear.

    eyes: px between them. slit: 0 to 1, as the mouth is so little open that it is dark inside.
    """
    targets, values = [], []
    for strip in strips:
        appears = max(strip.appears, slit * strip.inside)
        same = np.broadcast_to([float(strip.inside), appears], (2, COLUMNS, 2))
        within = np.repeat(np.reshape(strip.within, (2, 1, 1)), COLUMNS, axis=1)
        lit = np.minimum(strip.heights / (LIT * eyes), 1)[:, None]
        hollow = np.stack([np.tile(DARK, (COLUMNS, 1)), DARK + lit * (TONGUE - DARK)])
        parts = (np.stack(strip.photo), np.stack(strip.drawn), within, same, hollow)
        values.append(_triangles(np.concatenate(parts, axis=2)))
        targets.append(_triangles(np.stack(strip.target)))
    corners, at_corners = np.concatenate(targets), np.concatenate(values)
    (ax, ay), (bx, by) = ((corners[:, k] - corners[:, 0]).T for k in (1, 2))
    seen = np.abs(ax * by - ay * bx) > NOWHERE
    corners, at_corners = corners[seen], at_corners[seen]
    maps = np.linalg.solve(np.concatenate([corners, np.ones((len(corners), 3, 1))], 2), at_corners)
    which = np.zeros((side, side), np.int32)
    for number, points in enumerate(np.round((corners - 0.5) * 16).astype(np.int32)):
        cv2.fillConvexPoly(which, points, number + 1, cv2.LINE_8, 4)
    y, x = np.nonzero(which)
    here = np.column_stack([x + 0.5, y + 0.5, np.ones(len(x))])
    triangle = which[y, x] - 1
    found = np.einsum("pi,pij->pj", here, maps[triangle])
    # The middle of a pixel may lie beside a triangle, and beside a thin one far from its corners.
    least, most = at_corners.min(axis=1), at_corners.max(axis=1)
    found = np.clip(found, least[triangle], most[triangle])
    found[:, :2] -= here[:, :2]
    found[:, 2:4] -= 0.5
    whole = np.zeros((side, side, found.shape[1]), np.float32)
    whole[..., 2:4] = pixel_centres(side)
    whole[y, x] = found
    motion, drawn, hollow = (
        np.ascontiguousarray(whole[..., k]) for k in (slice(0, 2), slice(2, 4), slice(7, 10))
    )
    within, inside, appears = np.ascontiguousarray(np.moveaxis(whole[..., 4:7], 2, 0))
    return Opening(motion, drawn, within, inside, appears, hollow)


def _triangles(rows: Numbers) -> Numbers:
    """[2, COLUMNS, C] -> [triangles, 3, C]."""
    (a, b), (c, d) = ((row[:-1], row[1:]) for row in rows)
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([c, b, d], axis=1)])
