"""Regions of influence: where on the face each Action Unit may change the picture.

An AU's offset b_i is added to the code only inside its region, so Eq. 3 becomes local,

    z_y(p) = z_x + sum_i e_i m_i(p) b_i        for every place p of the canvas,

with m_i a soft mask that hangs on the landmarks of this face. The generator's layers read z_y(p)
through their style affines (see `generators.base.View`); around the masks a second, wider mask
blends the activations back into the unedited ones, so that nothing outside its support changes.
The idea of editing activations inside AU-specific regions is Zindancioglu & Sezgin's (2021,
"Perceptually validated precise local editing for facial action units with StyleGAN"); a style that
varies over the canvas needs one pass where blending whole edits needs one per region.

Every mask comes in a left and a right half (the subject's), which add up to the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from .. import facs

Array = NDArray[np.float32]
F = TypeVar("F", bound=np.floating[Any])

ZONES = ("brows", "eyes", "nose", "mouth")
SLOTS: tuple[str, ...] = tuple(zone + side for zone in ZONES for side in reversed(facs.SIDES))
"""Masks are stacked in this order: [8, S, S]."""

CANVAS = 256  # masks are drawn at this resolution; they have no finer detail
FEATHER = 0.30  # of the distance between the eyes: from a region's edge to where its mask is 0
MARGIN = 0.15  # the same unit: how far the blend reaches beyond the last mask

# MediaPipe face mesh indices of the subject's right side (image left) and of the midline; the left
# side mirrors them. A region is the convex hull of its points, grown by `grow` eye distances.
_RIGHT_EYE_OUTER, _RIGHT_EYE_INNER, _LEFT_EYE_OUTER, _LEFT_EYE_INNER = 33, 133, 263, 362


@dataclass(frozen=True)
class _Outline:
    points: tuple[int, ...]
    grow: float
    below_chin: float = 0.0  # eye distances that the region reaches below the chin


_OUTLINES: Mapping[str, _Outline] = MappingProxyType(
    {
        # brows, forehead, glabella, and the lid fold that moves with the brow
        "brows": _Outline(
            (
                *(70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 224, 223, 222, 8, 151, 108, 69),
                *(104, 68, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285, 444, 443, 442),
                *(337, 299, 333, 298),
            ),
            grow=0.05,
        ),
        # lids, crow's feet, infraorbital triangle down to the cheek's apple
        "eyes": _Outline(
            (
                *(33, 133, 159, 145, 247, 30, 29, 27, 28, 226, 35, 143, 111, 117, 118, 119),
                *(120, 121, 50, 101, 36, 205, 123, 6, 263, 362, 386, 374, 467, 260, 259, 257),
                *(258, 446, 265, 372, 340, 346, 347, 348, 349, 350, 280, 330, 266, 425, 352),
            ),
            grow=0.02,
        ),
        # nose and its root between the brows, nasolabial furrow, the upper lip's middle
        "nose": _Outline(
            (
                *(9, 8, 55, 285, 168, 6, 129, 358, 98, 327, 2, 0, 37, 267, 36, 266, 101, 330),
                *(120, 349, 107, 336, 205, 425),
            ),
            grow=0.02,
        ),
        # lips, cheeks up to the furrow, chin and jaw with what is below it
        "mouth": _Outline(
            (
                *(61, 291, 0, 17, 2, 98, 327, 36, 266, 50, 280, 205, 425, 187, 411, 207, 427),
                *(123, 352, 147, 376, 213, 433, 192, 416, 136, 365, 150, 379, 149, 378, 176),
                *(400, 148, 377, 152),
            ),
            grow=0.05,
            below_chin=0.35,
        ),
    }
)


@dataclass(frozen=True)
class Regions:
    """The masks of one face.

    masks: float32 [8, C, C] in [0, 1], in the order of SLOTS; a zone's halves add up to its mask.
    """

    masks: Array

    def pyramid(self, size: int) -> Array:
        """The masks at resolution `size`: [8, size, size]; means of cells, or bilinear above."""
        return _resize(self.masks, size)

    def blend(self, slots: NDArray[np.bool_], size: int) -> Array:
        """[size, size] in [0, 1]: 1 wherever one of the used slots edits, 0 a margin further out.

        Below 64 px a cell counts as a whole once any of it is inside: what a coarse layer changes
        beyond the edge is cut off by the finer ones.
        """
        inside = self.masks[slots].max(axis=0) > 0 if slots.any() else np.zeros((CANVAS,) * 2, bool)
        if not inside.any():
            return np.zeros((size, size), np.float32)
        distance = _away(inside) / (MARGIN * _REFERENCE_EYES * CANVAS)
        full = smoothstep(1 - distance).astype(np.float32)
        if size < 64:
            cell = CANVAS // size
            return np.asarray(full.reshape(size, cell, size, cell).max(axis=(1, 3)))
        return np.asarray(_resize(full[None], size)[0])


_REFERENCE_EYES = 0.21  # distance between the pupils in FFHQ framing, as a part of the side


def find(mesh: Array, size: int) -> Regions:
    """Regions of the face with this mesh.

    mesh: float32 [468, >=2], face mesh in pixels of the aligned crop; size: side of the crop.
    """
    points = mesh[:, :2].astype(np.float64) * (CANVAS / size)
    right = points[[_RIGHT_EYE_OUTER, _RIGHT_EYE_INNER]].mean(axis=0)
    left = points[[_LEFT_EYE_OUTER, _LEFT_EYE_INNER]].mean(axis=0)
    across = left - right
    eyes = float(np.hypot(*across))
    across /= eyes
    down = np.array([-across[1], across[0]])
    halves = _halves(points, across, eyes)
    masks = []
    for zone in ZONES:
        outline = _OUTLINES[zone]
        hull = points[list(outline.points)]
        if outline.below_chin:
            jaw = points[[136, 150, 176, 152, 400, 379, 365]]
            hull = np.concatenate([hull, jaw + outline.below_chin * eyes * down])
        whole = _soft_hull(hull, outline.grow * eyes, FEATHER * eyes)
        masks += [whole * half for half in halves]
    return Regions(np.stack(masks).astype(np.float32))


def _soft_hull(points: NDArray[np.float64], grow: float, feather: float) -> NDArray[np.float64]:
    """[C, C]: 1 inside the grown convex hull, falling smoothly to 0 over `feather` pixels."""
    corners = cv2.convexHull(points.astype(np.float32))[:, 0].astype(float)
    scale = 4  # drawn large, so that the edge is placed to a quarter of a pixel
    canvas = Image.new("1", (CANVAS * scale, CANVAS * scale))
    ImageDraw.Draw(canvas).polygon([tuple(p * scale) for p in corners], fill=1)
    drawn = np.asarray(canvas)
    if not drawn.any():
        return np.zeros((CANVAS, CANVAS))  # the region lies outside the picture
    outside = _away(drawn) / scale
    outside = outside.reshape(CANVAS, scale, CANVAS, scale).mean(axis=(1, 3))
    return smoothstep(1 - (outside - grow) / feather)


def _away(drawn: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Pixels to the nearest True, as the crow flies."""
    outside = (~drawn).astype(np.uint8)
    away = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, np.float64)


