"""The generator's colours in the light of a photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..faces.landmarks import INNER_LIPS, OUTER_LIPS
from .change import LUMA, inside
from .correspondence import Array, blur

LIGHT = 40.0  # px of SIDE: light varies more slowly over a face, features faster
LEAST_GAIN, MOST_GAIN = 0.35, 2.0  # of the photo's light against the generator's
MOST_COLOUR = 1.3  # of the photo's saturation against the generator's
LEAST_LIPS = 20.0  # grey levels: in darkness colours say nothing
MONOCHROME = 2.0  # grey levels: where colour follows from luma to this, the photo is grey or sepia


@dataclass(frozen=True)
class Tone:
    """The generator's colours in the photo's light.

    gain: [S, S], of the luma. colour: factor of the saturation. of_luma: [256, 3], the colour of
    each luma in a grey or sepia photo; None in a photo in colour.
    """

    gain: Array
    colour: float
    of_luma: Array | None

    @staticmethod
    def between(drawn: Array, photo: Array, skin: Array) -> Tone:
        """drawn, photo: [S, S, 3] of the same places; skin: [S, S], where they are compared."""
        lumas = [blur(p @ LUMA * skin, LIGHT) for p in (photo, drawn)]
        gain = np.clip(lumas[0] / np.maximum(lumas[1], 1e-3), LEAST_GAIN, MOST_GAIN)
        weight = skin / max(float(skin.sum()), 1e-3)
        strengths = [
            float((np.abs(p - (p @ LUMA)[..., None]).sum(2) / (p @ LUMA + 8) * weight).sum())
            for p in (photo, drawn)
        ]
        colour = min(strengths[0] / max(strengths[1], 1e-3), MOST_COLOUR)
        return Tone(gain.astype(np.float32), colour, _colours_of_luma(photo))

    def __call__(self, picture: Array) -> Array:
        luma = (picture @ LUMA)[..., None]
        gain = self.gain[..., None]
        if self.of_luma is not None:
            level = np.clip(np.rint(gain * luma), 0, 255).astype(int)[..., 0]
            return np.asarray(self.of_luma[level], np.float32)
        coloured = gain * (luma + self.colour * (picture - luma))
        return np.asarray(np.clip(coloured, 0, 255), np.float32)


def _colours_of_luma(photo: Array) -> Array | None:
    """[256, 3] where the photo's colour follows from its luma, else None."""
    colours = photo.reshape(-1, 3)
    level = np.rint(colours @ LUMA).astype(int)
    count = np.bincount(level, minlength=256)
    known = np.flatnonzero(count)
    means = [np.bincount(level, c, 256)[known] / count[known] for c in colours.T]
    table = np.stack([np.interp(np.arange(256), known, m) for m in means], axis=1)
    off = float(np.abs(colours - table[level]).mean())
    return np.asarray(table, np.float32) if off < MONOCHROME else None


def lip_colour(picture: Array, mesh: NDArray[np.floating]) -> Array:
    """[3], the mean colour of the lips in [SIDE, SIDE, 3], at least LEAST_LIPS."""
    lips = inside(mesh, OUTER_LIPS, 1, grow=-2) * (1 - inside(mesh, INNER_LIPS, 1, grow=2))
    mean = (picture * lips[..., None]).sum(axis=(0, 1)) / max(float(lips.sum()), 1e-3)
    return np.asarray(np.maximum(mean, LEAST_LIPS), np.float32)
