"""What the lips do by their own muscle: moved in the picture, a photo's or the generator's.

Lips that pucker, funnel, tighten, press or roll in, and corners that draw in to a dimple, change
little of a face, and the generator parts many lips that it presses. What these units do is known
from FACS (Ekman, Friesen and Hager 2002): the lips are made narrower, wider, thinner or fuller,
along their own outlines.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces.landmarks import INNER_LIPS, OUTER_LIPS
from ..faces.regions import SLOTS
from ..types import Pixels
from .canvas import Canvas
from .change import SIDE, ramp
from .correspondence import Array, blur, carried, pixel_centres
from .mouth import rows_of
from .moved import Fields, FindMesh, resized

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Action:
    """What a unit does at 1. width: of the mouth, and upper, lower: height of the red of the lips,
    each times what it is at rest. lift: of the corners, in halves of the mouth's width.
    dimple: depth of the fold beside the corners, logarithm of luma."""

    width: float = 1.0
    upper: float = 1.0
    lower: float = 1.0
    lift: float = 0.0
    dimple: float = 0.0


ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "AU14": Action(width=0.98, upper=0.78, lower=0.78, lift=0.09, dimple=0.24),
        "AU18": Action(width=0.75, upper=1.2, lower=1.2),
        "AU22": Action(width=0.86, upper=1.5, lower=1.6),
        "AU23": Action(width=0.88, upper=0.62, lower=0.66),
        "AU24": Action(width=0.98, upper=0.55, lower=0.6),
        "AU28": Action(width=0.96, upper=0.4, lower=0.45),
    }
)
_ROWS = [facs.INDEX[code] for code in ACTIONS]
_SIDES = [SLOTS.index("mouth" + side) for side in facs.SIDES]
_LOGS = np.log([[a.width, a.upper, a.lower] for a in ACTIONS.values()])
_ADDED = np.array([[a.lift, a.dimple] for a in ACTIONS.values()])

AT_1 = np.array([astuple(action) for action in ACTIONS.values()])
"""The same as numbers: what a picture of these units depends on."""

# All in halves of the mouth's width.
ASIDE, ABOVE = 1.3, 0.55  # how far beside the corners, above and below the lips skin comes along
SKIN = 0.7  # how far above and below the red skin is drawn out or pushed together
ROUND = 0.12  # over which the way of the corners turns round
NEAR_CORNERS = 0.35
MIDDLE = 0.35  # over which one side passes into the other
OPEN, LESS_OPEN = (0.1, 0.5), 0.35  # gap; lips that are apart do so much less
FOLD = (0.1, 0.05, 0.15, -1.0), (0.27, 0.1, 0.2, 0.45)
"""Shadow and bulge beside a corner: how far from it, width, height, and how dark or light."""


def moved_in(tables: NDArray[np.float64]) -> bool:
    """Whether [..., U, 8] intensities ask for anything that is drawn here."""
    return bool(tables[..., _ROWS, :].any())


def shaped(fields: Fields | None, mesh: Numbers, table: NDArray[np.float64]) -> Fields:
    """Fields with what the lips do besides.

    fields: what else happens to the photo; None is nothing. mesh: [468, 2] of the face as it is, in
    its crop at SIDE px. table: [U, 8] intensities in each of `regions.SLOTS`.
    """
    fields = fields or Fields.none()
    way, shade = _Lips.of(carried(mesh, fields.motion)).moved(table[_ROWS][:, _SIDES].T)
    return fields.then(way, shade)


class Painter:
    """Moves the lips of the generator's pictures of one face; see `eyes.Painter`."""

    def __init__(self, mesh: NDArray[np.floating], share: Array, find_mesh: FindMesh) -> None:
        self._mesh, self._share, self._find_mesh = mesh, share, find_mesh

    def paint(self, picture: Pixels, table: NDArray[np.float64]) -> Pixels:
        """picture: uint8 [S, S, 3]. table: [U, 8]."""
        if not moved_in(table):
            return picture
        scale = SIDE / len(picture)
        found = self._find_mesh(picture, None)
        mesh = self._mesh if found is None else found[:, :2] * scale
        to_crop = np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
        canvas = Canvas(picture, (slice(None), slice(None)), to_crop, resized(self._share, SIDE))
        return canvas.draw(shaped(None, np.asarray(mesh, np.float64), table))


