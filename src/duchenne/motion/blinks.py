"""Blinks of a face at rest, so that a long film of a still photo looks alive.

People at rest blink about 17 times a minute (Bentivoglio et al. 1997), at intervals that are spread
as a log-normal distribution; the lids close in a tenth of a second and open in twice that time
(VanderWerf et al. 2003).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from .. import facs
from .timeline import Array, Timeline

UNIT = facs.INDEX["AU43"]
EVERY, SPREAD = 3.5, 0.55  # seconds between blinks in the mean; deviation of the logarithm
SOONEST = 0.8  # seconds from the beginning, and from one blink to the next
CLOSING, SHUT, OPENING = 0.1, 0.04, 0.2  # seconds


def starts(seconds: float, seed: int) -> Iterator[float]:
    """Seconds at which blinks begin that end within a film of this length."""
    rng = np.random.default_rng(seed)
    median = EVERY / math.exp(SPREAD**2 / 2)
    at = 0.0
    while True:
        at += max(SOONEST, float(rng.lognormal(math.log(median), SPREAD)))
        if at + CLOSING + SHUT + OPENING > seconds:
            return
        yield at


def course(since: Array) -> Array:
    """How far the lids are shut so many seconds after a blink began, 0 to 1."""
    ends = np.cumsum([0.0, CLOSING, SHUT, OPENING])
    way = np.interp(since, ends, [0.0, 1.0, 1.0, 0.0])
    return np.asarray(way * way * (3 - 2 * way))


def blinking(timeline: Timeline, seed: int = 0) -> Timeline:
    """The same motion with blinks, as AU43 on both sides; the same ones for the same seed.

    Eyes that are shut further already stay so.
    """
    sides = timeline.sides.copy()
    for start in starts(float(timeline.duration), seed):
        shut = course(timeline.times - start)
        sides[:, UNIT] = np.maximum(sides[:, UNIT], shut[:, None])
    return replace(timeline, sides=sides)
