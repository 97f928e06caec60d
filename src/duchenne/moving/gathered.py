"""Skin that gathers: cheeks that rise to the eyes, and a nose that wrinkles.

The generator hardly folds skin for AU6 and AU9, and what it does not draw cannot be seen in its
change. So a photo's skin is moved here besides, in the frame of each eye and of the nose, as FACS
(Ekman, Friesen and Hager 2002) describes it: cheek and lower lid go up, crow's feet fan out from
the eye's outer corner and a furrow runs below the lid (AU6); the wings of the nose and the skin
beside it are drawn up, the inner brows come down, and lines run across the root (AU9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces.landmarks import LEFT_EYE, RIGHT_EYE
from ..faces.regions import SLOTS
from .change import SIDE, ramp
from .correspondence import Array, carried
from .moved import Fields

Numbers = NDArray[np.float64]
Points = Sequence[tuple[float, float]]
Values = NDArray[np.floating] | float

_ROWS = MappingProxyType({code: facs.INDEX[code] for code in ("AU6", "AU9")})
_EYES = MappingProxyType({side: SLOTS.index("eyes" + side) for side in facs.SIDES})
_NOSE = MappingProxyType({side: SLOTS.index("nose" + side) for side in facs.SIDES})


@dataclass(frozen=True)
class Furrow:
    """A dark line with lit banks: its way and its width in units of its frame, how dark it is."""

    points: Points
    wide: float
    deep: float


# Of an eye, in halves of its width: x outwards from its middle, y down to the cheek.
LID, CHEEK = 0.11, 0.22  # how far the lower lid's middle and the cheek below go up
BELOW, WHOLE, LOWEST = 0.15, 1.1, 2.9  # under the lid the way of the cheek begins, is whole, ends
INWARDS, OUTWARDS = (-1.5, -0.5), (1.1, 2.3)  # where it fades towards nose and temple
CROWS_FEET = (
    Furrow(((1.22, -0.10), (1.50, -0.30), (1.78, -0.52)), 0.045, 0.16),
    Furrow(((1.24, 0.06), (1.58, 0.04), (1.95, 0.00)), 0.045, 0.20),
    Furrow(((1.16, 0.24), (1.48, 0.38), (1.80, 0.56)), 0.045, 0.16),
)
UNDER_LID = (Furrow(((-0.75, 0.50), (-0.35, 0.66), (0.15, 0.70), (0.62, 0.58)), 0.06, 0.12),)
# Of the nose, in its length: x from the midline, y from the root down to its base.
WINGS, BROWS = 0.045, 0.03  # how far the wings go up, and the inner brows down
TIP = 0.6  # of the way of the wings
FLARE = 0.015  # of the wings, outwards
ACROSS_ROOT = (
    Furrow(((-0.15, -0.03), (0.0, -0.05), (0.15, -0.03)), 0.018, 0.16),
    Furrow(((-0.14, 0.08), (0.0, 0.06), (0.14, 0.08)), 0.018, 0.16),
)
BESIDE_NOSE = (
    Furrow(((0.09, 0.17), (0.17, 0.23), (0.24, 0.33)), 0.018, 0.16),
    Furrow(((0.08, 0.28), (0.16, 0.34), (0.22, 0.45)), 0.018, 0.13),
    Furrow(((0.37, 0.66), (0.44, 0.78), (0.50, 0.95)), 0.03, 0.14),
)


AT_1 = np.array(
    [
        *(LID, CHEEK, WINGS, TIP, BROWS, FLARE),
        *(furrow.deep for furrow in (*CROWS_FEET, *UNDER_LID, *ACROSS_ROOT, *BESIDE_NOSE)),
    ]
)
"""How far everything goes, and how deep it folds: what a picture of these units depends on."""


def moved_in(tables: NDArray[np.float64]) -> bool:
    """Whether [..., U, 8] intensities gather skin; less than at rest gathers nothing."""
    return bool((tables[..., list(_ROWS.values()), :] > 0).any())


def shaped(fields: Fields, mesh: Numbers, table: NDArray[np.float64]) -> Fields:
    """Fields with what the skin does besides.

    fields: what else happens to the photo. mesh: [468, 2] of the face as it is, in its crop at SIDE
    px. table: [U, 8] intensities in each of `regions.SLOTS`.
    """
    mesh = carried(mesh, fields.motion)
    way, shade = np.zeros((SIDE, SIDE, 2), np.float32), np.zeros((SIDE, SIDE), np.float32)
    for side, contour in zip(facs.SIDES, (LEFT_EYE, RIGHT_EYE), strict=True):
        if (much := table[_ROWS["AU6"], _EYES[side]]) > 0:
            _raise_cheek(mesh, contour, float(much), way, shade)
    much = {side: max(float(table[_ROWS["AU9"], slot]), 0.0) for side, slot in _NOSE.items()}
    if any(much.values()):
        _wrinkle_nose(mesh, much, way, shade)
    return fields.then(way, shade)


@dataclass(frozen=True)
class _Frame:
    """origin + x * right + y * down, in units of `unit` px; box: the part of the crop it is in."""

    origin: Numbers
    right: Numbers
    down: Numbers
    unit: float
    box: tuple[slice, slice]
    x: Array
    y: Array

    @staticmethod
    def of(origin: Numbers, right: Numbers, down: Numbers, unit: float, reach: Points) -> _Frame:
        """reach: (lowest, highest) x and y that are of interest."""
        corners = [origin + unit * (x * right + y * down) for x in reach[0] for y in reach[1]]
        low = np.clip(np.floor(np.min(corners, axis=0)), 0, SIDE).astype(int)
        high = np.clip(np.ceil(np.max(corners, axis=0)), 0, SIDE).astype(int)
        box = slice(low[1], high[1]), slice(low[0], high[0])
        across, along = np.meshgrid(
            np.arange(low[0], high[0]) + 0.5 - origin[0],
            np.arange(low[1], high[1]) + 0.5 - origin[1],
        )
        x, y = (
            np.asarray((across * axis[0] + along * axis[1]) / unit, np.float32)
            for axis in (right, down)
        )
        return _Frame(origin, right, down, unit, box, x, y)

    def own(self, points: Numbers) -> Numbers:
        """[N, 2] px -> own units."""
        return np.asarray((points - self.origin) @ np.stack([self.right, self.down], 1) / self.unit)

    def add(self, way: Array, dx: Values, dy: Values) -> None:
        """A way back, in own units, to `way` [S, S, 2] px."""
        here = np.asarray(dx, np.float32)[..., None] * self.right
        here = here + np.asarray(dy, np.float32)[..., None] * self.down
        way[self.box] += (here * self.unit).astype(np.float32)


def _raise_cheek(
    mesh: Numbers, contour: tuple[int, ...], much: float, way: Array, shade: Array
) -> None:
    lower, inner = mesh[list(contour[:9])], mesh[contour[8]]
    outer = mesh[contour[0]]
    half = max(float(np.linalg.norm(outer - inner)) / 2, 1e-3)
    right = (outer - inner) / (2 * half)
    down = np.array([-right[1], right[0]])
    if down @ (mesh[152] - inner) < 0:  # the chin is below on either side
        down = -down
    frame = _Frame.of((outer + inner) / 2, right, down, half, ((-1.8, 2.6), (-1.2, 3.6)))
    x, y = frame.x, frame.y
    rim = frame.own(lower)[::-1]  # x rising
    lid = np.interp(x, rim[:, 0], rim[:, 1]).astype(np.float32)
    lifted = much * LID * np.clip(1 - np.square(x), 0, 1)
    from_rim = y - (lid - lifted)  # below the lid where it is then
    beside = ramp(x, *INWARDS) * (1 - ramp(x, *OUTWARDS))
    cheek = much * CHEEK * beside * ramp(from_rim, BELOW, WHOLE)
    up = np.maximum(lifted, cheek) * (1 - ramp(from_rim, WHOLE, LOWEST))
    # The eyeball stays; the lid comes before it. Beside the eye, where no lid is, nothing jumps.
    edge = 1.5 / half
    up = up * ramp(from_rim, -edge, edge)
    frame.add(way, 0.0, up)
    shade[frame.box] += much * _drawn((*CROWS_FEET, *UNDER_LID), x, y)


def _wrinkle_nose(mesh: Numbers, much: Mapping[str, float], way: Array, shade: Array) -> None:
    root, base = mesh[168], mesh[2]
    length = max(float(np.linalg.norm(base - root)), 1e-3)
    down = (base - root) / length
    right = np.array([down[1], -down[0]])  # to the left of the subject
    frame = _Frame.of(root, right, down, length, ((-1.0, 1.0), (-0.8, 1.5)))
    x, y = frame.x, frame.y
    left = ramp(x, -0.1, 0.1)
    each = left * much["L"] + (1 - left) * much["R"]
    size = np.abs(x)
    beside = (TIP + (1 - TIP) * ramp(size, 0.05, 0.25)) * (1 - ramp(size, 0.5, 0.95))
    up = WINGS * beside * ramp(y, 0.1, 0.8) * (1 - ramp(y, 0.9, 1.4))
    lower = BROWS * (1 - ramp(size, 0.25, 0.7)) * ramp(y, -0.75, -0.25) * (1 - ramp(y, -0.2, 0.1))
    flare = FLARE * np.sign(x) * ramp(size, 0.1, 0.35) * (1 - ramp(size, 0.4, 0.8))
    flare = flare * ramp(y, 0.5, 0.85) * (1 - ramp(y, 0.9, 1.15))
    frame.add(way, -each * flare, each * (up - lower))
    shade[frame.box] += each * (_drawn(ACROSS_ROOT, x, y) + _drawn(BESIDE_NOSE, size, y))


def _drawn(furrows: Sequence[Furrow], x: Array, y: Array) -> Array:
    """Logarithm of luma: dark along the lines, a little lighter on their banks."""
    result = np.zeros_like(x)
    for furrow in furrows:
        points = np.array(furrow.points)
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        nearest, along = np.full_like(x, np.inf), np.zeros_like(x)
        for (ax, ay), (bx, by), start, length in zip(
            points, points[1:], starts, lengths, strict=False
        ):
            t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length**2, 0, 1)
            far = np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay))
            closer = far < nearest
            nearest = np.where(closer, far, nearest)
            along = np.where(closer, (start + t * length) / starts[-1], along)
        fade = np.clip(4 * along * (1 - along), 0, 1)  # thin at both ends
        square = np.square(nearest / furrow.wide) / 2
        result -= furrow.deep * fade * (1.25 * np.exp(-square) - 0.25 * np.exp(-square / 6))
    return result
