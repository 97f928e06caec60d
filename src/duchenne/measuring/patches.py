"""Where furrows and shades of the skin are looked for: patches between points of the mesh."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Quad = tuple[int, int, int, int]
"""Mesh points of a patch's corners: its top inner (or right) one, the other top one, below that,
below the first. The first axis of a patch runs along the top."""

GRID = 24  # samples along each side of a patch, about as fine as the picture that is measured
LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
DARK = 0.02  # of full brightness: keeps logarithms of black finite
FAINT = 0.002  # the same for differences: below it a furrow is noise

# The subject's right side and its mirror image. FACS (Ekman, Friesen & Hager 2002) names the signs:
# crow's feet and lines below the eye for AU6, wrinkles along the sides of the nose for AU9. Both
# run across the face.
FURROWS: Mapping[str, tuple[Quad, ...]] = MappingProxyType(
    {
        "eye_furrow": (
            *((113, 156, 116, 31), (342, 383, 345, 261)),
            *((232, 31, 117, 47), (452, 261, 346, 277)),
        ),
        "nose_furrow": ((6, 193, 217, 195), (6, 417, 437, 195)),
        # Turned: its top runs down the face, beside the corner of the mouth.
        "dimple": ((186, 43, 214, 207), (410, 273, 434, 427)),
    }
)
SHADED: Mapping[str, tuple[Quad, ...]] = MappingProxyType(
    {
        "forehead": ((9, 105, 104, 151), (9, 334, 333, 151)),
        "glabella": ((107, 336, 285, 55),),
        "under_eye": ((232, 31, 117, 47), (452, 261, 346, 277)),
        "cheek": ((47, 117, 50, 36), (277, 346, 280, 266)),
        "nose": ((193, 417, 437, 217),),
        "upper_lip": ((2, 98, 40, 37), (2, 327, 270, 267)),
        "jaw": ((207, 213, 138, 210), (427, 433, 367, 430)),
        "chin": ((18, 204, 170, 152), (18, 424, 395, 152)),
    }
)
KINDS = ("light", "red", "rough")
SHADES: tuple[str, ...] = tuple(f"{kind}_{place}" for kind in KINDS for place in SHADED)
"""Brightness, redness and roughness (pores, stubble, beards) of every place of SHADED."""
