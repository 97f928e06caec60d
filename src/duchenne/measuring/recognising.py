"""Who is who in a film, by MobileFaceNet where its file lies at hand."""

from __future__ import annotations

import functools

from ..faces import align
from ..faces.landmarks import Mesh
from ..faces.people import Recogniser
from ..types import Photo, Pixels
from ..weights import store
from . import mobilefacenet

# Cosines, of 13 pictures of 8 people (photos, and frames of one film in which a hand hides half of
# the face): of one person 0.49 or more, of two people 0.28 or less.
SAME = 0.38
SIDE = 256  # px of the aligned crop


def recogniser() -> Recogniser | None:
    """None without the file."""
    if store.find(mobilefacenet.WEIGHTS) is None:
        return None
    network = functools.cache(mobilefacenet.MobileFaceNet)
    return Recogniser("MobileFaceNet", lambda p, m: network().describe(crop(p, m)), SAME)


def crop(pixels: Pixels, mesh: Mesh) -> Pixels:
    """[SIDE, SIDE, 3], the aligned face of a frame."""
    return align.cut(Photo(pixels), align.face_of(mesh), size=SIDE).pixels
