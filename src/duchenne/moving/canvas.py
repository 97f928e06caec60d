"""Where a moved photo is drawn, at its own resolution and with its own grain."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import cv2
import numpy as np

from ..faces.paste import footprint
from ..faces.warp import Affine, invert
from ..types import AlignedFace, Photo, Pixels
from .change import LUMA, SIDE
from .correspondence import Array, blur, sample
from .moved import Fields, resized

DrawEyes = Callable[[Pixels, Affine], Pixels]
"""Called with a part of a picture and the map from the crop at SIDE px to its pixels."""

GRAIN = 2.0  # px: what a blur of this takes away is grain,
EDGES = 2.5  # up to so many deviations: beyond are edges
COARSE = 0.1  # correlation of neighbours below which grain is white


class Canvas:
    """Where a moved photo is drawn: the aligned crop, or a part of the photo itself.

    whole: uint8 [H, W, 3], as it is. where: the part that may change. to_crop: map from this
    part's pixels to the crop at SIDE px. share: float32 [SIDE, SIDE], 0 to 1, where anything may.
    """

    def __init__(
        self, whole: Pixels, where: tuple[slice, slice], to_crop: Affine, share: Array
    ) -> None:
        self._whole, self._where, self._picture = whole, where, whole[where]
        picture = self._picture
        self._from_crop = invert(to_crop)
        self._linear: Array = self._from_crop[:, :2].astype(np.float32)
        matrix = to_crop.copy()  # OpenCV's pixels have their centres at integers
        matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
        self._matrix = matrix
        self._share = self._spread(share)
        # Nothing outside: not by a half pixel of the resampling either.
        self._share *= self._spread((share > 1 / 512).astype(np.float32), cv2.INTER_NEAREST)
        self._grain = grain_like(picture, self._share)
        looked_at = picture[self._share > 0.5]
        self._level = float(np.median(looked_at @ LUMA)) if len(looked_at) else 1.0

    @staticmethod
    def of_photo(photo: Photo, aligned: AlignedFace, share: Array) -> Canvas:
        """In the photo, at its own resolution."""
        to_photo = aligned.to_photo.copy()
        to_photo[:, :2] *= len(aligned.pixels) / SIDE
        where, to_crop = footprint(photo.pixels, to_photo, share)
        return Canvas(photo.pixels, where, to_crop, share)

    @staticmethod
    def of_crop(aligned: AlignedFace, share: Array, size: int) -> Canvas:
        """The aligned crop, `size` px wide."""
        picture = resized(aligned.pixels, size)
        to_picture = np.array([[size / SIDE, 0.0, 0.0], [0.0, size / SIDE, 0.0]])
        where, to_crop = footprint(picture, to_picture, share)
        return Canvas(picture, where, to_crop, share)

    @cached_property
    def _here(self) -> Array:
        height, width = self._picture.shape[:2]
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        return np.stack([x, y], axis=-1)

    def _spread(self, field: Array, way: int = cv2.INTER_LINEAR) -> Array:
        height, width = self._picture.shape[:2]
        flags = way | cv2.WARP_INVERSE_MAP
        spread = cv2.warpAffine(
            field, self._matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(spread, np.float32)

    def draw(self, fields: Fields | None, then: DrawEyes | None = None) -> Pixels:
        """uint8 [H, W, 3]: the picture with its pixels moved; where `share` is 0 as it was.

        None moves nothing. then: draws into the part that may change, see `DrawEyes`.
        """
        drawn = self._whole.copy()
        part = self._picture if fields is None else self._moved(fields)
        if then is not None:
            part = mixed(part, then(part, self._from_crop), self._share)
        drawn[self._where] = part
        return drawn

    def _moved(self, fields: Fields) -> Pixels:
        share = self._share
        motion = self._spread(fields.motion) * share[..., None]
        at = self._here + np.asarray(motion @ self._linear.T, np.float32)
        moved = sample(self._picture, at, cv2.INTER_LANCZOS4).astype(np.float32)
        moved *= np.exp(self._spread(fields.shading) * share)[..., None]
        if fields.drawn_out.any():
            worn = (self._spread(fields.drawn_out) * share)[..., None]
            moved += worn * (blur(moved, GRAIN) - moved)
            moved *= 1 + worn * self._grain_of(moved)
        appears = (self._spread(fields.appears) * share)[..., None]
        new = self._spread(fields.new)
        new *= 1 + self._grain_of(new)
        moved += appears * (new - moved)
        drawn = np.clip(np.rint(moved), 0, 255).astype(np.uint8)
        np.copyto(drawn, self._picture, where=(share == 0)[..., None])
        return drawn

    def _grain_of(self, drawn: Array) -> Array:
        """[H, W, 1], a factor, so that grey stays grey; less where it is darker than the face."""
        return np.asarray((self._grain / np.maximum(drawn @ LUMA + 1, self._level))[..., None])


def mixed(before: Pixels, after: Pixels, share: Array) -> Pixels:
    """uint8 [h, w, 3]: `after` where share, [h, w], is 1; where it is 0 `before`, to the bit."""
    changed = after.astype(np.float32) - before
    return np.asarray(np.rint(before + share[..., None] * changed), np.uint8)


def grain_like(picture: Pixels, share: Array) -> Array:
    """float32 [h, w], noise as coarse and as strong as a picture's own, for what is drawn into it.

    picture: uint8 [h, w, 3]. share: [h, w], where its grain is looked at. The same each time.
    """
    luma = picture.astype(np.float32) @ LUMA
    fine = luma - blur(luma, GRAIN)
    looked_at = share > 0.5
    seen = np.abs(fine[looked_at]) if looked_at.any() else np.zeros(1)
    # Of a normal distribution the median is at 0.6745 deviations; edges hardly move a median.
    deviation = float(np.median(seen)) / 0.6745
    fine = np.clip(fine, -EDGES * deviation, EDGES * deviation) * looked_at
    neighbours = float((fine[:, 1:] * fine[:, :-1]).sum() + (fine[1:] * fine[:-1]).sum()) / 2
    alike = neighbours / max(float(np.square(fine).sum()), 1e-6)
    noise = np.random.default_rng(0).standard_normal(luma.shape, np.float32)
    if alike > COARSE:  # noise blurred by s has neighbours that correlate by exp(-1 / 4s^2)
        noise = blur(noise, float(np.sqrt(-0.25 / np.log(min(alike, 0.9)))))
    noise -= blur(noise, GRAIN)
    return np.asarray(noise * (deviation / max(float(noise.std()), 1e-6)), np.float32)
