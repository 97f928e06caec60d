"""How strongly each Action Unit shows on the left and on the right side of a face.

Every half of the frontal mesh is completed by its own mirror image to a whole, symmetric face, and
that one is measured like any other. So one side has the same scale as both: a wink of the left eye
measures on the left what a closing of both eyes measures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces import landmarks
from ..types import Pixels
from .measures import frontalise, mirror_points
from .score import Array, Scale, Scorer

# Units that FACS codes for one side alone. The others act on the midline: the chin, the jaw, the
# lips as a ring (Ekman, Friesen & Hager 2002).
SIDED: tuple[str, ...] = tuple(
    code
    for code in facs.CODES
    if code not in {"AU17", "AU18", "AU22", "AU23", "AU24", "AU25", "AU26", "AU27", "AU28"}
)


@dataclass(frozen=True)
class Sides:
    """One face.

    points: [478, 3] in pixels of the picture. measures: [M] of the whole face, in the order of
    `measures.MEASURES`. halves: [2, M] of its left and its right half.
    """

    points: Array
    measures: Array
    halves: Array

    def by_side(self, scale: Scale) -> Array:
        """[U, 2] scores, not yet limited to 0 to 5; of units that are not SIDED twice that of the
        whole face.
        """
        halves = np.stack([scale.scores(half) for half in self.halves], axis=1)
        whole = scale.scores(self.measures)
        for code in facs.CODES:
            if code not in SIDED:
                halves[facs.INDEX[code]] = whole[facs.INDEX[code]]
        return halves


def read(scorer: Scorer, pixels: Pixels, mesh: landmarks.Mesh) -> Sides:
    """Measure a face and its halves. The arguments of `Scorer.read`."""
    points, look, raw = scorer.look(pixels, mesh)
    patches = scorer.folds(look, raw)
    furrows = np.array([both.mean() for both in patches])
    scale = scorer.scale
    front = frontalise(points, scale.template)
    of_sides = [[both[first::2].mean() for both in patches] for first in (1, 0)]
    halves = [
        np.concatenate([scorer.measure_front(half), folds])
        for half, folds in zip(halves_of(front, scale), of_sides, strict=True)
    ]
    return Sides(points, scorer.measure_points(points, furrows), np.stack(halves))


def halves_of(front: Array, scale: Scale) -> tuple[Array, Array]:
    """The face made of its left half and its mirror image, and that of the right: [478, 3] each.

    front: [478, 3], frontal (`frontalise`).
    """
    middle = np.asarray(scale.mirror == np.arange(len(front)))
    left: NDArray[np.bool_] = scale.template[:, 0] > 0
    flipped = mirror_points(front, scale.mirror)
    centred = (front + flipped) / 2

    def completed(kept: NDArray[np.bool_]) -> Array:
        half = np.where(kept[:, None], front, flipped)
        return np.asarray(np.where(middle[:, None], centred, half))

    return completed(left), completed(~left)
