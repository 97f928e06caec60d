"""Easing curves: how an intensity gets from one value to the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, meant, quoted

Array = NDArray[np.float64]
Easing = Callable[[Array], Array]


def _natural(t: Array) -> Array:
    """Minimum-jerk curve (Flash & Hogan 1985) in time that runs ahead: quick start, soft landing.

    Speed and acceleration are 0 at both ends; the fastest moment comes at a quarter of the time.
    """
    s = 1.0 - (1.0 - t) ** 2
    return s**3 * (10.0 - 15.0 * s + 6.0 * s**2)


EASINGS: Mapping[str, Easing] = MappingProxyType(
    {
        "linear": lambda t: t,
        "smooth": lambda t: 0.5 - 0.5 * np.cos(np.pi * t),
        "ease-in": lambda t: t**2,
        "ease-out": lambda t: 1.0 - (1.0 - t) ** 2,
        "natural": _natural,
        "hold": lambda t: np.floor(t),
    }
)
"""Curves over [0, 1] from 0 to 1, rising all the way. "hold" jumps at the very end."""


def find_easing(name: str) -> Easing:
    """The curve of that name; InputError if there is none.

    >>> find_easing("smooth")(np.array([0.0, 0.5, 1.0]))
    array([0. , 0.5, 1. ])
    """
    try:
        return EASINGS[name]
    except (KeyError, TypeError):
        raise InputError(
            f"unknown easing {quoted(name)}; known are {', '.join(EASINGS)}" + meant(name, EASINGS)
        ) from None
