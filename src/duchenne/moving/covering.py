"""Where a photo stays as it is: what its user keeps.

Around it motion, shading and what appears fade to nothing, so that there is no seam.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..faces.warp import scale_of
from ..files import pictures
from ..types import AlignedFace, Photo
from .change import SIDE, ramp
from .correspondence import Array, pixel_centres, sample
from .moved import Fields

Mask = str | Path | NDArray[np.bool_]
"""A picture of the photo's size, white where it stays; or bool [H, W]."""

# In pixels of SIDE.
MARGIN = 1.5  # so that no pixel that stays has a neighbour in the sampling that does not
SOFT = 16.0  # over which an edit begins
# Of the length of the motion: over this distance it begins, so that no place is filled from beyond
# the edge and nothing folds (the steepest place of `ramp` has a slope of 1.5).
PER_MOTION = 2.0


def read_mask(mask: Mask, photo: Photo) -> NDArray[np.bool_]:
    """bool [H, W], True where the mask is white (brighter than half).

    InputError if it cannot be read or is not as large as the upright photo.
    """
    if isinstance(mask, np.ndarray):
        name, white = "the mask", mask
    else:
        name, white = str(mask), pictures.load_photo(mask).pixels.mean(axis=2) > 127.5
    if white.dtype != np.bool_:
        raise InputError(f"{name}: expected an array of bool, True where the photo stays")
    if white.shape != photo.pixels.shape[:2]:
        came, expected = ("x".join(map(str, s[1::-1])) for s in (white.shape, photo.pixels.shape))
        raise InputError(
            f"{name}: {came} pixels, but its photo has {expected} (upright); paint the mask on the "
            "photo itself"
        )
    return white


def clearance(keep: NDArray[np.bool_] | None, aligned: AlignedFace) -> Array:
    """float32 [SIDE, SIDE]: pixels of the crop to the nearest place that stays, 0 there.

    keep: bool [H, W] in the photo; None is nothing.
    """
    if keep is None or not keep.any():
        return np.full((SIDE, SIDE), SIDE, np.float32)
    away = cv2.distanceTransform((~keep).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    to_photo = aligned.to_photo.copy()
    to_photo[:, :2] *= len(aligned.pixels) / SIDE
    at = (pixel_centres(SIDE) + 0.5) @ to_photo[:, :2].T + to_photo[:, 2] - 0.5
    return sample(np.asarray(away, np.float32), at.astype(np.float32)) / np.float32(
        scale_of(to_photo)
    )


def sparing(fields: Fields, clear: Array) -> Fields:
    """What happens to the photo, fading to nothing where it stays; clear: `clearance`."""
    slow, free = fading(clear, fields.motion)[..., None], fading(clear)
    return replace(
        fields,
        motion=fields.motion * slow,
        shading=fields.shading * free,
        appears=fields.appears * free,
    )


def fading(clear: Array, motion: Array | None = None) -> Array:
    """float32 [SIDE, SIDE], 0 where the photo stays to 1 where an edit is whole.

    clear: `clearance`. motion: [SIDE, SIDE, 2], what begins; None for what only shows.
    """
    over: Array | float = SOFT
    if motion is not None:
        over = np.maximum(SOFT, PER_MOTION * np.linalg.norm(motion, axis=2))
    return ramp((clear - MARGIN) / over, 0, 1)
