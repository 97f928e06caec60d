"""`target`: Action Units set to a measured value on this face, by a closed loop.

An offset of 0.6 adds six tenths of the typical full action; how much of it shows depends on the
face, and on what it shows already. A target of 0.6 means that the finished picture measures 0.6:
render, measure, correct, at most a few times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import DescriptorError

Array = NDArray[np.float64]
Respond = Callable[[Mapping[str, float]], Array]
"""Offsets (`facs.LOWEST` to 1) -> the measured intensities, score / 5, of the picture."""

RENDERS = 4
TOLERANCE = 0.03  # of the full action; below what the scores can tell apart
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

    targets: AU code -> intensity in [0, 1], whole AUs only. Each AU has its own secant slope; the
    best picture seen is kept, so more renders never make it worse.
    """
    names = list(facs.check(targets))
    for name in names:
        if name not in facs.INDEX:
            raise DescriptorError(
                f"{name}: only whole Action Units are measured; leave out the side"
            )
    index = [facs.INDEX[name] for name in names]
    wanted = np.array([targets[name] for name in names])
    offsets, slopes = np.zeros(len(names)), np.ones(len(names))
    measured = respond({})[index]
    best = (np.abs(wanted - measured).max(), offsets, measured)
    used = 1
    while used < renders and best[0] > TOLERANCE:
        proposed = np.clip(best[1] + (wanted - best[2]) / slopes, facs.LOWEST, 1)
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
        error = np.abs(wanted - measured).max()
        if error < best[0]:
            best = (error, offsets, measured)
        else:
            slopes = np.minimum(slopes * 2, STEEPEST)  # overshot: take a shorter step next
    return Reached(
        MappingProxyType(dict(zip(names, best[1].tolist(), strict=True))),
        MappingProxyType(dict(zip(names, best[2].tolist(), strict=True))),
        used,
    )