@dataclass(frozen=True)
class _Lips:
    """A mouth in its own frame: x from the middle to the left corner, y down; half its width is 1.

    outlines: [COLUMNS, 2] each, x rising: outer upper, inner upper, inner lower, outer lower.
    """

    middle: Numbers
    across: Numbers
    down: Numbers
    half: float
    outlines: tuple[Numbers, Numbers, Numbers, Numbers]

    @staticmethod
    def of(mesh: Numbers) -> _Lips:
        outer, inner = (rows_of(mesh, contour) for contour in (OUTER_LIPS, INNER_LIPS))
        right, left = outer[0][0], outer[0][-1]
        half = max(float(np.linalg.norm(left - right)) / 2, 1e-3)
        across = (left - right) / (2 * half)
        down = np.array([-across[1], across[0]])
        middle = (left + right) / 2
        outlines = []
        for curve in (outer[0], inner[0], inner[1], outer[1]):
            own = (curve - middle) @ np.stack([across, down], axis=1) / half
            own = own[np.argsort(own[:, 0])]
            outlines.append(own)
        return _Lips(middle, across, down, half, tuple(outlines))

    def moved(self, sides: Numbers) -> tuple[Array, Array]:
        """sides: [2, len(ACTIONS)], left and right -> (way back [S, S, 2] px, shading [S, S])."""
        here = pixel_centres(SIDE) + np.float32(0.5) - self.middle.astype(np.float32)
        x, y = (here @ axis.astype(np.float32) / self.half for axis in (self.across, self.down))
        left = ramp(np.asarray(x, np.float32), -MIDDLE, MIDDLE)
        logs, added = sides @ _LOGS * self._free, sides @ _ADDED  # [2, 3], [2, 2]

        def each(values: Numbers) -> Array:
            return np.asarray(left * values[0] + (1 - left) * values[1], np.float32)

        width, upper, lower = (np.exp(each(logs[:, i])) for i in range(3))
        lift, dimple = (each(added[:, i]) for i in range(2))
        # Beside and above the lips less and less of the corners' way.
        size, side = np.abs(x) / width, np.sign(x)
        top, bottom = (self._height(i, x) for i in (0, 3))
        beyond = np.maximum(np.maximum(top - y, y - bottom), 0)
        near = np.exp(-np.square(beyond / ABOVE) / 2)
        source_x = x + side * (1 - width) * _way(size) * near
        corner = np.exp(-(np.square(np.abs(x) - width) + np.square(y)) / (2 * NEAR_CORNERS**2))
        source_y = y + lift * corner
        source_y = self._thinner(source_x, source_y, upper, lower)
        back = (source_x - x)[..., None] * self.across + (source_y - y)[..., None] * self.down
        fold = 0.0
        for far, wide, high, strength in FOLD:
            place = np.square((np.abs(x) - width - far) / wide) + np.square(y / high)
            fold = fold + strength * np.exp(-place / 2)
        return np.asarray(back * self.half, np.float32), np.asarray(dimple * fold, np.float32)

    @property
    def _free(self) -> float:
        """How much of it they do, 1 for closed ones: teeth cannot be made narrower."""
        upper, lower = (curve[len(curve) // 2, 1] for curve in self.outlines[1:3])
        return 1 - LESS_OPEN * float(ramp(float(lower - upper), *OPEN))

    def _height(self, outline: int, x: Array) -> Array:
        curve = self.outlines[outline]
        return np.asarray(np.interp(x, curve[:, 0], curve[:, 1]), np.float32)

    def _thinner(self, x: Array, y: Array, upper: Array, lower: Array) -> Array:
        """Where the pixel at y was, when the reds were not yet so many times as high."""
        outer_up, up, low, outer_low = (self._height(i, x) for i in range(4))
        above = up - _red(up - y, up - outer_up, upper)
        below = low + _red(y - low, outer_low - low, lower)
        return np.asarray(np.where(y < (up + low) / 2, above, below), np.float32)


def _red(distance: Array, height: Array, times: Array) -> Array:
    """Distance from the inner lip at which what is now at `distance` was."""
    height = np.maximum(height, 0)
    now = height * times
    within = np.minimum(distance, now) / times  # below 0: between the lips, where nothing changes
    outside = np.maximum(distance - now, 0)
    skin = distance + (height - now) * (1 - ramp(outside, 0, SKIN))
    return np.where(distance < 0, distance, np.where(distance < now, within, skin))


_FINE = 256  # places to a half of the mouth's width
_AT = np.arange(-_FINE, 5 * _FINE) / _FINE
_TURNING = np.interp(_AT, [-1, 1, 1 + ASIDE], [-1, 1, 0]).astype(np.float32)
_WAY = blur(_TURNING[None], ROUND * _FINE)[0]


def _way(size: Array) -> Array:
    """How much of the corners' way a place comes along; they lie at 1."""
    return np.asarray(np.interp(size, _AT, _WAY), np.float32)
