"""Expressions as the face's end: what it shows and the expression lacks is taken to rest.

Added to a smile, anger is an angry smile. So a face is measured first, and what it shows already is
taken off. Then the finished picture is measured, since what stretches or opens a mouth lifts its
corners besides: what still shows there and was not asked for is taken off too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from .. import facs
from .likeness import DIFFER
from .target import Array, Respond

TRACE = 0.2
"""Of the full action, a FACS A: less is taken for no action."""
TAKEN = ("AU6", "AU12", "AU20", "AU25", "AU26")
"""What people show before a camera, smiles and speech, and what is taken to rest. Brows, lids, nose
and corners that hang are left as they are: in a face at rest their scores hold more of this
person's shape than of an action."""
MOST = -1.3  # offset: a broad smile, which goes beyond the full action, and no more
MOST_OF_PHOTOS = -1.0  # the same where a photo's own pixels are moved, which tear sooner
ROUNDS = 2  # pictures that are drawn, measured and corrected
SAME_EVIDENCE = 0.6
"""A unit with so much of its evidence moved by another one cannot be told from it."""

_TAKEN: NDArray[np.bool_] = np.array([code in TAKEN for code in facs.CODES])
_LIPS = np.array([unit.area == "mouth" for unit in facs.ACTION_UNITS])


def ending(
    descriptor: Mapping[str, float],
    respond: Respond,
    units: Collection[str] = facs.CODES,
    *,
    photo: bool = False,
) -> facs.Descriptor:
    """Offsets with which a face ends at an expression, instead of having it added.

    What is TAKEN and was not asked for is taken off, and what comes out too weak is made stronger,
    up to `facs.HIGHEST`; smiles and open mouths, which answer well, are not. descriptor: the
    expression, in [0, 1]. respond: as in `target.reach`; it is asked for the face as it is, then at
    most ROUNDS times; the best picture seen is kept. units: those that can be drawn. photo: a
    photo's own pixels are moved: less is taken off, and the mouth is not made stronger.
    """
    drawn = [code in units and code not in facs.MOVED for code in facs.CODES]
    can: NDArray[np.bool_] = np.array(drawn)[:, None]
    wanted = np.array(facs.to_sides(descriptor))
    low = MOST_OF_PHOTOS if photo else MOST
    most = np.where(_TAKEN | (_LIPS & photo), 1.0, facs.HIGHEST)[:, None]
    rest = _on_sides(respond({}), wanted)
    there = np.where(can & _TAKEN[:, None], _apart(rest, wanted), 0)
    if photo:  # what is taken off moves the same place as a unit that opposes it
        wanted_less = wanted * (1 - np.clip(_OPPOSED @ np.where(wanted > 0, 0, there), 0, 1) / 2)
        offsets = np.clip(wanted_less - there, low, 1)
        most = np.where(_LIPS[:, None], np.maximum(offsets, 0), most)
    else:
        offsets = np.clip(wanted - there, low, 1)
    best, least = offsets, np.inf
    for _ in range(ROUNDS):
        now = _on_sides(respond(facs.from_sides(offsets.round(4).tolist())), wanted)
        # A unit is there if it is measured, or if the measure has risen by as much: some faces
        # measure more or less of it at rest.
        missing = np.maximum(wanted - np.maximum(now, now - rest), 0)
        wrong = np.where(wanted > 0, missing, np.where(_LIPS[:, None], -_apart(now, wanted), 0))
        wrong[~can[:, 0]] = 0
        error = float(np.square(wrong).sum())
        if error >= least:
            break
        best, least = offsets, error
        offsets = np.clip(offsets + wrong, low, most)
        if np.abs(offsets - best).max() < DIFFER:
            break
    return facs.from_sides(best.round(4).tolist())


def _on_sides(measured: Array, wanted: Array) -> Array:
    """[U, 3] measured (`target.COLUMNS`) -> [U, 2], each side; both alike unless one is wanted."""
    uneven = (wanted[:, 0] != wanted[:, 1])[:, None]
    return np.where(uneven, measured[:, 1:], measured[:, :1])


def _apart(measured: Array, wanted: Array) -> Array:
    """[U, 2]: what of TAKEN, and of what is asked, each side shows, 0 to -MOST.

    What a stronger unit explains is left out: a smile also parts and stretches the lips, and that
    is one unit too many, not three.
    """
    shows = np.where(measured < TRACE, 0, np.clip(measured, 0, -MOST))
    asked = np.asarray(wanted.any(axis=1))
    shows[asked] = np.minimum(shows[asked], 1)
    seen: list[int] = []
    result = np.zeros_like(shows)
    for i in sorted(range(len(shows)), key=lambda i: (not asked[i], -shows[i].max())):
        taken = _TAKEN[i] and shows[i].any()
        if asked[i] or (taken and not any(_LOOKS_LIKE[i, j] for j in seen)):
            seen.append(i)
            result[i] = shows[i]
    return result


def _looks_like(unit: facs.ActionUnit, other: facs.ActionUnit) -> bool:
    """Whether most of a unit's evidence is moved by another one, which does not oppose it."""
    if other is unit or unit.code in other.opposes or other.code in unit.opposes:
        return False
    moved = {*other.evidence, *other.tied}
    weights = {name: abs(weight) for name, weight in unit.evidence.items()}
    explained = sum(weight for name, weight in weights.items() if name in moved)
    return explained >= SAME_EVIDENCE * sum(weights.values())


_OPPOSED = np.array(
    [
        [other.code in unit.opposes or unit.code in other.opposes for other in facs.ACTION_UNITS]
        for unit in facs.ACTION_UNITS
    ]
).astype(float)
_LOOKS_LIKE = np.array(
    [[_looks_like(unit, other) for other in facs.ACTION_UNITS] for unit in facs.ACTION_UNITS]
)
