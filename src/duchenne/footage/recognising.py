"""By which network the people of a film are told apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..animate import Studio
from ..faces.landmarks import Mesh
from ..faces.people import Recogniser
from ..measuring import recognising
from ..moving.moved import resized
from ..types import Pixels

# Cosines of v(I)'s codes, of 13 pictures of 8 people (photos, and frames of one film in which a
# hand hides half of the face): 0.23, 0.45 or more, against 0.62 or less and 0.08 in the middle.
SAME_LOOK = 0.3


def recogniser(studio: Studio) -> Recogniser:
    """MobileFaceNet where its file lies at hand, or else v(I), which the edit needs anyway."""
    if (outside := recognising.recogniser()) is not None:
        return outside
    stretch = studio.boundaries.stretch
    mean = 0.0 if stretch is None else stretch.centre

    def describe(pixels: Pixels, mesh: Mesh) -> NDArray[np.floating]:
        crop = resized(recognising.crop(pixels, mesh), min(recognising.SIDE, studio.spec.size))
        return np.asarray(studio.inversion.encode(crop).w - mean)

    return Recogniser("v(I)", describe, SAME_LOOK)
