"""Resampling through an affine map: sub-pixel exact, antialiased, in one place.

Coordinates are continuous: pixel (column i, row j) covers [i, i+1) x [j, j+1), its centre is at
(i + 0.5, j + 0.5), and a picture of width W spans [0, W].
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..types import Pixels

Affine = NDArray[np.float64]
"""float64 [2, 3]: [x', y'] = A[:, :2] @ [x, y] + A[:, 2]."""

# A cubic kernel cut off at the output's own sampling rate softens what the output could still show;
# at 1.4 times that rate a crop pasted back into its photo loses half as much (astronaut: 1.5 grey
# levels on average instead of 2.4), and aliasing stays out of sight.
CUTOFF = 1.4
# Bilinear sampling is exact enough on this many samples per output pixel; more than three per
# source pixel would only cost memory.
OVERSAMPLING = 2.5
MOST_UPSAMPLING = 3.0
# Reach of the cubic kernel in pixels of the coarser grid, plus one for rounding.
REACH = 3
_BORDERS = {"reflection": cv2.BORDER_REFLECT, "border": cv2.BORDER_REPLICATE}


def invert(matrix: Affine) -> Affine:
    """The inverse map.

    >>> twice = np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    >>> apply(invert(twice), apply(twice, np.array([[3.0, 4.0]])))
    array([[3., 4.]])
    """
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def apply(matrix: Affine, points: NDArray[Any]) -> NDArray[np.float64]:
    """[..., 2] points through the map."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float64)


def scale_of(matrix: Affine) -> float:
    """Length in the target of one unit of the source (geometric mean over directions).

    >>> scale_of(np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]))
    2.0
    """
    return math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))


class Warp:
    """A resampling prepared once and applied to many pictures of one shape.

    Where the output is coarser than the source, the part that is seen is first reduced with an
    antialiasing cubic filter (Keys, a = -0.5); then it is enlarged with the same kernel and sampled
    bilinearly. Smooth pictures come through with sub-pixel accuracy, fine detail does not alias.

    source: (height, width) of the pictures to warp.
    to_source: map from output to source coordinates.
    size: (height, width) of the output.
    border: what lies outside the source, "reflection" or "border" (its edge pixels).
    """

    def __init__(
        self,
        source: tuple[int, int],
        to_source: Affine,
        size: tuple[int, int],
        *,
        border: Literal["reflection", "border"] = "reflection",
    ) -> None:
        self._border = _BORDERS[border]
        step = scale_of(to_source)  # source pixels per output pixel
        self._window = _seen(source, to_source, size, max(1.0, step))
        top, bottom, left, right = self._window
        seen = np.array([right - left, bottom - top])
        fine = np.maximum(1, np.ceil(seen * min(OVERSAMPLING / step, MOST_UPSAMPLING)))
        coarse = np.clip(np.round(seen * CUTOFF / step), 1, seen)
        self._resizes = [(int(h), int(w)) for w, h in (coarse, fine)]
        y, x = np.mgrid[: size[0], : size[1]]
        points = apply(to_source, np.stack([x, y], axis=2) + 0.5) - [left, top]
        # OpenCV counts from the centre of the first pixel.
        self._at = (points * (fine / seen) - 0.5).astype(np.float32)

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """[H, W, C] numbers -> float32 [h, w, C], same scale (cubic overshoot is possible)."""
        top, bottom, left, right = self._window
        image = pixels[top:bottom, left:right]
        for size in self._resizes:
            image = _resized(image, size)
        sampled = cv2.remap(
            image, self._at[..., 0], self._at[..., 1], cv2.INTER_LINEAR, borderMode=self._border
        )
        return np.asarray(sampled, np.float32).reshape(*self._at.shape[:2], image.shape[2])


def _resized(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """[H, W, C] -> float32 [h, w, C] by Pillow's cubic filter, which is Keys' with a = -0.5."""
    if image.shape[:2] == size:
        return np.asarray(image, np.float32)
    side = (size[1], size[0])
    resized = np.empty((*size, image.shape[2]), np.float32)
    for channel in range(image.shape[2]):
        plane = cv2.extractChannel(image, channel)  # of a large photo numpy takes long over this
        if plane.dtype == np.uint8:
            picture = Image.fromarray(plane).convert("F")
        else:
            picture = Image.fromarray(np.asarray(plane, np.float32))
        resized[..., channel] = np.asarray(picture.resize(side, Image.Resampling.BICUBIC))
    return resized


def warp(
    pixels: NDArray[Any],
    to_source: Affine,
    size: tuple[int, int],
    *,
    border: Literal["reflection", "border"] = "reflection",
) -> NDArray[np.float32]:
    """One picture [H, W, C] through `Warp`: float32 [h, w, C]."""
    return Warp((pixels.shape[0], pixels.shape[1]), to_source, size, border=border)(pixels)


def _seen(
    source: tuple[int, int], to_source: Affine, size: tuple[int, int], step: float
) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of the source that the output needs.

    An axis on which the output looks past the border is kept whole: reflections may reach far in.
    """
    height, width = size
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]])
    points = apply(to_source, corners)
    limits = []
    for axis, length in ((1, source[0]), (0, source[1])):
        low = math.floor(points[:, axis].min() - REACH * step)
        high = math.ceil(points[:, axis].max() + REACH * step)
        limits += [low, high] if low >= 0 and high <= length else [0, length]
    return limits[0], limits[1], limits[2], limits[3]


def shrink(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """uint8 [H, W, 3] or RGBA -> the same of size (width, height) by Pillow's Lanczos filter."""
    if size == (pixels.shape[1], pixels.shape[0]):
        return pixels
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
