"""What happens to a photo's face besides the generator's change: see `gathered` and `lips`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import gathered, lips
from .moved import Fields

AT_1 = np.concatenate([lips.AT_1.ravel(), gathered.AT_1])
"""How far everything goes at 1: what a photo's picture depends on."""


def moved_in(tables: NDArray[np.float64]) -> bool:
    """Whether [..., U, 8] intensities ask for anything of it."""
    return gathered.moved_in(tables) or lips.moved_in(tables)


def moved(fields: Fields | None, mesh: NDArray[np.float64], table: NDArray[np.float64]) -> Fields:
    """Fields with it. fields: what else happens; None is nothing. mesh: [468, 2] of the face as it
    is, in its crop at SIDE px. table: [U, 8] intensities in each of `regions.SLOTS`.
    """
    fields = fields or Fields.none()
    if gathered.moved_in(table):
        fields = gathered.shaped(fields, mesh, table)
    if lips.moved_in(table):
        fields = lips.shaped(fields, mesh, table)
    return fields
