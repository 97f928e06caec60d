"""How light a face's skin is in a picture, from its pixels.

It hangs on the light of the picture: it sorts pictures, and says little about people.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from ..types import Pixels
from .patches import GRID, SHADED, Quad

CHEEK = "cheek"
# Limits of the individual typology angle in degrees, from Chardon, Cretois & Hourseau (1991), the
# two lightest and the two darkest of their six classes taken together.
TONES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "light": (41, 90),
        "intermediate": (28, 41),
        "tan": (10, 28),
        "brown and dark": (-90, 10),
    }
)


def ita(picture: Pixels, mesh: NDArray[np.floating]) -> float:
    """Individual typology angle of the cheeks in degrees: light skin above 41, dark below 10.

    picture: uint8 [H, W, 3], sRGB; mesh: [468, >= 2] in its pixels. Medians over both cheeks.
    """
    light, _, yellow = np.median(_lab(picture, mesh, CHEEK), axis=0)
    return float(np.degrees(np.arctan2(light - 50, max(yellow, 0.0))))  # bluish light: no yellow


def tone(angle: float) -> str:
    """Which of TONES an angle belongs to."""
    return next(name for name, (low, high) in TONES.items() if low <= angle <= high)


def _lab(picture: Pixels, mesh: NDArray[np.floating], place: str) -> NDArray[np.float64]:
    """[n, 3] CIE L*a*b* (D65) of the pixels of a place, its right and left patches."""
    seen = np.concatenate([_patch(picture, mesh, quad) for quad in SHADED[place]])
    values = cv2.cvtColor(seen[None].astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(values[0], np.float64)


def _patch(picture: Pixels, mesh: NDArray[np.floating], quad: Quad) -> NDArray[np.uint8]:
    """[GRID GRID, 3]: the skin between four points of the mesh, as in `skin.patch`."""
    corners = mesh[list(quad), :2]
    t = (np.arange(GRID) + 0.5) / GRID
    v, u = (part[..., None] for part in np.meshgrid(t, t, indexing="ij"))
    top, bottom = corners[0] * (1 - u) + corners[1] * u, corners[3] * (1 - u) + corners[2] * u
    places = (top * (1 - v) + bottom * v - 0.5).astype(np.float32)
    seen = cv2.remap(
        picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.uint8).reshape(-1, 3)
