"""The mouth of the similar face by v(I), made like the photo's, so that its change fits.

v(I) finds a similar face whose lips may be apart where the photo's are closed, or closed where the
photo speaks. What the generator then shows of a smile or of pressed lips is about another mouth.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces.landmarks import LEFT_EYE, RIGHT_EYE
from ..faces.regions import SLOTS
from ..moving.change import lip_gap
from ..types import LatentCode
from .boundaries import Boundaries
from .edit import transfer

# In distances between the eyes: what the gap between the lips may differ, and how much of it
# AU25 closes and AU26 opens at 1, as measured on look-alikes of photos.
ALIKE, CLOSES, OPENS = 0.012, 0.18, 0.21
SURELY = 0.1  # of AU25, with which lips that close are closed in every look-alike
MOST = 1.5  # of AU25 or AU26
HOLD = 0.5
"""Of AU25 for each 1 of what else moves the mouth: so much closes the lips that this parts."""
LEVEL = 0.3
"""Of AU12 for each 1 of AU20: stretched corners go aside, where the generator lifts them."""
PARTED = 0.25  # of a unit that parts the lips, from which nothing holds them

_MOUTH = np.array([unit.area == "mouth" for unit in facs.ACTION_UNITS])
_PARTING = np.array([unit.evidence.get("lip_gap", 0) > 0 for unit in facs.ACTION_UNITS])


def matched(
    code: LatentCode,
    limits: Boundaries,
    photo: NDArray[np.floating],
    drawn: NDArray[np.floating],
) -> LatentCode:
    """A code whose lips are as far apart as the photo's; the same one where they are already.

    photo, drawn: [468, 2], meshes of the photo's face and of the code's picture.
    """
    apart = _opening(photo) - _opening(drawn)
    wrong = float(np.sign(apart) * max(abs(apart) - ALIKE, 0))
    if wrong == 0:
        return code
    unit = "AU25" if wrong < 0 else "AU26"
    if unit in limits.missing:
        return code
    size = max(wrong / CLOSES - SURELY, -MOST) if wrong < 0 else min(wrong / OPENS, MOST)
    intensities = np.zeros(len(facs.CODES))
    intensities[facs.INDEX[unit]] = size
    w = transfer(code.w, limits.distances(intensities, code.w), limits.normals)
    return replace(code, w=w, provenance={**code.provenance, "mouth": {unit: round(size, 3)}})


def held(table: NDArray[np.float64], sealed: float) -> NDArray[np.float64]:
    """[U, 8] intensities with which closed lips stay closed where nothing asks to part them.

    A smile, a wrinkled nose, or corners that go down or apart, part the lips of many faces that
    the generator draws. sealed: whether the photo's lips are closed, 0 to 1. And stretched lips do
    not smile where no smile is asked.
    """
    result = table.copy()
    result[facs.INDEX["AU25"]] -= HOLD * sealed * _others(table) * _free_of_parting(table)
    smile, stretch = (np.clip(table[facs.INDEX[code]], 0, None) for code in ("AU12", "AU20"))
    result[facs.INDEX["AU12"]] -= LEVEL * stretch * np.clip(1 - smile / PARTED, 0, 1)
    return result


def kept_shut(table: NDArray[np.float64], sealed: float) -> float:
    """How far lips that are held stay on each other, 0 to 1, whatever the mesh network sees."""
    held = min(float(_others(table).max()) / PARTED, 1)
    return sealed * held * float(_free_of_parting(table).min())


def _others(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """[8], the most of what moves the mouth, or the nose above it, and does not part the lips."""
    others = np.clip(table[_MOUTH & ~_PARTING], 0, 1).max(axis=0)
    for side in facs.SIDES:
        nose = np.clip(table[:, SLOTS.index("nose" + side)], 0, 1).max()
        mouth = SLOTS.index("mouth" + side)
        others[mouth] = max(others[mouth], nose)
    return np.asarray(others)


def _free_of_parting(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """[8], 1 where nothing asks to part the lips."""
    parting = np.clip(table[_MOUTH & _PARTING], 0, 1).max(axis=0)
    return np.asarray(np.clip(1 - parting / PARTED, 0, 1))


def _opening(mesh: NDArray[np.floating]) -> float:
    """The gap between the lips, in distances between the eyes."""
    eyes = mesh[list(LEFT_EYE), :2].mean(axis=0) - mesh[list(RIGHT_EYE), :2].mean(axis=0)
    return lip_gap(mesh) / max(float(np.linalg.norm(eyes)), 1e-6)
