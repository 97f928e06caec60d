"""The same size, the same place of the eyes, the same light: what a set has in common.

Each correction is found once, on the person at rest, and applied to all of that person's pictures,
so that an expression changes the face and nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..faces import align, landmarks
from ..faces.warp import Affine, Warp, shrink
from ..types import Pixels
from .design import Match

Array = NDArray[np.float64]

# Where FFHQ framing puts the eyes of a face whose crop its eyes decide (align.SIDE_PER_EYES): half
# a side to the left and right of the middle, a tenth of eyes-to-mouth above it. Longer faces have
# their eyes closer together there; matching enlarges them, so nothing outside the crop is seen.
EYES = ((0.375, 0.475), (0.625, 0.475))  # the subject's right, left: in parts of the side

# sRGB (IEC 61966-2-1) and CIE 1976 L*, both as tables over 0 to 1.
_SRGB = np.arange(256) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear red, green, blue (ITU-R BT.709)
_EPSILON, _KAPPA = (6 / 29) ** 3, (29 / 3) ** 3


def lightness(pixels: Pixels) -> Array:
    """L* of every pixel, 0 (black) to 100 (white): uint8 [H, W, 3] -> [H, W]."""
    return _lightness(_LINEAR[pixels] @ _LUMINANCE)


def light_of(pixels: Pixels, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean and standard deviation of L* where `inside` [H, W]."""
    values = lightness(pixels)[inside]
    return float(values.mean()), float(values.std())


def to_framing(mesh: landmarks.Mesh, size: int) -> Affine:
    """[2, 3] map from a matched picture of side `size` to the crop that the mesh lies in."""
    eyes = np.array([mesh[list(eye), :2].mean(axis=0) for eye in (align.RIGHT_EYE, align.LEFT_EYE)])
    wanted = np.array(EYES) * size
    across, goal = eyes[1] - eyes[0], wanted[1] - wanted[0]
    ratio = complex(*across) / complex(*goal)
    linear = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    return np.concatenate([linear, (eyes[0] - linear @ wanted[0])[:, None]], axis=1)


@dataclass(frozen=True)
class Correction:
    """One person's correction. shift, gain: L*' = gain * (L* - middle) + middle + shift."""

    size: int
    frame: Warp | None
    middle: float = 0.0
    shift: float = 0.0
    gain: float = 1.0

    def apply(self, crop: Pixels) -> Pixels:
        """uint8 [S, S, 3] -> uint8 [size, size, 3]."""
        if self.frame is None:
            picture = shrink(crop, (self.size, self.size))
        else:
            picture = np.clip(np.rint(self.frame(crop)), 0, 255).astype(np.uint8)
        if self.shift == 0.0 and self.gain == 1.0:
            return picture
        linear = _LINEAR[picture]
        before = linear @ _LUMINANCE
        wanted = self.gain * (_lightness(before) - self.middle) + self.middle + self.shift
        after = _luminance(np.clip(wanted, 0, 100))
        # Scaled by one factor a pixel: hue and saturation of the light stay.
        scaled = linear * (after / np.maximum(before, 1e-6))[..., None]
        return _to_srgb(scaled)


def correct(base: Pixels, mesh: landmarks.Mesh | None, size: int, match: Match) -> Correction:
    """The correction of a person. base: uint8 [S, S, 3] at rest; mesh: its mesh, None if unknown.

    Without a mesh only the size is made equal.
    """
    if mesh is None:
        return Correction(size, None)
    frame = None
    if match.framing:
        frame = Warp(base.shape[:2], to_framing(mesh, size), (size, size), border="border")
    plain = Correction(size, frame)
    if match.luminance is None and match.contrast is None:
        return plain
    mean, spread = light_of(plain.apply(base), _oval_after(mesh, len(base), plain))
    goal = mean if match.luminance is None else match.luminance
    gain = 1.0 if match.contrast is None else match.contrast / max(spread, 1e-3)
    return Correction(size, frame, mean, goal - mean, gain)


def oval_of(base: Pixels, mesh: landmarks.Mesh, correction: Correction) -> NDArray[np.bool_]:
    """[size, size]: where the face at rest is in a corrected picture."""
    return _oval_after(mesh, len(base), correction)


def _oval_after(mesh: landmarks.Mesh, side: int, correction: Correction) -> NDArray[np.bool_]:
    size = correction.size
    if correction.frame is None:
        return landmarks.face_oval(mesh * (size / side), size)
    to_crop = to_framing(mesh, size)
    back = np.linalg.inv(to_crop[:, :2])
    points = (mesh[:, :2] - to_crop[:, 2]) @ back.T
    return landmarks.face_oval(points.astype(np.float32), size)


def _lightness(luminance: Array) -> Array:
    """CIE 1976: L* of a luminance in 0 to 1."""
    low = _KAPPA * luminance
    return np.where(luminance <= _EPSILON, low, 116 * np.cbrt(luminance) - 16)


def _luminance(lightness: Array) -> Array:
    """The inverse of `_lightness`."""
    return np.where(lightness <= 8, lightness / _KAPPA, ((lightness + 16) / 116) ** 3)


def _to_srgb(linear: Array) -> Pixels:
    clipped = np.clip(linear, 0, 1)
    srgb = np.where(
        clipped <= 0.0031308, 12.92 * clipped, 1.055 * np.power(clipped, 1 / 2.4) - 0.055
    )
    return np.asarray(np.rint(srgb * 255), np.uint8)