def _halves(
    points: NDArray[np.float64], across: NDArray[np.float64], eyes: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right and left half of the face, split softly along the line from brow to chin."""
    top, chin = points[8], points[152]
    axis = (chin - top) / np.hypot(*(chin - top))
    normal = np.array([axis[1], -axis[0]])
    normal = normal if normal @ across > 0 else -normal  # towards the subject's left
    y, x = np.mgrid[:CANVAS, :CANVAS] + 0.5
    offset = (x - top[0]) * normal[0] + (y - top[1]) * normal[1]
    left = smoothstep(0.5 + offset / (0.5 * eyes))
    return 1 - left, left


def smoothstep(x: NDArray[F]) -> NDArray[F]:
    """0 up to 0, 1 from 1 on, and 3x^2 - 2x^3 between."""
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _resize(masks: Array, size: int) -> Array:
    """[K, C, C] -> [K, size, size]; exact cell means downwards, bilinear upwards."""
    k, side, _ = masks.shape
    if size <= side:
        cell = side // size
        return np.asarray(masks.reshape(k, size, cell, size, cell).mean(axis=(2, 4)))
    resized = [Image.fromarray(m).resize((size, size), Image.Resampling.BILINEAR) for m in masks]
    return np.stack([np.asarray(m, dtype=np.float32) for m in resized])
