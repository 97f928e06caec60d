"""`target`: Action Units set to a measured value on this face, by a closed loop.

An offset of 0.6 adds six tenths of the typical full action; how much of it shows depends on the
face, and on what it shows already. A target of 0.6 means that the finished picture measures 0.6:
render, measure, correct, at most a few times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import DescriptorError
from .sides import SIDED

Array = NDArray[np.float64]
COLUMNS = ("", *facs.SIDES)
"""What is measured of each Action Unit: both sides together, the left, the right."""
Respond = Callable[[Mapping[str, float]], Array]
"""Offsets (`facs.LOWEST` to 1) -> [U, 3] measured intensities, score / 5, of the picture."""

RENDERS = 4
TOLERANCE = 0.03  # of the full action; below what the scores can tell apart
APPROACHES = 6  # renders of a whole expression
EFFORT = 0.6  # how many intensities of what is missing an offset of 1 is worth
WEAKEST = -1.0  # offset: beyond, several units at once tear a face
STEEPEST, FLATTEST = 4.0, 0.25  # bounds of the believed response to an offset


@dataclass(frozen=True)
class Reached:
    """offsets: what to add to this face; measured: what each targeted AU then measures.

    renders: how many pictures it took.
    """

    offsets: Mapping[str, float]
    measured: Mapping[str, float]
    renders: int


def reach(targets: Mapping[str, float], respond: Respond, *, renders: int = RENDERS) -> Reached:
    """Offsets that bring every targeted AU to its value, as nearly as this face allows.

    targets: AU code, perhaps with a side, -> intensity in [0, 1]. Each has its own secant slope;
    the best picture seen (least mean square error) is kept, so more renders never make it worse.
    """
    names, index, wanted = _asked(targets)
    offsets, slopes = np.zeros(len(names)), np.ones(len(names))
    measured = respond({})[index]
    best = (_error(wanted, measured), offsets, measured)
    used = 1
    while used < renders and np.abs(wanted - best[2]).max() > TOLERANCE:
        proposed = np.clip(best[1] + (wanted - best[2]) / slopes, facs.LOWEST, 1)
        proposed = _one_way(names, proposed)
        if np.allclose(proposed, best[1]):
            break  # at the end of the range: this face cannot go further
        response = respond(dict(zip(names, proposed, strict=True)))[index]
        used += 1
        moved = proposed - offsets
        secant = np.divide(
            response - measured, moved, out=slopes.copy(), where=np.abs(moved) > 1e-6
        )
        slopes = np.clip(secant, FLATTEST, STEEPEST)
        offsets, measured = proposed, response
        error = _error(wanted, measured)
        if error < best[0]:
            best = (error, offsets, measured)
        else:
            slopes = np.minimum(slopes * 2, STEEPEST)  # overshot: take a shorter step next
    return _reached(names, best[1], best[2], used)


def approach(
    targets: Mapping[str, float], respond: Respond, *, renders: int = APPROACHES
) -> Reached:
    """Small offsets that bring many Action Units nearer to their values, all at once.

    For a whole expression, where not every value can be had and one unit moves the measures of
    others: the least squares of what is missing and of EFFORT times the offsets, solved anew after
    every picture with slopes that follow what the pictures showed (Broyden 1965). What a face does
    not show cannot be lessened. The arguments of `reach`; the best picture seen is kept.
    """
    from scipy.optimize import lsq_linear  # not for `reach`, which is asked more often

    names, index, wanted = _asked(targets)
    count = len(names)
    slopes, offsets = np.eye(count), np.zeros(count)
    measured = respond({})[index]
    low = np.clip(-measured, WEAKEST, -1e-3)

    def within(measured: Array) -> Array:
        """Where nothing is wanted, less than nothing will do."""
        return np.where(wanted > 0, measured, np.maximum(measured, 0))

    def cost(offsets: Array, measured: Array) -> float:
        missing = np.square(wanted - within(measured)).sum()
        return float(missing + np.square(EFFORT * offsets).sum())

    best, used = (cost(offsets, measured), offsets, measured), 1
    while used < renders and np.abs(wanted - within(best[2])).max() > TOLERANCE:
        # |missing - slopes (x - offsets)|^2 + |EFFORT x|^2, around the best picture
        matrix = np.concatenate([slopes, EFFORT * np.eye(count)])
        missing = wanted - within(best[2])
        aim = np.concatenate([missing + slopes @ best[1], np.zeros(count)])
        proposed = _one_way(names, lsq_linear(matrix, aim, (low, np.ones(count))).x)
        moved = proposed - best[1]
        if np.abs(moved).max() < TOLERANCE:
            break
        measured = respond(dict(zip(names, proposed.tolist(), strict=True)))[index]
        used += 1
        missed = measured - best[2] - slopes @ moved
        slopes = slopes + np.outer(missed, moved) / np.square(moved).sum()
        reached = cost(proposed, measured)
        if reached < best[0]:
            best = (reached, proposed, measured)
    return _reached(names, best[1], best[2], used)


def _asked(targets: Mapping[str, float]) -> tuple[list[str], tuple[list[int], list[int]], Array]:
    """Names, where they stand in what is measured, and their values. DescriptorError."""
    checked = facs.check(targets)
    parts = [facs.split_side(name) for name in checked]
    for code, side in parts:
        if side and code not in SIDED:
            raise DescriptorError(
                f"{code}{side}: {code} is measured on the whole face; leave out the side"
            )
    index = ([facs.INDEX[code] for code, _ in parts], [COLUMNS.index(side) for _, side in parts])
    return list(checked), index, np.array(list(checked.values()))


def _one_way(names: list[str], offsets: Array) -> Array:
    """What is left of each other by an eye's opposite ways, of which a picture shows one."""
    result = offsets.copy()
    for i, j in combinations(range(len(names)), 2):
        if facs.excludes(names[i], names[j]) and min(result[i], result[j]) > 0:
            result[[i, j]] -= result[[i, j]].min()
    return result


def _reached(names: list[str], offsets: Array, measured: Array, renders: int) -> Reached:
    return Reached(
        MappingProxyType(dict(zip(names, offsets.tolist(), strict=True))),
        MappingProxyType(dict(zip(names, measured.tolist(), strict=True))),
        renders,
    )


def _error(wanted: Array, measured: Array) -> float:
    return float(np.square(wanted - measured).mean())
