"""The eyes of a face: the edges of their lids, and their irises.

MediaPipe's iris network (Ablavatski et al. 2020, arXiv:2006.11341) looks at one eye at a time, and
sees lids and iris more closely than the face mesh does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from . import detector
from .landmarks import LEFT_BROW, LEFT_EYE_OUTER, RIGHT_BROW, RIGHT_EYE_OUTER, Region
from .warp import apply, warp

Array = NDArray[np.float64]

RIGHT_EYE_INNER, LEFT_EYE_INNER = 133, 362
# Constants of modules/iris_landmark/*.pbtxt: the input's side, and the region over the eye's width.
INPUT_SIZE = 64
REGION_SCALE = 2.3
# Of the network's 71 points, which are those of the mesh around a right eye: along the edge of the
# lower lid from the outer corner to the inner one, and along the upper lid between them.
LOWER = tuple(range(9))
UPPER = (0, *range(9, 16), 8)


@dataclass(frozen=True)
class Eye:
    """One eye. Points are (x, y) in pixels of a picture, pixel centres at integers + 0.5.

    lower, upper: [9, 2], along the edge of each lid from the outer to the inner corner.
    brow: [5, 2], along its lower edge. iris: [2], its centre. radius: of the iris, in pixels.
    """

    lower: Array
    upper: Array
    brow: Array
    iris: Array
    radius: float

    @property
    def points(self) -> Array:
        """[24, 2], all of them."""
        return np.concatenate([self.lower, self.upper, self.brow, self.iris[None]])

    def at(self, points: Array, scale: float = 1.0) -> Eye:
        """The same eye where its `points` lie now, everything so many times as large."""
        lower, upper, brow, (iris,) = np.split(points, [9, 18, 23])
        return Eye(lower, upper, brow, iris, self.radius * scale)

    def scaled(self, scale: float) -> Eye:
        """The same eye in a picture so many times as large."""
        return self.at(self.points * scale, scale)


def find(pixels: Pixels, mesh: NDArray[np.floating]) -> tuple[Eye, Eye]:
    """The subject's left and right eye, in the order of `facs.SIDES`.

    pixels: uint8 [H, W, 3]. mesh: [468, >=2] of the face in it, which says where to look.
    """
    points = mesh[:, :2].astype(float)
    left = _look(pixels, points[LEFT_EYE_OUTER], points[LEFT_EYE_INNER], mirrored=True)
    right = _look(pixels, points[RIGHT_EYE_OUTER], points[RIGHT_EYE_INNER], mirrored=False)
    return (
        replace(left, brow=points[list(LEFT_BROW[:5])]),
        replace(right, brow=points[list(RIGHT_BROW[:5])]),
    )


def _look(pixels: Pixels, outer: Array, inner: Array, *, mirrored: bool) -> Eye:
    """mirrored: a left eye, which the network sees as a right one."""
    across = outer - inner if mirrored else inner - outer
    region = Region(
        (outer + inner) / 2,
        REGION_SCALE * float(np.hypot(*across)),
        float(np.arctan2(across[1], across[0])),
    )
    to_picture = region.to_photo(INPUT_SIZE)
    if mirrored:
        to_picture = to_picture @ np.array([[-1.0, 0, INPUT_SIZE], [0, 1, 0], [0, 0, 1]])
    look = warp(pixels, to_picture, (INPUT_SIZE, INPUT_SIZE), border="border")
    lids, iris = detector.compiled("iris")(np.clip(look, 0, 255)[None] / 255).values()
    edges = apply(to_picture, lids.reshape(-1, 3)[:, :2].astype(float))
    ring = apply(to_picture, iris.reshape(-1, 3)[:, :2].astype(float))
    radius = float(np.linalg.norm(ring[1:] - ring[0], axis=1).mean())
    return Eye(edges[list(LOWER)], edges[list(UPPER)], np.zeros((5, 2)), ring[0], radius)
