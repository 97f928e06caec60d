"""What the stages hand to one another: frozen, with shapes in the docstrings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""uint8 [H, W, 3], sRGB, 0 to 255; [H, W, 4] where it says RGBA."""

WIDTH = 512
"""Numbers in a row of W+: of every published face network, of codes, of boundaries."""

StepProgress = Callable[[int, int], None]
"""Called with (done, total)."""
StageProgress = Callable[[str, int, int], None]
"""Called with (stage, done, total)."""


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright (EXIF orientation applied).

    pixels: uint8 [H, W, 3], sRGB, transparency laid over white.
    name: what messages call it, usually the path it came from.
    rgba: uint8 [H, W, 4], the same with its transparency (straight, not premultiplied); None for a
        photo that is opaque everywhere.
    """

    pixels: Pixels
    name: str = "photo"
    rgba: Pixels | None = None


@dataclass(frozen=True)
class Face:
    """One detected face with its mesh, in the pixel coordinates of the photo it was found in.

    box: (left, top, right, bottom) of the detector's box.
    score: detector confidence, 0 to 1.
    mesh: float32 [468, 3], MediaPipe's face mesh: x right, y down, z away from the camera, in
        pixels; pixel centres are at integers + 0.5.
    """

    box: tuple[float, float, float, float]
    score: float
    mesh: NDArray[np.float32]


@dataclass(frozen=True)
class AlignedFace:
    """A face in the generator's canonical framing (FFHQ alignment).

    pixels: uint8 [S, S, 3], the crop.
    to_photo: float64 [2, 3], affine map from crop coordinates to photo coordinates.
    face: the face it shows, in photo coordinates.
    index, count: which of the photo's faces it is (largest first, from 0) and how many there were.
    """

    pixels: Pixels
    to_photo: NDArray[np.float64]
    face: Face
    index: int = 0
    count: int = 1


@dataclass(frozen=True)
class LatentCode:
    """A point of W+.

    w: float32 [L, 512], one style vector a row, coarse to fine (L = 16 for MobileStyleGAN).
    generator: fingerprint of the generator whose space it lives in; mixing spaces raises.
    provenance: how it was made (JSON-ready).
    tuning: what a pivotal tuning added to the generator for this face: name of a parameter ->
        float16 array (`tuning`); None for the generator as it is.
    """

    w: NDArray[np.float32]
    generator: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    tuning: Mapping[str, NDArray[np.float16]] | None = None
