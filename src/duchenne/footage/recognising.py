"""By which network the people of a film are told apart."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ..animate import Studio
from ..faces import align
from ..faces.landmarks import Mesh
from ..faces.people import Recogniser
from ..measuring import mobilefacenet
from ..moving.moved import resized
from ..types import Face, Photo, Pixels
from ..weights import store

# Cosines, of 13 pictures of 8 people (photos, and frames of one film in which a hand hides half of
# the face): MobileFaceNet's of one person 0.49 or more, of two people 0.28 or less. Those of v(I)'s
# codes were 0.23, 0.45 or more, against 0.62 or less and 0.08 in the middle.
SAME, SAME_LOOK = 0.38, 0.3
SIDE = 256  # px of the aligned crop


def recogniser(studio: Studio) -> Recogniser:
    """MobileFaceNet where its file lies at hand, or else v(I), which the edit needs anyway."""
    if store.find(mobilefacenet.WEIGHTS) is not None:
        network = functools.cache(mobilefacenet.MobileFaceNet)
        return Recogniser("MobileFaceNet", lambda p, m: network().describe(_crop(p, m)), SAME)
    stretch = studio.boundaries.stretch
    mean = 0.0 if stretch is None else stretch.centre

    def describe(pixels: Pixels, mesh: Mesh) -> NDArray[np.floating]:
        code = studio.inversion.encode(resized(_crop(pixels, mesh), min(SIDE, studio.spec.size)))
        return np.asarray(code.w - mean)

    return Recogniser("v(I)", describe, SAME_LOOK)


def face_of(mesh: Mesh) -> Face:
    """A face that is known by its mesh, [468, 3], alone."""
    (left, top), (right, bottom) = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    return Face((float(left), float(top), float(right), float(bottom)), 1.0, mesh)


def _crop(pixels: Pixels, mesh: Mesh) -> Pixels:
    return align.cut(Photo(pixels), face_of(mesh), size=SIDE).pixels
