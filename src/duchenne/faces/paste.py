"""An animated crop back into the photo it was cut from, at the photo's own resolution."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..types import AlignedFace, Photo, Pixels
from .align import blur
from .landmarks import FACE_OVAL
from .regions import smoothstep
from .warp import Affine, Warp, apply, invert

# The default mask is the face oval, larger by these parts of its own size (upwards for the
# forehead, downwards for a jaw that opens), softened over FEATHER of the crop's side and gone
# within EDGE of the crop's border.
GROW_SIDEWAYS = 0.08
GROW_UP = 0.08
GROW_DOWN = 0.14
FEATHER = 0.03
EDGE = 0.04
# The colour match compares photo and reconstruction blurred over this part of the side: wide enough
# not to carry features, narrow enough to follow the light across a face.
TONE = 0.06
# The tone is smooth; it is computed on a grid this much coarser than the crop.
TONE_STEP = 8


class PasteBack:
    """Everything about pasting that does not depend on the frame, computed once.

    photo, aligned: the picture and the face cut out of it.
    reconstruction: uint8 [S, S, 3], the generator's picture of the unanimated face. If given, its
        smooth difference in colour from the photo is taken off every frame, so that small errors of
        the encoding do not show as a halo.
    mask: float32 [S, S], 0 to 1, how much of the frame to show; None takes `face_mask`.

    Where the mask is 0 the photo stays as it is, to the bit.
    """

    def __init__(
        self,
        photo: Photo,
        aligned: AlignedFace,
        *,
        reconstruction: Pixels | None = None,
        mask: NDArray[np.float32] | None = None,
    ) -> None:
        size = len(aligned.pixels)
        mask = face_mask(aligned) if mask is None else mask
        assert mask.shape == (size, size), "the mask has the shape of the crop"
        self._size = size
        self._photo = photo.pixels
        self._where, to_crop = footprint(photo.pixels, aligned.to_photo, mask)
        shape = (
            self._where[0].stop - self._where[0].start,
            self._where[1].stop - self._where[1].start,
        )
        self._warp = Warp((size, size), to_crop, shape, border="border")
        share = self._warp(mask[..., None])
        self._share = np.clip(share, 0, 1) * (share > 1 / 512)  # [h, w, 1]
        self._original = photo.pixels[self._where].astype(np.float32)
        # What does not change with the frame: the photo's part, and the tone's part of the mask.
        self._fixed = self._original * (1 - self._share)
        if reconstruction is not None:
            tone = tone_difference(aligned.pixels, reconstruction, mask)
            coarse = to_crop / TONE_STEP
            self._fixed += self._share * Warp(tone.shape[:2], coarse, shape, border="border")(tone)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) of the part of the photo that a paste may change."""
        rows, columns = self._where
        return columns.start, rows.start, columns.stop, rows.stop

    def paste(self, frame: Pixels) -> Pixels:
        """A copy of the photo with the frame in it.

        frame: uint8 [S, S, 3], the animated crop. Returns uint8 [H, W, 3].
        """
        assert frame.shape == (self._size, self._size, 3), "a frame has the shape of the crop"
        region = self._fixed + self._share * self._warp(frame)
        np.clip(np.rint(region, out=region), 0, 255, out=region)
        pasted = self._photo.copy()
        pasted[self._where] = region.astype(np.uint8)
        return pasted


def face_mask(aligned: AlignedFace) -> NDArray[np.float32]:
    """float32 [S, S], 0 to 1: the face with forehead and jaw, soft, 0 at the crop's border."""
    size = len(aligned.pixels)
    oval = apply(invert(aligned.to_photo), aligned.face.mesh[list(FACE_OVAL), :2].astype(float))
    low, high = oval.min(axis=0), oval.max(axis=0)
    middle, height = (low + high) / 2, (high - low)[1]
    grown = (oval - middle) * (1 + 2 * GROW_SIDEWAYS, 1.0)
    below = np.clip(grown[:, 1] / (height / 2), -1, 1)
    grown[:, 1] += height * np.where(below > 0, GROW_DOWN, GROW_UP) * below
    drawing = Image.new("L", (size, size))
    ImageDraw.Draw(drawing).polygon([tuple(p) for p in grown + middle], fill=255)
    hard = np.asarray(drawing, np.float32)[..., None] / np.float32(255)
    soft = blur(hard, FEATHER * size)[..., 0]
    position = (np.arange(size, dtype=np.float32) + 0.5) / size
    to_border = np.minimum(position, 1 - position).astype(np.float32)
    ramp = smoothstep((to_border - EDGE / 4) / EDGE)
    # The far tail of the Gaussian is invisible but would touch a wide rim of the photo.
    faded = np.asarray(smoothstep((soft - 0.02) / 0.96) * ramp[:, None] * ramp)
    return faded


def tone_difference(
    original: Pixels, reconstruction: Pixels, mask: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Smooth colour by which a reconstruction misses the original inside a mask.

    original, reconstruction: uint8 [S, S, 3]. mask: float32 [S, S]. Returns float32
    [S / TONE_STEP, S / TONE_STEP, 3] in grey levels: to be added to the reconstruction. Only the
    inside of the mask counts; outside, its surroundings are carried on.
    """
    assert original.shape == reconstruction.shape, "both are crops of the same size"
    size = len(original)
    cells = max(1, size // TONE_STEP)
    coarse = (cells, cells)
    weighted = mask[..., None] * (original.astype(np.float32) - reconstruction)
    both = np.concatenate([weighted, mask[..., None]], axis=2)
    to_crop = np.array([[size / cells, 0, 0], [0, size / cells, 0]])
    small = Warp((size, size), to_crop, coarse)(both)
    smooth = blur(small, TONE * cells)
    return np.asarray(smooth[..., :3] / np.maximum(smooth[..., 3:], 1e-3), np.float32)


def footprint(
    pixels: Pixels, to_photo: Affine, mask: NDArray[np.float32]
) -> tuple[tuple[slice, slice], Affine]:
    """The part of the photo under the mask, and the map from it to the crop."""
    rows, columns = np.nonzero(mask.max(axis=1))[0], np.nonzero(mask.max(axis=0))[0]
    # An empty mask changes nothing, but still needs a region of one pixel.
    top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, 1)
    left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, 1)
    corners = apply(
        to_photo, np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    )
    limits = []
    for axis, length in ((0, pixels.shape[1]), (1, pixels.shape[0])):
        low = min(max(math.floor(corners[:, axis].min()) - 1, 0), length - 1)
        high = max(min(math.ceil(corners[:, axis].max()) + 1, length), low + 1)
        limits.append((low, high))
    (x0, x1), (y0, y1) = limits
    to_crop = invert(to_photo)
    to_crop[:, 2] = apply(to_crop, np.array([x0, y0]))
    return (slice(y0, y1), slice(x0, x1)), to_crop
