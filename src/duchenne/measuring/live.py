"""A face before the camera, picture by picture: what it shows beyond its own rest.

What `score` says of a film can be counted from the whole film; here only what came before is known.
So the face is asked to rest first, and everything counts from there.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from .. import facs
from ..faces.following import Follower
from ..types import Pixels
from . import likeness
from .score import Array, Scorer

RESTING = 5  # pictures of a face whose median is its rest
# Of the full action, half a FACS step: so much does a face that rests move from picture to picture,
# and so much do its sides differ (docs/scores.md). It is taken off what is measured.
NOISE = 0.1
UNSURE = ("AU63", "AU64")  # their scores follow the lids and the brows as much as the eyes
NEWEST = 0.6  # weight of the newest picture against those before


class Live:
    """One person before a camera. units: those that are told. For one thread at a time."""

    def __init__(self, scorer: Scorer, units: Collection[str]) -> None:
        self._scorer, self._units = scorer, [code for code in units if code not in UNSURE]
        self._follower = Follower()
        self.rest_again()

    def rest_again(self) -> None:
        """The next RESTING pictures show the face at rest."""
        self._resting: list[Array] = []
        self._shown: Array | None = None

    @property
    def knows_rest(self) -> bool:
        return len(self._resting) == RESTING

    def look(self, pixels: Pixels) -> facs.Descriptor | None:
        """What the face shows beyond its rest: `facs.check`'s names, 0 to 1; None without a face.

        Nothing until its rest is known. A side is named where the two differ.
        """
        found = self._follower(pixels)
        if found is None:
            self._follower = Follower()  # which searches at once
            return None
        measured = likeness.of_mesh(self._scorer, pixels, found.mesh)
        if not self.knows_rest:
            self._resting.append(measured)
            return {}
        above = np.maximum(measured - np.median(self._resting, axis=0), 0)
        before = above if self._shown is None else self._shown
        self._shown = NEWEST * above + (1 - NEWEST) * before
        return told(self._shown, self._units)


def told(above: Array, units: Collection[str]) -> facs.Descriptor:
    """A descriptor of what is clearly above rest. above: [U, 3], see `likeness.of_mesh`."""
    descriptor: dict[str, float] = {}
    for code, (whole, *of_sides) in zip(facs.CODES, above, strict=True):
        if code not in units:
            continue
        apart = np.array(of_sides) - whole
        apart = np.sign(apart) * np.maximum(np.abs(apart) - NOISE, 0)
        values = np.clip((whole + apart - NOISE) / (1 - NOISE), 0, 1).round(2)
        names = [code] if values[0] == values[1] else [code + side for side in facs.SIDES]
        descriptor |= {name: float(v) for name, v in zip(names, values, strict=False) if v}
    return descriptor
