"""Coded faces as examples: which of them show an Action Unit, which are neutral."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

AU_FACE, NEUTRAL, UNUSED = 1, 0, -1  # roles of a face in the fit of one Action Unit
FACS_A = 1.0  # the weakest FACS intensity: below it an Action Unit is absent


@dataclass(frozen=True)
class Labelled:
    """N faces with what was coded on them.

    w: float32 [N, L, 512]. roles: int8 [N, 12], AU_FACE, NEUTRAL or UNUSED in the fit of each
    Action Unit. people: [N], who it is. names: [N], where the code came from.
    """

    w: NDArray[np.float32]
    roles: NDArray[np.int8]
    people: NDArray[np.str_]
    names: NDArray[np.str_]

    def only(self, chosen: Flags) -> Labelled:
        """The chosen faces."""
        return Labelled(self.w[chosen], self.roles[chosen], self.people[chosen], self.names[chosen])


def by_intensity(values: Array, strong: float) -> NDArray[np.int8]:
    """[N, 12] roles from intensities of 0 to 5, NaN where an Action Unit was not coded.

    From `strong` up a face shows the Action Unit; it is neutral where all that was coded is absent.
    """
    coded = ~np.isnan(values).all(axis=0)
    neutral = (values[:, coded] < FACS_A).all(axis=1)
    with np.errstate(invalid="ignore"):
        roles = np.where(values >= strong, AU_FACE, UNUSED).astype(np.int8)
    roles[np.ix_(neutral, coded)] = NEUTRAL
    return roles


def by_rank(values: Array, share: float) -> NDArray[np.int8]:
    """[N, 12] roles: the strongest and the weakest `share` of the faces of each Action Unit.

    For coders whose intensities are no FACS intensities. UNUSED throughout where they do not vary.
    """
    roles = np.full(values.shape, UNUSED, np.int8)
    for i, strength in enumerate(values.T):
        if np.isnan(strength).any():
            continue
        low, high = np.quantile(strength, [share, 1 - share])
        # Of a rare Action Unit most scores are 0: then every other face shows it.
        shown = strength >= high if high > low else strength > low
        if shown.any():
            roles[strength <= low, i] = NEUTRAL
            roles[shown, i] = AU_FACE
    return roles
