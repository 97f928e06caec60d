"""The scale of the Action Units that are drawn by moving lids and irises in the picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import facs
from ..animate import Studio
from ..measuring import score
from ..moving import eyes
from ..types import StageProgress
from . import calibrate

FIRST_SEED = 500_000
POPULATION, FACES = 24, 8


def fit(
    studio: Studio,
    kept: score.Scale,
    *,
    population: int = POPULATION,
    faces: int = FACES,
    progress: StageProgress | None = None,
) -> score.Scale:
    """The scale with the levels of `moving.eyes.UNITS` measured anew; all others stay.

    Intensity 1 of each of them scores 5 on average over the first `faces` of a population of
    generated people, from what they score at rest. See `calibrate.fit_scale`.
    """
    tell = progress or (lambda stage, done, total: None)
    blank = np.ones_like(kept.neutral)
    flat = score.Scale(kept.template, kept.mirror, 0 * blank, blank, blank)
    measure = calibrate.measure_with(score.Scorer(flat))
    rest = []
    for number in range(population):
        w = studio.sample(FIRST_SEED + number).code.w
        rest.append(measure(studio.renderer.still(w)))
        tell("population", number + 1, population)
    along = np.zeros((len(facs.CODES), faces, 2, len(blank)))  # at rest and at 1
    for number in range(faces):
        subject = studio.sample(FIRST_SEED + number)
        for unit in eyes.UNITS:
            at_full = measure(subject.edit({unit: 1.0}))
            along[facs.INDEX[unit], number] = rest[number], at_full
        tell("along", number + 1, faces)
    scale = calibrate.fit_scale(
        np.stack(rest), along, kept.template, kept.mirror, units=eyes.UNITS, kept=kept
    )
    # Unlike a boundary they go all the way.
    whole = np.where(np.isin(facs.CODES, eyes.UNITS), calibrate.SATURATED, 1)
    return replace(scale, full=scale.full / whole)
